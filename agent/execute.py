"""The sequence of an execution, and nothing but the sequence.

    for each drive   let go of what stands on it; open exclusively; destroy the keys of each planned layer;
                     commit to markers; acknowledged; write them and read them back (`marker_steps`);
                     prepare; acknowledged; send once
    for each drive   wait for its own end; on its own word that it failed, the next technique of the plan
    for each drive   read its identity again, the markers, what an overwrite wrote, and look for its layers
    once             the inventory again: is anything here that was not erased?
    once             evidence, signed by this boot's key

Rules: the caller holds the execution lock; `permit` is asked again immediately before each irreversible act;
a journal line is durable before what it announces and after what it reports; one failing drive stops its own
work only, and the reason stands in the evidence; a technique that needs several commands sends each by
itself, in order, and the next only after the one before ended well; whatever ends the process, nothing is
ever sent twice, because a second process only observes (`attach`). A token that is given up, which happens
only before its first acknowledgement, ends the execution without evidence: its last word is the signed
absence (`standing`). What may be claimed is not decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent import last_look, layer_steps, marker_steps, overwritten, recount, release_steps
from agent.errors import Code, DeviceError, StepRefused
from agent.evidence import assemble
from agent.found_media import FoundMedium, annex_digest, self_report
from agent.journal import JournalWriter, Kind
from agent.journal_bodies import (
    NOT_APPLICABLE,
    EndedBody,
    EvidenceBody,
    OpenedBody,
    ProgressBody,
    SentBody,
    StartBody,
    StoppedBody,
    without_names,
    write_body,
)
from agent.permit import Permit
from agent.steps import markers_step, start_step
from agent.teardown import Teardown
from agent.techniques.technique import Report, Started, Technique, Watched
from agent.told import Told
from agent.work import Running, Work, aim_at
from agent.world import World
from certificate import envelope
from certificate.errors import Code as DocumentCode
from certificate.errors import RefusalCode, Refused
from certificate.keys import PrivateKey
from certificate.messages import JournalLine
from certificate.statements import Order, Seen
from certificate.statements.evidence import MAX_COMMANDS
from certificate.statements.statement import NOT_OBSERVED, time_text
from certificate.statements.vocabulary import Technique as TechniqueName

LOG = logging.getLogger("agent.execute")
#: A line of progress for each 1/64: what moves slowly for hours fills no journal.
PROGRESS_SHIFT = 10


@dataclass(kw_only=True)
class Execution:
    """One order on one machine, the execution lock being held.

    `annex`: the file whose digest the evidence names. `unexpected_count`: drives found that no order names,
    None where nobody looked; `take_inventory` looks again at the end. `was_attached`: another process began
    this execution, and this one observes.
    """

    order: Order
    order_digest: str
    permit: Permit
    journal: JournalWriter
    key: PrivateKey
    has_secret: Seen
    marker_nonce: bytes
    media: tuple[FoundMedium, ...]
    techniques: Mapping[TechniqueName, Technique]
    teardown: Teardown
    unexpected_count: int | None
    take_inventory: recount.TakeInventory
    annex: bytes
    world: World
    was_attached: bool = False
    works: list[Work] = field(init=False)

    def __post_init__(self) -> None:
        self.works = [self._work(found) for found in self.media]

    def _work(self, found: FoundMedium) -> Work:
        aim = aim_at(
            found.report,
            order_digest=self.order_digest,
            marker_nonce=self.marker_nonce,
            commitment=found.planned.commitment,
        )
        return Work(found=found, aim=aim, techniques=list(found.planned.techniques))

    def run(self) -> None:
        """From the accepted order to signed evidence. Raises only what concerns the journal itself."""
        if not self.permit.is_given_up():
            release_steps.release(self)
        for work in self.works:
            if self.permit.is_given_up():
                break
            with self.contained(work, f"open:{work.commitment}"):
                self.open(work)
            layer_steps.destroy(self, work)
            with self.contained(work, markers_step(work.commitment)):
                marker_steps.mark(self, work)
            self._begin(work)
        # A drive that works alone may fail and need its next technique while the order is still alive; the
        # host's own passes take longest and have none after them.
        self._pursue(of_host=False)
        self._pursue(of_host=True)
        self.conclude()

    def _pursue(self, *, of_host: bool) -> None:
        """Each medium to its end, or, not `of_host`, until only the host's own pass is on its way."""
        for work in self.works:
            while work.running is not None and (of_host or not work.running.is_hosts):
                self.watch(work)
                self._begin(work)

    def conclude(self) -> None:
        """The last look at each medium, the evidence, the end; of a token given up, only the end."""
        if not self.permit.is_given_up():
            self._look()
            self._recount()
            self._testify()
        for work in self.works:
            self._let_go(work)

    def _look(self) -> None:
        looks = last_look.looks(
            self.works,
            mode=self.order.plan.read_back,
            order_digest=self.order_digest,
            nonce=self.marker_nonce,
        )
        for work, look in looks:
            step = f"readback:{work.commitment}"
            with self.contained(work, step):
                body = look(self._reporter(work, step))
                self.journal.append(Kind.READBACK, step=step, body=write_body(body))

    def _recount(self) -> None:
        seen = recount.recount(self.media, self.journal.lines, take_inventory=self.take_inventory)
        self.unexpected_count = recount.worst(self.unexpected_count, seen.unexpected_count)
        for work in self.works:
            if (code := seen.changes.get(work.commitment)) is not None:
                reason = "the second inventory does not show the drive as it was opened"
                self.note(work, Kind.FAILED, f"recount:{work.commitment}", code, reason)

    def _let_go(self, work: Work) -> None:
        if work.found.drive is None:
            return
        try:
            work.found.drive.blocks.close()
        except OSError:
            LOG.exception("closing %s", work.commitment)

    def _testify(self) -> None:
        """Signs what the journal tells, unless the token was given up meanwhile: evidence or absence."""
        nonce = self.world.random_bytes(16).hex()
        evidence = assemble(self._told(), nonce=nonce, issued_at=self.world.utc_seconds())
        signed = envelope.sign(evidence.payload(), self.key)
        body = EvidenceBody(envelope=signed.write().decode(), annex=self.annex.decode())
        with self.permit.run.settling():
            if self.permit.is_given_up():
                return
            self.journal.append(Kind.EVIDENCE, step="evidence", body=write_body(body))
        self.journal.append(Kind.FINISHED, step="finished", body={})

    @contextmanager
    def contained(self, work: Work, step: str, *, ends_work: bool = True) -> Iterator[None]:
        """Turns whatever goes wrong with one medium into a line of its own and, but for its layers, the end
        of its work.
        """
        tell = self.stop if ends_work else self.note
        try:
            yield
        except StepRefused as refusal:
            tell(work, Kind.NOT_BEGUN, step, refusal.code, refusal.reason)
        except (Refused, DeviceError) as error:
            tell(work, Kind.FAILED, step, error.code, error.reason)
        except OSError as error:
            tell(work, Kind.FAILED, step, Code.DEVICE_UNANSWERED, error.strerror or "input/output error")
        except Exception:
            # A fault of ours must not cost the other drives their evidence.
            LOG.exception("step %s", step)
            tell(work, Kind.FAILED, step, Code.AGENT_FAILED, "see the agent's log")

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
            report=None if found.report is None else without_names(found.report),
        )
        self.journal.append(Kind.OPENED, step=f"open:{work.commitment}", body=write_body(body))
        work.identity = identity
        work.is_held = exclusively is Seen.YES
        if work.drive is not None and identity is None:
            raise Refused(Code.DRIVE_UNREADABLE, "the drive does not say what it is")
        if not work.is_held:
            raise StepRefused(Code.DRIVE_NOT_EXCLUSIVE, "the drive could not be taken exclusively")

    def require_permit(self, work: Work, line: JournalLine) -> None:
        """Waits for the acknowledgement, sees that this is still the same drive, and asks once more."""
        self.permit.await_ack(line)
        if work.drive.identity() != work.identity:
            raise StepRefused(Code.IDENTITY_CHANGED, "another drive answers since the step was asked for")
        self.permit.check(line)

    # --- the commands ---------------------------------------------------------------------------------------

    def _begin(self, work: Work) -> None:
        """Starts what is next, until a command is on its way that may run alone, or nothing is left.

        What the drive refused, and each command of several but the last, is over at once: the next one is
        asked for while somebody is there to acknowledge it.
        """
        while self._begin_one(work):
            running = work.running
            if running is not None and not work.commands and running.started.was_accepted is not Seen.NO:
                return
            self.watch(work)

    def _begin_one(self, work: Work) -> bool:
        """Whether there was something to begin; `work.running` says whether it is on its way."""
        if work.is_stopped or not (work.is_marked or work.unmarked) or work.running is not None:
            return False
        if not work.commands and not work.techniques:
            return False
        if not work.commands:
            work.technique = work.techniques.pop(0)
        name = work.technique
        if name is None:
            return False
        technique = self.techniques[name]
        with self.contained(work, start_step(work.commitment, name)):
            if not work.commands:
                work.commands = self._commands_of(work, technique)
        if work.is_stopped:
            return False
        command = work.commands.pop(0)
        with self.contained(work, start_step(work.commitment, name, command)):
            self._start(work, technique, command)
        return True

    def _commands_of(self, work: Work, technique: Technique) -> list[str]:
        """What the technique needs on this drive. Raises Refused when evidence could not tell it all."""
        commands = list(technique.steps(work.drive, work.aim))
        if not commands or work.begun_count + len(commands) > MAX_COMMANDS:
            reason = f"{len(commands)} commands after {work.begun_count}, evidence holds {MAX_COMMANDS}"
            raise Refused(DocumentCode.TECHNIQUE_UNAVAILABLE, reason)
        return commands

    def _start(self, work: Work, technique: Technique, command: str) -> None:
        step = start_step(work.commitment, technique.technique, command)
        prepared = technique.prepare(work.drive, work.aim, step=command)
        status, submission = prepared.status_before, prepared.submission
        body = StartBody(
            medium=work.commitment,
            technique=technique.technique.value,
            command=command,
            submission=NOT_APPLICABLE if submission is None else submission.hex(),
            status_log_before=NOT_APPLICABLE if status is None else status.hex(),
            counters=prepared.counters,
            self_report=self_report(work.found),
        )
        line = self.journal.append(Kind.START, step=step, body=write_body(body), needs_ack=True)
        self.permit.await_ack(line)
        again = technique.prepare(work.drive, work.aim, step=command)
        if again != prepared or work.identity != prepared.identity:
            raise StepRefused(Code.IDENTITY_CHANGED, "the drive answers otherwise than when it was asked")
        started_at = time_text(self.world.utc_seconds())
        self.permit.check(line)
        work.begun_count += 1
        started = technique.start(work.drive, prepared)
        work.running = Running(technique=technique, step=step, prepared=prepared, started=started)
        self._journal_sent(work, work.running, started, started_at)

    def _journal_sent(self, work: Work, running: Running, started: Started, started_at: str) -> None:
        missing = NOT_APPLICABLE if running.is_hosts else NOT_OBSERVED
        body = SentBody(
            medium=work.commitment,
            technique=running.technique.technique.value,
            completion_status=missing if started.completion is None else started.completion.hex(),
            was_accepted=started.was_accepted.value,
            started_at=started_at,
            codes=",".join(started.errors),
        )
        self.journal.append(Kind.SENT, step=running.step, body=write_body(body))

    # --- what follows may run disconnected ------------------------------------------------------------------

    def watch(self, work: Work) -> None:
        """Waits for the end of the command on its way, if there is one; a failed one lets the next follow."""
        running = work.running
        if running is None:
            return
        with self.contained(work, running.step):
            watched = running.technique.watch(
                work.drive,
                running.prepared,
                running.started,
                now_ms=self.world.clock,
                pause=self.world.pause,
                report=self._reporter(work, running.step),
            )
            self._journal_ended(work, running, watched)

    def _journal_ended(self, work: Work, running: Running, watched: Watched) -> None:
        """What watching gave. After a failure by the drive's own word the next technique may follow, after a
        good end the next command of this one; anything else ends the medium.
        """
        facts = running.technique.conclude(work.drive, running.prepared, running.started, watched)
        missing = NOT_APPLICABLE if running.prepared.status_before is None else NOT_OBSERVED
        body = EndedBody(
            medium=work.commitment,
            technique=running.technique.technique.value,
            status_log_after=missing if facts.status_after is None else facts.status_after.hex(),
            seen_in_progress=facts.seen_in_progress.value,
            timed_out=facts.timed_out.value,
            finished_at=time_text(self.world.utc_seconds()),
            overwrite=overwritten.read_of(facts),
            codes=",".join(facts.errors),
        )
        self.journal.append(Kind.ENDED, step=running.step, body=write_body(body))
        work.running = None
        work.is_overwritten = overwritten.is_whole(body.overwrite, work.aim)
        if facts.has_failed:
            work.commands = []
            return
        is_well = running.started.was_accepted is Seen.YES and facts.timed_out is Seen.NO
        work.is_stopped = not (work.commands and is_well)

    def _reporter(self, work: Work, step: str) -> Report:
        """Journals progress when it moved; a drive that stands still fills no journal."""
        last = -1

        def report(progress_65536ths: int) -> None:
            nonlocal last
            if progress_65536ths >> PROGRESS_SHIFT == last:
                return
            last = progress_65536ths >> PROGRESS_SHIFT
            technique = NOT_OBSERVED if work.technique is None else work.technique.value
            body = ProgressBody(
                medium=work.commitment, technique=technique, progress_65536ths=str(progress_65536ths)
            )
            self.journal.append(Kind.PROGRESS, step=step, body=write_body(body))

        return report

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

    def stop(self, work: Work, kind: Kind, step: str, code: RefusalCode, reason: str) -> None:
        """Ends the work on one medium with a line that says why."""
        work.is_stopped, work.running = True, None
        self.note(work, kind, step, code, reason)

    def note(self, work: Work, kind: Kind, step: str, code: RefusalCode, reason: str) -> None:
        """A line that says why a step of this medium was not begun, failed, or is done without."""
        body = StoppedBody(medium=work.commitment, code=code.value, reason=reason)
        self.journal.append(kind, step=step, body=write_body(body))
