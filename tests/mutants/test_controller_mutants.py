"""One rule of the controller taken out at a time, and the story that then goes wrong.

The first stories are told in the model of `decide`, the others on the real store with real facts; each twice:
with the rule the promise holds, without it the promise breaks in the words of the row. What one rule covers
for another is taken out in pairs. What acts on the anchor is taken out in test_anchor_mutants.py.
docs/threat-model.md keeps the table.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from controller import advance as advancing
from controller import case as cases
from controller import deadlines, endings, exits, knowledge, lifecycle
from controller.case import Case
from controller.decision import Move
from controller.errors import LostRace
from controller.facts import Answer, Effect, Exit, Facts, Observation, Question
from controller.guards import OrderIsAlive
from controller.lifecycle import decide
from controller.observe import questioning
from controller.people.acts import freeze
from controller.states import State
from controller.store import deprovisions, observations, orders, stops

SECOND = timedelta(seconds=1)
#: Everything that the dispatch asks of the source and the switch.
QUESTIONS = (Question.SUBSCRIPTION, Question.TENANCIES, Question.CLOCK, Question.ISOLATION)


@dataclass
class Tools:
    model: Any
    make_world: Callable[..., Any]
    #: What a worker read before the transaction that moves; used only by a mutant.
    read_early: list[tuple[Case, Facts]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    rule: str
    remove: Callable[[Any, pytest.MonkeyPatch, Tools], None]
    story: Callable[[Tools], None]
    breaks: str

    def __str__(self) -> str:
        return self.rule


# --- stories of the model -----------------------------------------------------------------------------------


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


def ask_and_answer(world: Any, *, passing: timedelta = timedelta()) -> None:
    """Every question is asked; the answers come after `passing`."""
    rows = [row for question in QUESTIONS for row in world.ask(question)]
    told = [world.reply(row) for row in rows]
    world.tick(passing)
    for row, said in zip(rows, told, strict=True):
        world.store_answer(row, said)
    world.tick(SECOND)


def permit(world: Any) -> None:
    """Worker 0 sees the request, asks the world, and grants it."""
    world.acknowledge(0)
    world.tick(SECOND)
    ask_and_answer(world)
    assert world.acknowledge(0), "the story's own permission was refused"


def a_renewal_is_announced_before_the_dispatch(tools: Tools) -> None:
    world = intended(tools)
    ask_and_answer(world)
    tools.model.act.a_renewal_is_announced(world)
    world.tick(SECOND)
    world.advance(0)


def every_answer_takes_half_a_minute(tools: Tools) -> None:
    world = intended(tools)
    world.tick(SECOND)
    ask_and_answer(world, passing=31 * SECOND)
    world.advance(0)


def a_renewal_is_announced_while_the_agent_waits(tools: Tools) -> None:
    world = executing(tools)
    world.acknowledge(0)
    ask_and_answer(world)
    tools.model.act.a_renewal_is_announced(world)
    world.acknowledge(0)


def a_person_is_called_while_a_permission_lives(tools: Tools) -> None:
    """The first step is permitted in the last seconds of the day that an erase may take."""
    world = executing(tools)
    # The agent of this story asks only now: its request is as young as the permission.
    world.machine.request = None
    world.tick(24 * 3600 * SECOND - (world.wall - world.stored.entered_at) - 20 * SECOND)
    world.machine_goes_on()
    permit(world)
    world.tick(25 * SECOND)
    world.advance(0)
    world.command(Exit.RETRY, 2)
    world.tick(SECOND)
    world.advance(0)


def a_case_is_closed_over_an_erase_that_nobody_saw(tools: Tools) -> None:
    """A step is permitted, the agent never answers again, and a day later a person closes the case."""
    world = executing(tools)
    permit(world)
    world.machine.request = None
    world.tick(25 * 3600 * SECOND)
    for _ in range(3):
        world.advance(0)
        world.queues[0].clear()
        world.tick(SECOND)
    assert world.stored.state is State.NEEDS_OPERATOR
    world.command(Exit.CLOSE, 1)
    for _ in range(4):
        world.tick(10 * SECOND)
        world.advance(0)
        while world.queues[0]:
            world.perform(0)
    assert world.stored.state is State.CLOSED, "the story did not come to its end"


# --- stories of the real store ------------------------------------------------------------------------------


def ready(tools: Tools) -> Any:
    """A real provider whose order is logged, and whose every answer is there: the next step sends it."""
    world = tools.make_world()
    world.end_subscription()
    world.run(until=lambda world: world.state is State.INTENDED)
    for _ in range(20):
        case, known = read(world)
        decision = decide(known, world.now())
        if isinstance(decision, Move):
            assert decision.to is State.ERASING
            return world
        questioning.ask_all(world.program, case, decision.ask)
    raise AssertionError(f"the order did not become ready: {decision}")


def read(world: Any) -> tuple[Case, Facts]:
    with world.program.store.snapshot() as tx:
        case = cases.load(tx, world.key)
        return case, knowledge.facts_of(tx, world.program, case, now=world.now())


def step(world: Any, owner: str = "test") -> Any:
    return advancing.advance(world.program, world.key, owner=owner)


def a_hint_is_stored_while_a_worker_decides(tools: Tools) -> None:
    world = ready(tools)
    tools.read_early.append(read(world))
    world.renew()
    step(world)
    assert world.state is not State.ERASING, "dispatched over a hint that was stored before"


def an_earlier_question_is_answered_later(tools: Tools) -> None:
    """Two questions; the second is answered `ended` first, then the first says `active` after all."""
    world = ready(tools)
    first, second = asked_of_the_source(world), asked_of_the_source(world)
    answer(world, second, Answer.ENDED)
    answer(world, first, Answer.ACTIVE)
    ask_for_the_list(world)
    step(world)
    assert world.state is not State.ERASING, "dispatched over a contrary answer that was stored before"


def the_newest_question_is_still_open(tools: Tools) -> None:
    world = ready(tools)
    first, _ = asked_of_the_source(world), asked_of_the_source(world)
    answer(world, first, Answer.ENDED)
    ask_for_the_list(world)
    step(world)
    assert world.state is not State.ERASING, "dispatched while the newest question is open"


def asked_of_the_source(world: Any) -> int:
    with world.program.store.transaction() as tx:
        (tenancy,) = cases.load(tx, world.key).tenancies
        return observations.ask(tx, Question.SUBSCRIPTION, tenancy.id, now=world.now()).sequence


def answer(world: Any, sequence: int, said: Answer) -> None:
    with world.program.store.transaction() as tx:
        observations.answer(tx, sequence, answer=said.value, now=world.now())


def ask_for_the_list(world: Any) -> None:
    """A contrary answer voids the list that was asked for before it, so it is asked for again."""
    case, _ = read(world)
    questioning.ask_all(world.program, case, (Question.TENANCIES, Question.CLOCK, Question.ISOLATION))


def a_backup_is_restored_after_the_dispatch(tools: Tools) -> None:
    """Of the database alone: its anchor knows better."""
    world = ready(tools)
    world.program.store.close()
    copied = shutil.copy(world.folder / "expunge.db", world.folder / "backup")
    world.close()
    step(world)
    assert world.state is State.ERASING
    world.close()
    shutil.copy(copied, world.folder / "expunge.db")
    step(world, "after the restore")
    assert world.state is not State.ERASING, "a restored backup dispatched"


def a_customer_comes_back_during_a_freeze_and_ends_again(tools: Tools) -> None:
    """Asked about and answered while nothing moves; when it thaws, the source says `ended` once more."""
    world = ready(tools)
    with world.program.store.transaction() as tx:
        number = freeze.begin(tx, world.program, reason="fire")
    answer(world, asked_of_the_source(world), Answer.ACTIVE)
    with world.program.store.transaction() as tx:
        stops.lift(tx, number, decision_digest="0" * 64, now=world.now())
    answer(world, asked_of_the_source(world), Answer.ENDED)
    ask_for_the_list(world)
    step(world)
    assert world.state is not State.ERASING, "dispatched under the grace of an ending before"


def two_workers_send(tools: Tools) -> None:
    world = ready(tools)
    tools.read_early.append(read(world))
    sent = 0
    for owner in ("one", "another"):
        try:
            sent += step(world, owner).effect is Effect.DISPATCH
        except LostRace:
            continue
    assert sent == 1, "an order was sent by two workers"


# --- what is taken out --------------------------------------------------------------------------------------


def without_second_run(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    patch.setattr(lifecycle, "GUARDS_TO_DISPATCH", (OrderIsAlive(),))


def without_age_from_asking(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    rewrite(Observation, "is_fresh", "now - self.asked_at < MAX_AGE", "now - self.answered_at < MAX_AGE")


def without_guarded_acknowledgement(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    patch.setattr(lifecycle, "GUARDS_TO_ACKNOWLEDGE", ())


def without_contrary_answers(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    patch.setattr(observations, "latest_contrary", lambda tx, question, about, other_than: None)


def without_the_latch(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    patch.setattr(endings, "came_back_at", lambda tx, row: None)


def without_sequence(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    rewrite(
        observations,
        "latest",
        "order_by(observation.c.sequence.desc())",
        "order_by(observation.c.answered_at.desc().nulls_last())",
    )


def without_one_transaction(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    """What is decided on was read before the transaction that moves, and the move believes it."""
    load_facts = knowledge.facts_of

    def early_facts(tx: Any, program: Any, case: Any, **times: Any) -> Facts:
        return tools.read_early[0][1] if tools.read_early else load_facts(tx, program, case, **times)

    patch.setattr(knowledge, "facts_of", early_facts)


def without_believing(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    """As `without_one_transaction`; and what is written does not name what it believes is there, nor is it
    refused where it is there already.
    """
    without_one_transaction(rewrite, patch, tools)
    load_case = cases.load

    def early_case(tx: Any, key: Any) -> Case:
        return tools.read_early[0][0] if tools.read_early else load_case(tx, key)

    patch.setattr(cases, "load", early_case)
    rewrite(orders, "_step", "(order.c.id == key) & (order.c.state == believed)", "order.c.id == key")
    insert = orders.insert
    patch.setattr(orders, "insert", lambda table: insert(table).prefix_with("OR IGNORE"))
    patch.setattr(deprovisions, "_believed", lambda key, state, fence: deprovisions.deprovision.c.id == key)


def without_lease(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    rewrite(deprovisions, "claim", "(deprovision.c.id == key) & mine", "deprovision.c.id == key")


def without_anchor(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    rewrite(
        knowledge,
        "facts_of",
        "is_store_current=not program.keeper.compare(tx).is_frozen",
        "is_store_current=True",
    )


def without_waiting_to_leave(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    patch.setattr(exits, "_is_settled", lambda facts, now: True)


def without_waiting_to_give_up(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    rewrite(
        deadlines,
        "overdue",
        "now < facts.last_acknowledged_at + ACKNOWLEDGEMENT_LIFE + DRIFT",
        "False",
    )
    for module in (lifecycle, exits):
        if hasattr(module, "overdue"):
            patch.setattr(module, "overdue", deadlines.overdue)


def without_records_at_the_end(rewrite: Any, patch: pytest.MonkeyPatch, tools: Tools) -> None:
    patch.setattr(exits, "leaves_records", lambda facts, now: False)


MUTANTS = (
    Mutant(
        rule="what may have begun is recorded before a case ends",
        remove=without_records_at_the_end,
        story=a_case_is_closed_over_an_erase_that_nobody_saw,
        breaks="nothing tells of the order",
    ),
    Mutant(
        rule="the second run of guards",
        remove=without_second_run,
        story=a_renewal_is_announced_before_the_dispatch,
        breaks="stored since",
    ),
    Mutant(
        rule="the acknowledgement as guarded transaction",
        remove=without_guarded_acknowledgement,
        story=a_renewal_is_announced_while_the_agent_waits,
        breaks="asked before the order, or the request",
    ),
    Mutant(
        rule="age from asked_at",
        remove=without_age_from_asking,
        story=every_answer_takes_half_a_minute,
        breaks="asked at",
    ),
    Mutant(
        rule="guards and change of state in one transaction",
        remove=without_one_transaction,
        story=a_hint_is_stored_while_a_worker_decides,
        breaks="dispatched over a hint",
    ),
    Mutant(
        rule="contrary answer as change",
        remove=without_contrary_answers,
        story=an_earlier_question_is_answered_later,
        breaks="dispatched over a contrary answer",
    ),
    Mutant(
        rule="a return is remembered",
        remove=without_the_latch,
        story=a_customer_comes_back_during_a_freeze_and_ends_again,
        breaks="under the grace of an ending before",
    ),
    Mutant(
        rule="sequence by asking",
        remove=without_sequence,
        story=the_newest_question_is_still_open,
        breaks="dispatched while the newest question is open",
    ),
    Mutant(
        rule="the anchor on the real store",
        remove=without_anchor,
        story=a_backup_is_restored_after_the_dispatch,
        breaks="a restored backup dispatched",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two rules of which each alone keeps the promise."""

    rules: str
    removes: tuple[Callable[..., None], Callable[..., None]]
    story: Callable[[Tools], None]
    breaks: str

    def __str__(self) -> str:
        return self.rules


