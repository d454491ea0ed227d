"""Hosts: where each stands, how its agent is reached, what identifies it, and the drives it is known to hold.

Rules: a host without recorded drives is not planned, so drives carry the basis on which they are known; a
drive is never changed in place, and one that is seen during a tenancy is a new row; a drive that left stays
as a row and is no longer the host's (`departures`); salts are drawn once and handed in, because documents
name hosts and media only by commitment. Serials and identifying facts stay in these tables: the ledger gets
commitments. A change names what was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
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
from sqlalchemy.exc import IntegrityError

from certificate.commitment import medium_commitment
from certificate.errors import Refused
from certificate.identifiers import DriveId, HostId
from certificate.statements.vocabulary import HostFactKind
from controller.errors import Code, LostRace
from controller.facts import Disposition
from controller.store import ledger
from controller.store.columns import (
    METADATA,
    CanonicalJson,
    IdentifierType,
    UtcDateTime,
    digest_column,
    one_of,
    row_values,
)
from controller.store.events import DispositionDeclared, DriveRecorded, HostRegistered
from controller.store.record_events import DriveLeft, HostFactChanged, HostFieldChanged


class DriveBasis(StrEnum):
    """How a drive came to be on record."""

    #: The provider's own list.
    DECLARED = "declared"
    #: An inventory before the host was let.
    INTAKE = "intake"
    #: Seen while a tenancy ran: a swap, or a hot-plugged drive.
    OBSERVED_DURING_TENANCY = "observed_during_tenancy"


host = Table(
    "host",
    METADATA,
    Column("id", IdentifierType(HostId), primary_key=True),
    Column("asset_tag", String(120), nullable=False, unique=True),
    Column("site", String(120), nullable=False),
    Column("rack", String(120), nullable=False),
    Column("data_class", String(120), nullable=False),
    Column("disposition", one_of(Disposition, "disposition"), nullable=False),
    digest_column("customer_ref", nullable=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("address", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("boot_parameters", CanonicalJson, nullable=False),
    Column("quarantine_parameters", CanonicalJson, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
)

host_fact = Table(
    "host_fact",
    METADATA,
    Column("host", IdentifierType(HostId), ForeignKey(host.c.id), primary_key=True),
    Column("kind", one_of(HostFactKind, "kind"), primary_key=True),
    Column("value", String(2000), nullable=False, index=True),
)

drive = Table(
    "drive",
    METADATA,
    Column("id", IdentifierType(DriveId), primary_key=True),
    Column("host", IdentifierType(HostId), ForeignKey(host.c.id), nullable=False),
    Column("serial", String(200), nullable=False, index=True),
    Column("salt", LargeBinary(32), nullable=False),
    digest_column("commitment", unique=True),
    Column("basis", one_of(DriveBasis, "basis"), nullable=False),
    Column("model", String(120), nullable=True),
    Column("capacity_bytes", BigInteger, nullable=True),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime, nullable=True),
)

_IS_IN_THE_HOST = drive.c.left_at.is_(None)
Index(
    "uq_drive_in_host",
    drive.c.host,
    drive.c.serial,
    unique=True,
    sqlite_where=_IS_IN_THE_HOST,
    postgresql_where=_IS_IN_THE_HOST,
)


class HostField(StrEnum):
    """What of a host's record an import may change. Facts and drives have functions of their own."""

    SITE = "site"
    RACK = "rack"
    CUSTOMER = "customer_ref"
    DATA_CLASS = "data_class"
    ADDRESS = "address"
    PORT = "port"
    BOOT_PARAMETERS = "boot_parameters"
    QUARANTINE_PARAMETERS = "quarantine_parameters"


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host as the provider declared it."""

    id: HostId
    #: The provider's own name for the machine; unique.
    asset_tag: str
    site: str
    rack: str
    #: Default for its tenancies.
    data_class: str
    disposition: Disposition
    #: Keyed pseudonym of who it belongs to or is let to, where known; the name is private text.
    customer_ref: str | None
    #: 32 bytes: the salt of every fact commitment of this host.
    salt: bytes
    #: Where the agent's channel answers once the erase environment runs.
    address: str
    port: int
    #: What the boot driver needs for this host (JSON object).
    boot_parameters: Mapping[str, Any]
    #: What the quarantine driver needs for this host (JSON object).
    quarantine_parameters: Mapping[str, Any]
    registered_at: datetime


@dataclass(frozen=True, kw_only=True)
class HostFact:
    """One identifying fact, in clear."""

    kind: HostFactKind
    value: str


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A drive on record for a host."""

    id: DriveId
    host: HostId
    #: Plain; never leaves these tables and the annex.
    serial: str
    #: 32 bytes.
    salt: bytes
    #: SHA-256("media/v1" || salt || serial), hexadecimal.
    commitment: str
    basis: DriveBasis
    model: str | None
    capacity_bytes: int | None
    recorded_at: datetime
    #: None while it is in the host.
    left_at: datetime | None


