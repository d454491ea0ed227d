"""`decide` against a small world under random rules: what must never happen, whatever happens.

Each rule is something the world may do: renew, end, let again, lose, double and reorder hints, answer late or
not at all, step a clock, undo the isolation, restart the machine, kill a worker between any two acts. The
promises are checked where they could break, at the commit of the dispatch, of each irreversible
acknowledgement and of a cancelling, from the world's own record of what was stored in which order.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from certificate.identifiers import TenancyId
from certificate.statements.statement import Seen
from controller.facts import Answer, Effect, Question
from controller.states import State

World = Any
Act = Callable[[World], object]

SECOND = timedelta(seconds=1)


# --- what must never happen ---------------------------------------------------------------------------------


def witness(moment: Any, world: World) -> None:
    """DESIGN's two promises about a customer who has not left, checked inside the transaction."""
    match moment.name:
        case "NO_RETURN":
            assert_every_customer_left(world)
        case "CANCELLED":
            assert_may_cancel(world)


def assert_every_customer_left(world: World) -> None:
    """DESIGN, rule 2, from the order in which things were stored."""
    assert not world.is_held
    assert not world.is_frozen
    assert world.known
    listed = world.newest_row(Question.TENANCIES)
    assert listed is not None
    assert listed.answer["names"] == tuple(sorted(world.known))
    for name, known in world.known.items():
        row = world.newest_row(Question.SUBSCRIPTION, name)
        assert row is not None, f"{name}: never asked"
        assert row.answered_at is not None, f"{name}: the newest question is open"
        assert row.answer["answer"] is Answer.ENDED, f"{name}: {row.answer}"
        assert timedelta() <= world.wall - row.asked_at < 30 * SECOND, f"{name}: asked {row.asked_at}"
        assert row.asked_index > known.contrary_index, f"{name}: a contrary fact was stored since"
        hinted_at, changed_at = known.last_renewal_hint_at, row.answer["changed_at"]
        assert hinted_at is None or changed_at >= hinted_at, f"{name}: ended before the renewal hint"
    clock = world.newest_row(Question.CLOCK)
    assert clock is not None
    assert abs(clock.answer["difference_seconds"]) <= 300
    switched = max((index for effect, _, index in world.begun if effect is Effect.RESTORE), default=-1)
    isolation = world.newest_row(Question.ISOLATION)
    assert isolation is not None
    assert isolation.answer["tenant_side_cut"] is Seen.YES
    assert isolation.asked_index > switched


def assert_may_cancel(world: World) -> None:
    """Only a customer who came back, to a machine on which nothing was begun or ever can be."""
    row = world.newest_row(Question.SUBSCRIPTION, world.own)
    assert row is not None
    assert row.answer["answer"] in {Answer.ACTIVE, Answer.PENDING}
    orders = [*world.past_orders, *([] if world.order is None else [world.order])]
    for order in orders:
        assert order.is_withdrawn or order.is_absent_final, f"{order.order} may still be obeyed"
    assert not world.begun_tokens
    isolated = any(effect is Effect.ISOLATE for effect, _, _ in world.begun)
    read = world.newest_row(Question.ISOLATION)
    assert not isolated or (read is not None and read.answer["tenant_side_cut"] is Seen.NO)


# --- what goes wrong in several steps at once ---------------------------------------------------------------


def comes_back(world: World, tenancy: TenancyId) -> None:
    """The customer renews and the hint is here at once."""
    world.says(tenancy, Answer.ACTIVE)
    world.receive(world.hints.pop())


def hints_too_early(world: World) -> None:
    """A renewal is announced while the source still says what it said before."""
    world.announce_renewal()


def hints_while_the_clock_is_behind(world: World) -> None:
    world.wall -= 9 * SECOND
    hints_too_early(world)
    world.wall += 9 * SECOND


def asks_and_dies(world: World) -> None:
    """A question is stored and sent; nobody waits for its answer any more."""
    world.ask(Question.SUBSCRIPTION)


