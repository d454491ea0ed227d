"""Plans and the approvals of them.

Rules: a plan is its canonical text and the digest of exactly that text; making the same plan again for the
same attempt changes nothing; the newest of an attempt is the present one. An approval is stored once, for one
plan digest *in one attempt*: an attempt dispatches at most one order (`store.orders`), so an approval is used
by one dispatch at most, and a `retry` needs new ones even where its plan comes out the same. Whether it
counts (enrolled key, distinct people, in time) is said by `people.counting` and the guards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Code
from controller.store import deprovisions, ledger
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, counted_key, digest_column
from controller.store.events import ApprovalReceived, PlanMade

plan = Table(
    "plan",
    METADATA,
    counted_key("number"),
    Column(
        "deprovision",
        IdentifierType(DeprovisionId),
        ForeignKey(deprovisions.deprovision.c.id),
        nullable=False,
    ),
    Column("attempt", Integer, nullable=False),
    digest_column("digest"),
    digest_column("boot_id"),
    Column("text", LargeBinary, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Index("ix_plan_deprovision_attempt", "deprovision", "attempt"),
    sqlite_autoincrement=True,
)

approval = Table(
    "approval",
    METADATA,
    Column("payload_digest", String(64), primary_key=True),
    Column("deprovision", IdentifierType(DeprovisionId), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    digest_column("plan_digest"),
    Column("keyid", String(60), nullable=False),
    Column("is_request", Boolean(name="is_request", create_constraint=True), nullable=False),
    digest_column("request_digest", nullable=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class StoredPlan:
    """A plan as people approve it."""

    number: int
    deprovision: DeprovisionId
    attempt: int
    #: SHA-256 of `text`, hexadecimal.
    digest: str
    boot_id: str
    #: RFC 8785 bytes (`Plan.canonical`).
    text: bytes
    made_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredApproval:
    """A request or yes to one plan digest, its signature checked by whoever stored it."""

    payload_digest: str
    deprovision: DeprovisionId
    #: The attempt for which it was given.
    attempt: int
    plan_digest: str
    keyid: str
    is_request: bool
    #: Payload digest of the request that a yes answers; None in a request and where there was none.
    request_digest: str | None
    envelope: bytes
    expires_at: datetime
    received_at: datetime


def record(
    tx: Connection, key: DeprovisionId, *, attempt: int, text: bytes, boot_id: str, now: datetime
) -> StoredPlan:
    """The plan of this attempt. The present one again is returned as it is."""
    digest = hashlib.sha256(text).hexdigest()
    present = current(tx, key, attempt=attempt)
    if present is not None and present.digest == digest:
        return present
    tx.execute(
        insert(plan).values(
            deprovision=key, attempt=attempt, digest=digest, boot_id=boot_id, text=text, made_at=now
        )
    )
    event = PlanMade(deprovision=key, attempt=attempt, plan_digest=digest, boot_id=boot_id)
    ledger.append(tx, event, now=now)
    made = current(tx, key, attempt=attempt)
    if made is None:
        raise Refused(Code.NOT_IN_STORE, f"{key} has no plan")
    return made


def current(tx: Connection, key: DeprovisionId, *, attempt: int) -> StoredPlan | None:
    """The newest plan of this attempt; None before the first."""
    query = select(plan).where(plan.c.deprovision == key, plan.c.attempt == attempt)
    row = tx.execute(query.order_by(plan.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else StoredPlan(**row._mapping)


def record_approval(
    tx: Connection,
    key: DeprovisionId,
    *,
    attempt: int,
    envelope: Envelope,
    plan_digest: str,
    keyid: str,
    is_request: bool,
    request_digest: str | None,
    expires_at: datetime,
    now: datetime,
) -> bool:
    """Whether it is new: the same approval twice is one. `keyid` is of the key that verified it."""
    new = insert(approval).values(
        payload_digest=envelope.payload_digest,
        deprovision=key,
        attempt=attempt,
        plan_digest=plan_digest,
        keyid=keyid,
        is_request=is_request,
        request_digest=request_digest,
        envelope=envelope.write(),
        expires_at=expires_at,
        received_at=now,
    )
    try:
        with tx.begin_nested():
            tx.execute(new)
    except IntegrityError:
        return False
    event = ApprovalReceived(
        deprovision=key,
        plan_digest=plan_digest,
        payload_digest=envelope.payload_digest,
        keyid=keyid,
        is_request=is_request,
    )
    ledger.append(tx, event, now=now)
    return True


def approvals_of(
    tx: Connection, key: DeprovisionId, *, attempt: int, plan_digest: str
) -> tuple[StoredApproval, ...]:
    """Every request and yes for this very plan in this attempt, in order of arrival."""
    query = select(approval).where(
        approval.c.deprovision == key,
        approval.c.attempt == attempt,
        approval.c.plan_digest == plan_digest,
    )
    rows = tx.execute(query.order_by(approval.c.received_at, approval.c.payload_digest))
    return tuple(StoredApproval(**row._mapping) for row in rows)


def approval_by_digest(tx: Connection, payload_digest: str) -> StoredApproval | None:
    """The request or yes of this digest; None where none is stored."""
    row = tx.execute(select(approval).where(approval.c.payload_digest == payload_digest)).one_or_none()
    return None if row is None else StoredApproval(**row._mapping)


def by_digest(tx: Connection, digest: str) -> StoredPlan | None:
    """The newest plan of this digest; None where there never was one."""
    query = select(plan).where(plan.c.digest == digest).order_by(plan.c.number.desc()).limit(1)
    row = tx.execute(query).one_or_none()
    return None if row is None else StoredPlan(**row._mapping)
