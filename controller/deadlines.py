"""When a state gives up: every running state has a deadline, and it leads to a person (DESIGN, rule 5).

Rules this module holds: a hold lets a reversible state wait for its review; nothing but `erasing` gives up
while the store is frozen or older than its anchor; `erasing` does not give up before the last acknowledgement
granted has died on the agent's clock, when nothing irreversible can begin any more (rules 4 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.decision import Move
from controller.facts import Facts
from controller.guards import GUARDS_TO_CONCLUDE, failing
from controller.states import State

#: DESIGN, rule 4: an acknowledgement is good for 60 s of the agent's clock; drift of two quartz clocks in a
#: minute is far below a second, 5 s also cover the stored times' own rounding and a stepping clock.
ACKNOWLEDGEMENT_LIFE = timedelta(seconds=60)
DRIFT = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class Deadline:
    after: timedelta
    reason: str


#: Counted from entering the state, and after grace or dwell where one runs. A person decides then.
DEADLINES: dict[State, Deadline] = {
    State.SCHEDULED: Deadline(
        after=timedelta(days=7), reason="a week after grace the host could still not be taken out of reach"
    ),
    State.QUARANTINED: Deadline(
        after=timedelta(hours=4), reason="the erase environment did not answer within four hours of its start"
    ),
    State.STAGED: Deadline(after=timedelta(hours=1), reason="no plan could be made within an hour"),
    State.PLANNED: Deadline(
        after=timedelta(days=7), reason="nobody approved the plan in a week; each approval lives for a day"
    ),
    State.APPROVED: Deadline(
        after=timedelta(hours=24), reason="a day after approval the guards still refuse an order"
    ),
    State.INTENDED: Deadline(
        after=timedelta(hours=1), reason="the order could neither be sent nor withdrawn"
    ),
    State.ERASING: Deadline(
        after=timedelta(hours=24),
        reason="the agent did not finish within a day; only the drives know how far",
    ),
    State.VERIFIED: Deadline(
        after=timedelta(hours=1), reason="the verdicts could not be validated in an hour"
    ),
    State.VALIDATED: Deadline(
        after=timedelta(hours=4), reason="outcomes could not be signed, logged and checked"
    ),
    State.CERTIFIED: Deadline(after=timedelta(hours=4), reason="the host was not read back as restored"),
}


def deadline(facts: Facts) -> datetime | None:
    """When the present state gives up; None where nothing runs. A hold lets it wait for its review."""
    ends_at = gives_up_at(
        facts.state,
        entered_at=facts.entered_at,
        grace_until=facts.grace_until,
        dwell=facts.dwell,
        deadline_at=facts.deadline_at,
    )
    return held_until(facts.state, ends_at, (hold.review_at for hold in facts.holds))


def waits_since(state: State, *, entered_at: datetime, grace_until: datetime, dwell: timedelta) -> datetime:
    """Since when nothing that is meant to last keeps it in this state: after grace, or after dwell."""
    if state is State.SCHEDULED:
        return max(entered_at, grace_until)
    return entered_at + dwell if state is State.QUARANTINED else entered_at


def gives_up_at(
    state: State,
    *,
    entered_at: datetime,
    grace_until: datetime,
    dwell: timedelta,
    deadline_at: datetime | None,
) -> datetime | None:
    """When this state gives up if nobody holds it; `deadline_at` is the row's own, where it has one."""
    if not state.is_running:
        return None
    if deadline_at is not None:
        return deadline_at
    began_at = waits_since(state, entered_at=entered_at, grace_until=grace_until, dwell=dwell)
    return began_at + DEADLINES[state].after


def held_until(state: State, ends_at: datetime | None, reviews: Iterable[datetime]) -> datetime | None:
    """A hold lets a reversible state wait for its review."""
    if ends_at is None or not state.is_reversible:
        return ends_at
    return max([ends_at, *reviews])


def overdue(facts: Facts, now: datetime) -> Move | None:
    """To a person, once the state's deadline has passed (DESIGN, rules 4, 5 and 7)."""
    ends_at = deadline(facts)
    if ends_at is None or now < ends_at:
        return None
    if facts.state is not State.ERASING and failing(GUARDS_TO_CONCLUDE, facts, now):
        return None
    if (
        facts.last_acknowledged_at is not None
        and now < facts.last_acknowledged_at + ACKNOWLEDGEMENT_LIFE + DRIFT
    ):
        return None
    # Whoever is called reads which drive it is about, and what to do with it.
    drives = () if facts.state is not State.STAGED or facts.inventory is None else facts.inventory.named
    return Move(to=State.NEEDS_OPERATOR, reason="; ".join((DEADLINES[facts.state].reason, *drives)))
