"""`expunge hosts import | gaps`, and how their answers read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller.api.host_records_documents import HostGaps, ImportAsked, ImportDifference
from controller.cli.client import Client
from controller.cli.command import EXIT_DONE
from controller.cli.deciding import decide
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    located,
)
from controller.errors import Code
from controller.records.host_file import MAX_FILE_CHARACTERS

#: Every character takes four bytes at most.
MAX_FILE_BYTES = 4 * MAX_FILE_CHARACTERS


def import_file(
    file: Annotated[Path, typer.Argument(help="A CSV file in UTF-8, one host a line.", dir_okay=False)],
    apply: Annotated[
        str | None,
        typer.Option(
            help="Sign exactly the difference with this digest, as a run without it printed.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why, in one line; signed with --apply.", show_default=False),
    ] = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show what a file of hosts would change; with --apply DIGEST sign exactly that. Nothing is removed.

    One operator adds hosts; where a known host changes, two sign.
    """
    text = _text(file)
    if apply is None:
        with Client.of(located(home)) as client:
            told = client.post("/v1/hosts/import", ImportDifference, ImportAsked(text=text))
        typer.echo(told.to_json() if as_json else difference(told))
        return EXIT_DONE
    if reason is None:
        raise typer.BadParameter("what is applied is signed with a reason", param_hint="--reason")
    return decide(
        home=home,
        kind=DecisionKind.IMPORT,
        about={"text": text, "difference": _digest(apply)},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def gaps(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """What stands between each host and a deprovision, with its remedy. Exit 0 whenever answered."""
    with Client.of(located(home)) as client:
        told = client.get("/v1/hosts/gaps", HostGaps)
    typer.echo(told.to_json() if as_json else host_gaps(told))


def difference(told: ImportDifference) -> str:
    lines = [f"+ {tag}" for tag in told.added]
    for change in told.changed:
        lines.append(f"~ {change.host}")
        lines += [f"    {each.field}: {each.old or '(nothing)'} -> {each.new}" for each in change.changes]
    lines += [f"? {tag} is on record and not in the file; it stays" for tag in told.not_in_file]
    lines.append(
        f"{len(told.added)} added, {len(told.changed)} changed, {len(told.unchanged)} unchanged, "
        f"{len(told.not_in_file)} not in the file"
    )
    lines.append(f"nothing was applied; to sign exactly this: --apply {told.digest} --reason TEXT")
    return "\n".join(lines)


def host_gaps(told: HostGaps) -> str:
    lines = []
    for host in told.hosts:
        if host.gaps:
            lines.append(host.host)
        for gap in host.gaps:
            mark = "blocks" if gap.is_blocking else "look at"
            lines += [f"  {mark}: {gap.code}: {gap.reason}", f"    {gap.remedy}"]
    free = sum(not any(gap.is_blocking for gap in host.gaps) for host in told.hosts)
    lines.append(f"nothing blocks {free} of {len(told.hosts)} hosts")
    return "\n".join(lines)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{file}: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(Code.IMPORT_INVALID, f"{file.name} is not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise Refused(Code.IMPORT_INVALID, "the file is empty")
    if len(text) > MAX_FILE_CHARACTERS:
        raise Refused(Code.IMPORT_INVALID, f"{file.name} has more than {MAX_FILE_CHARACTERS} characters")
    return text


def _digest(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise typer.BadParameter(
            "a digest has 64 hexadecimal digits, as the run without --apply printed", param_hint="--apply"
        )
    return text
