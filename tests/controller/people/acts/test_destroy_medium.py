"""No drive is attested destroyed that shows itself in a host after it left."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from certificate.identifiers import DriveId, HostId
from controller.people.asking import host as host_called
from controller.states import State
from controller.store import boots, hosts, sightings
from controller.store.hosts import DriveBasis
from controller.store.sightings import Provenance

SERIAL = "SABOTAGE1"
OUT = {
    "host": "host-1",
    "old": SERIAL,
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "4711",
    "place": "safe 2",
}


def goes_out(crew: Any) -> None:
    for operator in (crew.alice, crew.bob):
        crew.people.decide("remove", OUT, by=operator)


def attested(crew: Any) -> dict[str, str]:
    return {
        "medium": SERIAL,
        "method": "shred",
        "by": "Shredders and Sons",
        "witness": "Grace Hopper",
        "place": "their yard",
        "destroyed_on": crew.world.now().date().isoformat(),
        "document_digest": "d0" * 32,
    }


def destroyed(crew: Any) -> Any:
    for operator in (crew.alice, crew.bob):
        taken = crew.people.decide("destroy", attested(crew), by=operator)
    return taken.done


def refusal(crew: Any) -> Any:
    return crew.refused(lambda: crew.people.show("destroy", attested(crew)))


def inspected_until_it_waits(crew: Any) -> None:
    crew.world.run(until=lambda world: world.state is State.STAGED and world.deprovision.wait_reason)
    ends_at = crew.world.now() + timedelta(minutes=1)
    crew.world.run(until=lambda world: world.now() >= ends_at)


@pytest.fixture
def seen_again(crew: Any) -> Any:
    """It left on paper, and the inspection of its host still finds it."""
    crew.world.end_subscription()
    crew.world.run(until=lambda world: world.state is State.SCHEDULED)
    goes_out(crew)
    inspected_until_it_waits(crew)
    return crew


def empties(crew: Any, table: Any) -> None:
    with crew.program.store.transaction() as tx:
        tx.execute(delete(table))


def test_a_drive_that_the_newest_inspection_shows_is_not_destroyed(seen_again: Any) -> None:
    assert refusal(seen_again) == "MEDIUM_STANDS_IN_HOST"


def test_the_answer_alone_is_enough(seen_again: Any) -> None:
    """A boot that the tenant could shape leaves no sighting."""
    empties(seen_again, sightings.drive_sighting)
    assert refusal(seen_again) == "MEDIUM_STANDS_IN_HOST"


def test_without_any_trace_it_is_destroyed(seen_again: Any) -> None:
    empties(seen_again, boots.inventory)
    empties(seen_again, sightings.drive_sighting)
    assert destroyed(seen_again) is not None


def test_what_was_seen_before_it_left_says_nothing(crew: Any) -> None:
    crew.world.end_subscription()
    crew.world.run(until=lambda world: world.state is State.PLANNED)
    with crew.program.store.snapshot() as tx:
        assert boots.latest_inventory(tx, crew.world.key) is not None
    crew.world._skip_to(crew.world.now() + timedelta(seconds=1))
    goes_out(crew)
    assert destroyed(crew) is not None


def sees_elsewhere(tx: Connection, host: HostId, crew: Any) -> None:
    sightings.record(
        tx,
        host,
        provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
        facts=(),
        drives=(SERIAL,),
        now=crew.world.now(),
    )


def records_elsewhere(tx: Connection, host: HostId, crew: Any) -> None:
    hosts.record_drive(
        tx,
        id=DriveId.from_random(secrets.token_bytes(16)),
        host_id=host,
        serial=SERIAL,
        salt=secrets.token_bytes(32),
        basis=DriveBasis.DECLARED,
        model=None,
        capacity_bytes=None,
        now=crew.world.now(),
    )


@pytest.mark.parametrize("appears", [sees_elsewhere, records_elsewhere])
def test_a_drive_that_turned_up_in_another_host_is_not_destroyed(
    crew: Any, appears: Callable[[Connection, HostId, Any], None]
) -> None:
    goes_out(crew)
    crew.world._skip_to(crew.world.now() + timedelta(hours=1))
    other = HostId.from_random(secrets.token_bytes(16))
    with crew.program.store.transaction() as tx:
        first = host_called(tx, "host-1")
        new = replace(first, id=other, asset_tag="host-2", salt=secrets.token_bytes(32))
        hosts.register(tx, new, facts=(), now=crew.world.now())
        appears(tx, other, crew)
    assert refusal(crew) == "MEDIUM_STANDS_IN_HOST"


def test_one_that_turned_up_between_the_two_signatures_is_not_destroyed(crew: Any) -> None:
    goes_out(crew)
    crew.people.decide("destroy", attested(crew), by=crew.alice)
    crew.world._skip_to(crew.world.now() + timedelta(hours=1))
    with crew.program.store.transaction() as tx:
        sees_elsewhere(tx, host_called(tx, "host-1").id, crew)
    assert crew.refused(lambda: destroyed(crew)) == "MEDIUM_STANDS_IN_HOST"
