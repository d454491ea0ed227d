"""Release a hold: two operators, over the very hold they were shown. See `people.lifting`."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate.statements.people import DecisionKind
from controller.people import lifting
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store.stops import StopKind

LIFTABLE = frozenset({StopKind.HOLD})


class ReleaseHold:
    """`number`: the hold's."""

    kind: ClassVar[DecisionKind] = DecisionKind.RELEASE_HOLD

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        return lifting.matter_of(
            tx,
            about,
            kind=self.kind,
            liftable=LIFTABLE,
            consequence="What it covered is wiped as soon as every guard holds, without asking again.",
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        return lifting.lift(tx, program, about, matter, liftable=LIFTABLE)
