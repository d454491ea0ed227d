"""`expunge status`: the controller and every deprovision at a glance."""

from __future__ import annotations

import typer

from controller.api.documents import Status
from controller.cli import text
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, located

app = application("The controller and every deprovision at a glance.")


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Where each deprovision stands and what it waits for."""
    with Client.of(located(home)) as client:
        answer = client.get("/v1/status", Status)
    typer.echo(answer.to_json() if as_json else text.status(answer))
