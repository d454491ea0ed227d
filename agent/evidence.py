"""Evidence: the journal of one execution, told as a signed statement.

Rules: every fact comes from a journal line, an acknowledgement that stands, or a look after the end; what no
line tells is `not_observed`, so a run that was cut short says less and never more; each medium of the order
has exactly one entry, seen or not; a command stands in the evidence if it was sent or may have been sent; no
sample or digest of a tenant's content appears. What the facts are worth is `certificate.assurance`'s.

Because only the journal speaks, an execution that was taken over by another process gives the same evidence,
with whatever the first one no longer saw left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.devices.vendors import weaker
from agent.identity import AGENT_VERSION
from agent.journal import Kind
from agent.journal_bodies import (
    AcceptedBody,
    BodyT,
    EndedBody,
    OpenedBody,
    ReadbackBody,
    SentBody,
    StartBody,
    read_body,
)
from agent.markers import PlacedMarker
from agent.tokens import TokenRecord
from certificate.keys import PublicKey
from certificate.messages import JournalLine
from certificate.sanitize_words import SanitizeStatus, Submission, Unreadable
from certificate.statements import Evidence, Order, Seen, Statement, make, subject
from certificate.statements.evidence import (
    Clock,
    Command,
    HostFactSeen,
    Marker,
    Markers,
    MediumEvidence,
    Residue,
    Tool,
)
from certificate.statements.medium import CapabilityWord, Medium, Namespace
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import (
    Attachment,
    DeviceClass,
    HostFactKind,
    MarkerReading,
    ResidueName,
    ResidueState,
    Technique,
    Transport,
)

NOT_APPLICABLE: Literal["not_applicable"] = "not_applicable"
#: Replay protected memory keeps what a sanitize does not reach (NVM Express Base 2.0, 5.24).
RPMB_AREA = "replay protected memory block"


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that evidence is made of. `acknowledged`: the lines whose acknowledgement stands.

    `placed`: the markers of each medium by its commitment, derived again. `unexpected_count`: drives found at
    the end that stand in no order, None where nobody looked.
    """

    order: Order
    order_digest: str
    record: TokenRecord
    agent_key: PublicKey
    has_secret: Seen
    lines: Sequence[JournalLine]
    head: str
    acknowledged: frozenset[int]
    placed: Mapping[str, tuple[PlacedMarker, ...]]
    marker_nonce: bytes
    unexpected_count: int | None
    was_attached: bool
    annex_digest: str
    finished_at_ms: int


def assemble(told: Told, *, nonce: str, issued_at: datetime) -> Statement[Evidence]:
    """The evidence statement, unsigned. Pure: the same journal gives the same facts."""
    order, record = told.order, told.record
    accepted = _accepted(told.lines)
    predicate = Evidence(
        schema_version=1,
        purpose=order.purpose,
        nonce=nonce,
        issued_at=issued_at,
        order=order.order,
        order_digest=told.order_digest,
        token=order.token,
        boot_id=record.boot_id,
        agent_key=told.agent_key.raw.hex(),
        agent_keyid=told.agent_key.keyid,
        hello_nonce=record.hello_nonce,
        observer=order.observer,
        boot_config_digest=order.boot_config_digest,
        boot_secret_held=told.has_secret,
        tool=Tool(name="expunge-agent", version=AGENT_VERSION, image_digest=NOT_OBSERVED),
        clock=Clock(
            hello_at_ms=record.hello_at_ms,
            accepted_at_ms=record.accepted_at_ms,
            finished_at_ms=told.finished_at_ms,
        ),
        host_facts=tuple(_host_facts(order, accepted)),
        media=tuple(_medium(told, planned, accepted) for planned in order.plan.media),
        unexpected_media_count=NOT_OBSERVED if told.unexpected_count is None else told.unexpected_count,
        residue=tuple(_residue(order, accepted)),
        was_attached=Seen.that(told.was_attached),
        journal_lines=len(told.lines),
        journal_head=told.head,
        annex_digest=told.annex_digest,
    )
    return make(predicate, (subject("order", told.order_digest),))


def _accepted(lines: Sequence[JournalLine]) -> AcceptedBody | None:
    found = next((line for line in lines if line.kind == Kind.ACCEPTED), None)
    return None if found is None else read_body(found, AcceptedBody)


def _host_facts(order: Order, accepted: AcceptedBody | None) -> Iterator[HostFactSeen]:
    """One entry for each fact the order names, in its order."""
    seen = () if accepted is None else accepted.host_facts
    for index, fact in enumerate(order.host.facts):
        told = seen[index] if index < len(seen) and seen[index].kind == fact.kind.value else None
        agrees = Seen.NOT_OBSERVED if told is None else Seen(told.value)
        yield HostFactSeen(kind=HostFactKind(fact.kind), agrees=agrees)


def _residue(order: Order, accepted: AcceptedBody | None) -> Iterator[Residue]:
    """Every place the plan names and every other one that was looked at; silence is `not_covered`."""
    told = {} if accepted is None else {place.kind: place.value for place in accepted.residue}
    for name in ResidueName:
        if name in order.plan.residue or name.value in told:
            yield Residue(name=name, state=ResidueState(told.get(name.value, ResidueState.NOT_COVERED.value)))


