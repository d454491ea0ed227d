"""A wipe by hand: two people, one plan, and no way past a customer who has not left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.statements import Order, Outcome, Summary
from certificate.statements import statement as statements
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import Trigger
from controller import case as cases
from controller import endings, manual
from controller.api import wipes
from controller.dispatch.lease import LEASE, Lease, uptime_seconds
from controller.effects import boot
from controller.errors import Code
from controller.observe import source
from controller.people import approving, deciding
from controller.states import State
from controller.store import deprovisions, hosts, ledger, orders, outcomes, plans, tenancies

WIPE, DISPOSITION = DecisionKind.WIPE, DecisionKind.DISPOSITION
HOST = "host-1"


@pytest.fixture
def left(world: Any) -> Any:
    """The customer of the world's host has left, and nobody scheduled anything yet."""
    world._beat("ended")
    return world


@pytest.fixture
def stock(world: Any, people: Any) -> Any:
    """A host that was never let, declared stock by two."""
    place_elsewhere(world)
    people.both(world, DISPOSITION, host=HOST, disposition="stock")
    return world


def place_elsewhere(world: Any) -> None:
    """The source names no tenancy of our host."""
    with sqlite3.connect(world.billing.path) as database:
        database.execute("UPDATE placement SET server = 'elsewhere'")
    database.close()
    world._beat()


def place_here(world: Any) -> None:
    with sqlite3.connect(world.billing.path) as database:
        database.execute("UPDATE placement SET server = ?", (HOST,))
    database.close()
    world._beat()


def begin(world: Any, people: Any) -> None:
    """By the first operator."""
    people.decide(world, world.operators[0], WIPE, host=HOST)


def planned(world: Any, people: Any) -> Any:
    begin(world, people)
    world.run(until=lambda world: world.state is State.PLANNED)
    return world


def refused(act: Callable[[], Any]) -> Code:
    with pytest.raises(Refused) as caught:
        act()
    assert isinstance(caught.value.code, Code)
    return caught.value.code


def order_of(world: Any) -> Order:
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
    return statements.read(dsse.read(order.envelope).payload, Order).predicate


def prospect(world: Any) -> Any:
    with world.program.store.snapshot() as tx:
        return wipes.told(tx, world.program, HOST)


def count(world: Any) -> int:
    with world.program.store.snapshot() as tx:
        return len(deprovisions.all_deprovisions(tx))


# --- the whole way ------------------------------------------------------------------------------------------


def test_a_host_whose_customer_left_is_wiped_by_two_people_from_request_to_release(
    left: Any, people: Any
) -> None:
    alice, bob = left.operators
    planned(left, people)
    assert people.request(left, alice).missing
    assert people.approve(left, bob).missing == ()
    left.run()
    assert (left.state, left.drive_text_count()) == (State.RELEASED, 0)
    order = order_of(left)
    assert order.trigger is Trigger.MANUAL
    assert order.basis.approvals_required == 2
    assert {each.keyid for each in order.basis.approvals} == {alice.public.keyid, bob.public.keyid}
    assert [each.state for each in order.basis.answers] == ["ended"]
    assert order.basis.decisions == ()


def test_a_host_in_stock_that_two_declared_is_wiped_over_an_empty_list(stock: Any, people: Any) -> None:
    alice, bob = stock.operators
    planned(stock, people)
    people.request(stock, alice)
    people.approve(stock, bob)
    stock.run()
    assert (stock.state, stock.drive_text_count()) == (State.RELEASED, 0)
    order = order_of(stock)
    assert (order.basis.disposition, order.plan.tenancy_ref) == ("stock", "not_applicable")
    assert (order.basis.tenancies.count, order.basis.answers) == (0, ())
    assert {each.keyid for each in order.basis.decisions} == {alice.public.keyid, bob.public.keyid}
    with stock.program.store.snapshot() as tx:
        (outcome,) = outcomes.of_deprovision(tx, stock.key)
        summary = outcomes.summary_of(tx, stock.key)
    custody = statements.read(outcome.payload, Outcome).predicate.custody
    assert (custody.tenancy_ref, custody.subscription_ref) == ("not_applicable", "not_applicable")
    assert summary is not None
    assert statements.read(summary.payload, Summary).predicate.custody == custody


