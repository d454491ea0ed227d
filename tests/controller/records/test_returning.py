"""A drive that another host has on record goes on no second record unseen, and off one only with a word."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DriveId, HostId
from controller.api.documents import NewHost
from controller.errors import Code
from controller.records import gaps, importing, returning
from controller.records.host_file import read_hosts
from controller.serving import desk_of
from controller.store import hosts

SERIAL = "SABOTAGE1"
HEAD = "asset_tag,site,rack,customer,data_class,disposition,address,drives,parameter.p,fact.chassis_serial\n"
SAME = "host-1,s,r,,default,rented,127.0.0.1:1,,,CH1\n"
NEW = f"host-2,s,r,Ada,default,rented,127.0.0.1:2,{SERIAL}|M|5,,CH2\n"
LEAVES = {
    "host": "host-1",
    "old": SERIAL,
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "4711",
    "place": "safe 2",
}


def asked(crew: Any, text: str) -> dict[str, str]:
    with crew.program.store.snapshot() as tx:
        found = importing.difference(tx, crew.program, read_hosts(text))
    return {"text": text, "difference": found.digest}


def add(crew: Any) -> None:
    fields = {
        "asset_tag": "host-2",
        "site": "s",
        "rack": "r",
        "customer": None,
        "data_class": "default",
        "disposition": "rented",
        "address": "127.0.0.1:2",
        "parameters": {},
        "facts": [],
        "drives": [{"serial": SERIAL, "model": "M", "capacity_bytes": 9, "basis": "declared"}],
    }
    desk_of(crew.program, wake=lambda: None).add_host(NewHost.model_validate_json(json.dumps(fields)))


def tags(crew: Any) -> list[str]:
    with crew.program.store.snapshot() as tx:
        return [host.asset_tag for host in hosts.all_hosts(tx)]


def neighbour(crew: Any, serial: str) -> HostId:
    """host-2, with this drive on record."""
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        other = replace(host, id=HostId.from_random(secrets.token_bytes(16)), asset_tag="host-2")
        hosts.register(tx, other, facts=(), now=crew.world.now())
        hosts.record_drive(
            tx,
            id=DriveId.from_random(secrets.token_bytes(16)),
            host_id=other.id,
            serial=serial,
            salt=secrets.token_bytes(32),
            basis=hosts.DriveBasis.DECLARED,
            model=None,
            capacity_bytes=None,
            now=crew.world.now(),
        )
    return other.id


def warned(crew: Any, kind: str, about: dict[str, str]) -> str:
    """The one warning of a matter that two people have to sign."""
    matter = crew.people.show(kind, about).matter
    assert matter.people_needed == 2
    (warning,) = (each for each in matter.consequences if each.startswith("WARNING"))
    return str(warning)


def test_no_host_is_added_unsigned_with_a_drive_of_another_host(crew: Any) -> None:
    """Before it left the other record and, as an open exception, after."""
    assert crew.refused(lambda: add(crew)) == "DRIVE_ON_TWO_HOSTS"
    for operator in (crew.alice, crew.bob):
        crew.people.decide("remove", LEAVES, by=operator)
    assert crew.refused(lambda: add(crew)) == "DRIVE_LEFT_BEFORE"
    assert tags(crew) == ["host-1"]


def test_a_file_puts_a_drive_of_another_host_on_record_by_two_signatures_and_a_warning(crew: Any) -> None:
    about = asked(crew, HEAD + NEW)
    assert f"{SERIAL} is on record in host-1" in warned(crew, "import", about)
    assert crew.people.decide("import", about, by=crew.alice).done is None
    assert tags(crew) == ["host-1"]
    assert crew.people.decide("import", about, by=crew.bob).done is not None
    assert tags(crew) == ["host-1", "host-2"]
    with crew.program.store.snapshot() as tx:
        for host in hosts.all_hosts(tx):
            found = {gap.code for gap in gaps.gaps_of(tx, crew.program, host, now=crew.world.now())}
            assert Code.DRIVE_ON_TWO_HOSTS in found


@pytest.mark.parametrize(
    "file", [NEW + NEW.replace("host-2", "host-3"), SAME.replace(":1,,", ":1,S2|M|9,") + NEW]
)
def test_a_file_gives_no_drive_to_two_hosts(crew: Any, file: str) -> None:
    file = HEAD + file.replace(SERIAL, "S2")
    with (
        crew.program.store.snapshot() as tx,
        pytest.raises(Refused, match="a drive is in one host") as caught,
    ):
        importing.difference(tx, crew.program, read_hosts(file))
    assert caught.value.code is Code.IMPORT_INVALID


def test_a_drive_of_another_host_replaces_one_with_a_warning(crew: Any) -> None:
    neighbour(crew, "S2")
    about = LEAVES | {"new": "serial=S2,model=M"}
    assert "S2 is on record in host-2" in warned(crew, "remove", about)


def test_who_takes_a_drive_off_one_of_two_records_is_told_what_the_other_then_allows(crew: Any) -> None:
    neighbour(crew, SERIAL)
    assert "a wipe of host-2 destroys what is on it" in warned(crew, "remove", LEAVES)


def test_a_drive_of_one_record_alone_joins_and_leaves_without_a_word(crew: Any) -> None:
    other = neighbour(crew, "S2")
    with crew.program.store.transaction() as tx:
        (drive,) = hosts.drives_of(tx, other)
        assert returning.warnings_of_leaving(tx, drive) == ()
        assert returning.warnings(tx, ["S3"]) == ()
        returning.refuse(tx, ["S3"])
        with pytest.raises(Refused):
            returning.refuse(tx, ["S2"])