def answers_out_of_order(world: World, *, is_behind: bool) -> None:
    """Two questions a tenancy; the second is answered first, and the first says unknown after all."""
    first, second = world.ask(Question.SUBSCRIPTION), world.ask(Question.SUBSCRIPTION)
    for row in second:
        world.store_answer(row, world.reply(row) or {})
    world.wall -= 9 * SECOND if is_behind else timedelta()
    for row in first:
        world.store_answer(row, {"answer": Answer.UNKNOWN, "changed_at": None})
    world.wall += 9 * SECOND if is_behind else timedelta()


def answers_slowly(world: World, worker: int) -> None:
    """The worker's questions are asked, and every answer takes half a minute."""
    world.perform(worker)
    world.tick(25 * SECOND)
    while world.queues[worker]:
        world.perform(worker)
    world.tick(6 * SECOND)


# --- random rules -------------------------------------------------------------------------------------------


#: The small things whose order decides, drawn in long rows where it matters most; the workers' own oftener.
ACTS: tuple[Act, ...] = (
    *[lambda world: world.advance(0)] * 4,
    *[lambda world: world.perform(0)] * 8,
    *[lambda world: world.work(0)] * 3,
    lambda world: world.advance(1),
    *[lambda world: world.perform(1)] * 2,
    lambda world: world.perform(0, is_lost=True),
    *[lambda world: world.acknowledge(0)] * 2,
    lambda world: world.acknowledge(1),
    lambda world: world.queues[0].clear(),
    *[lambda world: world.tick(timedelta(seconds=1))] * 2,
    lambda world: world.tick(timedelta(seconds=9)),
    lambda world: world.tick(timedelta(seconds=25)),
    lambda world: setattr(world, "wall", world.wall - timedelta(seconds=9)),
    lambda world: setattr(world, "wall", world.wall + timedelta(seconds=9)),
    lambda world: world.says(min(world.source), Answer.ACTIVE),
    lambda world: world.says(max(world.source), Answer.ACTIVE),
    *[lambda world: world.says(max(world.source), Answer.ENDED)] * 2,
    lambda world: world.receive(world.hints[-1]) if world.hints else None,
    lambda world: world.receive(world.hints[0]) if world.hints else None,
    lambda world: comes_back(world, max(world.source)),
    lambda world: comes_back(world, min(world.source)),
    hints_too_early,
    hints_while_the_clock_is_behind,
    *[asks_and_dies] * 2,
    lambda world: answers_out_of_order(world, is_behind=False),
    lambda world: answers_out_of_order(world, is_behind=True),
    lambda world: answers_slowly(world, 0),
    lambda world: setattr(world, "is_held", not world.is_held),
    lambda world: setattr(world, "is_frozen", not world.is_frozen),
    lambda world: setattr(world, "is_cut", False),
    lambda world: setattr(world, "is_source_down", not world.is_source_down),
)


