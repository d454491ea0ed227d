"""`expunge thaw`: lift a freeze, or the breaker that the controller tripped by itself; two operators."""

from __future__ import annotations

from typing import Annotated

import typer

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

app = application("Lift a freeze or a tripped breaker; two operators.")


@app.command()
def thaw(
    number: Annotated[int, typer.Argument(min=1, help="As holds list prints it.")],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Sign that it may go on. A store older than its anchor stays frozen: that ends by reconcile only."""
    return decide(
        home=home,
        kind=DecisionKind.THAW,
        about={"number": str(number)},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )
