"""What is on a drive that leaves its host, and whether it may leave now.

Rules: no drive leaves or joins a host while an order for it may still act, or its papers are not finished;
every tenancy that began on the host may have written to it, unless the host was released from that tenancy
since: only a release means that all of its media were erased. Whose data it may hold is asked anew at every
reading, because a tenancy may be learnt after the drive left; what was registered then only adds to it. A
drive that a tenancy touched is an open exception until an accepted, logged outcome of the last of them says
that this very medium was erased, or two operators attest that it was destroyed; so is a drive of a host that
may have been let, to nobody knows whom.

A deprovision answers for every drive that left its host with its tenancy's data, and for every one that left
while it ran, whoever's data was on it: the summary of its host names each of them once (decisions/0010).
One about no tenancy answers for the drives that left before it and hold data of nobody knows whom, too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from certificate import departures as certificate_departures
from certificate.errors import Refused
from certificate.identifiers import HostId, TenancyId
from certificate.statements import Outcome
from certificate.statements import statement as statements
from certificate.statements.outcome import Claim
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Result, WhatBecame
from controller.certify import Departed
from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DRIFT
from controller.errors import Code
from controller.facts import Disposition
from controller.states import State
from controller.store import (
    departures,
    deprovisions,
    destructions,
    hosts,
    journal,
    orders,
    outcomes,
    tenancies,
)
from controller.store.departures import Departure
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Drive, DriveBasis
from controller.store.outcomes import StoredOutcome

#: Signed, on its way, or not all of its papers signed.
_IN_ORDER = frozenset({State.INTENDED, State.ERASING, State.VERIFIED, State.VALIDATED, State.CERTIFIED})
#: What operators declare of a host that no customer had; any other may have been let before we learnt of it.
_NEVER_LET = frozenset({Disposition.STOCK, Disposition.INTERNAL})


class Standing(StrEnum):
    """What is known of a drive that left."""

    #: Two operators attest it (`store.destructions`).
    DESTROYED = "destroyed"
    #: It left unerased, or nobody knows whose data it holds, and nobody recorded what became of it.
    OPEN = "open"
    ERASED = "erased"
    #: Its host was never let, or every tenancy of it was released before the drive left.
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
    """Tenancies, of those known, whose data may have stood on the host's drives at `now`, oldest first."""
    return tuple(
        tenancy.id
        for tenancy in tenancies.of_host(tx, host_id)
        if tenancy.starts_at <= now and not _is_emptied(tx, tenancy.id, before=now)
    )


def _is_emptied(tx: Connection, tenancy: TenancyId, *, before: datetime) -> bool:
    """A release after the drive left erased what was in the host then, and not this drive."""
    ended = deprovisions.of_tenancy(tx, tenancy)
    return any(row.state is State.RELEASED and row.entered_at < before for row in ended)


def attributed(tx: Connection, departure: Departure) -> Departure:
    """The departure with every tenancy whose data may be on the drive, as far as is known now."""
    host = departure.drive.host
    touched = {*departure.tenancies, *touched_by(tx, host, now=departure.left_at)}
    known = tuple(tenancy.id for tenancy in tenancies.of_host(tx, host) if tenancy.id in touched)
    return replace(departure, tenancies=known)


def _is_unattributed(tx: Connection, departure: Departure) -> bool:
    """The host may have been let, and no tenancy is known that began before the drive left."""
    host = hosts.load(tx, departure.drive.host)
    began = any(tenancy.starts_at <= departure.left_at for tenancy in tenancies.of_host(tx, host.id))
    return host.disposition not in _NEVER_LET and not began and not departure.tenancies


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
    if destructions.of_drive(tx, departure.drive.id) is not None:
        return Standing.DESTROYED
    if _is_unattributed(tx, departure):
        return Standing.OPEN
    touched = attributed(tx, departure).tenancies
    if not touched:
        return Standing.UNTOUCHED
    return Standing.ERASED if is_erased(tx, departure.drive, touched) else Standing.OPEN


def departed(tx: Connection, row: Deprovision, *, besides: set[str]) -> tuple[Departed, ...]:
    """The drives that left and for which this deprovision answers, without the media named in `besides`."""
    return tuple(
        _departed(tx, row, departure)
        for departure in departures.all_departures(tx)
        if departure.drive.commitment not in besides and _answers_for(tx, row, departure)
    )


def deprovision_of(tx: Connection, departure: Departure) -> Deprovision | None:
    """The newest deprovision that answers for this drive; None where none was begun or all were cancelled."""
    answering = [
        row
        for row in deprovisions.of_host(tx, departure.drive.host)
        if row.state is not State.CANCELLED and _answers_for(tx, row, departure)
    ]
    return answering[-1] if answering else None


def _answers_for(tx: Connection, row: Deprovision, departure: Departure) -> bool:
    if departure.drive.host != row.host:
        return False
    has_ended = row.state.is_terminal and row.entered_at < departure.left_at
    left_meanwhile = row.created_at <= departure.left_at and not has_ended
    if left_meanwhile:
        return True
    if row.tenancy is None:
        return departure.left_at < row.created_at and _is_unattributed(tx, departure)
    return row.tenancy in attributed(tx, departure).tenancies


def _departed(tx: Connection, row: Deprovision, departure: Departure) -> Departed:
    issued = [each for each in outcomes.of_drive(tx, departure.drive.commitment) if each.is_issued]
    newest = issued[-1] if issued else None
    destroyed = destructions.of_drive(tx, departure.drive.id)
    if destroyed is not None and (attested := outcomes.load(tx, destroyed.outcome)).is_issued:
        return _entry(departure, WhatBecame.DESTROYED, attested, _claim(attested))
    is_ours = newest is not None and newest.deprovision == row.id
    if newest is not None and newest.result is Result.ERASED and (is_ours or _was_erased(tx, departure)):
        return _entry(departure, WhatBecame.REMOVED, newest, _claim(newest))
    tried = newest if is_ours else None
    return _entry(
        departure, WhatBecame.OPEN_EXCEPTION, tried, certificate_departures.claim_of_open_exception()
    )


def _was_erased(tx: Connection, departure: Departure) -> bool:
    return is_erased(tx, departure.drive, attributed(tx, departure).tenancies)


def _entry(departure: Departure, became: WhatBecame, outcome: StoredOutcome | None, claim: Claim) -> Departed:
    return Departed(
        entry=MediumSummary(
            commitment=departure.drive.commitment,
            became=became,
            outcome_digest="not_applicable" if outcome is None else outcome.payload_digest,
            decision_digest=departure.decisions[0],
        ),
        claim=claim,
    )


def _claim(outcome: StoredOutcome) -> Claim:
    return statements.read(outcome.payload, Outcome).predicate.claim
