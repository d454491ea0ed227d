"""Outcomes and summaries: what is certified, drafted once and logged once.

A medium that was destroyed has its outcome under no attempt, and perhaps under no deprovision
(`destructions` holds that there is one).

Rules: the exact payload is stored first (`draft`), signed outside, and logged with `issue`; signing stored
bytes again gives the same signature, so a crash between the two repeats harmlessly. One outcome an (attempt,
medium), one summary a deprovision: a second, different draft is refused. The issuer's outcomes are numbered
without gaps, by the row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    Row,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, OutcomeId
from certificate.log.entry import LogKind
from certificate.statements import Summary
from certificate.statements import statement as statements
from certificate.statements.vocabulary import Result
from controller.errors import Code, LostRace
from controller.store import deprovisions, ledger, log_rows
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, digest_column, one_of, row_values
from controller.store.events import (
    BundleVerified,
    OutcomeDrafted,
    OutcomeIssued,
    SummaryDrafted,
    SummaryIssued,
)

outcome = Table(
    "outcome",
    METADATA,
    Column("id", IdentifierType(OutcomeId), primary_key=True),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=True,
    ),
    Column("attempt", Integer, nullable=True),
    digest_column("medium"),
    Column("issuer_seq", BigInteger, nullable=False, unique=True),
    Column("result", one_of(Result, "result"), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    digest_column("payload_digest", unique=True),
    Column("envelope", LargeBinary, nullable=True),
    Column("log_seq", BigInteger, ForeignKey(log_rows.log_entry.c.seq), nullable=True, unique=True),
    Column("drafted_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=True),
    UniqueConstraint("deprovision", "attempt", "medium"),
)

summary = Table(
    "summary",
    METADATA,
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        primary_key=True,
    ),
    Column("payload", LargeBinary, nullable=False),
    digest_column("payload_digest", unique=True),
    Column("envelope", LargeBinary, nullable=True),
    Column("log_seq", BigInteger, ForeignKey(log_rows.log_entry.c.seq), nullable=True, unique=True),
    Column("drafted_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=True),
    digest_column("verified_under", nullable=True),
    Column("verified_at", UtcDateTime, nullable=True),
)


@dataclass(frozen=True, kw_only=True)
class StoredOutcome:
    """The record of one attempt on one medium."""

    id: OutcomeId
    deprovision: DeprovisionId | None
    #: None for a destroyed medium.
    attempt: int | None
    #: Commitment of the medium.
    medium: str
    #: From 1, without gaps.
    issuer_seq: int
    result: Result
    #: The bytes that are signed.
    payload: bytes
    payload_digest: str
    #: The signed envelope's file bytes and its place in the log; None until issued.
    envelope: bytes | None
    log_seq: int | None
    drafted_at: datetime
    issued_at: datetime | None

    @property
    def is_issued(self) -> bool:
        return self.issued_at is not None


@dataclass(frozen=True, kw_only=True)
class IssuedOutcome:
    """What tells which files an outcome has."""

    id: OutcomeId
    result: Result
    is_of_attempt: bool


@dataclass(frozen=True, kw_only=True)
class StoredSummary:
    """The record of one host."""

    deprovision: DeprovisionId
    payload: bytes
    payload_digest: str
    envelope: bytes | None
    log_seq: int | None
    drafted_at: datetime
    issued_at: datetime | None
    #: Digest of the policy under which `verify()` accepted the whole bundle, and when; None until it did.
    verified_under: str | None
    verified_at: datetime | None

    @property
    def is_issued(self) -> bool:
        return self.issued_at is not None

    def names_order(self, order_digest: str) -> bool:
        """Whether it rests on the order with this SHA-256 of its payload."""
        return order_digest in statements.read(self.payload, Summary).predicate.order_digests


def next_issuer_seq(tx: Connection) -> int:
    """The number of the next outcome; taken by the draft in this same transaction, else by nobody."""
    return (tx.scalar(select(func.max(outcome.c.issuer_seq))) or 0) + 1


def draft(
    tx: Connection,
    *,
    id: OutcomeId,
    deprovision: DeprovisionId | None,
    attempt: int | None,
    medium: str,
    issuer_seq: int,
    result: Result,
    payload: bytes,
    now: datetime,
) -> StoredOutcome:
    """Fixes the outcome's bytes. Look for one with `of_medium` first: a second draft is refused
    (ALREADY_STORED), and a number that is not the next one is LostRace.
    """
    if any((each.deprovision, each.attempt) == (deprovision, attempt) for each in of_drive(tx, medium)):
        raise Refused(
            Code.ALREADY_STORED, f"attempt {attempt} on that medium of {deprovision} has its outcome"
        )
    if issuer_seq != next_issuer_seq(tx):
        raise LostRace(id, f"outcome {issuer_seq}", 0)
    new = StoredOutcome(
        id=id,
        deprovision=deprovision,
        attempt=attempt,
        medium=medium,
        issuer_seq=issuer_seq,
        result=result,
        payload=payload,
        payload_digest=hashlib.sha256(payload).hexdigest(),
        envelope=None,
        log_seq=None,
        drafted_at=now,
        issued_at=None,
    )
    tx.execute(insert(outcome).values(row_values(outcome, new)))
    _tell_drafted(tx, new)
    return new


def issue(tx: Connection, id: OutcomeId, *, envelope: Envelope, now: datetime) -> StoredOutcome:
    """Logs the signed outcome. Raises LostRace when it is issued already, ValueError for other bytes than the
    draft's.
    """
    drafted = load(tx, id)
    if envelope.payload != drafted.payload:
        raise ValueError("the envelope holds another payload than the draft")
    if drafted.is_issued:
        raise LostRace(id, "drafted", 0)
    entry = log_rows.append_entry(
        tx, envelope=envelope, kind=LogKind.OUTCOME, now=now, deprovision=drafted.deprovision
    )
    believed = (outcome.c.id == id) & outcome.c.issued_at.is_(None)
    _issue(tx, outcome, believed, envelope, entry.seq, now, LostRace(id, "drafted", 0))
    event = OutcomeIssued(deprovision=drafted.deprovision, outcome=id, log_seq=entry.seq)
    ledger.append(tx, event, now=now)
    return load(tx, id)


def load(tx: Connection, id: OutcomeId) -> StoredOutcome:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(outcome).where(outcome.c.id == id)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no outcome is called {id}")
    return _outcome(row)


def of_medium(
    tx: Connection, deprovision: DeprovisionId, *, attempt: int, medium: str
) -> StoredOutcome | None:
    where = (outcome.c.deprovision == deprovision) & (outcome.c.attempt == attempt)
    row = tx.execute(select(outcome).where(where & (outcome.c.medium == medium))).one_or_none()
    return None if row is None else _outcome(row)


def of_drive(tx: Connection, medium: str) -> tuple[StoredOutcome, ...]:
    """All over this medium, in any attempt of any deprovision, and by destroy; in the issuer's order."""
    query = select(outcome).where(outcome.c.medium == medium).order_by(outcome.c.issuer_seq)
    return tuple(_outcome(row) for row in tx.execute(query))


