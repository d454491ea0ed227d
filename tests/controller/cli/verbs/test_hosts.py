"""`expunge hosts`: what is typed is what is kept, or a usage error."""

from __future__ import annotations

from typing import Any

import pytest

from controller.store import hosts

GOOD = (
    *("host-1", "--address", "127.0.0.1:2222", "--site", "s1", "--rack", "r1", "--disposition", "rented"),
    *("--customer", "Ada Lovelace", "--fact", "dmi_uuid=4c4c", "--fact", "chassis_serial=C1"),
    *("--drive", "serial=S1,model=MODEL, 1,capacity_bytes=1000", "--drive", "serial=S2,model=M"),
    *("--parameter", "front=8080", "--parameter", "url=http://a/?b=c"),
)


def test_a_host_is_entered_and_listed(served_desk: Any, expunge: Any) -> None:
    home = ("--home", served_desk.home.path)
    added = expunge("hosts", "add", *GOOD, *home, "--json")
    assert added.code == 0, added.err
    assert added.json["drive_count"] == 2
    listed = expunge("hosts", "list", *home, "--json")
    assert listed.json == {"hosts": [added.json]}
    shown = expunge("hosts", "list", *home).out
    for value in ("host-1", "rented", "default", "s1", "r1", "127.0.0.1:2222", "2", added.json["host"]):
        assert value in shown
    assert "Ada" not in shown
    with served_desk.desk.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        drives = {drive.serial: drive for drive in hosts.drives_of(tx, host.id)}
        facts = {fact.kind.value: fact.value for fact in hosts.facts_of(tx, host.id)}
    assert (drives["S1"].model, drives["S1"].capacity_bytes) == ("MODEL, 1", 1000)
    assert (drives["S2"].model, drives["S2"].capacity_bytes) == ("M", None)
    assert facts == {"dmi_uuid": "4c4c", "chassis_serial": "C1"}
    assert host.boot_parameters == {"front": "8080", "url": "http://a/?b=c"}


def test_no_host_is_said_in_words(served_desk: Any, expunge: Any) -> None:
    assert expunge("hosts", "list", "--home", served_desk.home.path).out == "no host is on record\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("host-1", "host 1"),
        ("127.0.0.1:2222", "127.0.0.1"),
        ("dmi_uuid=4c4c", "dmi_uuid"),
        ("dmi_uuid=4c4c", "shoe_size=44"),
        ("serial=S2,model=M", "serial=S2"),
        ("serial=S2,model=M", "serial=S2,model=M,colour=red"),
        ("serial=S2,model=M", "serial=S2,model=M,capacity_bytes=1e3"),
        ("serial=S2,model=M", "S2"),
        ("front=8080", "Front=8080"),
        ("front=8080", "front="),
    ],
)
def test_a_typing_mistake_is_a_usage_error_and_stores_nothing(
    served_desk: Any, expunge: Any, old: str, new: str
) -> None:
    arguments = [new if argument == old else argument for argument in GOOD]
    assert arguments != list(GOOD)
    said = expunge("hosts", "add", *arguments, "--home", served_desk.home.path)
    assert (said.code, said.out) == (2, "")
    assert served_desk.desk.hosts().hosts == ()


@pytest.mark.parametrize("disposition", ["stock", "internal", "sold"])
def test_what_two_operators_must_declare_cannot_be_typed(
    served_desk: Any, expunge: Any, disposition: str
) -> None:
    said = expunge("hosts", "add", *GOOD, "--disposition", disposition, "--home", served_desk.home.path)
    assert said.code == 2
    assert "disposition" in said.err


def test_a_host_that_is_there_is_refused(served_desk: Any, expunge: Any) -> None:
    expunge("hosts", "add", *GOOD, "--home", served_desk.home.path)
    said = expunge("hosts", "add", *GOOD, "--home", served_desk.home.path)
    assert said.code == 3
    assert said.err.startswith("ALREADY_STORED")