class Deprovisions(RuleBasedStateMachine):
    """One deprovision; each rule is something the world may do."""

    WORKERS = st.sampled_from([0, 1])
    #: Set by the test: a fresh world, and the words of its module.
    lifecycle_world: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.world = self.lifecycle_world.ended_world(witness)

    @rule(worker=WORKERS, rounds=st.integers(1, 3))
    def a_worker_works(self, worker: int, rounds: int) -> None:
        for _ in range(rounds):
            self.world.work(worker)

    @rule(worker=WORKERS, state=st.sampled_from([state for state in State if state.is_running]))
    def all_is_calm_for_a_while(self, worker: int, state: State) -> None:
        """Without it the rules would seldom come near the point of no return."""
        if self.world.state.is_terminal:
            self.world = self.lifecycle_world.ended_world(witness)
        self.world.calm()
        self.world.work_until(worker, state)

    @rule(
        state=st.sampled_from([State.APPROVED, State.INTENDED, State.ERASING]),
        acts=st.lists(st.sampled_from(ACTS), min_size=10, max_size=60),
    )
    def much_happens_near_the_point_of_no_return(self, state: State, acts: list[Act]) -> None:
        self.world = self.lifecycle_world.ended_world(witness)
        self.world.work_until(0, state)
        for act in acts:
            act(self.world)

    @precondition(lambda self: self.world.state.is_terminal)
    @rule()
    def another_host_begins(self) -> None:
        self.world = self.lifecycle_world.ended_world(witness)

    @rule(worker=WORKERS)
    def a_worker_advances(self, worker: int) -> None:
        self.world.advance(worker)

    @rule(worker=WORKERS, is_lost=st.booleans())
    def a_worker_performs_one_piece(self, worker: int, is_lost: bool) -> None:
        self.world.perform(worker, is_lost=is_lost)

    @rule(worker=WORKERS)
    def a_worker_dies(self, worker: int) -> None:
        self.world.queues[worker].clear()

    @rule(worker=WORKERS)
    def an_acknowledgement_is_asked_for(self, worker: int) -> None:
        self.world.acknowledge(worker)

    @rule(answer=st.sampled_from([Answer.ACTIVE, Answer.PENDING]), is_own=st.booleans())
    def a_customer_comes_back(self, answer: Answer, is_own: bool) -> None:
        self.world.says(self.world.own if is_own else self.lifecycle_world.EARLIER, answer)

    @rule()
    def everybody_leaves(self) -> None:
        for tenancy, (answer, _) in list(self.world.source.items()):
            if answer is not Answer.ENDED:
                self.world.says(tenancy, Answer.ENDED)

    @precondition(lambda self: len(self.world.source) < 3)
    @rule(is_known=st.booleans(), luck=st.integers(0, 4))
    def the_host_is_let_again(self, is_known: bool, luck: int) -> None:
        """Seldom: no move of this deprovision may follow."""
        if luck:
            return
        tenancy = TenancyId("ten_" + "2" * 32)
        self.world.says(tenancy, Answer.ACTIVE)
        if is_known:
            self.world.import_tenancy(tenancy)

    @precondition(lambda self: self.world.hints)
    @rule(data=st.data(), is_doubled=st.booleans())
    def a_hint_arrives(self, data: st.DataObject, is_doubled: bool) -> None:
        hint = data.draw(st.sampled_from(self.world.hints))
        self.world.receive(hint)
        if not is_doubled:
            self.world.hints.remove(hint)

    @precondition(lambda self: self.world.hints)
    @rule()
    def a_hint_is_lost(self) -> None:
        self.world.hints.pop()

    @rule(is_down=st.booleans())
    def the_source_stumbles(self, is_down: bool) -> None:
        self.world.is_source_down = is_down

    @rule(seconds=st.sampled_from([1, 4, 9, 29, 31, 61, 400, 901]))
    def time_passes(self, seconds: int) -> None:
        self.world.tick(seconds * SECOND)

    @rule(seconds=st.sampled_from([-400, -31, -29, -9, -1, 1, 9, 31, 400]))
    def the_clock_steps(self, seconds: int) -> None:
        self.world.wall += seconds * SECOND

    @rule(days=st.sampled_from([-31, 31]), luck=st.integers(0, 9))
    def the_clock_jumps_by_a_month(self, days: int, luck: int) -> None:
        """Seldom: what was stored meanwhile spoils the rest of the run."""
        if not luck:
            self.world.wall += timedelta(days=days)

    @rule()
    def the_clock_is_set_right(self) -> None:
        self.world.wall = self.world.true

    @rule()
    def somebody_undoes_the_isolation(self) -> None:
        self.world.is_cut = False

    @precondition(lambda self: self.world.machine_boot is not None)
    @rule()
    def the_machine_restarts(self) -> None:
        self.world.reboot()

    @rule(is_held=st.booleans())
    def a_hold_is_placed_or_released(self, is_held: bool) -> None:
        self.world.is_held = is_held

    @rule(is_frozen=st.booleans())
    def somebody_freezes_or_two_thaw(self, is_frozen: bool) -> None:
        self.world.is_frozen = is_frozen

    @precondition(lambda self: self.world.state is State.NEEDS_OPERATOR)
    @rule()
    def an_operator_retries(self) -> None:
        self.world.retry()

    @invariant()
    def no_attempt_is_dispatched_twice(self) -> None:
        attempts = [attempt for attempt, _ in self.world.dispatches]
        tokens = [token for _, token in self.world.dispatches]
        assert len(set(attempts)) == len(attempts)
        assert len(set(tokens)) == len(tokens)

    @invariant()
    def nothing_begins_that_was_not_dispatched(self) -> None:
        assert set(self.world.begun_tokens) <= {token for _, token in self.world.dispatches}
        assert len(set(self.world.begun_tokens)) == len(self.world.begun_tokens)

    @invariant()
    def a_cancelled_host_is_never_begun(self) -> None:
        assert self.world.state is not State.CANCELLED or not self.world.begun_tokens


