"""Where what is known of a host comes from: asserted by the provider, or seen on the machine.

Rules: a sighting never changes the record; it stands beside it, and a difference is shown to people. What an
inventory shows is kept with the first and the last time it was seen; one inventory has one instant, so that
what was seen last is what stands at the newest instant. Only a boot that the tenant could not shape counts as
trusted; who decides that is `effects.inspect`. An asserted field remembers the digest of what asserted it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, String, Table, and_, func, insert, select, update

from certificate.identifiers import HostId
from certificate.statements.vocabulary import HostFactKind
from controller.store import hosts, ledger
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, digest_column, one_of
from controller.store.hosts import HostFact
from controller.store.record_events import HostSighted


class Provenance(StrEnum):
    """How a field of a host's record, or a sight of the host, came to us; the weakest first."""

    #: The provider's own word: `hosts add`, an import.
    ASSERTED = "asserted"
    #: The management controller said so.
    SEEN_BY_BMC = "seen_by_bmc"
    #: An agent of ours said so, in a boot that the tenant could not shape.
    SEEN_IN_TRUSTED_BOOT = "seen_in_trusted_boot"


fact_sighting = Table(
    "host_fact_sighting",
    METADATA,
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), primary_key=True),
    Column("kind", one_of(HostFactKind, "kind"), primary_key=True),
    Column("value", String(2000), primary_key=True),
    Column("provenance", one_of(Provenance, "provenance"), primary_key=True),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
)

drive_sighting = Table(
    "drive_sighting",
    METADATA,
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), primary_key=True),
    Column("serial", String(200), primary_key=True),
    Column("provenance", one_of(Provenance, "provenance"), primary_key=True),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
)

field_provenance = Table(
    "host_field_provenance",
    METADATA,
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), primary_key=True),
    Column("field", String(60), primary_key=True),
    Column("provenance", one_of(Provenance, "provenance"), nullable=False),
    digest_column("source_digest"),
    Column("at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the newest look at a host in a trusted boot showed."""

    at: datetime
    facts: tuple[HostFact, ...]
    #: Serials; plain, so they stay in these tables and in answers to operators.
    drives: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FieldProvenance:
    """Where one plain field of a host's record comes from."""

    field: str
    provenance: Provenance
    #: SHA-256 of what asserted it: a file, an operator's entry.
    source_digest: str
    at: datetime


def record(
    tx: Connection,
    host_id: HostId,
    *,
    provenance: Provenance,
    facts: tuple[HostFact, ...],
    drives: tuple[str, ...],
    now: datetime,
) -> None:
    """What one look at the host showed. News is a ledger event, repetition is not."""
    new_facts = [
        fact
        for fact in facts
        if _see(tx, fact_sighting, _of(host_id, provenance, kind=fact.kind, value=fact.value), now)
    ]
    new_drives = [
        serial
        for serial in sorted(set(drives))
        if _see(tx, drive_sighting, _of(host_id, provenance, serial=serial), now)
    ]
    if new_facts or new_drives:
        event = HostSighted(
            host=host_id, provenance=provenance, new_facts=len(new_facts), new_drives=len(new_drives)
        )
        ledger.append(tx, event, now=now)


def seen_in_trusted_boot(tx: Connection, host_id: HostId) -> Seen | None:
    """The newest look; None before the first."""
    trusted = Provenance.SEEN_IN_TRUSTED_BOOT
    newest = [
        tx.scalar(
            select(func.max(table.c.last_seen_at)).where(
                table.c.host == host_id, table.c.provenance == trusted
            )
        )
        for table in (fact_sighting, drive_sighting)
    ]
    at = max((instant for instant in newest if instant is not None), default=None)
    if at is None:
        return None

    def then(table: Table) -> Any:
        return and_(table.c.host == host_id, table.c.provenance == trusted, table.c.last_seen_at == at)

    kinds = select(fact_sighting.c.kind, fact_sighting.c.value).where(then(fact_sighting))
    serials = select(drive_sighting.c.serial).where(then(drive_sighting)).order_by(drive_sighting.c.serial)
    return Seen(
        at=at,
        facts=tuple(HostFact(**row._mapping) for row in tx.execute(kinds.order_by(fact_sighting.c.kind))),
        drives=tuple(tx.scalars(serials)),
    )


def facts_of(tx: Connection, host_id: HostId) -> tuple[HostFact, ...]:
    """Every identifying fact that any look at the host ever showed."""
    columns = (fact_sighting.c.kind, fact_sighting.c.value)
    query = select(*columns).where(fact_sighting.c.host == host_id).distinct().order_by(*columns)
    return tuple(HostFact(**row._mapping) for row in tx.execute(query))


def serials_of(tx: Connection, host_id: HostId) -> tuple[str, ...]:
    """Of every drive that any look at the host ever showed. Plain."""
    serial = drive_sighting.c.serial
    query = select(serial).where(drive_sighting.c.host == host_id).distinct().order_by(serial)
    return tuple(tx.scalars(query))


def assert_fields(
    tx: Connection, host_id: HostId, fields: tuple[str, ...], *, source_digest: str, now: datetime
) -> None:
    """These fields are the provider's word from now on, by what `source_digest` names."""
    values = {"provenance": Provenance.ASSERTED, "source_digest": source_digest, "at": now}
    for field in fields:
        place = (field_provenance.c.host == host_id) & (field_provenance.c.field == field)
        if not tx.execute(update(field_provenance).where(place).values(values)).rowcount:
            tx.execute(insert(field_provenance).values(host=host_id, field=field, **values))


def provenance_of(tx: Connection, host_id: HostId) -> tuple[FieldProvenance, ...]:
    """Of every asserted field, by name."""
    columns = [column for column in field_provenance.c if column.name != "host"]
    query = select(*columns).where(field_provenance.c.host == host_id).order_by(field_provenance.c.field)
    return tuple(FieldProvenance(**row._mapping) for row in tx.execute(query))


def _of(host_id: HostId, provenance: Provenance, **key: Any) -> dict[str, Any]:
    return {"host": host_id, "provenance": provenance, **key}


def _see(tx: Connection, table: Table, key: dict[str, Any], now: datetime) -> bool:
    """Whether it was never seen before."""
    place = and_(*(table.c[name] == value for name, value in key.items()))
    if tx.execute(update(table).where(place).values(last_seen_at=now)).rowcount:
        return False
    tx.execute(insert(table).values(**key, first_seen_at=now, last_seen_at=now))
    return True
