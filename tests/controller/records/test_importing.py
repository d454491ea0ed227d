"""A file of hosts against the record: exactly the difference that was read, or nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import HostFactKind, Trigger
from controller import intake
from controller.api.host_records import difference
from controller.api.host_records_documents import ImportAsked, ImportDifference
from controller.errors import Code
from controller.facts import Disposition
from controller.records import importing
from controller.records.host_file import read_hosts
from controller.records.importing import Difference
from controller.store import deprovisions, hosts, ledger, private, sightings, stops
from controller.store.hosts import DriveBasis, HostFact, HostField
from controller.store.sightings import Provenance
from demo.disclosure import says

#: What the world has on record for its host, and one column more of each open kind.
KNOWN: dict[str, str] = {
    "asset_tag": "host-1",
    "site": "s",
    "rack": "r",
    "customer": "",
    "data_class": "default",
    "disposition": "rented",
    "address": "127.0.0.1:1",
    "drives": "",
    "parameter.port": "",
    "fact.chassis_serial": "CH1",
    "fact.bmc_mac": "",
    "fact.board_serial": "",
    "fact.dmi_uuid": "",
}
NEW = KNOWN | {
    "asset_tag": "host-2",
    "customer": "Ada",
    "drives": "S7|MODEL 7|700; S8|M|",
    "parameter.port": "e7",
    "fact.chassis_serial": "CH2",
    "fact.board_serial": "BD2",
    "fact.dmi_uuid": "b2" * 16,
}


def text(*rows: dict[str, str]) -> str:
    return "\n".join([",".join(KNOWN), *(",".join(row.values()) for row in rows)]) + "\n"


def dry_run(world: Any, *rows: dict[str, str]) -> ImportDifference:
    return difference(world.program, ImportAsked(text=text(*rows)))


def apply(world: Any, digest: str, *rows: dict[str, str]) -> Difference:
    """As enough operators have it applied."""
    with world.program.store.transaction() as tx:
        return importing.apply(tx, world.program, read_hosts(text(*rows)), digest=digest)


def applied(world: Any, *rows: dict[str, str]) -> ImportDifference:
    """What was told and then applied."""
    told = dry_run(world, *rows)
    apply(world, told.digest, *rows)
    return told


def refused(world: Any, *rows: dict[str, str]) -> Refused:
    """By the dry run and by the application alike; nothing is stored."""
    before = newest(world)
    with pytest.raises(Refused) as told:
        dry_run(world, *rows)
    with pytest.raises(Refused) as again:
        apply(world, "0" * 64, *rows)
    assert str(told.value) == str(again.value)
    assert newest(world) == before
    return told.value


def newest(world: Any) -> int:
    with world.program.store.snapshot() as tx:
        return ledger.head(tx)[0]


def host(world: Any, asset_tag: str = "host-1") -> hosts.Host:
    with world.program.store.snapshot() as tx:
        found = hosts.by_asset_tag(tx, asset_tag)
    assert found is not None
    return found


def begin_leaving(world: Any) -> None:
    with world.program.store.transaction() as tx:
        deprovisions.schedule(
            tx,
            id=DeprovisionId.from_random(secrets.token_bytes(16)),
            host_id=host(world).id,
            tenancy_id=None,
            trigger=Trigger.MANUAL,
            data_class="default",
            policy_version=1,
            policy_digest="0" * 64,
            grace_until=world.now(),
            dwell_seconds=0,
            now=world.now(),
        )


def was_seen(world: Any, **facts: str) -> None:
    with world.program.store.transaction() as tx:
        sightings.record(
            tx,
            host(world).id,
            provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
            facts=tuple(HostFact(kind=HostFactKind(kind), value=value) for kind, value in facts.items()),
            drives=(),
            now=world.now(),
        )


def test_what_is_as_it_was_is_unchanged_and_leaves_no_trace(world: Any) -> None:
    before = newest(world)
    told = applied(world, KNOWN)
    assert (told.unchanged, told.added, told.changed, told.not_in_file) == (("host-1",), (), (), ())
    assert newest(world) == before


def test_a_dry_run_stores_nothing(world: Any) -> None:
    before = newest(world)
    told = dry_run(world, KNOWN | {"rack": "r9"}, NEW)
    assert (told.added, [change.host for change in told.changed]) == (("host-2",), ["host-1"])
    assert newest(world) == before
    assert host(world).rack == "r"


def test_a_new_host_is_added_with_everything_the_file_says(world: Any) -> None:
    told = applied(world, KNOWN, NEW)
    assert told.added == ("host-2",)
    new = host(world, "host-2")
    with world.program.store.snapshot() as tx:
        drives = {drive.serial: drive for drive in hosts.drives_of(tx, new.id)}
        facts = {fact.kind.value: fact.value for fact in hosts.facts_of(tx, new.id)}
        customer = private.read(
            tx,
            subject_ref=new.customer_ref,
            kind="customer",
            master_key=world.keys.private_text_key,
        )
        provenance = {each.field: each for each in sightings.provenance_of(tx, new.id)}
    assert {name: (d.model, d.capacity_bytes, d.basis) for name, d in drives.items()} == {
        "S7": ("MODEL 7", 700, DriveBasis.DECLARED),
        "S8": ("M", None, DriveBasis.DECLARED),
    }
    assert (facts, customer) == (
        {"chassis_serial": "CH2", "board_serial": "BD2", "dmi_uuid": "b2" * 16},
        "Ada",
    )
    assert new.boot_parameters == new.quarantine_parameters == {"port": "e7"}
    assert provenance.keys() >= {"site", "disposition", "customer", "parameter.port", "fact.chassis_serial"}
    assert {each.provenance for each in provenance.values()} == {Provenance.ASSERTED}
    assert {each.source_digest for each in provenance.values()} == {told.file_digest}


def test_a_changed_field_is_shown_from_what_to_what_and_then_changed(world: Any) -> None:
    row = KNOWN | {"rack": "r9", "address": "10.0.0.1:22", "parameter.port": "e7", "fact.bmc_mac": "aa:bb"}
    told = applied(world, row | {"drives": "S9|M|9"})
    ((changed),) = told.changed
    assert {each.field: (each.old, each.new) for each in changed.changes} == {
        "rack": ("r", "r9"),
        "address": ("127.0.0.1:1", "10.0.0.1:22"),
        "parameter.port": (None, "e7"),
        "fact.bmc_mac": (None, "aa:bb"),
        "drive.S9": (None, "M, 9"),
    }
    now = host(world)
    assert (now.rack, now.address, now.port, now.boot_parameters) == ("r9", "10.0.0.1", 22, {"port": "e7"})
    assert dry_run(world, row | {"drives": "S9|M|9"}).unchanged == ("host-1",)


def test_every_plain_field_can_be_changed(world: Any) -> None:
    row = KNOWN | {"site": "s9", "data_class": "secret", "disposition": "unknown", "customer": "Bob"}
    applied(world, row | {"fact.chassis_serial": "CH9"})
    now = host(world)
    assert (now.site, now.data_class, now.disposition) == ("s9", "secret", Disposition.UNKNOWN)
    assert now.customer_ref == world.program.pseudonyms.customer("Bob")
    assert dry_run(world, row | {"fact.chassis_serial": "CH9"}).changed == ()


def test_what_the_file_does_not_name_stays_and_is_said(world: Any) -> None:
    applied(world, KNOWN | {"parameter.port": "e7", "customer": "Ada"}, NEW)
    told = applied(world, NEW | {"asset_tag": "host-3", "drives": ""})
    assert told.not_in_file == ("host-1", "host-2")
    told = applied(world, KNOWN, NEW | {"drives": "", "parameter.port": ""})
    assert set(told.unchanged) == {"host-1", "host-2"}
    assert host(world).boot_parameters == {"port": "e7"}
    assert host(world).customer_ref is not None
    with world.program.store.snapshot() as tx:
        assert len(hosts.drives_of(tx, host(world).id)) == 1
        assert len(hosts.drives_of(tx, host(world, "host-2").id)) == 2


def test_a_customers_name_is_in_no_answer_and_no_ledger(world: Any) -> None:
    told = applied(world, KNOWN | {"customer": "Ada Lovelace"})
    assert not says(told.to_json().encode(), "Ada")
    with world.program.store.snapshot() as tx:
        assert not any(says(event.line().encode(), "Ada") for event in ledger.events(tx))


# --- only what was read -------------------------------------------------------------------------------------


def test_another_file_under_the_same_digest_is_refused(world: Any) -> None:
    digest = dry_run(world, KNOWN, NEW).digest
    with pytest.raises(Refused) as changed:
        apply(world, digest, KNOWN, NEW | {"rack": "r2"})
    assert changed.value.code is Code.IMPORT_CHANGED


def test_a_record_that_changed_meanwhile_is_refused(world: Any) -> None:
    digest = dry_run(world, KNOWN | {"rack": "r9"}).digest
    applied(world, KNOWN | {"rack": "r5"})
    with pytest.raises(Refused) as changed:
        apply(world, digest, KNOWN | {"rack": "r9"})
    assert changed.value.code is Code.IMPORT_CHANGED
    assert host(world).rack == "r5"


def test_a_difference_is_applied_once(world: Any) -> None:
    digest = dry_run(world, KNOWN, NEW).digest
    apply(world, digest, KNOWN, NEW)
    with pytest.raises(Refused) as changed:
        apply(world, digest, KNOWN, NEW)
    assert changed.value.code is Code.IMPORT_CHANGED


# --- what refuses the whole file ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("fact.chassis_serial", "CH9"),
        ("fact.bmc_mac", "aa:bb"),
        ("drives", "S9|M|9"),
        ("data_class", "secret"),
        ("disposition", "unknown"),
        ("address", "10.0.0.1:22"),
        ("site", "s9"),
        ("rack", "r9"),
        ("customer", "Ada"),
    ],
)
def test_what_a_live_deprovision_rests_on_stays(world: Any, column: str, cell: str) -> None:
    begin_leaving(world)
    refusal = refused(world, NEW, KNOWN | {column: cell})
    assert refusal.code is Code.HOST_IS_LEAVING
    assert "line 3, column" in refusal.reason


def test_while_a_host_leaves_a_parameter_may_be_given_but_not_changed(world: Any) -> None:
    begin_leaving(world)
    applied(world, KNOWN | {"parameter.port": "e7"})
    assert refused(world, KNOWN | {"parameter.port": "e8"}).code is Code.HOST_IS_LEAVING
    assert dry_run(world, KNOWN | {"parameter.port": "e7"}).unchanged == ("host-1",)


def test_a_fact_that_a_trusted_boot_contradicts_is_refused(world: Any) -> None:
    was_seen(world, chassis_serial="CH1", bmc_mac="aa:aa")
    assert refused(world, KNOWN | {"fact.chassis_serial": "CH9"}).code is Code.FACT_CONTRADICTED
    refusal = refused(world, KNOWN | {"fact.bmc_mac": "bb:bb"})
    assert refusal.code is Code.FACT_CONTRADICTED
    assert "'aa:aa'" in refusal.reason
    assert applied(world, KNOWN | {"fact.bmc_mac": "aa:aa"}).changed


def test_a_drive_on_record_is_not_described_anew(world: Any) -> None:
    applied(world, KNOWN | {"drives": "S9|M|9"})
    assert refused(world, KNOWN | {"drives": "S9|OTHER|9"}).code is Code.IMPORT_INVALID
    assert refused(world, KNOWN | {"drives": "S9|M|10"}).code is Code.IMPORT_INVALID
    assert applied(world, KNOWN | {"drives": "S9|M|"}).unchanged == ("host-1",)


@pytest.mark.parametrize("disposition", ["stock", "internal"])
def test_a_file_declares_nothing(world: Any, people_of: Callable[[Any], Any], disposition: str) -> None:
    assert refused(world, KNOWN | {"disposition": disposition}).code is Code.IMPORT_INVALID
    assert refused(world, NEW | {"disposition": disposition}).code is Code.IMPORT_INVALID
    applied(world, NEW)
    world._beat()
    for operator in world.operators:
        about = {"host": "host-2", "disposition": disposition}
        people_of(world.program).decide("disposition", about, by=operator)
    assert host(world, "host-2").disposition == disposition
    assert refused(world, NEW).code is Code.IMPORT_INVALID
    assert dry_run(world, NEW | {"disposition": disposition}).unchanged == ("host-2",)


def test_one_refused_row_refuses_every_other(world: Any) -> None:
    begin_leaving(world)
    refused(world, NEW, KNOWN | {"address": "10.0.0.1:22"})
    with world.program.store.snapshot() as tx:
        assert hosts.by_asset_tag(tx, "host-2") is None


# --- a hold is lifted by those who release it, and by no file -----------------------------------------------

#: Scope of a hold -> what a file would change to slip from under it.
SLIPS = {
    "site=s": {"site": "s9"},
    "rack=r": {"rack": "r9"},
    "customer=Ada": {"customer": "Bob"},
}
#: The same, straight in the row.
MOVES = {
    "site=s": (HostField.SITE, "s", "s9"),
    "rack=r": (HostField.RACK, "r", "r9"),
    "customer=Ada": (HostField.CUSTOMER, "Ada", "Bob"),
}


def held(crew: Any, scope: str) -> None:
    applied(crew.world, KNOWN | {"customer": "Ada"})
    about = {"scope": scope, "matter": "case 7", "review": "P30D"}
    crew.people.decide("hold", about, by=crew.alice)


def holds(crew: Any) -> list[int]:
    with crew.program.store.snapshot() as tx:
        return [stop.number for stop in stops.standing(tx, host(crew.world).id)]


@pytest.mark.parametrize("scope", SLIPS)
def test_a_file_takes_no_host_from_under_a_hold(crew: Any, scope: str) -> None:
    held(crew, scope)
    row = KNOWN | {"customer": "Ada"} | SLIPS[scope]
    refusal = refused(crew.world, row)
    assert refusal.code is Code.HOST_IS_HELD
    (number,) = holds(crew)
    for operator in (crew.alice, crew.bob):
        crew.people.decide("release_hold", {"number": str(number)}, by=operator)
    assert applied(crew.world, row).changed


@pytest.mark.parametrize("scope", ["host=host-1", "everything"])
def test_under_any_hold_a_host_stays_where_and_whose_it_is(crew: Any, scope: str) -> None:
    held(crew, scope)
    for slip in SLIPS.values():
        assert refused(crew.world, KNOWN | {"customer": "Ada"} | slip).code is Code.HOST_IS_HELD
    assert applied(crew.world, KNOWN | {"parameter.port": "e7"}).changed


@pytest.mark.parametrize("scope", MOVES)
def test_a_hold_stands_whatever_becomes_of_the_row(crew: Any, scope: str) -> None:
    held(crew, scope)
    before = holds(crew)
    field, old, new = MOVES[scope]
    if field is HostField.CUSTOMER:
        old, new = map(crew.program.pseudonyms.customer, (old, new))
    with crew.program.store.transaction() as tx:
        hosts.change(tx, host(crew.world).id, field, old=old, new=new, now=crew.program.clock())
    assert holds(crew) == before != []
    with crew.program.store.snapshot() as tx:
        (stop,) = stops.all_standing(tx)
        assert stops.named(tx, stop.scope) == ()
        assert stops.covered_count(tx, stop) == 1


def test_a_hold_covers_also_what_comes_under_its_scope_later(crew: Any) -> None:
    held(crew, "rack=r")
    applied(crew.world, NEW)
    with crew.program.store.snapshot() as tx:
        assert [stop.scope.place for stop in stops.standing(tx, host(crew.world, "host-2").id)] == ["r"]


def test_a_hold_on_a_customer_covers_whose_tenancy_it_was(crew: Any) -> None:
    """The tenancy remembers whose it was, also where the hold comes after the host has another customer."""
    applied(crew.world, KNOWN | {"customer": "Ada"})
    crew.world._beat()
    intake.learn(crew.program)
    applied(crew.world, KNOWN | {"customer": "Bob"})
    about = {"scope": "customer=Ada", "matter": "case 7", "review": "P30D"}
    crew.people.decide("hold", about, by=crew.alice)
    assert len(holds(crew)) == 1
