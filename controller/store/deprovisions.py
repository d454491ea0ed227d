"""Deprovisions: one row a host leaving a tenancy, its state, its lease and its fence.

Rules: at most one live deprovision a host (a partial unique index); every change names the state and the
fence it believes in and raises LostRace otherwise; a claim takes a new fence, so that whoever held the row
before loses every later change; a move is in `states.TRANSITIONS` and writes its ledger event in the same
transaction; a wait has its reason. Policy, grace and dwell are pinned when the row is made.

On SQLite writers stand in line; elsewhere `confirm` locks the row that a decision rests on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId, TenancyId
from certificate.statements.vocabulary import Trigger
from controller.errors import Code, LostRace
from controller.states import State, may_move
from controller.store import hosts, identity, ledger, tenancies
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, digest_column, one_of
from controller.store.events import DeprovisionScheduled, StateMoved

deprovision = Table(
    "deprovision",
    METADATA,
    Column("id", IdentifierType(DeprovisionId), primary_key=True),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), nullable=False),
    Column("tenancy", IdentifierType(TenancyId), ForeignKey(tenancies.tenancy.c.id), nullable=True),
    Column("trigger", one_of(Trigger, "trigger"), nullable=False),
    Column("data_class", String(120), nullable=False),
    Column("policy_version", Integer, nullable=False),
    digest_column("policy_digest"),
    Column("state", one_of(State, "state"), nullable=False),
    Column("previous_state", one_of(State, "previous_state"), nullable=True),
    Column("attempt", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_owner", String(120), nullable=True),
    Column("lease_until", UtcDateTime, nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("entered_at", UtcDateTime, nullable=False),
    Column("grace_until", UtcDateTime, nullable=False),
    Column("dwell_seconds", Integer, nullable=False),
    Column("next_due_at", UtcDateTime, nullable=True),
    Column("deadline_at", UtcDateTime, nullable=True),
    Column("wait_reason", Text, nullable=True),
    Column("operator_code", String(60), nullable=True),
    Column("operator_reason", Text, nullable=True),
    CheckConstraint("attempt >= 1", name="attempt_from_one"),
    Index("ix_deprovision_next_due_at", "next_due_at"),
)

#: Spelled out for the index's WHERE clause, which cannot hold parameters.
IS_LIVE = deprovision.c.state.not_in([state for state in State if state.is_terminal])
Index(
    "uq_deprovision_live_host",
    deprovision.c.host,
    unique=True,
    sqlite_where=IS_LIVE,
    postgresql_where=IS_LIVE,
)


@dataclass(frozen=True, kw_only=True)
class Deprovision:
    """One host leaving one tenancy."""

    id: DeprovisionId
    host: HostId
    #: None for a manual wipe of a host that never had one.
    tenancy: TenancyId | None
    trigger: Trigger
    data_class: str
    #: The policy as it was when the row was made.
    policy_version: int
    policy_digest: str
    state: State
    #: The state before this one; None at first. Where `needs_operator` was entered from.
    previous_state: State | None
    #: From 1; one more with each `retry` by a person.
    attempt: int
    #: Of the newest claim; 0 before the first.
    fence: int
    #: Whoever may change the row until `lease_until`; a later claim has a higher fence.
    lease_owner: str | None
    lease_until: datetime | None
    created_at: datetime
    #: When the present state was entered.
    entered_at: datetime
    grace_until: datetime
    #: How long the host stays quarantined before it is booted.
    dwell_seconds: int
    #: When to look again; None where only a command leads on.
    next_due_at: datetime | None
    #: When the present state gives up; None where it never does.
    deadline_at: datetime | None
    #: What it waits for, for people.
    wait_reason: str | None
    #: Why a person is needed: code and sentence; None outside `needs_operator`.
    operator_code: str | None
    operator_reason: str | None


@dataclass(frozen=True, kw_only=True)
class Move:
    """What a move changes besides the state. Times None: the new state has none."""

    new: State
    next_due_at: datetime | None
    deadline_at: datetime | None = None
    #: Given exactly where `new` is needs_operator.
    because: Refused | None = None
    #: A person's command in the ledger (`states.Transition.is_command`).
    is_command: bool = False
    #: `retry`: the next attempt begins.
    begins_attempt: bool = False


def schedule(
    tx: Connection,
    *,
    id: DeprovisionId,
    host_id: HostId,
    tenancy_id: TenancyId | None,
    trigger: Trigger,
    data_class: str,
    policy_version: int,
    policy_digest: str,
    grace_until: datetime,
    dwell_seconds: int,
    now: datetime,
) -> Deprovision:
    """A new deprovision, due at once. Raises Refused(DEPROVISION_IS_LIVE) while the host has a live one."""
    if (live := live_of_host(tx, host_id)) is not None:
        raise Refused(Code.DEPROVISION_IS_LIVE, f"{live.id} of this host is {live.state}")
    values = {
        "id": id,
        "host": host_id,
        "tenancy": tenancy_id,
        "trigger": trigger,
        "data_class": data_class,
        "policy_version": policy_version,
        "policy_digest": policy_digest,
        "grace_until": grace_until,
        "dwell_seconds": dwell_seconds,
    }
    _insert_scheduled(tx, values, now)
    _tell_scheduled(tx, values, now)
    return load(tx, id)


def load(tx: Connection, key: DeprovisionId) -> Deprovision:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(deprovision).where(deprovision.c.id == key)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no deprovision is called {key}")
    return _row(row)


def live_of_host(tx: Connection, host_id: HostId) -> Deprovision | None:
    """The one that is not over, if any."""
    query = select(deprovision).where((deprovision.c.host == host_id) & IS_LIVE)
    row = tx.execute(query).one_or_none()
    return None if row is None else _row(row)


def of_host(tx: Connection, host_id: HostId) -> tuple[Deprovision, ...]:
    """All of the host, oldest first."""
    return tuple(_listed(tx, deprovision.c.host == host_id))


def of_tenancy(tx: Connection, tenancy_id: TenancyId) -> tuple[Deprovision, ...]:
    """All of the tenancy, oldest first: with one that is not `cancelled` the tenancy is being ended."""
    return tuple(_listed(tx, deprovision.c.tenancy == tenancy_id))


def live(tx: Connection) -> tuple[Deprovision, ...]:
    """All that are not over, oldest first."""
    return tuple(_listed(tx, IS_LIVE))


def all_deprovisions(tx: Connection) -> tuple[Deprovision, ...]:
    """Every one, oldest first."""
    return tuple(_listed(tx, None))


def ended_since(tx: Connection, begin: datetime, *, until: datetime | None = None) -> int:
    """How many were scheduled because a tenancy ended, at or after `begin` and, where named, before
    `until`.
    """
    within = deprovision.c.created_at >= begin
    if until is not None:
        within &= deprovision.c.created_at < until
    ended = within & (deprovision.c.trigger == Trigger.ENDED)
    return tx.scalar(select(func.count()).select_from(deprovision).where(ended)) or 0


def due(tx: Connection, *, now: datetime, limit: int) -> tuple[DeprovisionId, ...]:
    """Live, due, and under nobody's lease; longest due first."""
    query = (
        select(deprovision.c.id)
        .where(IS_LIVE, deprovision.c.next_due_at <= now, _is_unleased(now))
        .order_by(deprovision.c.next_due_at, deprovision.c.id)
        .limit(limit)
    )
    return tuple(tx.scalars(query))


