"""May we act at all: is this our present memory, and did nobody say stop.

Rules this module holds: a store older than its anchor, anybody's freeze, a hold that covers the deprovision
and an operator's `restore` each stop it alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from certificate.errors import Refused
from controller.errors import Code
from controller.facts import Facts, Question


class StoreIsCurrent:
    """Refuses while database and anchor disagree: a restored backup must not wipe (DESIGN, rule 7)."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if not facts.is_store_current:
            raise Refused(Code.STORE_NOT_CURRENT, "the ledger is not the one its anchor knows")


class NotFrozen:
    """Refuses while anybody's freeze stands."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.is_frozen:
            raise Refused(Code.FROZEN, "the controller is frozen")


class NotHeld:
    """Refuses while a hold covers the deprovision."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.holds:
            matters = "; ".join(f"{hold.matter} (by {hold.author})" for hold in facts.holds)
            raise Refused(Code.HELD, f"held: {matters}")


class NotCalledBack:
    """Refuses once an operator commanded to give the host back to its customer."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.is_called_back:
            raise Refused(Code.CALLED_BACK, "an operator commanded to give the host back")