def test_beginning_touches_the_host_only_after_its_guards_and_erases_nothing(left: Any, people: Any) -> None:
    begin(left, people)
    assert not left.switch.is_cut
    left.run(until=lambda world: world.state is State.PLANNED)
    assert left.switch.is_cut
    assert left.drive_text_count() > 0
    with left.program.store.snapshot() as tx:
        kinds = [event.kind for event in ledger.events(tx, deprovision=left.key)]
    assert "operator-commanded" in kinds
    assert "order-intended" not in kinds


# --- what refuses to begin, whoever signs -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "code"), [("active", Code.TENANCY_REMAINS), ("pending", Code.TENANCY_REMAINS)]
)
def test_a_live_tenancy_refuses_to_begin(world: Any, people: Any, state: str, code: Code) -> None:
    world._beat(state)
    assert refused(lambda: begin(world, people)) is code
    assert count(world) == 0


def test_a_source_that_says_nothing_refuses_to_begin(left: Any, people: Any) -> None:
    with sqlite3.connect(left.billing.path) as database:
        database.execute("DELETE FROM pulse")
    database.close()
    assert refused(lambda: begin(left, people)) in {Code.TIME_UNTRUSTED, Code.TENANCY_UNKNOWN}
    shown = prospect(left)
    assert {"TENANCY_LIST_UNKNOWN"} <= {each.code for each in shown.refusals}
    assert count(left) == 0


def test_a_renewal_between_the_look_and_the_signature_refuses_it(left: Any, people: Any) -> None:
    """The source is asked again when the decision is taken."""
    envelope = people.sign_decision(left, left.operators[0], WIPE, host=HOST)
    left.renew_silently()
    about = {"host": HOST}
    assert refused(lambda: deciding.take(left.program, WIPE, about, envelope)) is Code.TENANCY_REMAINS
    assert count(left) == 0


def test_a_host_that_is_leaving_a_tenancy_is_not_wiped_by_hand_as_well(
    world_in: Callable[[State], Any], people: Any
) -> None:
    world = world_in(State.QUARANTINED)
    assert refused(lambda: begin(world, people)) is Code.DEPROVISION_IS_LIVE
    assert count(world) == 1


def test_a_rented_host_that_was_never_let_is_not_wiped(world: Any, people: Any) -> None:
    place_elsewhere(world)
    assert refused(lambda: begin(world, people)) is Code.DISPOSITION_REFUSES


def test_one_persons_word_does_not_make_a_host_stock(world: Any, people: Any) -> None:
    place_elsewhere(world)
    people.decide(world, world.operators[0], DISPOSITION, host=HOST, disposition="stock")
    assert refused(lambda: begin(world, people)) is Code.DISPOSITION_REFUSES


def test_stock_that_was_let_meanwhile_refuses(stock: Any, people: Any) -> None:
    place_here(stock)
    assert refused(lambda: begin(stock, people)) is Code.TENANCY_REMAINS
    assert count(stock) == 0


def test_stock_that_is_let_after_the_approval_is_not_erased(stock: Any, people: Any) -> None:
    """Two declarations and two approvals do not outvote one tenancy that the source names."""
    planned(stock, people)
    people.request(stock, stock.operators[0])
    people.approve(stock, stock.operators[1])
    place_here(stock)
    ends_at = stock.now() + timedelta(minutes=2)
    stock.run(until=lambda world: world.now() > ends_at)
    assert stock.state is State.NEEDS_OPERATOR
    assert "let again" in stock.deprovision.operator_reason
    with stock.program.store.snapshot() as tx:
        assert orders.dispatched_since(tx, stock.deprovision.created_at) == 0
    assert stock.drive_text_count() > 0


def test_a_renewal_after_both_approved_gives_the_host_back(left: Any, people: Any) -> None:
    planned(left, people)
    people.request(left, left.operators[0])
    people.approve(left, left.operators[1])
    left.renew()
    left.run()
    assert (left.state, left.switch.is_cut) == (State.CANCELLED, False)
    assert left.drive_text_count() > 0


# --- who may stand behind a plan ----------------------------------------------------------------------------


def test_who_requested_does_not_approve(left: Any, people: Any) -> None:
    alice = planned(left, people).operators[0]
    people.request(left, alice)
    assert refused(lambda: people.approve(left, alice)) is Code.SELF_APPROVAL
    assert left.state is State.PLANNED


def test_a_request_alone_waits_and_then_goes_to_a_person(left: Any, people: Any) -> None:
    planned(left, people)
    people.request(left, left.operators[0])
    give_up_soon(left)
    left.run()
    assert left.state is State.NEEDS_OPERATOR
    assert orders_made(left) == 0
    assert left.drive_text_count() > 0


