"""The ways out of `needs_operator`: what each command needs, and that nothing else leads out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Trigger, ValidationDecision
from controller.attention import ways_out
from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DRIFT
from controller.decision import Move, Refuse, Wait
from controller.exits import PEOPLE_TO_LEAVE, leaves_records
from controller.facts import AcceptanceFacts, Answer, CommandFacts, Disposition, Effect, Exit, Question
from controller.lifecycle import decide, may_acknowledge
from controller.states import State, may_move

SECOND = timedelta(seconds=1)
ANNA, BEN = "SHA256:anna", "SHA256:ben"
ENDS_IN = {
    Exit.REPROBE: State.ERASING,
    Exit.RETRY: State.SCHEDULED,
    Exit.DESTROY: State.DESTROYED,
    Exit.CLOSE: State.CLOSED,
}


def command(story: Any, exit: Exit, *keyids: str, ago: timedelta = 30 * SECOND) -> CommandFacts:
    return CommandFacts(exit=exit, keyids=frozenset(keyids or (ANNA, BEN)), commanded_at=story.T0 - ago)


def lost(story: Any, **changes: Any) -> Any:
    """An order was dispatched, the agent is silent, and a person is needed."""
    return story.facts(State.NEEDS_OPERATOR, **changes)


@pytest.mark.parametrize("exit", ENDS_IN)
def test_each_command_leads_where_it_says(story: Any, exit: Exit) -> None:
    decision = decide(lost(story, command=command(story, exit)), story.T0)
    assert isinstance(decision, Move)
    assert decision.to is ENDS_IN[exit]
    assert decision.is_command
    assert may_move(State.NEEDS_OPERATOR, decision.to, is_command=True)
    assert decision.begins_attempt is (exit is Exit.RETRY)
    assert decision.effect is None


def test_without_a_command_nothing_leads_out(story: Any) -> None:
    for passed in (0, 60, 3600, 10**7):
        assert isinstance(decide(lost(story), story.T0 + passed * SECOND), Wait)


@pytest.mark.parametrize("exit", ENDS_IN)
def test_a_command_of_an_earlier_stay_is_void(story: Any, exit: Exit) -> None:
    facts = lost(story, command=command(story, exit, ago=61 * SECOND))
    assert facts.entered_at == story.T0 - 60 * SECOND
    assert isinstance(decide(facts, story.T0), Wait)


def test_destruction_is_attested_by_two_different_people(story: Any) -> None:
    assert PEOPLE_TO_LEAVE[Exit.DESTROY] == 2
    decision = decide(lost(story, command=command(story, Exit.DESTROY, ANNA)), story.T0)
    assert isinstance(decision, Wait)
    assert "APPROVALS_REQUIRED" in decision.reason


@pytest.mark.parametrize("exit", ENDS_IN)
def test_nothing_leads_out_while_the_last_permission_may_still_be_alive(story: Any, exit: Exit) -> None:
    granted_at = story.T0 - 10 * SECOND
    facts = lost(
        story,
        command=command(story, exit),
        last_acknowledged_at=granted_at,
        order=story.order(dispatched_at=story.T0 - 30 * SECOND, is_acknowledged=True),
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_TOO_EARLY" in decision.reason
    assert decision.until is not None
    dies_at = granted_at + ACKNOWLEDGEMENT_LIFE + DRIFT
    assert isinstance(decide(facts, dies_at), Wait)
    assert isinstance(decide(facts, dies_at + SECOND), Move)


def test_an_agent_that_said_done_need_not_be_waited_for(story: Any) -> None:
    facts = lost(
        story,
        command=command(story, Exit.RETRY),
        last_acknowledged_at=story.T0 - 10 * SECOND,
        agent=story.agent(TokenState.DONE),
        order=story.order(dispatched_at=story.T0 - 30 * SECOND, is_acknowledged=True),
    )
    assert isinstance(decide(facts, story.T0), Move)


def test_an_unsent_order_is_withdrawn_before_anything_leads_out(story: Any) -> None:
    facts = lost(story, command=command(story, Exit.RETRY), order=story.order())
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.WITHDRAW_ORDER


def test_bad_outcomes_are_signed_before_anything_leads_out(story: Any) -> None:
    facts = lost(story, command=command(story, Exit.CLOSE), is_evidence_in=True)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.JUDGE


@pytest.mark.parametrize("reason", ["is_frozen", "is_store_current"])
@pytest.mark.parametrize("exit", Exit)
def test_a_frozen_store_carries_out_no_command(story: Any, reason: str, exit: Exit) -> None:
    facts = lost(story, command=command(story, exit), **{reason: reason == "is_frozen"})
    assert isinstance(decide(facts, story.T0), Refuse)


def test_reprobe_needs_an_order_whose_end_is_not_known(story: Any) -> None:
    facts = lost(story, command=command(story, Exit.REPROBE), order=None)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN" in decision.reason


def test_after_reprobe_nothing_is_acknowledged_any_more(story: Any) -> None:
    facts = story.facts(
        State.ERASING,
        entered_at=story.T0 - 5 * SECOND,
        order=story.order(dispatched_at=story.T0 - 30 * SECOND),
    )
    with pytest.raises(Exception, match="NOT_ERASING"):
        may_acknowledge(
            facts,
            story.T0,
            token=story.TOKEN,
            boot_id=story.BOOT,
            step=f"start:{story.MEDIUM}:nvme_sanitize_crypto",
            is_irreversible=True,
        )


# --- the papers or the way back failed, and nothing else (decisions/0011) -----------------------------------


def accepted(story: Any, **changes: Any) -> Any:
    """Every medium is erased and accepted, outcomes and summary are logged; the quarantine was not undone."""
    known = {
        "is_evidence_in": True,
        "verdicts": (story.verdict(),),
        "are_outcomes_logged": True,
        "has_summary": True,
        "is_summary_logged": True,
        "does_bundle_verify": True,
    }
    return lost(story, **(known | changes))


def test_once_a_summary_is_made_no_other_attempt_begins(story: Any) -> None:
    decision = decide(accepted(story, command=command(story, Exit.RETRY)), story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN: the host's one summary is made" in decision.reason


@pytest.mark.parametrize("changes", [{}, {"is_summary_logged": False}, {"does_bundle_verify": False}])
def test_reprobe_leads_what_is_accepted_back_to_where_papers_are_looked_at_again(
    story: Any, changes: dict[str, Any]
) -> None:
    facts = accepted(story, command=command(story, Exit.REPROBE), **changes)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert (decision.to, decision.is_command, decision.effect) == (State.VALIDATED, True, None)
    assert may_move(State.NEEDS_OPERATOR, State.VALIDATED, is_command=True)
    again = decide(replace(facts, state=State.VALIDATED, command=None), story.T0)
    assert isinstance(again, Wait) if changes else again.to is State.CERTIFIED


@pytest.mark.parametrize("changed", ["a drive left", "a drive joined", "no verdict", "not accepted"])
def test_reprobe_leads_nowhere_where_the_verdicts_are_not_of_the_drives_of_now(
    story: Any, changed: str
) -> None:
    changes = {
        "a drive left": {"inventory": None},
        "a drive joined": {"plan": None},
        "no verdict": {"verdicts": (), "is_table_kept": False, "are_outcomes_logged": True},
        "not accepted": {"verdicts": (story.verdict(decision=ValidationDecision.ESCALATE),)},
    }[changed]
    facts = accepted(story, command=command(story, Exit.REPROBE), **changes)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN" in decision.reason


# --- a customer who came back -------------------------------------------------------------------------------


def test_retry_is_not_open_once_the_customer_came_back_whatever_the_source_says_now(story: Any) -> None:
    came_back = lost(story, came_back_at=story.T0 - story.HOUR)
    ways = {way.exit for way in ways_out(came_back, story.T0) if not way.is_open}
    assert ways == {Exit.RETRY, Exit.RESTORE}, "an order was dispatched, so restore is closed as well"
    untouched = replace(came_back, order=None)
    assert {way.exit for way in ways_out(untouched, story.T0) if way.is_open} == {
        Exit.RESTORE,
        Exit.DESTROY,
        Exit.CLOSE,
    }
    decision = decide(replace(untouched, command=command(story, Exit.RETRY)), story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN" in decision.reason
    assert decision.is_alarm


@pytest.mark.parametrize("state", [state for state in State if state.is_reversible])
@pytest.mark.parametrize("answer", [Answer.ENDED, Answer.UNKNOWN])
def test_who_came_back_once_is_given_the_host_back_whatever_the_source_says_now(
    story: Any, state: State, answer: Answer
) -> None:
    own = story.tenancy(latest=story.subscription(answer))
    facts = story.facts(state, came_back_at=story.T0 - story.HOUR, tenancies=(own,), isolation=None)
    decision = decide(facts, story.T0)
    if isinstance(decision, Move):
        assert (state, decision.to) == (State.SCHEDULED, State.CANCELLED)
        return
    assert isinstance(decision, Wait)
    assert decision.effect is (Effect.WITHDRAW_ORDER if state is State.INTENDED else Effect.RESTORE)


@pytest.mark.parametrize("stop", [{"is_frozen": True}, {"is_store_current": False}], ids=str)
def test_a_freeze_or_an_old_store_only_delays_the_way_back(story: Any, stop: dict[str, bool]) -> None:
    facts = story.facts(State.PLANNED, came_back_at=story.T0 - story.HOUR, **stop)
    assert isinstance(decide(facts, story.T0), Refuse)


def test_a_hold_does_not_delay_the_way_back(story: Any) -> None:
    facts = story.facts(State.PLANNED, came_back_at=story.T0 - story.HOUR, holds=(story.hold(),))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.RESTORE


def test_after_the_first_acknowledgement_a_return_alarms_and_interrupts_nothing(story: Any) -> None:
    sent = story.order(dispatched_at=story.T0 - 30 * SECOND, is_acknowledged=True)
    facts = story.facts(State.ERASING, came_back_at=story.T0 - SECOND, order=sent)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.is_alarm
    assert decision.ask == (Question.AGENT_STATUS,)


def test_before_it_the_agent_is_asked_never_to_begin(story: Any) -> None:
    decision = decide(story.facts(State.ERASING, came_back_at=story.T0 - SECOND), story.T0)
    assert isinstance(decision, Wait)
    assert decision.ask == (Question.FINAL_ABSENCE,)


def test_whoever_was_let_the_host_meanwhile_is_not_connected_for_one_who_left_again(story: Any) -> None:
    later = story.tenancy(
        tenancy=story.LATER,
        starts_at=story.T0 - story.HOUR,
        latest=story.subscription(Answer.ACTIVE),
    )
    facts = story.facts(
        State.PLANNED, came_back_at=story.T0 - 2 * story.HOUR, tenancies=(story.tenancy(), later)
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.NEEDS_OPERATOR
    assert "let again" in decision.reason


# --- restore ------------------------------------------------------------------------------------------------


def test_restore_after_a_dispatch_without_final_absence_is_not_open(story: Any) -> None:
    decision = decide(lost(story, command=command(story, Exit.RESTORE)), story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN" in decision.reason


def test_restore_is_not_open_while_an_earlier_attempt_may_have_begun(story: Any) -> None:
    facts = lost(story, command=command(story, Exit.RESTORE), order=None, has_open_earlier_order=True)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN" in decision.reason


def test_restore_undoes_the_quarantine_reads_it_back_and_cancels(story: Any) -> None:
    facts = lost(story, command=command(story, Exit.RESTORE), order=None, isolation=None)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.RESTORE
    begun = (story.begun(Effect.ISOLATE, ago=99 * SECOND), story.begun(Effect.RESTORE, ago=9 * SECOND))
    back = lost(
        story,
        command=command(story, Exit.RESTORE),
        order=None,
        isolation=story.isolation(Seen.NO),
        effects_begun=begun,
    )
    decision = decide(back, story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.CANCELLED
    assert decision.is_command


@pytest.mark.parametrize("state", [state for state in State if state.is_reversible])
def test_restore_turns_every_reversible_state_round(story: Any, state: State) -> None:
    facts = story.facts(state, command=command(story, Exit.RESTORE, ANNA), isolation=None)
    decision = decide(facts, story.T0)
    if isinstance(decision, Move):
        assert (state, decision.to) == (State.SCHEDULED, State.CANCELLED)
        assert not decision.is_command
        return
    assert isinstance(decision, Wait)
    wanted = Effect.WITHDRAW_ORDER if state is State.INTENDED else Effect.RESTORE
    assert decision.effect is wanted


def test_restore_before_the_first_acknowledgement_asks_the_agent_never_to_begin(story: Any) -> None:
    facts = story.facts(State.ERASING, command=command(story, Exit.RESTORE, ANNA))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.is_alarm
    with pytest.raises(Exception, match="CALLED_BACK"):
        may_acknowledge(
            facts,
            story.T0,
            token=story.TOKEN,
            boot_id=story.BOOT,
            step=f"markers:{story.MEDIUM}",
            is_irreversible=True,
        )


# --- a host that was never let ------------------------------------------------------------------------------


def test_a_host_that_was_never_let_needs_a_person_once_its_agent_will_never_begin(story: Any) -> None:
    facts = story.facts(
        State.ERASING,
        tenancy=None,
        tenancies=(),
        trigger=Trigger.MANUAL,
        disposition=Disposition.STOCK,
        order=story.order(dispatched_at=story.T0 - 30 * SECOND, is_absent_final=True),
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.NEEDS_OPERATOR


# --- what a case leaves when it ends (decisions/0012) -------------------------------------------------------


@pytest.mark.parametrize("exit", [Exit.CLOSE, Exit.DESTROY])
def test_a_case_that_may_have_begun_something_ends_after_it_is_recorded(story: Any, exit: Exit) -> None:
    facts = lost(story, command=command(story, exit), owes_records=True)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.CERTIFY
    assert leaves_records(facts, story.T0)
    assert isinstance(decide(replace(facts, owes_records=False), story.T0), Move)


@pytest.mark.parametrize("exit", [Exit.RETRY, Exit.REPROBE])
def test_who_goes_on_with_a_case_records_nothing_for_good(story: Any, exit: Exit) -> None:
    facts = lost(story, command=command(story, exit), owes_records=True)
    assert not leaves_records(facts, story.T0)
    assert isinstance(decide(facts, story.T0), Move)


def test_nothing_is_recorded_for_good_before_the_exit_is_open(story: Any) -> None:
    """One of two people, a permission that may be alive, a frozen store, and no command at all."""
    owing = lost(story, command=command(story, Exit.CLOSE), owes_records=True)
    alone = replace(owing, command=command(story, Exit.DESTROY, ANNA))
    early = replace(
        owing,
        last_acknowledged_at=story.T0 - 10 * SECOND,
        order=story.order(dispatched_at=story.T0 - 30 * SECOND, is_acknowledged=True),
    )
    for facts in (alone, early, replace(owing, is_store_current=False), replace(owing, command=None)):
        assert not leaves_records(facts, story.T0)
        assert not isinstance(decide(facts, story.T0), Move)


@pytest.mark.parametrize("exit", [Exit.RETRY, Exit.REPROBE])
def test_once_a_closing_fixed_its_records_the_case_only_ends(story: Any, exit: Exit) -> None:
    facts = lost(story, command=command(story, exit), has_summary=True, is_written_off=True)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Wait)
    assert "EXIT_NOT_OPEN" in decision.reason


def test_an_acceptance_that_comes_after_the_records_leads_nowhere(story: Any) -> None:
    accepted_at = story.T0 - 5 * SECOND
    facts = accepted(story, acceptance=AcceptanceFacts(keyid=ANNA, accepted_at=accepted_at))
    assert isinstance(decide(facts, story.T0), Move)
    assert isinstance(decide(replace(facts, is_written_off=True), story.T0), Wait)
