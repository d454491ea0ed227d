"""Two operators waive what nobody could be told; one does not, and what is settled is not theirs to waive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller import knowledge, outbox
from controller.errors import Code
from controller.states import State
from controller.store import deprovisions, notices
from controller.store.notices import Settled

KIND = DecisionKind.WAIVE_NOTICE


@pytest.fixture
def untold(world: Any) -> Any:
    """Nobody is told in this world, and nothing says that nobody has to be."""
    program = world.program
    silent = program.configuration.model_copy(update={"notice": None})
    world._program = replace(program, configuration=silent)
    world.end_subscription()
    world.run(until=lambda world: world.state is State.SCHEDULED)
    outbox.work(world.program)
    return world


def facts(world: Any) -> Any:
    with world.program.store.snapshot() as tx:
        return knowledge.facts_of(tx, world.program, cases.load(tx, world.key), now=world.now())


def test_two_operators_waive_and_the_order_would_name_both_decisions(untold: Any, people: Any) -> None:
    first = people.decide(untold, untold.operators[0], KIND, deprovision=untold.key)
    assert first.done is None
    assert not facts(untold).are_notices_settled
    second = people.decide(untold, untold.operators[1], KIND, deprovision=untold.key)
    assert second.done == f"2 notices of {untold.key} are waived"
    assert facts(untold).are_notices_settled
    with untold.program.store.snapshot() as tx:
        waived = notices.of_deprovision(tx, untold.key)
        row = deprovisions.load(tx, untold.key)
    assert {each.settled for each in waived} == {Settled.WAIVED}
    assert {len(set(each.waived_by)) for each in waived} == {2}
    assert row.next_due_at is not None
    assert row.next_due_at <= untold.now()


def test_one_operator_twice_is_one(untold: Any, people: Any) -> None:
    for _ in range(2):
        taken = people.decide(untold, untold.operators[0], KIND, deprovision=untold.key)
        assert taken.done is None
    assert not facts(untold).are_notices_settled


def test_what_is_settled_cannot_be_waived(untold: Any, people: Any) -> None:
    people.both(untold, KIND, deprovision=untold.key)
    with pytest.raises(Refused) as refused:
        people.decide(untold, untold.operators[0], KIND, deprovision=untold.key)
    assert refused.value.code is Code.NOTICE_NOT_OPEN


@pytest.mark.parametrize("key", ["dep_" + "9" * 32, "host-1"])
def test_a_deprovision_that_is_not_there_has_nothing_to_waive(world: Any, people: Any, key: str) -> None:
    with pytest.raises(Refused) as refused:
        people.decide(world, world.operators[0], KIND, deprovision=key)
    assert refused.value.code is Code.NOT_IN_STORE


def test_with_the_waiver_of_two_the_host_goes_on(untold: Any, people: Any) -> None:
    people.both(untold, KIND, deprovision=untold.key)
    untold.run()
    assert untold.state is State.RELEASED
