"""When a frozen store may work again: what refuses, from which instant on, and above which epoch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Refused
from certificate.identifiers import OrderId
from controller.errors import Code
from controller.reconciling import (
    FIRST_EPOCH_AT,
    ORDER_LIFE,
    QUARTER_HOUR,
    STANDS_FOR,
    OrderOut,
    Situation,
    epoch_above,
    not_before,
    require_reconcilable,
    require_time,
)
from controller.store.anchor import FrozenBecause
from controller.store.head import Head
from controller.store.identity import COUNTER_LIMIT, MAX_EPOCH

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def head(**changes: Any) -> Head:
    made = Head(store_id="5a" * 32, epoch=2, machine_id="here", ledger_seq=40, head="aa" * 32, log_size=12)
    return replace(made, **changes)


def situation(**changes: Any) -> Situation:
    """A backup that is ten events old; the log did not go on meanwhile."""
    restored = Situation(
        here=head(ledger_seq=30, head="bb" * 32),
        anchor=head(),
        because=FrozenBecause.STORE_BEHIND,
        machine_id="here",
        has_every_event=False,
        checkpoint_size=12,
        checkpoint_root="cc" * 32,
        shown_size=11,
        is_shown_log_ours=True,
        newest_signed_at=NOW - timedelta(hours=3),
        orders=(),
    )
    return replace(restored, **changes)


def order(**changes: Any) -> OrderOut:
    made = OrderOut(
        order=OrderId("ord_" + "0d" * 16),
        host="host-1",
        was_dispatched=True,
        is_answered=False,
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(made, **changes)


def code_of(found: Situation) -> str | None:
    try:
        require_reconcilable(found)
    except Refused as refusal:
        return refusal.code
    return None


# --- whether ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("because", [None, *FrozenBecause])
def test_only_a_frozen_store_is_reconciled(because: FrozenBecause | None) -> None:
    assert (code_of(situation(because=because)) == Code.RECONCILE_NOT_NEEDED) is (because is None)


def test_another_stores_anchor_is_left_alone() -> None:
    other = situation(anchor=head(store_id="66" * 32), because=FrozenBecause.ANOTHER_STORE)
    assert code_of(other) == Code.RECONCILE_ANOTHER_STORE


def test_a_log_that_lost_entries_does_not_go_on() -> None:
    assert code_of(situation(checkpoint_size=11)) == Code.RECONCILE_LOG_BEHIND
    assert code_of(situation(checkpoint_size=12)) is None


def test_entries_that_a_frozen_store_added_do_not_stand_for_those_it_lost() -> None:
    """The log has as many entries as the anchor says, and not the same ones: only signed ones count."""
    grown = situation(checkpoint_size=11, here=head(head="bb" * 32, ledger_seq=30, log_size=12))
    assert code_of(grown) == Code.RECONCILE_LOG_BEHIND


@pytest.mark.parametrize("anchor", [None, head()])
def test_a_certificate_of_this_home_shows_how_long_the_log_was(anchor: Head | None) -> None:
    """Also where the anchor is lost, and nobody else here knows."""
    longer = situation(anchor=anchor, because=FrozenBecause.ANCHOR_MISSING, shown_size=13)
    assert code_of(longer) == Code.RECONCILE_LOG_BEHIND
    other = situation(anchor=anchor, because=FrozenBecause.ANCHOR_MISSING, is_shown_log_ours=False)
    assert code_of(other) == Code.RECONCILE_LOG_BEHIND
    assert code_of(situation(anchor=anchor, because=FrozenBecause.ANCHOR_MISSING)) is None


def test_a_store_that_has_every_event_has_every_entry() -> None:
    moved = situation(
        because=FrozenBecause.ANOTHER_MACHINE, has_every_event=True, checkpoint_size=11, here=head()
    )
    assert code_of(moved) is None


def test_an_epoch_that_no_fence_can_hold_is_a_damaged_anchor() -> None:
    for epoch in (-1, MAX_EPOCH, 2**60):
        assert code_of(situation(anchor=head(epoch=epoch))) == Code.ANCHOR_INVALID


@pytest.mark.parametrize(
    ("changes", "leaves"),
    [
        ({}, True),
        ({"anchor": None, "because": FrozenBecause.ANCHOR_MISSING}, True),
        ({"has_every_event": True, "because": FrozenBecause.ANOTHER_MACHINE}, False),
    ],
)
def test_a_freeze_is_left_where_events_may_be_missing(changes: dict[str, Any], leaves: bool) -> None:
    assert situation(**changes).leaves_a_freeze is leaves


# --- when ---------------------------------------------------------------------------------------------------


def opens_at(found: Situation) -> datetime:
    return not_before(found, first_signed_at=NOW)


def test_an_order_that_nobody_here_heard_of_may_live_its_whole_life_from_the_first_signature_on() -> None:
    assert opens_at(situation()) == NOW + timedelta(seconds=900 + 60 + 5)
    assert opens_at(situation(has_every_event=True)) == opens_at(situation())


def test_an_order_that_is_known_lives_until_its_agent_refuses_it_and_a_minute_more() -> None:
    known = situation(orders=(order(), order(expires_at=NOW + timedelta(hours=2))))
    assert opens_at(known) == NOW + timedelta(hours=2) + STANDS_FOR


def test_what_was_answered_finally_is_not_waited_for_and_what_was_only_intended_is() -> None:
    assert opens_at(situation(orders=(order(is_answered=True),))) == NOW + ORDER_LIFE
    assert opens_at(situation(orders=(order(was_dispatched=False),))) == order().stands_until


def test_the_second_signature_counts_from_that_instant_on_and_not_before() -> None:
    known = situation(orders=(order(),))
    opened = opens_at(known)
    require_time(known, first_signed_at=NOW, now=opened)
    with pytest.raises(Refused) as refused:
        require_time(known, first_signed_at=NOW, now=opened - SECOND)
    assert refused.value.code is Code.RECONCILE_TOO_EARLY
    assert f"{opened:%Y-%m-%d %H:%M:%SZ}" in refused.value.reason


def test_a_clock_behind_what_we_signed_is_not_trusted_with_it() -> None:
    signed = situation(newest_signed_at=NOW + timedelta(days=1))
    with pytest.raises(Refused) as refused:
        require_time(signed, first_signed_at=NOW - timedelta(hours=5), now=NOW)
    assert refused.value.code is Code.TIME_UNTRUSTED


# --- above which epoch --------------------------------------------------------------------------------------


def test_the_epoch_is_above_the_stores_and_the_anchors_and_what_any_copy_can_have_reached() -> None:
    quarters = int((NOW - FIRST_EPOCH_AT) / QUARTER_HOUR)
    assert epoch_above(situation(), NOW) == quarters
    assert epoch_above(situation(anchor=None), NOW) == quarters
    assert epoch_above(situation(anchor=head(epoch=quarters + 7)), NOW) == quarters + 7
    assert epoch_above(situation(here=head(epoch=quarters + 9)), NOW) == quarters + 9


def test_fences_of_such_an_epoch_fit_into_signed_json_for_fifty_years() -> None:
    later = epoch_above(situation(), FIRST_EPOCH_AT + timedelta(days=59 * 365))
    assert later < MAX_EPOCH
    assert (later + 1) * COUNTER_LIMIT < 2**53


@given(
    waits=st.lists(st.integers(min_value=0, max_value=40_000), min_size=1, max_size=30),
    knows=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_however_often_and_on_whatever_copy_people_reconcile_fences_rise(
    waits: list[int], knows: list[bool]
) -> None:
    """Each reconciliation takes a copy of any age, with or without its anchor, and waits at least as long as
    an order lives.
    """
    at, epochs = NOW, [0]
    for number, wait in enumerate(waits):
        at += ORDER_LIFE + timedelta(seconds=wait)
        copied = epochs[wait % len(epochs)]
        anchored = head(epoch=epochs[-1]) if knows[number] else None
        epochs.append(epoch_above(situation(here=head(epoch=copied), anchor=anchored), at) + 1)
    assert epochs == sorted(set(epochs))