def next_due_at(tx: Connection, *, after: datetime | None = None) -> datetime | None:
    """The earliest instant, later than `after` where one is given, at which any live one is due; None where
    none is.
    """
    query = select(deprovision.c.next_due_at).where(IS_LIVE, deprovision.c.next_due_at.is_not(None))
    if after is not None:
        query = query.where(deprovision.c.next_due_at > after)
    earliest: datetime | None = tx.scalar(query.order_by(deprovision.c.next_due_at).limit(1))
    return earliest


def claim(tx: Connection, key: DeprovisionId, *, owner: str, now: datetime, lease: timedelta) -> Deprovision:
    """Takes the row for `owner` (unique to a worker and its run) under a new fence.

    Raises LostRace while another owner's lease runs. The same owner may claim again; its former fence is
    void.
    """
    mine = or_(_is_unleased(now), deprovision.c.lease_owner == owner)
    fence = identity.next_fence(tx)
    taken = update(deprovision).where((deprovision.c.id == key) & mine)
    if tx.execute(taken.values(fence=fence, lease_owner=owner, lease_until=now + lease)).rowcount != 1:
        raise LostRace(key, "unclaimed", fence)
    return load(tx, key)


def heartbeat(
    tx: Connection, key: DeprovisionId, *, fence: int, now: datetime, lease: timedelta
) -> Deprovision:
    """Lengthens the lease. Raises LostRace once somebody else claimed the row or the lease ran out: then stop
    issuing, and let running work run.
    """
    believed = (deprovision.c.id == key) & (deprovision.c.fence == fence) & (deprovision.c.lease_until > now)
    _changed(tx, believed, {"lease_until": now + lease}, LostRace(key, "leased", fence))
    return load(tx, key)


def release_lease(tx: Connection, key: DeprovisionId, *, fence: int) -> None:
    """Gives the row back. Raises LostRace when it is no longer ours."""
    believed = (deprovision.c.id == key) & (deprovision.c.fence == fence)
    _changed(tx, believed, {"lease_owner": None, "lease_until": None}, LostRace(key, "leased", fence))


