"""`decide` against a small world under random acts: what must never happen, whatever happens.

An act is something the world may do (`lifecycle_world/acts.py`): renew, end, let again, lose, double and
reorder hints, answer late or not at all, step a clock or let it drift, undo the isolation, restart the
machine, command, hold, freeze, go back to a backup, kill a worker between any two commits. The promises
(`lifecycle_world/promises.py`) are checked where they could break, from the world's own record.

EXPUNGE_SEED=N repeats a run; the number is printed, and pytest shows it with a failure.
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from certificate.statements.vocabulary import Trigger
from controller.facts import Answer, Exit
from controller.states import State

World = Any
Act = Callable[[World], object]

SECOND = timedelta(seconds=1)
#: Of one run; the issue asks for 20,000.
MIN_STEPS = 20_000


class Deprovisions(RuleBasedStateMachine):
    """One deprovision after another; every act is one step."""

    #: Set by the test: the module of the world, its acts, the witness, and how often each thing was done.
    module: Any = None
    acts: Any = None
    witness: Any = None
    counts: ClassVar[Counter[str]] = Counter()

    @initialize(world=st.data())
    def a_host_is_let_and_left(self, world: st.DataObject) -> None:
        self.world = self.new_world(world)

    def new_world(self, data: st.DataObject) -> World:
        """A provider drawn from all kinds: who asks, how many must agree, how wrong its clocks are."""
        clocks = {
            "rate": data.draw(st.sampled_from([1.0, 1.0, 0.999, 1.001])),
            "drift": data.draw(st.sampled_from([0.0, 0.0, 0.0, 0.001, -0.001, 0.02])),
            "offset": data.draw(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 290, 31 * 86400, -31 * 86400]))
            * SECOND,
        }
        kind = data.draw(st.sampled_from(["ended", "ended", "ended", "approved", "by hand", "never let"]))
        if kind == "never let":
            return self.module.declared_world(self.witness, **clocks)
        if kind == "by hand":
            return self.module.ended_world(self.witness, trigger=Trigger.MANUAL, **clocks)
        needed = {"approvals_required": data.draw(st.integers(1, 2))} if kind == "approved" else {}
        return self.module.ended_world(self.witness, **needed, **clocks)

    def do(self, act: Act) -> None:
        self.counts["steps"] += 1
        act(self.world)

    @rule(acts=st.data())
    def much_happens(self, acts: st.DataObject) -> None:
        self.draw_acts(acts, self.acts.ACTS, 5, 25)

    @rule(act=st.data())
    def something_rare_happens(self, act: st.DataObject) -> None:
        self.do(act.draw(st.sampled_from(self.acts.RARE)))

    @rule(state=st.sampled_from([state for state in State if state.is_running]), data=st.data())
    def all_is_calm_for_a_while(self, state: State, data: st.DataObject) -> None:
        """Without it the acts would seldom come near the point of no return."""
        if self.world.stored.state.is_terminal:
            self.world = self.new_world(data)
        self.do(self.module.calm)
        self.do(lambda world: self.module.work_until(world, 0, state))

    @rule(
        state=st.sampled_from([State.PLANNED, State.APPROVED, State.INTENDED, State.ERASING]),
        data=st.data(),
    )
    def much_happens_near_the_point_of_no_return(self, state: State, data: st.DataObject) -> None:
        self.begin_anew(data)
        self.do(lambda world: self.module.work_until(world, 0, state))
        self.draw_acts(data, self.acts.ACTS, 10, 50)

    @rule(data=st.data())
    def little_happens_while_the_agent_works(self, data: st.DataObject) -> None:
        self.begin_anew(data)
        self.do(lambda world: self.module.work_until(world, 0, State.ERASING))
        for _ in range(4):
            self.draw_acts(data, self.acts.FREQUENT, 3, 8)
            self.draw_acts(data, self.acts.SELDOM, 0, 1)

    @rule(data=st.data(), hours=st.sampled_from([0, 25]))
    def a_person_must_decide(self, data: st.DataObject, hours: int) -> None:
        """Somewhere on the agent's way nobody looks for a day; then operators command this and that."""
        self.begin_anew(data)
        self.do(lambda world: self.module.work_until(world, 0, State.ERASING))
        self.draw_acts(data, self.acts.FREQUENT, 0, 12)
        self.do(lambda world: world.tick(hours * 3600 * SECOND))
        for _ in range(3):
            self.do(lambda world: world.work(0))
            self.draw_acts(data, self.acts.COMMANDS, 1, 1)
            self.draw_acts(data, self.acts.FREQUENT, 1, 8)
            self.draw_acts(data, self.acts.RARE, 0, 1)

    @rule(data=st.data(), state=st.sampled_from([State.QUARANTINED, State.INTENDED, State.ERASING]))
    def an_old_copy_of_the_store_comes_back(self, data: st.DataObject, state: State) -> None:
        self.begin_anew(data)
        self.do(lambda world: self.module.work_until(world, 0, state))
        self.do(lambda world: world.back_up())
        self.draw_acts(data, self.acts.FREQUENT, 0, 15)
        is_restarted = data.draw(st.booleans())
        self.do(lambda world: world.restore_backup(is_restarted=is_restarted))
        self.draw_acts(data, self.acts.ACTS, 5, 25)

    def begin_anew(self, data: st.DataObject) -> None:
        self.count_what_was_reached()
        self.world = self.new_world(data)

    def draw_acts(self, data: st.DataObject, acts: tuple[Act, ...], at_least: int, at_most: int) -> None:
        for act in data.draw(st.lists(st.sampled_from(acts), min_size=at_least, max_size=at_most)):
            self.do(act)

    def count_what_was_reached(self) -> None:
        self.counts.update({f"moved to {state}": 1 for state in self.world.moves})
        self.counts["granted"] += len(self.world.record.grants)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.count_what_was_reached()


