"""Evidence as the agent signed it, and the verdict computed from it.

Rules: one evidence an order, stored whole with its annex, the order answered `done` in the same transaction;
the same again is no news, another one is refused. Verdicts come for all media of an order at once, and once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, LargeBinary, String, Table, insert, select

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, OrderId
from certificate.statements.vocabulary import Result, ValidationDecision
from controller.errors import Code
from controller.store import ledger, orders
from controller.store.columns import (
    METADATA,
    CanonicalJson,
    IdentifierType,
    UtcDateTime,
    digest_column,
    one_of,
    row_values,
)
from controller.store.events import EvidenceReceived, VerdictsComputed

evidence = Table(
    "evidence",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(orders.order.c.id), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    digest_column("payload_digest"),
    Column("annex", LargeBinary, nullable=False),
    digest_column("annex_digest"),
    Column("received_at", UtcDateTime, nullable=False),
)

verdict = Table(
    "verdict",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(evidence.c.erase_order), primary_key=True),
    Column("medium", String(64), primary_key=True),
    Column("result", one_of(Result, "result"), nullable=False),
    Column("decision", one_of(ValidationDecision, "decision"), nullable=False),
    Column("claim", CanonicalJson, nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class StoredEvidence:
    erase_order: OrderId
    #: The signed envelope's bytes.
    envelope: bytes
    payload_digest: str
    #: Salts, serials and raw pages; never leaves for a bundle.
    annex: bytes
    #: SHA-256 of those bytes, hexadecimal.
    annex_digest: str
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `assurance` and the validation table say of one medium."""

    #: Commitment of the medium.
    medium: str
    result: Result
    decision: ValidationDecision
    #: The claim as JSON (`Claim.model_dump(mode="json")`).
    claim: Mapping[str, Any]


def receive(
    tx: Connection, key: OrderId, *, envelope: Envelope, annex: bytes, now: datetime
) -> StoredEvidence:
    """Keeps what the agent sent, its signature checked by the caller, and answers the order `done`.

    Raises Refused(ALREADY_STORED) for other evidence of the same order, LostRace unless it is dispatched.
    """
    known = of_order(tx, key)
    if known is not None:
        if (known.envelope, known.annex) != (envelope.write(), annex):
            raise Refused(Code.ALREADY_STORED, f"{key} has other evidence")
        return known
    owner = orders.answer_done(tx, key, now=now)
    new = StoredEvidence(
        erase_order=key,
        envelope=envelope.write(),
        payload_digest=envelope.payload_digest,
        annex=annex,
        annex_digest=hashlib.sha256(annex).hexdigest(),
        received_at=now,
    )
    tx.execute(insert(evidence).values(row_values(evidence, new)))
    event = EvidenceReceived(
        deprovision=owner.deprovision,
        order=key,
        payload_digest=new.payload_digest,
        annex_digest=new.annex_digest,
    )
    ledger.append(tx, event, now=now)
    return new


def of_order(tx: Connection, key: OrderId) -> StoredEvidence | None:
    row = tx.execute(select(evidence).where(evidence.c.erase_order == key)).one_or_none()
    return None if row is None else StoredEvidence(**row._mapping)


def of_deprovision(tx: Connection, key: DeprovisionId) -> tuple[StoredEvidence, ...]:
    """Every evidence in every attempt, in the order of the orders' fences."""
    query = select(evidence).join(orders.order, orders.order.c.id == evidence.c.erase_order)
    rows = tx.execute(query.where(orders.order.c.deprovision == key).order_by(orders.order.c.fence))
    return tuple(StoredEvidence(**row._mapping) for row in rows)


def record_verdicts(
    tx: Connection, key: OrderId, verdicts: Sequence[Verdict], *, now: datetime
) -> tuple[Verdict, ...]:
    """The verdicts of every medium of the order. Recomputing the same ones changes nothing; others are
    refused (ALREADY_STORED), and so are none at all (ValueError).
    """
    if not verdicts:
        raise ValueError("over no media every verdict would hold")
    ordered = tuple(sorted(verdicts, key=lambda one: one.medium))
    if known := verdicts_of(tx, key):
        if known != ordered:
            raise Refused(Code.ALREADY_STORED, f"{key} has other verdicts")
        return known
    for one in ordered:
        tx.execute(
            insert(verdict).values(
                erase_order=key,
                medium=one.medium,
                result=one.result,
                decision=one.decision,
                claim=dict(one.claim),
                computed_at=now,
            )
        )
    event = VerdictsComputed(
        deprovision=orders.load(tx, key).deprovision,
        order=key,
        media=len(ordered),
        accepted=sum(one.decision is ValidationDecision.ACCEPT for one in ordered),
    )
    ledger.append(tx, event, now=now)
    return ordered


def verdicts_of(tx: Connection, key: OrderId) -> tuple[Verdict, ...]:
    """By medium; empty until they are computed."""
    columns = (verdict.c.medium, verdict.c.result, verdict.c.decision, verdict.c.claim)
    query = select(*columns).where(verdict.c.erase_order == key).order_by(verdict.c.medium)
    return tuple(Verdict(**row._mapping) for row in tx.execute(query))
