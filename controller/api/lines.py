"""Rows as one line each: what lists show of hosts and deprovisions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from controller.api.documents import AlarmLine, DeprovisionLine, HostLine, ObservationLine
from controller.deadlines import gives_up_at, held_until
from controller.errors import Code
from controller.records.names import join_address
from controller.store import hosts, stops
from controller.store.alarms import StoredAlarm
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Host
from controller.store.observations import StoredObservation
from controller.store.stops import StopKind


def whole_seconds(instant: datetime) -> datetime:
    """Cut, never rounded up: nothing is shown as later than it was."""
    return instant.replace(microsecond=0)


def deprovision_line(tx: Connection, row: Deprovision, asset_tag: str) -> DeprovisionLine:
    deadline_at = _deadline(tx, row)
    return DeprovisionLine(
        deprovision=row.id,
        host=asset_tag,
        state=row.state.value,
        sentence=row.state.sentence,
        trigger=row.trigger.value,
        attempt=row.attempt,
        scheduled_at=whole_seconds(row.created_at),
        changed_at=whole_seconds(row.entered_at),
        waits_for=row.operator_reason or row.wait_reason,
        next_due_at=None if row.next_due_at is None else whole_seconds(row.next_due_at),
        deadline_at=None if deadline_at is None else whole_seconds(deadline_at),
    )


def alarm_line(stored: StoredAlarm, *, now: datetime) -> AlarmLine:
    return AlarmLine(
        kind=stored.kind.value,
        about=stored.about,
        sentence=stored.sentence,
        code=stored.remedy,
        remedy=Code[stored.remedy].remedy,
        since=whole_seconds(stored.since),
        age_seconds=max(0, int((now - stored.since).total_seconds())),
        called_at=None if stored.called_at is None else whole_seconds(stored.called_at),
    )


def _deadline(tx: Connection, row: Deprovision) -> datetime | None:
    if row.state.is_terminal:
        return None
    ends_at = gives_up_at(
        row.state,
        entered_at=row.entered_at,
        grace_until=row.grace_until,
        dwell=timedelta(seconds=row.dwell_seconds),
        deadline_at=row.deadline_at,
    )
    holds = (each for each in stops.standing(tx, row.host) if each.kind is StopKind.HOLD)
    return held_until(row.state, ends_at, (hold.review_at for hold in holds))


def host_line(tx: Connection, host: Host) -> HostLine:
    return HostLine(
        host=host.id,
        asset_tag=host.asset_tag,
        site=host.site,
        rack=host.rack,
        data_class=host.data_class,
        disposition=host.disposition.value,
        address=join_address(host.address, host.port),
        drive_count=len(hosts.drives_of(tx, host.id)),
    )


def observation_line(stored: StoredObservation) -> ObservationLine:
    return ObservationLine(
        sequence=stored.sequence,
        question=stored.question.value,
        answer=stored.answer,
        asked_at=whole_seconds(stored.asked_at),
        answered_at=None if stored.answered_at is None else whole_seconds(stored.answered_at),
        answer_digest=stored.raw_digest,
    )