def media_named(tx: Connection, digits: str) -> tuple[str, ...]:
    """The media with an outcome whose commitments begin with these hexadecimal digits; two at most, because
    one that is not the only one is none.
    """
    query = select(outcome.c.medium).where(outcome.c.medium.startswith(digits, autoescape=True))
    return tuple(tx.scalars(query.distinct().order_by(outcome.c.medium).limit(2)))


def of_deprovision(tx: Connection, deprovision: DeprovisionId) -> tuple[StoredOutcome, ...]:
    """All of its outcomes, in the issuer's order."""
    query = select(outcome).where(outcome.c.deprovision == deprovision).order_by(outcome.c.issuer_seq)
    return tuple(_outcome(row) for row in tx.execute(query))


def all_issued(tx: Connection) -> tuple[IssuedOutcome, ...]:
    """All that were signed and logged, in the issuer's order; without their bytes, because there are many."""
    query = select(outcome.c.id, outcome.c.result, outcome.c.attempt).where(outcome.c.issued_at.is_not(None))
    return tuple(
        IssuedOutcome(id=row.id, result=row.result, is_of_attempt=row.attempt is not None)
        for row in tx.execute(query.order_by(outcome.c.issuer_seq))
    )


def draft_summary(
    tx: Connection, deprovision: DeprovisionId, *, payload: bytes, now: datetime
) -> StoredSummary:
    """Fixes the summary's bytes. Raises Refused(ALREADY_STORED) when there is one."""
    if summary_of(tx, deprovision) is not None:
        raise Refused(Code.ALREADY_STORED, f"{deprovision} has its summary")
    payload_digest = hashlib.sha256(payload).hexdigest()
    tx.execute(
        insert(summary).values(
            deprovision=deprovision, payload=payload, payload_digest=payload_digest, drafted_at=now
        )
    )
    ledger.append(tx, SummaryDrafted(deprovision=deprovision, payload_digest=payload_digest), now=now)
    return _required_summary(tx, deprovision)