def register(tx: Connection, new: Host, *, facts: tuple[HostFact, ...], now: datetime) -> None:
    """A new host. Raises Refused(ALREADY_STORED) for an id or asset tag that is taken."""
    _insert(tx, host, row_values(host, new), f"host {new.asset_tag}")
    for fact in facts:
        tx.execute(insert(host_fact).values(host=new.id, kind=fact.kind, value=fact.value))
    ledger.append(tx, HostRegistered(host=new.id, disposition=new.disposition), now=now)


def record_drive(
    tx: Connection,
    *,
    id: DriveId,
    host_id: HostId,
    serial: str,
    salt: bytes,
    basis: DriveBasis,
    model: str | None,
    capacity_bytes: int | None,
    now: datetime,
) -> Drive:
    """A drive of a known host. Raises Refused(ALREADY_STORED) when the host has one of that serial."""
    new = Drive(
        id=id,
        host=host_id,
        serial=serial,
        salt=salt,
        commitment=medium_commitment(salt=salt, serial=serial),
        basis=basis,
        model=model,
        capacity_bytes=capacity_bytes,
        recorded_at=now,
        left_at=None,
    )
    _insert(tx, drive, row_values(drive, new), f"that drive of {host_id}")
    event = DriveRecorded(host=host_id, drive=id, commitment=new.commitment, basis=basis)
    ledger.append(tx, event, now=now)
    return new


def declare_disposition(
    tx: Connection, host_id: HostId, *, old: Disposition, new: Disposition, now: datetime
) -> None:
    """Whether two operators declared it is the caller's to know. Raises LostRace."""
    believed = (host.c.id == host_id) & (host.c.disposition == old)
    if tx.execute(update(host).where(believed).values(disposition=new)).rowcount != 1:
        raise LostRace(host_id, old, 0)
    ledger.append(tx, DispositionDeclared(host=host_id, old=old, new=new), now=now)


def change(tx: Connection, host_id: HostId, field: HostField, *, old: Any, new: Any, now: datetime) -> None:
    """One field, from what it was believed to be. Raises LostRace."""
    column = host.c[field.value]
    was = column.is_(None) if old is None else column == old
    if tx.execute(update(host).where((host.c.id == host_id) & was).values({column: new})).rowcount != 1:
        raise LostRace(host_id, field, 0)
    ledger.append(tx, HostFieldChanged(host=host_id, field=field), now=now)


def change_fact(
    tx: Connection, host_id: HostId, fact_kind: HostFactKind, *, old: str | None, new: str, now: datetime
) -> None:
    """One identifying fact; `old` is None for a kind that was not on record. Raises LostRace."""
    believed = (host_fact.c.host == host_id) & (host_fact.c.kind == fact_kind)
    if old is None:
        _insert(tx, host_fact, {"host": host_id, "kind": fact_kind, "value": new}, f"{fact_kind}")
    elif (
        tx.execute(update(host_fact).where(believed & (host_fact.c.value == old)).values(value=new)).rowcount
        != 1
    ):
        raise LostRace(host_id, fact_kind, 0)
    ledger.append(tx, HostFactChanged(host=host_id, fact=fact_kind, is_new=old is None), now=now)


