"""An inventory that was refused is read again: what stood in the way may be over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.devices.simulated import Fault, SimulatedNvme
from controller.facts import Effect
from controller.lifecycle import Refuse, Wait, decide
from controller.pace import WATCH_EVERY
from controller.states import State
from controller.store import boots, deprovisions


def begin_sanitize(world: Any) -> SimulatedNvme:
    """The drive does what nobody of ours asked it for, and comes to no end."""
    drive = SimulatedNvme.open(world.drive_folder)
    drive.set_faults([Fault.HANGS])
    drive.start_sanitize("crypto", command_dword=4, is_no_deallocate=True, may_exit_failure=False)
    return drive


def end_sanitize(drive: SimulatedNvme) -> None:
    drive.set_faults([])
    for _ in range(10):
        drive.poll()
    assert drive.state().sanitize.status == "success"


def refused_as(world: Any) -> str:
    with world.program.store.snapshot() as tx:
        return str(deprovisions.load(tx, world.key).wait_reason)


def test_a_sanitize_that_ran_by_itself_is_waited_for_and_then_planned(world: Any) -> None:
    drive = begin_sanitize(world)
    world.end_subscription()
    world.run(until=lambda world: world.state is State.STAGED and "SANITIZE_RUNNING" in refused_as(world))
    with world.program.store.snapshot() as tx:
        before = boots.latest_inventory(tx, world.key)
    end_sanitize(drive)
    world.run(until=lambda world: world.state is State.PLANNED)
    assert world.state is State.PLANNED
    with world.program.store.snapshot() as tx:
        after = boots.latest_inventory(tx, world.key)
        assert deprovisions.load(tx, world.key).attempt == 1
    assert before is not None
    assert after is not None
    assert after.boot_id == before.boot_id, "it was read again, and not started again"
    assert after.number > before.number


def test_one_that_never_ends_is_a_persons_after_an_hour(world: Any) -> None:
    drive = begin_sanitize(world)
    world.end_subscription()
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert world.state is State.NEEDS_OPERATOR
    assert drive.state().sanitizes_begun == 1, "nothing of ours was sent"


REFUSED = {
    "a drive refused": {"refused": ("SANITIZE_RUNNING",)},
    "a drive missing": {"missing_drives": 1},
    "one too many": {"unexpected_drives": 1},
    "another host": {"contradicting_host_facts": 1},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_what_an_inventory_refuses_is_read_again_at_the_pace_of_the_watch(story: Any, changes: Any) -> None:
    facts = story.facts(State.STAGED)
    facts = replace(facts, inventory=replace(facts.inventory, **changes))
    others = tuple(each for each in facts.effects_begun if each.effect is not Effect.INSPECT)
    for ago, is_due in ((WATCH_EVERY - story.SECOND, False), (WATCH_EVERY, True), (timedelta(days=2), True)):
        begun = story.begun(Effect.INSPECT, ago=ago)
        decision = decide(replace(facts, effects_begun=(*others, begun)), story.T0)
        assert isinstance(decision, Wait if is_due else Refuse), ago
    assert isinstance(decision, Wait)
    assert decision.effect is Effect.INSPECT
    assert decision.reason.startswith(("DRIVES_", "IDENTITY_")), "a person reads what is wrong, as before"


def test_what_no_inventory_says_is_no_reason_to_read_again(story: Any) -> None:
    decision = decide(story.facts(State.STAGED, holds=(story.hold(),)), story.T0)
    assert isinstance(decision, Refuse), decision
