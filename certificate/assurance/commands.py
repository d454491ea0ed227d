"""Rule 5: which commands there are, in which order, and what every one of them needs.

What only one technique can show stands in `sanitize`, `format_nvm` and `overwrite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from certificate.assurance import format_nvm, overwrite, sanitize
from certificate.assurance.case import Attempt, Case
from certificate.reasons import Reason
from certificate.statements.evidence import Command
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Technique


def reasons(case: Case) -> Iterator[Reason]:
    """What lowers the claim that the last attempt erased the medium."""
    attempts = case.attempts
    if not attempts:
        yield Reason.NO_COMMAND
        return
    tried = tuple(attempt.technique for attempt in attempts)
    earlier_failed = all(_has_failed(attempt) for attempt in attempts[:-1])
    if tried != case.planned.techniques[: len(tried)] or not earlier_failed:
        yield Reason.COMMAND_NOT_PLANNED
    for command in attempts[-1].commands:
        yield from _of_every(command)
    yield from _of_technique(case, attempts[-1])


def _of_every(command: Command) -> Iterator[Reason]:
    if command.start_acknowledged is not Seen.YES:
        yield Reason.START_NOT_ACKNOWLEDGED
    if command.timed_out is not Seen.NO:
        yield Reason.TIMED_OUT
    if command.was_accepted is Seen.NO:
        yield Reason.COMMAND_REFUSED
    if command.was_accepted is Seen.NOT_OBSERVED:
        yield Reason.COMPLETION_NOT_SEEN


def _of_technique(case: Case, attempt: Attempt) -> Iterator[Reason]:
    match attempt.technique:
        case (
            Technique.NVME_SANITIZE_CRYPTO | Technique.NVME_SANITIZE_BLOCK | Technique.NVME_SANITIZE_OVERWRITE
        ):
            yield from sanitize.reasons(case, attempt)
        case Technique.NVME_FORMAT_CRYPTO | Technique.NVME_FORMAT_USER_DATA:
            yield from format_nvm.reasons(case, attempt)
        case Technique.OVERWRITE_KEYSTREAM | Technique.OVERWRITE_ZERO:
            yield from overwrite.reasons(case, attempt)
        case Technique.LUKS:
            # A layer is destroyed before the commands and is none of them.
            yield Reason.COMMAND_NOT_PLANNED
            yield Reason.LAYER_ALONE
        case _ as unknown:
            assert_never(unknown)


def _has_failed(attempt: Attempt) -> bool:
    """The drive itself said that it refused or failed this attempt: only then may the next one follow."""
    match attempt.technique:
        case (
            Technique.NVME_SANITIZE_CRYPTO | Technique.NVME_SANITIZE_BLOCK | Technique.NVME_SANITIZE_OVERWRITE
        ):
            return sanitize.has_failed(attempt)
        case Technique.NVME_FORMAT_CRYPTO | Technique.NVME_FORMAT_USER_DATA:
            return format_nvm.has_failed(attempt)
        case Technique.OVERWRITE_KEYSTREAM | Technique.OVERWRITE_ZERO | Technique.LUKS:
            # No drive reports on what the host writes, so nothing may follow it.
            return False
        case _ as unknown:
            assert_never(unknown)
