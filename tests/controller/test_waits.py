"""What stops a deprovision stops it for any length of time: waiting ends with a person, never in a wipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.decision import Decision, Move, Wait
from controller.facts import Effect, Facts
from controller.lifecycle import decide
from controller.states import State

Bar = Callable[[Any, Facts, timedelta], Facts]

#: In the order of the way to the wipe.
WAY = (
    State.SCHEDULED,
    State.QUARANTINED,
    State.STAGED,
    State.PLANNED,
    State.APPROVED,
    State.INTENDED,
    State.ERASING,
)
AT_EACH = WAY[:-1]


def hold(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, holds=(replace(story.hold(), review_at=story.T0 + review_in),))


def freeze(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, is_frozen=True)


def breaker(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, is_intake_open=False)


def open_notice(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, are_notices_settled=False)


def limit(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, limits_reached=("PER_DAY",), approvals=())


def missing_approval(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, approvals_required=1, approvals=())


def untrusted_clock(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, clock=None)


def silent_source(story: Any, facts: Facts, review_in: timedelta) -> Facts:
    return replace(facts, tenancies=tuple(replace(each, latest=None) for each in facts.tenancies))


#: What bars the way, and in which states it does.
BARS: dict[Bar, tuple[State, ...]] = {
    hold: AT_EACH,
    freeze: AT_EACH,
    breaker: (State.SCHEDULED, State.QUARANTINED, State.APPROVED, State.INTENDED),
    open_notice: (State.SCHEDULED, State.QUARANTINED, State.APPROVED, State.INTENDED),
    untrusted_clock: (State.SCHEDULED, State.QUARANTINED, State.APPROVED, State.INTENDED),
    silent_source: (State.SCHEDULED, State.QUARANTINED, State.APPROVED, State.INTENDED),
    limit: (State.PLANNED, State.APPROVED, State.INTENDED),
    missing_approval: (State.PLANNED, State.APPROVED, State.INTENDED),
}
ages = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1000))


def aged(facts: Facts, age: timedelta, story: Any) -> Facts:
    """The same, so much later: every answer is as fresh as ever, only the waiting has grown old."""
    return replace(
        facts, entered_at=story.T0 - age, grace_until=min(facts.grace_until, story.T0 - age), deadline_at=None
    )


def goes_on(before: State, decision: Decision) -> bool:
    """A state nearer to the wipe, or an act on the machine that leads there."""
    if isinstance(decision, Move):
        return decision.to in WAY and WAY.index(decision.to) > WAY.index(before)
    onward = {Effect.ISOLATE, Effect.BOOT, Effect.MAKE_PLAN, Effect.DISPATCH}
    return isinstance(decision, Wait) and decision.effect in onward


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.__name__)
@given(age=ages, review_in=st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)))
def test_no_length_of_waiting_leads_a_step_towards_the_wipe(
    story: Any, bar: Bar, age: timedelta, review_in: timedelta
) -> None:
    for state in BARS[bar]:
        barred = bar(story, aged(story.facts(state), age, story), review_in)
        assert not goes_on(state, decide(barred, story.T0)), state


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.__name__)
def test_without_the_bar_the_same_facts_go_on(story: Any, bar: Bar) -> None:
    """Otherwise the test above would hold for facts that never go anywhere."""
    for state in BARS[bar]:
        facts = aged(story.facts(state), timedelta(minutes=5), story)
        assert goes_on(state, decide(facts, story.T0)), state


@pytest.mark.parametrize("bar", [each for each in BARS if each is not freeze], ids=lambda bar: bar.__name__)
def test_waiting_too_long_is_a_persons_decision(story: Any, bar: Bar) -> None:
    for state in BARS[bar]:
        late = bar(story, aged(story.facts(state), timedelta(days=30), story), timedelta(days=-1))
        decision = decide(late, story.T0)
        assert isinstance(decision, Move), state
        assert decision.to is State.NEEDS_OPERATOR, state


@given(age=ages)
def test_a_freeze_outlasts_every_deadline_and_moves_nothing(story: Any, age: timedelta) -> None:
    for state in AT_EACH:
        frozen = freeze(story, aged(story.facts(state), age, story), timedelta(0))
        assert not isinstance(decide(frozen, story.T0), Move), state