@pytest.fixture
def chosen_seed() -> int:
    """EXPUNGE_SEED=N repeats a run; pytest shows the number with a failure."""
    number = int(os.environ.get("EXPUNGE_SEED") or secrets.randbits(32))
    print(f"EXPUNGE_SEED={number}")
    return number


@pytest.fixture
def acts(lifecycle_world: Any) -> Any:
    return importlib.import_module(f"{lifecycle_world.__name__}.acts")


@pytest.fixture
def witness(lifecycle_world: Any) -> Any:
    return importlib.import_module(f"{lifecycle_world.__name__}.promises").check


@pytest.fixture
def ended_world(lifecycle_world: Any, witness: Any) -> Callable[..., World]:
    """Makes worlds whose promises are checked."""
    return lambda **changes: lifecycle_world.ended_world(witness, **changes)


def test_no_run_of_the_world_breaks_a_promise(
    chosen_seed: int, lifecycle_world: Any, acts: Any, witness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    for name, value in {
        "module": lifecycle_world,
        "acts": acts,
        "witness": witness,
        "counts": counts,
    }.items():
        monkeypatch.setattr(Deprovisions, name, staticmethod(value) if name == "witness" else value)
    run_state_machine_as_test(
        seed(chosen_seed)(Deprovisions),
        settings=settings(
            max_examples=170,
            stateful_step_count=20,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(counts))
    assert counts["steps"] >= MIN_STEPS
    # A run that never came near has shown nothing.
    assert counts["moved to erasing"] >= 100
    assert counts["granted"] >= 50


def until(world: Any, state: State) -> Any:
    """The same world, worked on by worker 0 until it is in `state`."""
    for _ in range(100):
        if world.stored.state is state:
            return world
        world.work(0)
    raise AssertionError(f"{state} was not reached: {world.moves}")


def test_an_undisturbed_world_releases_the_host(ended_world: Any) -> None:
    world = until(ended_world(), State.RELEASED)
    way = list(State)
    assert world.moves == way[1 : way.index(State.RELEASED) + 1]
    (_, token) = world.record.dispatched[0]
    assert world.record.begun == [(token, 0), (token, 1)]
    assert not world.machine.is_cut


def test_a_switch_that_was_mended_after_the_deadline_leads_back_by_reprobe_and_not_by_retry(
    ended_world: Any,
) -> None:
    world = until(ended_world(), State.CERTIFIED)
    world.tick(timedelta(hours=5))
    world.advance(0)
    assert world.stored.state is State.NEEDS_OPERATOR
    world.command(Exit.RETRY, 1)
    for _ in range(20):
        world.work(0)
    assert (world.stored.state, world.stored.attempt) == (State.NEEDS_OPERATOR, 1)
    world.command(Exit.REPROBE, 1)
    until(world, State.RELEASED)
    assert len(world.record.dispatched) == 1


@pytest.mark.parametrize("state", [state for state in State if state.is_reversible])
@pytest.mark.parametrize("is_hinted", [True, False])
def test_a_renewal_in_each_state_before_dispatch_cancels_also_without_its_hint(
    ended_world: Any, state: State, is_hinted: bool
) -> None:
    world = until(ended_world(), state)
    world.says(world.stored.own, Answer.ACTIVE)
    if is_hinted:
        world.receive(world.source.hints.pop())
    else:
        world.tick(31 * SECOND)
    until(world, State.CANCELLED)
    assert not world.record.begun
    assert not world.machine.is_cut


def dispatched(ended_world: Any) -> Any:
    """The move to `erasing` is committed, on answers asked for after the order; nothing is sent yet."""
    world = until(ended_world(), State.INTENDED)
    for _ in range(10):
        world.advance(0)
        if world.stored.state is State.ERASING:
            return world
        while world.queues[0]:
            world.perform(0)
        world.tick(SECOND)
    raise AssertionError(f"erasing was not reached: {world.moves}")


def sent_by_a_worker_that_dies(ended_world: Any) -> Any:
    """The move to `erasing` is committed; not a byte of the order left."""
    world = dispatched(ended_world)
    world.queues[0].clear()
    return world


def test_a_renewal_between_dispatch_and_delivery_cancels_by_a_final_absence(ended_world: Any) -> None:
    world = sent_by_a_worker_that_dies(ended_world)
    world.says(world.stored.own, Answer.ACTIVE)
    world.receive(world.source.hints.pop())
    until(world, State.CANCELLED)
    assert not world.record.begun


def test_a_renewal_just_before_the_first_acknowledgement_begins_nothing(ended_world: Any) -> None:
    """The order is with the agent; the customer comes back while it waits to write its markers."""
    world = dispatched(ended_world)
    while world.queues[0]:
        world.perform(0)
    assert list(world.machine.tokens.values()) == ["running"]
    world.says(world.stored.own, Answer.ACTIVE)
    world.receive(world.source.hints.pop())
    for _ in range(100):
        world.work(0)
    assert not world.record.begun
    assert world.stored.state is State.NEEDS_OPERATOR


def test_a_crash_between_the_dispatch_and_its_first_byte_sends_nothing_later(ended_world: Any) -> None:
    world = until(sent_by_a_worker_that_dies(ended_world), State.NEEDS_OPERATOR)
    assert len(world.record.dispatched) == 1
    assert not world.record.begun


def test_a_controller_that_was_31_days_fast_from_the_start_never_dispatches(ended_world: Any) -> None:
    world = ended_world(offset=timedelta(days=31))
    for _ in range(200):
        world.work(0)
    assert world.stored.state is State.SCHEDULED
    assert not world.record.dispatched


def test_a_clock_that_drifts_away_slowly_stops_dispatching_at_five_minutes(ended_world: Any) -> None:
    world = until(ended_world(drift=0.02), State.QUARANTINED)
    world.tick(timedelta(hours=5))
    for _ in range(200):
        world.work(0)
    assert world.wall - world.true > timedelta(minutes=5)
    assert not world.record.dispatched


@pytest.mark.parametrize("is_known", [True, False])
def test_a_host_in_stock_that_is_suddenly_let_is_not_wiped(
    lifecycle_world: Any, acts: Any, witness: Any, is_known: bool
) -> None:
    world = lifecycle_world.declared_world(witness)
    lifecycle_world.work_until(world, 0, State.INTENDED)
    assert world.stored.state is State.INTENDED
    acts.the_host_is_let_again(world, is_known=is_known)
    for _ in range(100):
        world.work(0)
    assert not world.record.dispatched


def test_a_host_in_stock_that_two_declared_is_wiped_by_hand(lifecycle_world: Any, witness: Any) -> None:
    world = lifecycle_world.declared_world(witness)
    lifecycle_world.work_until(world, 0, State.RELEASED)
    assert world.stored.state is State.RELEASED
    assert len(world.machine.erased) == 1


@pytest.mark.parametrize("is_restarted", [True, False], ids=["restarted", "under a running worker"])
@pytest.mark.parametrize("state", [State.QUARANTINED, State.INTENDED, State.ERASING])
def test_an_old_copy_of_the_store_does_nothing_until_two_operators_reconcile(
    lifecycle_world: Any, ended_world: Any, state: State, is_restarted: bool
) -> None:
    world = until(ended_world(), state)
    world.back_up()
    before = len(world.moves)
    lifecycle_world.work_until(world, 0, State.VERIFIED)
    world.restore_backup(is_restarted=is_restarted)
    there = len(world.moves)
    for _ in range(100):
        world.work(0)
    assert before < there == len(world.moves)
    world.tick(timedelta(minutes=12))
    world.reconcile()
    assert world.is_store_current
    orders = set(world.record.from_before)
    for _ in range(100):
        world.work(0)
    assert not orders & {grant.token for grant in world.record.grants}


def test_a_clock_set_back_while_leave_is_asked_for_makes_no_older_answer_new(ended_world: Any) -> None:
    world = until(ended_world(), State.ERASING)
    world.machine_goes_on()
    assert world.machine.request is not None
    world.step_clock(-9 * SECOND)
    assert not world.acknowledge(0)
    world.queues[0].clear()
    world.step_clock(9 * SECOND)
    assert not world.acknowledge(0)
    assert not world.record.grants


def test_what_is_only_asked_about_since_reprobe_is_never_acknowledged(ended_world: Any) -> None:
    """Also where the clock was set back since the dispatch, so that the reprobe looks earlier."""
    world = until(ended_world(offset=timedelta(seconds=290)), State.ERASING)
    world.machine_goes_on()
    world.acknowledge(0)
    world.step_clock(timedelta(days=2))
    world.advance(0)
    assert world.stored.state is State.NEEDS_OPERATOR
    world.step_clock(-timedelta(days=2) - timedelta(seconds=290))
    world.command(Exit.REPROBE, 1)
    world.advance(0)
    assert world.stored.state is State.ERASING
    world.queues[0].clear()
    for _ in range(400):
        world.machine.clock -= SECOND
        world.work(0)
    assert not world.record.grants


def test_a_restore_commanded_before_the_dispatch_gives_the_host_back(ended_world: Any) -> None:
    world = until(ended_world(), State.INTENDED)
    world.command(Exit.RESTORE, 1)
    until(world, State.CANCELLED)
    assert not world.record.dispatched
    assert not world.machine.is_cut
