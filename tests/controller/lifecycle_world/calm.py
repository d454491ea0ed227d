"""An undisturbed provider: everybody left, people are at hand, a worker works on, and nothing goes wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from expunge_lifecycle_world.stored import LATER, RECONCILE_AFTER, SECOND

from controller.facts import Answer, Disposition, Exit
from controller.states import State

if TYPE_CHECKING:
    from expunge_lifecycle_world.world import World


def calm(world: World) -> None:
    """Everybody left, everything answers, and what was stored lies in the past."""
    here, source = world.stored, world.source
    here.is_held = here.is_frozen = here.is_limit_reached = here.has_order_elsewhere = source.is_down = False
    here.is_drive_elsewhere = False
    here.is_intake_open = True
    here.command = None
    source.elsewhere.clear()
    source.says.pop(LATER, None)
    here.known.pop(LATER, None)
    if here.own is None:
        world.declare(Disposition.STOCK, 2)
    else:
        here.disposition = Disposition.RENTED
    world.step_clock(world.true + world.offset - world.wall)
    world.tick(max(here.newest - world.wall, timedelta()) + SECOND)
    if not world.is_store_current:
        world.tick(RECONCILE_AFTER)
        world.reconcile()
    _end_tenancies(world)
    if here.state is State.NEEDS_OPERATOR:
        world.tick(66 * SECOND)
        world.command(Exit.RETRY, 1)
        world.work(0)


def _end_tenancies(world: World) -> None:
    for tenancy in sorted(world.stored.known):
        answer, changed_at = world.source.says[tenancy]
        hinted_at = world.stored.known[tenancy].last_renewal_hint_at
        if answer is not Answer.ENDED or (hinted_at is not None and changed_at < hinted_at + 300 * SECOND):
            # Only an end that the source dates clearly later than the hint counts.
            world.tick(max(timedelta(), (hinted_at or world.wall) - world.true) + 301 * SECOND)
            world.says(tenancy, Answer.ENDED)


def work_until(world: World, worker: int, state: State) -> None:
    """As long as it takes, with people at hand, or until it shows that it takes too long."""
    for _ in range(60):
        at = world.stored.state
        if at is state or at.is_terminal or at is State.NEEDS_OPERATOR:
            return
        if at is State.PLANNED:
            people_agree(world)
        world.work(worker)


def people_agree(world: World) -> None:
    if not world.stored.approvals:
        world.approve(is_request=True, keyid="anna")
        world.approve(is_request=False, keyid="bert")
        world.approve(is_request=False, keyid="carl")