@pytest.fixture
def chosen_seed() -> int:
    """EXPUNGE_SEED=N repeats a run; pytest shows the number with a failure."""
    number = int(os.environ.get("EXPUNGE_SEED") or secrets.randbits(32))
    print(f"EXPUNGE_SEED={number}")
    return number


def test_no_run_of_the_world_dispatches_or_acknowledges_while_a_customer_may_remain(
    chosen_seed: int, lifecycle_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deprovisions, "lifecycle_world", lifecycle_world)
    run_state_machine_as_test(
        seed(chosen_seed)(Deprovisions),
        settings=settings(
            max_examples=100,
            stateful_step_count=50,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def until(world: Any, state: State) -> Any:
    """The same world, worked on by worker 0 until it is in `state`."""
    for _ in range(100):
        if world.state is state:
            return world
        world.work(0)
    raise AssertionError(f"{state} was not reached: {world.moves}")


def test_an_undisturbed_world_releases_the_host(lifecycle_world: Any) -> None:
    world = until(lifecycle_world.ended_world(witness), State.RELEASED)
    way = list(State)
    assert world.moves == way[1 : way.index(State.RELEASED) + 1]
    assert world.begun_tokens == [world.dispatches[0][1]]
    assert not world.is_cut


@pytest.mark.parametrize("state", [state for state in State if state.is_reversible])
@pytest.mark.parametrize("is_hinted", [True, False])
def test_a_renewal_in_each_state_before_dispatch_cancels_also_without_its_hint(
    lifecycle_world: Any, state: State, is_hinted: bool
) -> None:
    world = until(lifecycle_world.ended_world(witness), state)
    world.says(world.own, Answer.ACTIVE)
    if is_hinted:
        world.receive(world.hints.pop())
    else:
        world.tick(31 * SECOND)
    until(world, State.CANCELLED)
    assert not world.begun_tokens
    assert not world.is_cut


def dispatched(lifecycle_world: Any) -> Any:
    """The move to `erasing` is committed, on answers asked for after the order; nothing is sent yet."""
    world = until(lifecycle_world.ended_world(witness), State.INTENDED)
    for _ in range(10):
        world.advance(0)
        if world.state is State.ERASING:
            return world
        while world.queues[0]:
            world.perform(0)
        world.tick(lifecycle_world.SECOND)
    raise AssertionError(f"erasing was not reached: {world.moves}")


def sent_by_a_worker_that_dies(lifecycle_world: Any) -> Any:
    """The move to `erasing` is committed; not a byte of the order left."""
    world = dispatched(lifecycle_world)
    world.queues[0].clear()
    return world


def test_a_renewal_between_dispatch_and_delivery_cancels_by_a_final_absence(lifecycle_world: Any) -> None:
    world = sent_by_a_worker_that_dies(lifecycle_world)
    world.says(world.own, Answer.ACTIVE)
    world.receive(world.hints.pop())
    until(world, State.CANCELLED)
    assert not world.begun_tokens


def test_a_renewal_just_before_the_first_acknowledgement_begins_nothing(lifecycle_world: Any) -> None:
    """The order is with the agent; the customer comes back while it waits to write its markers."""
    world = dispatched(lifecycle_world)
    while world.queues[0]:
        world.perform(0)
    assert list(world.agent.values()) == ["accepted"]
    world.says(world.own, Answer.ACTIVE)
    world.receive(world.hints.pop())
    for _ in range(100):
        world.work(0)
    assert not world.begun_tokens
    assert world.state is State.ERASING


def test_a_crash_between_the_dispatch_and_its_first_byte_sends_nothing_later(lifecycle_world: Any) -> None:
    world = until(sent_by_a_worker_that_dies(lifecycle_world), State.NEEDS_OPERATOR)
    assert len(world.dispatches) == 1
    assert not world.begun_tokens
