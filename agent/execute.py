"""The sequence of an execution, and nothing but the sequence.

    for each drive   open exclusively; commit to markers; acknowledged; write them and read them back;
                     read the status; acknowledged; send once
    for each drive   wait on its own status; on its own word that it failed, the next technique of the plan
    for each drive   read its identity again, and the markers
    once             evidence, signed by this boot's key

Rules: the caller holds the execution lock; `permit` is asked again immediately before each irreversible act;
a journal line is durable before what it announces and after what it reports; one failing drive stops its own
work only, and the reason stands in the evidence; whatever ends the process, nothing is ever sent twice,
because a second process only observes (`attach`). A token that is given up, which happens only before its
first acknowledgement, ends the execution without evidence: its last word is the signed absence (`standing`).
What may be claimed is not decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from agent import markers
from agent.devices.nvme import DriveIdentity, NvmeDrive, SanitizeLog
from agent.errors import Code, DeviceError, StepRefused
from agent.evidence import Told, assemble
from agent.found_media import FoundMedium, annex_digest, place, self_report
from agent.journal import JournalWriter, Kind
from agent.journal_bodies import (
    EndedBody,
    EvidenceBody,
    MarkedBody,
    MarkerRead,
    MarkersCommittedBody,
    OpenedBody,
    ProgressBody,
    ReadbackBody,
    SentBody,
    StartBody,
    StoppedBody,
    without_serial,
    write_body,
)
from agent.markers import PlacedMarker
from agent.permit import Permit
from agent.techniques import TECHNIQUES, NvmeSanitize
from agent.techniques.nvme_sanitize import Prepared, Started, Watched
from certificate import envelope
from certificate.errors import RefusalCode, Refused
from certificate.keys import PrivateKey
from certificate.messages import JournalLine
from certificate.statements import Order, Seen
from certificate.statements.statement import NOT_OBSERVED, time_text
from certificate.statements.vocabulary import MarkerReading, Technique

LOG = logging.getLogger("agent.execute")


def markers_step(commitment: str) -> str:
    """The step of marking one medium."""
    return f"markers:{commitment}"


def start_step(commitment: str, technique: Technique) -> str:
    """The step of one technique on one medium, as journal and acknowledgement name it."""
    return f"start:{commitment}:{technique.value}"


@dataclass(frozen=True, kw_only=True)
class World:
    """What an execution is given of the outside: clocks, waiting and randomness.

    `clock`: CLOCK_BOOTTIME in milliseconds; `now`: UTC; `pause`: waits seconds; `random_bytes`: that many.
    """

    clock: Callable[[], int]
    now: Callable[[], datetime]
    pause: Callable[[float], None]
    random_bytes: Callable[[int], bytes]


@dataclass(kw_only=True)
class Work:
    """How far one medium is. `techniques` are those of the plan that were not begun yet."""

    found: FoundMedium
    techniques: list[Technique]
    identity: DriveIdentity | None = None
    placed: tuple[PlacedMarker, ...] = ()
    #: The journal says that the markers were written.
    is_marked: bool = False
    #: The drive is held exclusively, so that what is read is the drive's and nobody changes it meanwhile.
    is_held: bool = False
    is_stopped: bool = False
    #: The command on its way: technique, what it was prepared with, and what sending it gave.
    running: tuple[NvmeSanitize, Prepared, Started] | None = None

    @property
    def commitment(self) -> str:
        return self.found.planned.commitment

    @property
    def drive(self) -> NvmeDrive:
        """Raises StepRefused(DRIVE_MISSING) when the medium has none."""
        if self.found.drive is None:
            raise StepRefused(Code.DRIVE_MISSING, "the drive is not there (any more)")
        return self.found.drive


@dataclass(kw_only=True)
class Execution:
    """One order on one machine, the execution lock being held.

    `annex`: the file whose digest the evidence names. `unexpected_count`: drives found that no order names,
    None where nobody looked. `was_attached`: another process began this execution, and this one observes.
    """

    order: Order
    order_digest: str
    permit: Permit
    journal: JournalWriter
    key: PrivateKey
    has_secret: Seen
    marker_nonce: bytes
    media: tuple[FoundMedium, ...]
    unexpected_count: int | None
    annex: bytes
    world: World
    was_attached: bool = False
    works: list[Work] = field(init=False)

    def __post_init__(self) -> None:
        self.works = [Work(found=found, techniques=list(found.planned.techniques)) for found in self.media]

    def run(self) -> None:
        """From the accepted order to signed evidence. Raises only what concerns the journal itself."""
        for work in self.works:
            if self.permit.is_given_up():
                break
            with self.contained(work, f"open:{work.commitment}"):
                self.open(work)
            with self.contained(work, markers_step(work.commitment)):
                self._mark(work)
            self._start_next(work)
        for work in self.works:
            for _ in work.found.planned.techniques:
                self.watch(work)
                self._start_next(work)
        self.conclude()

    def conclude(self) -> None:
        """The last look at each medium, the evidence, the end; of a token given up, only the end."""
        if not self.permit.is_given_up():
            for work in self.works:
                with self.contained(work, f"readback:{work.commitment}"):
                    self._read_back(work)
            self._testify()
        for work in self.works:
            if work.found.drive is not None:
                work.found.drive.blocks.close()

    def _testify(self) -> None:
        """Signs what the journal tells, unless the token was given up meanwhile: evidence or absence."""
        nonce = self.world.random_bytes(16).hex()
        evidence = assemble(self._told(), nonce=nonce, issued_at=self._utc_seconds())
        signed = envelope.sign(evidence.payload(), self.key)
        body = EvidenceBody(envelope=signed.write().decode(), annex=self.annex.decode())
        with self.permit.run.settling():
            if self.permit.is_given_up():
                return
            self.journal.append(Kind.EVIDENCE, step="evidence", body=write_body(body))
        self.journal.append(Kind.FINISHED, step="finished", body={})

    @contextmanager
    def contained(self, work: Work, step: str) -> Iterator[None]:
        """Turns whatever goes wrong with one medium into a line of its own and the end of its work."""
        try:
            yield
        except StepRefused as refusal:
            self.stop(work, Kind.NOT_BEGUN, step, refusal.code, refusal.reason)
        except (Refused, DeviceError) as error:
            self.stop(work, Kind.FAILED, step, error.code, error.reason)
        except OSError as error:
            self.stop(work, Kind.FAILED, step, Code.DEVICE_UNANSWERED, error.strerror or "input/output error")
        except Exception:
            # A fault of ours must not cost the other drives their evidence.
            LOG.exception("step %s", step)
            self.stop(work, Kind.FAILED, step, Code.AGENT_FAILED, "see the agent's log")

    # --- before anything irreversible -----------------------------------------------------------------------

    def open(self, work: Work) -> None:
        """Takes the drive and journals what it says of itself. Raises StepRefused: DRIVE_MISSING,
        DRIVE_NOT_EXCLUSIVE; Refused(DRIVE_UNREADABLE).
        """
        found, identity = work.found, work.found.identity
        exclusively = Seen.NOT_OBSERVED if found.drive is None else found.drive.blocks.open_exclusively()
        body = OpenedBody(
            medium=work.commitment,
            was_present=found.was_present.value,
            opened_exclusively=exclusively.value,
            model=NOT_OBSERVED if identity is None else identity.model_number,
            capacity_bytes=NOT_OBSERVED if identity is None else str(identity.capacity_bytes),
            report=None if found.report is None else without_serial(found.report),
        )
        self.journal.append(Kind.OPENED, step=f"open:{work.commitment}", body=write_body(body))
        work.identity = identity
        work.is_held = exclusively is Seen.YES
        if work.drive is not None and identity is None:
            raise Refused(Code.DRIVE_UNREADABLE, "the drive does not say what it is")
        if not work.is_held:
            raise StepRefused(Code.DRIVE_NOT_EXCLUSIVE, "the drive could not be taken exclusively")

    # --- the first irreversible step: markers ---------------------------------------------------------------

    def _mark(self, work: Work) -> None:
        if work.is_stopped:
            return
        work.placed = place(work.found, order_digest=self.order_digest, nonce=self.marker_nonce)
        step = markers_step(work.commitment)
        committed = MarkersCommittedBody(
            medium=work.commitment,
            commitment=markers.digest(work.placed, boot_nonce=self.marker_nonce),
            count=str(len(work.placed)),
        )
        line = self.journal.append(
            Kind.MARKERS_COMMITTED, step=step, body=write_body(committed), needs_ack=True
        )
        self._require_permit(work, line)
        markers.write(work.drive.blocks, work.placed)
        seen = [markers.read_back_before(work.drive.blocks, marker) for marker in work.placed]
        body = MarkedBody(medium=work.commitment, read_back=",".join(one.value for one in seen))
        self.journal.append(Kind.MARKED, step=step, body=write_body(body))
        work.is_marked = True
        if any(one is not Seen.YES for one in seen):
            raise Refused(Code.MARKERS_FAILED, "a marker did not read back as it was written")

    def _require_permit(self, work: Work, line: JournalLine) -> None:
        """Waits for the acknowledgement, sees that this is still the same drive, and asks once more."""
        self.permit.await_ack(line)
        if work.drive.identity() != work.identity:
            raise StepRefused(Code.IDENTITY_CHANGED, "another drive answers since the step was asked for")
        self.permit.check(line)

    # --- the command ----------------------------------------------------------------------------------------

    def _start_next(self, work: Work) -> None:
        """Begins the next technique of the plan, if this medium is ready for one."""
        if work.is_stopped or not work.is_marked or work.running is not None or not work.techniques:
            return
        technique = TECHNIQUES[work.techniques.pop(0)]
        step = start_step(work.commitment, technique.technique)
        with self.contained(work, step):
            prepared = technique.prepare(work.drive)
            body = StartBody(
                medium=work.commitment,
                technique=technique.technique.value,
                submission=prepared.command.sqe.hex(),
                status_log_before=prepared.log.head.hex(),
                counters=prepared.counters,
                self_report=self_report(work.found),
            )
            line = self.journal.append(Kind.START, step=step, body=write_body(body), needs_ack=True)
            self.permit.await_ack(line)
            if technique.prepare(work.drive) != prepared or work.identity != prepared.identity:
                raise StepRefused(Code.IDENTITY_CHANGED, "the drive answers otherwise than when it was asked")
            started_at = time_text(self._utc_seconds())
            self.permit.check(line)
            started = technique.start(work.drive, prepared)
            work.running = (technique, prepared, started)
            self._journal_sent(work, step, started, started_at)

    def _journal_sent(self, work: Work, step: str, started: Started, started_at: str) -> None:
        answer = started.answer
        body = SentBody(
            medium=work.commitment,
            technique=step.rpartition(":")[2],
            completion_status=NOT_OBSERVED if answer is None else answer.raw_status.hex(),
            was_accepted=started.was_accepted.value,
            started_at=started_at,
            codes=",".join(started.errors),
        )
        self.journal.append(Kind.SENT, step=step, body=write_body(body))

    # --- what follows may run disconnected ------------------------------------------------------------------

    def watch(self, work: Work) -> None:
        """Waits for the end of the command on its way, if there is one; a failed one lets the next follow."""
        if work.running is None:
            return
        technique, prepared, started = work.running
        step = start_step(work.commitment, technique.technique)
        with self.contained(work, step):
            watched = technique.watch(
                work.drive,
                started,
                deadlines=technique.deadlines(prepared),
                now_ms=self.world.clock,
                pause=self.world.pause,
                report=self._reporter(work, step),
            )
            self.journal_ended(work, watched)

    def journal_ended(self, work: Work, watched: Watched) -> None:
        """What watching gave. The next technique may follow only if the drive itself said no."""
        if work.running is None:
            return
        technique, prepared, started = work.running
        facts = technique.conclude(work.drive, prepared, started, watched)
        body = EndedBody(
            medium=work.commitment,
            technique=technique.technique.value,
            status_log_after=NOT_OBSERVED if facts.status_log_after is None else facts.status_log_after.hex(),
            seen_in_progress=facts.seen_in_progress.value,
            timed_out=facts.timed_out.value,
            finished_at=time_text(self._utc_seconds()),
            codes=",".join(facts.errors),
        )
        step = start_step(work.commitment, technique.technique)
        self.journal.append(Kind.ENDED, step=step, body=write_body(body))
        is_refused = facts.was_accepted is Seen.NO
        is_failed = Code.SANITIZE_FAILED.value in facts.errors and facts.is_log_ours is Seen.YES
        work.running = None
        work.is_stopped = not (is_refused or is_failed)

    def _reporter(self, work: Work, step: str) -> Callable[[SanitizeLog], None]:
        """Journals progress when it moved; a drive that stands still fills no journal."""
        last = -1

        def report(log: SanitizeLog) -> None:
            nonlocal last
            if log.progress_65536ths >> 10 == last:
                return
            last = log.progress_65536ths >> 10
            body = ProgressBody(
                medium=work.commitment,
                technique=step.rpartition(":")[2],
                progress_65536ths=str(log.progress_65536ths),
            )
            self.journal.append(Kind.PROGRESS, step=step, body=write_body(body))

        return report

    # --- the last look --------------------------------------------------------------------------------------

    def _read_back(self, work: Work) -> None:
        """Identity and markers as they read now. What cannot be read is said so; nothing is written."""
        codes: list[str] = []
        same = Seen.NOT_OBSERVED
        if work.found.drive is None:
            return
        try:
            same = Seen.that(work.drive.identity() == work.identity)
        except (Refused, DeviceError) as error:
            codes.append(error.code.value)
        if same is Seen.NO:
            codes.append(Code.IDENTITY_CHANGED.value)
        # What was not surely written cannot be found unchanged.
        placed = work.placed if work.is_held and work.is_marked else ()
        readings = [(marker, markers.read_after(work.drive.blocks, marker)) for marker in placed]
        reads = tuple(
            MarkerRead(
                nsid=marker.nsid,
                offset_bytes=marker.offset_bytes,
                reading=reading.reading.value,
                changed_65536ths=reading.changed_65536ths,
            )
            for marker, reading in readings
        )
        is_readable = Seen.NOT_OBSERVED
        if readings:
            is_readable = Seen.that(all(one.reading is not MarkerReading.UNREADABLE for _, one in readings))
        body = ReadbackBody(
            medium=work.commitment,
            same_identity=same.value,
            is_readable=is_readable.value,
            markers=reads,
            codes=",".join(codes),
        )
        self.journal.append(Kind.READBACK, step=f"readback:{work.commitment}", body=write_body(body))

    # --- what is signed -------------------------------------------------------------------------------------

    def _told(self) -> Told:
        folder = self.permit.folder
        asked = [line for line in self.journal.lines if line.needs_ack]
        return Told(
            order=self.order,
            order_digest=self.order_digest,
            record=self.permit.record,
            agent_key=self.key.public,
            has_secret=self.has_secret,
            lines=tuple(self.journal.lines),
            head=self.journal.head,
            acknowledged=frozenset(line.seq for line in asked if folder.is_acknowledged(line)),
            placed={work.commitment: work.placed for work in self.works},
            marker_nonce=self.marker_nonce,
            unexpected_count=self.unexpected_count,
            was_attached=self.was_attached,
            annex_digest=annex_digest(self.annex),
            finished_at_ms=self.world.clock(),
        )

    def _utc_seconds(self) -> datetime:
        return self.world.now().replace(microsecond=0)

    def stop(self, work: Work, kind: Kind, step: str, code: RefusalCode, reason: str) -> None:
        """Ends the work on one medium with a line that says why."""
        work.is_stopped, work.running = True, None
        body = StoppedBody(medium=work.commitment, code=code.value, reason=reason)
        self.journal.append(kind, step=step, body=write_body(body))
