"""The commands of one medium in its evidence, one entry each, from the journal's lines about it.

Rules: a command stands in the evidence if it was sent or may have been sent: its start was acknowledged and
not then refused; without a `sent` line nobody knows whether it was; of a pass of the host's whose end no line
tells, nobody knows how far it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from agent.journal import Kind
from agent.journal_bodies import NOT_APPLICABLE, EndedBody, OverwriteRead, SentBody, StartBody, read_body
from agent.overwritten import pattern_of
from agent.told import Told, last
from certificate.messages import JournalLine
from certificate.statements import Seen
from certificate.statements.evidence import Command, Overwrite
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import OverwritePattern, Technique


def commands(told: Told, lines: Sequence[JournalLine]) -> Iterator[Command]:
    """Each start of `lines`, which are one medium's, that was sent or perhaps sent."""
    refused = {line.step for line in lines if line.kind == Kind.NOT_BEGUN}
    for line in lines:
        if line.kind == Kind.START and line.step not in refused and line.seq in told.acknowledged:
            of_step = [other for other in lines if other.step == line.step]
            yield _command(read_body(line, StartBody), of_step)


def _command(start: StartBody, of_step: Sequence[JournalLine]) -> Command:
    technique = Technique(start.technique)
    sent = last(of_step, Kind.SENT, SentBody)
    ended = last(of_step, Kind.ENDED, EndedBody)
    # Without a `sent` line nobody knows whether there was anything to wait for.
    timed_out = Seen.NOT_OBSERVED if sent is None or ended is None else Seen(ended.timed_out)
    in_progress = Seen.YES if any(line.kind == Kind.PROGRESS for line in of_step) else Seen.NOT_OBSERVED
    if in_progress is not Seen.YES and ended is not None:
        in_progress = Seen(ended.seen_in_progress)
    is_hosts = start.submission == NOT_APPLICABLE
    unseen = NOT_APPLICABLE if is_hosts else NOT_OBSERVED
    has_log = start.status_log_before != NOT_APPLICABLE
    return Command(
        technique=technique,
        submission=unseen if sent is None else start.submission,
        completion_status=unseen if sent is None else sent.completion_status,
        was_accepted=Seen.NOT_OBSERVED if sent is None else Seen(sent.was_accepted),
        # The permit is checked immediately before the command, and `sent` is written only after it.
        start_acknowledged=Seen.NOT_OBSERVED if sent is None else Seen.YES,
        status_log_before=start.status_log_before,
        status_log_after=(NOT_OBSERVED if has_log else NOT_APPLICABLE)
        if ended is None
        else ended.status_log_after,
        seen_in_progress=in_progress,
        started_at=NOT_OBSERVED if sent is None else _time(sent.started_at),
        finished_at=NOT_OBSERVED if ended is None else _time(ended.finished_at),
        timed_out=timed_out,
        overwrite=_overwrite(technique, None if ended is None else ended.overwrite),
    )


def _overwrite(technique: Technique, read: OverwriteRead | None) -> Overwrite | Literal["not_applicable"]:
    pattern = pattern_of(technique)
    if pattern is None:
        return NOT_APPLICABLE
    if read is None:
        return Overwrite(
            pattern=pattern,
            bytes_written=NOT_OBSERVED,
            bytes_failed=NOT_OBSERVED,
            was_flushed=Seen.NOT_OBSERVED,
        )
    return Overwrite(
        pattern=OverwritePattern(read.pattern),
        bytes_written=read.bytes_written,
        bytes_failed=read.bytes_failed,
        was_flushed=Seen(read.was_flushed),
    )


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
