"""Holds, freezes, breakers: one sets, two lift, none ends by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from controller import case as cases
from controller import knowledge
from controller.facts import Facts
from controller.store import ledger, stops
from controller.store.hosts import host as host_table
from controller.store.stops import ANYONE, BREAKER_AUTHOR, StopKind

HOLD = {"scope": "host=host-1", "matter": "case 7", "review": "P30D"}


def facts(crew: Any) -> Facts:
    program = crew.program
    with program.store.snapshot() as tx:
        return knowledge.facts_of(tx, program, cases.load(tx, crew.world.key), now=program.clock())


def standing(crew: Any) -> tuple[stops.Stop, ...]:
    with crew.program.store.snapshot() as tx:
        return stops.all_standing(tx)


def begin(crew: Any, kind: StopKind, author: str) -> int:
    now = crew.program.clock()
    with crew.program.store.transaction() as tx:
        return stops.begin(tx, kind=kind, author=author, matter="m", review_at=now, now=now)


@pytest.mark.parametrize("scope", ["host=host-1", "site=s", "rack=r", "everything"])
def test_one_holds_a_scope_and_two_release_it(waiting: Any, scope: str) -> None:
    assert facts(waiting).holds == ()
    waiting.people.decide("hold", {**HOLD, "scope": scope}, by=waiting.alice)
    (stop,) = standing(waiting)
    (held,) = facts(waiting).holds
    assert (held.author, held.matter) == (waiting.alice.public.keyid, "case 7")
    assert not facts(waiting).is_frozen
    about = {"number": str(stop.number)}
    assert waiting.people.decide("release_hold", about, by=waiting.alice).done is None
    assert facts(waiting).holds != ()
    assert waiting.people.decide("release_hold", about, by=waiting.bob).done is not None
    assert facts(waiting).holds == ()


def test_a_hold_on_a_customer_covers_hosts_by_pseudonym_and_names_nobody_in_the_ledger(crew: Any) -> None:
    ref = crew.program.pseudonyms.customer("Example GmbH")
    with crew.program.store.transaction() as tx:
        tx.execute(host_table.update().values(customer_ref=ref))
    crew.people.decide("hold", {**HOLD, "scope": "customer=Example GmbH"}, by=crew.alice)
    (stop,) = standing(crew)
    with crew.program.store.snapshot() as tx:
        assert stop.scope.customer_ref == ref
        assert not any("Example" in line for line in ledger.export(tx))


@pytest.mark.parametrize(
    "scope",
    ["host=host-9", "site=elsewhere", "rack=r9", "customer=Nobody", "hosts=host-1", "all", "host"],
)
def test_a_hold_that_would_cover_nothing_is_refused(crew: Any, scope: str) -> None:
    """A misspelt hold protects nobody."""
    with pytest.raises(Refused):
        crew.people.decide("hold", {**HOLD, "scope": scope}, by=crew.alice)
    assert standing(crew) == ()


@pytest.mark.parametrize("review", ["PT0S", "P400D", "30 days", "P1M"])
def test_a_hold_names_a_review_within_a_year(crew: Any, review: str) -> None:
    act = lambda: crew.people.decide("hold", {**HOLD, "review": review}, by=crew.alice)  # noqa: E731
    assert crew.refused(act) == "REVIEW_INVALID"


def test_a_hold_past_its_review_still_holds(waiting: Any) -> None:
    waiting.people.decide("hold", {**HOLD, "review": "PT1H"}, by=waiting.alice)
    waiting.pass_time(timedelta(hours=2))
    (stop,) = standing(waiting)
    assert stop.review_at < waiting.program.clock()
    assert facts(waiting).holds != ()


def test_two_thaw_a_freeze_that_one_signed(waiting: Any) -> None:
    waiting.people.decide("freeze", {}, by=waiting.alice)
    assert facts(waiting).is_frozen
    about = {"number": str(standing(waiting)[0].number)}
    waiting.people.decide("thaw", about, by=waiting.alice)
    assert facts(waiting).is_frozen
    waiting.people.decide("thaw", about, by=waiting.bob)
    assert not facts(waiting).is_frozen
    assert waiting.refused(lambda: waiting.people.show("thaw", about)) == "STOP_NOT_STANDING"


def test_a_breaker_closes_the_intake_and_is_thawed_by_two(waiting: Any) -> None:
    number = begin(waiting, StopKind.BREAKER, BREAKER_AUTHOR)
    seen = facts(waiting)
    assert (seen.is_intake_open, seen.is_frozen, seen.holds) == (False, False, ())
    for key in (waiting.alice, waiting.bob):
        waiting.people.decide("thaw", {"number": str(number)}, by=key)
    assert facts(waiting).is_intake_open


def test_a_hold_is_not_thawed_and_a_freeze_is_not_released(crew: Any) -> None:
    crew.people.decide("hold", HOLD, by=crew.alice)
    crew.people.decide("freeze", {}, by=crew.alice)
    hold, freeze = (str(stop.number) for stop in standing(crew))
    assert crew.refused(lambda: crew.people.show("thaw", {"number": hold})) == "STOP_NOT_STANDING"
    act = lambda: crew.people.show("release_hold", {"number": freeze})  # noqa: E731
    assert crew.refused(act) == "STOP_NOT_STANDING"


@pytest.mark.parametrize(
    "about", [{}, {"number": "one"}, {"number": "-1"}, {"number": ""}, {"number": "1", "more": "x"}]
)
def test_what_is_asked_about_is_closed(crew: Any, about: dict[str, str]) -> None:
    crew.people.decide("freeze", {}, by=crew.alice)
    assert crew.refused(lambda: crew.people.show("thaw", about)) == "DECISION_MISMATCH"


def test_only_a_hold_has_a_scope(crew: Any) -> None:
    now = crew.program.clock()
    site = stops.Scope(kind=stops.ScopeKind.SITE, place="s")
    with pytest.raises(ValueError, match="covers everything"), crew.program.store.transaction() as tx:
        stops.begin(tx, kind=StopKind.FREEZE, scope=site, author=ANYONE, matter="m", review_at=now, now=now)