def end_all_leases(tx: Connection) -> int:
    """At the start of the only process (it holds the home's lock): whoever held a lease is dead. Their fences
    stay spent. Returns how many were ended.
    """
    held = update(deprovision).where(deprovision.c.lease_until.is_not(None))
    return tx.execute(held.values(lease_owner=None, lease_until=None)).rowcount


def confirm(tx: Connection, key: DeprovisionId, *, state: State, fence: int) -> Deprovision:
    """The row, if it is still in `state` under `fence`; nobody changes it before this transaction ends.
    Raises LostRace.
    """
    believed = _believed(key, state, fence)
    _changed(tx, believed, {"fence": fence}, LostRace(key, state, fence))
    return load(tx, key)


def move(
    tx: Connection, key: DeprovisionId, *, old: State, fence: int, move: Move, now: datetime
) -> Deprovision:
    """The one way to another state. Raises LostRace, or ValueError for a move that does not exist.

    Each state is entered later than the one before, also where the clock was set back in between: by that an
    order which is only asked about again is told from one that was just dispatched.
    """
    if not may_move(old, move.new, is_command=move.is_command):
        raise ValueError(f"no move leads from {old} to {move.new}")
    if (move.because is None) == (move.new is State.NEEDS_OPERATOR):
        raise ValueError("a reason is given exactly where a person is needed")
    before = load(tx, key)
    attempt = before.attempt + 1 if move.begins_attempt else before.attempt
    code = None if move.because is None else move.because.code
    values = {
        "state": move.new,
        "previous_state": old,
        "attempt": attempt,
        "entered_at": max(now, before.entered_at + timedelta(microseconds=1)),
        "next_due_at": move.next_due_at,
        "deadline_at": move.deadline_at,
        "wait_reason": None,
        "operator_code": None if code is None else code.value,
        "operator_reason": None if move.because is None else move.because.reason,
    }
    believed = _believed(key, old, fence) & (deprovision.c.attempt == before.attempt)
    _changed(tx, believed, values, LostRace(key, old, fence))
    moved = StateMoved(deprovision=key, old=old, new=move.new, attempt=attempt, fence=fence, reason=code)
    ledger.append(tx, moved, now=now)
    return load(tx, key)


def wait(
    tx: Connection,
    key: DeprovisionId,
    *,
    state: State,
    fence: int,
    reason: str,
    next_due_at: datetime | None,
) -> None:
    """Why nothing moves, for people, and when to look again. Raises LostRace."""
    values = {"wait_reason": reason, "next_due_at": next_due_at}
    _changed(tx, _believed(key, state, fence), values, LostRace(key, state, fence))


def wake(tx: Connection, key: DeprovisionId, *, now: datetime) -> None:
    """Makes it due now, whoever holds it: a hint came, a command was given. Needs no fence: it decides
    nothing.
    """
    tx.execute(update(deprovision).where((deprovision.c.id == key) & IS_LIVE).values(next_due_at=now))


def _insert_scheduled(tx: Connection, values: dict[str, Any], now: datetime) -> None:
    at_first = {"state": State.SCHEDULED, "attempt": 1, "fence": 0}
    times = {"created_at": now, "entered_at": now, "next_due_at": now}
    try:
        with tx.begin_nested():
            tx.execute(insert(deprovision).values(values | at_first | times))
    except IntegrityError:
        reason = f"{values['host']} has a live deprovision, or is not on record"
        raise Refused(Code.DEPROVISION_IS_LIVE, reason) from None


def _tell_scheduled(tx: Connection, values: dict[str, Any], now: datetime) -> None:
    event = DeprovisionScheduled(
        deprovision=values["id"],
        host=values["host"],
        tenancy=values["tenancy"],
        trigger=values["trigger"],
        state=State.SCHEDULED,
        attempt=1,
    )
    ledger.append(tx, event, now=now)


def _believed(key: DeprovisionId, state: State, fence: int) -> ColumnElement[bool]:
    return (deprovision.c.id == key) & (deprovision.c.state == state) & (deprovision.c.fence == fence)


def _is_unleased(now: datetime) -> ColumnElement[bool]:
    return or_(deprovision.c.lease_until.is_(None), deprovision.c.lease_until <= now)


def _changed(tx: Connection, believed: ColumnElement[bool], values: dict[str, Any], lost: LostRace) -> None:
    if tx.execute(update(deprovision).where(believed).values(values)).rowcount != 1:
        raise lost


def _listed(tx: Connection, condition: ColumnElement[bool] | None) -> Iterator[Deprovision]:
    query = select(deprovision).order_by(deprovision.c.created_at, deprovision.c.id)
    return map(_row, tx.execute(query if condition is None else query.where(condition)))


def _row(row: Row[Any]) -> Deprovision:
    return Deprovision(**row._mapping)
