"""The commands that lead out of `needs_operator`: one signed decision about a host, a deprovision or a group.

Rules: exactly one of HOST and --group is named; a group is named by the digest that `expunge attention`
printed, so that nobody joins it unread; what is signed is printed first (`deciding`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Malformed
from certificate.identifiers import DeprovisionId
from certificate.statements.people import DecisionKind
from controller.cli.command import application
from controller.cli.deciding import decide
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
)
from controller.facts import Exit

TargetArgument = Annotated[
    str | None, typer.Argument(metavar="[HOST]", help="Asset tag of the host, or dep_... of its deprovision.")
]
GroupOption = Annotated[
    str | None,
    typer.Option("--group", help="A group that expunge attention printed; two people.", metavar="DIGEST"),
]


def verb(exit: Exit, *, title: str, does: str) -> typer.Typer:
    """The whole command of a way out that needs nothing but its target. `does`: its sentences for people."""
    app = application(title)

    @app.command(
        name=exit.value, help=f"{does}\n\nExit 0: commanded; 4: one more person is needed; 3: refused."
    )
    def command(
        reason: ReasonOption,
        target: TargetArgument = None,
        group: GroupOption = None,
        key: KeyOption = None,
        key_passphrase_fd: KeyPassphraseOption = None,
        confirm: ConfirmOption = None,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> int:
        return leave(
            exit,
            target,
            group,
            home=home,
            reason=reason,
            key=key,
            key_passphrase_fd=key_passphrase_fd,
            confirm=confirm,
            as_json=as_json,
        )

    return app


def leave(
    exit: Exit,
    target: str | None,
    group: str | None,
    *,
    home: Path | None,
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    as_json: bool,
    document_digest: str | None = None,
) -> int:
    """Decides it and answers with the exit code. Raises typer.BadParameter, or Refused as `decide`."""
    about = {"exit": exit.value, **named(target, group)}
    if document_digest is not None:
        about["document_digest"] = document_digest
    return decide(
        home=home,
        kind=DecisionKind.EXIT,
        about=about,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def named(target: str | None, group: str | None) -> dict[str, str]:
    """What the decision is about. Raises typer.BadParameter unless exactly one is named."""
    if (target is None) == (group is None):
        raise typer.BadParameter("name a host or a deprovision, or --group DIGEST, and not both")
    if target is None:
        return {"group": group or ""}
    try:
        return {"deprovisions": str(DeprovisionId.parse(target))}
    except Malformed:
        return {"host": target}
