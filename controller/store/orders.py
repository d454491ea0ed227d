"""Orders: an order is a row, a ledger event and a log entry before it is a command.

Rules (DESIGN.md, rules 3 and 4): one order an attempt that was not withdrawn; token and fence are never used
twice; an order goes intended -> dispatched -> answered, or intended -> withdrawn, each once, each naming the
state before; a dispatched order is never withdrawn. A withdrawal is itself logged. An absence is the agent's
signed, final word that the order was not begun; it is stored whole. What is signed here was signed outside;
whether it may be is the guards'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    String,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from certificate.envelope import Envelope
from certificate.errors import RefusalCode, Refused
from certificate.identifiers import DeprovisionId, HostId, OrderId
from certificate.log.entry import LogKind
from controller.errors import Code, LostRace
from controller.states import State
from controller.store import deprovisions, hosts, ledger, log_rows, observations
from controller.store.append_only import refuse_changes
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, digest_column, one_of
from controller.store.events import OrderAnswered, OrderDispatched, OrderIntended, OrderWithdrawn


class OrderState(StrEnum):
    #: Signed and logged; still cancellable.
    INTENDED = "intended"
    #: The point of no return: bytes may have been sent.
    DISPATCHED = "dispatched"
    #: Logged as never to be dispatched.
    WITHDRAWN = "withdrawn"
    #: The agent said its last word on it.
    ANSWERED = "answered"


class FinalAnswer(StrEnum):
    """An agent's last word."""

    #: Signed evidence came.
    DONE = "done"
    #: It was not begun and, its token being poisoned, never will be.
    ABSENT = "absent"


order = Table(
    "erase_order",
    METADATA,
    Column("id", IdentifierType(OrderId), primary_key=True),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
    ),
    Column("attempt", Integer, nullable=False),
    Column("token", String(32), nullable=False, unique=True),
    Column("fence", BigInteger, nullable=False, unique=True),
    digest_column("plan_digest"),
    digest_column("boot_id"),
    Column("hello_nonce", String(64), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    digest_column("payload_digest", unique=True),
    Column("log_seq", BigInteger, ForeignKey(log_rows.log_entry.c.seq), nullable=False, unique=True),
    Column("state", one_of(OrderState, "state"), nullable=False),
    Column("intended_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("dispatched_at", UtcDateTime, nullable=True),
    Column("withdrawn_at", UtcDateTime, nullable=True),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("answer", one_of(FinalAnswer, "answer"), nullable=True),
)

_STANDS = order.c.state != OrderState.WITHDRAWN
Index(
    "uq_erase_order_attempt",
    order.c.deprovision,
    order.c.attempt,
    unique=True,
    sqlite_where=_STANDS,
    postgresql_where=_STANDS,
)

withdrawal = Table(
    "withdrawal",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(order.c.id), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    digest_column("payload_digest"),
    Column("log_seq", BigInteger, ForeignKey(log_rows.log_entry.c.seq), nullable=False, unique=True),
    Column("reason", String(60), nullable=False),
)

#: Where and whose the host was when its order was dispatched: caps count by it, whatever is on record later.
dispatch_place = Table(
    "dispatch_place",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(order.c.id), primary_key=True),
    Column("site", String(120), nullable=False),
    Column("rack", String(120), nullable=False),
    digest_column("customer_ref", nullable=True),
)
refuse_changes(dispatch_place)

