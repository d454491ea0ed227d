"""When `may_acknowledge` is silent, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from controller.facts import Question
from controller.lifecycle import questions_to_acknowledge
from controller.states import State
from tests.turns import acknowledge, erasing


def test_an_irreversible_step_of_the_dispatched_order_is_acknowledged(story: Any) -> None:
    acknowledge(story, erasing(story))
    acknowledge(story, erasing(story), step=f"markers:{story.MEDIUM}")


@pytest.mark.parametrize("is_irreversible", [True, False])
@pytest.mark.parametrize("field", ["token", "boot_id"])
def test_another_token_or_boot_is_not_acknowledged(story: Any, field: str, is_irreversible: bool) -> None:
    with pytest.raises(Refused, match="NOT_THIS_ORDER"):
        acknowledge(story, erasing(story), **{field: "0" * 64}, is_irreversible=is_irreversible)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ERASING])
def test_nothing_is_acknowledged_outside_erasing(story: Any, state: State) -> None:
    order = story.order(dispatched_at=story.T0 - story.SECOND)
    with pytest.raises(Refused, match="NOT_ERASING"):
        acknowledge(story, story.facts(state, order=order), is_irreversible=False)


@pytest.mark.parametrize(
    "changes", [{"dispatched_at": None}, {"is_withdrawn": True}, {"is_absent_final": True}]
)
def test_an_order_that_was_not_sent_or_is_poisoned_is_not_acknowledged(
    story: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="NOT_THIS_ORDER"):
        acknowledge(story, erasing(story, **changes))


def test_a_step_on_a_medium_that_was_not_planned_is_not_acknowledged(story: Any) -> None:
    with pytest.raises(Refused, match="NOT_THIS_ORDER"):
        acknowledge(story, erasing(story), step=f"start:{story.OTHER_MEDIUM}:nvme_sanitize_crypto")
    replanned = replace(erasing(story), plan=replace(story.facts(State.ERASING).plan, digest="0" * 64))
    with pytest.raises(Refused, match="NOT_THIS_ORDER"):
        acknowledge(story, replanned)


def test_a_step_that_allows_nothing_is_acknowledged_without_asking_the_world(story: Any) -> None:
    stale = replace(erasing(story), tenancies=(story.tenancy(latest=None),))
    acknowledge(story, stale, step="journal", is_irreversible=False)
    with pytest.raises(Refused, match="TENANCY_UNKNOWN"):
        acknowledge(story, stale)


def test_what_to_ask_before_an_acknowledgement_is_what_is_stale(story: Any) -> None:
    assert questions_to_acknowledge(erasing(story), story.T0) == ()
    later = story.T0 + timedelta(seconds=60)
    assert set(questions_to_acknowledge(erasing(story), later)) == {
        Question.CLOCK,
        Question.TENANCIES,
        Question.SUBSCRIPTION,
        Question.ISOLATION,
    }
