"""Hazards of crashes, of what never ends, of half an erase, and of decisions that nobody read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.messages import JournalLine, TokenState
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import Result, ValidationDecision
from controller import cli
from controller.attention import ways_out
from controller.deadlines import DEADLINES
from controller.decision import Move
from controller.errors import Code
from controller.facts import Exit
from controller.lifecycle import decide
from controller.people import approving
from controller.people.acts.exit import MAX_BATCH
from controller.states import State
from controller.store import journal, orders, plans


def sanitizes_begun(world: Any) -> int:
    """What the drive itself counted."""
    found: int = json.loads((world.drive_folder / "state.json").read_text())["sanitizes_begun"]
    return found


@pytest.mark.parametrize("records", [1, 4, 7])
def test_hazard_07_an_erase_whose_process_died_is_never_begun_a_second_time(world: Any, records: int) -> None:
    """Every commit and every record is killed once in tests/sabotage; this is the short form."""
    world.executor_dies_after = records
    world.end_subscription()
    world.run()
    assert sanitizes_begun(world) <= 1
    with world.program.store.snapshot() as tx:
        assert len(orders.of_deprovision(tx, world.key)) == 1
    assert world.state in {State.NEEDS_OPERATOR, State.RELEASED}


def test_hazard_16_what_runs_for_ever_goes_to_a_person_who_may_only_ask(story: Any) -> None:
    """A day after the dispatch the agent still says `running`; nothing is sent again, and nothing is given
    back.
    """
    patience = DEADLINES[State.ERASING].after
    for age in (patience, 30 * patience):
        now = story.T0 + age
        running = replace(
            story.agent(TokenState.RUNNING),
            asked_at=now - 2 * story.SECOND,
            answered_at=now - story.SECOND,
        )
        sent = story.order(dispatched_at=story.T0, is_acknowledged=True)
        facts = story.facts(
            State.ERASING, entered_at=story.T0, order=sent, agent=running, last_acknowledged_at=story.T0
        )
        decision = decide(facts, now)
        assert isinstance(decision, Move)
        assert (decision.to, decision.effect) == (State.NEEDS_OPERATOR, None)
        stuck = replace(facts, state=State.NEEDS_OPERATOR, entered_at=now)
        ways = {way.exit for way in ways_out(stuck, now + patience) if way.is_open}
        assert ways == set(Exit) - {Exit.RESTORE}


@pytest.mark.parametrize("second", ["missing", Result.NOT_ERASED, Result.INCONCLUSIVE])
def test_hazard_17_one_drive_of_two_that_is_not_erased_keeps_the_host(story: Any, second: Any) -> None:
    """Not even a certificate of the other one releases it."""
    verdicts = [story.verdict()]
    if second != "missing":
        verdicts.append(
            story.verdict(medium=story.OTHER_MEDIUM, result=second, decision=ValidationDecision.ESCALATE)
        )
    plan = replace(story.facts(State.VERIFIED).plan, media=(story.MEDIUM, story.OTHER_MEDIUM))
    decision = decide(story.facts(State.VERIFIED, plan=plan, verdicts=tuple(verdicts)), story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.NEEDS_OPERATOR
    assert story.OTHER_MEDIUM[:8] in decision.reason


def test_hazard_17_a_drive_that_was_not_planned_for_keeps_the_host_too(story: Any) -> None:
    verdicts = (story.verdict(), story.verdict(medium=story.OTHER_MEDIUM))
    decision = decide(story.facts(State.VERIFIED, verdicts=verdicts), story.T0)
    assert isinstance(decision, Move)
    assert decision.to is State.NEEDS_OPERATOR


def test_hazard_19_a_retry_needs_people_who_said_yes_to_it(world: Any, people: Any) -> None:
    """The same two approved the attempt before; that is spent."""
    alice, bob = world.operators
    world._beat("ended")
    people.decide(world, alice, DecisionKind.WIPE, host="host-1")
    world.run(until=lambda world: world.state is State.PLANNED)
    people.request(world, alice)
    people.approve(world, bob)
    world.executor_dies_after = 1
    world.run()
    assert world.state is State.NEEDS_OPERATOR
    world.executor_dies_after = None
    people.leave(world, alice, "retry")
    world.run(until=lambda world: world.state is State.PLANNED)
    ends_at = world.now() + timedelta(minutes=2)
    world.run(until=lambda world: world.now() > ends_at)
    assert (world.state, world.deprovision.attempt) == (State.PLANNED, 2)
    assert people.request(world, alice).missing
    assert people.approve(world, bob).missing == ()


@pytest.mark.parametrize("argv", [["0" * 64, "1" * 64], ["--all"], []], ids=["two", "all", "none"])
def test_hazard_20_nobody_approves_more_than_the_one_plan_they_name(
    tmp_path: Path, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--home", str(tmp_path), "--reason", "r", "--key", "/nowhere"]
    assert cli.approve([*argv, *more]) == 2
    assert capsys.readouterr().out == ""


def test_hazard_20_the_beginning_of_a_digest_approves_nothing(world: Any, people: Any) -> None:
    world._beat("ended")
    people.decide(world, world.operators[0], DecisionKind.WIPE, host="host-1")
    world.run(until=lambda world: world.state is State.PLANNED)
    with world.program.store.snapshot() as tx:
        plan = plans.current(tx, world.key, attempt=1)
        assert plan is not None
        assert approving.present(tx, plan.digest).id == world.key
        for digest in (plan.digest[:8], plan.digest[:-1], f"{plan.digest[:-1]}%", "", "*"):
            with pytest.raises(Refused) as caught:
                approving.present(tx, digest)
            assert caught.value.code is Code.PLAN_NOT_PRESENT


def test_hazard_20_a_batch_is_read_by_a_second_person_and_has_an_end(world: Any, people: Any) -> None:
    many = ",".join(str(DeprovisionId(f"dep_{number:032x}")) for number in range(MAX_BATCH + 1))
    with pytest.raises(Refused) as caught:
        people.decide(world, world.operators[0], DecisionKind.EXIT, exit="close", deprovisions=many)
    assert caught.value.code is Code.DECISION_MISMATCH


def test_hazard_21_a_hold_after_the_dispatch_wins_until_the_first_acknowledgement(
    world: Any, people: Any
) -> None:
    """The agent asks for leave and does not get it: nothing irreversible begins."""
    held: list[JournalLine] = []

    def hold(line: JournalLine) -> None:
        if line.needs_ack and not held:
            held.append(line)
            people.decide(
                world,
                world.operators[0],
                DecisionKind.HOLD,
                scope="host=host-1",
                matter="case 7",
                review="P7D",
            )

    world.on_journal_line = hold
    world.end_subscription()
    world.run(until=lambda world: bool(held))
    ends_at = world.now() + timedelta(minutes=2)
    world.run(until=lambda world: world.now() > ends_at)
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        assert order.dispatched_at is not None
        assert journal.acknowledgements(tx, order.id) == ()
    assert (sanitizes_begun(world), world.drive_text_count() > 0) == (0, True)
