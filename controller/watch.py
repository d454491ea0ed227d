"""The watch: looks through the store for what alarms, keeps the alarms that stand, and has a person called.

Rules: one look reads one snapshot; an alarm is raised once and stands until its reason is gone; each new one
is a line in the log, and with an [alarm] command a person is called for it, again and again until the command
succeeds (at-least-once, as notices are). An alarm that is over calls nobody any more. That a customer
returned too late is also a notice to operators, in the outbox.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.statement import time_text
from controller import census
from controller.alarms import FAILURES, Alarm, Failing, Standing, Waiting, alarms
from controller.command_template import CommandTemplate
from controller.deadlines import gives_up_at, held_until, waits_since
from controller.errors import Code, LostRace, Unanswered
from controller.facts import Answer, Question
from controller.notices import pause_after
from controller.program import Program
from controller.states import State
from controller.store import (
    alarms as rows,
)
from controller.store import (
    deprovisions,
    hosts,
    journal,
    log_rows,
    notices,
    observations,
    orders,
    stops,
)
from controller.store.alarms import AlarmKind, StoredAlarm
from controller.store.deprovisions import Deprovision
from controller.store.notices import NoticeKind
from controller.store.stops import Stop, StopKind

#: An alarm is about hours; looking through every live deprovision costs a few milliseconds each.
LOOK_EVERY = timedelta(seconds=15)
CALLS_A_ROUND = 20
#: Answers of the source by which a customer stays.
STAYS = frozenset({Answer.ACTIVE.value, Answer.PENDING.value})
#: Where an order may be with the agent, or was.
PAST_DISPATCH = frozenset(
    {State.ERASING, State.VERIFIED, State.VALIDATED, State.CERTIFIED, State.NEEDS_OPERATOR}
)

logger = structlog.get_logger(__name__)


def look(program: Program) -> None:
    """Raises what is new, ends what is over."""
    with program.store.snapshot() as tx:
        now = program.clock()
        found = {(each.kind, each.about): each for each in alarms(standing(tx, program, now=now), now)}
        known = {(each.kind, each.about): each.sentence for each in rows.standing(tx)}
    if known == {name: each.sentence for name, each in found.items()}:
        return
    with program.store.transaction() as tx:
        before = {(each.kind, each.about): each for each in rows.standing(tx)}
        for name in before.keys() - found.keys():
            rows.end(tx, before[name].number, now=now)
        for name, alarm in found.items():
            if name not in before:
                _raise(tx, alarm, now)
            elif before[name].sentence != alarm.sentence:
                rows.reword(tx, before[name].number, alarm.sentence)


def call(program: Program) -> None:
    """Calls a person for every standing alarm for which nobody was called yet."""
    if program.alarm is None:
        return
    with program.store.snapshot() as tx:
        due = rows.to_call(tx, now=program.clock(), limit=CALLS_A_ROUND)
    for each in due:
        _call(program, program.alarm, each)


def standing(tx: Connection, program: Program, *, now: datetime) -> Standing:
    """What the store says now, as far as it can alarm."""
    source = program.configuration.source.name
    compared = program.keeper.compare(tx)
    stopped = stops.all_standing(tx)
    live = deprovisions.live(tx)
    holds = tuple(each for each in stopped if each.kind is StopKind.HOLD)
    names = {host.id: host.asset_tag for host in hosts.all_hosts(tx)}
    return Standing(
        source=source,
        frozen_because=compared.because.value if compared.because is not None else "",
        silent_since=census.counted(tx, program, now=now).silent_since,
        clock_difference_seconds=_clock_difference(tx, source),
        newest_signed_at=log_rows.newest_at(tx),
        stops=stopped,
        waiting=tuple(_waiting(tx, row, names[row.host], holds) for row in live),
        open_notices=notices.all_notices(tx, is_open=True),
        failing=(*_failing_calls(tx), *_failing_quarantine(tx, live, now)),
    )


def _raise(tx: Connection, alarm: Alarm, now: datetime) -> None:
    rows.raise_alarm(
        tx,
        kind=alarm.kind,
        about=alarm.about,
        sentence=alarm.sentence,
        remedy=alarm.code,
        since=alarm.since,
        now=now,
    )
    logger.error("alarm", alarm=alarm.kind.value, about=alarm.about, sentence=alarm.sentence)
    if alarm.kind is AlarmKind.CUSTOMER_RETURNED_TOO_LATE:
        key = DeprovisionId.parse(alarm.about)
        notices.open_notice(tx, key, kind=NoticeKind.RETURNED_TOO_LATE, due_at=now, now=now)


def _call(program: Program, command: CommandTemplate, alarm: StoredAlarm) -> None:
    try:
        with program.store.transaction() as tx:
            again_at = program.clock() + pause_after(alarm.attempts + 1)
            rows.begin_call(tx, alarm, next_try_at=again_at)
        record = command.run(_values(alarm))
    except LostRace:
        return
    except (Refused, Unanswered) as failure:
        logger.error("nobody was called", alarm=alarm.kind.value, code=failure.code.value)
        with program.store.transaction() as tx:
            rows.call_failed(tx, alarm.number, code=failure.code)
        return
    with program.store.transaction() as tx:
        digest = hashlib.sha256(record).hexdigest()
        rows.called(tx, alarm.number, record_digest=digest, now=program.clock())


def _values(alarm: StoredAlarm) -> dict[str, str]:
    """What the command's placeholders stand for; a sentence may quote a stranger, so it is made printable."""
    printable = "".join(each if each.isprintable() else " " for each in alarm.sentence)
    return {
        "number": str(alarm.number),
        "kind": alarm.kind.value,
        "about": alarm.about,
        "sentence": printable,
        "since": time_text(alarm.since.replace(microsecond=0)),
        "remedy": Code[alarm.remedy].remedy,
    }


