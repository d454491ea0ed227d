"""A plan is requested by one person and approved by another, each once, for this attempt and no other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.delivery import APPROVAL_LIFE
from certificate.keys import PrivateKey
from certificate.statements import Order, Purpose
from certificate.statements import statement as statements
from controller.people import approving, counting
from controller.states import State
from controller.store import deprovisions, orders, plans, sightings
from controller.store.sightings import Provenance

SECOND = timedelta(seconds=1)


def behind(crew: Any) -> set[str]:
    """Who stands behind the present plan, as guards, basis and delivery count."""
    with crew.program.store.snapshot() as tx:
        found = counting.approvals(tx, crew.program, crew.people.case, now=crew.program.clock())
    return {each.keyid for each in found}


def proceed(crew: Any, *, until: State = State.APPROVED) -> State:
    """What it comes to in a few rounds, with a little time between them."""
    for _ in range(8):
        crew.world.step(lambda world: world.state is until)
        crew.pass_time(6 * SECOND)
    state: State = crew.world.state
    return state


def test_one_requests_another_approves_and_the_wipe_goes_on(waiting: Any) -> None:
    assert waiting.people.request(by=waiting.alice).missing != ()
    assert waiting.people.approve(by=waiting.bob).missing == ()
    waiting.world.run()
    assert waiting.world.state is State.RELEASED
    assert waiting.world.drive_text_count() == 0
    with waiting.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, waiting.world.key)
    basis = statements.read(dsse.read(order.envelope).payload, Order).predicate.basis
    assert {each.keyid for each in basis.approvals} == {
        waiting.alice.public.keyid,
        waiting.bob.public.keyid,
    }


def test_where_a_tenancy_ended_a_yes_needs_no_request_and_travels_along(world_in: Any, signing: Any) -> None:
    world = world_in(State.PLANNED)
    alice, bob = world.operators
    crew = signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)
    crew.people.approve(by=alice)
    assert crew.refused(lambda: crew.people.approve(by=alice)) == "APPROVAL_REPEATED"
    world.run()
    assert world.state is State.RELEASED
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
    basis = statements.read(dsse.read(order.envelope).payload, Order).predicate.basis
    assert [each.keyid for each in basis.approvals] == [alice.public.keyid]


def test_a_third_operator_approves_and_the_chain_travels_to_the_agent(waiting: Any) -> None:
    carol = waiting.newcomer()
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=carol)
    waiting.world.run()
    assert waiting.world.state is State.RELEASED


def test_nobody_approves_their_own_request(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    assert waiting.refused(lambda: waiting.people.approve(by=waiting.alice)) == "SELF_APPROVAL"
    assert proceed(waiting) is State.PLANNED


def test_two_statements_by_one_key_are_refused(waiting: Any) -> None:
    waiting.newcomer()
    waiting.people.request(by=waiting.alice)
    assert waiting.refused(lambda: waiting.people.request(by=waiting.alice)) == "APPROVAL_REPEATED"
    waiting.people.approve(by=waiting.bob)
    assert waiting.refused(lambda: waiting.people.approve(by=waiting.bob)) == "APPROVAL_REPEATED"


def test_a_second_request_of_the_same_plan_is_refused(waiting: Any) -> None:
    """Otherwise two requesters could leave nobody to approve."""
    waiting.people.request(by=waiting.alice)
    assert waiting.refused(lambda: waiting.people.request(by=waiting.bob)) == "APPROVAL_REPEATED"


def test_the_same_statement_again_changes_nothing(waiting: Any) -> None:
    request = waiting.people.approval("request", waiting.alice)
    first = approving.take(waiting.program, request)
    assert approving.take(waiting.program, request) == first
    assert behind(waiting) == {waiting.alice.public.keyid}


def test_a_yes_without_a_request_is_refused(waiting: Any) -> None:
    assert waiting.refused(lambda: waiting.people.approve(by=waiting.bob)) == "REQUEST_MISSING"


@pytest.mark.parametrize("answers", ["not_applicable", "a" * 64])
def test_a_yes_to_another_request_is_refused(waiting: Any, answers: str) -> None:
    waiting.people.request(by=waiting.alice)
    act = lambda: waiting.people.approve(by=waiting.bob, request_digest=answers)  # noqa: E731
    assert waiting.refused(act) == "REQUEST_MISSING"


def test_a_stranger_neither_requests_nor_approves(waiting: Any) -> None:
    stranger = PrivateKey.generate()
    assert waiting.refused(lambda: waiting.people.request(by=stranger)) == "NOT_AN_OPERATOR"
    waiting.people.request(by=waiting.alice)
    assert waiting.refused(lambda: waiting.people.approve(by=stranger)) == "NOT_AN_OPERATOR"
    forged = waiting.people.approval("approve", waiting.bob, signer=stranger)
    assert waiting.refused(lambda: approving.take(waiting.program, forged)) == "SIGNATURE_INVALID"


def test_an_inert_operator_approves_nothing(waiting: Any) -> None:
    carol = waiting.newcomer(inert_seconds=3600)
    waiting.people.request(by=waiting.alice)
    assert waiting.refused(lambda: waiting.people.approve(by=carol)) == "NOT_AN_OPERATOR"


def test_the_yes_of_a_revoked_operator_counts_nothing(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.people.decide("revoke", {"keyid": waiting.bob.public.keyid}, by=waiting.alice)
    assert behind(waiting) == {waiting.alice.public.keyid}
    assert proceed(waiting) is State.PLANNED


def test_a_yes_falls_with_the_request_that_it_answers(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.people.decide("revoke", {"keyid": waiting.alice.public.keyid}, by=waiting.bob)
    assert behind(waiting) == set()


def test_a_revocation_before_the_order_is_sent_keeps_it_from_being_sent(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.world.run(until=lambda world: world.state is State.INTENDED)
    waiting.people.decide("revoke", {"keyid": waiting.bob.public.keyid}, by=waiting.alice)
    assert proceed(waiting, until=State.ERASING) is State.INTENDED
    assert waiting.world.drive_text_count() > 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": Purpose.PRODUCTION}, "PURPOSE_MISMATCH"),
        ({"plan_digest": "a" * 64}, "PLAN_NOT_PRESENT"),
        ({"subject": "a" * 64}, "APPROVAL_INVALID"),
        ({"deprovision": "dep_" + "a" * 32}, "CONFIRMATION_WRONG"),
        ({"words": "host-1 4711"}, "CONFIRMATION_WRONG"),
        ({"words": "host-2 a1a1"}, "CONFIRMATION_WRONG"),
        ({"words": "host-1"}, "CONFIRMATION_WRONG"),
        ({"words": ""}, "CONFIRMATION_WRONG"),
        ({"request_digest": "a" * 64}, "APPROVAL_INVALID"),
    ],
)
def test_a_request_of_anything_else_is_refused(waiting: Any, changes: dict[str, Any], code: str) -> None:
    found = waiting.refused(lambda: waiting.people.request(by=waiting.alice, **changes))
    expected = {code, "APPROVAL_INVALID"} if "deprovision" in changes else {code}
    assert found in expected
    assert behind(waiting) == set()


def test_words_are_read_without_regard_to_case_and_spaces(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice, words="  HOST-1   A1A1 ")
    assert behind(waiting) == {waiting.alice.public.keyid}


def test_a_statement_lives_a_day_at_most(waiting: Any) -> None:
    now = waiting.program.whole_second()
    for expires_at in (now + APPROVAL_LIFE + SECOND, now):
        act = lambda at=expires_at: waiting.people.request(by=waiting.alice, expires_at=at)  # noqa: E731
        assert waiting.refused(act) == "APPROVAL_INVALID"


def test_a_statement_of_the_future_or_of_yesterday_is_refused(waiting: Any) -> None:
    now = waiting.program.whole_second()
    for issued_at in (now + timedelta(minutes=5), now - APPROVAL_LIFE):
        act = lambda at=issued_at: waiting.people.request(by=waiting.alice, issued_at=at)  # noqa: E731
        assert waiting.refused(act) == "DECISION_STALE"


def test_an_expired_yes_counts_nothing_and_may_be_given_again(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob, expires_at=waiting.program.whole_second() + 2 * SECOND)
    assert len(behind(waiting)) == 2
    waiting.pass_time(3 * SECOND)
    assert behind(waiting) == {waiting.alice.public.keyid}
    waiting.people.approve(by=waiting.bob)
    assert len(behind(waiting)) == 2


def test_one_byte_of_the_plan_changed_voids_every_statement(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    case = waiting.people.case
    text = case.plan.text.replace(b'"floor":"purge"', b'"floor":"clear"')
    assert text != case.plan.text
    with waiting.program.store.transaction() as tx:
        plans.record(
            tx, case.id, attempt=1, text=text, boot_id=case.plan.boot_id, now=waiting.program.clock()
        )
    assert behind(waiting) == set()


def test_what_was_given_for_one_attempt_is_void_in_the_next(waiting: Any) -> None:
    """The same boot and drives make the same plan: its digest alone would let the old yes count again."""
    request = waiting.people.approval("request", waiting.alice)
    approving.take(waiting.program, request)
    waiting.people.approve(by=waiting.bob)
    unsent = waiting.people.approval("request", waiting.bob)
    case = waiting.people.case
    waiting.pass_time(2 * SECOND)
    with waiting.program.store.transaction() as tx:
        now = waiting.program.clock()
        tx.execute(deprovisions.deprovision.update().values(attempt=2))
        plans.record(tx, case.id, attempt=2, text=case.plan.text, boot_id=case.plan.boot_id, now=now)
    assert waiting.people.case.plan.digest == case.plan.digest
    assert behind(waiting) == set()
    for old in (request, unsent):
        assert waiting.refused(lambda old=old: approving.take(waiting.program, old)) == "APPROVAL_INVALID"
    waiting.people.request(by=waiting.alice)
    assert behind(waiting) == {waiting.alice.public.keyid}


def test_nothing_is_approved_once_the_order_is_made(waiting: Any) -> None:
    carol = waiting.newcomer()
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.world.run(until=lambda world: world.state is State.INTENDED)
    assert waiting.refused(lambda: waiting.people.approve(by=carol)) == "PLAN_NOT_PRESENT"


def test_an_old_store_takes_no_approval(waiting: Any) -> None:
    request = waiting.people.approval("request", waiting.alice)
    (waiting.world.folder / "anchor.json").unlink()
    assert waiting.refused(lambda: approving.take(waiting.program, request)) == "STORE_NOT_CURRENT"


# --- what strangers read ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["host-1 goes back", "SABOTAGE 1", "sub-1 is over", "ada@example.org"])
def test_a_reason_that_names_somebody_is_neither_a_request_nor_a_yes(waiting: Any, reason: str) -> None:
    request = waiting.people.approval("request", waiting.alice, reason=reason)
    assert waiting.refused(lambda: approving.take(waiting.program, request)) == "REASON_NAMES_SOMEBODY"
    assert behind(waiting) == set()
    waiting.people.request(by=waiting.alice)
    yes = waiting.people.approval("approve", waiting.bob, reason=reason)
    assert waiting.refused(lambda: approving.take(waiting.program, yes)) == "REASON_NAMES_SOMEBODY"
    assert behind(waiting) == {waiting.alice.public.keyid}


def test_a_yes_that_says_a_name_learnt_since_is_sent_to_no_agent(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob, reason="the other drive, LATER-4711, is on its way")
    assert behind(waiting) == {waiting.alice.public.keyid, waiting.bob.public.keyid}
    with waiting.program.store.transaction() as tx:
        sightings.record(
            tx,
            waiting.people.case.host.id,
            provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
            facts=(),
            drives=("LATER4711",),
            now=waiting.program.clock(),
        )
    assert behind(waiting) == {waiting.alice.public.keyid}
    assert proceed(waiting) is State.PLANNED
    waiting.people.approve(by=waiting.bob)
    assert behind(waiting) == {waiting.alice.public.keyid, waiting.bob.public.keyid}
