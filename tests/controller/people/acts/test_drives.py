"""Drives become what a host is expected to hold only by two people, and leave it only by two."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from certificate.identifiers import DriveId, HostId
from certificate.statements import Summary
from certificate.statements import statement as statements
from certificate.statements.vocabulary import WhatBecame
from controller.api.host_records import register
from controller.api.host_records_documents import MediaRegister
from controller.errors import Code
from controller.facts import Disposition
from controller.states import State
from controller.store import deprovisions, hosts, ledger, outcomes
from controller.store.hosts import DriveBasis
from demo.disclosure import says

HOST = {"host": "host-1"}
LEAVES = HOST | {
    "old": "SABOTAGE1",
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "S-0815",
    "place": "safe 2",
}


def live_on(crew: Any, minutes: float = 1) -> None:
    ends_at = crew.world.now() + timedelta(minutes=minutes)
    crew.world.run(until=lambda world: world.now() >= ends_at)


def forget_drives(crew: Any) -> None:
    """As if nobody had recorded any."""
    with crew.program.store.transaction() as tx:
        tx.execute(hosts.drive.delete())


def drives(crew: Any) -> dict[str, hosts.Drive]:
    with crew.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        return {drive.serial: drive for drive in hosts.drives_of(tx, host.id)}


def media(crew: Any) -> MediaRegister:
    with crew.program.store.snapshot() as tx:
        return register(tx, crew.program)


@pytest.fixture
def inspected(crew: Any) -> Any:
    """A host whose drives nobody recorded, ended and inspected."""
    forget_drives(crew)
    crew.world.end_subscription()
    crew.world.run(until=lambda world: world.state is State.STAGED)
    live_on(crew)
    return crew


# --- a list goes to people ----------------------------------------------------------------------------------


def test_a_list_that_an_inspection_found_is_never_accepted_by_itself(inspected: Any) -> None:
    world = inspected.world
    text = world.drive_text_count()
    live_on(inspected, minutes=2)
    assert world.state is State.STAGED
    assert "DRIVES_UNKNOWN: 1 drives were found" in world.deprovision.wait_reason
    assert drives(inspected) == {}
    assert world.drive_text_count() == text > 0


def test_two_people_accept_the_list_and_the_host_goes_on(inspected: Any) -> None:
    shown = inspected.people.show("drives", HOST).matter
    assert shown.facts["drives"] == [
        {
            "serial": "SABOTAGE1",
            "model": "EXPUNGE TEST NVME",
            "capacity_bytes": 1024 * 1024,
            "transport": "nvme",
            "on_record": "no",
            "agent_refuses_it": "no",
        }
    ]
    assert shown.facts["boot_trust"] == "virtual_media"
    assert shown.facts["host_facts_that_agree"] == 3
    assert inspected.people.decide("drives", HOST, by=inspected.alice).done is None
    assert drives(inspected) == {}
    assert inspected.people.decide("drives", HOST, by=inspected.bob).done is not None
    (drive,) = drives(inspected).values()
    assert (drive.basis, drive.model, drive.capacity_bytes) == (
        DriveBasis.OBSERVED_DURING_TENANCY,
        "EXPUNGE TEST NVME",
        1024 * 1024,
    )
    inspected.world.run()
    assert inspected.world.state is State.RELEASED
    assert inspected.world.drive_text_count() == 0


def test_one_person_twice_is_one_person(inspected: Any) -> None:
    for _ in range(2):
        assert inspected.people.decide("drives", HOST, by=inspected.alice).done is None
    assert drives(inspected) == {}


def test_without_an_inspection_there_is_nothing_to_accept(crew: Any) -> None:
    assert crew.refused(lambda: crew.people.show("drives", HOST)) == "INVENTORY_MISSING"


def test_a_list_that_is_on_record_is_not_accepted_again(inspected: Any) -> None:
    for operator in (inspected.alice, inspected.bob):
        inspected.people.decide("drives", HOST, by=operator)
    assert inspected.refused(lambda: inspected.people.show("drives", HOST)) == "DRIVES_KNOWN"


@pytest.mark.parametrize(
    ("value", "code"), [("ANOTHER", "IDENTITY_CONTRADICTED"), (None, "IDENTITY_UNPROVEN")]
)
def test_the_list_of_another_machine_is_not_accepted(inspected: Any, value: str | None, code: str) -> None:
    with inspected.program.store.transaction() as tx:
        fact = hosts.host_fact
        one = fact.c.kind == "chassis_serial"
        tx.execute(fact.delete().where(one) if value is None else update(fact).where(one).values(value=value))
    assert inspected.refused(lambda: inspected.people.show("drives", HOST)) == code


def test_another_inspection_is_another_matter(inspected: Any) -> None:
    signed = inspected.people.decision(inspected.people.show("drives", HOST), inspected.alice)
    with inspected.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        record(tx, host.id, "S9", inspected)
    assert inspected.refused(lambda: inspected.people.hand_in("drives", HOST, signed)) == "MATTER_CHANGED"


# --- a drive leaves -----------------------------------------------------------------------------------------


def replaced(crew: Any, **changes: str) -> str | None:
    about = LEAVES | changes
    crew.people.decide("remove", about, by=crew.alice)
    done: str | None = crew.people.decide("remove", about, by=crew.bob).done
    return done


def learn(crew: Any) -> None:
    from controller import intake

    crew.world._beat()
    intake.learn(crew.program)


def test_a_drive_that_leaves_a_tenancy_unerased_is_an_open_exception(crew: Any) -> None:
    learn(crew)
    shown = crew.people.show("remove", LEAVES).matter
    assert shown.words == "host-1 AGE1"
    assert len(shown.facts["tenancies_whose_data_may_be_on_it"]) == 1
    assert replaced(crew, new="serial=S2,model=M, 2,capacity_bytes=5") is not None
    (line,) = media(crew).media
    assert (line.standing, line.serial, line.replaced_by) == ("open", "SABOTAGE1", "S2")
    assert (line.removed_by, line.why, line.seal, line.place) == (
        "Ada Lovelace",
        "it does not answer",
        "S-0815",
        "safe 2",
    )
    assert len(line.tenancies) == 1
    assert len(line.decisions) == 2
    (drive,) = drives(crew).values()
    assert (drive.serial, drive.model, drive.basis) == ("S2", "M, 2", DriveBasis.OBSERVED_DURING_TENANCY)
    with crew.program.store.snapshot() as tx:
        told = "\n".join(event.line() for event in ledger.events(tx)).encode()
    for private in ("Ada Lovelace", "S-0815", "safe 2", "SABOTAGE1"):
        assert not says(told, private)


def was_never_let(crew: Any) -> None:
    """Of a rented host nobody can say that its drive is untouched."""
    with crew.program.store.transaction() as tx:
        tx.execute(update(hosts.host).values(disposition=Disposition.STOCK))


def test_a_drive_that_no_tenancy_touched_leaves_as_such(crew: Any) -> None:
    was_never_let(crew)
    assert replaced(crew) is not None
    (line,) = media(crew).media
    assert (line.standing, line.tenancies, line.replaced_by) == ("untouched", (), None)
    assert drives(crew) == {}


def test_open_exceptions_come_first(crew: Any) -> None:
    learn(crew)
    replaced(crew, new="serial=S2,model=M")
    crew.world._skip_to(crew.world.now() + timedelta(seconds=1))
    with crew.program.store.transaction() as tx:
        from controller.store import tenancies

        tx.execute(update(tenancies.tenancy).values(starts_at=crew.world.now() + timedelta(days=1)))
    was_never_let(crew)
    replaced(crew, old="S2", new="serial=S3,model=M")
    assert [line.standing for line in media(crew).media] == ["open", "untouched"]


def test_a_drive_that_came_back_is_a_new_one(crew: Any) -> None:
    replaced(crew, new="serial=S2,model=M")
    replaced(crew, old="S2", new="serial=SABOTAGE1,model=M")
    assert set(drives(crew)) == {"SABOTAGE1"}
    assert len(media(crew).media) == 2


def test_an_open_exception_comes_back_only_by_two_people_who_are_warned(crew: Any) -> None:
    learn(crew)
    back = LEAVES | {"old": "S2", "new": "serial=SABOTAGE1,model=M"}
    replaced(crew, new="serial=S2,model=M")
    shown = crew.people.show("remove", back).matter
    (warning,) = (each for each in shown.consequences if each.startswith("WARNING"))
    assert "SABOTAGE1 left host-1" in warning
    assert "open exception" in warning
    assert shown.people_needed == 2
    assert crew.people.decide("remove", back, by=crew.alice).done is None
    assert set(drives(crew)) == {"S2"}


def test_an_open_exception_that_an_inspection_finds_is_accepted_with_a_warning(inspected: Any) -> None:
    with inspected.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        record(tx, host.id, "SABOTAGE1", inspected)
    replaced(inspected)
    live_on(inspected)
    shown = inspected.people.show("drives", HOST).matter
    assert any("WARNING: SABOTAGE1 left host-1" in each for each in shown.consequences)
    assert shown.people_needed == 2


def test_a_drive_of_another_host_that_an_inspection_finds_is_accepted_with_a_warning(inspected: Any) -> None:
    with inspected.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        other = replace(host, id=HostId.from_random(secrets.token_bytes(16)), asset_tag="host-2")
        hosts.register(tx, other, facts=(), now=inspected.world.now())
        record(tx, other.id, "SABOTAGE1", inspected)
    shown = inspected.people.show("drives", HOST).matter
    assert any("WARNING: SABOTAGE1 is on record in host-2" in each for each in shown.consequences)
    assert shown.people_needed == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"old": "S9"}, "DRIVE_NOT_IN_HOST"),
        ({"new": "serial=SABOTAGE1,model=M"}, "ALREADY_STORED"),
        ({"new": "serial=S2"}, "DECISION_MISMATCH"),
        ({"new": "S2"}, "DECISION_MISMATCH"),
        ({"seal": " "}, "DECISION_MISMATCH"),
        ({"place": ""}, "DECISION_MISMATCH"),
        ({"host": "host-9"}, "NOT_IN_STORE"),
    ],
)
def test_what_is_not_so_is_not_decided(crew: Any, changes: dict[str, str], code: str) -> None:
    assert crew.refused(lambda: crew.people.show("remove", LEAVES | changes)) == code


@pytest.mark.parametrize("state", [State.INTENDED, State.ERASING, State.VERIFIED, State.CERTIFIED], ids=str)
@pytest.mark.parametrize("kind", ["remove", "drives"])
def test_no_drive_comes_or_goes_under_an_order(waiting: Any, state: State, kind: str) -> None:
    with waiting.program.store.transaction() as tx:
        tx.execute(update(deprovisions.deprovision).values(state=state))
    about = LEAVES if kind == "remove" else HOST
    assert waiting.refused(lambda: waiting.people.show(kind, about)) == Code.DRIVE_IN_ORDER.value


def test_a_plan_of_drives_that_left_is_not_approved_any_more(waiting: Any) -> None:
    """The host is read again, and only what the new inspection shows is planned."""
    before = waiting.people.case
    assert before.plan is not None
    replaced(waiting, new="serial=S2,model=M")
    live_on(waiting)
    case = waiting.people.case
    assert case.deprovision.state is State.STAGED
    assert waiting.world.drive_text_count() > 0
    assert "left by decision and is still in the host" in case.deprovision.wait_reason
    (shown,) = waiting.people.show("drives", HOST).matter.facts["drives"]
    assert (shown["serial"], shown["on_record"]) == ("SABOTAGE1", "no")


def test_the_hosts_summary_names_a_drive_that_left_unerased(crew: Any) -> None:
    """It left with the tenancy's data on it: an open exception, and the bundle verifies all the same."""
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        gone = record(tx, host.id, "GONE1", crew)
    learn(crew)
    assert replaced(crew, old="GONE1") is not None
    crew.world.end_subscription()
    crew.world.run()
    assert crew.world.state is State.RELEASED
    with crew.program.store.snapshot() as tx:
        stored = outcomes.summary_of(tx, crew.world.key)
        assert stored is not None
        summary = statements.read(stored.payload, Summary).predicate
    became = {each.commitment: each for each in summary.media}
    assert len(became) == 2
    assert became[gone.commitment].became is WhatBecame.OPEN_EXCEPTION
    (line,) = media(crew).media
    assert became[gone.commitment].decision_digest in line.decisions
    assert line.standing == "open"


