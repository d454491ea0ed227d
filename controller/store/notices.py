"""Notices: an outbox of what people must be told of one deprovision, and how each was settled.

Rules: a notice is opened once a kind and deprovision, and settled once: by a delivery record, by a waiver
(two people's decisions, or the policy that says nobody is told), or because there is nobody to tell. Each try
is committed before it is made, with the instant of the next one, so that a crash in between may send twice
and never forgets: delivery is at-least-once. The record itself is private text; here stands its digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    Row,
    String,
    Table,
    UniqueConstraint,
    exists,
    insert,
    select,
    update,
)

from certificate.errors import RefusalCode, Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Code, LostRace
from controller.store import deprovisions, ledger
from controller.store.columns import (
    METADATA,
    CanonicalJson,
    IdentifierType,
    UtcDateTime,
    counted_key,
    digest_column,
    one_of,
)
from controller.store.events import NoticeOpened, NoticeSettled


class NoticeKind(StrEnum):
    """What is told."""

    #: The subscription ended, and when the host will be taken out of reach.
    ENDING_ANNOUNCED = "ending_announced"
    #: Grace is nearly over; the wipe follows the quarantine.
    WIPE_IMMINENT = "wipe_imminent"
    #: To operators: the customer stays after all, and the erasure had begun.
    RETURNED_TOO_LATE = "returned_too_late"


class Settled(StrEnum):
    DELIVERED = "delivered"
    WAIVED = "waived"
    #: The host was never let: there is nobody to tell.
    NOBODY = "nobody"


notice = Table(
    "notice",
    METADATA,
    counted_key("number"),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
    ),
    Column("kind", one_of(NoticeKind, "kind"), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", UtcDateTime, nullable=False),
    Column("last_code", String(60), nullable=True),
    Column("settled", one_of(Settled, "settled"), nullable=True),
    Column("settled_at", UtcDateTime, nullable=True),
    digest_column("record_digest", nullable=True),
    Column("waived_by", CanonicalJson, nullable=True),
    UniqueConstraint("deprovision", "kind"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to be told, and what became of it."""

    number: int
    deprovision: DeprovisionId
    kind: NoticeKind
    #: Not told before.
    due_at: datetime
    #: Tries begun, whether or not they ended.
    attempts: int
    next_try_at: datetime
    #: Why the last try failed; None where none did.
    last_code: str | None
    #: None while it is open.
    settled: Settled | None
    settled_at: datetime | None
    #: SHA-256 of what the command printed, or of the policy that waives it; None elsewhere.
    record_digest: str | None
    #: Digests of the decisions of those who waived it; empty elsewhere.
    waived_by: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        return self.settled is None

    @property
    def records(self) -> tuple[str, ...]:
        """The digests that an order names: of the delivery record, or of each waiver."""
        return self.waived_by or (() if self.record_digest is None else (self.record_digest,))


def open_notice(
    tx: Connection, key: DeprovisionId, *, kind: NoticeKind, due_at: datetime, now: datetime
) -> None:
    """Opens it unless it was opened before."""
    if tx.scalar(select(notice.c.number).where(notice.c.deprovision == key, notice.c.kind == kind)):
        return
    row = {"deprovision": key, "kind": kind, "due_at": due_at, "attempts": 0, "next_try_at": due_at}
    tx.execute(insert(notice).values(row))
    ledger.append(tx, NoticeOpened(deprovision=key, notice=kind), now=now)


def of_deprovision(tx: Connection, key: DeprovisionId) -> tuple[Notice, ...]:
    """All of it, in the order of their opening."""
    return _found(tx, notice.c.deprovision == key)


def all_notices(tx: Connection, *, is_open: bool) -> tuple[Notice, ...]:
    """Every notice, or those that are not settled."""
    return _found(tx, notice.c.settled.is_(None) if is_open else notice.c.number > 0)


def open_of_the_never_let(tx: Connection) -> tuple[Notice, ...]:
    """Open notices of deprovisions without a tenancy: there is nobody to tell."""
    row = deprovisions.deprovision
    return _found(
        tx,
        notice.c.settled.is_(None)
        & notice.c.deprovision.in_(select(row.c.id).where(row.c.tenancy.is_(None))),
    )


