"""The customer comes back: it wins before the first acknowledgement, and alarms after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Trigger
from controller.decision import Move, Refuse, Wait
from controller.facts import Answer, Disposition, Effect, Question
from controller.lifecycle import decide
from controller.pace import ASK_AGAIN_AFTER
from controller.states import State
from tests.turns import REVERSIBLE, acknowledge, erasing, moved_to, renewed, restored

# --- the customer comes back --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Answer.ACTIVE, Answer.PENDING])
@pytest.mark.parametrize("state", REVERSIBLE)
def test_a_renewal_in_each_reversible_state_wins(story: Any, state: State, answer: Answer) -> None:
    """Order withdrawn, quarantine undone, read back, cancelled: in this order, and never forward."""
    facts = renewed(story, story.facts(state), answer)
    if state is State.INTENDED:
        withdrawing = decide(facts, story.T0)
        assert isinstance(withdrawing, Wait)
        assert withdrawing.effect is Effect.WITHDRAW_ORDER
        assert withdrawing.is_alarm
        facts = replace(facts, order=replace(facts.order, is_withdrawn=True))
    if state is not State.SCHEDULED:
        undoing = decide(facts, story.T0)
        assert isinstance(undoing, Wait)
        assert undoing.effect is Effect.RESTORE
        assert Question.ISOLATION in undoing.ask
        facts = restored(story, facts)
    assert moved_to(decide(facts, story.T0)) is State.CANCELLED


def test_a_renewal_during_grace_undoes_an_isolation_that_may_have_begun(story: Any) -> None:
    begun = story.begun(Effect.ISOLATE, ago=6 * story.SECOND)
    facts = renewed(story, story.facts(State.SCHEDULED, effects_begun=(begun,), isolation=None))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.RESTORE


@pytest.mark.parametrize("cut", [Seen.YES, Seen.NOT_OBSERVED])
def test_cancelled_only_when_the_switch_says_that_the_customer_is_back(story: Any, cut: Seen) -> None:
    facts = restored(story, renewed(story, story.facts(State.QUARANTINED)))
    assert isinstance(decide(replace(facts, isolation=story.isolation(cut)), story.T0), Wait)


def test_an_isolation_begun_after_the_restore_is_undone_again(story: Any) -> None:
    facts = restored(story, renewed(story, story.facts(State.QUARANTINED)))
    late = story.begun(Effect.ISOLATE, ago=3 * story.SECOND)
    assert isinstance(decide(replace(facts, effects_begun=(*facts.effects_begun, late)), story.T0), Wait)


@pytest.mark.parametrize("state", REVERSIBLE)
def test_an_unknown_answer_neither_cancels_nor_goes_on_irreversibly(story: Any, state: State) -> None:
    tenancy = story.tenancy(latest=story.subscription(Answer.UNKNOWN))
    decision = decide(restored(story, story.facts(state, tenancies=(tenancy,))), story.T0)
    assert not isinstance(decision, Move) or decision.to in {State.APPROVED}


def test_another_live_tenancy_of_an_earlier_customer_neither_cancels_nor_lets_go_on(story: Any) -> None:
    other = story.tenancy(
        tenancy=story.EARLIER,
        starts_at=story.T0 - 2000 * story.HOUR,
        latest=story.subscription(Answer.ACTIVE),
    )
    facts = story.facts(
        State.INTENDED,
        tenancies=(story.tenancy(), other),
        tenancy_list=story.listed(story.TENANCY, story.EARLIER),
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Refuse)
    assert set(decision.codes) == {"TENANCY_REMAINS"}


@pytest.mark.parametrize("state", REVERSIBLE)
def test_a_host_that_was_never_let_and_now_is_goes_to_a_person_at_once(story: Any, state: State) -> None:
    facts = story.facts(
        state,
        tenancy=None,
        trigger=Trigger.MANUAL,
        disposition=Disposition.STOCK,
        tenancies=(story.tenancy(),),
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.NEEDS_OPERATOR
    assert "let again" in decision.reason


@pytest.mark.parametrize("state", REVERSIBLE)
@pytest.mark.parametrize("grace_hours", [-1, 1])
def test_a_host_let_again_before_it_was_emptied_goes_to_a_person_at_once(
    story: Any, state: State, grace_hours: int
) -> None:
    other = story.tenancy(
        tenancy=story.LATER, starts_at=story.T0 - story.HOUR, latest=story.subscription(Answer.ACTIVE)
    )
    facts = story.facts(
        state,
        tenancies=(story.tenancy(), other),
        grace_until=story.T0 + grace_hours * story.HOUR,
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.NEEDS_OPERATOR
    assert "let again" in decision.reason


@pytest.mark.parametrize("answer", [Answer.PENDING, Answer.UNKNOWN, Answer.ENDED])
def test_a_host_that_may_be_let_again_waits(story: Any, answer: Answer) -> None:
    other = story.tenancy(
        tenancy=story.LATER, starts_at=story.T0 - story.HOUR, latest=story.subscription(answer)
    )
    decision = decide(story.facts(State.SCHEDULED, tenancies=(story.tenancy(), other)), story.T0)
    assert isinstance(decision, Refuse)


@pytest.mark.parametrize("state", REVERSIBLE)
def test_a_renewal_does_not_cancel_while_the_store_may_be_old(story: Any, state: State) -> None:
    facts = restored(story, renewed(story, story.facts(state)))
    for changes in ({"is_store_current": False}, {"is_frozen": True}):
        assert isinstance(decide(replace(facts, **changes), story.T0), Refuse)


def test_a_renewal_after_an_earlier_attempt_was_sent_goes_to_a_person(story: Any) -> None:
    facts = renewed(story, story.facts(State.QUARANTINED, has_open_earlier_order=True))
    assert moved_to(decide(facts, story.T0)) is State.NEEDS_OPERATOR


def test_a_renewal_one_second_before_dispatch_wins(story: Any) -> None:
    facts = renewed(story, story.facts(State.INTENDED))
    decision = decide(facts, story.T0)
    assert not isinstance(decision, Move)


def test_a_renewal_hint_one_second_before_dispatch_is_asked_about_first(story: Any) -> None:
    hinted_at = story.T0 - story.SECOND
    tenancy = story.tenancy(last_hint_at=hinted_at, last_renewal_hint_at=hinted_at)
    decision = decide(story.facts(State.INTENDED, tenancies=(tenancy,)), story.T0)
    assert isinstance(decision, Refuse)
    assert "TENANCY_UNKNOWN" in decision.codes
    assert Question.SUBSCRIPTION in decision.ask


# --- a renewal after the dispatch ---------------------------------------------------------------------------


@pytest.mark.parametrize("agent", [None, *TokenState])
def test_a_renewal_before_the_first_acknowledgement_asks_the_agent_never_to_begin(
    story: Any, agent: TokenState | None
) -> None:
    facts = renewed(story, erasing(story, agent=agent))
    if facts.agent is not None:
        facts = replace(facts, agent=story.agent(agent, asked_at=story.T0 - ASK_AGAIN_AFTER))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.is_alarm
    assert Question.FINAL_ABSENCE in decision.ask
    with pytest.raises(Refused, match="TENANCY_REMAINS"):
        acknowledge(story, facts)


def test_a_final_absence_and_a_restored_host_cancel_after_the_dispatch(story: Any) -> None:
    facts = renewed(story, erasing(story, is_absent_final=True))
    undoing = decide(facts, story.T0)
    assert isinstance(undoing, Wait)
    assert undoing.effect is Effect.RESTORE
    assert moved_to(decide(restored(story, facts), story.T0)) is State.CANCELLED


def test_a_final_absence_waits_for_the_source_before_a_person_is_called(story: Any) -> None:
    facts = erasing(story, is_absent_final=True)
    unsure = replace(facts, tenancies=(story.tenancy(latest=None),))
    waiting = decide(unsure, story.T0)
    assert isinstance(waiting, Wait)
    assert Question.SUBSCRIPTION in waiting.ask
    earlier = story.agent(TokenState.ABSENT, asked_at=story.T0 - 3 * story.SECOND)
    assert moved_to(decide(replace(facts, agent=earlier), story.T0)) is State.NEEDS_OPERATOR


def test_an_ended_that_was_asked_before_the_absence_is_asked_for_again(story: Any) -> None:
    facts = erasing(story, agent=TokenState.ABSENT, is_absent_final=True)
    assert isinstance(decide(facts, story.T0), Wait)
    later = story.T0 + 6 * story.SECOND
    waiting = decide(facts, later)
    assert isinstance(waiting, Wait)
    assert Question.SUBSCRIPTION in waiting.ask


def test_after_an_acknowledgement_nothing_cancels_even_with_a_final_absence(story: Any) -> None:
    facts = erasing(story, is_absent_final=True, is_acknowledged=True)
    back = restored(story, renewed(story, facts))
    assert moved_to(decide(back, story.T0)) is State.NEEDS_OPERATOR


def test_a_renewal_after_the_first_acknowledgement_alarms_and_interrupts_nothing(story: Any) -> None:
    facts = renewed(story, erasing(story, agent=TokenState.RUNNING, is_acknowledged=True))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.is_alarm
    assert decision.effect is Effect.COLLECT
    assert Question.FINAL_ABSENCE not in decision.ask
    with pytest.raises(Refused, match="TENANCY_REMAINS"):
        acknowledge(story, facts)
