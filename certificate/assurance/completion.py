"""The completion of a device command: the drive's own answer, read from its raw status field."""

from __future__ import annotations

from collections.abc import Iterator

from certificate import sanitize_words
from certificate.reasons import Reason
from certificate.sanitize_words import Unreadable
from certificate.statements.evidence import Command
from certificate.statements.statement import Seen


def reasons(command: Command) -> Iterator[Reason]:
    """Rule 5: success was seen. The agent's word beside it (`was_accepted`) is `commands`' to read."""
    try:
        if sanitize_words.completion_status(command.completion_status) != 0:
            yield Reason.COMMAND_REFUSED
    except Unreadable:
        yield Reason.COMPLETION_NOT_SEEN


def was_refused(command: Command) -> bool:
    """The drive answered, and not with success; or the agent says that it did."""
    return Reason.COMMAND_REFUSED in reasons(command) or command.was_accepted is Seen.NO


def was_answered(command: Command) -> bool:
    """The drive's answer is on record, in time."""
    is_seen = Reason.COMPLETION_NOT_SEEN not in reasons(command)
    return is_seen and command.timed_out is Seen.NO
