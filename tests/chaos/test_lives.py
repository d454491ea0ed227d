"""Controller and agent killed again and again, the customer coming back or not, by chance.

`make test` runs a few lives; `make chaos` many. The seed of a life is in its name: `EXPUNGE_CHAOS_SEED=N`
begins there. Each life ends safely: never two starts, no certificate without an erased drive, no erased drive
of a customer whose renewal came before the first permission, and every host released, given back, or with a
person who is told why.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from certificate.statements.vocabulary import Result
from controller.states import State
from controller.store import audit, journal, orders, outcomes

LIVES = int(os.environ.get("EXPUNGE_CHAOS_LIVES", "3"))
FIRST_SEED = int(os.environ.get("EXPUNGE_CHAOS_SEED", "1"))
#: More kills than any life needs to lose its way.
MAX_KILLS = 6


def starts_permitted(world: Any, tx: Any) -> list[str]:
    return [
        ack.step
        for order in orders.of_deprovision(tx, world.key)
        for ack in journal.acknowledgements(tx, order.id)
        if ack.step.startswith("start:")
    ]


def live(world: Any, chance: random.Random) -> bool:
    """One life; whether the customer came back before anything irreversible was permitted."""
    world.end_subscription()
    if chance.random() < 0.5:
        world.executor_dies_after = chance.randint(1, 14)
    renews_at_kill = chance.randint(1, MAX_KILLS) if chance.random() < 0.4 else None
    came_back_in_time = False
    for kill in range(1, MAX_KILLS + 1):
        if world.run_in_fork(die_at_commit=chance.randint(1, 60)) != -1:
            return came_back_in_time
        if kill == renews_at_kill:
            with world.program.store.snapshot() as tx:
                came_back_in_time = world.deprovision is None or not any(
                    journal.acknowledgements(tx, order.id) for order in orders.of_deprovision(tx, world.key)
                )
            world.renew()
    world.run_in_fork()
    return came_back_in_time


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + LIVES))
def test_a_life_of_kills_ends_safely(worlds: ModuleType, tmp_path: Path, seed: int) -> None:
    world = worlds.World.found(tmp_path, faults=("lies",) if seed % 5 == 0 else ())
    try:
        came_back_in_time = live(world, random.Random(seed))
        if world.deprovision is None:
            assert world.drive_text_count() == 8
            return
        assert world.state in {State.RELEASED, State.CANCELLED, State.NEEDS_OPERATOR}
        with world.program.store.snapshot() as tx:
            audit.check(tx)
            permitted = starts_permitted(world, tx)
            certified = [o for o in outcomes.of_deprovision(tx, world.key) if o.result is Result.ERASED]
        assert len(permitted) == len(set(permitted)) <= 1
        assert not certified or world.drive_text_count() == 0
        if came_back_in_time:
            assert world.drive_text_count() == 8
        if world.state is State.RELEASED:
            assert certified
            assert not world.switch.is_cut
        if world.state is State.CANCELLED:
            assert world.drive_text_count() == 8
            assert not world.switch.is_cut
        if world.state is State.NEEDS_OPERATOR:
            assert world.deprovision.operator_reason
    finally:
        world.close()
