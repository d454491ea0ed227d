"""What the lines of a journal carry: one closed, typed record a kind, written as a flat table of texts.

Rules: a field that is not text is written as JSON text, so that a journal line stays flat; reading is closed
and typed as every session line. No body names a serial number: the journal is kept by the controller, and
serials stand in the annex, nor how a system named what it built on a drive. Facts are `yes`, `no` or
`not_observed`; times are UTC with whole seconds; what a technique has not is `not_applicable`.
"""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from agent.errors import Code
from certificate import strict_json
from certificate.errors import Refused
from certificate.messages import MAX_LINE_BYTES, DriveReport, HostFactReport, JournalLine, LayerReport, Line

#: What a technique has not, as evidence writes it.
NOT_APPLICABLE: Final[Literal["not_applicable"]] = "not_applicable"


@dataclass(frozen=True, kw_only=True)
class AcceptedBody(Line):
    """The order, and what was recognised when it was accepted.

    `host_facts`: one entry for each fact of the order, (kind, agrees). `device_classes`: (commitment, class).
    """

    name = "accepted_body"
    order: str
    order_digest: str
    fence: str
    host_facts: tuple[HostFactReport, ...]
    residue: tuple[HostFactReport, ...]
    device_classes: tuple[HostFactReport, ...]


@dataclass(frozen=True, kw_only=True)
class ReleasedRead(Line):
    """One thing that held a medium, by its kind alone, and whether it let go."""

    name = "released_read"
    kind: str
    is_released: str


@dataclass(frozen=True, kw_only=True)
class ReleasedBody(Line):
    """What stood on one medium when the work began. Nothing was destroyed by this."""

    name = "released_body"
    medium: str
    released: tuple[ReleasedRead, ...]


@dataclass(frozen=True, kw_only=True)
class OpenedBody(Line):
    """One medium, taken into the hand. `report`: its inventory entry without names, None when absent."""

    name = "opened_body"
    medium: str
    was_present: str
    opened_exclusively: str
    #: As the drive said of itself: what must read the same at the end.
    model: str
    capacity_bytes: str
    report: DriveReport | None


@dataclass(frozen=True, kw_only=True)
class LayerStartBody(Line):
    """The layer whose keys are about to be destroyed, as it was found right before."""

    name = "layer_start_body"
    medium: str
    layer: LayerReport


@dataclass(frozen=True, kw_only=True)
class LayerEndedBody(Line):
    """The keys were written over. `codes`: what went wrong, separated by commas."""

    name = "layer_ended_body"
    medium: str
    nsid: int
    offset_bytes: int
    every_copy_differs: str
    was_flushed: str
    known_key_refused: str
    codes: str


@dataclass(frozen=True, kw_only=True)
class MarkersCommittedBody(Line):
    """The digest that the evidence opens later, and over how many markers."""

    name = "markers_committed_body"
    medium: str
    commitment: str
    count: str


@dataclass(frozen=True, kw_only=True)
class MarkedBody(Line):
    """The markers were written. `read_back`: for each in order, whether it read as written."""

    name = "marked_body"
    medium: str
    read_back: str


@dataclass(frozen=True, kw_only=True)
class StartBody(Line):
    """What is about to be sent, and what the drive says of itself right before: all in hexadecimal.

    `command`: which of the technique's several, else empty. `submission`: not_applicable where the host does
    the work; `status_log_before`: where no status log speaks of the technique. `counters`: those the drive
    has, not_observed where it does not tell one (NVMe: `nvme.COUNTER_NAMES`).
    """

    name = "start_body"
    medium: str
    technique: str
    command: str
    submission: str
    status_log_before: str
    counters: dict[str, str]
    self_report: str


@dataclass(frozen=True, kw_only=True)
class SentBody(Line):
    """The command was sent once. `codes`: what went wrong, separated by commas."""

    name = "sent_body"
    medium: str
    technique: str
    completion_status: str
    was_accepted: str
    started_at: str
    codes: str


@dataclass(frozen=True, kw_only=True)
class ProgressBody(Line):
    """Our command was seen running, or, with the step of a read-back, how far that is."""

    name = "progress_body"
    medium: str
    technique: str
    progress_65536ths: str


@dataclass(frozen=True, kw_only=True)
class OverwriteRead(Line):
    """What a pass of the host's did."""

    name = "overwrite_read"
    pattern: str
    bytes_written: int
    bytes_failed: int
    was_flushed: str


@dataclass(frozen=True, kw_only=True)
class EndedBody(Line):
    """Watching ended: by the drive's own word, or by a deadline (`timed_out`). `overwrite`: None where the
    host wrote nothing.
    """

    name = "ended_body"
    medium: str
    technique: str
    status_log_after: str
    seen_in_progress: str
    timed_out: str
    finished_at: str
    overwrite: OverwriteRead | None
    codes: str


@dataclass(frozen=True, kw_only=True)
class MarkerRead(Line):
    """How one marker reads afterwards; `changed_65536ths` is None where nothing could be read."""

    name = "marker_read"
    nsid: int
    offset_bytes: int
    reading: str
    changed_65536ths: int | None


@dataclass(frozen=True, kw_only=True)
class LayerRead(Line):
    """Whether a header of this layer was found at the last look."""

    name = "layer_read"
    nsid: int
    offset_bytes: int
    is_found: str


@dataclass(frozen=True, kw_only=True)
class ContentRead(Line):
    """A read-back of an overwritten medium. `seed`: of its positions, 64 hexadecimal digits."""

    name = "content_read"
    mode: str
    seed: str
    extents_planned: int
    extents_read: int
    bytes_read: int
    bytes_mismatched: int
    bytes_unreadable: int


@dataclass(frozen=True, kw_only=True)
class ReadbackBody(Line):
    """The last look at one medium. `content`: None where nothing was compared but markers."""

    name = "readback_body"
    medium: str
    same_identity: str
    is_readable: str
    markers: tuple[MarkerRead, ...]
    layers: tuple[LayerRead, ...]
    content: ContentRead | None
    codes: str


@dataclass(frozen=True, kw_only=True)
class StoppedBody(Line):
    """A medium's step was not begun, or failed."""

    name = "stopped_body"
    medium: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class EvidenceBody(Line):
    """The signed envelope and the annex, as the texts of their files."""

    name = "evidence_body"
    envelope: str
    annex: str


BodyT = TypeVar("BodyT", bound=Line)


def write_body(body: Line) -> dict[str, str]:
    """`body` as a flat table of texts."""
    plain = strict_json.load_object(body.write(), max_bytes=MAX_LINE_BYTES, what=body.name)
    del plain["line"]
    return {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in plain.items()
    }


def read_body(line: JournalLine, kind: type[BodyT]) -> BodyT:
    """The body of `line` as `kind`. Raises Refused(JOURNAL_BROKEN)."""
    hints = typing.get_type_hints(kind)
    try:
        raw = {
            name: text
            if hints.get(name) is str
            else strict_json.load(text.encode(), max_bytes=MAX_LINE_BYTES)
            for name, text in line.body.items()
        }
        return kind.from_fields(raw)
    except Refused as refusal:
        raise Refused(Code.JOURNAL_BROKEN, f"line {line.seq} ({line.kind}): {refusal.reason}") from None


def without_names(report: DriveReport) -> DriveReport:
    """The report as a journal may hold it: no serial, and no name that a tenant chose."""
    return replace(report, serial="", stack=())