def drive_leaves(tx: Connection, key: DriveId, *, now: datetime) -> Drive:
    """The drive is no longer the host's; its row stays. Raises LostRace when it left before, or never was."""
    believed = (drive.c.id == key) & _IS_IN_THE_HOST
    if tx.execute(update(drive).where(believed).values(left_at=now)).rowcount != 1:
        raise LostRace(key, "in the host", 0)
    gone = load_drive(tx, key)
    ledger.append(tx, DriveLeft(host=gone.host, drive=key, commitment=gone.commitment), now=now)
    return gone


def load(tx: Connection, host_id: HostId) -> Host:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(host).where(host.c.id == host_id)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no host is called {host_id}")
    return _host(row)


def by_asset_tag(tx: Connection, asset_tag: str) -> Host | None:
    row = tx.execute(select(host).where(host.c.asset_tag == asset_tag)).one_or_none()
    return None if row is None else _host(row)


def all_hosts(tx: Connection) -> tuple[Host, ...]:
    """Every host, by asset tag."""
    return tuple(_host(row) for row in tx.execute(select(host).order_by(host.c.asset_tag)))


def count(tx: Connection) -> int:
    """How many hosts are on record."""
    return tx.scalar(select(func.count()).select_from(host)) or 0


def facts_of(tx: Connection, host_id: HostId) -> tuple[HostFact, ...]:
    """The identifying facts on record, by kind."""
    query = select(host_fact.c.kind, host_fact.c.value).where(host_fact.c.host == host_id)
    return tuple(HostFact(**row._mapping) for row in tx.execute(query.order_by(host_fact.c.kind)))


def hosts_with_fact(tx: Connection, fact: HostFact) -> tuple[HostId, ...]:
    """Which hosts claim this very fact: with two it identifies none of them."""
    query = select(host_fact.c.host).where(host_fact.c.kind == fact.kind, host_fact.c.value == fact.value)
    return tuple(tx.scalars(query.order_by(host_fact.c.host)))


def drives_of(tx: Connection, host_id: HostId) -> tuple[Drive, ...]:
    """Every drive that is on record as being in the host, by commitment."""
    query = select(drive).where(drive.c.host == host_id, _IS_IN_THE_HOST).order_by(drive.c.commitment)
    return tuple(Drive(**row._mapping) for row in tx.execute(query))


def present_of_serial(tx: Connection, serial: str) -> tuple[Drive, ...]:
    """Every drive of this serial that is on record as being in a host, by host: with two, one record is
    wrong. As the record has it, character for character.
    """
    query = select(drive).where(drive.c.serial == serial, _IS_IN_THE_HOST).order_by(drive.c.host)
    return tuple(Drive(**row._mapping) for row in tx.execute(query))


def serials_of(tx: Connection, host_id: HostId) -> tuple[str, ...]:
    """Of every drive that ever was on record for the host, in it or gone. Plain."""
    query = select(drive.c.serial).where(drive.c.host == host_id).order_by(drive.c.serial)
    return tuple(tx.scalars(query))


def load_drive(tx: Connection, key: DriveId) -> Drive:
    """In the host or gone. Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(drive).where(drive.c.id == key)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no drive is called {key}")
    return Drive(**row._mapping)


def drive_left_at(tx: Connection, host_id: HostId) -> datetime | None:
    """When a drive last left the host; None where none ever did."""
    newest: datetime | None = tx.scalar(select(func.max(drive.c.left_at)).where(drive.c.host == host_id))
    return newest


def _insert(tx: Connection, table: Table, values: dict[str, Any], what: str) -> None:
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(values))
    except IntegrityError:
        raise Refused(Code.ALREADY_STORED, f"{what} is on record, or names a host that is not") from None


def _host(row: Row[Any]) -> Host:
    return Host(**row._mapping)
