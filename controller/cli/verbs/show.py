"""`expunge show`: everything that is known of one deprovision."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.api.documents import Story
from controller.cli import text
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, deprovision_id, located

app = application("What is known of one deprovision, what it waits for, and why an order was made.")


@app.command()
def show(
    deprovision: Annotated[str, typer.Argument(help="dep_..., as status prints it.")],
    why: Annotated[
        bool, typer.Option("--why", help="Also what the order rests on: answers, times, policy, digests.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The story of one deprovision. Exit 3 when there is none of that id."""
    key = deprovision_id(deprovision)
    with Client.of(located(home)) as client:
        story = client.get(f"/v1/deprovisions/{key}", Story)
    typer.echo(story.to_json() if as_json else text.story(story, with_why=why))