def issue_summary(
    tx: Connection, deprovision: DeprovisionId, *, envelope: Envelope, now: datetime
) -> StoredSummary:
    """As `issue`."""
    drafted = _required_summary(tx, deprovision)
    if envelope.payload != drafted.payload:
        raise ValueError("the envelope holds another payload than the draft")
    if drafted.is_issued:
        raise LostRace(deprovision, "drafted", 0)
    entry = log_rows.append_entry(
        tx, envelope=envelope, kind=LogKind.SUMMARY, now=now, deprovision=deprovision
    )
    believed = (summary.c.deprovision == deprovision) & summary.c.issued_at.is_(None)
    _issue(tx, summary, believed, envelope, entry.seq, now, LostRace(deprovision, "drafted", 0))
    ledger.append(tx, SummaryIssued(deprovision=deprovision, log_seq=entry.seq), now=now)
    return _required_summary(tx, deprovision)


def record_verified(
    tx: Connection, deprovision: DeprovisionId, *, policy_digest: str, now: datetime
) -> StoredSummary:
    """`verify()` accepted the bundle under this policy. Raises LostRace unless the summary is issued."""
    believed = (summary.c.deprovision == deprovision) & summary.c.issued_at.is_not(None)
    values = {"verified_under": policy_digest, "verified_at": now}
    if tx.execute(update(summary).where(believed).values(values)).rowcount != 1:
        raise LostRace(deprovision, "issued", 0)
    ledger.append(tx, BundleVerified(deprovision=deprovision, policy_digest=policy_digest), now=now)
    return _required_summary(tx, deprovision)


def summary_of(tx: Connection, deprovision: DeprovisionId) -> StoredSummary | None:
    row = tx.execute(select(summary).where(summary.c.deprovision == deprovision)).one_or_none()
    return None if row is None else StoredSummary(**row._mapping)


def _tell_drafted(tx: Connection, new: StoredOutcome) -> None:
    event = OutcomeDrafted(
        deprovision=new.deprovision,
        outcome=new.id,
        attempt=new.attempt,
        medium=new.medium,
        result=new.result,
        payload_digest=new.payload_digest,
    )
    ledger.append(tx, event, now=new.drafted_at)


def _required_summary(tx: Connection, deprovision: DeprovisionId) -> StoredSummary:
    found = summary_of(tx, deprovision)
    if found is None:
        raise Refused(Code.NOT_IN_STORE, f"{deprovision} has no summary")
    return found


def _issue(
    tx: Connection,
    table: Table,
    believed: Any,
    envelope: Envelope,
    log_seq: int,
    now: datetime,
    lost: LostRace,
) -> None:
    values = {"envelope": envelope.write(), "log_seq": log_seq, "issued_at": now}
    if tx.execute(update(table).where(believed).values(values)).rowcount != 1:
        raise lost


def _outcome(row: Row[Any]) -> StoredOutcome:
    return StoredOutcome(**row._mapping)
