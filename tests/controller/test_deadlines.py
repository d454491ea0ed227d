"""Every running state gives up once, at its time, and to a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DEADLINES, DRIFT, deadline
from controller.decision import Move, Refuse, Wait
from controller.lifecycle import decide
from controller.states import State
from tests.turns import erasing, moved_to, renewed, restored


@pytest.mark.parametrize(
    "state", [state for state in State if state.is_running and state is not State.VERIFIED]
)
def test_every_running_state_gives_up_at_its_deadline_with_its_reason(story: Any, state: State) -> None:
    """`verified` decides at once, so it has nothing to give up on."""
    stuck = {
        State.SCHEDULED: {"isolation": None},
        State.PLANNED: {"approvals_required": 1},
        State.VALIDATED: {"does_bundle_verify": False},
    }
    facts = story.facts(state, **stuck.get(state, {}))
    ends_at = deadline(facts)
    assert ends_at is not None
    decision = decide(facts, ends_at)
    assert isinstance(decision, Move)
    assert (decision.to, decision.reason) == (State.NEEDS_OPERATOR, DEADLINES[state].reason)
    before = decide(facts, ends_at - story.SECOND)
    assert not isinstance(before, Move)


def test_a_deadline_of_the_store_replaces_the_standing_one(story: Any) -> None:
    facts = story.facts(State.STAGED, deadline_at=story.T0)
    assert moved_to(decide(facts, story.T0)) is State.NEEDS_OPERATOR


def test_grace_and_dwell_do_not_eat_the_deadline(story: Any) -> None:
    grace_until = story.T0 + 1000 * story.HOUR
    facts = story.facts(State.SCHEDULED, grace_until=grace_until)
    assert deadline(facts) == grace_until + DEADLINES[State.SCHEDULED].after
    dwelling = story.facts(State.QUARANTINED, dwell=1000 * story.HOUR)
    assert deadline(dwelling) == dwelling.entered_at + 1000 * story.HOUR + DEADLINES[State.QUARANTINED].after


def test_a_hold_lets_a_reversible_state_wait_for_its_review(story: Any) -> None:
    facts = story.facts(State.STAGED, holds=(story.hold(),))
    assert deadline(facts) == story.hold().review_at
    assert isinstance(decide(facts, story.hold().review_at - story.SECOND), Refuse)
    assert moved_to(decide(facts, story.hold().review_at)) is State.NEEDS_OPERATOR


def test_erasing_is_not_given_up_before_the_last_acknowledgement_has_died(story: Any) -> None:
    life = ACKNOWLEDGEMENT_LIFE + DRIFT
    facts = erasing(story, is_acknowledged=True)
    late = replace(facts, deadline_at=story.T0, last_acknowledged_at=story.T0)
    assert isinstance(decide(late, story.T0 + life - story.SECOND), Wait)
    assert moved_to(decide(late, story.T0 + life)) is State.NEEDS_OPERATOR


def test_a_restore_that_never_shows_gives_up_at_the_deadline(story: Any) -> None:
    facts = renewed(story, story.facts(State.QUARANTINED, deadline_at=story.T0))
    assert moved_to(decide(facts, story.T0)) is State.NEEDS_OPERATOR
    assert moved_to(decide(restored(story, facts), story.T0)) is State.CANCELLED
