"""The controller's commands of `expunge`: one function a verb, `(argv) -> exit code`.

Named in the entry-point group `expunge.commands`. A verb's module is imported only when the verb is called,
so that `expunge --help` and `expunge verify` start without any of it. A command parses, calls once and shows;
only `init`, `serve` and `ledger check` open the database, all others ask the running `serve` (`policy` reads
and writes the signed files of the home alone).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "approve",
    "attention",
    "certificate",
    "close",
    "destroy",
    "freeze",
    "holds",
    "hook",
    "hosts",
    "init",
    "ledger",
    "media",
    "notices",
    "operators",
    "policy",
    "reconcile",
    "reprobe",
    "restore",
    "retry",
    "serve",
    "show",
    "status",
    "thaw",
    "validate",
    "wipe",
]


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


def operators(argv: Sequence[str]) -> int:
    """Whose decisions count: enrol, list, revoke."""
    return _run("operators", argv)


def holds(argv: Sequence[str]) -> int:
    """Keep hosts from being wiped: set, list, release a hold."""
    return _run("holds", argv)


def freeze(argv: Sequence[str]) -> int:
    """Stop everything that is not yet irreversible; anybody may."""
    return _run("freeze", argv)


def thaw(argv: Sequence[str]) -> int:
    """Lift a freeze or a tripped breaker; two operators."""
    return _run("thaw", argv)


def wipe(argv: Sequence[str]) -> int:
    """Show what a wipe by hand would do, or request it."""
    return _run("wipe", argv)


def approve(argv: Sequence[str]) -> int:
    """Approve the plan with this digest."""
    return _run("approve", argv)


def attention(argv: Sequence[str]) -> int:
    """What waits for a person, grouped by cause."""
    return _run("attention", argv)


def validate(argv: Sequence[str]) -> int:
    """Accept or reject a result that the validation table leaves to a person."""
    return _run("validate", argv)


def policy(argv: Sequence[str]) -> int:
    """The validation table: show, draft, check, sign the next version."""
    return _run("policy", argv)


def restore(argv: Sequence[str]) -> int:
    """Give a quarantined host back to its customer and hold it."""
    return _run("restore", argv)


def reprobe(argv: Sequence[str]) -> int:
    """Ask agent and drives again; nothing is issued."""
    return _run("reprobe", argv)


def retry(argv: Sequence[str]) -> int:
    """Begin a new attempt of a deprovision that needs an operator."""
    return _run("retry", argv)


def destroy(argv: Sequence[str]) -> int:
    """Attest, with a second person, that a host's media were destroyed."""
    return _run("destroy", argv)


def close(argv: Sequence[str]) -> int:
    """End a case; the host is kept out of service."""
    return _run("close", argv)


def reconcile(argv: Sequence[str]) -> int:
    """Let a restored or copied store work again; two operators."""
    return _run("reconcile", argv)


def media(argv: Sequence[str]) -> int:
    """The register of drives that left their host."""
    return _run("media", argv)


def notices(argv: Sequence[str]) -> int:
    """What customers were told: list, or waive with a second person."""
    return _run("notices", argv)


def _run(verb: str, argv: Sequence[str]) -> int:
    from importlib import import_module

    from controller.cli.command import run

    return run(import_module(f"controller.cli.verbs.{verb}").app, argv, verb=verb)
