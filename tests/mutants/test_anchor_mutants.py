"""What keeps an old copy of the store from going on, one place at a time, and what then goes wrong.

The anchor is compared in every transaction that decides; here each place that acts on the comparison is taken
out by itself, and the fence's epoch, which holds after two operators reconciled. A row with two places is one
promise that either keeps alone. `serve` has no rule of its own for its start: it reports, and the same
transactions decide. The comparison itself is taken out in test_controller_mutants.py. docs/threat-model.md
keeps the table.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.log.entry import LogKind
from certificate.statements.people import DecisionKind
from controller import checkpointing, exits, lifecycle
from controller.errors import Code
from controller.facts import Answer, Exit, Question
from controller.guards import GUARDS_TO_ACKNOWLEDGE, GUARDS_TO_CONCLUDE, GUARDS_TO_DISPATCH, StoreIsCurrent
from controller.guards import order as order_guards
from controller.people import approving, deciding
from controller.states import State
from controller.store import log_rows, stops

SECOND = timedelta(seconds=1)
#: Everything that a dispatch or a permission asks of the source and the switch.
QUESTIONS = (Question.SUBSCRIPTION, Question.TENANCIES, Question.CLOCK, Question.ISOLATION)
OLDER = "older than what it answered for"

Remove = Callable[[pytest.MonkeyPatch], None]


@dataclass
class Tools:
    model: Any
    make_world: Callable[..., Any]
    people: Any
    signing: Any


@dataclass(frozen=True, kw_only=True)
class Mutant:
    rule: str
    #: The places that hold it; where there are two, each holds it alone.
    removes: tuple[Remove, ...]
    story: Callable[[Tools], None]
    breaks: str

    def __str__(self) -> str:
        return self.rule


# --- stories of the model: a store that forgot something that it answered for -------------------------------


def forget_something(world: Any, *, is_restarted: bool = False) -> None:
    """What was stored since a copy was made is lost, and the copy works on."""
    world.back_up()
    world.stamp()
    world.restore_backup(is_restarted=is_restarted)
    assert world.record.is_rolled_back


def ask_and_answer(world: Any) -> None:
    for row in [row for question in QUESTIONS for row in world.ask(question)]:
        world.store_answer(row, world.reply(row))
    world.tick(SECOND)


def intended(tools: Tools) -> Any:
    """An order is made and logged; nothing was asked since."""
    world = tools.model.until(tools.model.ended(), State.INTENDED)
    world.sign_due()
    world.tick(SECOND)
    return world


def executing(tools: Tools) -> Any:
    """The order is with the agent, which asks leave for its first irreversible step."""
    world = tools.model.until(tools.model.ended(), State.ERASING)
    world.machine_goes_on()
    assert world.machine.request is not None
    return world


def a_replica_takes_over_before_the_dispatch(tools: Tools) -> None:
    world = intended(tools)
    forget_something(world)
    ask_and_answer(world)
    world.advance(0)


def a_copy_is_restored_and_started_before_the_dispatch(tools: Tools) -> None:
    """As the replica, with every worker dead and begun anew."""
    world = intended(tools)
    forget_something(world, is_restarted=True)
    ask_and_answer(world)
    world.advance(0)


def a_replica_takes_over_while_the_agent_waits(tools: Tools) -> None:
    world = executing(tools)
    forget_something(world)
    permit(world)


def permit(world: Any) -> None:
    """Worker 0 sees the request, asks the world, and would grant it."""
    world.acknowledge(0)
    world.tick(SECOND)
    ask_and_answer(world)
    world.acknowledge(0)


def a_customer_comes_back_to_an_old_copy(tools: Tools) -> None:
    """It would be given back a host on which the lost part of the store may have begun something."""
    world = tools.model.until(tools.model.ended(), State.APPROVED)
    forget_something(world)
    world.says(world.stored.own, Answer.ACTIVE)
    ask_and_answer(world)
    for _ in range(5):
        world.work(0)


def an_operator_commands_an_old_copy(tools: Tools) -> None:
    """By a command that was stored before; a new attempt would begin."""
    world = executing(tools)
    world.machine.executing = world.machine.request = None
    world.tick(25 * 3600 * SECOND)
    tools.model.until(world, State.NEEDS_OPERATOR)
    world.command(Exit.RETRY, 1)
    world.tick(SECOND)
    forget_something(world)
    world.advance(0)


def reconcile(world: Any) -> None:
    """The anchor was lost, and two operators answered for the store as it is."""
    world.anchor = None
    world.reconcile()
    assert world.is_store_current
    world.tick(SECOND)


def an_order_from_before_waits_to_be_sent(tools: Tools) -> None:
    world = intended(tools)
    reconcile(world)
    ask_and_answer(world)
    world.advance(0)


def an_order_from_before_waits_for_leave(tools: Tools) -> None:
    world = executing(tools)
    reconcile(world)
    permit(world)


# --- stories of the real store ------------------------------------------------------------------------------


def forget(world: Any, lose: Callable[[], object]) -> None:
    """The database becomes the copy from before `lose`; the anchor does not."""
    world.close()
    copied = shutil.copy(world.folder / "expunge.db", world.folder / "backup")
    lose()
    world.close()
    shutil.copy(copied, world.folder / "expunge.db")
    with world.program.store.snapshot() as tx:
        assert world.program.keeper.compare(tx).is_frozen


def hold(tools: Tools, world: Any) -> None:
    about = {"scope": "everything", "matter": "a court asked", "review": "P1D"}
    tools.people.decide(world, world.operators[0], DecisionKind.HOLD, **about)


def refused(act: Callable[[], object]) -> bool:
    """Whether it is refused because the store is an old one."""
    try:
        act()
    except Refused as refusal:
        return refusal.code is Code.STORE_NOT_CURRENT
    return False


def two_thaw_an_old_copy(tools: Tools) -> None:
    """What it has forgotten may be another freeze, or that one of the two was revoked."""
    world = tools.make_world()
    tools.people.decide(world, world.operators[0], DecisionKind.FREEZE)
    forget(world, lambda: hold(tools, world))
    is_refused = refused(lambda: tools.people.both(world, DecisionKind.THAW, number="1"))
    with world.program.store.snapshot() as tx:
        standing = stops.freezes(tx)
    assert is_refused, "an old copy heard people who may be revoked"
    assert standing


def an_old_copy_is_approved(tools: Tools) -> None:
    world = tools.make_world()
    people = tools.signing.People(program=world.program)
    crew = tools.signing.Crew(world=world, people=people, alice=world.operators[0], bob=world.operators[1])
    tools.signing.begin_by_hand(crew)
    forget(world, lambda: hold(tools, world))
    is_refused = refused(lambda: tools.people.request(world, world.operators[0]))
    assert is_refused, "an old copy took a yes by people who may be revoked"


def an_old_copy_is_started_with_an_entry_to_sign(tools: Tools) -> None:
    """Strangers hold a checkpoint of this size over another tree."""
    world = tools.make_world()
    checkpointing.sign_due(world.program)
    envelope = dsse.sign(b"an entry of the old copy", world.keys.issuer)
    with world.program.store.transaction() as tx:
        log_rows.append_entry(tx, envelope=envelope, kind=LogKind.ALLOCATION, now=world.now())
    size = covered(world)
    forget(world, lambda: hold(tools, world))
    world.start()
    assert covered(world) == size, "a second tree was signed"


def covered(world: Any) -> int:
    """Entries under the newest checkpoint."""
    with world.program.store.snapshot() as tx:
        newest = log_rows.latest_checkpoint(tx)
    assert newest is not None
    return int(newest.size)


# --- what is taken out --------------------------------------------------------------------------------------


def _without_anchor(guards: tuple[Any, ...]) -> tuple[Any, ...]:
    kept = tuple(guard for guard in guards if not isinstance(guard, StoreIsCurrent))
    assert len(kept) == len(guards) - 1
    return kept


def without_dispatch_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "GUARDS_TO_DISPATCH", _without_anchor(GUARDS_TO_DISPATCH))
    patch.setitem(lifecycle._GUARDS, State.INTENDED, _without_anchor(GUARDS_TO_DISPATCH))


def without_acknowledgement_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "GUARDS_TO_ACKNOWLEDGE", _without_anchor(GUARDS_TO_ACKNOWLEDGE))


def without_conclusion_list(patch: pytest.MonkeyPatch) -> None:
    """Before every decision outside `erasing`, and before any acknowledgement."""
    patch.setattr(lifecycle, "GUARDS_TO_CONCLUDE", _without_anchor(GUARDS_TO_CONCLUDE))


def without_exit_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(exits, "GUARDS_TO_CONCLUDE", _without_anchor(GUARDS_TO_CONCLUDE))


def without_decisions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deciding, "_require_current", lambda tx, program, kind: None)


class Trusting:
    """A keeper of the anchor whose comparison always agrees."""

    is_frozen = False

    def compare(self, tx: Any) -> Trusting:
        return self


def without_approvals(patch: pytest.MonkeyPatch) -> None:
    take = approving.take

    def taken(program: Any, data: bytes) -> Any:
        return take(replace(program, keeper=Trusting()), data)

    patch.setattr(approving, "take", taken)


def without_checkpoints(patch: pytest.MonkeyPatch) -> None:
    sign_once = checkpointing._sign_once
    patch.setattr(checkpointing, "_sign_once", lambda program: sign_once(replace(program, keeper=Trusting())))


def without_epoch_at_dispatch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(order_guards, "is_of_an_earlier_epoch", lambda facts: False)


def without_epoch_at_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "is_of_an_earlier_epoch", lambda facts: False)


MUTANTS = (
    Mutant(
        rule="before the dispatch, by its own list or before every decision",
        removes=(without_dispatch_list, without_conclusion_list),
        story=a_replica_takes_over_before_the_dispatch,
        breaks=OLDER,
    ),
    Mutant(
        rule="the same after a restart",
        removes=(without_dispatch_list, without_conclusion_list),
        story=a_copy_is_restored_and_started_before_the_dispatch,
        breaks=OLDER,
    ),
    Mutant(
        rule="before a permission, by its own list or before any",
        removes=(without_acknowledgement_list, without_conclusion_list),
        story=a_replica_takes_over_while_the_agent_waits,
        breaks=OLDER,
    ),
    Mutant(
        rule="before a host is given back",
        removes=(without_conclusion_list,),
        story=a_customer_comes_back_to_an_old_copy,
        breaks=OLDER,
    ),
    Mutant(
        rule="before a command is carried out",
        removes=(without_exit_list,),
        story=an_operator_commands_an_old_copy,
        breaks=OLDER,
    ),
    Mutant(
        rule="before people decide",
        removes=(without_decisions,),
        story=two_thaw_an_old_copy,
        breaks="an old copy heard people",
    ),
    Mutant(
        rule="before a yes is taken",
        removes=(without_approvals,),
        story=an_old_copy_is_approved,
        breaks="an old copy took a yes",
    ),
    Mutant(
        rule="before a checkpoint is signed",
        removes=(without_checkpoints,),
        story=an_old_copy_is_started_with_an_entry_to_sign,
        breaks="a second tree was signed",
    ),
    Mutant(
        rule="the epoch of an order, at its dispatch",
        removes=(without_epoch_at_dispatch,),
        story=an_order_from_before_waits_to_be_sent,
        breaks="an order from before goes on",
    ),
    Mutant(
        rule="the epoch of an order, at a permission",
        removes=(without_epoch_at_acknowledgement,),
        story=an_order_from_before_waits_for_leave,
        breaks="an order from before goes on",
    ),
)
EITHER = [(each, remove) for each in MUTANTS if len(each.removes) > 1 for remove in each.removes]


@pytest.fixture
def tools(model: Any, found_world: Callable[..., Any], people: Any, signing: Any) -> Tools:
    return Tools(model=model, make_world=found_world, people=people, signing=signing)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_with_the_rule_the_promise_holds(mutant: Mutant, tools: Tools) -> None:
    mutant.story(tools)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_the_rule_the_promise_breaks(
    mutant: Mutant, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    for remove in mutant.removes:
        remove(monkeypatch)
    with pytest.raises(AssertionError, match=mutant.breaks):
        mutant.story(tools)


@pytest.mark.parametrize(("mutant", "remove"), EITHER, ids=lambda each: getattr(each, "__name__", str(each)))
def test_either_place_of_two_keeps_the_promise_alone(
    mutant: Mutant, remove: Remove, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(monkeypatch)
    mutant.story(tools)