def _medium(told: Told, planned: PlannedMedium, accepted: AcceptedBody | None) -> MediumEvidence:
    lines = [line for line in told.lines if line.body.get("medium") == planned.commitment]
    opened = _last(lines, Kind.OPENED, OpenedBody)
    readback = _last(lines, Kind.READBACK, ReadbackBody)
    commands = tuple(_commands(told, lines))
    report = None if opened is None else opened.report
    return MediumEvidence(
        medium=_identity(planned, opened, accepted),
        attachment=NOT_OBSERVED if report is None else Attachment(report.attachment),
        released=(),
        layers=(),
        was_present=Seen.NOT_OBSERVED if opened is None else Seen(opened.was_present),
        opened_exclusively=Seen.NOT_OBSERVED if opened is None else Seen(opened.opened_exclusively),
        same_identity_after=Seen.NOT_OBSERVED if readback is None else Seen(readback.same_identity),
        is_readable_after=Seen.NOT_OBSERVED if readback is None else Seen(readback.is_readable),
        is_write_protected=Seen.NOT_OBSERVED if report is None else Seen.that(report.is_write_protected),
        capabilities=tuple(
            CapabilityWord(field=word.field, raw=word.raw) for word in (report.capabilities if report else ())
        ),
        namespaces=tuple(_namespaces(opened, commands)),
        unallocated_capacity_bytes=NOT_OBSERVED if report is None else report.unallocated_capacity_bytes,
        commands=commands,
        markers=_markers(told, planned.commitment, lines, readback),
        # A sanitize leaves no pattern to compare with: what else reads afterwards says nothing.
        read_back=NOT_APPLICABLE,
        unaddressed_areas=tuple(_unaddressed(opened)),
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
        native_capacity_bytes=NOT_APPLICABLE,
        logical_block_bytes=blocks.pop() if len(blocks) == 1 else NOT_OBSERVED,
    )


def _word(text: str) -> str:
    """What a device calls itself, if it fits a signed document."""
    is_word = 0 < len(text) <= 120 and text.isascii() and text.isprintable()
    return text if is_word else NOT_OBSERVED


def _namespaces(opened: OpenedBody | None, commands: Sequence[Command]) -> Iterator[Namespace]:
    covered = _is_covered(commands[-1]) if commands else Seen.NOT_OBSERVED
    for found in opened.report.namespaces if opened is not None and opened.report is not None else ():
        yield Namespace(
            nsid=found.nsid,
            capacity_bytes=found.capacity_bytes,
            logical_block_bytes=found.logical_block_bytes,
            is_attached=Seen.that(found.is_attached),
            is_covered=covered,
        )


def _is_covered(command: Command) -> Seen:
    """Whether the namespaces were seen to be reached: a sanitize reaches each of its subsystem (NVM Express
    Base 2.0, 5.24), but that one took place is shown by nothing less than the drive's own log of a success of
    this very command. An accepted command has begun at most, and what was not seen was not observed.
    """
    try:
        sent, after = Submission.parse(command.submission), SanitizeStatus.parse(command.status_log_after)
    except Unreadable:
        return Seen.NOT_OBSERVED
    has_ended_well = after.has_succeeded and after.dword10 == sent.dword10
    return Seen.YES if command.was_accepted is Seen.YES and has_ended_well else Seen.NOT_OBSERVED


def _unaddressed(opened: OpenedBody | None) -> Iterator[str]:
    report = None if opened is None else opened.report
    words = {} if report is None else {word.field: word.raw for word in report.capabilities}
    raw = words.get("RPMBS", NOT_OBSERVED)
    if raw == NOT_OBSERVED:
        yield f"{RPMB_AREA} ({NOT_OBSERVED})"
    # RPMBS bits 2:0: number of units (NVM Express Base 2.0, figure "Identify Controller").
    elif bytes.fromhex(raw)[0] & 0b111:
        yield RPMB_AREA


def _commands(told: Told, lines: Sequence[JournalLine]) -> Iterator[Command]:
    """Each start that was acknowledged and not then refused: sent, or perhaps sent."""
    refused = {line.step for line in lines if line.kind == Kind.NOT_BEGUN}
    for line in lines:
        if line.kind == Kind.START and line.step not in refused and line.seq in told.acknowledged:
            of_step = [other for other in lines if other.step == line.step]
            yield _command(read_body(line, StartBody), of_step)


def _command(start: StartBody, of_step: Sequence[JournalLine]) -> Command:
    sent = _last(of_step, Kind.SENT, SentBody)
    ended = _last(of_step, Kind.ENDED, EndedBody)
    # Without a `sent` line nobody knows whether there was anything to wait for.
    timed_out = Seen.NOT_OBSERVED if sent is None or ended is None else Seen(ended.timed_out)
    in_progress = Seen.YES if any(line.kind == Kind.PROGRESS for line in of_step) else Seen.NOT_OBSERVED
    if in_progress is not Seen.YES and ended is not None:
        in_progress = Seen(ended.seen_in_progress)
    return Command(
        technique=Technique(start.technique),
        submission=NOT_OBSERVED if sent is None else start.submission,
        completion_status=NOT_OBSERVED if sent is None else sent.completion_status,
        was_accepted=Seen.NOT_OBSERVED if sent is None else Seen(sent.was_accepted),
        # The permit is checked immediately before the command, and `sent` is written only after it.
        start_acknowledged=Seen.NOT_OBSERVED if sent is None else Seen.YES,
        status_log_before=start.status_log_before,
        status_log_after=NOT_OBSERVED if ended is None else ended.status_log_after,
        seen_in_progress=in_progress,
        started_at=NOT_OBSERVED if sent is None else _time(sent.started_at),
        finished_at=NOT_OBSERVED if ended is None else _time(ended.finished_at),
        timed_out=timed_out,
        overwrite=NOT_APPLICABLE,
    )


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


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


def _last(lines: Sequence[JournalLine], kind: Kind, body: type[BodyT]) -> BodyT | None:
    found = next((line for line in reversed(lines) if line.kind == kind), None)
    return None if found is None else read_body(found, body)
