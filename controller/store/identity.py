"""Who this store is, and the counter from which every fence comes.

Rules: one row; a fence is epoch x 2^32 + counter and no number is given twice, because the counter rises in
the transaction that takes it; a new epoch begins only when two operators reconcile, above every epoch the
world has seen, so that fences rise even after a restored backup (DESIGN.md, rules 4 and 7).

A claim takes a fence without leaving a ledger event (there would be one a poll). A store rolled back to the
same ledger head could so give a *claim's* number again; only rows of the same store compare it. An *order's*
fence always comes with events, so a rollback across it is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Integer,
    String,
    Table,
    insert,
    select,
    update,
)

from certificate.errors import Refused
from controller.errors import Code
from controller.store import ledger
from controller.store.columns import METADATA, UtcDateTime, digest_column
from controller.store.events import EpochBegun, StoreCreated

#: A fence is a whole number in signed JSON: epoch x 2^32 must stay below 2^53.
MAX_EPOCH = 2**21 - 1
COUNTER_LIMIT = 2**32

store_identity = Table(
    "store_identity",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    digest_column("store_id"),
    Column("epoch", BigInteger, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("machine_id", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("number = 1", name="only_row"),
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The store's own row."""

    #: 64 hexadecimal digits of randomness, made once by `init`.
    store_id: str
    #: How often two operators reconciled this store; 0 at first.
    epoch: int
    #: Lower 32 bits of the newest fence.
    counter: int
    #: The machine (systemd's machine-id) on which the store was made or last reconciled.
    machine_id: str
    created_at: datetime

    @property
    def newest_fence(self) -> int:
        return self.epoch * COUNTER_LIMIT + self.counter


def create(tx: Connection, *, store_id: str, machine_id: str, now: datetime) -> Identity:
    """The store's first act. Raises Refused(ALREADY_STORED) when it has an identity."""
    if tx.execute(select(store_identity.c.number)).first() is not None:
        raise Refused(Code.ALREADY_STORED, "the store has an identity already")
    tx.execute(
        insert(store_identity).values(
            number=1, store_id=store_id, epoch=0, counter=0, machine_id=machine_id, created_at=now
        )
    )
    ledger.append(tx, StoreCreated(store_id=store_id), now=now)
    return load(tx)


def load(tx: Connection) -> Identity:
    """Raises Refused(NOT_IN_STORE) for a database whose `init` did not end."""
    row = tx.execute(select(store_identity)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, "the store has no identity; its init did not end")
    return Identity(
        store_id=row.store_id,
        epoch=row.epoch,
        counter=row.counter,
        machine_id=row.machine_id,
        created_at=row.created_at,
    )


def next_fence(tx: Connection) -> int:
    """A number greater than every fence before. It is spent even if nobody uses it."""
    taken = tx.execute(
        update(store_identity)
        .where(store_identity.c.counter < COUNTER_LIMIT - 1)
        .values(counter=store_identity.c.counter + 1)
        .returning(store_identity.c.epoch, store_identity.c.counter)
    ).one_or_none()
    if taken is None:
        raise Refused(Code.NOT_IN_STORE, "the store has no identity, or its epoch has no fence left")
    return int(taken.epoch) * COUNTER_LIMIT + int(taken.counter)


def begin_epoch(tx: Connection, *, above: int, machine_id: str, now: datetime) -> Identity:
    """Reconciliation: an epoch above both this store's and `above` (the anchor's), on this machine.

    Whether two operators decided it is the caller's to know. Raises ValueError beyond MAX_EPOCH.
    """
    former = load(tx).epoch
    epoch = max(former, above) + 1
    if epoch > MAX_EPOCH:
        raise ValueError(f"no fence of epoch {epoch} fits into signed JSON")
    tx.execute(update(store_identity).values(epoch=epoch, counter=0, machine_id=machine_id))
    ledger.append(tx, EpochBegun(epoch=epoch, former_epoch=former), now=now)
    return load(tx)
