"""Operators' keys that count no more.

Rules: a key is revoked once and never comes back; the decision that did it stands in the public log
(`revoke-key`), because it holds for the trust root's own operators, too, whom no row of ours brought in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.log.entry import LogKind
from controller.errors import Code
from controller.store import decisions, ledger, log_rows
from controller.store.append_only import refuse_changes
from controller.store.columns import METADATA, UtcDateTime, row_values
from controller.store.events import OperatorRevoked

revoked_key = Table(
    "revoked_key",
    METADATA,
    Column("keyid", String(60), primary_key=True),
    Column("decision", String(64), ForeignKey(decisions.decision.c.payload_digest), nullable=False),
    Column("log_seq", BigInteger, ForeignKey(log_rows.log_entry.c.seq), nullable=False, unique=True),
    Column("revoked_at", UtcDateTime, nullable=False),
)
refuse_changes(revoked_key)


@dataclass(frozen=True, kw_only=True)
class Revocation:
    keyid: str
    #: Payload digest of the decision.
    decision: str
    log_seq: int
    revoked_at: datetime


def record(tx: Connection, keyid: str, *, envelope: Envelope, now: datetime) -> Revocation:
    """Row, ledger event and log entry. `envelope`: the stored decision. Raises Refused(OPERATOR_REVOKED)."""
    if keyid in of_all(tx):
        raise Refused(Code.OPERATOR_REVOKED, f"{keyid} is revoked already")
    entry = log_rows.append_entry(tx, envelope=envelope, kind=LogKind.REVOKE_KEY, now=now)
    revocation = Revocation(keyid=keyid, decision=envelope.payload_digest, log_seq=entry.seq, revoked_at=now)
    try:
        tx.execute(insert(revoked_key).values(row_values(revoked_key, revocation)))
    except IntegrityError:
        raise Refused(Code.NOT_IN_STORE, "the decision to revoke is not stored") from None
    ledger.append(tx, OperatorRevoked(keyid=keyid, decision_digest=envelope.payload_digest), now=now)
    return revocation


def of_all(tx: Connection) -> dict[str, Revocation]:
    """Every revocation, by the key's fingerprint."""
    return {row.keyid: Revocation(**row._mapping) for row in tx.execute(select(revoked_key))}
