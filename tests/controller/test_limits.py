"""How much may be wiped in a window: the last place is taken once, and by its taker not twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from controller import case as cases
from controller import limits
from controller.case import Case
from controller.configuration import Limits
from controller.states import State
from controller.store import orders

WIDE = {"per_hour": 100, "per_day": 100, "per_rack_per_day": 100}
NAMES = {"per_hour": "PER_HOUR", "per_day": "PER_DAY", "per_rack_per_day": "PER_RACK_PER_DAY"}
SECOND = timedelta(seconds=1)


class Dispatched:
    """One order that was dispatched, in a transaction of the test."""

    def __init__(self, tx: Connection, case: Case, at: datetime) -> None:
        self.tx, self.at = tx, at
        assert case.order is not None
        self.before = case
        orders.dispatch(tx, case.order.id, now=at)
        self.own = cases.load(tx, case.id)
        #: Another host's deprovision in the same rack, which has no order yet.
        self.next = replace(case, order=None)

    def reached(self, case: Case, *, ago: timedelta = timedelta(0), **caps: int) -> tuple[str, ...]:
        return limits.reached(self.tx, Limits(**(WIDE | caps)), case, now=self.at + ago)


@pytest.fixture
def dispatched(world_in: Callable[[State], Any]) -> Iterator[Dispatched]:
    world = world_in(State.INTENDED)
    with world.program.store.transaction() as tx:
        yield Dispatched(tx, cases.load(tx, world.key), world.now())


@pytest.mark.parametrize("cap", NAMES)
def test_the_last_place_may_be_taken_and_the_one_after_it_not(dispatched: Dispatched, cap: str) -> None:
    assert dispatched.reached(dispatched.next, **{cap: 2}) == ()
    assert dispatched.reached(dispatched.next, **{cap: 1}) == (NAMES[cap],)


def test_an_order_that_took_its_place_is_not_counted_against_itself(dispatched: Dispatched) -> None:
    assert dispatched.reached(dispatched.own, per_hour=1, per_day=1, per_rack_per_day=1) == ()


def test_an_order_that_was_signed_but_not_dispatched_has_no_place_yet(dispatched: Dispatched) -> None:
    assert dispatched.reached(dispatched.before, per_hour=1) == ("PER_HOUR",)


@pytest.mark.parametrize(
    ("cap", "window"), [("per_hour", limits.HOUR), ("per_day", limits.DAY), ("per_rack_per_day", limits.DAY)]
)
def test_a_place_is_free_again_once_its_window_has_passed(
    dispatched: Dispatched, cap: str, window: timedelta
) -> None:
    assert dispatched.reached(dispatched.next, ago=window - SECOND, **{cap: 1}) == (NAMES[cap],)
    assert dispatched.reached(dispatched.next, ago=window + SECOND, **{cap: 1}) == ()


@pytest.mark.parametrize("place", ["site", "rack"])
def test_another_rack_has_places_of_its_own(dispatched: Dispatched, place: str) -> None:
    host = replace(dispatched.next.host, **{place: "elsewhere"})
    elsewhere = replace(dispatched.next, host=host)
    assert dispatched.reached(elsewhere, per_rack_per_day=1) == ()
    assert dispatched.reached(elsewhere, per_day=1) == ("PER_DAY",)


def test_a_dispatch_keeps_its_place_whatever_became_of_it(dispatched: Dispatched) -> None:
    assert dispatched.own.order is not None
    orders.answer_done(dispatched.tx, dispatched.own.order.id, now=dispatched.at)
    assert dispatched.reached(dispatched.next, per_hour=1) == ("PER_HOUR",)
