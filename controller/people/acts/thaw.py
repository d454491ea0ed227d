"""Thaw: two operators lift a freeze, or the breaker that the controller tripped by itself.

See `people.lifting`. A store that is older than its anchor stays frozen: that ends by `reconcile` only.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate.statements.people import DecisionKind
from controller.people import lifting
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store.stops import StopKind

LIFTABLE = frozenset({StopKind.FREEZE, StopKind.BREAKER})


class Thaw:
    """`number`: the freeze's or breaker's."""

    kind: ClassVar[DecisionKind] = DecisionKind.THAW

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        return lifting.matter_of(
            tx,
            about,
            kind=self.kind,
            liftable=LIFTABLE,
            consequence="Every deprovision goes on by itself where its guards hold.",
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        return lifting.lift(tx, program, about, matter, liftable=LIFTABLE)