def give_up_soon(world: Any) -> None:
    """The state's deadline, without the week until it."""
    row = deprovisions.deprovision
    with world.program.store.transaction() as tx:
        tx.execute(row.update().values(deadline_at=world.now() + timedelta(minutes=2)))


def orders_made(world: Any) -> int:
    with world.program.store.snapshot() as tx:
        return len(orders.of_deprovision(tx, world.key))


def test_a_yes_without_a_request_is_refused(left: Any, people: Any) -> None:
    planned(left, people)
    assert refused(lambda: people.approve(left, left.operators[1])) is Code.REQUEST_MISSING


def test_a_strangers_key_counts_for_nothing(left: Any, people: Any) -> None:
    planned(left, people)
    people.request(left, left.operators[0])
    stranger = PrivateKey.generate()
    assert refused(lambda: people.approve(left, stranger)) is Code.NOT_AN_OPERATOR
    assert refused(lambda: people.decide(left, stranger, DecisionKind.EXIT, exit="restore", host=HOST)) is (
        Code.NOT_AN_OPERATOR
    )


def test_words_of_another_machine_approve_nothing(left: Any, people: Any) -> None:
    planned(left, people)
    people.request(left, left.operators[0])
    wrong = {"words": "host-1 b2b2"}
    assert refused(lambda: people.approve(left, left.operators[1], **wrong)) is Code.CONFIRMATION_WRONG


def test_an_approval_of_the_plan_before_a_reboot_is_void(left: Any, people: Any) -> None:
    alice, bob = planned(left, people).operators
    people.request(left, alice)
    yes = people.sign_plan(left, bob, "approve")
    restart(left)
    left.run(until=lambda world: world.state is State.PLANNED and plans_made(world) == 2)
    assert refused(lambda: approving.take(left.program, yes)) is Code.PLAN_NOT_PRESENT
    assert people.request(left, alice).missing
    assert people.approve(left, bob).missing == ()


def restart(world: Any) -> None:
    """The machine is started again: whoever answers then proves another boot."""
    with world.program.store.transaction() as tx:
        row = deprovisions.claim(tx, world.key, owner="test", now=world.now(), lease=LEASE)
        case = cases.load(tx, world.key)
    lease = Lease(world.program, world.key, fence=row.fence, since_seconds=uptime_seconds())
    boot.perform(world.program, case, lease=lease)
    with world.program.store.transaction() as tx:
        deprovisions.release_lease(tx, world.key, fence=row.fence)
        deprovisions.wake(tx, world.key, now=world.now())


def plans_made(world: Any) -> int:
    with world.program.store.snapshot() as tx:
        return sum(event.kind == "plan-made" for event in ledger.events(tx, deprovision=world.key))


def test_an_approval_of_another_hosts_plan_does_not_fit(left: Any, people: Any) -> None:
    """The digest that was approved is that of this very plan, or nothing was approved."""
    alice, bob = planned(left, people).operators
    people.request(left, alice)
    with left.program.store.snapshot() as tx:
        stored = plans.current(tx, left.key, attempt=1)
    assert stored is not None
    people.approve(left, bob)
    with left.program.store.snapshot() as tx:
        assert plans.approvals_of(tx, left.key, attempt=1, plan_digest="0" * 64) == ()
        assert len(plans.approvals_of(tx, left.key, attempt=1, plan_digest=stored.digest)) == 2


# --- the dry run --------------------------------------------------------------------------------------------


def test_a_dry_run_stores_answers_and_nothing_else(left: Any) -> None:
    with left.program.store.snapshot() as tx:
        host = hosts.by_asset_tag(tx, HOST)
        before = {event.kind for event in ledger.events(tx)}
    assert host is not None
    manual.ask(left.program, host)
    shown = prospect(left)
    with left.program.store.snapshot() as tx:
        after = {event.kind for event in ledger.events(tx)}
    assert after - before <= {"answer-changed", "tenancy-recorded"}
    assert (shown.refusals, shown.deprovision, shown.plan) == ((), None, None)
    assert [(each.answer, each.counts_as) for each in shown.tenancies] == [("ended", "ended")]
    assert (shown.list_is_complete, shown.list_count) == ("yes", 1)
    assert [drive.serial_ends_in for drive in shown.drives] == ["AGE1"]
    assert "SABOTAGE1" not in shown.to_json()