PAIRS = (
    Pair(
        rules="lease with one-transaction guards",
        removes=(without_lease, without_believing),
        story=two_workers_send,
        breaks="an order was sent by two workers",
    ),
    Pair(
        rules="the life of a permission at the deadline with that at the way out",
        removes=(without_waiting_to_leave, without_waiting_to_give_up),
        story=a_person_is_called_while_a_permission_lives,
        breaks="after the last permission",
    ),
)


@pytest.fixture
def tools(model: Any, found_world: Callable[..., Any]) -> Tools:
    return Tools(model=model, make_world=found_world)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_with_the_rule_the_promise_holds(mutant: Mutant, tools: Tools) -> None:
    mutant.story(tools)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_the_rule_the_promise_breaks(
    mutant: Mutant, tools: Tools, rewrite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant.remove(rewrite, monkeypatch, tools)
    with pytest.raises(AssertionError, match=mutant.breaks):
        mutant.story(tools)


@pytest.mark.parametrize("removed", [None, 0, 1], ids=["neither", "the first", "the second"])
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_either_rule_of_a_pair_keeps_the_promise_alone(
    pair: Pair, removed: int | None, tools: Tools, rewrite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if removed is not None:
        pair.removes[removed](rewrite, monkeypatch, tools)
    pair.story(tools)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_without_both_rules_of_a_pair_the_promise_breaks(
    pair: Pair, tools: Tools, rewrite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for remove in pair.removes:
        remove(rewrite, monkeypatch, tools)
    with pytest.raises(AssertionError, match=pair.breaks):
        pair.story(tools)
