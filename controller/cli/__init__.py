"""The controller's commands of `expunge`: one function a verb, `(argv) -> exit code`.

Named in the entry-point group `expunge.commands`. A verb's module is imported only when the verb is called,
so that `expunge --help` and `expunge verify` start without any of it. A command parses, calls once and shows;
only `init`, `serve` and `ledger check` open the database, all others ask the running `serve`.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["certificate", "hook", "hosts", "init", "ledger", "serve", "show", "status"]


def init(argv: Sequence[str]) -> int:
    """Make a home: keys, trust root, policy, database."""
    return _run("init", argv)


def serve(argv: Sequence[str]) -> int:
    """Run the controller."""
    return _run("serve", argv)


def hook(argv: Sequence[str]) -> int:
    """Tell the controller that a subscription ended or was renewed."""
    return _run("hook", argv)


def hosts(argv: Sequence[str]) -> int:
    """Enter hosts, and list those on record."""
    return _run("hosts", argv)


def status(argv: Sequence[str]) -> int:
    """Every deprovision at a glance."""
    return _run("status", argv)


def show(argv: Sequence[str]) -> int:
    """One deprovision: its story and its reasons."""
    return _run("show", argv)


def certificate(argv: Sequence[str]) -> int:
    """Write the certificate of one deprovision as files."""
    return _run("certificate", argv)


def ledger(argv: Sequence[str]) -> int:
    """Check or export the controller's memory."""
    return _run("ledger", argv)


def _run(verb: str, argv: Sequence[str]) -> int:
    from importlib import import_module

    from controller.cli.command import run

    return run(import_module(f"controller.cli.verbs.{verb}").app, argv, verb=verb)
