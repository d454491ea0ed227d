"""`expunge`: verify certificates, and whatever other packages register under `expunge.commands`.

Rules: `verify` needs this package alone and reads no network, clock or configuration; another verb is the
name of an entry point `(argv) -> exit code`, found in metadata and imported only when it is called. Its line
in `--help` is the first line of the function's docstring, read from the source text without running it. Where
an import fails because an extra is not installed, the answer is that extra's name and exit 2.
Exit codes of `verify`: 0 valid, 1 invalid or not erased, 2 usage, 3 inconclusive; for several files the
worst, from 0 over 3 and 2 to 1. Other verbs have DESIGN.md's.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Final

from certificate import annex, trust
from certificate.answers import EXIT_INVALID, EXIT_USAGE, EXIT_VALID, SEVERITY, answers_to, exit_code
from certificate.bundle import MAX_BUNDLE_BYTES
from certificate.envelope import MAX_ENVELOPE_BYTES
from certificate.errors import Code, Malformed, Refused
from certificate.policy import MAX_POLICY_BYTES, Policy
from certificate.render import text

GROUP: Final = "expunge.commands"


def run() -> None:
    """The console script."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the answer has left; the interpreter's last flush would complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_INVALID
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Runs one command and answers with its exit code."""
    verb, rest = (argv[0], list(argv[1:])) if argv else ("", [])
    if verb == "verify":
        return _parsed(_verify_parser(), rest, _verify)
    if found := _registered().get(verb):
        return _call(found, rest)
    return _parsed(_top_parser(), list(argv), lambda _: EXIT_USAGE)


def _parsed(
    parser: argparse.ArgumentParser, argv: list[str], act: Callable[[argparse.Namespace], int]
) -> int:
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed help or what is wrong
        return stop.code if isinstance(stop.code, int) else EXIT_VALID
    return act(arguments)


# --- other packages' verbs ----------------------------------------------------------------------------------


def _registered() -> dict[str, EntryPoint]:
    return {found.name: found for found in sorted(entry_points(group=GROUP), key=lambda each: each.name)}


def _call(command: EntryPoint, argv: list[str]) -> int:
    """Imports the verb's function and calls it. An extra has the name of the package that needs it."""
    extra = command.module.partition(".")[0]
    try:
        act: Callable[[Sequence[str]], int] = command.load()
        return act(argv)
    except ModuleNotFoundError as missing:
        if (missing.name or extra).partition(".")[0] == extra and importlib.util.find_spec(extra):
            raise  # a module of ours: a fault, which no extra cures
        refusal = Refused(
            Code.EXTRA_MISSING,
            f"`expunge {command.name}` needs {missing.name}, which is not installed",
            remedy=f"pip install 'expunge[{extra}]'",
        )
        print(f"expunge: {refusal}", file=sys.stderr)
        return EXIT_USAGE


def _summary(command: EntryPoint) -> str:
    """The first line of the function's docstring, or nothing where there is no source to read."""
    head, _, below = command.module.partition(".")
    spec = importlib.util.find_spec(head)
    name = head
    for part in filter(None, below.split(".")):
        if spec is None or spec.submodule_search_locations is None:
            return ""
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return ""
    for node in ast.parse(Path(spec.origin).read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name == command.attr:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def _version() -> str:
    try:
        return version("expunge")
    except PackageNotFoundError:
        return "(not installed)"


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="expunge",
        description="Empties rented machines, and verifies the certificates that say so.",
        epilog="`expunge COMMAND --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"expunge {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands.add_parser("verify", help="Check certificates, offline, asking nobody.", add_help=False)
    for name, command in _registered().items():
        commands.add_parser(name, help=_summary(command).replace("%", "%%"), add_help=False)
    return parser


# --- verify -------------------------------------------------------------------------------------------------


def _verify_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="expunge verify",
        description="Checks certificates, offline, asking nobody.",
        epilog="Exit codes: 0 valid; 1 invalid or not erased; 2 usage; 3 inconclusive. "
        "docs/verify-by-hand.md does the same without this program.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a *.bundle.json")
    parser.add_argument(
        "--trust",
        required=True,
        type=Path,
        metavar="ROOT",
        help="the provider's trust root, from the provider",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="P", help="what to insist on; without it: physical media, purge"
    )
    parser.add_argument(
        "--annex",
        type=Path,
        metavar="A",
        action="append",
        default=[],
        help="opens serial numbers; one a FILE, in the same order, or one for all",
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")
    return parser


def _verify(arguments: argparse.Namespace) -> int:
    files: list[Path] = arguments.files
    annexes: list[Path] = arguments.annex
    if len(annexes) not in (0, 1, len(files)):
        print("expunge verify: give one --annex for all files, or one for each", file=sys.stderr)
        return EXIT_USAGE
    try:
        root_bytes = _read(arguments.trust, MAX_ENVELOPE_BYTES)
        root = trust.read(root_bytes)
        policy = Policy.production() if arguments.policy is None else _read_policy(arguments.policy)
        opened = [_read(path, annex.MAX_ANNEX_BYTES) for path in annexes]
    except Refused as refusal:
        return _cannot_begin(refusal, as_json=arguments.as_json)
    opened = opened * len(files) if len(opened) == 1 else opened
    answers = answers_to(
        [(str(path), partial(_read, path, MAX_BUNDLE_BYTES)) for path in files],
        root,
        policy,
        annexes=opened,
        fingerprint=trust.fingerprint(root_bytes),
    )
    worst = max((answer.exit_code for answer in answers), key=SEVERITY.index)
    if arguments.as_json:
        print(json.dumps({"exit": worst, "files": [answer.as_dict() for answer in answers]}, indent=1))
    else:
        print("\n".join(answer.screen() for answer in answers))
    return worst


def _read_policy(path: Path) -> Policy:
    return Policy.read(_read(path, MAX_POLICY_BYTES))


def _cannot_begin(refusal: Refused, *, as_json: bool) -> int:
    """Trust root, policy or annex: without them no file can be judged."""
    code = exit_code(refusal.code)
    if as_json:
        print(json.dumps({"exit": code, "files": [], **refusal.as_dict()}, indent=1))
    print(f"expunge verify: {text.printable(str(refusal))}", file=sys.stderr)
    return code


def _read(path: Path, max_bytes: int) -> bytes:
    """The file, read no further than one byte over the limit. Raises Malformed(FILE_UNREADABLE,
    LIMIT_EXCEEDED).
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise Malformed(Code.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    if len(data) > max_bytes:
        raise Malformed(Code.LIMIT_EXCEEDED, f"{path} has more than {max_bytes} bytes")
    return data


if __name__ == "__main__":
    run()
