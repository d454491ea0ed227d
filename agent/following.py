"""A journal as it grows, and the acknowledgements that come back.

Rules: only whole, synced lines are sent; the end is told: complete when there is evidence, not complete when
the executing process is gone without any. Where such an execution may have begun, a process that only
observes is started, once for each `follow`. An acknowledgement is taken only for a line that asks for it, of
a running execution of this boot, whose step is still waiting, and never for a token that is given up: it and
the poison exclude each other (`tokens`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from agent import tokens
from agent.errors import Code
from agent.journal import Journal, Kind
from agent.permit import ACK_LIFE_MS
from agent.run_directory import RunDirectory
from agent.tokens import TokenFolder
from certificate.errors import Refused
from certificate.messages import Ack, AckAnswer, Follow, JournalEnd, JournalLine, TokenState

#: How often the journal is looked at while it does not grow.
FOLLOW_PAUSE_SECONDS = 0.02


def follow(
    run: RunDirectory,
    ask: Follow,
    *,
    attach: Callable[[TokenFolder, int], None],
    pause: Callable[[float], None],
) -> Iterator[JournalLine | JournalEnd]:
    """The lines from `from_seq` on, then the end. `attach` starts an observer that inherits the lock.

    Ends when the execution does, which its own deadlines bound.
    Raises Refused: TOKEN_UNKNOWN, JOURNAL_BROKEN.
    """
    run.boot()
    folder = tokens.folder(run, ask.token)
    if folder.record() is None:
        raise Refused(Code.TOKEN_UNKNOWN, "this boot never accepted that token")
    sent, has_attached = max(0, ask.from_seq), False
    while True:
        # Asked before the journal is read: whoever held the lock wrote its last line before letting go.
        is_executing = run.is_executing()
        journal = folder.journal()
        yield from journal.lines[sent:]
        sent = max(sent, len(journal.lines))
        # Of exactly the lines that were sent: a later look could end this before its last line.
        state = folder.state(is_executing=is_executing, lines=journal)
        if state is TokenState.UNKNOWN and not has_attached:
            has_attached = _attach(run, folder, attach)
        elif state is not TokenState.RUNNING and not (is_executing and _is_closing(journal)):
            yield JournalEnd(token=ask.token, lines=len(journal.lines), is_complete=state is TokenState.DONE)
            return
        pause(FOLLOW_PAUSE_SECONDS)


def acknowledge(run: RunDirectory, ack: Ack, *, now_ms: int) -> AckAnswer:
    """Stores the acknowledgement.

    Raises Refused: ACK_REFUSED, TOKEN_UNKNOWN, TOKEN_POISONED, BOOT_MISMATCH.
    """
    if ack.boot_id != run.boot().boot_id:
        raise Refused(Code.BOOT_MISMATCH, "the acknowledgement is for another boot")
    folder = tokens.folder(run, ack.token)
    if folder.record() is None:
        raise Refused(Code.TOKEN_UNKNOWN, "this boot never accepted that token")
    with run.settling():
        if folder.poison() is not None:
            raise Refused(Code.TOKEN_POISONED, "this token was given up for ever")
        is_executing = run.is_executing()
        _require_waiting(folder.journal(), ack, now_ms=now_ms)
        if not is_executing:
            raise Refused(Code.ACK_REFUSED, "the execution that asked is gone")
        folder.put_ack(ack, at_ms=now_ms)
    return AckAnswer(token=ack.token, seq=ack.seq)


def _require_waiting(journal: Journal, ack: Ack, *, now_ms: int) -> None:
    line = journal.lines[ack.seq] if 0 <= ack.seq < len(journal.lines) else None
    if line is None or not line.needs_ack or line.step != ack.step:
        raise Refused(Code.ACK_REFUSED, f"line {ack.seq} does not ask for {ack.step[:60]!r}")
    later = journal.lines[ack.seq + 1 :]
    if any(other.step == line.step and other.kind in (Kind.NOT_BEGUN, Kind.FAILED) for other in later):
        raise Refused(Code.ACK_REFUSED, "the step was given up before the acknowledgement came")
    if now_ms >= line.at_ms + ACK_LIFE_MS:
        raise Refused(Code.ACK_REFUSED, f"it was asked for {now_ms - line.at_ms} ms ago")


def _is_closing(journal: Journal) -> bool:
    """Evidence is written and `finished` is about to be: wait for it, so that followers see the whole."""
    return journal.has_evidence and journal.lines[-1].kind != Kind.FINISHED


def _attach(run: RunDirectory, folder: TokenFolder, attach: Callable[[TokenFolder, int], None]) -> bool:
    """True when an observer was started; false when somebody else took the lock first."""
    lock = run.take_lock()
    if lock is None:
        return False
    try:
        if folder.state(is_executing=False) is TokenState.UNKNOWN:
            attach(folder, lock)
        return True
    finally:
        os.close(lock)
