from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.errors import Code
from agent.host_facts import EmulatedHostFacts, LinuxHostFacts, counts
from certificate.errors import Malformed

GOOD = {
    "chassis_serial": "CH-4711",
    "board_serial": "BO-4711",
    "dmi_uuid": "4c4c4544-0031-4b10-8034-b7c04f4d3253",
}


def file_of(folder: Path, content: object) -> Path:
    path = folder / "facts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / "sys/class/dmi/id" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def card(root: Path, name: str, address: str, *, is_device: bool = True, kind: str = "1") -> None:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    (folder / "address").write_text(address + "\n")
    (folder / "type").write_text(kind + "\n")
    if is_device:
        (folder / "device").mkdir()


def seen(root: Path) -> dict[str, str]:
    return {fact.kind: fact.value for fact in LinuxHostFacts(root).observe()}


def test_an_emulated_host_is_what_its_file_says_in_order_of_kind(tmp_path: Path) -> None:
    facts = EmulatedHostFacts(file_of(tmp_path, GOOD)).observe()
    assert [(fact.kind, fact.value) for fact in facts] == sorted(GOOD.items())


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"chasis_serial": "X-1"}, Code.HOST_FACTS_INVALID),
        ({"chassis_serial": ""}, Code.HOST_FACTS_INVALID),
        ({"chassis_serial": "To Be Filled By O.E.M."}, Code.HOST_FACTS_INVALID),
        ({"chassis_serial": 4711}, Code.HOST_FACTS_INVALID),
        ({"chassis_serial": "line\nbreak"}, Code.HOST_FACTS_INVALID),
        ('{"chassis_serial": "a-1", "chassis_serial": "b-2"}', "DUPLICATE_KEY"),
        ("[]", "MALFORMED"),
        ("", "MALFORMED"),
    ],
)
def test_a_facts_file_is_read_strictly(tmp_path: Path, content: object, code: str) -> None:
    with pytest.raises(Malformed) as refusal:
        EmulatedHostFacts(file_of(tmp_path, content)).observe()
    assert refusal.value.code == code


def test_a_missing_facts_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refusal:
        EmulatedHostFacts(tmp_path / "absent.json").observe()
    assert refusal.value.code is Code.HOST_FACTS_INVALID


def test_a_linux_machine_is_known_by_its_boards_and_cards(tmp_path: Path) -> None:
    machine(
        tmp_path,
        chassis_serial="CH-4711",
        board_serial="BO-4711",
        product_uuid="4C4C4544-0031-4B10-8034-B7C04F4D3253",
    )
    card(tmp_path, "eth1", "00:1B:21:00:00:02")
    card(tmp_path, "eth0", "00:1b:21:00:00:01")
    assert seen(tmp_path) == {**GOOD, "nic_macs": "00:1b:21:00:00:01,00:1b:21:00:00:02"}


def test_cards_that_are_no_burnt_in_ethernet_do_not_count(tmp_path: Path) -> None:
    card(tmp_path, "lo", "00:00:00:00:00:00", is_device=False, kind="772")
    card(tmp_path, "docker0", "02:42:ac:11:00:02", is_device=False)
    card(tmp_path, "eth0", "02:42:ac:11:00:03")
    card(tmp_path, "eth1", "00:00:00:00:00:00")
    card(tmp_path, "ib0", "00:1b:21:00:00:05", kind="32")
    card(tmp_path, "eth2", "not a mac")
    assert seen(tmp_path) == {}


def test_a_machine_without_sysfs_has_no_facts(tmp_path: Path) -> None:
    assert seen(tmp_path) == {}


@pytest.mark.parametrize(
    "uuid",
    [
        "03000200-0400-0500-0006-000700080009",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "4c4c4544",
    ],
)
def test_a_uuid_that_many_machines_share_is_no_fact(tmp_path: Path, uuid: str) -> None:
    assert seen(machine(tmp_path, product_uuid=uuid)) == {}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "To Be Filled By O.E.M.",
        "to be filled by o.e.m",
        "Default string",
        "Not Specified",
        "N/A",
        "None",
        "System Serial Number",
        "0123456789",
        "00000000",
        "................",
        "0-0-0",
        "XXXXXX",
        "x" * 301,
        "tab\tbed",
    ],
)
def test_a_placeholder_tells_no_two_machines_apart(value: str) -> None:
    assert not counts(value)


@pytest.mark.parametrize("value", ["CH-4711", "JB00X1", "2M210406TK", "00:1b:21:00:00:01"])
def test_a_serial_number_counts(value: str) -> None:
    assert counts(value)
