"""`expunge operators list | enrol | revoke`: whose signatures count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.api.decisions_documents import OperatorLine, OperatorList
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.deciding import decide
from controller.cli.operator_key import public_key, read_key_file
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
    located,
)
from controller.cli.text import table

app = application("Whose signatures count: list, enrol, revoke.")


@app.command("list")
def list_operators(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every key that counts, will count or counted. Keep three active ones: see docs/operate.md."""
    with Client.of(located(home)) as client:
        listed = client.get("/v1/operators", OperatorList)
    typer.echo(listed.to_json() if as_json else text(listed))


@app.command()
def enrol(
    public_key_file: Annotated[
        Path,
        typer.Option("--public-key", help="The newcomer's public key file (ssh-ed25519).", dir_okay=False),
    ],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Let a newcomer's key in; two operators sign, and it counts after people.approver_inert."""
    newcomer = public_key(read_key_file(public_key_file))
    return decide(
        home=home,
        kind=DecisionKind.ENROL,
        about={"public_key": newcomer.ssh_line},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


@app.command()
def revoke(
    keyid: Annotated[str, typer.Argument(help="SHA256:..., as operators list prints it.")],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take a key off the roster, at once and for ever; one operator suffices."""
    return decide(
        home=home,
        kind=DecisionKind.REVOKE,
        about={"keyid": keyid},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def text(listed: OperatorList) -> str:
    rows = [(line.keyid, line.standing, time_text(line.since), _origin(line)) for line in listed.operators]
    shown = table(("OPERATOR", "IS", "SINCE", "BY"), rows)
    if listed.active >= 3:
        return shown
    return f"{shown}\n{listed.active} count now; with fewer than three a lost key stops every two-person act"


def _origin(line: OperatorLine) -> str:
    origin = " and ".join(line.enrolled_by) or "trust root"
    return origin if line.revoked_at is None else f"{origin}; revoked {time_text(line.revoked_at)}"
