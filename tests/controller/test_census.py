"""The census and the breaker over a real store and the real view: tripped once, thawed, counted anew."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.identifiers import HostId
from controller import breaker, census, intake
from controller.facts import Question
from controller.store import deprovisions, hosts, observations, stops

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LETS = 30


def billing(world: Any, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(world.billing.path, timeout=10)) as database, database:
        database.execute(statement, values)


@pytest.fixture
def fleet(world: Any) -> Any:
    """Thirty-one hosts, each let to a subscription of its own."""
    with world.program.store.transaction() as tx:
        (first,) = hosts.all_hosts(tx)
        for number in range(LETS):
            billing(world, "INSERT INTO contract VALUES (?, 'active', '2025-11-01T00:00:00Z')", f"s-{number}")
            billing(
                world,
                "INSERT INTO placement VALUES (?, ?, '2025-11-01T00:00:00Z', NULL)",
                f"h-{number}",
                f"s-{number}",
            )
            host = replace(
                first,
                id=HostId.from_random(secrets.token_bytes(16)),
                asset_tag=f"h-{number}",
                salt=secrets.token_bytes(32),
            )
            hosts.register(tx, host, facts=(), now=world.now())
    world._beat()
    intake.learn(world.program)
    return world


def end(world: Any, count: int) -> None:
    at = world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    for number in range(count):
        billing(
            world, "UPDATE contract SET status = 'ended', updated = ? WHERE number = ?", at, f"s-{number}"
        )


def ended(world: Any) -> int:
    with world.program.store.snapshot() as tx:
        return len(deprovisions.live(tx))


def standing(world: Any) -> tuple[stops.Stop, ...]:
    with world.program.store.snapshot() as tx:
        return stops.all_standing(tx)


def thaw(world: Any) -> None:
    """What two operators do (`people.acts.thaw`)."""
    with world.program.store.transaction() as tx:
        for each in stops.all_standing(tx):
            stops.lift(tx, each.number, decision_digest="d" * 64, now=world.now())


def later(world: Any, by: timedelta) -> None:
    world._skip_to(world.now() + by)
    world._beat()


def silent(world: Any) -> None:
    old = (world.now() - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    billing(world, "UPDATE pulse SET at = ?", old)


def test_a_census_is_taken_once_a_minute_and_counts_what_the_view_shows(fleet: Any) -> None:
    census.take(fleet.program)
    census.take(fleet.program)
    later(fleet, MINUTE)
    end(fleet, 2)
    census.take(fleet.program)
    with fleet.program.store.snapshot() as tx:
        told = observations.since(
            tx, Question.CENSUS, fleet.program.configuration.source.name, asked_at=fleet.now() - HOUR
        )
    assert [each.answer for each in told] == ["complete", "complete"]
    assert [(each.detail or {})["active"] for each in told] == [31, 29]
    assert (told[-1].detail or {})["ended"] == 2


def test_the_breaker_trips_in_the_transaction_that_would_schedule_one_too_many(fleet: Any) -> None:
    end(fleet, 20)
    intake.poll(fleet.program)
    assert ended(fleet) == 15
    (tripped,) = standing(fleet)
    assert tripped.kind is stops.StopKind.BREAKER
    assert tripped.author == stops.BREAKER_AUTHOR
    intake.poll(fleet.program)
    assert ended(fleet) == 15
    assert len(standing(fleet)) == 1, "it is tripped once"


def test_after_a_thaw_the_count_begins_anew_and_what_ended_meanwhile_is_taken_up(fleet: Any) -> None:
    end(fleet, 20)
    intake.poll(fleet.program)
    thaw(fleet)
    intake.poll(fleet.program)
    assert ended(fleet) == 20
    assert standing(fleet) == ()


def test_after_a_thaw_the_fall_that_people_looked_at_does_not_trip_again(fleet: Any) -> None:
    census.take(fleet.program)
    end(fleet, 10)
    later(fleet, MINUTE)
    census.take(fleet.program)
    assert "21 subscriptions are active, 31 were" in standing(fleet)[0].matter
    thaw(fleet)
    for _ in range(3):
        later(fleet, MINUTE)
        census.take(fleet.program)
    assert standing(fleet) == ()


def test_a_source_that_falls_silent_trips_after_an_hour_and_not_before(fleet: Any) -> None:
    census.take(fleet.program)
    tripped_after = None
    for minutes in range(0, 90, 5):
        fleet._skip_to(fleet.now() + 5 * MINUTE)
        silent(fleet)
        census.take(fleet.program)
        if tripped_after is None and standing(fleet):
            tripped_after = minutes
    assert tripped_after == 60
    assert "has not shown all it has" in standing(fleet)[0].matter


def test_a_controller_that_slept_takes_its_own_silence_for_nobodys(fleet: Any) -> None:
    census.take(fleet.program)
    fleet._skip_to(fleet.now() + 7 * HOUR)
    silent(fleet)
    census.take(fleet.program)
    assert standing(fleet) == ()


def test_an_ending_that_was_cancelled_is_not_taken_up_again_by_itself(fleet: Any) -> None:
    from sqlalchemy import update

    from controller.states import State

    end(fleet, 1)
    intake.poll(fleet.program)
    row = deprovisions.deprovision
    with fleet.program.store.transaction() as tx:
        tx.execute(update(row).values(state=State.CANCELLED, next_due_at=None))
    intake.poll(fleet.program)
    assert ended(fleet) == 0


def test_the_usual_is_the_mean_of_the_thirty_days_before_today(fleet: Any) -> None:
    from sqlalchemy import update

    end(fleet, 12)
    intake.poll(fleet.program)
    row = deprovisions.deprovision
    with fleet.program.store.transaction() as tx:
        now = fleet.now()
        assert census.endings(tx, now=now) == breaker.Endings(today=13, before=0)
        tx.execute(update(row).values(created_at=now - timedelta(days=5)))
        assert census.endings(tx, now=now) == breaker.Endings(today=1, before=12)
        tx.execute(update(row).values(created_at=now - timedelta(days=32)))
        assert census.endings(tx, now=now) == breaker.Endings(today=1, before=0)
