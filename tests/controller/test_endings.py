"""Who came back and ended again is owed another grace: from stored answers to the next deprovision."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import TenancyId
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller import endings, intake, knowledge
from controller.errors import Code
from controller.facts import MAX_CLOCK_DIFFERENCE, Answer, Question
from controller.states import State
from controller.store import deprovisions, notices, observations, orders, stops
from controller.store.deprovisions import Deprovision

SECOND, GRACE, MONTH = timedelta(seconds=1), timedelta(minutes=20), timedelta(days=30)


@pytest.fixture
def gracious(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A provider who gives twenty minutes of grace, and whose customer has just ended."""
    provider: Any = sys.modules[type(world).__module__]
    longer = provider.CONFIGURATION.replace('grace = "PT0S"', 'grace = "PT20M"')
    monkeypatch.setattr(provider, "CONFIGURATION", longer)
    world.close()
    world.end_subscription()
    return world


def look(world: Any, rounds: int = 3) -> None:
    """Some rounds in which the source is asked and everything due takes its steps."""
    for _ in range(rounds):
        world._skip_to(world.now() + 15 * SECOND)
        world.step(lambda world: False)


def poll(world: Any) -> None:
    world._beat()
    intake.poll(world.program)


def all_of(world: Any) -> tuple[Deprovision, ...]:
    with world.program.store.snapshot() as tx:
        return deprovisions.all_deprovisions(tx)


def came_back_at(world: Any) -> Any:
    with world.program.store.snapshot() as tx:
        return knowledge.facts_of(tx, world.program, cases.load(tx, world.key), now=world.now()).came_back_at


def with_an_operator(world: Any) -> Any:
    """Planned, and left there for longer than a state may last."""
    world.run(until=lambda world: world.state is State.PLANNED)
    with world.program.store.transaction() as tx:
        row = deprovisions.deprovision
        tx.execute(row.update().values(deadline_at=world.now(), next_due_at=world.now()))
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    return world


def comes_back_and_ends_again(world: Any, *, after: timedelta) -> None:
    world.renew()
    look(world)
    world._skip_to(world.now() + after)
    world.end_subscription()
    look(world)


def second_of(world: Any, first: Deprovision) -> Deprovision:
    """The one that follows a cancelled one by itself; the first was not ended in any other way."""
    poll(world)
    before, second = all_of(world)
    assert (before.id, before.state) == (first.id, State.CANCELLED)
    return second


def assert_grace_of_its_own(world: Any, second: Deprovision) -> None:
    assert second.grace_until == second.created_at + GRACE
    assert second.grace_until > world.now() + GRACE - timedelta(minutes=2)


def assert_wiped_after_it(world: Any, second: Deprovision) -> None:
    world.run()
    assert (world.key, world.state, world.drive_text_count()) == (second.id, State.RELEASED, 0)
    with world.program.store.snapshot() as tx:
        (sent,) = orders.of_deprovision(tx, second.id)
        told = notices.of_deprovision(tx, second.id)
    assert sent.dispatched_at is not None
    assert sent.dispatched_at >= second.grace_until
    assert len(told) == 2


def orders_sent(world: Any, key: Any) -> int:
    with world.program.store.snapshot() as tx:
        return sum(order.dispatched_at is not None for order in orders.of_deprovision(tx, key))


def test_one_retry_does_not_wipe_who_paid_for_a_month_and_left_again(gracious: Any, people: Any) -> None:
    world = with_an_operator(gracious)
    first = world.deprovision
    comes_back_and_ends_again(world, after=MONTH)
    assert world.state is State.NEEDS_OPERATOR
    assert came_back_at(world) is not None
    with pytest.raises(Refused) as caught:
        people.leave(world, world.operators[0], "retry")
    assert caught.value.code is Code.EXIT_NOT_OPEN
    look(world, rounds=20)
    assert (world.state, orders_sent(world, first.id)) == (State.NEEDS_OPERATOR, 0)
    people.leave(world, world.operators[0], "restore")
    world.run(until=lambda world: world.state is State.CANCELLED)
    assert not world.switch.is_cut
    second = second_of(world, first)
    assert_grace_of_its_own(world, second)
    # Whoever restored a host asked for it to be left alone, until two release the hold.
    world._skip_to(second.grace_until + SECOND)
    look(world)
    assert "HELD" in world.deprovision.wait_reason
    assert world.drive_text_count() > 0


@pytest.mark.parametrize(
    ("state", "minutes"), [(State.QUARANTINED, 120), (State.PLANNED, 120), (State.INTENDED, 8)]
)
def test_a_thaw_does_not_wipe_who_came_back_during_the_freeze(
    gracious: Any, people: Any, state: State, minutes: int
) -> None:
    world = gracious
    world.run(until=lambda world: world.state is state)
    first = world.deprovision
    people.decide(world, world.operators[0], DecisionKind.FREEZE)
    comes_back_and_ends_again(world, after=timedelta(minutes=minutes))
    assert world.state is state
    with world.program.store.snapshot() as tx:
        (freeze,) = stops.freezes(tx)
    people.both(world, DecisionKind.THAW, number=str(freeze.number))
    world.run(until=lambda world: world.state is State.CANCELLED)
    assert not world.switch.is_cut
    assert orders_sent(world, first.id) == 0
    assert world.drive_text_count() > 0
    second = second_of(world, first)
    assert_grace_of_its_own(world, second)
    assert_wiped_after_it(world, second)