def _waiting(tx: Connection, row: Deprovision, asset_tag: str, standing_holds: tuple[Stop, ...]) -> Waiting:
    """`standing_holds`: of whatever scope; without any, nothing is looked up for them."""
    dwell = timedelta(seconds=row.dwell_seconds)
    covering = stops.standing(tx, row.host) if standing_holds else ()
    holds = [each for each in covering if each.kind is StopKind.HOLD]
    ends_at = gives_up_at(
        row.state,
        entered_at=row.entered_at,
        grace_until=row.grace_until,
        dwell=dwell,
        deadline_at=row.deadline_at,
    )
    return Waiting(
        deprovision=row.id,
        host=asset_tag,
        state=row.state,
        waits_since=waits_since(
            row.state, entered_at=row.entered_at, grace_until=row.grace_until, dwell=dwell
        ),
        gives_up_at=ends_at,
        deadline_at=held_until(row.state, ends_at, (hold.review_at for hold in holds)),
        reason=row.operator_reason or row.wait_reason or row.state.sentence,
        holds=tuple(hold.number for hold in holds),
        returned_at=_returned_at(tx, row),
    )


def _returned_at(tx: Connection, row: Deprovision) -> datetime | None:
    """When the source was seen to say that the customer stays, where an irreversible step had begun."""
    if row.state not in PAST_DISPATCH or row.tenancy is None:
        return None
    begun = [each for each in orders.of_deprovision(tx, row.id) if journal.acknowledgements(tx, each.id)]
    seen = observations.latest(tx, Question.SUBSCRIPTION, row.tenancy)
    if not begun or seen is None or seen.answered is None or seen.answered.answer not in STAYS:
        return None
    return seen.answered.answered_at


def _clock_difference(tx: Connection, source: str) -> int | None:
    seen = observations.latest(tx, Question.CENSUS, source)
    if seen is None or seen.answered is None:
        return None
    difference: int | None = (seen.answered.detail or {}).get("difference_seconds")
    return difference


def _failing_calls(tx: Connection) -> tuple[Failing, ...]:
    """The [alarm] command itself: nobody may ever be called, so at least `status` says so."""
    tried = [each for each in rows.standing(tx) if each.called_at is None and each.attempts >= FAILURES]
    if not tried:
        return ()
    since = min(each.raised_at for each in tried)
    return (Failing(name="alarm", since=since, code=tried[0].last_code or "no end was seen"),)


def _failing_quarantine(tx: Connection, live: tuple[Deprovision, ...], now: datetime) -> tuple[Failing, ...]:
    """The read-back of a host that waits for it; during grace nobody does."""
    for row in (each for each in live if each.grace_until <= now):
        seen = observations.latest(tx, Question.ISOLATION, row.host)
        if seen is None or seen.answered is None:
            continue
        if (seen.answered.detail or {}).get("code") == Code.COMMAND_FAILED.value:
            return (Failing(name="quarantine", since=seen.answered.asked_at, code=Code.COMMAND_FAILED.value),)
    return ()
