"""What releasing a hold and thawing have in common: a standing stop, shown to two people and then lifted.

Rules: two operators, whoever set it; what they sign names the very stop, so that a later one of the same kind
needs signatures of its own; every deprovision is looked at again afterwards, and guards decide.
"""

from __future__ import annotations

from collections.abc import Set

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.errors import Code
from controller.guards import TWO_PEOPLE
from controller.people import asking
from controller.people.matter import About, Matter
from controller.people.scopes import words
from controller.program import Program
from controller.store import deprovisions, stops
from controller.store.stops import Stop, StopKind


def matter_of(
    tx: Connection, about: About, *, kind: DecisionKind, liftable: Set[StopKind], consequence: str
) -> Matter:
    """The stop that `about` numbers. Raises Refused(STOP_NOT_STANDING)."""
    stop = _standing(tx, about, liftable)
    return Matter(
        kind=kind,
        choice=kind.value,
        facts={
            "number": stop.number,
            "kind": stop.kind.value,
            "covers": words(tx, stop.scope),
            "matter": stop.matter,
            "author": stop.author,
            "set_at": time_text(stop.set_at),
            "review_at": time_text(stop.review_at),
        },
        consequences=(consequence,),
        people_needed=TWO_PEOPLE,
        words=f"{stop.kind.value} {stop.number}",
    )


def lift(tx: Connection, program: Program, about: About, matter: Matter, *, liftable: Set[StopKind]) -> str:
    """Lifts it and has every deprovision looked at again."""
    stop = _standing(tx, about, liftable)
    now = program.clock()
    stops.lift(tx, stop.number, decision_digest=matter.on, now=now)
    for row in deprovisions.live(tx):
        deprovisions.wake(tx, row.id, now=now)
    return f"{stop.kind.value} {stop.number} is lifted"


def _standing(tx: Connection, about: About, liftable: Set[StopKind]) -> Stop:
    (text,) = asking.fields(about, ("number",))
    number = asking.number(text)
    found = next((stop for stop in stops.all_standing(tx) if stop.number == number), None)
    if found is None or found.kind not in liftable:
        kinds = " or ".join(sorted(kind.value for kind in liftable))
        raise Refused(Code.STOP_NOT_STANDING, f"no {kinds} of number {number} stands")
    return found
