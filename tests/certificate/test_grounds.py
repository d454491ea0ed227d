"""Grounds: an order whose own basis does not say why the customer is gone is not obeyed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from certificate.delivery import Delivery, obey
from certificate.errors import Code, Refused
from certificate.grounds import MAX_DECISIONS
from certificate.trust import TrustRoot

Make = Callable[..., Any]
HELLO_AT_MS = 61_000


@pytest.fixture(scope="module")
def code_of(trust: TrustRoot, keys: Any, make_order: Make) -> Callable[[Delivery], Code | None]:
    """What the agent of the sample boot refuses the delivery for; None where it obeys."""

    def run(delivery: Delivery) -> Any:
        try:
            obey(
                delivery,
                trust=trust,
                boot_id=keys.agent.public.boot_id,
                hello_nonce=make_order().hello_nonce,
                hello_at_ms=HELLO_AT_MS,
                now_ms=HELLO_AT_MS,
            )
        except Refused as refusal:
            return refusal.code
        return None

    return run


@pytest.fixture(scope="module")
def based(make_delivery: Make, make_order: Make) -> Callable[..., Delivery]:
    """based(**fields of the basis): an order where a tenancy ended, with another basis."""
    return lambda **changes: make_delivery(make_order(basis=changes))


@pytest.fixture(scope="module")
def sample(make_order: Make) -> dict[str, Any]:
    """The basis of the sample order, as JSON's own types."""
    dumped: dict[str, Any] = make_order().basis.model_dump(mode="json")
    return dumped


@pytest.fixture(scope="module")
def in_stock(make_manual: Make, make_declaration: Make, keys: Any) -> Callable[..., Delivery]:
    """in_stock(**fields of Bob's declaration, basis={...}, ...): a host that Alice and Bob declared stock."""

    def make(*, people: tuple[Any, ...] = (), about: dict[str, Any] | None = None, **changes: Any) -> Any:
        first, *others = people or (keys.alice, keys.bob)
        declarations = (
            make_declaration(first),
            *(make_declaration(person, **(about or {})) for person in others),
        )
        return make_manual(declarations=declarations, **changes)

    return make


# --- a tenancy ended ----------------------------------------------------------------------------------------


def test_every_tenancy_of_the_host_may_have_ended(code_of: Make, based: Make, sample: Any) -> None:
    first = sample["answers"][0]
    earlier = first | {"tenancy_ref": "ab" * 32}
    assert code_of(based()) is None
    assert code_of(based(answers=[earlier, first], tenancies=sample["tenancies"] | {"count": 2})) is None


@pytest.mark.parametrize("state", ["active", "pending", "unknown"])
def test_one_tenancy_that_has_not_ended_refuses_the_order(
    state: str, code_of: Make, based: Make, sample: Any
) -> None:
    other = sample["answers"][0] | {"tenancy_ref": "ab" * 32, "state": state}
    answers = [sample["answers"][0], other]
    delivery = based(answers=answers, tenancies=sample["tenancies"] | {"count": 2})
    assert code_of(delivery) is Code.BASIS_INSUFFICIENT


def test_a_host_that_is_let_without_any_answer_is_not_wiped(code_of: Make, based: Make, sample: Any) -> None:
    empty = based(answers=[], tenancies=sample["tenancies"] | {"count": 0})
    assert code_of(empty) is Code.BASIS_INSUFFICIENT


@pytest.mark.parametrize("count", [0, 2])
def test_a_list_longer_or_shorter_than_its_answers_refuses(
    count: int, code_of: Make, based: Make, sample: Any
) -> None:
    assert code_of(based(tenancies=sample["tenancies"] | {"count": count})) is Code.BASIS_INSUFFICIENT


@pytest.mark.parametrize("word", ["no", "not_observed"])
def test_a_list_that_the_source_does_not_vouch_for_refuses(
    word: str, code_of: Make, based: Make, sample: Any
) -> None:
    incomplete = based(tenancies=sample["tenancies"] | {"is_complete": word})
    assert code_of(incomplete) is Code.BASIS_INSUFFICIENT


