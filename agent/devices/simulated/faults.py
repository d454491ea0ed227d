"""How a simulated drive may misbehave: names that stand in its state, each with what then happens.

Faults are the drive's, not the test's: they survive power cycles and are seen by every process that opens the
folder. `core` and `erasing` ask which are set; nothing here acts. A fault that cannot happen to a kind of
drive (a plain one has no erase command) changes nothing there.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from agent.errors import Code
from certificate.errors import Malformed


class Fault(StrEnum):
    """A fault cannot be declared without its sentence."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.sentence = value, sentence
        return member

    # what an erase does
    LIES = "lies", "Reports every erase as done; the key and the logical view stay as they are."
    DEALLOCATES_ONLY = "deallocates_only", "Reports an erase as done, but only unmaps: blocks read zero."
    ERASES_PART = (
        "erases_part",
        "Reports an erase as done, but its second half stays readable; of a plain drive no write changes it.",
    )
    KEEPS_HIDDEN = (
        "keeps_hidden",
        "Cells that no command addresses keep old content through writes and erases; only `view` sees it.",
    )
    FAILS = "fails", "A sanitize makes some progress and then fails; the key is not destroyed."
    HANGS = "hangs", "A sanitize starts and its progress stands still for ever; a Format is never answered."
    SLOW = "slow", "A sanitize moves on, and takes many times its own estimate."
    IDENTITY_CHANGES = "identity_changes", "Gives another serial number once it was erased."
    POWER_LOST = (
        "power_lost",
        "Loses its power once, amid an erase or a pass, and answers nothing until it is power-cycled.",
    )
    # what it says and accepts
    REFUSES = "refuses", "Claims the capability and answers the command itself with Internal Error."
    CAPABILITY_MISSING = "capability_missing", "Announces no erase at all; the commands work all the same."
    CAPABILITY_WRONG = "capability_wrong", "Announces every erase and refuses each with Invalid Field."
    RESTRICTED_FAILURE = (
        "restricted_failure",
        "An earlier sanitize failed: no access, and only another sanitize leads out of it.",
    )
    UNRESTRICTED_FAILURE = (
        "unrestricted_failure",
        "An earlier sanitize failed that may be left: no access until exit failure or another sanitize.",
    )
    FAILURE_LEFT = (
        "failure_left",
        "An earlier sanitize failed and its failure was left; only the status log still tells of it.",
    )
    WRITE_PROTECTED = "write_protected", "Refuses every write and every erase, and says so."
    # what it does with blocks
    DROPS_WRITES = "drops_writes", "Acknowledges every write and stores nothing."
    BAD_BLOCKS = "bad_blocks", "Two blocks can neither be read nor written."
    # whether it answers
    DEAD = "dead", "Says who it is; every other command, read and write fails."
    SILENT = "silent", "Answers nothing."


#: Those that are a state a drive is found in.
FAILURES = frozenset({Fault.RESTRICTED_FAILURE, Fault.UNRESTRICTED_FAILURE, Fault.FAILURE_LEFT})


def read_faults(names: Iterable[object]) -> frozenset[Fault]:
    """Raises Malformed(IMAGE_INVALID) for a name that is no fault: a misspelt one makes tests hollow."""
    known = {fault.value: fault for fault in Fault}
    found = []
    for name in names:
        if name not in known:
            raise Malformed(Code.IMAGE_INVALID, f"no fault is called {str(name)[:40]!r}")
        found.append(known[str(name)])
    return frozenset(found)