def test_what_an_operator_restored_waits_for_the_sources_next_word(gracious: Any, people: Any) -> None:
    """The customer never came back: nothing begins by itself again."""
    world = with_an_operator(gracious)
    people.leave(world, world.operators[0], "restore")
    world.run(until=lambda world: world.state is State.CANCELLED)
    poll(world)
    assert len(all_of(world)) == 1


# --- what latches -------------------------------------------------------------------------------------------


def tell(world: Any, answer: Answer, **detail: str) -> None:
    """The source answers this, a minute later."""
    world._skip_to(world.now() + 60 * SECOND)
    with world.program.store.transaction() as tx:
        asked = observations.ask(tx, Question.SUBSCRIPTION, tenancy(world), now=world.now())
        observations.answer(tx, asked.sequence, answer=answer.value, now=world.now(), detail=detail)


def tenancy(world: Any) -> TenancyId:
    assert world.deprovision.tenancy is not None
    found: TenancyId = world.deprovision.tenancy
    return found


@pytest.fixture
def scheduled(gracious: Any) -> Any:
    gracious.run(until=lambda world: world.deprovision is not None)
    return gracious


@pytest.mark.parametrize("answer", [Answer.ACTIVE, Answer.PENDING])
def test_an_answer_that_the_customer_stays_is_never_taken_back(scheduled: Any, answer: Answer) -> None:
    assert came_back_at(scheduled) is None
    tell(scheduled, answer)
    seen_at = came_back_at(scheduled)
    assert seen_at > scheduled.deprovision.created_at
    tell(scheduled, Answer.ENDED)
    tell(scheduled, Answer.UNKNOWN)
    assert came_back_at(scheduled) == seen_at


def test_silence_and_a_renewal_hint_are_no_return(scheduled: Any) -> None:
    tell(scheduled, Answer.UNKNOWN)
    scheduled._set_state("ended", type_of_hint(scheduled).RENEWED)
    tell(scheduled, Answer.ENDED)
    assert came_back_at(scheduled) is None


def type_of_hint(world: Any) -> Any:
    return sys.modules[type(world).__module__].HintEvent


@pytest.mark.parametrize(("late", "is_return"), [(timedelta(), False), (SECOND, True)])
def test_an_end_dated_later_than_the_one_we_know_is_a_return_we_missed(
    scheduled: Any, late: timedelta, is_return: bool
) -> None:
    dated_at = scheduled.deprovision.created_at + MAX_CLOCK_DIFFERENCE + late
    tell(scheduled, Answer.ENDED, changed_at=dated_at.isoformat())
    assert (came_back_at(scheduled) is not None) is is_return


def test_an_end_that_was_dated_ahead_from_the_first_is_the_same_ending(world: Any) -> None:
    """Our clock is behind the source's: the deprovision must not be cancelled for that for ever."""
    world.end_subscription()
    world.run(until=lambda world: world.deprovision is not None)
    ahead = (world.deprovision.created_at + MONTH).isoformat()
    with world.program.store.transaction() as tx:
        row = observations.observation
        tx.execute(row.update().where(row.c.answer == "ended").values(detail={"changed_at": ahead}))
    tell(world, Answer.ENDED, changed_at=ahead)
    assert came_back_at(world) is None


def test_what_was_answered_before_the_deprovision_is_no_return(gracious: Any) -> None:
    gracious.renew()
    look(gracious)
    gracious.end_subscription()
    gracious.run(until=lambda world: world.deprovision is not None)
    assert came_back_at(gracious) is None


def test_a_return_is_seen_also_if_the_clock_was_ahead_when_it_was_scheduled(world: Any) -> None:
    """A month ahead by mistake, then set right: the answer is stored before `created_at`, by the clock."""
    world._skip_to(world.now() + MONTH)
    world.end_subscription()
    world.run(until=lambda world: world.deprovision is not None)
    (world.folder / "shift").write_text("0")
    with world.program.store.transaction() as tx:
        asked = observations.ask(tx, Question.SUBSCRIPTION, tenancy(world), now=world.now())
        observations.answer(tx, asked.sequence, answer=Answer.ACTIVE.value, now=world.now())
    assert world.now() < world.deprovision.created_at
    assert came_back_at(world) is not None


def test_a_host_that_was_never_let_has_nobody_to_come_back(scheduled: Any) -> None:
    never_let = Deprovision(**{**vars(scheduled.deprovision), "tenancy": None})
    with scheduled.program.store.snapshot() as tx:
        assert endings.came_back_at(tx, never_let) is None
