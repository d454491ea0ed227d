"""`decide` in every state: moves, waits, renewals, deadlines, and the acknowledgement."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Result, Trigger, ValidationDecision
from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DEADLINES, DRIFT, deadline
from controller.decision import Decision, Move, Refuse, Wait
from controller.facts import Answer, Disposition, Effect, Facts, Question
from controller.lifecycle import DELIVERY_TIME, decide, may_acknowledge, questions_to_acknowledge
from controller.pace import ASK_AGAIN_AFTER, QUESTION_LIFE, WATCH_EVERY
from controller.states import State, may_move

REVERSIBLE = [state for state in State if state.is_reversible]


def renewed(story: Any, facts: Facts, answer: Answer = Answer.ACTIVE) -> Facts:
    """The source says, a second ago, that the customer stays."""
    latest = story.subscription(answer, changed_at=story.T0 - 3 * story.SECOND)
    tenancy = story.tenancy(latest=latest, last_change_at=latest.answered_at)
    return replace(facts, tenancies=(tenancy,))


def restored(story: Any, facts: Facts) -> Facts:
    """The quarantine was undone four seconds ago and the switch says so since."""
    begun = story.begun(Effect.RESTORE, ago=4 * story.SECOND)
    isolated = story.begun(Effect.ISOLATE, ago=4 * story.HOUR)
    return replace(facts, effects_begun=(isolated, begun), isolation=story.isolation(Seen.NO))


def erasing(story: Any, *, agent: TokenState | None = None, **order: Any) -> Facts:
    told = {"dispatched_at": story.T0 - 10 * story.SECOND, **order}
    seen = None if agent is None else story.agent(agent)
    return story.facts(State.ERASING, order=story.order(**told), agent=seen)


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


def moved_to(decision: Decision) -> State:
    assert isinstance(decision, Move), decision
    return decision.to


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


# --- the acknowledgement ------------------------------------------------------------------------------------


def acknowledge(story: Any, facts: Facts, **changes: Any) -> None:
    request = {
        "token": story.TOKEN,
        "boot_id": story.BOOT,
        "step": f"start:{story.MEDIUM}:nvme_sanitize_crypto",
        "is_irreversible": True,
        **changes,
    }
    may_acknowledge(facts, story.T0, **request)


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


# --- deadlines ----------------------------------------------------------------------------------------------


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


# --- pace ---------------------------------------------------------------------------------------------------


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
