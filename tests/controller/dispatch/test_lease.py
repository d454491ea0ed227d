"""Only who holds the lease issues; who cannot renew it is told, and what runs on a device goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.messages import Execute
from controller import case as cases
from controller.advance import advance
from controller.dispatch import embedded, working
from controller.dispatch import lease as leases
from controller.dispatch.embedded import Embedded
from controller.dispatch.lease import LEASE, RENEW_EVERY, Heart, Lease, holding, uptime_seconds
from controller.errors import Code, LostRace
from controller.facts import Effect, Question
from controller.states import State
from controller.store import deprovisions, engine, journal, observations, orders
from controller.store.deprovisions import Deprovision
from controller.store.engine import Store


def row_of(world: Any) -> Deprovision:
    with world.program.store.snapshot() as tx:
        return deprovisions.load(tx, world.key)


def claim(world: Any, owner: str = "test") -> Lease:
    since = uptime_seconds()
    with world.program.store.transaction() as tx:
        row = deprovisions.claim(tx, world.key, owner=owner, now=world.now(), lease=LEASE)
    return Lease(world.program, world.key, fence=row.fence, since_seconds=since)


def take_over(world: Any) -> Lease:
    """What another controller does once the lease ran out."""
    with world.program.store.transaction() as tx:
        deprovisions.end_all_leases(tx)
    return claim(world, "another controller")


def until_effect(world: Any, effect: Effect) -> tuple[cases.Case, Lease]:
    """The decision for this effect is committed; its worker stands right before performing it."""
    for _ in range(50):
        since = uptime_seconds()
        step = advance(world.program, world.key, owner="test")
        lease = Lease(world.program, world.key, fence=step.fence, since_seconds=since)
        with world.program.store.snapshot() as tx:
            case = cases.load(tx, world.key)
        if step.effect is effect:
            return case, lease
        if step.effect is not None:
            working.perform(world.program, case, step.effect, lease=lease)
        working.questioning.ask_all(world.program, step.case, step.questions)
    raise AssertionError(f"no step began {effect}")


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """The process was stopped for so long: the machine's uptime went on without it."""
    before, slept = uptime_seconds, [0.0]
    monkeypatch.setattr(leases, "uptime_seconds", lambda: before() + slept[0])

    def sleep(duration: timedelta) -> None:
        slept[0] += duration.total_seconds()

    return sleep


# --- renewing -----------------------------------------------------------------------------------------------


def test_two_renewals_may_fail_and_a_busy_database_be_waited_for_before_a_lease_ends() -> None:
    assert 3 * RENEW_EVERY < LEASE
    assert 2 * RENEW_EVERY + timedelta(milliseconds=engine.BUSY_TIMEOUT_MILLISECONDS) < LEASE


def test_a_beat_lengthens_the_lease_in_the_store_and_in_the_worker(
    world_in: Callable[[State], Any], asleep: Callable[[timedelta], None]
) -> None:
    world = world_in(State.SCHEDULED)
    lease, heart = claim(world), Heart(world.program.store)
    before = row_of(world).lease_until
    asleep(LEASE * 0.9)
    with heart.keeping(lease):
        heart.beat()
    asleep(LEASE * 0.9)
    assert lease.is_held
    assert before is not None
    assert (row_of(world).lease_until or before) > before