def test_the_same_answer_twice_is_not_two_answers(code_of: Make, based: Make, sample: Any) -> None:
    twice = based(answers=sample["answers"] * 2, tenancies=sample["tenancies"] | {"count": 2})
    assert code_of(twice) is Code.BASIS_INSUFFICIENT


def test_the_tenancy_of_the_plan_is_one_that_ended(
    code_of: Make, make_delivery: Make, make_order: Make, make_plan: Make
) -> None:
    for tenancy in ("ab" * 32, "not_applicable"):
        delivery = make_delivery(make_order(plan=make_plan(tenancy_ref=tenancy)))
        assert code_of(delivery) is Code.BASIS_INSUFFICIENT


@pytest.mark.parametrize("name", ["is_frozen", "holds"])
@pytest.mark.parametrize("word", ["yes", "not_observed"])
def test_a_basis_that_does_not_deny_a_freeze_or_a_hold_refuses(
    name: str, word: str, code_of: Make, based: Make
) -> None:
    assert code_of(based(**{name: word})) is Code.BASIS_INSUFFICIENT


def test_people_cannot_end_a_tenancy(
    code_of: Make, make_manual: Make, make_declaration: Make, keys: Any
) -> None:
    """A wipe by hand of a host that is let rests on the source's answers alone."""
    assert code_of(make_manual()) is None
    declaration = make_declaration(keys.alice, choice="rented")
    reference = {"digest": declaration.payload_digest, "keyid": keys.alice.public.keyid}
    brought = replace(make_manual(), decisions=(declaration.write(),))
    assert code_of(brought) is Code.BASIS_INSUFFICIENT
    assert code_of(make_manual(basis={"decisions": [reference]})) is Code.BASIS_INSUFFICIENT


# --- a host that was never let ------------------------------------------------------------------------------


def test_a_host_in_stock_is_wiped_by_hand_when_two_declared_it(code_of: Make, in_stock: Make) -> None:
    assert code_of(in_stock()) is None


def test_a_host_of_the_providers_own_is_too(
    code_of: Make, make_manual: Make, make_declaration: Make, keys: Any
) -> None:
    declarations = tuple(make_declaration(person, choice="internal") for person in (keys.alice, keys.bob))
    assert code_of(make_manual(declarations=declarations, basis={"disposition": "internal"})) is None
    assert code_of(make_manual(declarations=declarations)) is Code.DECISIONS_MISSING


def test_a_third_who_declared_the_same_does_no_harm(
    code_of: Make, in_stock: Make, make_decision: Make, keys: Any
) -> None:
    enrolments = (make_decision(keys.alice), make_decision(keys.bob))
    people = (keys.alice, keys.bob, keys.carol)
    assert code_of(in_stock(people=people, enrolments=enrolments)) is None


def test_a_host_that_was_never_let_is_never_wiped_because_something_ended(
    code_of: Make, in_stock: Make
) -> None:
    assert code_of(in_stock(trigger="ended")) is Code.BASIS_INSUFFICIENT


def test_a_declaration_does_not_outweigh_a_tenancy_on_the_list(
    code_of: Make, in_stock: Make, sample: Any
) -> None:
    """Whatever two people signed: a list that is not empty, an answer, or a plan about a tenancy refuses."""
    for basis in (
        {"tenancies": sample["tenancies"]},
        {"tenancies": sample["tenancies"], "answers": sample["answers"]},
        {"answers": sample["answers"]},
    ):
        assert code_of(in_stock(basis=basis)) is Code.BASIS_INSUFFICIENT, basis
    assert code_of(in_stock(plan={"tenancy_ref": "ab" * 32})) is Code.BASIS_INSUFFICIENT


@pytest.mark.parametrize("word", ["no", "not_observed"])
def test_an_empty_list_that_is_not_complete_shows_nothing(
    word: str, code_of: Make, in_stock: Make, sample: Any
) -> None:
    listed = sample["tenancies"] | {"count": 0, "is_complete": word}
    assert code_of(in_stock(basis={"tenancies": listed})) is Code.BASIS_INSUFFICIENT


