"""What the ledger remembers of the record of hosts: imports, changes, sightings, drives that left.

Rules: those of `events`, of which this is a part with a room of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from certificate.identifiers import DriveId, HostId, OutcomeId
from controller.store.events import Event


@dataclass(frozen=True, kw_only=True)
class HostsImported(Event):
    """A file of hosts was applied: which one, and which difference to the record people had read."""

    kind = "hosts-imported"
    file_digest: str
    diff_digest: str
    added: int
    changed: int


@dataclass(frozen=True, kw_only=True)
class HostFieldChanged(Event):
    kind = "host-field-changed"
    host: HostId
    field: StrEnum


@dataclass(frozen=True, kw_only=True)
class HostFactChanged(Event):
    kind = "host-fact-changed"
    host: HostId
    fact: StrEnum
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class HostSighted(Event):
    """An inventory showed facts or drives of the host that were not seen on it before."""

    kind = "host-sighted"
    host: HostId
    provenance: StrEnum
    new_facts: int
    new_drives: int


@dataclass(frozen=True, kw_only=True)
class DriveLeft(Event):
    kind = "drive-left"
    host: HostId
    drive: DriveId
    commitment: str


@dataclass(frozen=True, kw_only=True)
class MediumDestroyed(Event):
    """Two operators attest that a drive that left was destroyed; where and by whom is private text."""

    kind = "medium-destroyed"
    drive: DriveId
    outcome: OutcomeId
    method: StrEnum
    document_digest: str
    record_digest: str


@dataclass(frozen=True, kw_only=True)
class MediumRegistered(Event):
    """A drive that left stands in the register; by whom and why is private text."""

    kind = "medium-registered"
    host: HostId
    drive: DriveId
    replaced_by: DriveId | None
    tenancies: int
    record_digest: str
