"""A database that came back: from a backup, from a lagging replica, or on another machine. It must not wipe.

DESIGN, rule 7: older means frozen. Observing goes on, and an erase that runs goes on to a person; nothing is
cancelled, restored, released, sent or acknowledged until two operators reconcile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.decision import Move, Refuse, Wait
from controller.errors import Code
from controller.exits import PEOPLE_TO_LEAVE
from controller.facts import Answer, CommandFacts, Effect, Exit, Facts, Question
from controller.lifecycle import decide, may_acknowledge
from controller.states import State
from controller.store import journal, open_store, orders
from controller.store.anchor import FrozenBecause

LIVE = [state for state in State if not state.is_terminal]
#: What only looks, and lets drives finish what they do already.
LOOKING = {Effect.COLLECT}
ASKING_THE_AGENT = {Question.AGENT_STATUS, Question.FINAL_ABSENCE}


# --- the decision -------------------------------------------------------------------------------------------


@pytest.fixture
def older(story: Any) -> Callable[..., Facts]:
    """Healthy facts of a store that its anchor does not know."""
    return lambda state, **changes: story.facts(state, **({"is_store_current": False} | changes))


@pytest.fixture(params=["as it should be", "came back", "called back", "long overdue"])
def spoilt(request: pytest.FixtureRequest, story: Any, older: Any) -> Callable[[State], tuple[Facts, Any]]:
    """Facts of an older store, and when they are decided on: whatever else gives a reason to move."""

    def make(state: State) -> tuple[Facts, Any]:
        facts, now = older(state), story.T0
        if request.param == "came back":
            answer = story.subscription(Answer.ACTIVE)
            facts = replace(facts, tenancies=(story.tenancy(latest=answer),))
        if request.param == "called back":
            command = CommandFacts(exit=Exit.RESTORE, keyids=frozenset({"a", "b"}), commanded_at=now)
            facts = replace(facts, command=command)
        if request.param == "long overdue":
            facts = replace(facts, deadline_at=now)
        return facts, now

    return make


@pytest.mark.parametrize("state", LIVE)
def test_hazard_07_an_older_store_moves_nothing_but_an_erase_to_a_person(state: State, spoilt: Any) -> None:
    facts, now = spoilt(state)
    decision = decide(facts, now)
    if isinstance(decision, Move):
        assert (state, decision.to, decision.effect) == (State.ERASING, State.NEEDS_OPERATOR, None)
    if isinstance(decision, Wait):
        assert decision.effect is None or decision.effect in LOOKING, decision.effect
        assert state is not State.INTENDED
    if isinstance(decision, Refuse):
        assert Code.STORE_NOT_CURRENT in {refusal.code for refusal in decision.refusals}


def test_an_erase_that_runs_is_followed_on_and_given_up_in_time(older: Any, story: Any) -> None:
    waiting = decide(older(State.ERASING), story.T0)
    assert isinstance(waiting, Wait)
    assert ASKING_THE_AGENT & set(waiting.ask)
    late = decide(older(State.ERASING, deadline_at=story.T0), story.T0)
    assert isinstance(late, Move)
    assert late.to is State.NEEDS_OPERATOR


@pytest.mark.parametrize("way", list(Exit))
def test_no_command_leads_out_of_an_older_store(way: Exit, older: Any, story: Any) -> None:
    people = frozenset({"a", "b"})
    assert len(people) >= PEOPLE_TO_LEAVE[way]
    command = CommandFacts(exit=way, keyids=people, commanded_at=story.T0)
    decision = decide(older(State.NEEDS_OPERATOR, command=command), story.T0 + timedelta(hours=1))
    assert isinstance(decision, Refuse)


def test_an_older_store_acknowledges_nothing(older: Any, story: Any) -> None:
    for is_irreversible in (True, False):
        with pytest.raises(Exception, match="STORE_NOT_CURRENT"):
            acknowledge(older(State.ERASING), story, is_irreversible=is_irreversible)


def acknowledge(facts: Facts, story: Any, *, is_irreversible: bool = True) -> None:
    may_acknowledge(
        facts,
        story.T0,
        token=story.TOKEN,
        boot_id=story.BOOT,
        step=f"start:{story.MEDIUM}",
        is_irreversible=is_irreversible,
    )


# --- after it was reconciled --------------------------------------------------------------------------------

EPOCH = 2**32


def test_an_order_of_an_earlier_epoch_is_withdrawn_not_sent(story: Any) -> None:
    before = story.facts(State.INTENDED, fence=3 * EPOCH + 1, order=story.order(fence=3 * EPOCH))
    assert isinstance(decide(before, story.T0), Move)
    for fence in (3 * EPOCH - 1, 2 * EPOCH, 7):
        decision = decide(replace(before, order=story.order(fence=fence)), story.T0)
        assert isinstance(decision, Wait)
        assert decision.effect is Effect.WITHDRAW_ORDER


def test_nothing_is_acknowledged_under_an_order_of_an_earlier_epoch(story: Any) -> None:
    sent = story.facts(State.ERASING).order
    current = story.facts(State.ERASING, fence=3 * EPOCH + 1, order=replace(sent, fence=3 * EPOCH))
    acknowledge(current, story)
    with pytest.raises(Exception, match="NOT_THIS_ORDER"):
        acknowledge(replace(current, order=replace(sent, fence=3 * EPOCH - 1)), story)


# --- a failover under a running controller ------------------------------------------------------------------


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Callable[[Any], Callable[[], None]]]:
    """replica(world): a copy of its database as it is now. Calling the result makes the running controller
    work on that copy, with no restart and no word to anybody.
    """
    opened: list[Any] = []

    def copy(world: Any) -> Callable[[], None]:
        source, target = (
            sqlite3.connect(world.folder / "expunge.db"),
            sqlite3.connect(tmp_path / f"replica-{len(opened)}.db"),
        )
        source.backup(target)
        source.close()
        target.close()
        lagging = open_store(tmp_path / f"replica-{len(opened)}.db", anchoring=world.program.keeper)
        opened.append((world.program.store, world.program.store.engine, lagging))

        def fail_over() -> None:
            world.program.store.engine = lagging.engine

        return fail_over

    yield copy
    for store, engine, lagging in opened:
        store.engine = engine
        lagging.close()


HOLD = {"scope": "everything", "matter": "a court asked", "review": "P1D"}


def comparison(world: Any) -> Any:
    with world.program.store.snapshot() as tx:
        return world.program.keeper.compare(tx).because


def executed(world: Any) -> int:
    return sum(request.name == "execute" for request in world.requests)


def test_hazard_14_a_failover_to_a_lagging_replica_dispatches_nothing(
    world_in: Any, people_of: Any, replica: Any
) -> None:
    """The replica knows the order as intended. Under it lies an event that the controller saw committed."""
    world = world_in(State.INTENDED)
    fail_over = replica(world)
    number = people_of(world.program).decide("freeze", {}, by=world.operators[0])
    assert number.done
    fail_over()
    for _ in range(20):
        world.step(until=lambda world: False)
    assert comparison(world) in (FrozenBecause.STORE_BEHIND, FrozenBecause.STORE_FORKED)
    assert world.state is State.INTENDED
    assert executed(world) == 0
    assert world.drive_text_count() == 8


def test_the_same_order_is_dispatched_where_nothing_was_lost(world_in: Any, replica: Any) -> None:
    """A replica that lags by nothing is the database."""
    world = world_in(State.INTENDED)
    replica(world)()
    world.run(until=lambda world: world.state is State.ERASING)
    assert executed(world) == 1


def test_hazard_14_a_failover_between_the_order_and_its_first_step_acknowledges_nothing(
    world_in: Any, people_of: Any, replica: Any
) -> None:
    """The agent has the order and asks for leave; the replica, which knows the order as sent, is behind."""
    world = world_in(State.ERASING)
    fail_over = replica(world)
    people_of(world.program).decide("hold", HOLD, by=world.operators[0])
    fail_over()
    for _ in range(20):
        world.step(until=lambda world: False)
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        assert journal.acknowledgements(tx, order.id) == ()
    assert world.drive_text_count() == 8
