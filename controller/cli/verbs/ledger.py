"""`expunge ledger check` and `expunge ledger export`."""

from __future__ import annotations

import typer

from certificate.errors import Refused
from controller.api.documents import LedgerChecked, LedgerPage
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, located
from controller.cli.progress import sign_of_life
from controller.errors import Code
from controller.home import Home

app = application("The controller's memory: check it, or take it out.")


@app.command()
def check(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Recompute the chain, every state and the log's tree from the ledger. Exit 3 at the first difference."""
    with sign_of_life("recomputing the ledger"):
        checked = _checked(located(home))
    if as_json:
        typer.echo(checked.to_json())
        return
    typer.echo(
        f"{checked.events} events in one chain, {checked.deprovisions} deprovisions as it tells them, "
        f"{checked.log_entries} log entries under {checked.checkpoints} checkpoints; head {checked.head}"
    )


@app.command()
def export(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every event as one line of JSON, oldest first, with --json or without."""
    with Client.of(located(home)) as client:
        next_seq: int | None = 1
        while next_seq is not None:
            page = client.get("/v1/ledger", LedgerPage, from_seq=next_seq)
            for line in page.lines:
                typer.echo(line)
            next_seq = page.next_seq


def _checked(home: Home) -> LedgerChecked:
    """By this process where the home is free, else by the `serve` that holds it."""
    from controller.ledger_check import check_ledger

    home.require_initialised()
    try:
        with home.locked():
            return check_ledger(home)
    except Refused as refusal:
        if refusal.code is not Code.HOME_IN_USE:
            raise
    with Client.of(home) as client:
        return client.get("/v1/ledger/check", LedgerChecked)
