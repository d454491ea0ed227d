"""Rule 5 for a host's own overwrite: one pass over every addressable byte, and nothing a device reports.

Its proof is in the markers and the read-back (`read_back`); what is not proven so is not known at all.
KNOWN GAP: metadata that lies beside the blocks instead of in line is not written either, and the words that
are reported do not say how much of it a namespace has. `limits` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.assurance import medium
from certificate.assurance.case import NOT_APPLICABLE, Attempt, Case
from certificate.reasons import Reason
from certificate.statements.evidence import Command, Overwrite
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import OverwritePattern, Technique, Transport

_PATTERNS: Final = {
    Technique.OVERWRITE_KEYSTREAM: OverwritePattern.KEYSTREAM,
    Technique.OVERWRITE_ZERO: OverwritePattern.ZERO,
}
#: FLBAS: metadata lies in line with the data, and writing blocks of data alone leaves it.
FLBAS_EXTENDED: Final = 1 << 4


def reasons(case: Case, attempt: Attempt) -> Iterator[Reason]:
    """What lowers the claim that this pass overwrote the medium. One pass does all."""
    if len(attempt.commands) != 1:
        yield Reason.COMMAND_REPEATED
    for command in attempt.commands:
        yield from _pass(case, command, _PATTERNS[attempt.technique])
    yield from medium.addressable(case)
    if case.entry.medium.transport is Transport.NVME and not _is_without_metadata(case):
        yield Reason.LAYOUT_DIFFERS


def _pass(case: Case, command: Command, pattern: OverwritePattern) -> Iterator[Reason]:
    device_words = (
        command.submission,
        command.completion_status,
        command.status_log_before,
        command.status_log_after,
    )
    if set(device_words) != {NOT_APPLICABLE}:
        yield Reason.RECORD_DOES_NOT_FIT
    done = command.overwrite
    if done == NOT_APPLICABLE:
        yield Reason.RECORD_DOES_NOT_FIT
        return
    if {done.pattern, case.order.plan.overwrite} != {pattern}:
        yield Reason.SUBMISSION_DIFFERS
    if not _is_complete(case, done):
        yield Reason.OVERWRITE_INCOMPLETE
    if done.was_flushed is not Seen.YES:
        yield Reason.OVERWRITE_NOT_FLUSHED


def _is_complete(case: Case, done: Overwrite) -> bool:
    is_counted = isinstance(done.bytes_written, int) and done.bytes_failed == 0
    return is_counted and done.bytes_written == case.entry.medium.capacity_bytes


def _is_without_metadata(case: Case) -> bool:
    words = [case.word(f"NS{each.nsid}:FLBAS", width_bytes=1) for each in case.entry.namespaces]
    return all(word is not None and not word & FLBAS_EXTENDED for word in words)
