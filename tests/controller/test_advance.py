"""One step is one transaction: what was decided, what begins and who holds the lease stand together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from certificate.identifiers import DeprovisionId
from controller import advance as advancing
from controller import case as cases
from controller import intent
from controller.advance import Step, advance
from controller.dispatch import working
from controller.dispatch.lease import LEASE, Lease, uptime_seconds
from controller.errors import LostRace
from controller.facts import Effect
from controller.lifecycle import Move
from controller.observe import source
from controller.states import State
from controller.store import deprovisions, effects_begun, log_rows, orders, plans
from controller.store.deprovisions import Deprovision


def row_of(world: Any) -> Deprovision:
    with world.program.store.snapshot() as tx:
        return deprovisions.load(tx, world.key)


def until_effect(world: Any, effect: Effect) -> Step:
    """Steps as a worker takes them, up to the decision for this effect, which is not performed."""
    for _ in range(50):
        step = advance(world.program, world.key, owner="test")
        if step.effect is effect:
            return step
        if step.effect is not None:
            with world.program.store.snapshot() as tx:
                case = cases.load(tx, world.key)
            lease = Lease(world.program, world.key, fence=step.fence, since_seconds=uptime_seconds())
            working.perform(world.program, case, step.effect, lease=lease)
        working.questioning.ask_all(world.program, step.case, step.questions)
    raise AssertionError(f"no step began {effect}")


def until_lost(world: Any) -> Deprovision:
    """Steps until one loses its race; the row as it was before that step. Fails where none loses."""
    for _ in range(50):
        before = row_of(world)
        try:
            working.take_step(world.program, world.key, owner="test")
        except LostRace:
            return before
    raise AssertionError("no step lost a race")


def orders_of(world: Any) -> tuple[orders.StoredOrder, ...]:
    with world.program.store.snapshot() as tx:
        return orders.of_deprovision(tx, world.key)


# --- the lease ----------------------------------------------------------------------------------------------


def test_a_deprovision_under_another_owners_lease_is_a_lost_race(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    with world.program.store.transaction() as tx:
        claimed = deprovisions.claim(tx, world.key, owner="other", now=world.now(), lease=LEASE)
    with pytest.raises(LostRace):
        advance(world.program, world.key, owner="test")
    assert row_of(world) == claimed


def test_a_lease_that_ran_out_hinders_nobody(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    with world.program.store.transaction() as tx:
        deprovisions.claim(tx, world.key, owner="other", now=world.now() - 2 * LEASE, lease=LEASE)
    assert advance(world.program, world.key, owner="test").case.id == world.key


def test_every_step_has_a_higher_fence_than_the_one_before(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    fences = [advance(world.program, world.key, owner="test").fence for _ in range(3)]
    assert fences == sorted(set(fences))


def test_the_lease_is_kept_while_there_is_something_to_do_and_given_back_at_rest(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.SCHEDULED)
    with world.program.store.transaction() as tx:
        row = deprovisions.deprovision
        tx.execute(row.update().values(grace_until=world.now() + LEASE))
    assert advance(world.program, world.key, owner="test").is_rest
    assert row_of(world).lease_owner is None
    with world.program.store.transaction() as tx:
        tx.execute(row.update().values(grace_until=world.now()))
    assert not advance(world.program, world.key, owner="test").is_rest
    assert row_of(world).lease_owner == "test"


# --- beginnings ---------------------------------------------------------------------------------------------


def begun(world: Any) -> set[Effect]:
    with world.program.store.snapshot() as tx:
        return set(effects_begun.begun(tx, world.key, attempt=1))


def test_the_beginning_of_an_effect_is_on_record_before_anybody_performs_it(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.SCHEDULED)
    assert Effect.ISOLATE not in begun(world)
    until_effect(world, Effect.ISOLATE)
    assert Effect.ISOLATE in begun(world)
    assert not world.switch.is_cut


def test_a_decision_whose_effect_cannot_be_recorded_is_not_committed_either(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_in(State.SCHEDULED)

    def fail(*arguments: Any, **more: Any) -> None:
        raise LostRace("effect", "unbegun", 0)

    monkeypatch.setattr(effects_begun, "begin", fail)
    before = until_lost(world)
    assert row_of(world) == before, "neither the reason nor even the claim"
    assert not world.switch.is_cut


# --- dispatch -----------------------------------------------------------------------------------------------


def test_the_move_to_erasing_commits_the_dispatch_with_it(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.INTENDED)
    step = until_effect(world, Effect.DISPATCH)
    assert isinstance(step.decision, Move)
    (order,) = orders_of(world)
    assert order.dispatched_at is not None
    assert row_of(world).state is State.ERASING
    assert Effect.DISPATCH in begun(world)
    assert order.dispatched_at == row_of(world).entered_at


def test_an_order_is_not_dispatched_where_the_move_to_erasing_fails(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_in(State.INTENDED)
    move = deprovisions.move

    def lose(tx: Any, key: DeprovisionId, **more: Any) -> Deprovision:
        if more["move"].new is State.ERASING:
            raise LostRace(key, more["old"], more["fence"])
        return move(tx, key, **more)

    monkeypatch.setattr(advancing.deprovisions, "move", lose)
    with pytest.raises(LostRace):
        until_effect(world, Effect.DISPATCH)
    (order,) = orders_of(world)
    assert order.dispatched_at is None
    assert row_of(world).state is State.INTENDED
    assert Effect.DISPATCH not in begun(world)


# --- intent -------------------------------------------------------------------------------------------------


def while_signing(monkeypatch: pytest.MonkeyPatch, what: Callable[[], None]) -> None:
    """`what` happens after the order was built and before it is stored."""
    make_order = intent.make_order

    def make_slowly(**arguments: Any) -> Any:
        made = make_order(**arguments)
        what()
        return made

    monkeypatch.setattr(intent, "make_order", make_slowly)


def ask_source(world: Any) -> None:
    with world.program.store.snapshot() as tx:
        case = cases.load(tx, world.key)
    for tenancy in case.tenancies:
        source.subscription(world.program, tenancy, deprovision=world.key)


def renew(world: Any) -> None:
    world.renew_silently()
    ask_source(world)


def hint(world: Any) -> None:
    """A renewal of which we only heard: the answer we hold is older, and counts no more."""
    world._set_state("ended", "renewed")


def ask_again(world: Any) -> None:
    """The same answer, to a later question: the order would name one that is not the newest."""
    ask_source(world)


def replan(world: Any) -> None:
    """Another plan of the same boot: what was signed would no longer be what is planned."""
    with world.program.store.transaction() as tx:
        case = cases.load(tx, world.key)
        assert case.plan is not None
        text = json.loads(case.plan.text)
        text["residue"] = text["residue"][:-1]
        plans.record(
            tx,
            world.key,
            attempt=1,
            text=json.dumps(text, separators=(",", ":")).encode(),
            boot_id=case.plan.boot_id,
            now=world.now(),
        )


@pytest.mark.parametrize("change", [renew, hint, ask_again, replan])
def test_an_order_is_not_stored_where_an_answer_came_while_it_was_signed(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None]
) -> None:
    world = world_in(State.APPROVED)
    with world.program.store.snapshot() as tx:
        entries = log_rows.size(tx)
    while_signing(monkeypatch, lambda: change(world))
    until_lost(world)
    assert not orders_of(world)
    assert row_of(world).state is State.APPROVED
    with world.program.store.snapshot() as tx:
        assert log_rows.size(tx) == entries, "an order that is not stored is not logged"


def test_an_order_is_not_stored_under_a_lease_that_somebody_else_took(
    world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_in(State.APPROVED)

    def take_over() -> None:
        with world.program.store.transaction() as tx:
            deprovisions.end_all_leases(tx)
            deprovisions.claim(tx, world.key, owner="other", now=world.now(), lease=LEASE)

    while_signing(monkeypatch, take_over)
    until_lost(world)
    assert not orders_of(world)
    assert row_of(world).state is State.APPROVED


def test_an_order_is_stored_with_a_fence_of_its_own_and_covered_by_a_checkpoint(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.INTENDED)
    (order,) = orders_of(world)
    assert order.dispatched_at is None
    assert order.fence != row_of(world).fence
    with world.program.store.snapshot() as tx:
        assert log_rows.covering_checkpoint(tx, order.log_seq) is not None
