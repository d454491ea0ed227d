"""The register of drives that left their host: who held what, and what may still stand on it.

Rules: a drive leaves by a recorded act of two people (checking it is the caller's) and is then no longer the
host's; the row is written once; it names the tenancies whose data nobody erased before it left; by whom, why,
under which seal and to which place are people's words, sealed as private text under the medium's commitment;
the ledger gets a digest of them. What became of the drive later is another record's to say.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy import Column, Connection, ForeignKey, Row, Table, insert, select

from certificate.errors import Refused
from certificate.identifiers import DriveId, HostId, TenancyId
from controller.errors import Code
from controller.store import hosts, ledger, private
from controller.store.append_only import refuse_changes
from controller.store.columns import METADATA, CanonicalJson, IdentifierType, UtcDateTime
from controller.store.hosts import Drive
from controller.store.private import RandomBytes
from controller.store.record_events import MediumRegistered

media_departure = Table(
    "media_departure",
    METADATA,
    Column("drive", IdentifierType(DriveId), ForeignKey(hosts.drive.c.id), primary_key=True),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), nullable=False, index=True),
    Column("left_at", UtcDateTime, nullable=False),
    Column("tenancies", CanonicalJson, nullable=False),
    Column("decisions", CanonicalJson, nullable=False),
    Column("replaced_by", IdentifierType(DriveId), ForeignKey(hosts.drive.c.id), nullable=True),
)
refuse_changes(media_departure)
_KINDS = ("removed_by", "why", "seal", "place")


@dataclass(frozen=True, kw_only=True)
class CustodyWords:
    """What people say of a departure, in their own words."""

    removed_by: str
    why: str
    seal: str
    place: str

    def named(self) -> dict[str, str]:
        """Under the kinds by which the private tables keep them."""
        return dict(zip(_KINDS, (self.removed_by, self.why, self.seal, self.place), strict=True))


@dataclass(frozen=True, kw_only=True)
class Departure:
    """One drive that left."""

    drive: Drive
    left_at: datetime
    #: Tenancies that touched it and were not brought to their end by an erasure.
    tenancies: tuple[TenancyId, ...]
    #: SHA-256 hex of the signed decisions' payloads.
    decisions: tuple[str, ...]
    replaced_by: DriveId | None


def register(
    tx: Connection,
    drive: DriveId,
    *,
    tenancies: tuple[TenancyId, ...],
    decisions: tuple[str, ...],
    replaced_by: DriveId | None,
    words: CustodyWords,
    master_key: bytes,
    random_bytes: RandomBytes,
    now: datetime,
) -> Departure:
    """The drive leaves its host. Raises LostRace when it left before."""
    gone = hosts.drive_leaves(tx, drive, now=now)
    tx.execute(
        insert(media_departure).values(
            drive=drive,
            host=gone.host,
            left_at=now,
            tenancies=[str(each) for each in tenancies],
            decisions=list(decisions),
            replaced_by=replaced_by,
        )
    )
    for kind, text in words.named().items():
        private.write(
            tx,
            subject_ref=gone.commitment,
            kind=kind,
            text=text,
            master_key=master_key,
            random_bytes=random_bytes,
            now=now,
        )
    event = MediumRegistered(
        host=gone.host,
        drive=drive,
        replaced_by=replaced_by,
        tenancies=len(tenancies),
        # Salted, because a name and a seal's number are guessed easily.
        record_digest=hashlib.sha256(rfc8785.dumps({**words.named(), "salt": gone.salt.hex()})).hexdigest(),
    )
    ledger.append(tx, event, now=now)
    return Departure(
        drive=gone, left_at=now, tenancies=tenancies, decisions=decisions, replaced_by=replaced_by
    )


def all_departures(tx: Connection) -> tuple[Departure, ...]:
    """Every drive that left, the newest first."""
    query = select(media_departure).order_by(media_departure.c.left_at.desc(), media_departure.c.drive)
    return tuple(_departure(tx, row) for row in tx.execute(query))


def of_medium(tx: Connection, commitment: str) -> Departure:
    """How this medium left. Raises Refused(NOT_IN_STORE) where it never did."""
    query = select(media_departure).join(hosts.drive, hosts.drive.c.id == media_departure.c.drive)
    row = tx.execute(query.where(hosts.drive.c.commitment == commitment)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"medium {commitment[:16]} did not leave its host")
    return _departure(tx, row)


def _departure(tx: Connection, row: Row[Any]) -> Departure:
    return Departure(
        drive=hosts.load_drive(tx, row.drive),
        left_at=row.left_at,
        tenancies=tuple(TenancyId.parse(each) for each in row.tenancies),
        decisions=tuple(row.decisions),
        replaced_by=row.replaced_by,
    )


def words_of(tx: Connection, departure: Departure, *, master_key: bytes) -> dict[str, str | None]:
    """What people said of it, by kind; None where it was forgotten."""
    return {kind: _word(tx, departure, kind, master_key) for kind in _KINDS}


def _word(tx: Connection, departure: Departure, kind: str, master_key: bytes) -> str | None:
    try:
        return private.read(tx, subject_ref=departure.drive.commitment, kind=kind, master_key=master_key)
    except Refused as refusal:
        if refusal.code is not Code.PRIVATE_SHREDDED:
            raise
        return None


def serials_left_since(tx: Connection, host_id: HostId, *, since: datetime) -> tuple[str, ...]:
    """Serials of drives that left this host at `since` or later."""
    query = select(hosts.drive.c.serial).where(hosts.drive.c.host == host_id, hosts.drive.c.left_at >= since)
    return tuple(tx.scalars(query.order_by(hosts.drive.c.serial)))
