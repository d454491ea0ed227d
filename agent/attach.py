"""Taking over an execution whose process is gone: look, and send nothing.

Rules: no irreversible command is ever sent here, whatever the journal says, and no layer is destroyed; a
command that was acknowledged may have been sent, so the drive's own status is asked; what the host itself was
writing ended with its process, and how far it came nobody knows; what the first process did not write down
stays `not_observed` (`evidence`); a step that was waiting is not begun any more. It may be repeated: a second
attach finds what the first one wrote and looks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent import layer_steps, markers, overwritten
from agent.devices.drive import DriveIdentity
from agent.errors import Code
from agent.execute import Execution
from agent.found_media import place
from agent.journal import Kind
from agent.journal_bodies import (
    NOT_APPLICABLE,
    EndedBody,
    OpenedBody,
    SentBody,
    StartBody,
    read_body,
)
from agent.steps import is_layers, markers_step
from agent.techniques.technique import Prepared, Started
from agent.work import Running, Work, aim_at
from certificate.errors import Refused
from certificate.messages import DriveReport, JournalLine
from certificate.statements import Seen
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Technique

REASON = "the executing process ended before this step was over"
#: Lines after which a step of the medium needs no word any more about its end.
_STOPS = (Kind.NOT_BEGUN, Kind.FAILED)


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
            # Where the drive is gone there is nothing to watch: its identity was not recovered.
            execution.watch(work)
        work.is_stopped = True
    execution.conclude()


def _recover(execution: Execution, work: Work, lines: Sequence[JournalLine]) -> None:
    """What the first process had in its memory: identity, markers, layout, the command on its way."""
    work.techniques = []
    opened = next((line for line in lines if line.kind == Kind.OPENED), None)
    if opened is not None:
        _recover_medium(execution, work, read_body(opened, OpenedBody), lines)
    starts = [line for line in lines if line.kind == Kind.START]
    if starts:
        _recover_command(execution, work, starts[-1], lines)
    _tell_interruptions(execution, work, lines)


def _recover_medium(
    execution: Execution, work: Work, opened: OpenedBody, lines: Sequence[JournalLine]
) -> None:
    work.aim = aim_at(
        opened.report,
        order_digest=execution.order_digest,
        marker_nonce=execution.marker_nonce,
        commitment=work.commitment,
    )
    work.identity = _identity_then(work, opened)
    committed = next((line for line in lines if line.kind == Kind.MARKERS_COMMITTED), None)
    if committed is not None:
        placed = _placed_then(execution, work, opened.report, committed)
        is_unmarked = any(line.kind == Kind.UNMARKED for line in lines)
        work.placed, work.unmarked = ((), placed) if is_unmarked else (placed, ())
    work.is_marked = any(line.kind == Kind.MARKED for line in lines)


def _identity_then(work: Work, opened: OpenedBody) -> DriveIdentity | None:
    """The identity that was read first. The serial is the same by the commitment that found the drive."""
    if work.found.identity is None or NOT_OBSERVED in (opened.model, opened.capacity_bytes):
        return None
    return replace(work.found.identity, model_number=opened.model, capacity_bytes=int(opened.capacity_bytes))


def _placed_then(
    execution: Execution, work: Work, report: DriveReport | None, committed: JournalLine
) -> tuple[markers.PlacedMarker, ...]:
    found = replace(work.found, report=report)
    placed = place(found, order_digest=execution.order_digest, nonce=execution.marker_nonce)
    written = placed if committed.body["count"] != "0" else ()
    if markers.digest(written, boot_nonce=execution.marker_nonce) != committed.body["commitment"]:
        raise Refused(Code.JOURNAL_BROKEN, "the markers derived again are not those of the commitment")
    return placed


def _recover_command(
    execution: Execution, work: Work, line: JournalLine, lines: Sequence[JournalLine]
) -> None:
    """Sets the command on its way, if the newest start was acknowledged and has neither end nor refusal."""
    of_step = [other for other in lines if other.step == line.step]
    start = read_body(line, StartBody)
    if not execution.permit.folder.is_acknowledged(line) or work.identity is None:
        return
    work.technique = Technique(start.technique)
    ended = next((read_body(other, EndedBody) for other in of_step if other.kind == Kind.ENDED), None)
    if ended is not None:
        work.is_overwritten = overwritten.is_whole(ended.overwrite, work.aim)
    is_over = ended is not None or any(other.kind == Kind.NOT_BEGUN for other in of_step)
    if is_over or start.submission == NOT_APPLICABLE:
        return
    sent = next((read_body(other, SentBody) for other in of_step if other.kind == Kind.SENT), None)
    completion = None if sent is None or sent.completion_status == NOT_OBSERVED else sent.completion_status
    work.running = Running(
        technique=execution.techniques[work.technique],
        step=line.step,
        prepared=Prepared(
            identity=work.identity,
            submission=bytes.fromhex(start.submission),
            status_before=_raw(start.status_log_before),
            counters=start.counters,
        ),
        started=Started(
            was_accepted=Seen.NOT_OBSERVED if sent is None else Seen(sent.was_accepted),
            completion=None if completion is None else bytes.fromhex(completion),
            errors=(),
        ),
    )


def _raw(status_log: str) -> bytes | None:
    return None if status_log in (NOT_APPLICABLE, NOT_OBSERVED) else bytes.fromhex(status_log)


def _tell_interruptions(execution: Execution, work: Work, lines: Sequence[JournalLine]) -> None:
    """A line for the step that lost its process: begun or not, it goes no further.

    A command of the drive's own that is known to be sent needs none: the drive goes on with it alone.
    """
    layer_steps.interrupted(execution, work, lines)
    running = work.running
    own = [line for line in lines if not is_layers(line)]
    if any(line.kind in _STOPS for line in own):
        return
    asked = next((line for line in reversed(own) if line.needs_ack), None)
    step = markers_step(work.commitment) if asked is None else asked.step
    kinds = {line.kind for line in own if line.step == step}
    is_hosts = asked is not None and asked.body.get("submission") == NOT_APPLICABLE
    if Kind.ENDED in kinds or (Kind.SENT in kinds and not is_hosts):
        return
    may_have_begun = asked is not None and execution.permit.folder.is_acknowledged(asked)
    kind = Kind.FAILED if may_have_begun else Kind.NOT_BEGUN
    execution.stop(work, kind, step, Code.EXECUTION_INTERRUPTED, REASON)
    work.running = running