absence = Table(
    "absence",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(order.c.id), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    digest_column("payload_digest"),
    Column("received_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class StoredOrder:
    """One permission to destroy."""

    id: OrderId
    deprovision: DeprovisionId
    attempt: int
    #: 32 hexadecimal digits; the agent executes it at most once.
    token: str
    #: Its own, above every fence before.
    fence: int
    plan_digest: str
    boot_id: str
    hello_nonce: str
    #: The signed envelope's file bytes, exactly as they travel.
    envelope: bytes
    #: SHA-256 of the payload, hexadecimal.
    payload_digest: str
    #: Its place in the log.
    log_seq: int
    state: OrderState
    intended_at: datetime
    #: When the agent will refuse it, by our clock: the hello's instant and `valid_for_s`.
    expires_at: datetime
    dispatched_at: datetime | None
    withdrawn_at: datetime | None
    answered_at: datetime | None
    #: None until the agent's last word.
    answer: FinalAnswer | None


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """An order that was signed outside and is not stored yet."""

    id: OrderId
    deprovision: DeprovisionId
    attempt: int
    token: str
    #: From `identity.next_fence`.
    fence: int
    plan_digest: str
    boot_id: str
    hello_nonce: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a cap counts by: a site, a rack of a site, or (without a site) a customer, None for nobody's."""

    site: str | None = None
    rack: str | None = None
    customer_ref: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredWithdrawal:
    erase_order: OrderId
    envelope: bytes
    payload_digest: str
    log_seq: int
    #: A code.
    reason: str


@dataclass(frozen=True, kw_only=True)
class StoredAbsence:
    erase_order: OrderId
    envelope: bytes
    payload_digest: str
    received_at: datetime


def intend(tx: Connection, new: NewOrder, *, envelope: Envelope, now: datetime) -> StoredOrder:
    """Row, ledger event and log entry in one. The move to `intended` belongs into the same transaction.

    Raises LostRace when this attempt has an order that stands, or a token or fence is taken.
    """
    fields = {name: getattr(new, name) for name in NewOrder.__dataclass_fields__}
    entry = log_rows.append_entry(
        tx, envelope=envelope, kind=LogKind.ORDER, now=now, deprovision=new.deprovision
    )
    row = insert(order).values(
        **fields,
        envelope=envelope.write(),
        payload_digest=envelope.payload_digest,
        log_seq=entry.seq,
        state=OrderState.INTENDED,
        intended_at=observations.stamp(tx, now),
    )
    try:
        tx.execute(row)
    except IntegrityError:
        # Not caught in a savepoint: the log entry above must go as well, so the whole transaction fails.
        raise LostRace(new.deprovision, "without an order", new.fence) from None
    intended = OrderIntended(
        deprovision=new.deprovision,
        order=new.id,
        attempt=new.attempt,
        fence=new.fence,
        payload_digest=envelope.payload_digest,
        plan_digest=new.plan_digest,
    )
    ledger.append(tx, intended, now=now)
    return load(tx, new.id)


def dispatch(tx: Connection, key: OrderId, *, now: datetime) -> StoredOrder:
    """The point of no return, committed before the first byte is sent and with the move to `erasing`. Raises
    LostRace unless the order is intended.
    """
    moved = _step(tx, key, OrderState.INTENDED, {"state": OrderState.DISPATCHED, "dispatched_at": now})
    host = hosts.load(tx, deprovisions.load(tx, moved.deprovision).host)
    place = {"site": host.site, "rack": host.rack, "customer_ref": host.customer_ref}
    tx.execute(insert(dispatch_place).values(erase_order=key, **place))
    ledger.append(tx, OrderDispatched(deprovision=moved.deprovision, order=key), now=now)
    return moved


def withdraw(
    tx: Connection, key: OrderId, *, envelope: Envelope, reason: RefusalCode, now: datetime
) -> StoredOrder:
    """The order will not be dispatched; says so in the log. Raises LostRace unless it is intended."""
    moved = _step(tx, key, OrderState.INTENDED, {"state": OrderState.WITHDRAWN, "withdrawn_at": now})
    entry = log_rows.append_entry(
        tx, envelope=envelope, kind=LogKind.WITHDRAWAL, now=now, deprovision=moved.deprovision
    )
    tx.execute(
        insert(withdrawal).values(
            erase_order=key,
            envelope=envelope.write(),
            payload_digest=envelope.payload_digest,
            log_seq=entry.seq,
            reason=reason.value,
        )
    )
    event = OrderWithdrawn(
        deprovision=moved.deprovision, order=key, reason=reason, payload_digest=envelope.payload_digest
    )
    ledger.append(tx, event, now=now)
    return moved


def answer_done(tx: Connection, key: OrderId, *, now: datetime) -> StoredOrder:
    """The agent's evidence is stored. Raises LostRace unless the order is dispatched."""
    return _answer(tx, key, FinalAnswer.DONE, None, now)


def answer_absent(tx: Connection, key: OrderId, *, envelope: Envelope, now: datetime) -> StoredOrder:
    """The agent's signed absence, checked by the caller. Raises LostRace unless the order is dispatched."""
    answered = _answer(tx, key, FinalAnswer.ABSENT, envelope.payload_digest, now)
    tx.execute(
        insert(absence).values(
            erase_order=key,
            envelope=envelope.write(),
            payload_digest=envelope.payload_digest,
            received_at=now,
        )
    )
    return answered


def load(tx: Connection, key: OrderId) -> StoredOrder:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(order).where(order.c.id == key)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no order is called {key}")
    return _order(row)


def by_token(tx: Connection, token: str) -> StoredOrder | None:
    row = tx.execute(select(order).where(order.c.token == token)).one_or_none()
    return None if row is None else _order(row)


def of_deprovision(tx: Connection, key: DeprovisionId) -> tuple[StoredOrder, ...]:
    """All of its orders in every attempt, in the order of their fences."""
    return _found(tx, order.c.deprovision == key)


def latest(tx: Connection, key: DeprovisionId, *, attempt: int) -> StoredOrder | None:
    """The newest order of this attempt, withdrawn or not; None before the first."""
    found = _found(tx, (order.c.deprovision == key) & (order.c.attempt == attempt))
    return found[-1] if found else None


def dispatched_without_absence(tx: Connection, key: DeprovisionId) -> tuple[StoredOrder, ...]:
    """Orders, in any attempt, that were sent and not answered by a final `absent`: while there is one,
    nothing is cancelled or restored.
    """
    sent = order.c.dispatched_at.is_not(None) & (
        order.c.answer.is_(None) | (order.c.answer != FinalAnswer.ABSENT)
    )
    return _found(tx, (order.c.deprovision == key) & sent)


def live_elsewhere(tx: Connection, host_id: HostId, *, besides: DeprovisionId) -> tuple[StoredOrder, ...]:
    """Orders of other deprovisions of this host that may still act: intended, or dispatched and unanswered,
    while their deprovision is not over.
    """
    others = select(deprovisions.deprovision.c.id).where(
        deprovisions.deprovision.c.host == host_id,
        deprovisions.deprovision.c.id != besides,
        deprovisions.deprovision.c.state.not_in([state for state in State if state.is_terminal]),
    )
    may_act = order.c.state.in_([OrderState.INTENDED, OrderState.DISPATCHED])
    return _found(tx, order.c.deprovision.in_(others) & may_act)


def of_unfinished(tx: Connection) -> tuple[StoredOrder, ...]:
    """Intended or ever dispatched orders whose deprovision is not over, in the order of their fences."""
    over = [state for state in State if state.is_terminal]
    unfinished = select(deprovisions.deprovision.c.id).where(deprovisions.deprovision.c.state.not_in(over))
    is_out = (order.c.state == OrderState.INTENDED) | order.c.dispatched_at.is_not(None)
    return _found(tx, order.c.deprovision.in_(unfinished) & is_out)


def dispatched_since(tx: Connection, since: datetime, *, place: Place | None = None) -> int:
    """How many orders were dispatched at or after `since`, everywhere or to hosts that were in one place
    then: for caps, taken in the transaction that dispatches.
    """
    query = select(func.count()).select_from(order).where(order.c.dispatched_at >= since)
    if place is not None:
        query = query.where(order.c.id.in_(_dispatched_to(place)))
    return tx.scalar(query) or 0


def hosts_dispatched_since(tx: Connection, since: datetime, *, besides: HostId) -> int:
    """How many different hosts, this one apart, an order was dispatched for at or after `since`."""
    row = deprovisions.deprovision
    query = (
        select(func.count(row.c.host.distinct()))
        .select_from(order.join(row, row.c.id == order.c.deprovision))
        .where(order.c.dispatched_at >= since, row.c.host != besides)
    )
    return tx.scalar(query) or 0


def erasing_count(tx: Connection, *, besides: DeprovisionId) -> int:
    """How many other deprovisions may be erasing now: past the point of no return and not yet judged, or with
    a person while the order of this attempt was dispatched and its agent has not said its last word.
    """
    row = deprovisions.deprovision.c
    may_still_run = (
        select(order.c.id)
        .where(order.c.deprovision == row.id, order.c.attempt == row.attempt)
        .where(order.c.state == OrderState.DISPATCHED)
        .exists()
    )
    counts = (row.state == State.ERASING) | ((row.state == State.NEEDS_OPERATOR) & may_still_run)
    query = select(func.count()).select_from(deprovisions.deprovision)
    return tx.scalar(query.where(counts, row.id != besides)) or 0


def withdrawal_of(tx: Connection, key: OrderId) -> StoredWithdrawal | None:
    row = tx.execute(select(withdrawal).where(withdrawal.c.erase_order == key)).one_or_none()
    return None if row is None else StoredWithdrawal(**row._mapping)


def absence_of(tx: Connection, key: OrderId) -> StoredAbsence | None:
    row = tx.execute(select(absence).where(absence.c.erase_order == key)).one_or_none()
    return None if row is None else StoredAbsence(**row._mapping)


def _dispatched_to(place: Place) -> Select[tuple[OrderId]]:
    row = dispatch_place.c
    found = select(row.erase_order)
    if place.site is None:
        return found.where(row.customer_ref.is_not_distinct_from(place.customer_ref))
    found = found.where(row.site == place.site)
    return found if place.rack is None else found.where(row.rack == place.rack)


def _answer(
    tx: Connection, key: OrderId, answer: FinalAnswer, absence_digest: str | None, now: datetime
) -> StoredOrder:
    values = {"state": OrderState.ANSWERED, "answer": answer, "answered_at": now}
    moved = _step(tx, key, OrderState.DISPATCHED, values)
    event = OrderAnswered(
        deprovision=moved.deprovision, order=key, answer=answer, absence_digest=absence_digest
    )
    ledger.append(tx, event, now=now)
    return moved


def _step(tx: Connection, key: OrderId, believed: OrderState, values: dict[str, Any]) -> StoredOrder:
    where = (order.c.id == key) & (order.c.state == believed)
    if tx.execute(update(order).where(where).values(values)).rowcount != 1:
        raise LostRace(key, believed, 0)
    return load(tx, key)


def _found(tx: Connection, condition: ColumnElement[bool]) -> tuple[StoredOrder, ...]:
    return tuple(_order(row) for row in tx.execute(select(order).where(condition).order_by(order.c.fence)))


def _order(row: Row[Any]) -> StoredOrder:
    return StoredOrder(**row._mapping)
