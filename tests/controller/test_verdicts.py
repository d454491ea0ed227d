"""What the verdicts on a host's media allow, and what a person's acceptance adds to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.statements.vocabulary import Result, ValidationDecision
from controller import verdicts
from controller.decision import Move
from controller.errors import Code
from controller.facts import AcceptanceFacts, CommandFacts, Effect, Exit, PlanFacts
from controller.lifecycle import decide
from controller.states import State

SECOND = timedelta(seconds=1)
OTHER = "e" * 64
ROW = "default, nvme, nvme_sanitize_block, device-reported"


def stuck(story: Any, *told: Any, accepted_ago: timedelta | None = None, **changes: Any) -> Any:
    """In needs_operator for 60 s, with these verdicts, all its paper done."""
    acceptance = None
    if accepted_ago is not None:
        acceptance = AcceptanceFacts(keyid="SHA256:" + "A" * 43, accepted_at=story.T0 - accepted_ago)
    fields = {
        "is_evidence_in": True,
        "verdicts": told or (story.verdict(),),
        "acceptance": acceptance,
        "are_outcomes_logged": True,
    }
    return story.facts(State.NEEDS_OPERATOR, **(fields | changes))


def accept(story: Any, **changes: Any) -> Any:
    """A verdict with a person's yes in it, as `knowledge` gives it."""
    return story.verdict(decision=ValidationDecision.ACCEPT, **changes)


# --- the ordinary way ---------------------------------------------------------------------------------------


