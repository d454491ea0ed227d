"""Rules 5 and 6 for Format NVM: what was sent, what it kept, and which namespaces it reached.

A Format has no status log, so its completion is all the drive says, and a log on record is a mismatch. It
never touches unallocated capacity nor, unless the drive's own word (FNA) says so, another namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate import format_words
from certificate.assurance import completion, medium
from certificate.assurance.case import NOT_APPLICABLE, Attempt, Case
from certificate.format_words import FormatSubmission, Layout, SecureErase
from certificate.reasons import Reason
from certificate.sanitize_words import Unreadable
from certificate.selection import FNA_CRYPTO_ERASE, OACS_FORMAT
from certificate.statements.evidence import Command
from certificate.statements.vocabulary import Technique

#: FNA, NVM Express Base 2.0, figure "Identify Controller", byte 524.
FNA_FORMAT_REACHES_ALL: Final = 1 << 0
FNA_ERASE_REACHES_ALL: Final = 1 << 1
FNA_BROADCAST_NOT_SUPPORTED: Final = 1 << 3
_SETTINGS: Final = {
    Technique.NVME_FORMAT_CRYPTO: SecureErase.CRYPTOGRAPHIC,
    Technique.NVME_FORMAT_USER_DATA: SecureErase.USER_DATA,
}


def reasons(case: Case, attempt: Attempt) -> Iterator[Reason]:
    """What lowers the claim that these Formats, one a namespace or one for all, erased the medium."""
    setting = _SETTINGS[attempt.technique]
    attributes = case.word("FNA", width_bytes=1)
    sent = []
    for command in attempt.commands:
        yield from completion.reasons(command)
        if {command.status_log_before, command.status_log_after, command.overwrite} != {NOT_APPLICABLE}:
            yield Reason.RECORD_DOES_NOT_FIT
        submission = _read(command)
        if submission is None:
            yield Reason.SUBMISSION_NOT_SEEN
            continue
        sent.append(submission)
        if not _is_meant(submission, setting):
            yield Reason.SUBMISSION_DIFFERS
    if not _is_offered(case, setting, attributes, sent):
        yield Reason.CAPABILITY_NOT_SHOWN
    named = [submission.nsid for submission in sent]
    if len(set(named)) < len(named):
        yield Reason.COMMAND_REPEATED
    yield from medium.addressable(case)
    listed = {namespace.nsid for namespace in case.entry.namespaces}
    if listed - _reached(named, listed, attributes or 0, FNA_ERASE_REACHES_ALL):
        yield Reason.NAMESPACE_NOT_REACHED
    if not all(_keeps_layout(case, submission, listed, attributes or 0) for submission in sent):
        yield Reason.LAYOUT_DIFFERS


def has_failed(attempt: Attempt) -> bool:
    """The drive answered every command of it, and one of them with a refusal."""
    commands = attempt.commands
    return all(map(completion.was_answered, commands)) and any(map(completion.was_refused, commands))


def _read(command: Command) -> FormatSubmission | None:
    try:
        return FormatSubmission.parse(command.submission)
    except Unreadable:
        return None


def _is_meant(submission: FormatSubmission, setting: SecureErase) -> bool:
    wanted = (format_words.OPCODE_FORMAT, setting)
    return (submission.opcode, submission.secure_erase) == wanted and not submission.has_reserved_bits


def _is_offered(
    case: Case, setting: SecureErase, attributes: int | None, sent: list[FormatSubmission]
) -> bool:
    if attributes is None or not (case.word("OACS", width_bytes=2) or 0) & OACS_FORMAT:
        return False
    if setting is SecureErase.CRYPTOGRAPHIC and not attributes & FNA_CRYPTO_ERASE:
        return False
    is_broadcast = any(submission.nsid == format_words.ALL_NAMESPACES for submission in sent)
    return not (is_broadcast and attributes & FNA_BROADCAST_NOT_SUPPORTED)


def _reached(named: list[int], listed: set[int], attributes: int, reaches_all: int) -> set[int]:
    """All where a command names all, or the drive says that any command reaches all; else the named ones."""
    is_for_all = format_words.ALL_NAMESPACES in named or (named and attributes & reaches_all)
    return listed if is_for_all else set(named)


def _keeps_layout(case: Case, submission: FormatSubmission, listed: set[int], attributes: int) -> bool:
    """Each namespace whose format this command sets says itself that it had just that format."""
    touched = _reached([submission.nsid], listed, attributes, FNA_FORMAT_REACHES_ALL | FNA_ERASE_REACHES_ALL)
    named = {submission.nsid} - {format_words.ALL_NAMESPACES}
    return all(_layout(case, nsid) == submission.layout for nsid in touched | named)


def _layout(case: Case, nsid: int) -> Layout | None:
    flbas = case.word(f"NS{nsid}:FLBAS", width_bytes=1)
    dps = case.word(f"NS{nsid}:DPS", width_bytes=1)
    return None if flbas is None or dps is None else Layout.of_namespace(flbas=flbas, dps=dps)
