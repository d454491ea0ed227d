"""How often the world is asked and an effect is begun."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.decision import Move, Refuse, Wait
from controller.facts import Answer, Effect, Facts, Question
from controller.lifecycle import decide
from controller.pace import ASK_AGAIN_AFTER, QUESTION_LIFE, WATCH_EVERY
from controller.states import State


def refused_at(story: Any, facts: Facts) -> Refuse:
    decision = decide(facts, story.T0)
    assert isinstance(decision, Refuse), decision
    return decision


def test_an_answer_that_did_not_help_is_asked_for_again_at_its_pace(story: Any) -> None:
    for ago, is_asked in ((ASK_AGAIN_AFTER - story.SECOND, False), (ASK_AGAIN_AFTER, True)):
        latest = story.subscription(Answer.UNKNOWN, asked_at=story.T0 - ago)
        tenancy = story.tenancy(latest=latest, last_change_at=latest.answered_at)
        decision = refused_at(story, story.facts(State.INTENDED, tenancies=(tenancy,)))
        assert (Question.SUBSCRIPTION in decision.ask) is is_asked
        if not is_asked:
            assert decision.until == story.T0 + story.SECOND


def test_an_open_question_is_asked_again_only_when_its_worker_must_be_gone(story: Any) -> None:
    for ago, is_asked in ((QUESTION_LIFE - story.SECOND, False), (QUESTION_LIFE, True)):
        latest = story.subscription(answered_at=None, asked_at=story.T0 - ago)
        facts = story.facts(State.INTENDED, tenancies=(story.tenancy(latest=latest),))
        assert (Question.SUBSCRIPTION in refused_at(story, facts).ask) is is_asked


def test_while_people_are_waited_for_the_world_is_asked_seldom(story: Any) -> None:
    old = story.clock(asked_at=story.T0 - WATCH_EVERY + story.SECOND)
    facts = story.facts(State.INTENDED, holds=(story.hold(),), clock=old)
    assert Question.CLOCK not in refused_at(story, facts).ask
    assert Question.CLOCK in refused_at(story, replace(facts, holds=())).ask


@pytest.mark.parametrize("state", [state for state in State if state.is_watched])
def test_the_source_is_watched_while_a_renewal_matters(story: Any, state: State) -> None:
    """Also without a hint, because hints are lost."""
    old = story.T0 - WATCH_EVERY
    tenancy = story.tenancy(latest=story.subscription(asked_at=old, answered_at=old))
    facts = story.facts(state, tenancies=(tenancy,), approvals_required=1, holds=(story.hold(),))
    decision = decide(facts, story.T0)
    assert not isinstance(decision, Move)
    assert Question.SUBSCRIPTION in decision.ask


def test_an_effect_is_not_begun_twice_in_a_breath(story: Any) -> None:
    facts = story.facts(State.SCHEDULED, effects_begun=(story.begun(Effect.ISOLATE, ago=story.SECOND),))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is None
    assert decision.ask == (Question.ISOLATION,)


def test_a_host_without_tenancies_does_not_make_a_question_that_is_always_due(story: Any) -> None:
    facts = story.facts(State.SCHEDULED, tenancies=(), tenancy=None)
    assert Question.SUBSCRIPTION not in refused_at(story, facts).ask
