"""Which effects were begun, and which notices are settled: written before the first byte, kept for ever.

Rules: a crash cannot hide that something may have been done to the world, so the row is committed before the
effect performs; beginning again is a new row. A notice is settled by a delivery record or by a recorded
waiver, named by digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, Table, func, insert, select

from certificate.identifiers import DeprovisionId
from controller.facts import Effect
from controller.store import deprovisions, events, ledger, observations
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, counted_key, digest_column, one_of

effect_begun = Table(
    "effect_begun",
    METADATA,
    counted_key("number"),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
    ),
    Column("attempt", Integer, nullable=False),
    Column("effect", one_of(Effect, "effect"), nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Index("ix_effect_begun_deprovision", "deprovision", "effect"),
    sqlite_autoincrement=True,
)


class NoticeKind(StrEnum):
    """How a notice was settled (`certificate.statements.order.NoticeReference`)."""

    DELIVERED = "delivered"
    WAIVED = "waived"


notice = Table(
    "notice",
    METADATA,
    counted_key("number"),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
        index=True,
    ),
    Column("kind", one_of(NoticeKind, "kind"), nullable=False),
    digest_column("record_digest"),
    Column("settled_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class StoredNotice:
    number: int
    deprovision: DeprovisionId
    kind: NoticeKind
    #: SHA-256 of the delivery record or waiver, hexadecimal.
    record_digest: str
    settled_at: datetime


def begin(tx: Connection, key: DeprovisionId, *, attempt: int, effect: Effect, now: datetime) -> None:
    """The effect may be happening from the moment this transaction is committed."""
    begun_at = observations.stamp(tx, now)
    row = {"deprovision": key, "attempt": attempt, "effect": effect, "begun_at": begun_at}
    tx.execute(insert(effect_begun).values(row))
    ledger.append(tx, events.EffectBegun(deprovision=key, effect=effect, attempt=attempt), now=now)


def begun(tx: Connection, key: DeprovisionId, *, attempt: int | None) -> dict[Effect, datetime]:
    """When each effect was last begun, in this attempt or (None) in any."""
    query = select(effect_begun.c.effect, func.max(effect_begun.c.begun_at)).where(
        effect_begun.c.deprovision == key
    )
    if attempt is not None:
        query = query.where(effect_begun.c.attempt == attempt)
    return {effect: begun_at for effect, begun_at in tx.execute(query.group_by(effect_begun.c.effect))}


def settle_notice(
    tx: Connection, key: DeprovisionId, *, kind: NoticeKind, record_digest: str, now: datetime
) -> None:
    row = {"deprovision": key, "kind": kind, "record_digest": record_digest, "settled_at": now}
    tx.execute(insert(notice).values(row))
    event = events.NoticeSettled(deprovision=key, settled=kind, record_digest=record_digest)
    ledger.append(tx, event, now=now)


def notices_of(tx: Connection, key: DeprovisionId) -> tuple[StoredNotice, ...]:
    query = select(notice).where(notice.c.deprovision == key).order_by(notice.c.number)
    return tuple(StoredNotice(**row._mapping) for row in tx.execute(query))
