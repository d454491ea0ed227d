"""What waits for a person, read from the store for `attention` and for the act that leads out.

Rules: one snapshot; every deprovision in `needs_operator` is there once, with each way out as the present
facts have it; nothing is asked and nothing is decided here.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from controller import case as cases
from controller import knowledge
from controller.attention import Group, Stuck, grouped, ways_out
from controller.case import Case
from controller.program import Program
from controller.states import State
from controller.store import deprovisions


def groups(tx: Connection, program: Program) -> tuple[Group, ...]:
    """Everything that needs an operator, by cause."""
    now = program.clock()
    waiting = [row.id for row in deprovisions.live(tx) if row.state is State.NEEDS_OPERATOR]
    return grouped(stuck(tx, program, cases.load(tx, key), now=now) for key in waiting)


def stuck(tx: Connection, program: Program, case: Case, *, now: datetime) -> Stuck:
    """One deprovision as a person has to judge it. Outside `needs_operator` it has a state for its code."""
    row = case.deprovision
    return Stuck(
        deprovision=row.id,
        attempt=row.attempt,
        host=case.host.asset_tag,
        site=case.host.site,
        rack=case.host.rack,
        code=row.operator_code or row.state.value,
        reason=row.operator_reason or row.wait_reason or row.state.sentence,
        since=row.entered_at,
        ways=ways_out(knowledge.facts_of(tx, program, case, now=now), now),
    )
