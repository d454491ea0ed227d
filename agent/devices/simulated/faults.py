"""How a simulated drive may misbehave: names that stand in its state, each with what then happens.

Faults are the drive's, not the test's: they survive power cycles and are seen by every process that opens the
folder. `core` asks which are set; nothing here acts.
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

    LIES = "lies", "Reports every erase as done; the key and the logical view stay as they are."
    FAILS = "fails", "A sanitize makes some progress and then fails; the key is not destroyed."
    DEALLOCATES_ONLY = "deallocates_only", "Reports an erase as done, but only unmaps: blocks read zero."
    HANGS = "hangs", "A sanitize starts and its progress stands still for ever."
    REFUSES = "refuses", "Claims the capability and answers the command itself with Internal Error."


def read_faults(names: Iterable[object]) -> frozenset[Fault]:
    """Raises Malformed(IMAGE_INVALID) for a name that is no fault: a misspelt one makes tests hollow."""
    known = {fault.value: fault for fault in Fault}
    found = []
    for name in names:
        if name not in known:
            raise Malformed(Code.IMAGE_INVALID, f"no fault is called {str(name)[:40]!r}")
        found.append(known[str(name)])
    return frozenset(found)
