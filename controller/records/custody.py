"""What is on a drive that leaves its host, and whether it may leave now.

Rules: no drive leaves or joins a host while an order for it may still act, or its papers are not finished;
every tenancy that began on the host may have written to it, unless the host was released from that tenancy
since: only a release means that all of its media were erased. A drive that a tenancy touched is an open
exception until an accepted, logged outcome of the last of them says that this very medium was erased.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import HostId, TenancyId
from certificate.statements.vocabulary import Result
from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DRIFT
from controller.errors import Code
from controller.facts import Disposition
from controller.states import State
from controller.store import deprovisions, hosts, journal, orders, outcomes, tenancies
from controller.store.departures import Departure
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Drive, DriveBasis

#: Signed, on its way, or not all of its papers signed.
_IN_ORDER = frozenset({State.INTENDED, State.ERASING, State.VERIFIED, State.VALIDATED, State.CERTIFIED})


class Standing(StrEnum):
    """What is known of a drive that left."""

    #: It left unerased, and nobody recorded what became of it.
    OPEN = "open"
    ERASED = "erased"
    #: No tenancy is known to have touched it.
    UNTOUCHED = "untouched"


def require_no_order(tx: Connection, host_id: HostId, *, now: datetime) -> None:
    """Raises Refused(DRIVE_IN_ORDER)."""
    live = deprovisions.live_of_host(tx, host_id)
    if live is None:
        return
    if live.state in _IN_ORDER or _may_still_act(tx, live, now):
        raise Refused(Code.DRIVE_IN_ORDER, f"{live.id} is {live.state}")


def _may_still_act(tx: Connection, row: Deprovision, now: datetime) -> bool:
    """An order was sent, and the agent's last permission has not died (DESIGN, rule 4)."""
    if not any(order.answer is None for order in orders.dispatched_without_absence(tx, row.id)):
        return False
    granted_at = journal.last_granted_at(tx, row.id)
    return granted_at is not None and now <= granted_at + ACKNOWLEDGEMENT_LIFE + DRIFT + timedelta(seconds=1)


def touched_by(tx: Connection, host_id: HostId, *, now: datetime) -> tuple[TenancyId, ...]:
    """Tenancies whose data may stand on the host's drives, oldest first."""
    return tuple(
        tenancy.id
        for tenancy in tenancies.of_host(tx, host_id)
        if tenancy.starts_at <= now and not _is_emptied(tx, tenancy.id)
    )


def _is_emptied(tx: Connection, tenancy: TenancyId) -> bool:
    return any(row.state is State.RELEASED for row in deprovisions.of_tenancy(tx, tenancy))


def basis_of_a_find(tx: Connection, host_id: HostId) -> DriveBasis:
    """On which basis a drive found in this host now goes on record."""
    was_let = bool(tenancies.of_host(tx, host_id))
    is_let_by_word = hosts.load(tx, host_id).disposition is Disposition.RENTED
    return DriveBasis.OBSERVED_DURING_TENANCY if was_let or is_let_by_word else DriveBasis.INTAKE


def is_erased(tx: Connection, drive: Drive, touched: tuple[TenancyId, ...]) -> bool:
    """Whether the newest logged outcome over this medium, under the tenancy that touched it last, says so.
    An erasure from before that tenancy says nothing.
    """
    issued = [
        outcome
        for row in (deprovisions.of_tenancy(tx, touched[-1]) if touched else ())
        for outcome in outcomes.of_deprovision(tx, row.id)
        if outcome.medium == drive.commitment and outcome.is_issued
    ]
    newest = max(issued, key=lambda outcome: outcome.issuer_seq, default=None)
    return newest is not None and newest.result is Result.ERASED


def standing(tx: Connection, departure: Departure) -> Standing:
    """What is known of this departure now."""
    if not departure.tenancies:
        return Standing.UNTOUCHED
    return Standing.ERASED if is_erased(tx, departure.drive, departure.tenancies) else Standing.OPEN
