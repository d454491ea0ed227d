"""The route behind `expunge attention`: one snapshot, read and grouped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from certificate.errors import RefusalCode, Refused
from controller import case as cases
from controller import knowledge, waiting
from controller.api.attention_documents import (
    ApprovalAwaited,
    Attention,
    GroupLine,
    MediumAwaited,
    StopLine,
    StuckLine,
    ValidationAwaited,
    WayLine,
)
from controller.api.lines import whole_seconds
from controller.api.server import answer
from controller.attention import Group, Stuck
from controller.errors import Code, NeedsApproval
from controller.guards import GUARDS_TO_APPROVE, failing, people
from controller.people import acceptance
from controller.people.acts import validate
from controller.program import Program
from controller.states import State
from controller.store import deprovisions, stops
from controller.store.stops import Stop, StopKind


def router(program: Program, *, wake: Callable[[], None]) -> APIRouter:
    """Wakes nobody: looking changes nothing."""
    routes = APIRouter()

    @routes.get("/v1/attention")
    def attention() -> Response:
        with program.store.snapshot() as tx:
            return answer(told(tx, program))

    return routes


def told(tx: Connection, program: Program) -> Attention:
    now = program.clock()
    return Attention(
        groups=tuple(_group(each) for each in waiting.groups(tx, program)),
        approvals=tuple(_approvals(tx, program, now)),
        validations=tuple(_validations(tx, program)),
        stops=tuple(_stop(each) for each in stops.all_standing(tx) if _needs_a_look(each, now)),
    )


def _group(group: Group) -> GroupLine:
    known: dict[str, RefusalCode] = {**Code.__members__}
    return GroupLine(
        digest=group.digest,
        code=group.code,
        remedy=known[group.code].remedy if group.code in known else "",
        site=group.site,
        rack=group.rack,
        since=whole_seconds(group.since),
        members=tuple(_stuck(each) for each in group.members),
        open_exits=tuple(exit.value for exit in group.open_exits),
    )


def _stuck(stuck: Stuck) -> StuckLine:
    return StuckLine(
        deprovision=stuck.deprovision,
        host=stuck.host,
        attempt=stuck.attempt,
        since=whole_seconds(stuck.since),
        reason=stuck.reason,
        ways=tuple(
            WayLine(
                exit=way.exit.value,
                closed=None if way.closed is None else f"{way.closed.code.value}: {way.closed.reason}",
            )
            for way in stuck.ways
        ),
    )


def _approvals(tx: Connection, program: Program, now: datetime) -> Iterator[ApprovalAwaited]:
    """Plans before which a guard asks for people."""
    for row in deprovisions.live(tx):
        if row.state is not State.PLANNED:
            continue
        case = cases.load(tx, row.id)
        facts = knowledge.facts_of(tx, program, case, now=now)
        asked = [r for _, r in failing(GUARDS_TO_APPROVE, facts, now) if isinstance(r, NeedsApproval)]
        if case.plan is not None and asked:
            yield ApprovalAwaited(
                deprovision=row.id,
                host=case.host.asset_tag,
                plan_digest=case.plan.digest,
                since=whole_seconds(row.entered_at),
                missing="; ".join(refused.reason for refused in asked),
                requested_by=tuple(sorted(people(facts, now)[0])),
            )


def _validations(tx: Connection, program: Program) -> Iterator[ValidationAwaited]:
    """Results that the act itself would put before a person now."""
    for row in deprovisions.live(tx):
        try:
            asked = validate.awaited(tx, program, row.id)
        except Refused:
            continue
        yield ValidationAwaited(
            deprovision=row.id,
            host=asked.case.host.asset_tag,
            since=whole_seconds(row.entered_at),
            evidence=asked.evidence.payload_digest,
            media=tuple(
                MediumAwaited(medium=each.medium, row=acceptance.row_words(asked.case.plan, each))
                for each in asked.escalated
            ),
            not_by=tuple(sorted(asked.involved)),
        )


def _needs_a_look(stop: Stop, now: datetime) -> bool:
    """A freeze and a breaker always; a hold once its review is due."""
    return stop.kind is not StopKind.HOLD or stop.review_at <= now


def _stop(stop: Stop) -> StopLine:
    return StopLine(
        number=stop.number,
        kind=stop.kind.value,
        author=stop.author,
        matter=stop.matter,
        since=whole_seconds(stop.set_at),
        review_at=whole_seconds(stop.review_at),
    )
