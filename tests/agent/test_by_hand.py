"""A wipe by hand, as an agent meets it: real `execute` lines, and a drive that must not have been touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certificate.messages import Accepted, Execute, Refusal

Approve = Callable[[Any], tuple[Any, ...]]


def text(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


def refused(lab: Any, request: Execute) -> str:
    """The code of the refusal, which there must be, with nothing begun and nothing spent."""
    answer = lab.ask(request)
    assert isinstance(answer, Refusal), answer
    assert all(drive.state().sanitize.status == "never" for drive in lab.drives)
    assert not lab.run_directory.is_executing()
    assert not list(lab.run_directory.path.glob("tokens/*/record.json"))
    return answer.code


@pytest.fixture
def lab(make_lab: Any) -> Any:
    return make_lab()


@pytest.fixture
def two(lab: Any) -> Approve:
    """Alice requests, Bob approves."""
    return lambda plan: lab.asked_and_answered(plan, "alice", "bob")


# --- two distinct enrolled keys -----------------------------------------------------------------------------


def test_what_one_requested_and_another_approved_is_done(lab: Any, two: Approve) -> None:
    order, request = lab.by_hand(two)
    assert isinstance(lab.ask(request), Accepted)
    lab.run(order)
    assert lab.claim(order, "SN-1").result.value == "erased"


def test_an_operator_who_was_enrolled_by_two_may_be_the_second(lab: Any) -> None:
    enrolments = (lab.enrolment("alice", "carol"), lab.enrolment("bob", "carol"))
    _, request = lab.by_hand(
        lambda plan: lab.asked_and_answered(plan, "alice", "carol"), enrolments=enrolments
    )
    assert isinstance(lab.ask(request), Accepted)


PEOPLE: dict[str, tuple[Callable[[Any, Any], tuple[Any, ...]], str]] = {
    "nobody": (lambda lab, plan: (), "APPROVALS_MISSING"),
    "a request alone": (lambda lab, plan: lab.asked_and_answered(plan, "alice"), "APPROVALS_MISSING"),
    "its own requester": (
        lambda lab, plan: lab.asked_and_answered(plan, "alice", "alice"),
        "APPROVALS_MISSING",
    ),
    "two yeses and no request": (
        lambda lab, plan: (lab.approval("alice", plan), lab.approval("bob", plan)),
        "APPROVALS_MISSING",
    ),
    "two requests": (
        lambda lab, plan: (
            lab.approval("alice", plan, kind="request"),
            lab.approval("bob", plan, kind="request"),
        ),
        "APPROVALS_MISSING",
    ),
    "one key twice behind a second": (
        lambda lab, plan: lab.asked_and_answered(plan, "alice", "bob", "bob"),
        "APPROVALS_MISSING",
    ),
    "an answer to another request": (
        lambda lab, plan: (
            lab.approval("alice", plan, kind="request"),
            lab.approval("bob", plan, request_digest="ab" * 32),
        ),
        "APPROVALS_MISSING",
    ),
    "a request that answers one": (
        lambda lab, plan: (lab.approval("alice", plan, kind="request", request_digest="ab" * 32),),
        "SUBJECT_MISMATCH",
    ),
    "somebody not enrolled": (
        lambda lab, plan: lab.asked_and_answered(plan, "alice", "mallory"),
        "KEY_UNTRUSTED",
    ),
    "the controller's own key": (
        lambda lab, plan: lab.asked_and_answered(plan, "alice", "order"),
        "KEY_UNTRUSTED",
    ),
    "another's name": (
        lambda lab, plan: (
            *lab.asked_and_answered(plan, "alice"),
            lab.approval("mallory", plan, operator=lab.root.operators[1].keyid),
        ),
        "SIGNATURE_INVALID",
    ),
    "an approval that has expired": (
        lambda lab, plan: (
            *lab.asked_and_answered(plan, "alice"),
            lab.approval("bob", plan, issued_at=text(hours=-24), expires_at=text(seconds=-1)),
        ),
        "APPROVALS_MISSING",
    ),
    "an approval for a week": (
        lambda lab, plan: (
            *lab.asked_and_answered(plan, "alice"),
            lab.approval("bob", plan, expires_at=text(days=7)),
        ),
        "APPROVALS_MISSING",
    ),
    "an approval of another plan": (
        lambda lab, plan: (
            *lab.asked_and_answered(plan, "alice"),
            lab.approval("bob", plan, plan_digest="ab" * 32),
        ),
        "PLAN_MISMATCH",
    ),
    "an approval of another deprovision": (
        lambda lab, plan: (
            *lab.asked_and_answered(plan, "alice"),
            lab.approval("bob", plan, deprovision="dep_" + "00" * 16),
        ),
        "PLAN_MISMATCH",
    ),
    "an approval for a demonstration": (
        lambda lab, plan: (
            *lab.asked_and_answered(plan, "alice"),
            lab.approval("bob", plan, purpose="demonstration"),
        ),
        "PURPOSE_MISMATCH",
    ),
}


@pytest.mark.parametrize("who", sorted(PEOPLE))
def test_a_wipe_by_hand_is_refused_when_behind_it_stands(who: str, lab: Any) -> None:
    approve, code = PEOPLE[who]
    _, request = lab.by_hand(lambda plan: approve(lab, plan))
    assert refused(lab, request) == code


@pytest.mark.parametrize("who", ["inert", "one sponsor", "itself"])
def test_an_operator_who_does_not_count_yet_is_not_the_second(who: str, lab: Any) -> None:
    later = {"effective_at": text(hours=72)}
    enrolments = {
        "inert": (lab.enrolment("alice", "carol", **later), lab.enrolment("bob", "carol", **later)),
        "one sponsor": (lab.enrolment("alice", "carol"),),
        "itself": (lab.enrolment("alice", "carol"), lab.enrolment("carol", "carol")),
    }[who]
    _, request = lab.by_hand(
        lambda plan: lab.asked_and_answered(plan, "alice", "carol"), enrolments=enrolments
    )
    assert refused(lab, request) == "KEY_UNTRUSTED"


def test_approvals_that_the_order_does_not_name_do_not_help_it(lab: Any, two: Approve) -> None:
    for basis in ({"approvals": []}, {"approvals": [{"digest": "ab" * 32, "keyid": key(lab, 0)}] * 2}):
        _, request = lab.by_hand(two, basis=basis)
        assert refused(lab, request) == "APPROVALS_MISSING"


def key(lab: Any, number: int) -> str:
    keyid: str = lab.root.operators[number].keyid
    return keyid


# --- why we may ---------------------------------------------------------------------------------------------


def test_a_host_that_two_declared_as_stock_is_wiped_by_hand(lab: Any, two: Approve) -> None:
    _, request = lab.by_hand(two, declarations=(lab.decision("alice"), lab.decision("bob")))
    assert isinstance(lab.ask(request), Accepted)


@pytest.mark.parametrize(
    "declared",
    [
        ({"person": "alice"},),
        ({"person": "alice"}, {"person": "alice", "nonce": "ab" * 16}),
        ({"person": "alice"}, {"person": "bob", "choice": "internal"}),
        ({"person": "alice"}, {"person": "bob", "on": "ab" * 32}),
        ({"person": "alice"}, {"person": "bob", "document_digest": "ab" * 32}),
        ({"person": "alice"}, {"person": "bob", "kind": "exit"}),
        ({"person": "alice"}, {"person": "bob", "effective_at": text(days=2)}),
    ],
)
def test_a_host_that_two_did_not_declare_alike_is_not(
    declared: tuple[dict[str, str], ...], lab: Any, two: Approve
) -> None:
    declarations = tuple(lab.decision(**said) for said in declared)
    _, request = lab.by_hand(two, declarations=declarations)
    assert refused(lab, request) == "DECISIONS_MISSING"


def test_a_declaration_opens_no_door_for_an_order_that_nobody_asked_for(lab: Any) -> None:
    declarations = (lab.decision("alice"), lab.decision("bob"))
    _, request = lab.by_hand(lambda plan: (), declarations=declarations, trigger="ended")
    assert refused(lab, request) in ("APPROVALS_MISSING", "BASIS_INSUFFICIENT")


@pytest.mark.parametrize("state", ["active", "pending", "unknown"])
def test_no_number_of_people_outweighs_a_live_tenancy(state: str, lab: Any, two: Approve) -> None:
    basis = lab.order().basis.model_dump(mode="json")
    answer = basis["answers"][0] | {"state": state}
    _, request = lab.by_hand(two, basis={"answers": [answer]})
    assert refused(lab, request) == "BASIS_INSUFFICIENT"


@pytest.mark.parametrize("name", ["is_frozen", "holds"])
def test_an_order_that_says_of_itself_that_it_was_stopped_is_refused(
    name: str, lab: Any, two: Approve
) -> None:
    _, request = lab.by_hand(two, basis={name: "yes"})
    assert refused(lab, request) == "BASIS_INSUFFICIENT"


# --- an approval is good once -------------------------------------------------------------------------------


def again(lab: Any, approvals: tuple[Any, ...]) -> tuple[Any, Execute]:
    """Another order, with a token of its own, on the same approvals."""
    order, request = lab.by_hand(lambda plan: approvals)
    return order, request


@pytest.fixture
def approvals(lab: Any, two: Approve) -> tuple[Any, ...]:
    return two(lab.plan(lab.inventory()))


def test_the_same_approvals_do_not_carry_a_second_order(lab: Any, approvals: tuple[Any, ...]) -> None:
    order, request = again(lab, approvals)
    assert isinstance(lab.ask(request), Accepted)
    lab.run(order)
    second, request = again(lab, approvals)
    answer = lab.ask(request)
    assert isinstance(answer, Refusal)
    assert answer.code == "APPROVAL_SPENT"
    assert lab.status(second.token).state == "absent"


def test_not_even_one_of_them_is_used_again(lab: Any, approvals: tuple[Any, ...]) -> None:
    """A new yes to an old request is half an approval."""
    order, request = again(lab, approvals)
    lab.ask(request)
    lab.run(order)
    plan = lab.plan(lab.inventory())
    fresh = lab.approval("bob", plan, request_digest=approvals[0].payload_digest, nonce="cd" * 16)
    _, request = again(lab, (approvals[0], fresh))
    assert lab.ask(request).code == "APPROVAL_SPENT"


def test_new_approvals_of_the_same_plan_carry_a_new_order(
    lab: Any, approvals: tuple[Any, ...], two: Approve
) -> None:
    order, request = again(lab, approvals)
    lab.ask(request)
    lab.run(order)
    _, request = lab.by_hand(two)
    assert isinstance(lab.ask(request), Accepted)


def test_an_order_that_was_never_accepted_spends_nothing(lab: Any, approvals: tuple[Any, ...]) -> None:
    order, request = again(lab, approvals)
    lab.status(order.token, finalise=True)
    assert lab.ask(request).code == "TOKEN_POISONED"
    _, request = again(lab, approvals)
    assert isinstance(lab.ask(request), Accepted)


def test_an_order_that_was_given_up_before_it_began_gives_them_back(
    lab: Any, approvals: tuple[Any, ...]
) -> None:
    order, request = again(lab, approvals)
    assert isinstance(lab.ask(request), Accepted)
    lab.close()
    lab.locks.clear()
    assert lab.status(order.token, finalise=True).state == "absent"
    _, request = again(lab, approvals)
    assert isinstance(lab.ask(request), Accepted)


def test_a_restart_of_the_agent_forgets_but_voids_them_too(lab: Any, approvals: tuple[Any, ...]) -> None:
    """The plan names the boot, so that what was approved before the restart is another plan."""
    order, request = again(lab, approvals)
    lab.ask(request)
    lab.run(order)
    lab.boot()
    _, request = again(lab, approvals)
    assert lab.ask(request).code == "PLAN_MISMATCH"
