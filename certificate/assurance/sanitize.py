"""Rules 5 and 6: the command and the drive's own status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate import sanitize_words
from certificate.assurance import markers
from certificate.reasons import Reason
from certificate.sanitize_words import SanitizeAction, SanitizeState, SanitizeStatus, Submission, Unreadable
from certificate.selection import SANICAP_BLOCK_ERASE, SANICAP_CRYPTO_ERASE
from certificate.statements.evidence import Command, MediumEvidence
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import Technique

SANICAP: Final = "SANICAP"
_ACTIONS: Final = {
    Technique.NVME_SANITIZE_CRYPTO: SanitizeAction.CRYPTO_ERASE,
    Technique.NVME_SANITIZE_BLOCK: SanitizeAction.BLOCK_ERASE,
}
_CAPABILITY_BITS: Final = {
    Technique.NVME_SANITIZE_CRYPTO: SANICAP_CRYPTO_ERASE,
    Technique.NVME_SANITIZE_BLOCK: SANICAP_BLOCK_ERASE,
}


def commands(planned: PlannedMedium, entry: MediumEvidence) -> Iterator[Reason]:
    if not entry.commands:
        yield Reason.NO_COMMAND
        return
    sent = tuple(command.technique for command in entry.commands)
    earlier_failed = all(_has_failed(command) for command in entry.commands[:-1])
    if sent != planned.techniques[: len(sent)] or not earlier_failed:
        yield Reason.COMMAND_NOT_PLANNED
    command = entry.commands[-1]
    if not _is_offered(command.technique, entry):
        yield Reason.CAPABILITY_NOT_SHOWN
    if command.start_acknowledged is not Seen.YES:
        yield Reason.START_NOT_ACKNOWLEDGED
    if command.timed_out is not Seen.NO:
        yield Reason.TIMED_OUT
    yield from _completion(command)
    yield from _status(command, entry)


def _is_offered(technique: Technique, entry: MediumEvidence) -> bool:
    words = [word.raw for word in entry.capabilities if word.field == SANICAP]
    if len(words) != 1 or words[0] == NOT_OBSERVED or len(words[0]) != 8:
        return False
    return bool(int.from_bytes(bytes.fromhex(words[0]), "little") & _CAPABILITY_BITS[technique])


def _completion(command: Command) -> Iterator[Reason]:
    try:
        refused = sanitize_words.completion_status(command.completion_status) != 0
    except Unreadable:
        refused = False
        yield Reason.COMPLETION_NOT_SEEN
    if refused or command.was_accepted is Seen.NO:
        yield Reason.COMMAND_REFUSED
    if command.was_accepted is Seen.NOT_OBSERVED:
        yield Reason.COMPLETION_NOT_SEEN


def _status(command: Command, entry: MediumEvidence) -> Iterator[Reason]:
    try:
        submission = Submission.parse(command.submission)
    except Unreadable:
        submission = None
        yield Reason.SUBMISSION_NOT_SEEN
    try:
        after = SanitizeStatus.parse(command.status_log_after)
    except Unreadable:
        yield Reason.STATUS_NOT_SEEN
        return
    if after.state == SanitizeState.FAILED:
        yield Reason.SANITIZE_FAILED
    elif not after.has_succeeded:
        yield Reason.SANITIZE_NOT_ENDED
    if not after.is_global_data_erased:
        yield Reason.WRITTEN_AFTERWARDS
    if submission is not None:
        wanted = (sanitize_words.OPCODE_SANITIZE, _ACTIONS[command.technique])
        if (submission.opcode, submission.action) != wanted:
            yield Reason.SUBMISSION_DIFFERS
        if submission.dword10 != after.dword10:
            yield Reason.STATUS_OF_ANOTHER_COMMAND
    if not _has_changed(command) and not markers.show_change(entry):
        yield Reason.STATUS_UNCHANGED


def _has_changed(command: Command) -> bool:
    """The status log differs from the readable one of right before the start."""
    try:
        SanitizeStatus.parse(command.status_log_before)
    except Unreadable:
        return False
    return command.status_log_before != command.status_log_after


def _has_failed(command: Command) -> bool:
    """The drive itself said that this command was refused or failed: only then may the next one follow."""
    if Reason.COMMAND_REFUSED in _completion(command):
        return True
    try:
        return SanitizeStatus.parse(command.status_log_after).state == SanitizeState.FAILED
    except Unreadable:
        return False
