"""Evidence: what the agent saw and did. Raw words are kept; each fact is yes, no or not_observed.

Lists have one entry for every member the order names; a missing one is an adverse fact (`assurance`). Nothing
here is copied from configuration, and no sample or digest of a tenant's content appears: only of our own
markers.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from certificate.identifiers import OrderId
from certificate.statements.medium import MAX_LAYERS, CapabilityWord, Medium, Namespace
from certificate.statements.statement import (
    CodeWord,
    Count,
    Digest,
    KeyId,
    Model,
    Nonce,
    NotApplicable,
    NotObserved,
    Predicate,
    PublicKeyHex,
    RawHex,
    Seen,
    UtcSeconds,
    Word,
)
from certificate.statements.vocabulary import (
    Attachment,
    HostFactKind,
    LayerKind,
    MarkerReading,
    Observer,
    OverwritePattern,
    ReadBackMode,
    ResidueName,
    ResidueState,
    StackedKind,
    Technique,
)

#: Of one medium: Format NVM needs one for each namespace; more would not fit a session line with the rest.
MAX_COMMANDS = 64


class HostFactSeen(Model):
    """One identifying fact the order names, and whether the host agreed."""

    kind: HostFactKind
    agrees: Seen


class Marker(Model):
    """One marker: where, what content (digest of ours), whether it read back before, and how it reads
    afterwards.
    """

    nsid: Annotated[int, Field(ge=1)]
    #: From the start of that namespace.
    offset_bytes: Count
    length_bytes: Count
    content_sha256: Digest
    read_back_before: Seen
    reading_after: MarkerReading
    #: Bits that differ from the marker, in 1/65536 of all; a changed key gives about 32768.
    changed_65536ths: Count | NotObserved


class Markers(Model):
    """The committed markers of one medium; `commitment.markers_digest` opens `committed_digest`."""

    committed_digest: Digest | NotObserved
    #: The controller acknowledged the commitment before the first irreversible step.
    was_acknowledged: Seen
    nonce: Digest | NotObserved
    #: How many positions were committed to.
    committed_count: Count
    markers: Annotated[tuple[Marker, ...], Field(max_length=64)]


class Overwrite(Model):
    """One pass from the host over every addressable byte of the medium.

    The keystream's key is `keystream.key(order_digest, nonce, commitment)`, nonce being the markers': whoever
    holds order, evidence and drive can make it again.
    """

    pattern: OverwritePattern
    #: Bytes that the medium accepted, and bytes whose writing failed; together the capacity, if it ended.
    bytes_written: Count | NotObserved
    bytes_failed: Count | NotObserved
    #: The medium said, after the last write, that nothing waits in a cache.
    was_flushed: Seen


class ReadBack(Model):
    """Bytes read from the medium itself after an overwrite and compared with what it wrote.

    Positions follow from `seed` alone (`certificate.sampling`), and the seed from order, nonce and medium.
    """

    mode: ReadBackMode
    seed: Digest | NotObserved
    extents_planned: Count
    extents_read: Count | NotObserved
    bytes_read: Count | NotObserved
    #: Bytes that differ, and bytes that could not be read at all.
    bytes_mismatched: Count | NotObserved
    bytes_unreadable: Count | NotObserved


class Layer(Model):
    """One encryption layer found on the medium, and the destruction of its keys. No digest of its content."""

    kind: LayerKind
    nsid: Annotated[int, Field(ge=1)]
    #: Where its first header lies, from the start of that namespace.
    offset_bytes: Count
    #: The header lies here and the data elsewhere.
    is_detached: Seen
    header_copies: Count
    key_slots: Count
    tokens: Count
    #: From the first header to the data: headers, key slots and what lies between.
    area_bytes: Count
    start_acknowledged: Seen
    #: Every copy of the header and every key slot reads otherwise than before.
    every_copy_differs: Seen
    was_flushed: Seen
    #: A key that opened the layer before was tried and refused; not_observed where nobody had one.
    known_key_refused: Seen
    #: A header was found there at the last look, after everything.
    is_found_after: Seen


class Released(Model):
    """Something that held the medium before the work began, and whether it let go."""

    kind: StackedKind
    is_released: Seen


class Command(Model):
    """One irreversible command, from before it was sent until the device said it was over.

    A technique that needs several (Format NVM of several namespaces) has one entry each, one after the other.
    """

    technique: Technique
    #: The 64-byte submission queue entry as sent (NVM Express Base 2.0, 3.3.3.1); none for an overwrite.
    submission: RawHex | NotObserved | NotApplicable
    #: Status field of the completion, phase bit removed (NVM Express Base 2.0, 3.3.3.2.1), two bytes big-
    #: endian.
    completion_status: RawHex | NotObserved | NotApplicable
    was_accepted: Seen
    #: The controller acknowledged this start, and the acknowledgement was alive when the command was sent.
    start_acknowledged: Seen
    #: The device's own status log right before the start and after the end (NVMe: log page 81h, first 64
    #: bytes); not_applicable for a technique that no status log speaks of (Format NVM, overwrite).
    status_log_before: RawHex | NotObserved | NotApplicable
    status_log_after: RawHex | NotObserved | NotApplicable
    #: A command of that kind was seen running between the two.
    seen_in_progress: Seen
    started_at: UtcSeconds | NotObserved
    finished_at: UtcSeconds | NotObserved
    #: Not answered within its deadline, or answered by an error of the transport.
    timed_out: Seen
    overwrite: Overwrite | NotApplicable


class MediumEvidence(Model):
    """All that was seen of one medium the order names."""

    medium: Medium
    attachment: Attachment | NotObserved
    was_present: Seen
    opened_exclusively: Seen
    #: What stood on the medium when the work began, without names.
    released: Annotated[tuple[Released, ...], Field(max_length=256)]
    #: Serial, model and capacity read again after the command and equal to those before.
    same_identity_after: Seen
    is_readable_after: Seen
    is_write_protected: Seen
    capabilities: tuple[CapabilityWord, ...]
    namespaces: tuple[Namespace, ...]
    unallocated_capacity_bytes: Count | NotObserved
    #: Encryption layers whose keys were destroyed before the commands, one entry for each the order names.
    layers: Annotated[tuple[Layer, ...], Field(max_length=MAX_LAYERS)]
    commands: Annotated[tuple[Command, ...], Field(max_length=MAX_COMMANDS)]
    markers: Markers
    #: not_applicable where the technique leaves nothing that could be compared.
    read_back: ReadBack | NotObserved | NotApplicable
    #: Parts of the medium that no command of this order reaches.
    unaddressed_areas: tuple[Word, ...]
    #: Codes of all that went wrong with this medium, in order.
    errors: tuple[CodeWord, ...]


class Residue(Model):
    name: ResidueName
    state: ResidueState


class Tool(Model):
    name: Word
    version: Word
    #: SHA-256 of the erase environment's image; not_observed where the agent did not boot from one.
    image_digest: Digest | NotObserved


class Clock(Model):
    """The agent's monotonic clock (CLOCK_BOOTTIME, milliseconds) around the work."""

    hello_at_ms: Count
    accepted_at_ms: Count
    finished_at_ms: Count


class Evidence(Predicate):
    statement_name: ClassVar[str] = "evidence"

    order: OrderId
    order_digest: Digest
    token: Nonce
    boot_id: Digest
    agent_key: PublicKeyHex
    agent_keyid: KeyId
    hello_nonce: Nonce
    observer: Observer
    boot_config_digest: Digest
    #: The single-use secret was in the agent's hands when it came up.
    boot_secret_held: Seen
    tool: Tool
    clock: Clock
    host_facts: tuple[HostFactSeen, ...]
    media: tuple[MediumEvidence, ...]
    #: Storage that was found but stands in no order.
    unexpected_media_count: Count | NotObserved
    residue: tuple[Residue, ...]
    #: The agent was restarted in the middle and looked only, without sending anything again.
    was_attached: Seen
    journal_lines: Count
    journal_head: Digest
    annex_digest: Digest
