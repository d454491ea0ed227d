"""`expunge freeze`: stop everything that is not yet irreversible. Anybody who reaches the socket may."""

from __future__ import annotations

import os

import typer

from certificate.statements.people import DecisionKind
from controller.api.decisions_documents import FreezeBegun, NewFreeze
from controller.cli.client import Client
from controller.cli.command import EXIT_DONE, application
from controller.cli.deciding import checked_reason, decide
from controller.cli.operator_key import KEY_VARIABLE
from controller.cli.options import (
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
    located,
)

app = application("Stop everything that is not yet irreversible; anybody may.")


@app.command()
def freeze(
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Freeze, signed where a key is named, as `anyone` where none is. Two operators thaw."""
    if key is not None or os.environ.get(KEY_VARIABLE):
        return decide(
            home=home,
            kind=DecisionKind.FREEZE,
            about={},
            reason=reason,
            key=key,
            key_passphrase_fd=key_passphrase_fd,
            confirm=None,
            as_json=as_json,
        )
    with Client.of(located(home)) as client:
        begun = client.post("/v1/freezes", FreezeBegun, NewFreeze(reason=checked_reason(reason)))
    typer.echo(begun.to_json() if as_json else f"frozen, number {begun.number}; two operators thaw it")
    return EXIT_DONE
