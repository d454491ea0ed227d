"""Rule 10: which recorded errors the raw words of the evidence explain, so that they are no doubt themselves.

Only what a drive itself said explains a code; the agent's own telling explains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate import sanitize_words
from certificate.assurance.case import SANITIZES, Case
from certificate.sanitize_words import SanitizeState, SanitizeStatus, Unreadable
from certificate.statements.evidence import Command

#: What an agent records of a command whose completion is no success, and of a sanitize that the status log
#: says has failed.
REFUSED_ERROR: Final = "DEVICE_STATUS"
FAILED_ERROR: Final = "SANITIZE_FAILED"
#: And of a drive that could not be marked, because its failed sanitize refuses all access.
KEPT_OUT_ERROR: Final = "ACCESS_REFUSED"


def codes(case: Case) -> set[str]:
    """The codes that may stand among the errors of this medium without being a doubt."""
    earlier = [command for attempt in case.attempts[:-1] for command in attempt.commands]
    explained = {code for command in earlier for code in _of_failure(command)}
    return explained | {KEPT_OUT_ERROR} if _was_kept_out(case) else explained


def _of_failure(command: Command) -> Iterator[str]:
    """The codes that an agent records of what this command's own raw words say of its failure.

    A code stands once however often it was met, so that one of the judged attempt may hide behind it; the
    failure itself stands in the words of the judged commands, which are read as well.
    """
    try:
        if sanitize_words.completion_status(command.completion_status) != 0:
            yield REFUSED_ERROR
    except Unreadable:
        pass
    try:
        if SanitizeStatus.parse(command.status_log_after).state == SanitizeState.FAILED:
            yield FAILED_ERROR
    except Unreadable:
        pass


def _was_kept_out(case: Case) -> bool:
    """No marker was committed to, and right before the first command, a sanitize, the drive said that its
    latest one failed: then it refuses all access until one succeeds. This explains why there are none, and
    makes none.
    """
    attempts, committed = case.attempts, case.entry.markers
    if not attempts or attempts[0].technique not in SANITIZES or committed.markers:
        return False
    try:
        before = SanitizeStatus.parse(attempts[0].commands[0].status_log_before)
    except Unreadable:
        return False
    return before.state == SanitizeState.FAILED