def test_an_escalated_result_calls_for_a_validation_by_code_and_names_medium_and_row(story: Any) -> None:
    facts = story.facts(
        State.VERIFIED, verdicts=(story.verdict(decision=ValidationDecision.ESCALATE, row=ROW),)
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert (decision.to, decision.code) == (State.NEEDS_OPERATOR, Code.VALIDATION_AWAITED)
    for words in (story.MEDIUM[:8], ROW, "expunge validate"):
        assert words in decision.reason


def test_a_rejected_result_says_that_only_another_erase_helps(story: Any) -> None:
    facts = story.facts(
        State.VERIFIED, verdicts=(story.verdict(decision=ValidationDecision.REJECT, row=ROW),)
    )
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert (decision.to, decision.code) == (State.NEEDS_OPERATOR, Code.VALIDATION_REJECTED)
    assert "retry" in decision.reason


@pytest.mark.parametrize("result", [Result.NOT_ERASED, Result.INCONCLUSIVE])
def test_a_failure_beside_an_escalated_result_is_more_than_a_validation(story: Any, result: Result) -> None:
    told = (
        story.verdict(decision=ValidationDecision.ESCALATE, row=ROW),
        story.verdict(medium=OTHER, result=result, decision=ValidationDecision.ESCALATE),
    )
    facts = story.facts(State.VERIFIED, verdicts=told, plan=two_media(story))
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert decision.code is Code.PERSON_MUST_DECIDE
    assert "nobody can accept" in decision.reason


def two_media(story: Any) -> PlanFacts:
    return PlanFacts(digest=story.PLAN, boot_id=story.BOOT, media=(story.MEDIUM, OTHER))


def test_over_no_medium_nothing_is_accepted(story: Any) -> None:
    no_media = PlanFacts(digest=story.PLAN, boot_id=story.BOOT, media=())
    for plan in (None, no_media):
        assert verdicts.objections(story.facts(State.VERIFIED, plan=plan, verdicts=()))


def test_a_verdict_that_is_missing_doubled_or_foreign_objects(story: Any) -> None:
    good = story.verdict()
    for told in ((), (good, good), (good, replace(good, medium=OTHER))):
        assert verdicts.objections(story.facts(State.VERIFIED, verdicts=told))


# --- a person's acceptance ----------------------------------------------------------------------------------


def test_an_acceptance_of_this_stay_leads_to_validated_as_a_command(story: Any) -> None:
    decision = decide(stuck(story, accept(story), accepted_ago=5 * SECOND), story.T0)
    assert isinstance(decision, Move)
    assert (decision.to, decision.is_command) == (State.VALIDATED, True)
    assert "SHA256:" in decision.reason


def test_without_an_acceptance_accepted_verdicts_lead_nowhere(story: Any) -> None:
    """Certifying failed, say: then a person decides, although the table accepted everything."""
    assert not isinstance(decide(stuck(story), story.T0), Move)


def test_an_acceptance_of_an_earlier_stay_leads_nowhere(story: Any) -> None:
    assert not isinstance(decide(stuck(story, accept(story), accepted_ago=61 * SECOND), story.T0), Move)


def test_an_acceptance_leads_nowhere_while_another_medium_stands_in_the_way(story: Any) -> None:
    bad = story.verdict(medium=OTHER, result=Result.NOT_ERASED, decision=ValidationDecision.ESCALATE)
    facts = stuck(story, accept(story), bad, accepted_ago=5 * SECOND, plan=two_media(story))
    assert not isinstance(decide(facts, story.T0), Move)


def test_first_the_certificate_of_what_was_accepted_is_signed(story: Any) -> None:
    facts = stuck(story, accept(story), accepted_ago=5 * SECOND, are_outcomes_logged=False)
    decision = decide(facts, story.T0)
    assert not isinstance(decision, Move)
    assert decision.effect is Effect.CERTIFY  # type: ignore[union-attr]


def test_a_command_after_the_acceptance_is_the_last_word(story: Any) -> None:
    def commanded(ago: timedelta) -> CommandFacts:
        keyids = frozenset({"SHA256:" + "B" * 43})
        return CommandFacts(exit=Exit.RETRY, keyids=keyids, commanded_at=story.T0 - ago)

    before = stuck(story, accept(story), accepted_ago=5 * SECOND, command=commanded(9 * SECOND))
    after = stuck(story, accept(story), accepted_ago=5 * SECOND, command=commanded(2 * SECOND))
    moves = [decide(facts, story.T0) for facts in (before, after)]
    assert [move.to for move in moves if isinstance(move, Move)] == [State.VALIDATED, State.SCHEDULED]


@pytest.mark.parametrize("stopped", [{"is_frozen": True}, {"is_store_current": False}])
def test_nothing_is_carried_out_while_the_store_is_frozen(story: Any, stopped: dict[str, bool]) -> None:
    facts = stuck(story, accept(story), accepted_ago=5 * SECOND, **stopped)
    assert not isinstance(decide(facts, story.T0), Move)


@given(
    results=st.lists(
        st.tuples(st.sampled_from(list(Result)), st.sampled_from(list(ValidationDecision))), max_size=4
    )
)
def test_only_erased_and_accepted_media_are_ever_validated(
    story: Any, results: list[tuple[Result, ValidationDecision]]
) -> None:
    media = tuple(f"{number:064x}" for number in range(len(results)))
    told = tuple(
        story.verdict(medium=medium, result=result, decision=decision)
        for medium, (result, decision) in zip(media, results, strict=True)
    )
    plan = PlanFacts(digest=story.PLAN, boot_id=story.BOOT, media=media)
    facts = stuck(story, plan=plan, verdicts=told, accepted_ago=5 * SECOND)
    decision = decide(facts, story.T0)
    is_good = bool(results) and set(results) == {(Result.ERASED, ValidationDecision.ACCEPT)}
    assert (isinstance(decision, Move) and decision.to is State.VALIDATED) is is_good


# --- the order's own table ----------------------------------------------------------------------------------


def test_evidence_whose_table_is_not_kept_goes_to_a_person_unjudged(story: Any) -> None:
    facts = story.facts(State.ERASING, is_evidence_in=True, is_table_kept=False)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert (decision.to, decision.code) == (State.NEEDS_OPERATOR, Code.TABLE_NOT_KEPT)


def test_a_lost_table_shuts_no_way_out(story: Any) -> None:
    retry = CommandFacts(
        exit=Exit.RETRY, keyids=frozenset({"SHA256:" + "B" * 43}), commanded_at=story.T0 - SECOND
    )
    facts = stuck(story, verdicts=(), are_outcomes_logged=False, is_table_kept=False, command=retry)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.SCHEDULED
    kept = decide(replace(facts, is_table_kept=True), story.T0)
    assert not isinstance(kept, Move)
    assert kept.effect is Effect.JUDGE  # type: ignore[union-attr]
