"""A host whose agent cannot answer any more is started anew after `retry`, and everything is read again."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.devices.simulated import SimulatedNvme
from certificate.statements.people import DecisionKind
from controller import waiting
from controller.states import State
from controller.store import boots

DAY = timedelta(days=1)


def loses_power(world: Any) -> None:
    """Nothing of the erase environment survives it: it ran from memory."""
    shutil.rmtree(world.machine.run.path)


class CannotStart:
    """The world's machine while its rack has no power."""

    def __init__(self, machine: Any) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def start(self, request: Any) -> None:
        return


class NotesStops(CannotStart):
    """The world's machine, and how often its erase environment was ended."""

    def __init__(self, machine: Any) -> None:
        super().__init__(machine)
        self.stops = 0

    def start(self, request: Any) -> None:
        self._machine.start(request)

    def stop(self, target: Any) -> None:
        self.stops += 1


def without_power(world: Any) -> Any:
    """Its rack goes dark; returns what it is started with once the power is back."""
    lit = world.program
    world._program = replace(lit, boot=CannotStart(world.machine))
    loses_power(world)
    return lit


def needs_operator(world: Any) -> None:
    """Nobody repairs anything until the deadlines passed."""
    for _ in range(10):
        ends_at = world.now() + timedelta(seconds=30)
        world.run(until=lambda world, ends_at=ends_at: world.now() > ends_at)
        if world.state is State.NEEDS_OPERATOR:
            return
        world._skip_to(world.now() + DAY)
    raise AssertionError(f"still {world.state}: {world.deprovision}")


def attempts_of_boots(world: Any) -> list[int]:
    with world.program.store.snapshot() as tx:
        newest = boots.newest_number(tx, world.key)
        return [boots.load(tx, world.key, number).attempt for number in range(1, newest + 1)]


def add_drive(world: Any) -> Any:
    """A drive that is on nobody's record."""
    folder = world.drive_folder.with_name("nvme1")
    SimulatedNvme.create(
        folder,
        serial="STRANGER1",
        model="EXPUNGE TEST NVME",
        firmware="1.0",
        capacity_bytes=1024 * 1024,
        random=secrets.token_bytes,
        faults=(),
    )
    return folder


@pytest.mark.parametrize("state", [State.STAGED, State.APPROVED])
def test_a_rack_that_lost_power_is_repaired_by_one_batch(
    world_in: Callable[[State], Any], people: Any, state: State
) -> None:
    world = world_in(state)
    lit = without_power(world)
    needs_operator(world)
    tried = attempts_of_boots(world)
    assert set(tried) == {1}
    world._program = lit
    with world.program.store.snapshot() as tx:
        (group,) = waiting.groups(tx, world.program)
    people.both(world, DecisionKind.EXIT, exit="retry", group=group.digest)
    world.run()
    assert (world.state, world.deprovision.attempt) == (State.RELEASED, 2)
    assert attempts_of_boots(world) == [*tried, 2]
    assert world.drive_text_count() == 0


def test_an_extra_drive_that_was_taken_out_is_read_again_after_retry(world: Any, people: Any) -> None:
    stranger = add_drive(world)
    world.end_subscription()
    needs_operator(world)
    assert world.drive_text_count() > 0
    shutil.rmtree(stranger)
    people.leave(world, world.operators[0], "retry")
    world.run()
    assert (world.state, world.deprovision.attempt) == (State.RELEASED, 2)
    assert attempts_of_boots(world) == [1, 2]
    assert world.drive_text_count() == 0


def test_an_extra_drive_that_is_still_there_after_retry_is_found_again(world: Any, people: Any) -> None:
    add_drive(world)
    world.end_subscription()
    needs_operator(world)
    people.leave(world, world.operators[0], "retry")
    world.run(until=lambda world: world.state is State.STAGED)
    needs_operator(world)
    assert world.deprovision.attempt == 2
    assert attempts_of_boots(world) == [1, 2]
    assert world.drive_text_count() > 0


def test_a_customer_who_returns_after_retry_gets_no_host_that_still_runs_our_environment(
    world_in: Callable[[State], Any], people: Any
) -> None:
    world = world_in(State.STAGED)
    machine = NotesStops(world.machine)
    world._program = replace(world.program, boot=machine)
    loses_power(world)
    needs_operator(world)
    people.leave(world, world.operators[0], "retry")
    world.run(until=lambda world: world.state is State.SCHEDULED)
    world.renew()
    world.run()
    assert (world.state, attempts_of_boots(world)) == (State.CANCELLED, [1])
    assert machine.stops > 0
