"""`expunge holds set | list | release`: keeping hosts from being wiped."""

from __future__ import annotations

from typing import Annotated

import typer

from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.api.decisions_documents import StopList
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.deciding import decide
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

app = application("Keep hosts from being wiped: set, list, release a hold.")

SECONDS_A_DAY = 86_400


@app.command("set")
def set_hold(
    scope: Annotated[str, typer.Option(help="host=TAG | site=S | rack=R | customer=NAME | everything")],
    matter: Annotated[str, typer.Option(help="What it is about, in one line.")],
    review: Annotated[str, typer.Option(help="When somebody looks at it again, such as P30D.")],
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Set a hold; one operator suffices. It does not end at its review."""
    return decide(
        home=home,
        kind=DecisionKind.HOLD,
        about={"scope": scope, "matter": matter, "review": review},
        reason=matter,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=None,
        as_json=as_json,
    )


@app.command("list")
def list_holds(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every hold, freeze and breaker that stands, its age, and whether its review is overdue."""
    with Client.of(located(home)) as client:
        listed = client.get("/v1/stops", StopList)
    typer.echo(listed.to_json() if as_json else text(listed))


@app.command()
def release(
    number: Annotated[int, typer.Argument(min=1, help="As holds list prints it.")],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Release a hold; two operators sign."""
    return decide(
        home=home,
        kind=DecisionKind.RELEASE_HOLD,
        about={"number": str(number)},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def text(listed: StopList) -> str:
    if not listed.stops:
        return "nothing is held or frozen"
    rows = [
        (
            str(line.number),
            line.kind,
            line.covers,
            str(line.hosts),
            age(line.age_seconds),
            f"{time_text(line.review_at)}{' OVERDUE' if line.is_overdue else ''}",
            line.author,
            line.matter,
        )
        for line in listed.stops
    ]
    return table(("NUMBER", "KIND", "COVERS", "HOSTS", "AGE", "REVIEW", "AUTHOR", "MATTER"), rows)


def age(seconds: int) -> str:
    """`3d 4h`, `2h 5m`: the two greatest parts."""
    days, rest = divmod(seconds, SECONDS_A_DAY)
    hours, minutes = rest // 3600, rest % 3600 // 60
    return f"{days}d {hours}h" if days else f"{hours}h {minutes}m"
