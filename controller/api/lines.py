"""Rows as one line each: what lists show of hosts and deprovisions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from controller.api.documents import DeprovisionLine, HostLine, ObservationLine
from controller.store import hosts
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Host
from controller.store.observations import StoredObservation


def whole_seconds(instant: datetime) -> datetime:
    """Cut, never rounded up: nothing is shown as later than it was."""
    return instant.replace(microsecond=0)


def deprovision_line(row: Deprovision, asset_tag: str) -> DeprovisionLine:
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
        deadline_at=None if row.deadline_at is None else whole_seconds(row.deadline_at),
    )


def host_line(tx: Connection, host: Host) -> HostLine:
    return HostLine(
        host=host.id,
        asset_tag=host.asset_tag,
        site=host.site,
        rack=host.rack,
        data_class=host.data_class,
        disposition=host.disposition.value,
        address=f"[{host.address}]:{host.port}" if ":" in host.address else f"{host.address}:{host.port}",
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
