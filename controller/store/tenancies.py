"""Tenancies: the only way from a subscription to a host.

Rules: what a source asserts is a row, never overwritten except for its end; every change stamps `changed_at`,
because an answer counts only if it was asked after it (DESIGN.md, rule 2); subscription and tenant stand here
as keyed pseudonyms, their plain names are private text; `ends_at` is a date and decides nothing. A tenancy
has one allocation receipt, signed outside and logged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import HostId, TenancyId
from certificate.log.entry import LogKind
from controller.errors import Code, LostRace
from controller.store import hosts, ledger, log_rows, observations
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, digest_column, row_values
from controller.store.events import AllocationIssued, TenancyEndChanged, TenancyRecorded

tenancy = Table(
    "tenancy",
    METADATA,
    Column("id", IdentifierType(TenancyId), primary_key=True),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), nullable=False, index=True),
    Column("subscription_ref", String(64), nullable=False, index=True),
    digest_column("tenancy_ref", unique=True),
    digest_column("tenant_ref", nullable=True),
    Column("data_class", String(120), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=True),
    Column("asserted_by", String(120), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    UniqueConstraint("host", "subscription_ref", "starts_at"),
)

allocation = Table(
    "allocation",
    METADATA,
    Column("tenancy", IdentifierType(TenancyId), ForeignKey(tenancy.c.id), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    digest_column("payload_digest"),
    Column("log_seq", BigInteger, ForeignKey(log_rows.log_entry.c.seq), nullable=False, unique=True),
)


@dataclass(frozen=True, kw_only=True)
class Tenancy:
    """One host let to one subscription, as a source asserts it."""

    id: TenancyId
    host: HostId
    #: Keyed pseudonyms, 64 hexadecimal digits.
    subscription_ref: str
    tenancy_ref: str
    tenant_ref: str | None
    data_class: str
    starts_at: datetime
    #: As the source gives it; None where it names no end. A date only.
    ends_at: datetime | None
    #: Name of the source.
    asserted_by: str
    recorded_at: datetime
    #: When one of these facts last changed here.
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredAllocation:
    tenancy: TenancyId
    #: The signed envelope's file bytes.
    envelope: bytes
    payload_digest: str
    log_seq: int


def record(tx: Connection, new: Tenancy, *, now: datetime) -> None:
    """A tenancy that was not on record. Raises Refused(ALREADY_STORED) for one that is, or an unknown
    host.
    """
    try:
        with tx.begin_nested():
            tx.execute(insert(tenancy).values(row_values(tenancy, new)))
    except IntegrityError:
        raise Refused(Code.ALREADY_STORED, f"{new.id} is on record, or its host is not") from None
    event = TenancyRecorded(
        tenancy=new.id,
        host=new.host,
        subscription_ref=new.subscription_ref,
        tenancy_ref=new.tenancy_ref,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
    )
    ledger.append(tx, event, now=now)


def change_end(
    tx: Connection, key: TenancyId, *, old: datetime | None, new: datetime | None, now: datetime
) -> None:
    """The source names another end than on record. Raises LostRace."""
    was = tenancy.c.ends_at.is_(None) if old is None else tenancy.c.ends_at == old
    changed_at = observations.stamp(tx, now)
    changed = update(tenancy).where((tenancy.c.id == key) & was).values(ends_at=new, changed_at=changed_at)
    if tx.execute(changed).rowcount != 1:
        raise LostRace(key, str(old), 0)
    ledger.append(tx, TenancyEndChanged(tenancy=key, ends_at=new), now=now)


def load(tx: Connection, key: TenancyId) -> Tenancy:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(tenancy).where(tenancy.c.id == key)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no tenancy is called {key}")
    return Tenancy(**row._mapping)


def of_host(tx: Connection, host_id: HostId) -> tuple[Tenancy, ...]:
    """Every tenancy of the host, oldest first."""
    return _found(tx, tenancy.c.host == host_id)


def of_subscription(tx: Connection, subscription_ref: str) -> tuple[Tenancy, ...]:
    """Every tenancy under this subscription, oldest first."""
    return _found(tx, tenancy.c.subscription_ref == subscription_ref)


def customer_refs(tx: Connection, host: hosts.Host) -> frozenset[str]:
    """The pseudonym of everybody whom the host belongs to, is or was let to, as far as it is on record."""
    refs = {host.customer_ref, *(found.tenant_ref for found in of_host(tx, host.id))}
    return frozenset(ref for ref in refs if ref is not None)


def issue_allocation(
    tx: Connection, key: TenancyId, *, envelope: Envelope, now: datetime
) -> StoredAllocation:
    """The signed receipt of what was handed over: row, ledger event, log entry. Raises
    Refused(ALREADY_STORED).
    """
    if allocation_of(tx, key) is not None:
        raise Refused(Code.ALREADY_STORED, f"{key} has its allocation")
    entry = log_rows.append_entry(tx, envelope=envelope, kind=LogKind.ALLOCATION, now=now)
    issued = StoredAllocation(
        tenancy=key,
        envelope=envelope.write(),
        payload_digest=envelope.payload_digest,
        log_seq=entry.seq,
    )
    tx.execute(insert(allocation).values(row_values(allocation, issued)))
    ledger.append(tx, AllocationIssued(tenancy=key, payload_digest=envelope.payload_digest), now=now)
    return issued


def allocation_of(tx: Connection, key: TenancyId) -> StoredAllocation | None:
    row = tx.execute(select(allocation).where(allocation.c.tenancy == key)).one_or_none()
    return None if row is None else StoredAllocation(**row._mapping)


def _found(tx: Connection, condition: Any) -> tuple[Tenancy, ...]:
    query = select(tenancy).where(condition).order_by(tenancy.c.starts_at, tenancy.c.id)
    return tuple(Tenancy(**row._mapping) for row in tx.execute(query))
