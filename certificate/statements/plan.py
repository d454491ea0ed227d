"""The plan: what would be destroyed, how, and what is expected of it. Canonical and unsigned.

People approve its digest: SHA-256 of RFC 8785 of exactly these fields. No times, salts, approvals, token or
fence, so the same intention has the same digest; but `boot_id`, so that a reboot voids approvals (FORMATS.md,
"Plan digest").
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from certificate.identifiers import DeprovisionId
from certificate.statements.medium import MAX_LAYERS
from certificate.statements.statement import (
    Count,
    Digest,
    Model,
    NotApplicable,
    NotObserved,
    SchemaOne,
    Word,
)
from certificate.statements.vocabulary import (
    Attachment,
    LayerKind,
    MediaKind,
    Method,
    OverwritePattern,
    ReadBackMode,
    ResidueName,
    Technique,
    Transport,
)


class PlannedLayer(Model):
    """An encryption layer on a medium, whose keys are destroyed before the medium's own technique begins."""

    kind: LayerKind
    nsid: Annotated[int, Field(ge=1)]
    #: Where its first header lies, from the start of that namespace.
    offset_bytes: Count


class PlannedMedium(Model):
    commitment: Digest
    transport: Transport
    attachment: Attachment
    kind: MediaKind
    capacity_bytes: Count | NotObserved
    firmware: Word | NotObserved
    #: Best first; the agent computes the same list from what the drive says at admission, or refuses.
    techniques: Annotated[tuple[Technique, ...], Field(min_length=1, max_length=10)]
    #: Ascending by namespace and offset.
    layers: Annotated[tuple[PlannedLayer, ...], Field(max_length=MAX_LAYERS)]


class Plan(Model):
    schema_version: SchemaOne
    deprovision: DeprovisionId
    #: The tenancy's keyed pseudonym; `not_applicable` for a host that never had one (stock, internal).
    tenancy_ref: Digest | NotApplicable
    host_commitment: Digest
    boot_id: Digest
    media: Annotated[tuple[PlannedMedium, ...], Field(min_length=1, max_length=200)]
    floor: Literal[Method.CLEAR, Method.PURGE]
    data_class: Word
    #: Of an overwrite, if one is planned: what is written, and how much is read back (the table's rule).
    overwrite: OverwritePattern
    read_back: ReadBackMode
    residue: tuple[ResidueName, ...]
    validation_digest: Digest
    policy_digest: Digest
