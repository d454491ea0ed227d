"""`expunge notices list` and `expunge notices waive`."""

from __future__ import annotations

from typing import Annotated

import typer

from certificate.identifiers import DeprovisionId
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.api.notices_documents import NoticeLine, NoticeList
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
    deprovision_id,
    located,
)
from controller.cli.text import table

app = application("What customers were told: list, or waive with a second person.")


@app.command("list")
def list_notices(
    only_open: Annotated[bool, typer.Option("--open", help="Only what is not settled.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every notice: when it was due, how often it was tried, and what became of it."""
    with Client.of(located(home)) as client:
        listed = client.get("/v1/notices", NoticeList, is_open=int(only_open))
    typer.echo(listed.to_json() if as_json else text(listed))


@app.command()
def waive(
    deprovision: Annotated[DeprovisionId, typer.Argument(parser=deprovision_id, metavar="DEPROVISION")],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Waive the open notices of a deprovision; two operators sign. Exit 4 while one more is needed."""
    return decide(
        home=home,
        kind=DecisionKind.WAIVE_NOTICE,
        about={"deprovision": deprovision},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def text(listed: NoticeList) -> str:
    if not listed.notices:
        return "no notice"
    rows = [
        (
            str(line.number),
            line.host,
            line.kind,
            time_text(line.due_at),
            str(line.attempts),
            _became(line),
            line.deprovision,
        )
        for line in listed.notices
    ]
    return table(("NUMBER", "HOST", "KIND", "DUE", "TRIES", "BECAME", "DEPROVISION"), rows)


def _became(line: NoticeLine) -> str:
    if line.settled is not None:
        records = ", ".join(f"{digest[:16]}…" for digest in line.records)
        return f"{line.settled} {records}".strip()
    return f"open, {line.last_code}" if line.last_code else "open"
