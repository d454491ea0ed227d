"""For which drives that left a deprovision answers, and as what each of them stands in its host's summary."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest

from certificate.departures import LEFT_UNERASED
from certificate.identifiers import DeprovisionId, TenancyId
from certificate.statements.vocabulary import Trigger, WhatBecame
from controller import intake
from controller.facts import Disposition
from controller.records import custody
from controller.states import State
from controller.store import departures, deprovisions, hosts, tenancies

OUT = {
    "host": "host-1",
    "old": "SABOTAGE1",
    "new": "none",
    "by": "Ada",
    "why": "dead",
    "seal": "4711",
    "place": "safe 2",
}


def goes_out(crew: Any) -> departures.Departure:
    for operator in (crew.alice, crew.bob):
        crew.people.decide("remove", OUT, by=operator)
    with crew.program.store.snapshot() as tx:
        (departure,) = departures.all_departures(tx)
    return departure


def begins(
    crew: Any, *, later: timedelta = timedelta(), tenancy: TenancyId | None = None
) -> deprovisions.Deprovision:
    """A deprovision of the host, about no tenancy unless one is named."""
    now = crew.world.now() + later
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        return deprovisions.schedule(
            tx,
            id=DeprovisionId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            tenancy_id=tenancy,
            trigger=Trigger.MANUAL,
            data_class="default",
            policy_version=1,
            policy_digest="0" * 64,
            grace_until=now,
            dwell_seconds=0,
            now=now,
        )


def ends(crew: Any, row: deprovisions.Deprovision, state: State, *, at: datetime | None = None) -> None:
    with crew.program.store.transaction() as tx:
        changed = deprovisions.deprovision.update().where(deprovisions.deprovision.c.id == row.id)
        tx.execute(changed.values(state=state, entered_at=at or crew.world.now()))


def departed(crew: Any, row: deprovisions.Deprovision, **options: Any) -> Any:
    with crew.program.store.snapshot() as tx:
        return custody.departed(tx, deprovisions.load(tx, row.id), **({"besides": set()} | options))


def test_a_drive_of_a_host_that_was_never_let_is_answered_for_if_it_leaves_meanwhile(crew: Any) -> None:
    row = begins(crew)
    departure = goes_out(crew)
    assert departure.tenancies == ()
    (left,) = departed(crew, row)
    assert left.entry.became is WhatBecame.OPEN_EXCEPTION
    assert left.entry.decision_digest == departure.decisions[0]
    assert left.claim.reasons == (LEFT_UNERASED,)
    with crew.program.store.snapshot() as tx:
        found = custody.deprovision_of(tx, departure)
    assert found is not None
    assert found.id == row.id


def declared(crew: Any, disposition: Disposition) -> None:
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        now = crew.world.now()
        hosts.declare_disposition(tx, host.id, old=host.disposition, new=disposition, now=now)


def standing(crew: Any, departure: departures.Departure) -> custody.Standing:
    with crew.program.store.snapshot() as tx:
        return custody.standing(tx, departure)


@pytest.mark.parametrize("disposition", [Disposition.STOCK, Disposition.INTERNAL])
def test_a_drive_of_a_host_that_was_never_let_and_that_left_before_is_nobodys(
    crew: Any, disposition: Disposition
) -> None:
    declared(crew, disposition)
    departure = goes_out(crew)
    row = begins(crew, later=timedelta(minutes=1))
    assert departed(crew, row) == ()
    with crew.program.store.snapshot() as tx:
        assert custody.deprovision_of(tx, departure) is None
    assert standing(crew, departure) is custody.Standing.UNTOUCHED


@pytest.mark.parametrize("disposition", [Disposition.RENTED, Disposition.UNKNOWN])
def test_a_drive_of_a_host_let_to_nobody_knows_whom_is_open_and_the_next_summary_names_it(
    crew: Any, disposition: Disposition
) -> None:
    """What nobody knows of a rented host may be that its drive is full: silence would certify it."""
    if disposition is not Disposition.RENTED:
        declared(crew, disposition)
    departure = goes_out(crew)
    assert standing(crew, departure) is custody.Standing.OPEN
    row = begins(crew, later=timedelta(minutes=1))
    (left,) = departed(crew, row)
    assert left.entry.became is WhatBecame.OPEN_EXCEPTION
    with crew.program.store.snapshot() as tx:
        found = custody.deprovision_of(tx, departure)
    assert found is not None
    assert found.id == row.id


def learns(crew: Any, *, starts_at: datetime) -> TenancyId:
    """A tenancy that nobody told us of before now."""
    key, now = TenancyId.from_random(secrets.token_bytes(16)), crew.world.now()
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        new = tenancies.Tenancy(
            id=key,
            host=host.id,
            subscription_ref=secrets.token_hex(32),
            tenancy_ref=secrets.token_hex(32),
            tenant_ref=None,
            data_class="default",
            starts_at=starts_at,
            ends_at=None,
            asserted_by="billing",
            recorded_at=now,
            changed_at=now,
        )
        tenancies.record(tx, new, now=now)
    return key


def test_a_tenancy_learnt_after_the_drive_left_counts_if_it_began_before(crew: Any) -> None:
    departure = goes_out(crew)
    assert departure.tenancies == ()
    during = learns(crew, starts_at=departure.left_at)
    learns(crew, starts_at=departure.left_at + timedelta(seconds=1))
    assert standing(crew, departure) is custody.Standing.OPEN
    with crew.program.store.snapshot() as tx:
        assert custody.attributed(tx, departure).tenancies == (during,)


def test_a_tenancy_that_began_after_the_drive_left_says_nothing_of_it(crew: Any) -> None:
    departure = goes_out(crew)
    after = learns(crew, starts_at=departure.left_at + timedelta(seconds=1))
    assert standing(crew, departure) is custody.Standing.OPEN
    assert departed(crew, begins(crew, later=timedelta(minutes=1), tenancy=after)) == ()


@pytest.mark.parametrize(
    ("state", "later", "expected"),
    [
        (State.RELEASED, timedelta(seconds=-1), custody.Standing.UNTOUCHED),
        (State.RELEASED, timedelta(), custody.Standing.OPEN),
        (State.RELEASED, timedelta(days=1), custody.Standing.OPEN),
        (State.CLOSED, timedelta(seconds=-1), custody.Standing.OPEN),
        (State.CANCELLED, timedelta(seconds=-1), custody.Standing.OPEN),
    ],
)
def test_only_a_release_before_the_drive_left_takes_a_tenancy_off_it(
    crew: Any, state: State, later: timedelta, expected: custody.Standing
) -> None:
    departure = goes_out(crew)
    tenancy = learns(crew, starts_at=departure.left_at - timedelta(days=9))
    ends(crew, begins(crew, tenancy=tenancy), state, at=departure.left_at + later)
    assert standing(crew, departure) is expected


@pytest.mark.parametrize("state", [State.RELEASED, State.CANCELLED])
def test_a_deprovision_that_was_over_answers_for_no_later_departure(crew: Any, state: State) -> None:
    row = begins(crew)
    ends(crew, row, state)
    crew.world._skip_to(crew.world.now() + timedelta(seconds=1))
    goes_out(crew)
    assert departed(crew, row) == ()


def test_a_drive_that_a_tenancy_touched_is_answered_for_whenever_it_left(crew: Any) -> None:
    crew.world._beat()
    intake.learn(crew.program)
    departure = goes_out(crew)
    assert len(departure.tenancies) == 1
    crew.world.end_subscription()
    crew.world.run(until=lambda world: world.state is not None)
    (left,) = departed(crew, crew.world.deprovision)
    assert left.entry.commitment == departure.drive.commitment
    assert left.entry.outcome_digest == "not_applicable"
    assert departed(crew, crew.world.deprovision, besides={departure.drive.commitment}) == ()


def test_a_cancelled_deprovision_is_not_what_a_destruction_belongs_to(crew: Any) -> None:
    row = begins(crew)
    departure = goes_out(crew)
    ends(crew, row, State.CANCELLED)
    with crew.program.store.snapshot() as tx:
        assert custody.deprovision_of(tx, departure) is None


def test_what_is_known_of_a_drive_that_left_is_that_it_was_destroyed_before_anything_else(crew: Any) -> None:
    departure = goes_out(crew)
    about = {
        "medium": "SABOTAGE1",
        "method": "melt",
        "by": "us",
        "witness": "them",
        "place": "here",
        "destroyed_on": crew.world.now().date().isoformat(),
        "document_digest": "d0" * 32,
    }
    with crew.program.store.snapshot() as tx:
        assert custody.standing(tx, departure) is custody.Standing.OPEN
    for operator in (crew.alice, crew.bob):
        crew.people.decide("destroy", about, by=operator)
    with crew.program.store.snapshot() as tx:
        assert custody.standing(tx, departure) is custody.Standing.DESTROYED