def test_one_operator_does_not_declare_alone(
    code_of: Make, in_stock: Make, make_manual: Make, make_declaration: Make, keys: Any
) -> None:
    assert code_of(make_manual(declarations=(make_declaration(keys.alice),))) is Code.DECISIONS_MISSING
    again = make_declaration(keys.alice, nonce="ab" * 16)
    alone = make_manual(declarations=(make_declaration(keys.alice), again))
    assert code_of(alone) is Code.DECISIONS_MISSING
    third = make_manual(declarations=(make_declaration(keys.alice), again, make_declaration(keys.bob)))
    assert code_of(third) is Code.DECISIONS_MISSING


def test_who_declares_is_enrolled_and_active(
    code_of: Make, in_stock: Make, make_decision: Make, keys: Any
) -> None:
    for stranger in (keys.carol, keys.stranger, keys.order):
        assert code_of(in_stock(people=(keys.alice, stranger))) is Code.KEY_UNTRUSTED
    for effective_at, code in (("2026-11-22T10:00:00Z", None), ("2026-11-22T10:00:01Z", Code.KEY_UNTRUSTED)):
        enrolments = tuple(make_decision(p, effective_at=effective_at) for p in (keys.alice, keys.bob))
        assert code_of(in_stock(people=(keys.alice, keys.carol), enrolments=enrolments)) is code


@pytest.mark.parametrize(
    "about",
    [
        {"kind": "exit"},
        {"kind": "wipe"},
        {"choice": "internal"},
        {"choice": "rented"},
        {"on": "ab" * 32},
        {"document_digest": "ab" * 32},
        {"document_digest": "not_applicable"},
        {"effective_at": "2026-11-22T10:00:01Z"},
        {"issued_at": "2026-11-22T10:00:01Z"},
    ],
)
def test_both_declare_the_same_of_this_host_and_before_the_order(
    about: dict[str, str], code_of: Make, in_stock: Make
) -> None:
    assert code_of(in_stock(about=about)) is Code.DECISIONS_MISSING


def test_a_declaration_for_a_demonstration_is_none(code_of: Make, in_stock: Make) -> None:
    assert code_of(in_stock(about={"purpose": "demonstration"})) is Code.PURPOSE_MISMATCH


def test_the_decisions_that_came_are_those_the_basis_names(
    code_of: Make, in_stock: Make, make_declaration: Make, keys: Any
) -> None:
    delivery = in_stock()
    exchanged = make_declaration(keys.bob, nonce="ab" * 16).write()
    for decisions in ((), delivery.decisions[:1], (*delivery.decisions, exchanged)):
        assert code_of(replace(delivery, decisions=decisions)) is Code.DECISIONS_MISSING
    replaced = replace(delivery, decisions=(delivery.decisions[0], exchanged))
    assert code_of(replaced) is Code.DECISIONS_MISSING


def test_an_approval_is_no_decision(code_of: Make, in_stock: Make, make_approval: Make, keys: Any) -> None:
    delivery = in_stock()
    other = replace(delivery, decisions=(delivery.decisions[0], make_approval(keys.bob).write()))
    assert code_of(other) is Code.TYPE_MISMATCH


def test_decisions_without_end_are_refused_before_they_are_read(code_of: Make, in_stock: Make) -> None:
    endless = replace(in_stock(), decisions=(b"not even an envelope",) * (MAX_DECISIONS + 1))
    assert code_of(endless) is Code.LIMIT_EXCEEDED


def test_a_host_in_stock_still_needs_its_plan_approved(
    code_of: Make, in_stock: Make, make_request: Make, keys: Any
) -> None:
    """Declaring what a host is for is not wanting it wiped."""
    alone = in_stock(approve=lambda digest: make_request(keys.alice, plan_digest=digest))
    assert code_of(alone) is Code.APPROVALS_MISSING
    assert code_of(in_stock(approve=lambda digest: ())) is Code.APPROVALS_MISSING
