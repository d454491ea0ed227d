"""Drives that were destroyed after they left: what two operators attested, and the outcome that says it.

Rules: a drive is destroyed once; the row is written once, in the transaction that drafts the outcome; method,
day and the document's digest stand in the outcome, so here only what finds it again; by whom, before whom and
where are people's words, sealed as private text under a subject of their own, because those of the departure
may be forgotten before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy import Column, Connection, ForeignKey, Row, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from certificate.errors import Refused
from certificate.identifiers import DriveId, OutcomeId
from certificate.statements.vocabulary import DestroyMethod
from controller.errors import Code
from controller.store import hosts, ledger, outcomes, private
from controller.store.append_only import refuse_changes
from controller.store.columns import (
    METADATA,
    CanonicalJson,
    IdentifierType,
    UtcDateTime,
    digest_column,
    one_of,
)
from controller.store.hosts import Drive
from controller.store.outcomes import StoredOutcome
from controller.store.private import RandomBytes
from controller.store.record_events import MediumDestroyed

media_destruction = Table(
    "media_destruction",
    METADATA,
    Column("drive", IdentifierType(DriveId), ForeignKey(hosts.drive.c.id), primary_key=True),
    Column(
        "outcome", IdentifierType(OutcomeId), ForeignKey(outcomes.outcome.c.id), nullable=False, unique=True
    ),
    Column("decisions", CanonicalJson, nullable=False),
    Column("method", one_of(DestroyMethod, "method"), nullable=False),
    Column("destroyed_on", String(10), nullable=False),
    digest_column("document_digest"),
    Column("recorded_at", UtcDateTime, nullable=False),
)
refuse_changes(media_destruction)
_KINDS = ("destroyed_by", "destroyed_before", "destroyed_where")


@dataclass(frozen=True, kw_only=True)
class DestructionWords:
    """What people say of it, in their own words."""

    by: str
    witness: str
    place: str

    def named(self) -> dict[str, str]:
        """Under the kinds by which the private tables keep them."""
        return dict(zip(_KINDS, (self.by, self.witness, self.place), strict=True))


@dataclass(frozen=True, kw_only=True)
class StoredDestruction:
    """One drive that was destroyed."""

    drive: DriveId
    outcome: OutcomeId
    #: SHA-256 hex of the signed decisions' payloads.
    decisions: tuple[str, ...]
    method: DestroyMethod
    #: YYYY-MM-DD, as people attest it.
    destroyed_on: str
    document_digest: str
    recorded_at: datetime


def record(
    tx: Connection,
    gone: Drive,
    *,
    outcome: StoredOutcome,
    decisions: tuple[str, ...],
    method: DestroyMethod,
    destroyed_on: str,
    document_digest: str,
    words: DestructionWords,
    master_key: bytes,
    random_bytes: RandomBytes,
    now: datetime,
) -> StoredDestruction:
    """Raises Refused(ALREADY_STORED) for a drive that was destroyed before, PRIVATE_SHREDDED."""
    new = StoredDestruction(
        drive=gone.id,
        outcome=outcome.id,
        decisions=decisions,
        method=method,
        destroyed_on=destroyed_on,
        document_digest=document_digest,
        recorded_at=now,
    )
    try:
        with tx.begin_nested():
            tx.execute(insert(media_destruction).values({**vars(new), "decisions": list(decisions)}))
    except IntegrityError:
        raise Refused(Code.ALREADY_STORED, f"medium {gone.commitment[:16]} was destroyed already") from None
    for kind, text in words.named().items():
        private.write(
            tx,
            subject_ref=_subject_of(gone),
            kind=kind,
            text=text,
            master_key=master_key,
            random_bytes=random_bytes,
            now=now,
        )
    event = MediumDestroyed(
        deprovision=outcome.deprovision,
        drive=gone.id,
        outcome=outcome.id,
        method=method,
        document_digest=document_digest,
        # Salted, because a name is guessed easily.
        record_digest=hashlib.sha256(rfc8785.dumps({**words.named(), "salt": gone.salt.hex()})).hexdigest(),
    )
    ledger.append(tx, event, now=now)
    return new


def of_drive(tx: Connection, drive: DriveId) -> StoredDestruction | None:
    row = tx.execute(select(media_destruction).where(media_destruction.c.drive == drive)).one_or_none()
    return None if row is None else _destruction(row)


def unissued(tx: Connection) -> tuple[OutcomeId, ...]:
    """Outcomes of destroyed media that are not signed and logged yet, in the issuer's order."""
    query = select(outcomes.outcome.c.id).join(
        media_destruction, media_destruction.c.outcome == outcomes.outcome.c.id
    )
    waiting = query.where(outcomes.outcome.c.issued_at.is_(None))
    return tuple(tx.scalars(waiting.order_by(outcomes.outcome.c.issuer_seq)))


def words_of(tx: Connection, gone: Drive, *, master_key: bytes) -> dict[str, str | None]:
    """What people said of it, by kind; None where it was forgotten."""
    return {kind: _word(tx, gone, kind, master_key) for kind in _KINDS}


def _word(tx: Connection, gone: Drive, kind: str, master_key: bytes) -> str | None:
    try:
        return private.read(tx, subject_ref=_subject_of(gone), kind=kind, master_key=master_key)
    except Refused as refusal:
        if refusal.code is not Code.PRIVATE_SHREDDED:
            raise
        return None


def _subject_of(gone: Drive) -> str:
    return hashlib.sha256(f"destruction\n{gone.commitment}".encode()).hexdigest()


def _destruction(row: Row[Any]) -> StoredDestruction:
    return StoredDestruction(**{**row._mapping, "decisions": tuple(row.decisions)})
