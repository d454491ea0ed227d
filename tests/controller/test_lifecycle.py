"""`decide` in every state: moves and waits, before and after the point of no return."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.messages import TokenState
from certificate.statements.vocabulary import Result, ValidationDecision
from controller.deadlines import DEADLINES
from controller.decision import Move, Refuse, Wait
from controller.facts import Answer, Effect, Question
from controller.lifecycle import DELIVERY_TIME, decide
from controller.pace import ASK_AGAIN_AFTER
from controller.states import State, may_move
from tests.turns import REVERSIBLE, acknowledge, erasing, moved_to, renewed, restored

# --- every state has its step -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_step_and_answers_the_same_twice(story: Any, state: State) -> None:
    facts = story.facts(state)
    decision = decide(facts, story.T0)
    again = decide(facts, story.T0)
    assert type(decision) is type(again)
    if not isinstance(decision, Refuse):
        assert decision == again
    match decision:
        case Move(to=to):
            assert may_move(state, to)
        case Wait(reason=reason, until=until):
            assert reason
            assert until is not None or state.is_terminal
        case Refuse(refusals=refusals, until=until):
            assert refusals
            assert until is not None


ORDINARY = {
    State.SCHEDULED: (State.QUARANTINED, {}),
    State.PLANNED: (State.APPROVED, {}),
    State.APPROVED: (State.INTENDED, {}),
    State.INTENDED: (State.ERASING, {}),
    State.ERASING: (State.VERIFIED, {"is_evidence_in": True}),
    State.VERIFIED: (State.VALIDATED, {}),
    State.VALIDATED: (State.CERTIFIED, {}),
}


@pytest.mark.parametrize("state", ORDINARY, ids=str)
def test_the_ordinary_way_moves_on(story: Any, state: State) -> None:
    to, changes = ORDINARY[state]
    facts = story.facts(state, **changes)
    if state is State.ERASING:
        facts = replace(facts, verdicts=(story.verdict(),))
    assert moved_to(decide(facts, story.T0)) is to


def test_staged_is_reached_with_a_proven_boot_and_its_inventory(story: Any) -> None:
    staged = story.facts(State.STAGED)
    facts = story.facts(State.QUARANTINED, boot=staged.boot, inventory=staged.inventory)
    assert moved_to(decide(facts, story.T0)) is State.STAGED


def test_planned_is_reached_with_a_plan_of_this_boot(story: Any) -> None:
    facts = story.facts(State.STAGED)
    waiting = decide(facts, story.T0)
    assert isinstance(waiting, Wait)
    assert waiting.effect is Effect.MAKE_PLAN
    planned = replace(facts, plan=story.facts(State.PLANNED).plan)
    assert moved_to(decide(planned, story.T0)) is State.PLANNED


def test_released_needs_the_quarantine_read_back_as_undone(story: Any) -> None:
    facts = story.facts(State.CERTIFIED)
    waiting = decide(facts, story.T0)
    assert isinstance(waiting, Wait)
    assert waiting.effect is Effect.RESTORE
    assert waiting.ask == (Question.ISOLATION,)
    assert moved_to(decide(restored(story, facts), story.T0)) is State.RELEASED


@pytest.mark.parametrize("state", [state for state in State if state is not State.INTENDED])
def test_the_order_is_sent_from_intended_and_from_nowhere_else(story: Any, state: State) -> None:
    decision = decide(story.facts(state), story.T0)
    assert not isinstance(decision, (Move, Wait)) or decision.effect is not Effect.DISPATCH


# --- before the point of no return --------------------------------------------------------------------------


def test_nothing_is_touched_during_grace(story: Any) -> None:
    facts = story.facts(State.SCHEDULED, grace_until=story.T0 + story.SECOND, isolation=None)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is None
    assert decision.until == story.T0 + story.SECOND


def test_the_customer_is_cut_off_only_after_the_source_said_ended(story: Any) -> None:
    unknown = story.tenancy(latest=story.subscription(Answer.UNKNOWN))
    facts = story.facts(State.SCHEDULED, isolation=None)
    refusing = decide(replace(facts, tenancies=(unknown,)), story.T0)
    assert isinstance(refusing, Refuse)
    isolating = decide(facts, story.T0)
    assert isinstance(isolating, Wait)
    assert isolating.effect is Effect.ISOLATE
    assert isolating.ask == (Question.ISOLATION,)


def test_an_open_notice_holds_the_isolation_back_and_is_no_effect_of_the_lifecycle(story: Any) -> None:
    facts = story.facts(State.SCHEDULED, are_notices_settled=False, isolation=None)
    refusing = decide(replace(facts, grace_until=story.T0 - story.HOUR), story.T0)
    assert isinstance(refusing, Refuse)
    assert refusing.codes == ("NOTICES_OPEN",)
    waiting = decide(replace(facts, grace_until=story.T0 + story.HOUR), story.T0)
    assert isinstance(waiting, Wait)
    assert waiting.effect is None


def test_the_erase_environment_is_not_started_before_the_dwell_is_over(story: Any) -> None:
    facts = story.facts(State.QUARANTINED, dwell=61 * story.SECOND)
    dwelling = decide(facts, story.T0)
    assert isinstance(dwelling, Wait)
    assert dwelling.effect is None
    starting = decide(replace(facts, dwell=60 * story.SECOND), story.T0)
    assert isinstance(starting, Wait)
    assert starting.effect is Effect.BOOT


def test_a_start_is_not_repeated_while_it_may_still_be_under_way(story: Any) -> None:
    facts = story.facts(State.QUARANTINED)
    for ago, effect in ((599, Effect.INSPECT), (600, Effect.BOOT)):
        begun = story.begun(Effect.BOOT, ago=ago * story.SECOND)
        decision = decide(replace(facts, effects_begun=(*facts.effects_begun, begun)), story.T0)
        assert isinstance(decision, Wait)
        assert decision.effect is effect


@pytest.mark.parametrize("state", [State.PLANNED, State.APPROVED])
def test_a_reboot_voids_the_plan(story: Any, state: State) -> None:
    facts = story.facts(state, approvals_required=1, approvals=(story.approval("anna"),))
    rebooted = replace(facts, boot=replace(facts.boot, boot_id=story.OTHER_BOOT))
    assert moved_to(decide(rebooted, story.T0)) is State.STAGED


def test_a_plan_nobody_approved_waits_for_people(story: Any) -> None:
    decision = decide(story.facts(State.PLANNED, approvals_required=1), story.T0)
    assert isinstance(decision, Refuse)
    assert decision.codes == ("APPROVALS_REQUIRED",)
    approved = story.facts(State.PLANNED, approvals_required=1, approvals=(story.approval("anna"),))
    assert moved_to(decide(approved, story.T0)) is State.APPROVED


STALE = {
    "fifteen minutes old": {"intended_at": -900, "expires_at": 600},
    "expired for the agent": {"intended_at": -60, "expires_at": 0},
    "of the future": {"intended_at": 1, "expires_at": 600},
}


@pytest.mark.parametrize("seconds", STALE.values(), ids=STALE.keys())
def test_an_order_that_aged_is_withdrawn_and_not_sent(story: Any, seconds: dict[str, int]) -> None:
    order = story.order(**{name: story.T0 + at * story.SECOND for name, at in seconds.items()})
    decision = decide(story.facts(State.INTENDED, order=order), story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.WITHDRAW_ORDER
    withdrawn = story.facts(State.INTENDED, order=replace(order, is_withdrawn=True))
    assert moved_to(decide(withdrawn, story.T0)) is State.APPROVED


@pytest.mark.parametrize("changes", [{"plan_digest": "0" * 64}, {"boot_id": "0" * 64}])
def test_an_order_of_another_plan_or_boot_is_withdrawn(story: Any, changes: dict[str, str]) -> None:
    decision = decide(story.facts(State.INTENDED, order=story.order(**changes)), story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.WITHDRAW_ORDER


# --- erasing and after --------------------------------------------------------------------------------------


def test_after_the_dispatch_the_agent_is_asked_and_nothing_is_sent_again(story: Any) -> None:
    for agent in (None, *TokenState):
        decision = decide(erasing(story, agent=agent), story.T0)
        assert isinstance(decision, Wait)
        assert decision.effect in {None, Effect.COLLECT}


def test_an_order_that_never_arrived_is_poisoned_and_not_sent_again(story: Any) -> None:
    for ago, question in (
        (DELIVERY_TIME - story.SECOND, Question.AGENT_STATUS),
        (DELIVERY_TIME, Question.FINAL_ABSENCE),
    ):
        facts = erasing(story, dispatched_at=story.T0 - ago)
        asked = story.agent(TokenState.ABSENT, asked_at=story.T0 - ASK_AGAIN_AFTER)
        decision = decide(replace(facts, agent=asked), story.T0)
        assert isinstance(decision, Wait)
        assert question in decision.ask


@pytest.mark.parametrize("order", [{}, {"is_acknowledged": True}], ids=["asked", "acknowledged"])
def test_erasing_says_why_the_agent_gives_no_answer_and_so_does_its_end(
    story: Any, order: dict[str, bool]
) -> None:
    doubt = "HOST_KEY_CHANGED: another key answers"
    facts = erasing(story, **order)
    silent = replace(facts, agent=story.agent(TokenState.UNKNOWN, doubt=doubt))
    waiting = decide(silent, story.T0)
    assert isinstance(waiting, Wait)
    assert waiting.reason == f"the agent says unknown; {doubt}"
    late = decide(silent, story.T0 + DEADLINES[State.ERASING].after)
    assert moved_to(late) is State.NEEDS_OPERATOR
    assert isinstance(late, Move)
    assert late.reason == f"{DEADLINES[State.ERASING].reason}; {doubt}"
    answering = decide(replace(facts, agent=story.agent(TokenState.RUNNING)), story.T0)
    assert isinstance(answering, Wait)
    assert answering.reason == "the agent says running"


def test_erasing_without_a_dispatched_order_goes_to_a_person(story: Any) -> None:
    assert moved_to(decide(story.facts(State.ERASING, order=None), story.T0)) is State.NEEDS_OPERATOR
    unsent = story.facts(State.ERASING, order=story.order())
    assert moved_to(decide(unsent, story.T0)) is State.NEEDS_OPERATOR


def test_evidence_is_judged_before_it_counts_as_verified(story: Any) -> None:
    decision = decide(replace(erasing(story), is_evidence_in=True), story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.JUDGE


def test_a_frozen_controller_observes_and_lets_erasing_go_to_a_person_and_nothing_else(story: Any) -> None:
    frozen = {"is_frozen": True}
    running = replace(erasing(story, agent=TokenState.RUNNING), **frozen)
    observing = decide(running, story.T0)
    assert isinstance(observing, Wait)
    assert observing.effect is Effect.COLLECT
    late = story.T0 + DEADLINES[State.ERASING].after
    assert moved_to(decide(running, late)) is State.NEEDS_OPERATOR
    with pytest.raises(Refused, match="FROZEN"):
        acknowledge(story, running, is_irreversible=False)
    judged = replace(running, is_evidence_in=True, verdicts=(story.verdict(),))
    assert isinstance(decide(judged, story.T0), Refuse)
    for state in (State.VERIFIED, State.VALIDATED, State.CERTIFIED, *REVERSIBLE):
        for now in (story.T0, late):
            facts = restored(story, story.facts(state, **frozen))
            assert isinstance(decide(facts, now), Refuse), state


BAD_VERDICTS: dict[str, Any] = {
    "none": lambda story: (),
    "rejected": lambda story: (story.verdict(decision=ValidationDecision.REJECT),),
    "escalated": lambda story: (story.verdict(decision=ValidationDecision.ESCALATE),),
    "not erased, yet accepted": lambda story: (story.verdict(result=Result.NOT_ERASED),),
    "inconclusive, yet accepted": lambda story: (story.verdict(result=Result.INCONCLUSIVE),),
    "of another medium": lambda story: (story.verdict(medium=story.OTHER_MEDIUM),),
    "one medium too many": lambda story: (story.verdict(), story.verdict(medium=story.OTHER_MEDIUM)),
    "two of one medium": lambda story: (story.verdict(), story.verdict()),
}


@pytest.mark.parametrize("verdicts", BAD_VERDICTS.values(), ids=BAD_VERDICTS.keys())
def test_a_verdict_that_is_not_one_yes_for_each_medium_goes_to_a_person(story: Any, verdicts: Any) -> None:
    decision = decide(story.facts(State.VERIFIED, verdicts=verdicts(story)), story.T0)
    assert moved_to(decision) is State.NEEDS_OPERATOR
    assert "medium" in decision.reason


def test_one_medium_without_a_verdict_goes_to_a_person(story: Any) -> None:
    facts = story.facts(State.VERIFIED)
    two = replace(facts, plan=replace(facts.plan, media=(story.MEDIUM, story.OTHER_MEDIUM)))
    assert moved_to(decide(two, story.T0)) is State.NEEDS_OPERATOR


def test_a_plan_without_media_validates_nothing(story: Any) -> None:
    facts = story.facts(State.VERIFIED, verdicts=())
    assert moved_to(decide(replace(facts, plan=None), story.T0)) is State.NEEDS_OPERATOR


@pytest.mark.parametrize("field", ["are_outcomes_logged", "is_summary_logged", "does_bundle_verify"])
def test_certified_needs_outcomes_summary_and_a_bundle_that_verifies(story: Any, field: str) -> None:
    decision = decide(story.facts(State.VALIDATED, **{field: False}), story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.CERTIFY


def test_needs_operator_moves_nothing_and_finishes_the_paper(story: Any) -> None:
    facts = story.facts(State.NEEDS_OPERATOR, order=story.order())
    withdrawing = decide(facts, story.T0)
    assert isinstance(withdrawing, Wait)
    assert withdrawing.effect is Effect.WITHDRAW_ORDER
    sent = story.order(dispatched_at=story.T0)
    for verdicts, effect in (((), Effect.JUDGE), ((story.verdict(),), Effect.CERTIFY)):
        told = replace(facts, order=sent, is_evidence_in=True, verdicts=verdicts)
        finishing = decide(told, story.T0)
        assert isinstance(finishing, Wait)
        assert finishing.effect is effect
    late = decide(renewed(story, facts), story.T0 + timedelta(seconds=1))
    assert isinstance(late, Wait)
    assert late.is_alarm
