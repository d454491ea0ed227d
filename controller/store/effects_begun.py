"""Which effects were begun: written before the first byte, kept for ever.

Rules: a crash cannot hide that something may have been done to the world, so the row is committed before the
effect performs; beginning again is a new row.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, Table, func, insert, select

from certificate.identifiers import DeprovisionId
from controller.facts import Effect
from controller.store import deprovisions, events, ledger, observations
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, counted_key, one_of

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
