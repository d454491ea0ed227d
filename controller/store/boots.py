"""Boots: each start of an erase environment, and the inventories it answered with.

Rules: the row exists, with its signed configuration and sealed secret, before anything is started; one row is
one start; an agent proves a boot once, and its keys are pinned from then on (a second proof is LostRace);
`boot_id` is unique for ever; the newest number is the present boot. A boot and its inventories count in the
attempt for which it was started and in no later one: a person who commands `retry` repaired something, so
the host is started and read again. The secret rests sealed and is forgotten when the deprovision is over.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import BootTrust
from controller.errors import Code, LostRace
from controller.store import deprovisions, ledger
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, counted_key, digest_column, one_of
from controller.store.events import BootPrepared, BootProven, InventoryTaken

boot = Table(
    "boot",
    METADATA,
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("config_envelope", LargeBinary, nullable=False),
    digest_column("config_digest"),
    Column("sealed_secret", LargeBinary, nullable=True),
    Column("boot_trust", one_of(BootTrust, "boot_trust"), nullable=False),
    Column("prepared_at", UtcDateTime, nullable=False),
    digest_column("boot_id", nullable=True, unique=True),
    Column("evidence_key", String(64), nullable=True),
    Column("host_key_blob", String(2000), nullable=True),
    Column("proven_at", UtcDateTime, nullable=True),
)

inventory = Table(
    "inventory",
    METADATA,
    counted_key("number"),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
        index=True,
    ),
    digest_column("boot_id"),
    Column("line", LargeBinary, nullable=False),
    digest_column("line_digest"),
    Column("taken_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class StoredBoot:
    """One start of an erase environment."""

    deprovision: DeprovisionId
    #: From 1 within the deprovision; the highest is the present one.
    number: int
    #: The attempt for which it was started.
    attempt: int
    #: The signed `boot` statement, exactly as it travels.
    config_envelope: bytes
    #: SHA-256 of those bytes, hexadecimal.
    config_digest: str
    #: The single-use secret under `private.seal`; None once forgotten.
    sealed_secret: bytes | None
    boot_trust: BootTrust
    #: Before anything was started.
    prepared_at: datetime
    #: Who proved it: all three None until then. Hexadecimal; the blob as the hello gave it.
    boot_id: str | None
    evidence_key: str | None
    host_key_blob: str | None
    proven_at: datetime | None

    @property
    def is_proven(self) -> bool:
        return self.proven_at is not None


@dataclass(frozen=True, kw_only=True)
class StoredInventory:
    """An agent's answer to `inventory`, as the line it sent."""

    number: int
    deprovision: DeprovisionId
    boot_id: str
    line: bytes
    line_digest: str
    taken_at: datetime


def prepare(
    tx: Connection,
    key: DeprovisionId,
    *,
    attempt: int,
    config_envelope: bytes,
    sealed_secret: bytes,
    boot_trust: BootTrust,
    now: datetime,
) -> StoredBoot:
    """The next start, before it happens."""
    newest = newest_number(tx, key)
    config_digest = hashlib.sha256(config_envelope).hexdigest()
    tx.execute(
        insert(boot).values(
            deprovision=key,
            number=newest + 1,
            attempt=attempt,
            config_envelope=config_envelope,
            config_digest=config_digest,
            sealed_secret=sealed_secret,
            boot_trust=boot_trust,
            prepared_at=now,
        )
    )
    event = BootPrepared(
        deprovision=key, number=newest + 1, config_digest=config_digest, boot_trust=boot_trust
    )
    ledger.append(tx, event, now=now)
    return load(tx, key, newest + 1)


def load(tx: Connection, key: DeprovisionId, number: int) -> StoredBoot:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(boot).where(boot.c.deprovision == key, boot.c.number == number)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"{key} has no boot {number}")
    return _boot(row)


def latest(tx: Connection, key: DeprovisionId, *, attempt: int) -> StoredBoot | None:
    """The present boot of this attempt, proven or not; None before its first."""
    query = select(boot).where(boot.c.deprovision == key, boot.c.attempt == attempt)
    row = tx.execute(query.order_by(boot.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _boot(row)


def newest_number(tx: Connection, key: DeprovisionId) -> int:
    """How often the deprovision started an erase environment, in any attempt."""
    return tx.scalar(select(func.max(boot.c.number)).where(boot.c.deprovision == key)) or 0


def by_boot_id(tx: Connection, boot_id: str) -> StoredBoot | None:
    """The boot that this agent proved."""
    row = tx.execute(select(boot).where(boot.c.boot_id == boot_id)).one_or_none()
    return None if row is None else _boot(row)


def prove(
    tx: Connection,
    key: DeprovisionId,
    number: int,
    *,
    boot_id: str,
    evidence_key: str,
    host_key_blob: str,
    now: datetime,
) -> StoredBoot:
    """The agent proved this boot's secret over these keys; from now on no other keys are it.

    Raises LostRace when the boot is proven already, or is no longer the newest.
    """
    believed = (boot.c.deprovision == key) & (boot.c.number == number) & boot.c.proven_at.is_(None)
    proven = (
        update(boot)
        .where(believed)
        .values(boot_id=boot_id, evidence_key=evidence_key, host_key_blob=host_key_blob, proven_at=now)
    )
    if newest_number(tx, key) != number or tx.execute(proven).rowcount != 1:
        raise LostRace(f"boot {number} of {key}", "unproven", 0)
    ledger.append(tx, BootProven(deprovision=key, number=number, boot_id=boot_id), now=now)
    return load(tx, key, number)


def forget_secrets(tx: Connection, key: DeprovisionId) -> None:
    """The deprovision is over: nothing of its boots can be proven any more."""
    tx.execute(update(boot).where(boot.c.deprovision == key).values(sealed_secret=None))


def record_inventory(
    tx: Connection,
    key: DeprovisionId,
    *,
    boot_id: str,
    line: bytes,
    changed_at: datetime | None = None,
    now: datetime,
) -> StoredInventory:
    """Keeps the agent's answer. The same answer of the same boot again is the one that is stored, unless a
    drive left the host since (`changed_at`): a dead one was missing before and is missing now.
    """
    line_digest = hashlib.sha256(line).hexdigest()
    newest = latest_inventory(tx, key)
    is_same = newest is not None and (newest.boot_id, newest.line_digest) == (boot_id, line_digest)
    if newest is not None and is_same and (changed_at is None or changed_at < newest.taken_at):
        return newest
    tx.execute(
        insert(inventory).values(
            deprovision=key, boot_id=boot_id, line=line, line_digest=line_digest, taken_at=now
        )
    )
    ledger.append(tx, InventoryTaken(deprovision=key, boot_id=boot_id, line_digest=line_digest), now=now)
    stored = latest_inventory(tx, key)
    if stored is None:
        raise Refused(Code.NOT_IN_STORE, f"{key} has no inventory")
    return stored


def latest_inventory(
    tx: Connection, key: DeprovisionId, *, attempt: int | None = None
) -> StoredInventory | None:
    """The newest answer of a boot of this attempt; of any attempt without one."""
    query = select(inventory).where(inventory.c.deprovision == key)
    if attempt is not None:
        started = select(boot.c.boot_id).where(boot.c.deprovision == key, boot.c.attempt == attempt)
        query = query.where(inventory.c.boot_id.in_(started))
    row = tx.execute(query.order_by(inventory.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else StoredInventory(**row._mapping)


def _boot(row: Row[Any]) -> StoredBoot:
    return StoredBoot(**row._mapping)