def test_a_lease_is_renewed_only_while_its_work_goes_on(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    lease, heart = claim(world), Heart(world.program.store)
    with heart.keeping(lease):
        pass
    before = row_of(world)
    heart.beat()
    assert row_of(world) == before


def test_whoever_lost_the_row_is_told_at_the_next_beat_and_the_others_are_kept(
    world_in: Callable[[State], Any], asleep: Callable[[timedelta], None]
) -> None:
    world = world_in(State.SCHEDULED)
    zombie = claim(world)
    successor, heart = take_over(world), Heart(world.program.store)
    with heart.keeping(zombie), heart.keeping(successor):
        asleep(LEASE * 0.9)
        heart.beat()
        asleep(LEASE * 0.9)
    assert not zombie.is_held
    assert successor.is_held


def test_a_lease_once_lost_is_never_held_again(world_in: Callable[[State], Any]) -> None:
    lease = claim(world_in(State.SCHEDULED))
    lease.lose()
    lease.renewed(uptime_seconds())
    assert not lease.is_held


def test_a_database_that_cannot_be_asked_stops_the_issuing_until_it_can(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.SCHEDULED)

    class Busy:
        is_busy = True

        @contextmanager
        def transaction(self) -> Iterator[Any]:
            if self.is_busy:
                raise OSError("database is locked")
            with world.program.store.transaction() as tx:
                yield tx

    store = Busy()
    lease, heart = claim(world), Heart(store)  # type: ignore[arg-type]
    with heart.keeping(lease):
        heart.beat()
        assert not lease.is_held
        with pytest.raises(LostRace):
            lease.require_held()
        store.is_busy = False
        heart.beat()
        assert lease.is_held


def test_a_worker_that_was_stopped_for_longer_than_its_lease_knows_it_when_it_wakes(
    world_in: Callable[[State], Any], asleep: Callable[[timedelta], None]
) -> None:
    lease = claim(world_in(State.SCHEDULED))
    assert lease.is_held
    asleep(LEASE)
    assert not lease.is_held


def test_a_lease_that_ended_in_the_store_is_not_held_although_nobody_took_it(
    world_in: Callable[[State], Any],
) -> None:
    """The wall clock was set forward: whoever comes next may take it any moment."""
    world = world_in(State.SCHEDULED)
    lease = claim(world)
    with world.program.store.transaction() as tx:
        tx.execute(deprovisions.deprovision.update().values(lease_until=world.now() - timedelta(seconds=1)))
    assert lease.is_held, "it cannot know"
    with pytest.raises(LostRace):
        lease.require_held()
    assert not lease.is_held


def test_a_stop_between_asking_the_store_and_acting_is_noticed(
    world_in: Callable[[State], Any], asleep: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = claim(world_in(State.SCHEDULED))
    confirm = Lease.confirm

    def slow(self: Lease, tx: Any) -> None:
        confirm(self, tx)
        asleep(LEASE)

    monkeypatch.setattr(Lease, "confirm", slow)
    with pytest.raises(LostRace):
        lease.require_held()


# --- who lost it issues nothing -----------------------------------------------------------------------------


class Spy:
    """Any driver; its acts are counted."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.acts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in {"isolate", "restore", "start", "stop"}:
            return lambda *arguments: self.acts.append(name)
        return getattr(self._driver, name)


@pytest.mark.parametrize(
    ("state", "effect"),
    [
        (State.SCHEDULED, Effect.ISOLATE),
        (State.QUARANTINED, Effect.BOOT),
        (State.CERTIFIED, Effect.RESTORE),
    ],
)
def test_no_command_is_begun_by_a_worker_that_lost_its_lease(
    world_in: Callable[[State], Any], state: State, effect: Effect
) -> None:
    world = world_in(state)
    case, lease = until_effect(world, effect)
    quarantine, boot = Spy(world.program.quarantine), Spy(world.program.boot)
    program = replace(world.program, quarantine=quarantine, boot=boot)
    take_over(world)
    with pytest.raises(LostRace):
        working.perform(program, case, effect, lease=lease)
    assert quarantine.acts + boot.acts == []


def test_a_lease_lost_between_two_commands_stops_the_second(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.CERTIFIED)
    case, lease = until_effect(world, Effect.RESTORE)
    quarantine = Spy(world.program.quarantine)

    class StopsSlowly(Spy):
        def stop(self, target: Any) -> None:
            take_over(world)

    program = replace(world.program, quarantine=quarantine, boot=StopsSlowly(world.program.boot))
    with pytest.raises(LostRace):
        working.perform(program, case, Effect.RESTORE, lease=lease)
    assert quarantine.acts == []


def dispatched(world: Any) -> list[Any]:
    return [request for request in world.requests if isinstance(request, Execute)]


def test_a_worker_that_was_stopped_after_its_commit_does_not_send_the_order(
    world_in: Callable[[State], Any],
) -> None:
    """Its successor found the order dispatched, and asks the agent; the sleeper wakes."""
    world = world_in(State.INTENDED)
    case, lease = until_effect(world, Effect.DISPATCH)
    assert case.order is not None
    assert case.order.state is orders.OrderState.DISPATCHED
    take_over(world)
    with pytest.raises(LostRace):
        working.perform(world.program, case, Effect.DISPATCH, lease=lease)
    assert dispatched(world) == []


def test_the_lease_is_asked_for_after_the_connection_stands(world_in: Callable[[State], Any]) -> None:
    """Connecting may take longer than a lease."""
    world = world_in(State.INTENDED)
    case, lease = until_effect(world, Effect.DISPATCH)
    route = world.program.route

    def slow(host: Any) -> Any:
        take_over(world)
        return route(host)

    with pytest.raises(LostRace):
        working.perform(replace(world.program, route=slow), case, Effect.DISPATCH, lease=lease)
    assert dispatched(world) == []


def test_an_acknowledgement_is_granted_only_by_the_holder_of_the_lease(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.ERASING)
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        asked = [line for line in journal.lines(tx, order.id) if line.needs_ack]
    zombie = claim(world)
    take_over(world)
    program = holding(world.program, zombie)
    with pytest.raises(LostRace), program.store.transaction() as tx:
        pytest.fail(f"{asked} could have been granted")
    with pytest.raises(LostRace), world.program.store.transaction() as tx:
        deprovisions.confirm(tx, world.key, state=State.ERASING, fence=zombie.fence)


def test_an_effect_of_a_worker_that_lost_its_lease_writes_nothing(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    zombie = claim(world)
    take_over(world)
    before = row_of(world)
    with pytest.raises(LostRace), holding(world.program, zombie).store.transaction() as tx:
        deprovisions.wake(tx, world.key, now=world.now() + timedelta(hours=1))
    assert row_of(world) == before
    assert not zombie.is_held


def test_each_transaction_of_an_effect_renews_its_lease(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    lease = claim(world)
    before = row_of(world).lease_until
    with holding(world.program, lease).store.transaction():
        pass
    assert before is not None
    assert (row_of(world).lease_until or before) > before


def test_a_question_that_is_an_act_is_not_asked_without_the_lease(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A final absence makes the agent give a token up for ever."""
    world = world_in(State.SCHEDULED)
    asked: list[Question] = []

    def lose_it(program: Any, case: Any, questions: tuple[Question, ...]) -> None:
        asked.extend(questions)
        for lease in made:
            lease.lose()

    made: list[Lease] = []
    create = working.Lease

    def remember(*arguments: Any, **more: Any) -> Lease:
        made.append(create(*arguments, **more))
        return made[-1]

    monkeypatch.setattr(working, "Lease", remember)
    monkeypatch.setattr(working.questioning, "ask_all", lose_it)
    for _ in range(3):
        step = working.take_step(world.program, world.key, owner="test")
        if len(step.questions) > 1:
            break
    assert len(step.questions) > 1, "the test needs a step with several questions"
    assert asked[-1] is step.questions[0]
    assert step.questions[1] not in asked[-1:]


# --- the loop -----------------------------------------------------------------------------------------------


@contextmanager
def running(world: Any, **options: Any) -> Iterator[Embedded]:
    loop, stop = Embedded(world.program, **options), threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield loop
    finally:
        stop.set()
        loop.wake()
        thread.join(10)
        assert not thread.is_alive()


def wait_for(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_an_effect_that_takes_longer_than_a_lease_keeps_it(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_in(State.SCHEDULED)
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=2))
    monkeypatch.setattr(leases, "RENEW_EVERY", timedelta(seconds=0.2))
    began, go_on = threading.Event(), threading.Event()

    def long_effect(*arguments: Any, **more: Any) -> None:
        began.set()
        go_on.wait(10)

    monkeypatch.setattr(working, "perform", long_effect)
    with running(world):
        try:
            assert began.wait(10)
            owner = row_of(world).lease_owner
            for _ in range(30):
                time.sleep(0.1)
                with pytest.raises(LostRace), world.program.store.transaction() as tx:
                    deprovisions.claim(tx, world.key, owner="another", now=world.now(), lease=LEASE)
            assert row_of(world).lease_owner == owner
        finally:
            go_on.set()


def test_beside_others_a_start_ends_no_lease_and_no_question(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    lease = claim(world, "another controller")
    with world.program.store.transaction() as tx:
        asked = observations.ask(tx, Question.SUBSCRIPTION, "somebody", now=world.now())
    with running(world, is_alone=False):
        time.sleep(0.5)
    lease.require_held()
    with world.program.store.snapshot() as tx:
        assert not observations.load(tx, asked.sequence).is_answered


def test_what_a_dead_worker_held_is_taken_up_when_its_lease_ends(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_in(State.SCHEDULED)
    monkeypatch.setattr(embedded, "SLEEP_SECONDS", 0.1)
    with world.program.store.transaction() as tx:
        soon = timedelta(seconds=1)
        fence = deprovisions.claim(tx, world.key, owner="dead", now=world.now(), lease=soon).fence
    with running(world, is_alone=False):
        wait_for(lambda: row_of(world).fence > fence, "it is taken up")
        assert world.now() >= row_of(world).entered_at


def test_every_piece_of_work_is_an_owner_of_its_own(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, owners = world_in(State.SCHEDULED), list[str]()
    monkeypatch.setattr(embedded, "SLEEP_SECONDS", 0.05)

    def take(program: Any, which: Any, *, owner: str, **more: Any) -> Any:
        owners.append(owner)
        return type("Rest", (), {"is_rest": True})()

    monkeypatch.setattr(embedded, "take_step", take)
    with running(world), running(world, is_alone=False):
        wait_for(lambda: len(owners) >= 6, "it is worked on again and again")
    assert len(owners) == len(set(owners))


def test_a_busy_database_ends_no_loop(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written is left to the lease's end."""
    world, tries = world_in(State.SCHEDULED), list[float]()
    monkeypatch.setattr(embedded, "SLEEP_SECONDS", 0.05)

    def take(program: Any, which: Any, **more: Any) -> Any:
        tries.append(time.monotonic())
        raise OSError("database is locked")

    def locked(*arguments: Any) -> None:
        raise OSError("database is locked")

    monkeypatch.setattr(embedded, "take_step", take)
    monkeypatch.setattr(Embedded, "_put_off", locked)
    monkeypatch.setattr(Embedded, "_give_back", locked)
    with running(world):
        wait_for(lambda: len(tries) >= 3, "the loop goes on")


def test_a_checked_store_shares_its_database_and_leaves_the_other_unchecked(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.SCHEDULED)
    store: Store = world.program.store

    def refuse(tx: Any) -> None:
        raise LostRace("row", "held", 1)

    with pytest.raises(LostRace) as lost, store.checked(refuse).transaction():
        pytest.fail("it began")
    assert lost.value.code is Code.LOST_RACE
    with store.transaction() as tx:
        deprovisions.wake(tx, world.key, now=world.now())
    with store.checked(refuse).snapshot() as tx:
        assert deprovisions.load(tx, world.key).next_due_at is not None
