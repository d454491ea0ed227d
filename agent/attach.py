"""Taking over an execution whose process is gone: look, and send nothing.

Rules: no irreversible command is ever sent here, whatever the journal says; a command that was acknowledged
may have been sent, so the drive's own status is asked; what the first process did not write down stays
`not_observed` (`evidence`); a step that was waiting is not begun any more. It may be repeated: a second
attach finds what the first one wrote and looks again.
"""

from __future__ import annotations

from dataclasses import replace

from agent import markers
from agent.devices import nvme
from agent.devices.nvme import Completion, DriveIdentity, SanitizeLog
from agent.errors import Code
from agent.execute import Execution, Work, markers_step, start_step
from agent.found_media import place
from agent.journal import Kind
from agent.journal_bodies import OpenedBody, SentBody, StartBody, read_body
from agent.techniques import TECHNIQUES, NvmeSanitize
from agent.techniques.nvme_sanitize import Prepared, Started, Watched
from certificate.errors import Refused
from certificate.messages import JournalLine
from certificate.statements import Seen
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Technique

REASON = "the executing process ended before this step was over"


def attach(execution: Execution) -> None:
    """From an unfinished journal to signed evidence, by observation only."""
    before = tuple(execution.journal.lines)
    execution.journal.append(Kind.ATTACHED, step="attached", body={})
    for work in execution.works:
        own = tuple(line for line in before if line.body.get("medium") == work.commitment)
        with execution.contained(work, f"open:{work.commitment}"):
            execution.open(work)
        with execution.contained(work, f"attach:{work.commitment}"):
            _recover(execution, work, own)
            _observe(execution, work)
        work.is_stopped = True
    execution.conclude()


def _recover(execution: Execution, work: Work, lines: tuple[JournalLine, ...]) -> None:
    """What the first process had in its memory: identity, markers, the command on its way."""
    work.techniques = []
    opened = next((line for line in lines if line.kind == Kind.OPENED), None)
    if opened is not None and work.found.identity is not None:
        work.identity = _identity_then(work, read_body(opened, OpenedBody))
    committed = next((line for line in lines if line.kind == Kind.MARKERS_COMMITTED), None)
    if committed is not None and opened is not None:
        work.placed = _placed_then(execution, work, read_body(opened, OpenedBody), committed)
    work.is_marked = any(line.kind == Kind.MARKED for line in lines)
    starts = [line for line in lines if line.kind == Kind.START]
    if starts:
        _recover_command(execution, work, starts[-1], lines)
    step = starts[-1].step if starts else markers_step(work.commitment)
    last = [line for line in lines if line.step == step] if starts else lines
    if not any(line.kind in (Kind.SENT, Kind.NOT_BEGUN, Kind.FAILED) for line in last):
        kind = Kind.NOT_BEGUN if work.running is None else Kind.FAILED
        running = work.running
        execution.stop(work, kind, step, Code.EXECUTION_INTERRUPTED, REASON)
        work.running = running


def _identity_then(work: Work, opened: OpenedBody) -> DriveIdentity | None:
    """The identity that was read first. The serial is the same by the commitment that found the drive."""
    if work.found.identity is None or NOT_OBSERVED in (opened.model, opened.capacity_bytes):
        return None
    return replace(work.found.identity, model_number=opened.model, capacity_bytes=int(opened.capacity_bytes))


def _placed_then(
    execution: Execution, work: Work, opened: OpenedBody, committed: JournalLine
) -> tuple[markers.PlacedMarker, ...]:
    found = replace(work.found, report=opened.report)
    placed = place(found, order_digest=execution.order_digest, nonce=execution.marker_nonce)
    if markers.digest(placed, boot_nonce=execution.marker_nonce) != committed.body["commitment"]:
        raise Refused(Code.JOURNAL_BROKEN, "the markers derived again are not those of the commitment")
    return placed


def _recover_command(
    execution: Execution, work: Work, line: JournalLine, lines: tuple[JournalLine, ...]
) -> None:
    """Sets the command on its way, if the newest start was acknowledged and has neither end nor refusal."""
    of_step = [other for other in lines if other.step == line.step]
    is_over = any(other.kind in (Kind.NOT_BEGUN, Kind.ENDED) for other in of_step)
    if is_over or not execution.permit.folder.is_acknowledged(line) or work.identity is None:
        return
    start = read_body(line, StartBody)
    technique = TECHNIQUES[Technique(start.technique)]
    command = nvme.sanitize(technique.action, no_deallocate=_asked_no_deallocate(start.submission))
    if command.sqe.hex() != start.submission:
        raise Refused(Code.JOURNAL_BROKEN, "the command in the journal is none of this release")
    log = SanitizeLog.parse(bytes.fromhex(start.status_log_before).ljust(nvme.SANITIZE_LOG_BYTES, b"\x00"))
    sent = next((read_body(other, SentBody) for other in of_step if other.kind == Kind.SENT), None)
    answer = None
    if sent is not None and sent.completion_status != NOT_OBSERVED:
        answer = Completion(status=int(sent.completion_status, 16), result=0, data=b"")
    prepared = Prepared(identity=work.identity, log=log, command=command, counters=start.counters)
    work.running = (technique, prepared, Started(command=command, answer=answer, errors=()))


def _asked_no_deallocate(submission_hex: str) -> bool:
    dword10 = int.from_bytes(bytes.fromhex(submission_hex)[40:44], "little")
    return bool(dword10 & nvme.NO_DEALLOCATE_AFTER_SANITIZE)


def _observe(execution: Execution, work: Work) -> None:
    """Waits for a command that is running; one that may never have been sent gets one look and no waiting."""
    if work.running is None:
        return
    log = work.drive.sanitize_log()
    technique, _, started = work.running
    if log.is_running:
        execution.watch(work)
        return
    step = start_step(work.commitment, technique.technique)
    with execution.contained(work, step):
        execution.journal_ended(work, _one_look(technique, started, log))


def _one_look(technique: NvmeSanitize, started: Started, log: SanitizeLog) -> Watched:
    is_over = started.answer is None or log.has_ended
    return Watched(
        last_log=log,
        has_ended=log.has_ended,
        seen_in_progress=Seen.NOT_OBSERVED,
        timed_out=Seen.NOT_OBSERVED if not is_over else Seen.NO,
        errors=(),
    )
