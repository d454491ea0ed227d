"""Freeze: everything that is not yet irreversible stops. Anybody may, with a key or without one.

Rules: one person suffices, and nobody is asked who it is: a false alarm costs hours, a missed one a customer.
Without a key the author is the word `anyone`. It stands until two operators thaw it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from sqlalchemy import Connection

from certificate.statements.people import DecisionKind
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store import stops
from controller.store.stops import ANYONE, StopKind

#: A freeze stops every customer's certificate: whoever is on duty looks at it the next day at the latest.
REVIEW_AFTER = timedelta(hours=24)


class Freeze:
    """About nothing but itself; the reason stands in the decision."""

    kind: ClassVar[DecisionKind] = DecisionKind.FREEZE

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        asking.fields(about, ())
        return Matter(
            kind=self.kind,
            choice="freeze",
            facts={"freezes_standing": [stop.number for stop in stops.freezes(tx)]},
            consequences=(
                "Nothing is dispatched, acknowledged, cancelled or released until two operators thaw.",
                "What the drives already do is not interrupted.",
            ),
            people_needed=1,
            words="",
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        number = begin(tx, program, author=signed[0].keyid, reason=signed[0].reason)
        return f"frozen, number {number}"


def begin(tx: Connection, program: Program, *, author: str = ANYONE, reason: str) -> int:
    """Freezes everything and returns the stop's number."""
    now = program.clock()
    return stops.begin(
        tx, kind=StopKind.FREEZE, author=author, matter=reason, review_at=now + REVIEW_AFTER, now=now
    )
