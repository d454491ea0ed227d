"""`expunge hook`: tell the controller that a subscription changed, whether or not it is listening.

A hint is never believed: it makes `serve` ask the source. When `serve` does not take it, it goes to the
spool, and the command still succeeds, because a billing system that calls it has done its part.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from certificate.errors import Refused
from controller.api.documents import HintTold
from controller.cli.client import Client
from controller.cli.command import Failed, application
from controller.cli.options import HomeOption, JsonOption, located
from controller.errors import Code
from controller.home import Home
from controller.spool import Hint, HintEvent, Spool, make_hint

app = application("Tell the controller that a subscription ended or was renewed.")


@app.command()
def hook(
    event: Annotated[HintEvent, typer.Argument(help="What the billing system says happened.")],
    subscription: Annotated[str, typer.Argument(help="The subscription, as the billing system names it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """A hint about one subscription: the controller asks the source and believes only that."""
    now = datetime.now(UTC)
    hint = make_hint(event=event, subscription=subscription, now=now, random_16_bytes=os.urandom(16))
    told = tell(located(home), hint, now=now)
    typer.echo(told.to_json() if as_json else text(told))


def tell(home: Home, hint: Hint, *, now: datetime) -> HintTold:
    """Gives `hint` to `serve`, or to the spool when it is not known that `serve` stored it. Raises
    Refused(HOME_MISSING) and whatever `serve` refuses.
    """
    try:
        with Client.of(home) as client:
            return client.post("/v1/hints", HintTold, hint)
    except Failed:
        pass
    except Refused as refusal:
        if refusal.code not in {Code.SERVE_UNREACHABLE, Code.SERVE_DISAGREES}:
            raise
    # A hint that serve took without being able to say so is told twice, which harms nobody.
    Spool(home.spool).write(hint, now=now)
    return HintTold(event=hint.event, subscription=hint.subscription, to="spool")


def text(told: HintTold) -> str:
    where = "taken by serve" if told.to == "serve" else "not taken by serve; kept in the spool until it runs"
    return f"{told.event} {told.subscription}: {where}"
