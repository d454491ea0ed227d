"""`expunge validate`: an uninvolved person accepts or rejects what the validation table leaves to people."""

from __future__ import annotations

from typing import Annotated

import typer

from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import ValidationDecision
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

app = application("Accept or reject a result that the validation table leaves to a person.")


@app.command()
def validate(
    target: Annotated[
        str, typer.Argument(metavar="HOST", help="Asset tag of the host, or dep_... of its deprovision.")
    ],
    reason: ReasonOption,
    accept: Annotated[
        bool, typer.Option("--accept", help="The result is good enough for this data.")
    ] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="It is not, and nobody can accept it later.")
    ] = False,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Shows what was seen (claim, reasons, limits, the evidence's digest, the table's word) and signs your
    decision over that evidence. You neither requested nor approved this erasure.

    Exit 0: decided; 3: refused.
    """
    return decide(
        home=home,
        kind=DecisionKind.VALIDATE,
        about={"host": target, "choice": _choice(accept=accept, reject=reject).value},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def _choice(*, accept: bool, reject: bool) -> ValidationDecision:
    """Raises typer.BadParameter unless exactly one is given."""
    if accept == reject:
        raise typer.BadParameter("say either --accept or --reject")
    return ValidationDecision.ACCEPT if accept else ValidationDecision.REJECT
