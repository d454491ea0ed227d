"""What may be believed of an answer: freshness, order of asking, hints, changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.messages import TokenState
from controller.facts import MAX_AGE, Answer, Effect, SubscriptionObservation, TenancyFacts
from controller.states import State


def answer(story: Any, tenancy: TenancyFacts, *, after: timedelta = timedelta()) -> Answer:
    facts = story.facts(State.INTENDED, tenancies=(tenancy,))
    return facts.answer(tenancy, story.T0 + after)


def seen(story: Any, **changes: Any) -> TenancyFacts:
    return story.tenancy(latest=story.subscription(**changes))


def test_a_fresh_ended_after_every_hint_and_change_is_believed(story: Any) -> None:
    assert answer(story, story.tenancy()) is Answer.ENDED


def test_a_tenancy_nobody_asked_about_is_unknown(story: Any) -> None:
    assert answer(story, story.tenancy(latest=None)) is Answer.UNKNOWN


def test_a_question_without_its_answer_is_unknown_whatever_was_answered_before(story: Any) -> None:
    assert answer(story, seen(story, answered_at=None)) is Answer.UNKNOWN


def test_the_age_counts_from_the_asking_and_not_from_the_answer(story: Any) -> None:
    slow = seen(story, asked_at=story.T0 - MAX_AGE, answered_at=story.T0)
    assert answer(story, slow) is Answer.UNKNOWN
    just = seen(story, asked_at=story.T0 - MAX_AGE + timedelta(milliseconds=1), answered_at=story.T0)
    assert answer(story, just) is Answer.ENDED


@pytest.mark.parametrize("field", ["asked_at", "answered_at"])
def test_an_answer_from_the_future_is_no_answer(story: Any, field: str) -> None:
    assert answer(story, seen(story, **{field: story.T0 + story.SECOND})) is Answer.UNKNOWN


@pytest.mark.parametrize("field", ["last_hint_at", "last_change_at"])
@pytest.mark.parametrize("later_seconds", [0, 1])
def test_ended_counts_only_if_asked_after_the_last_hint_and_change(
    story: Any, field: str, later_seconds: int
) -> None:
    at = story.T0 - 2 * story.SECOND + later_seconds * story.SECOND
    assert answer(story, story.tenancy(**{field: at})) is Answer.UNKNOWN
    assert answer(story, story.tenancy(**{field: at - 2 * story.SECOND})) is Answer.ENDED


def test_a_contrary_answer_stored_late_voids_an_ended_asked_later(story: Any) -> None:
    """Question 9 (active) was asked before question 10 (ended) and stored after it."""
    assert answer(story, story.tenancy(last_change_at=story.T0 - story.SECOND)) is Answer.UNKNOWN


@pytest.mark.parametrize("contrary", [Answer.ACTIVE, Answer.PENDING, Answer.UNKNOWN])
def test_a_contrary_answer_is_its_own_change_and_still_an_answer(story: Any, contrary: Answer) -> None:
    tenancy = story.tenancy(latest=story.subscription(contrary), last_change_at=story.T0 - story.SECOND)
    assert answer(story, tenancy) is contrary


def test_an_active_answer_from_before_the_last_hint_is_asked_again_rather_than_believed(story: Any) -> None:
    tenancy = story.tenancy(latest=story.subscription(Answer.ACTIVE), last_hint_at=story.T0)
    assert answer(story, tenancy) is Answer.UNKNOWN


@pytest.mark.parametrize(
    ("changed_ago", "expected"),
    [
        (None, Answer.UNKNOWN),
        (601, Answer.UNKNOWN),
        (301, Answer.UNKNOWN),
        (300, Answer.ENDED),
        (9, Answer.ENDED),
    ],
)
def test_after_a_renewal_hint_an_end_dated_before_it_or_within_two_clocks_of_it_is_not_believed(
    story: Any, changed_ago: int | None, expected: Answer
) -> None:
    hinted_at = story.T0 - 600 * story.SECOND
    changed_at = None if changed_ago is None else story.T0 - changed_ago * story.SECOND
    tenancy = story.tenancy(
        last_hint_at=hinted_at,
        last_renewal_hint_at=hinted_at,
        latest=story.subscription(changed_at=changed_at),
    )
    assert answer(story, tenancy) is expected


def test_a_read_back_from_before_our_last_act_on_the_network_is_not_read(story: Any) -> None:
    facts = story.facts(State.INTENDED)
    assert facts.is_isolation_read(story.T0)
    restored = story.begun(Effect.RESTORE, ago=2 * story.SECOND)
    touched = replace(facts, effects_begun=(*facts.effects_begun, restored))
    assert touched.switched_at == restored.begun_at
    assert not touched.is_isolation_read(story.T0)


def test_what_the_agent_says_of_another_token_is_unknown(story: Any) -> None:
    facts = story.facts(State.ERASING, agent=story.agent(TokenState.RUNNING))
    assert facts.token_state is TokenState.RUNNING
    assert replace(facts, agent=story.agent(TokenState.RUNNING, token="0" * 32)).token_state is (
        TokenState.UNKNOWN
    )
    assert replace(facts, agent=story.agent(TokenState.DONE, answered_at=None)).token_state is (
        TokenState.UNKNOWN
    )


def test_an_observation_needs_an_aware_time(story: Any) -> None:
    naive = SubscriptionObservation(
        sequence=1,
        asked_at=story.T0.replace(tzinfo=None),
        answered_at=story.T0.replace(tzinfo=None),
        answer=Answer.ENDED,
        changed_at=None,
    )
    with pytest.raises(TypeError):
        naive.is_fresh(story.T0)
