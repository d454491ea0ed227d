"""An order is on record and logged before it is a command, and goes each way once."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import OrderId
from certificate.log import entry
from certificate.log.entry import LogKind
from controller.errors import Code, LostRace
from controller.states import State
from controller.store import deprovisions, ledger, log_rows, orders
from controller.store.orders import FinalAnswer, OrderState


def dispatch(scene: Any, key: OrderId) -> orders.StoredOrder:
    with scene.store.transaction() as tx:
        return orders.dispatch(tx, key, now=scene.at(1))


def withdraw(scene: Any, key: OrderId) -> orders.StoredOrder:
    with scene.store.transaction() as tx:
        envelope = scene.signed(f"withdrawal {key}")
        return orders.withdraw(tx, key, envelope=envelope, reason=Code.ORDER_STALE, now=scene.at(1))


def absent(scene: Any, key: OrderId) -> orders.StoredOrder:
    with scene.store.transaction() as tx:
        return orders.answer_absent(tx, key, envelope=scene.signed(f"absent {key}"), now=scene.at(2))


def test_an_order_is_row_ledger_event_and_log_entry_in_one(scene: Any) -> None:
    order = scene.intended()
    assert (order.state, order.dispatched_at, order.answer) == (OrderState.INTENDED, None, None)
    with scene.store.snapshot() as tx:
        assert orders.load(tx, order.id) == order
        assert orders.by_token(tx, order.token) == order
        logged = log_rows.load_entry(tx, order.log_seq)
        kinds = [event.kind for event in ledger.events(tx, deprovision=order.deprovision)]
    assert logged.payload_digest == order.payload_digest
    assert entry.read(logged.entry).kind is LogKind.ORDER
    assert kinds[-3:] == ["log-entry-added", "order-intended", "state-moved"]


def test_an_order_that_is_not_stored_is_not_logged(scene: Any) -> None:
    order = scene.intended()
    with pytest.raises(LostRace):
        scene.intended(order.deprovision)
    with scene.store.snapshot() as tx:
        assert log_rows.size(tx) == 2
        assert len(orders.of_deprovision(tx, order.deprovision)) == 1


def test_an_attempt_has_one_order_that_stands_and_a_new_one_after_withdrawal(scene: Any) -> None:
    first = scene.intended()
    withdraw(scene, first.id)
    second = scene.intended(first.deprovision)
    assert second.fence > first.fence
    with pytest.raises(LostRace):
        scene.intended(first.deprovision)
    third = scene.intended(first.deprovision, attempt=2)
    with scene.store.snapshot() as tx:
        assert orders.of_deprovision(tx, first.deprovision)[1:] == (second, third)
        latest = orders.latest(tx, first.deprovision, attempt=1)
        assert latest == second
        assert orders.latest(tx, first.deprovision, attempt=3) is None


@pytest.mark.parametrize("field", ["token", "fence"])
def test_a_token_and_a_fence_are_used_once(scene: Any, field: str) -> None:
    order = scene.intended()
    key, _ = scene.approved()
    new = scene.new_order(key, **{field: getattr(order, field)})
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        orders.intend(tx, new, envelope=scene.signed("another"), now=scene.at())


def test_an_order_is_dispatched_once(scene: Any) -> None:
    order = scene.intended()
    sent = dispatch(scene, order.id)
    assert (sent.state, sent.dispatched_at) == (OrderState.DISPATCHED, scene.at(1))
    with pytest.raises(LostRace):
        dispatch(scene, order.id)


def test_a_dispatched_order_is_never_withdrawn_and_a_withdrawn_one_never_dispatched(scene: Any) -> None:
    sent, kept = scene.intended(), scene.intended()
    dispatch(scene, sent.id)
    withdraw(scene, kept.id)
    with pytest.raises(LostRace):
        withdraw(scene, sent.id)
    with pytest.raises(LostRace):
        dispatch(scene, kept.id)
    with scene.store.snapshot() as tx:
        assert orders.withdrawal_of(tx, sent.id) is None
        assert log_rows.size(tx) == 4


def test_a_withdrawal_is_itself_logged(scene: Any) -> None:
    order = scene.intended()
    withdrawn = withdraw(scene, order.id)
    assert (withdrawn.state, withdrawn.withdrawn_at) == (OrderState.WITHDRAWN, scene.at(1))
    with scene.store.snapshot() as tx:
        stored = orders.withdrawal_of(tx, order.id)
        assert stored is not None
        logged = log_rows.load_entry(tx, stored.log_seq)
    assert (stored.reason, logged.kind) == ("ORDER_STALE", LogKind.WITHDRAWAL)
    assert logged.payload_digest == stored.payload_digest


def test_only_a_dispatched_order_is_answered_and_once(scene: Any) -> None:
    order = scene.intended()
    with pytest.raises(LostRace):
        absent(scene, order.id)
    dispatch(scene, order.id)
    answered = absent(scene, order.id)
    assert (answered.state, answered.answer) == (OrderState.ANSWERED, FinalAnswer.ABSENT)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        orders.answer_done(tx, order.id, now=scene.at(3))
    with scene.store.snapshot() as tx:
        kept = orders.absence_of(tx, order.id)
        assert kept is not None
        assert kept.envelope == scene.signed(f"absent {order.id}").write()


def test_a_second_signed_absence_does_not_replace_the_first(scene: Any) -> None:
    order = scene.intended()
    dispatch(scene, order.id)
    absent(scene, order.id)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        orders.answer_absent(tx, order.id, envelope=scene.signed("forged"), now=scene.at(3))


def test_nothing_is_cancelled_while_an_order_of_any_attempt_is_out(scene: Any) -> None:
    out, answered, done, kept = (scene.intended() for _ in range(4))
    for order in (out, answered, done):
        dispatch(scene, order.id)
    absent(scene, answered.id)
    with scene.store.transaction() as tx:
        orders.answer_done(tx, done.id, now=scene.at(2))
    with scene.store.snapshot() as tx:

        def open_orders(order: orders.StoredOrder) -> int:
            return len(orders.dispatched_without_absence(tx, order.deprovision))

        assert [open_orders(order) for order in (out, answered, done, kept)] == [1, 0, 1, 0]


def test_an_order_of_another_deprovision_of_the_host_is_seen_until_it_is_over(scene: Any) -> None:
    order = scene.intended()
    with scene.store.snapshot() as tx:
        row = deprovisions.load(tx, order.deprovision)
        other = scene.new(type(row.id))
        assert orders.live_elsewhere(tx, row.host, besides=other) == (order,)
        assert orders.live_elsewhere(tx, row.host, besides=row.id) == ()
        assert orders.live_elsewhere(tx, scene.host(), besides=other) == ()
    withdraw(scene, order.id)
    with scene.store.snapshot() as tx:
        assert orders.live_elsewhere(tx, row.host, besides=other) == ()


def test_caps_count_what_was_dispatched_since_and_where(scene: Any) -> None:
    for seconds, rack in ((0, "r1"), (10, "r1"), (20, "r2")):
        scene.genesis()
        key = scene.deprovision(scene.host(rack=rack))
        order = scene.intended(key)
        with scene.store.transaction() as tx:
            orders.dispatch(tx, order.id, now=scene.at(seconds))
    scene.intended()
    with scene.store.snapshot() as tx:
        assert orders.dispatched_since(tx, scene.at(0)) == 3
        assert orders.dispatched_since(tx, scene.at(10)) == 2
        assert orders.dispatched_since(tx, scene.at(0), place=orders.Place(site="fsn1", rack="r1")) == 2
        assert orders.dispatched_since(tx, scene.at(0), place=orders.Place(site="fsn2", rack="r1")) == 0
        assert orders.dispatched_since(tx, scene.at(21)) == 0


def test_the_point_of_no_return_is_one_transaction_or_none(scene: Any) -> None:
    order = scene.intended()

    def pass_the_point(fence: int) -> None:
        erasing = deprovisions.Move(new=State.ERASING, next_due_at=None)
        with scene.store.transaction() as tx:
            orders.dispatch(tx, order.id, now=scene.at())
            deprovisions.move(
                tx, order.deprovision, old=State.INTENDED, fence=fence, move=erasing, now=scene.at()
            )

    with pytest.raises(LostRace):
        pass_the_point(fence=0)
    with scene.store.snapshot() as tx:
        assert orders.load(tx, order.id).state is OrderState.INTENDED
        fence = deprovisions.load(tx, order.deprovision).fence
    pass_the_point(fence)
    with scene.store.snapshot() as tx:
        assert orders.load(tx, order.id).state is OrderState.DISPATCHED


def test_an_unknown_order_is_a_refusal(scene: Any) -> None:
    with pytest.raises(Refused) as refused, scene.store.snapshot() as tx:
        orders.load(tx, scene.new(OrderId))
    assert refused.value.code is Code.NOT_IN_STORE
