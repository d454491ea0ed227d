"""Decisions of people as they were signed, and the commands that follow from some of them.

Rules: a decision is stored once, by the digest of its payload, whoever sends it again; it is used once, in
the transaction that carries it out; none is deleted or altered otherwise. Who counts and whether enough
people stand behind the same words is said by `people.deciding`. The reason stands in the envelope only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.people import Decision, DecisionKind
from certificate.statements.statement import NotApplicable
from controller.errors import Code, LostRace
from controller.facts import Exit
from controller.store import deprovisions, ledger
from controller.store.columns import (
    METADATA,
    IdentifierType,
    UtcDateTime,
    counted_key,
    digest_column,
    one_of,
)
from controller.store.events import DecisionReceived, DecisionUsed

decision = Table(
    "decision",
    METADATA,
    Column("payload_digest", String(64), primary_key=True),
    Column("kind", one_of(DecisionKind, "kind"), nullable=False),
    digest_column("on_digest"),
    Column("choice", String(120), nullable=False),
    digest_column("document_digest", nullable=True),
    Column("keyid", String(60), nullable=False),
    Column("newcomer", String(64), nullable=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=True),
    Index("ix_decision_kind_on_digest", "kind", "on_digest"),
)

#: What operators commanded of one deprovision (`store.commands`), and who stands behind it.
operator_command = Table(
    "operator_command",
    METADATA,
    counted_key("number"),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
        index=True,
    ),
    Column("attempt", Integer, nullable=False),
    Column("exit", one_of(Exit, "exit"), nullable=False),
    Column("commanded_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

operator_command_signer = Table(
    "operator_command_signer",
    METADATA,
    Column("command", ForeignKey(operator_command.c.number), primary_key=True),
    Column("keyid", String(60), primary_key=True),
    Column("decision", String(64), ForeignKey(decision.c.payload_digest), nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class StoredDecision:
    """One signed decision, its signature checked by whoever stored it."""

    payload_digest: str
    kind: DecisionKind
    #: What is decided on, by digest.
    on_digest: str
    choice: str
    document_digest: str | None
    #: Of the key that verified the signature.
    keyid: str
    #: Hexadecimal public key that an `enrol` brings in.
    newcomer: str | None
    envelope: bytes
    issued_at: datetime
    effective_at: datetime
    received_at: datetime
    #: When it was carried out together with the others it needed; None before.
    used_at: datetime | None


def record(tx: Connection, *, envelope: Envelope, read: Decision, now: datetime) -> bool:
    """Whether it is new: the same decision twice is one."""
    new = insert(decision).values(
        payload_digest=envelope.payload_digest,
        kind=read.kind,
        on_digest=read.on,
        choice=read.choice,
        document_digest=_or_none(read.document_digest),
        keyid=read.operator,
        newcomer=_or_none(read.enrols),
        envelope=envelope.write(),
        issued_at=read.issued_at,
        effective_at=read.effective_at,
        received_at=now,
    )
    try:
        with tx.begin_nested():
            tx.execute(new)
    except IntegrityError:
        return False
    event = DecisionReceived(
        decision=read.kind, payload_digest=envelope.payload_digest, on_digest=read.on, keyid=read.operator
    )
    ledger.append(tx, event, now=now)
    return True


def load(tx: Connection, payload_digest: str) -> StoredDecision:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(decision).where(decision.c.payload_digest == payload_digest)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no decision has the digest {payload_digest}")
    return _decision(row)


def unused(
    tx: Connection,
    kind: DecisionKind,
    *,
    on_digest: str,
    choice: str,
    document_digest: str | None,
    issued_after: datetime,
) -> tuple[StoredDecision, ...]:
    """Those over exactly these words that were not carried out and are young enough, in order of arrival."""
    same_document = (
        decision.c.document_digest.is_(None)
        if document_digest is None
        else decision.c.document_digest == document_digest
    )
    query = select(decision).where(
        decision.c.kind == kind,
        decision.c.on_digest == on_digest,
        decision.c.choice == choice,
        same_document,
        decision.c.issued_at > issued_after,
        decision.c.used_at.is_(None),
    )
    return _found(tx, query)


def used(tx: Connection, kind: DecisionKind) -> tuple[StoredDecision, ...]:
    """Every decision of this kind that was carried out, in order of arrival."""
    return _found(tx, select(decision).where(decision.c.kind == kind, decision.c.used_at.is_not(None)))


def carried_out(tx: Connection, kind: DecisionKind, *, on_digest: str) -> tuple[StoredDecision, ...]:
    """Those of this kind over exactly this digest that were carried out, the last one last."""
    query = select(decision).where(
        decision.c.kind == kind, decision.c.on_digest == on_digest, decision.c.used_at.is_not(None)
    )
    return tuple(
        _decision(row) for row in tx.execute(query.order_by(decision.c.used_at, decision.c.payload_digest))
    )


def mark_used(tx: Connection, payload_digests: Iterable[str], *, now: datetime) -> None:
    """These were carried out now, and count for nothing else. Raises LostRace where one already was."""
    for digest in payload_digests:
        believed = (decision.c.payload_digest == digest) & decision.c.used_at.is_(None)
        if tx.execute(update(decision).where(believed).values(used_at=now)).rowcount != 1:
            raise LostRace(f"decision {digest}", "unused", 0)
        ledger.append(tx, DecisionUsed(payload_digest=digest), now=now)


def _or_none(value: str | NotApplicable) -> str | None:
    return None if value == "not_applicable" else value


def _found(tx: Connection, query: Any) -> tuple[StoredDecision, ...]:
    ordered = query.order_by(decision.c.received_at, decision.c.payload_digest)
    return tuple(_decision(row) for row in tx.execute(ordered))


def _decision(row: Row[Any]) -> StoredDecision:
    return StoredDecision(**row._mapping)
