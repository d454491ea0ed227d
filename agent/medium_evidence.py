"""One medium's entry in the evidence, told from the journal's lines about it.

Rules: a medium without lines has its entry all the same, and everything in it is `not_observed`; the device
class is the weaker word of admission and the latest look; a layer has an entry because the order names it,
seen or not; what a system built on the medium appears by kind and never by name. Its commands are
`command_evidence`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from agent import command_evidence, coverage
from agent.devices.vendors import weaker
from agent.journal import Kind
from agent.journal_bodies import (
    NOT_APPLICABLE,
    AcceptedBody,
    ContentRead,
    LayerEndedBody,
    LayerRead,
    LayerStartBody,
    OpenedBody,
    ReadbackBody,
    ReleasedBody,
    read_body,
)
from agent.overwritten import pattern_of
from agent.steps import layer_step
from agent.told import Told, last
from certificate.messages import DriveReport, JournalLine, LayerReport
from certificate.statements import Seen
from certificate.statements.evidence import (
    Command,
    Layer,
    Marker,
    Markers,
    MediumEvidence,
    ReadBack,
    Released,
)
from certificate.statements.medium import CapabilityWord, Medium, Namespace
from certificate.statements.plan import PlannedLayer, PlannedMedium
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import (
    Attachment,
    DeviceClass,
    LayerKind,
    MarkerReading,
    ReadBackMode,
    StackedKind,
    Transport,
)

#: More things than these on one medium are told by kind, one entry each, so that evidence stays bounded.
MAX_RELEASED = 16


def entry(told: Told, planned: PlannedMedium, accepted: AcceptedBody | None) -> MediumEvidence:
    """All that was seen of `planned`."""
    lines = [line for line in told.lines if line.body.get("medium") == planned.commitment]
    opened = last(lines, Kind.OPENED, OpenedBody)
    readback = last(lines, Kind.READBACK, ReadbackBody)
    commands = tuple(command_evidence.commands(told, lines))
    report = None if opened is None else opened.report
    return MediumEvidence(
        medium=_identity(planned, opened, accepted),
        attachment=NOT_OBSERVED if report is None else Attachment(report.attachment),
        was_present=Seen.NOT_OBSERVED if opened is None else Seen(opened.was_present),
        opened_exclusively=Seen.NOT_OBSERVED if opened is None else Seen(opened.opened_exclusively),
        released=tuple(_released(lines)),
        same_identity_after=Seen.NOT_OBSERVED if readback is None else Seen(readback.same_identity),
        is_readable_after=Seen.NOT_OBSERVED if readback is None else Seen(readback.is_readable),
        is_write_protected=Seen.NOT_OBSERVED if report is None else Seen.that(report.is_write_protected),
        capabilities=tuple(
            CapabilityWord(field=word.field, raw=word.raw) for word in (report.capabilities if report else ())
        ),
        namespaces=tuple(_namespaces(report, commands)),
        unallocated_capacity_bytes=NOT_OBSERVED if report is None else report.unallocated_capacity_bytes,
        layers=tuple(_layer(told, planned, layer, report, lines) for layer in planned.layers),
        commands=commands,
        markers=_markers(told, planned.commitment, lines, readback),
        read_back=_read_back(planned, commands, None if readback is None else readback.content),
        unaddressed_areas=tuple(coverage.unaddressed(report, commands)),
        errors=tuple(_errors(lines)),
    )


def _identity(planned: PlannedMedium, opened: OpenedBody | None, accepted: AcceptedBody | None) -> Medium:
    """The device class is the weaker word of admission and the latest look; without any it is the weakest.

    A drive that no longer answers does not name its vendor, and would else be what its driver calls them all.
    """
    report = None if opened is None else opened.report
    classes = {} if accepted is None else {entry.kind: entry.value for entry in accepted.device_classes}
    if report is None:
        admitted = classes.get(planned.commitment, DeviceClass.IMAGE_FILE.value)
        return Medium(
            commitment=planned.commitment,
            transport=planned.transport,
            device_class=DeviceClass(admitted),
            manufacturer=NOT_OBSERVED,
            model=NOT_OBSERVED,
            firmware=NOT_OBSERVED,
            capacity_bytes=NOT_OBSERVED,
            native_capacity_bytes=NOT_OBSERVED,
            logical_block_bytes=NOT_OBSERVED,
        )
    admitted = classes.get(planned.commitment, report.device_class)
    blocks = {namespace.logical_block_bytes for namespace in report.namespaces}
    return Medium(
        commitment=planned.commitment,
        transport=Transport(report.transport),
        device_class=weaker(DeviceClass(report.device_class), DeviceClass(admitted)),
        manufacturer=_word(report.manufacturer),
        model=_word(report.model),
        firmware=_word(report.firmware),
        capacity_bytes=report.capacity_bytes,
        # ATA can hide capacity behind a smaller one (HPA, DCO); none of these transports knows a second one.
        native_capacity_bytes=NOT_APPLICABLE,
        logical_block_bytes=blocks.pop() if len(blocks) == 1 else NOT_OBSERVED,
    )


def _word(text: str) -> str:
    """What a device calls itself, if it fits a signed document."""
    is_word = 0 < len(text) <= 120 and text.isascii() and text.isprintable()
    return text if is_word else NOT_OBSERVED


def _released(lines: Sequence[JournalLine]) -> Iterator[Released]:
    """What stood on the medium, first let go first; of too many things, the worst of each kind."""
    body = last(lines, Kind.RELEASED, ReleasedBody)
    listed = (
        [] if body is None else [(StackedKind(each.kind), Seen(each.is_released)) for each in body.released]
    )
    if len(listed) > MAX_RELEASED:
        worst = (Seen.NO, Seen.NOT_OBSERVED, Seen.YES)
        kinds = dict.fromkeys(kind for kind, _ in listed)
        listed = [
            (kind, min((seen for other, seen in listed if other is kind), key=worst.index)) for kind in kinds
        ]
    yield from (Released(kind=kind, is_released=seen) for kind, seen in listed)


def _namespaces(report: DriveReport | None, commands: Sequence[Command]) -> Iterator[Namespace]:
    if report is None:
        return
    words = {word.field: word.raw for word in report.capabilities}
    capacity = sum(each.capacity_bytes for each in report.namespaces if each.is_attached)
    for found in report.namespaces:
        yield Namespace(
            nsid=found.nsid,
            capacity_bytes=found.capacity_bytes,
            logical_block_bytes=found.logical_block_bytes,
            is_attached=Seen.that(found.is_attached),
            is_covered=coverage.is_covered(found, commands, words, capacity_bytes=capacity),
        )


def _layer(
    told: Told,
    planned: PlannedMedium,
    layer: PlannedLayer,
    report: DriveReport | None,
    lines: Sequence[JournalLine],
) -> Layer:
    """One layer of the order: as found right before, else as the inventory listed it, else only named."""
    step = layer_step(planned.commitment, layer.nsid, layer.offset_bytes)
    of_step = [line for line in lines if line.step == step]
    asked = next((line for line in of_step if line.kind == Kind.LAYER_START), None)
    ended = last(of_step, Kind.LAYER_ENDED, LayerEndedBody)
    seen = _seen_layer(layer, report) if asked is None else read_body(asked, LayerStartBody).layer
    if asked is None or any(line.kind == Kind.NOT_BEGUN for line in of_step):
        acknowledged = Seen.NO
    elif ended is None:
        # Acknowledged or not: whether anything was written, and under what, nobody says.
        acknowledged = Seen.NOT_OBSERVED
    else:
        acknowledged = Seen.that(asked.seq in told.acknowledged)
    return Layer(
        kind=LayerKind(layer.kind),
        nsid=layer.nsid,
        offset_bytes=layer.offset_bytes,
        is_detached=Seen.NOT_OBSERVED if seen is None else Seen.that(seen.is_detached),
        header_copies=0 if seen is None else seen.header_copies,
        key_slots=0 if seen is None else seen.key_slots,
        tokens=0 if seen is None else seen.tokens,
        area_bytes=0 if seen is None else seen.area_bytes,
        start_acknowledged=acknowledged,
        every_copy_differs=Seen.NOT_OBSERVED if ended is None else Seen(ended.every_copy_differs),
        was_flushed=Seen.NOT_OBSERVED if ended is None else Seen(ended.was_flushed),
        known_key_refused=Seen.NOT_OBSERVED if ended is None else Seen(ended.known_key_refused),
        is_found_after=_is_found_after(layer, last(lines, Kind.READBACK, ReadbackBody)),
    )


def _seen_layer(layer: PlannedLayer, report: DriveReport | None) -> LayerReport | None:
    place = (layer.kind.value, layer.nsid, layer.offset_bytes)
    listed = () if report is None else report.layers
    return next((each for each in listed if (each.kind, each.nsid, each.offset_bytes) == place), None)


def _is_found_after(layer: PlannedLayer, readback: ReadbackBody | None) -> Seen:
    reads: Sequence[LayerRead] = () if readback is None else readback.layers
    for read in reads:
        if (read.nsid, read.offset_bytes) == (layer.nsid, layer.offset_bytes):
            return Seen(read.is_found)
    return Seen.NOT_OBSERVED


def _read_back(
    planned: PlannedMedium, commands: Sequence[Command], content: ContentRead | None
) -> ReadBack | Literal["not_observed", "not_applicable"]:
    """Of a medium that the host overwrote, or would have: while nothing was sent, the plan says."""
    technique = commands[-1].technique if commands else planned.techniques[0]
    if pattern_of(technique) is None:
        return NOT_APPLICABLE
    if content is None:
        return NOT_OBSERVED
    return ReadBack(
        mode=ReadBackMode(content.mode),
        seed=content.seed,
        extents_planned=content.extents_planned,
        extents_read=content.extents_read,
        bytes_read=content.bytes_read,
        bytes_mismatched=content.bytes_mismatched,
        bytes_unreadable=content.bytes_unreadable,
    )


def _markers(
    told: Told, commitment: str, lines: Sequence[JournalLine], readback: ReadbackBody | None
) -> Markers:
    """The commitment as it stands in the journal, and the list that opens it."""
    committed = next((line for line in lines if line.kind == Kind.MARKERS_COMMITTED), None)
    if committed is None:
        return Markers(
            committed_digest=NOT_OBSERVED,
            was_acknowledged=Seen.NO,
            nonce=NOT_OBSERVED,
            committed_count=0,
            markers=(),
        )
    marked = next((line for line in lines if line.kind == Kind.MARKED), None)
    before = () if marked is None else tuple(marked.body.get("read_back", "").split(","))
    after = {} if readback is None else {(read.nsid, read.offset_bytes): read for read in readback.markers}
    placed = told.placed.get(commitment, ())
    listed = []
    for index, marker in enumerate(placed):
        read = after.get((marker.nsid, marker.offset_bytes))
        listed.append(
            Marker(
                nsid=marker.nsid,
                offset_bytes=marker.offset_bytes,
                length_bytes=len(marker.content),
                content_sha256=marker.content_sha256,
                read_back_before=Seen(before[index]) if index < len(before) else Seen.NOT_OBSERVED,
                reading_after=MarkerReading.NOT_OBSERVED if read is None else MarkerReading(read.reading),
                changed_65536ths=(
                    NOT_OBSERVED if read is None or read.changed_65536ths is None else read.changed_65536ths
                ),
            )
        )
    return Markers(
        committed_digest=committed.body["commitment"],
        was_acknowledged=Seen.that(committed.seq in told.acknowledged),
        nonce=told.marker_nonce.hex(),
        committed_count=int(committed.body["count"]),
        markers=tuple(listed),
    )


def _errors(lines: Sequence[JournalLine]) -> Iterator[str]:
    """Every code that a line of this medium names, once each, in order."""
    seen = set()
    for line in lines:
        for code in filter(None, (*line.body.get("codes", "").split(","), line.body.get("code", ""))):
            if code not in seen:
                seen.add(code)
                yield code
