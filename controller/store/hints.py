"""Hints: somebody said that a subscription changed. Never believed; it makes us ask (DESIGN.md, rule 1).

Rules: deduplicated by (source, the source's own event id), so that a webhook sent twice, a spool drained
twice and a polled source told twice are one hint; stored before it is answered; `taken_at` says that somebody
scheduled what it called for, so that a crash in between forgets nothing. Webhook deliveries are hints and
have no table of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Row, String, Table, UniqueConstraint, insert, select, update
from sqlalchemy.exc import IntegrityError

from certificate.errors import Refused
from controller.errors import Code, LostRace
from controller.spool import HintEvent
from controller.store import ledger, observations
from controller.store.columns import METADATA, UtcDateTime, counted_key, one_of
from controller.store.events import HintReceived

hint = Table(
    "hint",
    METADATA,
    counted_key("sequence"),
    Column("source", String(120), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("event", one_of(HintEvent, "event"), nullable=False),
    Column("subscription_ref", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("taken_at", UtcDateTime, nullable=True),
    UniqueConstraint("source", "event_id"),
    Index("ix_hint_subscription_ref", "subscription_ref", "received_at"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class StoredHint:
    """A hint as it was received."""

    sequence: int
    #: Who said so: the name of a webhook, a polled source or `hook`.
    source: str
    #: The source's own id of the event; unique within it.
    event_id: str
    event: HintEvent
    #: Keyed pseudonym of the subscription.
    subscription_ref: str
    received_at: datetime
    #: When what it calls for was scheduled; None while it is open.
    taken_at: datetime | None


def receive(
    tx: Connection, *, source: str, event_id: str, event: HintEvent, subscription_ref: str, now: datetime
) -> StoredHint | None:
    """Stores a hint; None when it is known already. Raises Refused(ALREADY_STORED) where the source uses an
    id again for something else: a renewal must not vanish behind an older event.
    """
    try:
        with tx.begin_nested():
            sequence = tx.execute(
                insert(hint)
                .values(
                    source=source,
                    event_id=event_id,
                    event=event,
                    subscription_ref=subscription_ref,
                    received_at=observations.stamp(tx, now),
                )
                .returning(hint.c.sequence)
            ).scalar_one()
    except IntegrityError:
        named = (hint.c.source == source) & (hint.c.event_id == event_id)
        known = _hint(tx.execute(select(hint).where(named)).one())
        if (known.event, known.subscription_ref) != (event, subscription_ref):
            raise Refused(Code.ALREADY_STORED, f"{source} told something else under this event id") from None
        return None
    told = HintReceived(sequence=sequence, hint=event, subscription_ref=subscription_ref)
    ledger.append(tx, told, now=now)
    return _hint(tx.execute(select(hint).where(hint.c.sequence == sequence)).one())


def untaken(tx: Connection, *, limit: int) -> tuple[StoredHint, ...]:
    """Open hints, oldest first."""
    query = select(hint).where(hint.c.taken_at.is_(None)).order_by(hint.c.sequence).limit(limit)
    return tuple(_hint(row) for row in tx.execute(query))


def take(tx: Connection, sequence: int, *, now: datetime) -> None:
    """What the hint calls for is stored in this same transaction. Raises LostRace."""
    believed = (hint.c.sequence == sequence) & hint.c.taken_at.is_(None)
    if tx.execute(update(hint).where(believed).values(taken_at=now)).rowcount != 1:
        raise LostRace(f"hint {sequence}", "untaken", 0)


def latest(tx: Connection, subscription_ref: str, *, event: HintEvent | None = None) -> StoredHint | None:
    """The newest hint about this subscription (of this kind) by the time we received it."""
    query = select(hint).where(hint.c.subscription_ref == subscription_ref)
    if event is not None:
        query = query.where(hint.c.event == event)
    newest = query.order_by(hint.c.received_at.desc(), hint.c.sequence.desc()).limit(1)
    row = tx.execute(newest).one_or_none()
    return None if row is None else _hint(row)


def _hint(row: Row[Any]) -> StoredHint:
    return StoredHint(**row._mapping)
