"""`expunge attention`: what waits for a person, grouped by cause."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from certificate.statements.statement import time_text
from controller.api.attention_documents import (
    ApprovalAwaited,
    Attention,
    GroupLine,
    StopLine,
    ValidationAwaited,
)
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, located

app = application("What waits for a person, grouped by cause.")


@app.command()
def attention(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """What needs an operator, the ways out that are open, approvals and validations awaited, and stops to
    look at.
    """
    with Client.of(located(home)) as client:
        told = client.get("/v1/attention", Attention)
    typer.echo(told.to_json() if as_json else text(told))


def text(told: Attention) -> str:
    parts = [line for group in told.groups for line in (*_group(group), "")]
    parts += [line for awaited in told.approvals for line in (*_approval(awaited), "")]
    parts += [line for result in told.validations for line in (*_validation(result), "")]
    parts += [_stop(stop) for stop in told.stops]
    return "\n".join(parts).rstrip() or "nothing waits for a person"


def _group(group: GroupLine) -> Iterator[str]:
    count = len(group.members)
    yield f"{count} {'host' if count == 1 else 'hosts'} in {group.site}, rack {group.rack}: {group.code}"
    yield f"  since {time_text(group.since)}"
    if group.remedy:
        yield f"  {group.remedy}"
    for member in group.members:
        yield f"  {member.host}  {member.deprovision}  attempt {member.attempt}: {member.reason}"
        for way in member.ways:
            if way.closed is not None:
                yield f"    not {way.exit}: {way.closed}"
    yield f"  open: {', '.join(group.open_exits) or 'nothing yet'}"
    if count > 1:
        yield f"  all at once: --group {group.digest}"


def _approval(awaited: ApprovalAwaited) -> Iterator[str]:
    yield f"{awaited.host}: a plan waits for people: {awaited.missing}"
    yield f"  since {time_text(awaited.since)}, {awaited.deprovision}"
    yield f"  requested by: {', '.join(awaited.requested_by) or 'nobody yet'}"
    yield f"  expunge approve {awaited.plan_digest}"


def _validation(awaited: ValidationAwaited) -> Iterator[str]:
    yield f"{awaited.host}: a result waits for a person's validation"
    yield f"  since {time_text(awaited.since)}, {awaited.deprovision}"
    for medium in awaited.media:
        yield f"  medium {medium.medium[:16]}…: {medium.row}"
    yield f"  not by: {', '.join(awaited.not_by) or 'nobody is barred'}"
    yield f"  expunge validate {awaited.host} --accept (or --reject) --reason TEXT"


def _stop(stop: StopLine) -> str:
    return (
        f"{stop.kind} {stop.number} by {stop.author} since {time_text(stop.since)}: {stop.matter}"
        f" (review {time_text(stop.review_at)})"
    )
