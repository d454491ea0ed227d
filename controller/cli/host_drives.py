"""`expunge hosts drive accept | replace`: what a host is expected to hold changes by two signatures."""

from __future__ import annotations

from typing import Annotated

import typer

from certificate.statements.people import DecisionKind
from controller.cli.command import application
from controller.cli.deciding import decide
from controller.cli.drive_leaving import drive_leaves
from controller.cli.options import (
    READ_BY_STRANGERS_HELP,
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
)
from controller.records.drive_text import read_drive

app = application("What a host is expected to hold: accept a list, replace a drive.")


@app.command()
def accept(
    asset_tag: Annotated[str, typer.Argument(help="The host.")],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Accept the drives that the newest inspection found; two operators sign."""
    return decide(
        home=home,
        kind=DecisionKind.DRIVES,
        about={"host": asset_tag},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


@app.command()
def replace(
    asset_tag: Annotated[str, typer.Argument(help="The host.")],
    old: Annotated[str, typer.Option(help="Serial of the drive that leaves.")],
    by: Annotated[
        str, typer.Option(help="Who took it out. Kept in the private tables only, as are the next three.")
    ],
    why: Annotated[str, typer.Option(help=f"Why; it is signed with it. {READ_BY_STRANGERS_HELP}")],
    seal: Annotated[str, typer.Option(help="Number of the seal on it.")],
    place: Annotated[str, typer.Option(help="Where it is kept.")],
    new: Annotated[
        str | None,
        typer.Option(help="serial=S,model=M[,capacity_bytes=N]; without it the bay stays empty."),
    ] = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Enter a drive that leaves into the register of media, and its successor; two operators sign."""
    if new is not None:
        try:
            read_drive(new)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--new") from None
    return drive_leaves(
        asset_tag,
        old,
        in_its_place=new,
        words=(by, why, seal, place),
        home=home,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )
