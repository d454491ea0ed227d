"""The rows of the public log: entries in order, and the checkpoints that were signed over them.

Rules: one transaction writes the document's row, a ledger event and the entry, so that neither stands without
the other; entries are numbered from 0 without gaps and never changed (triggers); entry 0 is genesis. A
checkpoint is signed outside any transaction, over size and root taken from here, and stored by
compare-and-set on the size of the one before: two signers cannot both extend the same one, and what is stored
has the root this log has (CHECKPOINT_DIFFERS). "Logged" means a stored checkpoint covers the entry
(FORMATS.md, "Keys").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    Table,
    func,
    insert,
    select,
)

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.log import merkle
from certificate.log.entry import Entry, LogKind
from controller.errors import Code, LostRace
from controller.store import ledger
from controller.store.append_only import refuse_changes
from controller.store.columns import METADATA, UtcDateTime, digest_column, one_of, row_values
from controller.store.events import CheckpointStored, LogEntryAdded

log_entry = Table(
    "log_entry",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", one_of(LogKind, "kind"), nullable=False),
    Column("entry", LargeBinary, nullable=False),
    digest_column("leaf_hash", unique=True),
    digest_column("payload_digest"),
    Column("ledger_seq", BigInteger, ForeignKey(ledger.ledger_event.c.seq), nullable=False, unique=True),
    Column("logged_at", UtcDateTime, nullable=False),
)
refuse_changes(log_entry)

log_checkpoint = Table(
    "log_checkpoint",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    digest_column("root"),
    Column("note", LargeBinary, nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
)
refuse_changes(log_checkpoint)

# Built once, because building one takes as long as running it.
_INSERT = insert(log_entry)
_NEWEST = select(func.max(log_entry.c.seq))


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One entry of the log."""

    #: Leaf index, from 0.
    seq: int
    kind: LogKind
    #: The leaf's bytes (`Entry.write`).
    entry: bytes
    #: RFC 6962 leaf hash, hexadecimal.
    leaf_hash: str
    #: SHA-256 of the logged document's payload, hexadecimal.
    payload_digest: str
    #: The ledger event that tells of it.
    ledger_seq: int
    logged_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint we signed."""

    size: int
    #: Root hash, hexadecimal.
    root: str
    #: The signed note, exactly as it is published.
    note: bytes
    stored_at: datetime


@dataclass(frozen=True, kw_only=True)
class UnsignedCheckpoint:
    """What the next checkpoint should say, and on which one it follows."""

    previous_size: int
    size: int
    #: 32 bytes.
    root: bytes


def append_entry(
    tx: Connection,
    *,
    envelope: Envelope,
    kind: LogKind,
    now: datetime,
    deprovision: DeprovisionId | None = None,
) -> LogEntry:
    """Appends the entry for `envelope`, and the ledger event that tells of it."""
    return append_entries(tx, envelopes=((envelope, deprovision),), kind=kind, now=now)[0]


def append_entries(
    tx: Connection,
    *,
    envelopes: Sequence[tuple[Envelope, DeprovisionId | None]],
    kind: LogKind,
    now: datetime,
) -> tuple[LogEntry, ...]:
    """Appends the entries of several documents of one kind, in this order, each with its ledger event."""
    first = size(tx)
    made = [
        (envelope, deprovision, Entry.of(envelope, kind=kind, seq=seq).write())
        for seq, (envelope, deprovision) in enumerate(envelopes, first)
    ]
    events = [
        LogEntryAdded(
            deprovision=deprovision,
            log_kind=kind,
            log_seq=seq,
            leaf_hash=merkle.leaf_hash(entry).hex(),
            payload_digest=envelope.payload_digest,
        )
        for seq, (envelope, deprovision, entry) in enumerate(made, first)
    ]
    told = ledger.append_all(tx, events, now=now)
    appended = tuple(
        LogEntry(
            seq=event.log_seq,
            kind=kind,
            entry=entry,
            leaf_hash=event.leaf_hash,
            payload_digest=event.payload_digest,
            ledger_seq=line.seq,
            logged_at=now,
        )
        for event, line, (_, _, entry) in zip(events, told, made, strict=True)
    )
    if appended:
        tx.execute(_INSERT, [row_values(log_entry, each) for each in appended])
    return appended


def size(tx: Connection) -> int:
    """Entries in the log."""
    newest: int | None = tx.scalar(_NEWEST)
    return 0 if newest is None else newest + 1


def load_entry(tx: Connection, seq: int) -> LogEntry:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(log_entry).where(log_entry.c.seq == seq)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"the log has no entry {seq}")
    return _entry(row)


def entries(tx: Connection) -> tuple[LogEntry, ...]:
    """All entries in order."""
    return tuple(_entry(row) for row in tx.execute(select(log_entry).order_by(log_entry.c.seq)))


def root(tx: Connection, *, tree_size: int) -> bytes:
    """The root over the first `tree_size` entries, 32 bytes. Raises ValueError for more than there are."""
    return merkle.root_hash(_leaf_hashes(tx, tree_size))


def inclusion(tx: Connection, *, seq: int, tree_size: int) -> tuple[bytes, ...]:
    """The path from entry `seq` to the root over the first `tree_size` entries, leaf first."""
    return merkle.inclusion_proof(seq, _leaf_hashes(tx, tree_size))


def consistency(tx: Connection, *, former_size: int, tree_size: int) -> tuple[bytes, ...]:
    """The proof that the first `former_size` entries are the beginning of the first `tree_size`."""
    return merkle.consistency_proof(former_size, _leaf_hashes(tx, tree_size))


def unsigned(tx: Connection) -> UnsignedCheckpoint | None:
    """What to sign next; None while the newest checkpoint covers every entry."""
    newest, now_size = latest_checkpoint(tx), size(tx)
    previous_size = 0 if newest is None else newest.size
    if now_size == previous_size:
        return None
    return UnsignedCheckpoint(previous_size=previous_size, size=now_size, root=root(tx, tree_size=now_size))


def store_checkpoint(
    tx: Connection, checkpoint: UnsignedCheckpoint, *, note: bytes, now: datetime
) -> StoredCheckpoint:
    """Keeps `note`, signed over `checkpoint`. Whether the note says so is the signer's to check
    (`certificate.log.checkpoint`). Raises LostRace when another checkpoint came first,
    Refused(CHECKPOINT_DIFFERS) when the root is not that of this log.
    """
    newest = latest_checkpoint(tx)
    if (0 if newest is None else newest.size) != checkpoint.previous_size:
        raise LostRace("checkpoint", str(checkpoint.previous_size), 0)
    if not checkpoint.previous_size < checkpoint.size <= size(tx):
        raise Refused(Code.CHECKPOINT_DIFFERS, f"no checkpoint of {checkpoint.size} entries is due")
    if root(tx, tree_size=checkpoint.size) != checkpoint.root:
        raise Refused(Code.CHECKPOINT_DIFFERS, f"the first {checkpoint.size} entries have another root")
    root_hex = checkpoint.root.hex()
    tx.execute(insert(log_checkpoint).values(size=checkpoint.size, root=root_hex, note=note, stored_at=now))
    ledger.append(tx, CheckpointStored(size=checkpoint.size, root=root_hex), now=now)
    return StoredCheckpoint(size=checkpoint.size, root=root_hex, note=note, stored_at=now)


def latest_checkpoint(tx: Connection) -> StoredCheckpoint | None:
    """The newest one, or None before the first."""
    row = tx.execute(select(log_checkpoint).order_by(log_checkpoint.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else _checkpoint(row)


def load_checkpoint(tx: Connection, tree_size: int) -> StoredCheckpoint:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(log_checkpoint).where(log_checkpoint.c.size == tree_size)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no checkpoint of {tree_size} entries was stored")
    return _checkpoint(row)


def newest_at(tx: Connection) -> datetime | None:
    """The newest instant at which a document of ours was logged or a checkpoint stored: the controller's
    clock is not before it (FORMATS.md, "The provider's side"). None before genesis.
    """
    instants = (
        tx.scalar(select(func.max(log_entry.c.logged_at))),
        tx.scalar(select(func.max(log_checkpoint.c.stored_at))),
    )
    return max((instant for instant in instants if instant is not None), default=None)


def covering_checkpoint(tx: Connection, seq: int) -> StoredCheckpoint | None:
    """The first stored checkpoint that covers entry `seq`; None while it is not "logged"."""
    query = select(log_checkpoint).where(log_checkpoint.c.size > seq).order_by(log_checkpoint.c.size).limit(1)
    row = tx.execute(query).one_or_none()
    return None if row is None else _checkpoint(row)


def _leaf_hashes(tx: Connection, tree_size: int) -> list[bytes]:
    query = select(log_entry.c.leaf_hash).where(log_entry.c.seq < tree_size).order_by(log_entry.c.seq)
    hashes = [bytes.fromhex(leaf) for leaf in tx.scalars(query)]
    if len(hashes) != tree_size:
        raise ValueError(f"the log has no {tree_size} entries")
    return hashes


def _entry(row: Row[Any]) -> LogEntry:
    return LogEntry(**row._mapping)


def _checkpoint(row: Row[Any]) -> StoredCheckpoint:
    return StoredCheckpoint(**row._mapping)
