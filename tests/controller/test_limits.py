"""How much may be wiped in a window: the last place is taken once, and by its taker not twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from certificate.identifiers import DeprovisionId, HostId
from controller import case as cases
from controller import limits
from controller.case import Case
from controller.configuration import Limits
from controller.states import State
from controller.store import deprovisions, hosts, orders

#: Every cap over dispatches in a window, and how long its window is.
WINDOWS = {
    "per_hour": limits.HOUR,
    "per_day": limits.DAY,
    "per_site_per_day": limits.DAY,
    "per_rack_per_day": limits.DAY,
    "per_customer_per_day": limits.DAY,
}
WIDE = dict.fromkeys((*WINDOWS, "concurrent", "fleet_percent_per_day"), 100)
NARROW = dict.fromkeys(WIDE, 1)
SECOND = timedelta(seconds=1)


class Dispatched:
    """One order that was dispatched, in a transaction of the test."""

    def __init__(self, tx: Connection, case: Case, at: datetime) -> None:
        self.tx, self.at = tx, at
        assert case.order is not None
        self.before = case
        orders.dispatch(tx, case.order.id, now=at)
        self.own = cases.load(tx, case.id)
        self.register(9)
        #: Another host's deprovision in the same rack, which has no order yet.
        self.next = replace(
            case,
            order=None,
            host=replace(case.host, id=HostId.from_random(b"o" * 16)),
            deprovision=replace(case.deprovision, id=DeprovisionId.from_random(b"o" * 16)),
        )

    def register(self, count: int) -> None:
        """More hosts on record, of which nothing is known."""
        for _ in range(count):
            host = replace(
                self.before.host,
                id=HostId.from_random(secrets.token_bytes(16)),
                asset_tag=secrets.token_hex(8),
            )
            hosts.register(self.tx, host, facts=(), now=self.at)

    def reached(self, case: Case, *, ago: timedelta = timedelta(0), **caps: int) -> tuple[str, ...]:
        return limits.reached(self.tx, Limits(**(WIDE | caps)), case, now=self.at + ago)


@pytest.fixture
def dispatched(world_in: Callable[[State], Any]) -> Iterator[Dispatched]:
    world = world_in(State.INTENDED)
    with world.program.store.transaction() as tx:
        yield Dispatched(tx, cases.load(tx, world.key), world.now())


@pytest.mark.parametrize("cap", WINDOWS)
def test_the_last_place_may_be_taken_and_the_one_after_it_not(dispatched: Dispatched, cap: str) -> None:
    assert dispatched.reached(dispatched.next, **{cap: 2}) == ()
    assert dispatched.reached(dispatched.next, **{cap: 1}) == (cap.upper(),)


def test_an_order_that_took_its_place_is_not_counted_against_itself(dispatched: Dispatched) -> None:
    assert dispatched.reached(dispatched.own, **NARROW) == ()


def test_an_order_that_was_signed_but_not_dispatched_has_no_place_yet(dispatched: Dispatched) -> None:
    assert dispatched.reached(dispatched.before, per_hour=1) == ("PER_HOUR",)


@pytest.mark.parametrize(("cap", "window"), WINDOWS.items())
def test_a_place_is_free_again_once_its_window_has_passed(
    dispatched: Dispatched, cap: str, window: timedelta
) -> None:
    assert dispatched.reached(dispatched.next, ago=window - SECOND, **{cap: 1}) == (cap.upper(),)
    assert dispatched.reached(dispatched.next, ago=window + SECOND, **{cap: 1}) == ()


@pytest.mark.parametrize(
    ("place", "caps"),
    [
        ("site", {"per_site_per_day", "per_rack_per_day"}),
        ("rack", {"per_rack_per_day"}),
        ("customer_ref", {"per_customer_per_day"}),
    ],
)
def test_another_place_has_places_of_its_own(dispatched: Dispatched, place: str, caps: set[str]) -> None:
    elsewhere = replace(dispatched.next, host=replace(dispatched.next.host, **{place: "e" * 64}))
    for cap in WINDOWS:
        is_reached = bool(dispatched.reached(elsewhere, **{cap: 1}))
        assert is_reached is (cap not in caps), cap


def test_hosts_with_no_customer_on_record_count_as_one_customers(dispatched: Dispatched) -> None:
    assert dispatched.own.host.customer_ref is None
    assert dispatched.reached(dispatched.next, per_customer_per_day=1) == ("PER_CUSTOMER_PER_DAY",)


def test_what_is_being_erased_takes_a_place_until_it_is_judged(dispatched: Dispatched) -> None:
    assert dispatched.reached(dispatched.next, concurrent=1) == ()
    for state, is_taken in ((State.ERASING, True), (State.VERIFIED, False)):
        row = deprovisions.deprovision
        dispatched.tx.execute(update(row).values(state=state))
        assert bool(dispatched.reached(dispatched.next, concurrent=1)) is is_taken
        assert dispatched.reached(dispatched.own, concurrent=1) == ()


@pytest.mark.parametrize("change", [{"site": "s9"}, {"rack": "r9"}, {"customer_ref": "c" * 64}])
def test_a_host_that_is_moved_after_its_dispatch_frees_no_place(
    dispatched: Dispatched, change: dict[str, str]
) -> None:
    table = hosts.host
    moved = update(table).where(table.c.id == dispatched.own.host.id).values(**change)
    dispatched.tx.execute(moved)
    for cap in WINDOWS:
        assert dispatched.reached(dispatched.next, **{cap: 1}) == (cap.upper(),)
    (field, value), *_ = change.items()
    there = replace(dispatched.next, host=replace(dispatched.next.host, **{field: value}))
    cap = {"site": "per_site_per_day", "rack": "per_rack_per_day"}.get(field, "per_customer_per_day")
    assert dispatched.reached(there, **{cap: 1}) == ()


def test_what_may_still_run_is_concurrent_while_its_case_is_with_a_person(dispatched: Dispatched) -> None:
    row, own = deprovisions.deprovision, dispatched.own
    dispatched.tx.execute(update(row).values(state=State.NEEDS_OPERATOR))
    assert dispatched.reached(dispatched.next, concurrent=1) == ("CONCURRENT",)
    assert dispatched.reached(replace(own, order=None), concurrent=1) == (), "its own place"
    dispatched.tx.execute(update(row).values(attempt=own.deprovision.attempt + 1))
    assert dispatched.reached(dispatched.next, concurrent=1) == (), "settled by an exit"
    dispatched.tx.execute(update(row).values(attempt=own.deprovision.attempt))
    assert own.order is not None
    orders.answer_done(dispatched.tx, own.order.id, now=dispatched.at)
    assert dispatched.reached(dispatched.next, concurrent=1) == (), "its agent said its last word"


def test_the_share_of_the_fleet_is_one_host_at_least_and_counts_hosts_and_not_orders(
    dispatched: Dispatched,
) -> None:
    again = replace(dispatched.before, order=None)
    assert dispatched.reached(again, fleet_percent_per_day=1) == (), "the same host once more"
    assert dispatched.reached(dispatched.next, fleet_percent_per_day=1) == ("FLEET_PER_DAY",)
    for number in range(299):
        host = replace(dispatched.own.host, id=HostId.from_random(secrets.token_bytes(16)))
        hosts.register(dispatched.tx, replace(host, asset_tag=f"more-{number}"), facts=(), now=dispatched.at)
    assert dispatched.reached(dispatched.next, fleet_percent_per_day=1) == ()


def test_every_cap_of_the_configuration_is_counted(dispatched: Dispatched) -> None:
    counted = limits.usage(dispatched.tx, Limits(), dispatched.next, now=dispatched.at)
    assert len(counted) == len(Limits.model_fields)
    assert len({each.name for each in counted}) == len(counted)


def test_a_dispatch_keeps_its_place_whatever_became_of_it(dispatched: Dispatched) -> None:
    assert dispatched.own.order is not None
    orders.answer_done(dispatched.tx, dispatched.own.order.id, now=dispatched.at)
    assert dispatched.reached(dispatched.next, per_hour=1) == ("PER_HOUR",)