def due(tx: Connection, *, now: datetime, limit: int) -> tuple[Notice, ...]:
    """Open and to be tried now; those that failed least come first, so that one that always fails holds up
    no other.
    """
    query = (
        select(notice)
        .where(notice.c.settled.is_(None), notice.c.next_try_at <= now)
        .order_by(notice.c.attempts, notice.c.next_try_at, notice.c.number)
        .limit(limit)
    )
    return tuple(map(_notice, tx.execute(query)))


def without(tx: Connection) -> tuple[DeprovisionId, ...]:
    """Live deprovisions of which nothing was opened yet."""
    row = deprovisions.deprovision
    is_opened = exists().where(notice.c.deprovision == row.c.id)
    return tuple(tx.scalars(select(row.c.id).where(deprovisions.IS_LIVE, ~is_opened).order_by(row.c.id)))


def begin_try(tx: Connection, tried: Notice, *, next_try_at: datetime) -> None:
    """This try is ours; without news from it the next one is at `next_try_at`. Raises LostRace."""
    believed = (notice.c.number == tried.number) & (notice.c.attempts == tried.attempts)
    values = {"attempts": tried.attempts + 1, "next_try_at": next_try_at}
    _changed(tx, tried.number, believed & notice.c.settled.is_(None), values)


def failed(tx: Connection, number: int, *, code: RefusalCode) -> None:
    """The try that was begun last failed; it stays open. Raises LostRace once it is settled."""
    _changed(tx, number, _is_open(number), {"last_code": code.value})


def deliver(tx: Connection, number: int, *, record_digest: str, now: datetime) -> None:
    """Raises LostRace when it is settled already: then it was told twice, and once is recorded."""
    _settle(tx, number, Settled.DELIVERED, now, record_digest=record_digest)


def waive_by_policy(tx: Connection, number: int, *, policy_digest: str, now: datetime) -> None:
    """The policy says that nobody is told. Raises LostRace."""
    _settle(tx, number, Settled.WAIVED, now, record_digest=policy_digest)


def waive(tx: Connection, number: int, *, decisions: tuple[str, ...], now: datetime) -> None:
    """People waived it, by these decisions. Raises LostRace."""
    if not decisions:
        raise ValueError("a waiver names the decisions behind it")
    _settle(tx, number, Settled.WAIVED, now, waived_by=decisions)


def tell_nobody(tx: Connection, number: int, *, now: datetime) -> None:
    """There is nobody to tell. Raises LostRace."""
    _settle(tx, number, Settled.NOBODY, now)


def load(tx: Connection, number: int) -> Notice:
    """Raises Refused(NOT_IN_STORE)."""
    found = _found(tx, notice.c.number == number)
    if not found:
        raise Refused(Code.NOT_IN_STORE, f"no notice has the number {number}")
    return found[0]


def _settle(
    tx: Connection,
    number: int,
    settled: Settled,
    now: datetime,
    *,
    record_digest: str | None = None,
    waived_by: tuple[str, ...] = (),
) -> None:
    values = {
        "settled": settled,
        "settled_at": now,
        "record_digest": record_digest,
        "waived_by": list(waived_by) or None,
    }
    _changed(tx, number, _is_open(number), values)
    done = load(tx, number)
    for digest in done.records or (None,):
        event = NoticeSettled(
            deprovision=done.deprovision, notice=done.kind, settled=settled, record_digest=digest
        )
        ledger.append(tx, event, now=now)


def _is_open(number: int) -> ColumnElement[bool]:
    return (notice.c.number == number) & notice.c.settled.is_(None)


def _changed(tx: Connection, number: int, believed: ColumnElement[bool], values: dict[str, Any]) -> None:
    if tx.execute(update(notice).where(believed).values(values)).rowcount != 1:
        raise LostRace(f"notice {number}", "open", 0)


def _found(tx: Connection, condition: ColumnElement[bool]) -> tuple[Notice, ...]:
    query = select(notice).where(condition).order_by(notice.c.number)
    return tuple(map(_notice, tx.execute(query)))


def _notice(row: Row[Any]) -> Notice:
    return Notice(**{**row._mapping, "waived_by": tuple(row.waived_by or ())})
