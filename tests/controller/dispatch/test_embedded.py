"""The loop goes on whatever one deprovision does, sleeps lightly, and stops when it is told to."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId
from certificate.statements.vocabulary import Trigger
from controller import intake, outbox
from controller.dispatch import embedded
from controller.dispatch.embedded import Embedded
from controller.dispatch.lease import LEASE
from controller.errors import Code
from controller.facts import Disposition, Question
from controller.states import State
from controller.store import deprovisions, hosts, observations
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Host

#: Far longer than a healthy loop needs for anything here, far shorter than its longest sleep in these tests.
PATIENCE_SECONDS = 5.0
TakeStep = Callable[..., Any]


@pytest.fixture(autouse=True)
def long_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not woken sleeps longer than any test waits."""
    monkeypatch.setattr(embedded, "SLEEP_SECONDS", 60.0)
    monkeypatch.setattr(embedded, "LEARN_SECONDS", 60.0, raising=False)


@contextmanager
def running(world: Any) -> Iterator[Embedded]:
    loop, stop = Embedded(world.program), threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield loop
    finally:
        stop.set()
        loop.wake()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def wait_for(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def schedule(world: Any, name: str) -> DeprovisionId:
    """A deprovision of a host of its own, due at once."""
    now = world.now()
    host = Host(
        id=HostId.from_random(secrets.token_bytes(16)),
        asset_tag=name,
        site="s",
        rack="r",
        data_class="default",
        disposition=Disposition.RENTED,
        customer_ref=None,
        salt=secrets.token_bytes(32),
        address="127.0.0.1",
        port=1,
        boot_parameters={},
        quarantine_parameters={},
        registered_at=now,
    )
    lifecycle = world.program.configuration
    with world.program.store.transaction() as tx:
        hosts.register(tx, host, facts=(), now=now)
        return deprovisions.schedule(
            tx,
            id=DeprovisionId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            tenancy_id=None,
            trigger=Trigger.ENDED,
            data_class="default",
            policy_version=lifecycle.policy_version,
            policy_digest=lifecycle.policy_digest,
            grace_until=now + timedelta(hours=1),
            dwell_seconds=0,
            now=now,
        ).id


def row_of(world: Any, key: DeprovisionId) -> Deprovision:
    with world.program.store.snapshot() as tx:
        return deprovisions.load(tx, key)


def is_worked_on(world: Any, key: DeprovisionId) -> bool:
    return (row_of(world, key).wait_reason or "").startswith("grace")


def before_the_claim(take_step: TakeStep, *arguments: Any, **more: Any) -> None:
    """Where `advance` fails, its claim is rolled back with it."""


def after_the_claim(
    take_step: TakeStep, program: Any, key: DeprovisionId, *, owner: str, **more: Any
) -> None:
    """Where an effect fails, its worker holds the lease."""
    with program.store.transaction() as tx:
        deprovisions.claim(tx, key, owner=owner, now=program.clock(), lease=LEASE)


def after_a_rest(take_step: TakeStep, *arguments: Any, **more: Any) -> None:
    take_step(*arguments, **more)


def fail_steps(
    monkeypatch: pytest.MonkeyPatch, key: DeprovisionId, error: Exception, first: TakeStep
) -> list[float]:
    """Every step of `key` fails after `first`; the list has the instants. Others are taken as ever."""
    take_step: TakeStep = embedded.take_step
    attempts: list[float] = []

    def take(program: Any, which: DeprovisionId, *, owner: str, **more: Any) -> Any:
        if which != key:
            return take_step(program, which, owner=owner, **more)
        attempts.append(time.monotonic())
        first(take_step, program, which, owner=owner, **more)
        raise error

    monkeypatch.setattr(embedded, "take_step", take)
    return attempts


@pytest.mark.parametrize("first", [before_the_claim, after_the_claim, after_a_rest])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("nobody foresaw this"), "a fault of ours"),
        (Refused(Code.ORDER_MISSING, "there is no order"), "ORDER_MISSING"),
    ],
    ids=["unforeseen", "refused"],
)
def test_what_fails_is_put_off_with_its_reason_and_leaves_another_going(
    world: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str, first: TakeStep
) -> None:
    broken = schedule(world, "broken")
    # A notice that is settled wakes its deprovision, which is no trying again.
    outbox.work(world.program)
    intake.learn(world.program)
    attempts = fail_steps(monkeypatch, broken, error, first)
    with running(world) as loop:
        wait_for(lambda: said in (row_of(world, broken).wait_reason or ""), "the failure is told")
        world.end_subscription()
        loop.wake()
        wait_for(lambda: bool(world.switch.is_cut), "the other one goes on")
        wait_for(lambda: row_of(world, broken).lease_owner is None, "the lease is given back")
    row = row_of(world, broken)
    assert row.next_due_at is not None
    assert row.next_due_at > world.now() + embedded.AFTER_A_FAULT - timedelta(seconds=PATIENCE_SECONDS)
    assert row.state is State.SCHEDULED
    assert len(attempts) == 1, "it is not tried again at once"