def test_a_dry_run_names_everything_that_refuses_and_what_is_in_the_way(world: Any, people: Any) -> None:
    people.decide(
        world, world.operators[0], DecisionKind.HOLD, scope=f"host={HOST}", matter="case 7", review="P7D"
    )
    with world.program.store.snapshot() as tx:
        host = hosts.by_asset_tag(tx, HOST)
    manual.ask(world.program, host)
    shown = prospect(world)
    assert {"HELD", "TENANCY_REMAINS"} <= {each.code for each in shown.refusals}
    assert all(each.remedy for each in shown.refusals)
    assert any("case 7" in each for each in shown.in_the_way)


def test_the_plan_stands_in_the_dry_run_once_the_drives_were_listed(left: Any, people: Any) -> None:
    alice = planned(left, people).operators[0]
    people.request(left, alice)
    shown = prospect(left)
    with left.program.store.snapshot() as tx:
        stored = plans.current(tx, left.key, attempt=1)
    assert stored is not None
    assert shown.plan is not None
    assert (shown.plan.digest, shown.plan.requested_by) == (stored.digest, (alice.public.keyid,))
    assert shown.deprovision is not None
    assert shown.deprovision.trigger == "manual"


# --- grace --------------------------------------------------------------------------------------------------


def test_a_let_host_has_its_grace_from_when_we_first_saw_it_ended(left: Any, people: Any) -> None:
    """Also where it was seen long before somebody wipes it by hand: then nobody waits twice."""
    host = host_of(left)
    manual.ask(left.program, host)
    first_at = seen_ended_at(left)
    left._skip_to(left.now() + timedelta(hours=1))
    left._beat()
    begin(left, people)
    assert seen_ended_at(left) == first_at < left.now() - timedelta(minutes=59)
    assert left.deprovision.grace_until == first_at + left.program.configuration.lifecycle.grace


@pytest.mark.parametrize("days", [1, 400])
def test_an_end_that_the_source_dates_back_shortens_no_grace(left: Any, people: Any, days: int) -> None:
    """A subscription that ends today, dated to its due date."""
    with sqlite3.connect(left.billing.path) as database:
        (dated,) = database.execute("SELECT updated FROM contract").fetchone()
        back = datetime.fromisoformat(dated) - timedelta(days=days)
        database.execute("UPDATE contract SET updated = ?", (back.strftime("%Y-%m-%dT%H:%M:%SZ"),))
    database.close()
    asked_at = left.now()
    begin(left, people)
    with left.program.store.snapshot() as tx:
        (tenancy,) = tenancies.of_host(tx, left.deprovision.host)
        assert source.ended_at(tx, tenancy) == back
    assert left.deprovision.grace_until >= asked_at + left.program.configuration.lifecycle.grace


def test_a_second_end_is_seen_from_its_own_first_answer(left: Any) -> None:
    host = host_of(left)
    manual.ask(left.program, host)
    first_at = seen_ended_at(left)
    left._beat("active")
    manual.ask(left.program, host)
    assert seen_ended_at(left) is None
    left._skip_to(left.now() + timedelta(days=30))
    left._beat("ended")
    manual.ask(left.program, host)
    assert seen_ended_at(left) > first_at + timedelta(days=29)


def host_of(world: Any) -> Any:
    with world.program.store.snapshot() as tx:
        return hosts.by_asset_tag(tx, HOST)


def seen_ended_at(world: Any) -> Any:
    with world.program.store.snapshot() as tx:
        (tenancy,) = tenancies.of_host(tx, host_of(world).id)
        return endings.first_seen_ended(tx, tenancy.id)


def test_a_host_that_was_never_let_has_no_grace(stock: Any, people: Any) -> None:
    begin(stock, people)
    assert stock.deprovision.grace_until <= stock.now()
    assert stock.deprovision.tenancy is None


def test_an_end_that_the_source_does_not_date_counts_from_now(
    left: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with left.program.store.snapshot() as tx:
        host = hosts.by_asset_tag(tx, HOST)
    manual.ask(left.program, host)
    week = timedelta(days=7)
    lifecycle = left.program.configuration.lifecycle
    monkeypatch.setattr(type(lifecycle), "grace", week, raising=False)
    monkeypatch.setattr(source, "ended_at", lambda tx, tenancy: None)
    with left.program.store.snapshot() as tx:
        seen = manual.prospect(tx, left.program, host)
    assert seen.grace_until >= left.now() + lifecycle.grace - timedelta(minutes=1)