def record(tx: Any, host: Any, serial: str, crew: Any) -> hosts.Drive:
    return hosts.record_drive(
        tx,
        id=DriveId.from_random(secrets.token_bytes(16)),
        host_id=host,
        serial=serial,
        salt=secrets.token_bytes(32),
        basis=DriveBasis.DECLARED,
        model=None,
        capacity_bytes=None,
        now=crew.world.now(),
    )


def test_a_forgotten_departure_keeps_its_drive(crew: Any) -> None:
    from controller.store import private

    replaced(crew)
    (line,) = media(crew).media
    with crew.program.store.transaction() as tx:
        private.shred(tx, subject_ref=line.medium, now=crew.world.now())
    (after,) = media(crew).media
    assert after == replace_words(line)


def replace_words(line: Any) -> Any:
    fields = line.model_dump() | dict.fromkeys(("removed_by", "why", "seal", "place"))
    return type(line).model_validate(fields)


def test_how_the_inspected_machine_came_up_is_shown(inspected: Any) -> None:
    from certificate.statements.vocabulary import BootTrust
    from controller.store import boots

    with inspected.program.store.transaction() as tx:
        tx.execute(update(boots.boot).values(boot_trust=BootTrust.NETWORK))
    assert inspected.people.show("drives", HOST).matter.facts["boot_trust"] == "network"
