"""The basis of an order is what was answered; a question that was not answered makes none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.order import Basis
from certificate.statements.statement import Seen
from controller import basis, limits
from controller import case as cases
from controller.case import Case
from controller.errors import Code
from controller.facts import Question
from controller.states import State
from controller.store import observations

ABOUT: dict[Question, Callable[[Case], str]] = {
    Question.TENANCIES: lambda case: case.host.id,
    Question.SUBSCRIPTION: lambda case: case.tenancies[0].id,
    Question.ISOLATION: lambda case: case.host.id,
}


def basis_of(world: Any) -> tuple[Case, Basis]:
    program = world.program
    with program.store.snapshot() as tx:
        case = cases.load(tx, world.key)
        made = basis.basis_of(tx, program, case, now=world.now(), ledger_seq=3, ledger_head="a" * 64)
    return case, made


def ask(world: Any, question: Question) -> int:
    """A question that left, and whose answer did not come yet."""
    with world.program.store.transaction() as tx:
        about = ABOUT[question](cases.load(tx, world.key))
        return observations.ask(tx, question, about, now=world.now()).sequence


@pytest.fixture
def approved(world_in: Callable[[State], Any]) -> Any:
    return world_in(State.APPROVED)


def test_every_tenancy_has_the_answer_that_was_stored_for_it(approved: Any) -> None:
    case, made = basis_of(approved)
    assert [each.tenancy_ref for each in made.answers] == [each.tenancy_ref for each in case.tenancies]
    assert [each.state for each in made.answers] == ["ended"]
    assert (made.tenancies.count, made.tenancies.is_complete) == (1, Seen.YES)
    assert made.quarantine != "not_applicable"
    assert made.quarantine.tenant_side_cut is Seen.YES
    assert (made.ledger_seq, made.ledger_head) == (3, "a" * 64)


@pytest.mark.parametrize("question", ABOUT)
def test_a_question_whose_answer_is_still_out_makes_no_basis(approved: Any, question: Question) -> None:
    basis_of(approved)
    ask(approved, question)
    with pytest.raises(Refused) as caught:
        basis_of(approved)
    assert caught.value.code is Code.ANSWER_MISSING
    assert question.value in caught.value.reason


def test_a_question_that_was_never_asked_makes_no_basis(world_in: Callable[[State], Any]) -> None:
    scheduled = world_in(State.SCHEDULED)
    with pytest.raises(Refused) as caught:
        basis_of(scheduled)
    assert caught.value.code is Code.ANSWER_MISSING
    assert Question.ISOLATION.value in caught.value.reason


@pytest.mark.parametrize("answer", ["active", "pending", "unknown"])
def test_the_newest_answer_stands_in_the_basis_whatever_it_says(approved: Any, answer: str) -> None:
    sequence = ask(approved, Question.SUBSCRIPTION)
    with approved.program.store.transaction() as tx:
        observations.answer(tx, sequence, answer=answer, now=approved.now())
    (said,) = basis_of(approved)[1].answers
    assert (said.state, said.sequence, said.changed_at) == (answer, sequence, "not_observed")


@pytest.mark.parametrize("answer", ["no", "unknown", "maybe"])
def test_only_a_switch_that_says_yes_has_cut_the_tenant_off(approved: Any, answer: str) -> None:
    sequence = ask(approved, Question.ISOLATION)
    with approved.program.store.transaction() as tx:
        observations.answer(tx, sequence, answer=answer, now=approved.now())
    made = basis_of(approved)[1].quarantine
    assert made != "not_applicable"
    assert made.tenant_side_cut is (Seen.NO if answer == "no" else Seen.NOT_OBSERVED)
    assert made.our_side_reachable is Seen.NOT_OBSERVED


def test_a_list_that_the_source_does_not_vouch_for_is_not_called_complete(approved: Any) -> None:
    sequence = ask(approved, Question.TENANCIES)
    with approved.program.store.transaction() as tx:
        observations.answer(tx, sequence, answer="incomplete", now=approved.now(), detail={"names": []})
    made = basis_of(approved)[1].tenancies
    assert (made.is_complete, made.count) == (Seen.NO, 0)


def test_caps_are_written_with_this_order_counted_in(approved: Any) -> None:
    case, made = basis_of(approved)
    with approved.program.store.snapshot() as tx:
        usage = limits.usage(tx, approved.program.configuration.limits, case, now=approved.now())
    assert [(each.name, each.used) for each in made.limits] == [(each.name, each.used + 1) for each in usage]
    assert [each.used for each in made.limits] == [1] * 7


def test_times_are_cut_to_the_second_and_never_rounded_up() -> None:
    late = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    assert basis.whole(late) == datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
