"""Rules 5 and 6 for Sanitize: the command, and the drive's own status before and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate import keystream, sanitize_words
from certificate.assurance import completion, markers, namespaces
from certificate.assurance.case import NOT_APPLICABLE, Attempt, Case
from certificate.reasons import Reason
from certificate.sanitize_words import SanitizeAction, SanitizeState, SanitizeStatus, Submission, Unreadable
from certificate.selection import SANICAP_BLOCK_ERASE, SANICAP_CRYPTO_ERASE, SANICAP_OVERWRITE
from certificate.statements.evidence import Command
from certificate.statements.vocabulary import Technique

_ACTIONS: Final = {
    Technique.NVME_SANITIZE_CRYPTO: SanitizeAction.CRYPTO_ERASE,
    Technique.NVME_SANITIZE_BLOCK: SanitizeAction.BLOCK_ERASE,
    Technique.NVME_SANITIZE_OVERWRITE: SanitizeAction.OVERWRITE,
}
_CAPABILITY_BITS: Final = {
    SanitizeAction.CRYPTO_ERASE: SANICAP_CRYPTO_ERASE,
    SanitizeAction.BLOCK_ERASE: SANICAP_BLOCK_ERASE,
    SanitizeAction.OVERWRITE: SANICAP_OVERWRITE,
}


def reasons(case: Case, attempt: Attempt) -> Iterator[Reason]:
    """What lowers the claim that this sanitize erased the medium. One command does all."""
    action = _ACTIONS[attempt.technique]
    if not (case.sanitize_word or 0) & _CAPABILITY_BITS[action]:
        yield Reason.CAPABILITY_NOT_SHOWN
    if namespaces.may_be_unlisted(case):
        yield Reason.NAMESPACES_UNLISTED
    if len(attempt.commands) != 1:
        yield Reason.COMMAND_REPEATED
    for command in attempt.commands:
        if command.overwrite != NOT_APPLICABLE:
            yield Reason.RECORD_DOES_NOT_FIT
        yield from completion.reasons(command)
        yield from _status(case, command, action)


def has_failed(attempt: Attempt) -> bool:
    """The drive refused it, or its own status says that it failed."""
    return any(completion.was_refused(command) or _state_is_failed(command) for command in attempt.commands)


def _status(case: Case, command: Command, action: SanitizeAction) -> Iterator[Reason]:
    try:
        submission = Submission.parse(command.submission)
    except Unreadable:
        submission = None
        yield Reason.SUBMISSION_NOT_SEEN
    if submission is not None and not _is_meant(case, submission, action):
        yield Reason.SUBMISSION_DIFFERS
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
        if submission.dword10 != after.dword10:
            yield Reason.STATUS_OF_ANOTHER_COMMAND
        if action is SanitizeAction.OVERWRITE and after.overwrite_passes_done < submission.overwrite_passes:
            yield Reason.PASSES_MISSING
    if not _has_changed(command) and not markers.show_change(case):
        yield Reason.STATUS_UNCHANGED


def _is_meant(case: Case, submission: Submission, action: SanitizeAction) -> bool:
    """The technique's own action; of an overwrite also the pattern that order, nonce and medium give."""
    if (submission.opcode, submission.action) != (sanitize_words.OPCODE_SANITIZE, action):
        return False
    if action is not SanitizeAction.OVERWRITE:
        return True
    return not submission.is_inverted_between_passes and submission.overwrite_pattern == _pattern(case)


def _pattern(case: Case) -> int | None:
    if case.nonce is None:
        return None
    key = keystream.key(
        order_digest=case.evidence.order_digest,
        nonce=case.nonce,
        commitment=case.planned.commitment,
    )
    return keystream.sanitize_pattern(key)


def _has_changed(command: Command) -> bool:
    """State, passes, Global Data Erased or CDW10 differ from what was read right before the start. Estimates
    and reserved bytes may differ without any sanitize.
    """
    try:
        before = SanitizeStatus.parse(command.status_log_before)
        return before != SanitizeStatus.parse(command.status_log_after)
    except Unreadable:
        return False


def _state_is_failed(command: Command) -> bool:
    try:
        return SanitizeStatus.parse(command.status_log_after).state == SanitizeState.FAILED
    except Unreadable:
        return False
