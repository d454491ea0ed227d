"""How much is said to end, counted from the store, and the breaker that is tripped over it.

Rules: the source is asked for a census about once a minute by default; the breaker is judged in the
transaction that would schedule an ending, and after each census; it is tripped once, and stands until two
operators thaw it. What trips it says `breaker`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from controller import breaker
from controller.breaker import DAY, USUAL_DAYS, Census, Endings
from controller.facts import Question
from controller.observe import source
from controller.program import Program
from controller.store import deprovisions, observations, stops
from controller.store.observations import StoredObservation
from controller.store.stops import BREAKER_AUTHOR, StopKind

#: A tripped breaker holds up every customer who really left: somebody looks at it within a day.
REVIEW_AFTER = timedelta(days=1)

logger = structlog.get_logger(__name__)


def take(program: Program) -> None:
    """Asks for a census when one is due, and trips the breaker over what was said."""
    name, every = program.configuration.source.name, program.configuration.breaker.census_every
    with program.store.snapshot() as tx:
        latest = observations.latest(tx, Question.CENSUS, name)
    if latest is not None and program.clock() - every < latest.asked.asked_at <= program.clock():
        return
    source.census(program)
    with program.store.transaction() as tx:
        now = program.clock()
        if stops.is_intake_open(tx):
            doubt = breaker.doubtful_census(program.configuration.breaker, counted(tx, program, now=now), now)
            if doubt is not None:
                trip(tx, doubt, now=now)


def may_schedule(tx: Connection, program: Program, *, now: datetime) -> bool:
    """Whether one more ending is believed; trips the breaker in this very transaction where it is not."""
    if not stops.is_intake_open(tx):
        return False
    doubt = breaker.too_many_endings(program.configuration.breaker, endings(tx, now=now))
    if doubt is None:
        doubt = breaker.doubtful_census(program.configuration.breaker, counted(tx, program, now=now), now)
    if doubt is not None:
        trip(tx, doubt, now=now)
    return doubt is None


def trip(tx: Connection, matter: str, *, now: datetime) -> None:
    """Stops the intake until two operators thaw it."""
    number = stops.begin(
        tx,
        kind=StopKind.BREAKER,
        author=BREAKER_AUTHOR,
        matter=matter,
        review_at=now + REVIEW_AFTER,
        now=now,
    )
    logger.error("breaker tripped", stop=number, matter=matter)


def endings(tx: Connection, *, now: datetime) -> Endings:
    """What was scheduled because a tenancy ended, with one more."""
    yesterday = now - DAY
    return Endings(
        today=deprovisions.ended_since(tx, _counts_from(tx, now)) + 1,
        before=deprovisions.ended_since(tx, yesterday - USUAL_DAYS * DAY, until=yesterday),
    )


def counted(tx: Connection, program: Program, *, now: datetime) -> Census:
    """What the source counted of itself, as far as it still says anything."""
    since = _counts_from(tx, now)
    told = observations.since(tx, Question.CENSUS, program.configuration.source.name, asked_at=since)
    complete = [each for each in told if each.answer == source.COMPLETE]
    return Census(
        active_now=_active(complete[-1]) if complete else None,
        active_highest=max(map(_active, complete), default=None),
        silent_since=_silent_since(told),
    )


def _counts_from(tx: Connection, now: datetime) -> datetime:
    """A day ago, or the last thaw of a breaker where that is later."""
    thawed_at = stops.last_lifted_at(tx, StopKind.BREAKER)
    return now - DAY if thawed_at is None else max(now - DAY, thawed_at)


def _silent_since(told: tuple[StoredObservation, ...]) -> datetime | None:
    first_failed: datetime | None = None
    for each in told:
        if each.answer == source.COMPLETE:
            first_failed = None
        elif first_failed is None:
            first_failed = each.asked_at
    return first_failed


def _active(seen: StoredObservation) -> int:
    return int((seen.detail or {})["active"])
