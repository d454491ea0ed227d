"""What commands and `serve` say to each other about the record: imports, gaps, drives that left."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from certificate.identifiers import HostId, OutcomeId
from certificate.statements.statement import Count, Digest, UtcSeconds
from controller.api.documents import AssetTag, Document
from controller.records.host_file import MAX_FILE_CHARACTERS


class ImportAsked(Document):
    """A file's text. What it would change is told; applying that is a decision."""

    text: Annotated[str, Field(max_length=MAX_FILE_CHARACTERS + 1)]


class FieldChangeLine(Document):
    """One field. Customers appear by pseudonym; `old` is null where nothing was on record."""

    field: str
    old: str | None
    new: str


class HostChangeLine(Document):
    host: AssetTag
    changes: tuple[FieldChangeLine, ...]


class ImportDifference(Document):
    """What the file would do. Hosts by asset tag; those not in the file stay as they are."""

    digest: Digest
    file_digest: Digest
    added: tuple[AssetTag, ...]
    changed: tuple[HostChangeLine, ...]
    unchanged: tuple[AssetTag, ...]
    not_in_file: tuple[AssetTag, ...]


class GapLine(Document):
    """One thing that is missing or contradicts itself."""

    code: str
    reason: str
    remedy: str
    is_blocking: bool


class HostGapsLine(Document):
    host: AssetTag
    host_id: HostId
    gaps: tuple[GapLine, ...]


class HostGaps(Document):
    """Every host on record, with nothing in its list where nothing is in the way."""

    hosts: tuple[HostGapsLine, ...]


class MediumGone(Document):
    """A drive that left and was destroyed, as two operators attest. Their words are null where forgotten."""

    outcome: OutcomeId
    is_logged: bool
    method: str
    destroyed_on: str
    document_digest: Digest
    by: str | None
    witness: str | None
    place: str | None
    decisions: tuple[Digest, ...]


class MediumLeft(Document):
    """A drive that left its host. What people said of it is null where it was forgotten."""

    #: open | erased | untouched | destroyed
    standing: str
    medium: Digest
    serial: str
    model: str | None
    capacity_bytes: Count | None
    host: AssetTag
    left_at: UtcSeconds
    #: Since it left.
    age_seconds: Count
    #: Ids of tenancies whose data it may hold.
    tenancies: tuple[str, ...]
    #: Serial of the drive in its place.
    replaced_by: str | None
    removed_by: str | None
    why: str | None
    seal: str | None
    place: str | None
    #: Digests of the signed decisions.
    decisions: tuple[Digest, ...]
    destruction: MediumGone | None


class MediaRegister(Document):
    """Open exceptions first, then the newest."""

    media: tuple[MediumLeft, ...]