@pytest.mark.parametrize(
    "error", [RuntimeError("nobody foresaw this"), Refused(Code.TENANCY_LIST_UNKNOWN, "the source is away")]
)
def test_a_failing_source_ends_nothing(world: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    looked: list[float] = []

    def refuse(program: Any) -> int:
        looked.append(time.monotonic())
        raise error

    monkeypatch.setattr(intake, "take_hints", refuse)
    with running(world) as loop:
        wait_for(lambda: len(looked) == 1, "the first look")
        loop.wake()
        wait_for(lambda: len(looked) == 2, "the next look")
        key = schedule(world, "going-on")
        loop.wake()
        wait_for(lambda: is_worked_on(world, key), "others go on")


def test_a_stop_ends_the_loop_in_bounded_time_while_it_sleeps(world: Any) -> None:
    loop, stop = Embedded(world.program), threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    stop.set()
    thread.join(2)
    assert not thread.is_alive()


def test_a_stop_ends_a_deprovision_between_two_steps(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that always leaves more to do would otherwise be taken two hundred times in a row."""
    key = schedule(world, "busy")
    steps: list[float] = []

    class More:
        is_rest = False

    def take(program: Any, which: DeprovisionId, *, owner: str, **more: Any) -> Any:
        assert which == key
        steps.append(time.monotonic())
        time.sleep(0.05)
        return More()

    monkeypatch.setattr(embedded, "take_step", take)
    with running(world):
        wait_for(lambda: len(steps) >= 2, "it is busy")
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 2
    assert len(steps) < embedded.STEPS_IN_A_ROW


def test_leases_and_questions_of_a_dead_process_end_at_the_start(world: Any) -> None:
    key = schedule(world, "left-behind")
    with world.program.store.transaction() as tx:
        deprovisions.claim(tx, key, owner="dead", now=world.now(), lease=LEASE)
        asked = observations.ask(tx, Question.SUBSCRIPTION, "somebody", now=world.now())
    with running(world):
        wait_for(lambda: is_worked_on(world, key), "it is worked on")
    with world.program.store.snapshot() as tx:
        assert observations.load(tx, asked.sequence).answer == observations.UNKNOWN


def test_one_deprovision_is_worked_on_by_one_thread_at_a_time(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where its lease ran out under the worker, so that the store would let another one in."""
    schedule(world, "slow")
    together, most, gate = [0], [0], threading.Event()

    def take(program: Any, which: DeprovisionId, *, owner: str, **more: Any) -> Any:
        together[0] += 1
        most[0] = max(most[0], together[0])
        gate.wait(0.5)
        together[0] -= 1
        return type("Rest", (), {"is_rest": True})()

    monkeypatch.setattr(embedded, "take_step", take)
    with running(world) as loop:
        for _ in range(20):
            loop.wake()
            time.sleep(0.02)
        gate.set()
    assert most == [1]


def test_a_hint_is_taken_at_once_when_the_loop_is_woken(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []
    take_hints = intake.take_hints

    def look(program: Any) -> int:
        looked.append(time.monotonic())
        return take_hints(program)

    monkeypatch.setattr(intake, "take_hints", look)
    with running(world) as loop:
        wait_for(lambda: len(looked) >= 1, "the first look")
        time.sleep(0.5)
        looks, woken_at = len(looked), time.monotonic()
        assert looks == 1, "it sleeps"
        loop.wake()
        wait_for(lambda: len(looked) > looks, "the look after the wake")
    assert looked[looks] - woken_at < 1


def test_what_became_due_is_worked_on_at_once_when_the_loop_is_woken(world: Any) -> None:
    with running(world) as loop:
        time.sleep(0.5)
        key = schedule(world, "just-come")
        time.sleep(0.3)
        assert not is_worked_on(world, key), "it sleeps"
        woken_at = time.monotonic()
        loop.wake()
        wait_for(lambda: is_worked_on(world, key), "it is worked on")
    assert time.monotonic() - woken_at < 2


def test_a_due_instant_is_not_slept_over(world: Any) -> None:
    key = schedule(world, "soon")
    due_at = world.now() + timedelta(seconds=1)
    with world.program.store.transaction() as tx:
        row = deprovisions.deprovision
        tx.execute(row.update().values(next_due_at=due_at, grace_until=due_at + timedelta(hours=1)))
    with running(world):
        wait_for(lambda: is_worked_on(world, key), "it is worked on")
    assert world.now() - due_at < timedelta(seconds=2)
