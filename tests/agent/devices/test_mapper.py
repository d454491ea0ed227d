from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.devices import mapper
from agent.devices.mapper import Mapper
from agent.devices.stack import Stacked
from certificate.statements.vocabulary import StackedKind
from tests.machine import FakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    made = FakeMachine(tmp_path)
    made.device("vdb", "254:16")
    return made


def mapper_of(machine: FakeMachine) -> Mapper:
    return Mapper(
        sys_root=machine.sys_root,
        dev_root=machine.dev_root,
        open_path=machine.open_path,
        ioctl=machine.ioctl,
        path_call=machine.path_call,
    )


def thing(kind: StackedKind, path: str) -> Stacked:
    return Stacked(key=path, kind=kind, name=path, path=path, on=("vdb",), placed_in=None)


@pytest.mark.parametrize(("number", "encoded"), [("253:0", "00fd"), ("253:260", "04fd10")])
def test_a_mapping_is_named_by_its_number_alone(machine: FakeMachine, number: str, encoded: str) -> None:
    """The bytes are laid out by hand after linux/dm-ioctl.h; one minor does not fit eight bits."""
    machine.mapped("dm-4", number, "home", "CRYPT-LUKS2-x", "vdb")
    sent: list[bytes] = []

    def keep(descriptor: int, request: int, argument: bytearray | int) -> object:
        assert isinstance(argument, bytearray)
        sent.append(bytes(argument))
        return machine.ioctl(descriptor, request, argument)

    driver = Mapper(
        sys_root=machine.sys_root, dev_root=machine.dev_root, open_path=machine.open_path, ioctl=keep
    )
    driver.let_go(thing(StackedKind.CRYPT, "dm-4"))
    expected = bytearray(312)
    expected[0] = 4
    expected[12:14] = expected[16:18] = bytes.fromhex("3801")
    expected[40 : 40 + len(encoded) // 2] = bytes.fromhex(encoded)
    assert sent == [bytes(expected)]
    assert machine.asked == ["remove dm-4"]


@pytest.mark.parametrize("kind", [StackedKind.CRYPT, StackedKind.LVM, StackedKind.MAPPER])
def test_every_kind_of_mapping_is_removed(machine: FakeMachine, kind: StackedKind) -> None:
    machine.mapped("dm-4", "253:4", "home", "", "vdb")
    mapper_of(machine).let_go(thing(kind, "dm-4"))
    assert "dm-4" not in machine.devices
    assert machine.open_flags == [os.O_RDWR | os.O_CLOEXEC]


def test_a_mapping_without_a_number_is_not_asked_for(machine: FakeMachine) -> None:
    with pytest.raises(OSError, match="no number"):
        mapper_of(machine).let_go(thing(StackedKind.LVM, "dm-9"))
    assert machine.asked == []


def test_an_array_is_stopped_and_a_loop_device_detached(machine: FakeMachine) -> None:
    machine.device("md0", "9:0", on=("vdb",), md__level="raid1")
    machine.loop("loop0", "7:0", "/dev/vdb")
    driver = mapper_of(machine)
    driver.let_go(thing(StackedKind.RAID, "md0"))
    driver.let_go(thing(StackedKind.LOOP, "loop0"))
    assert machine.asked == ["stop md0", "loop loop0"]
    assert machine.open_flags == [os.O_RDONLY | os.O_CLOEXEC] * 2, "a read-only device opens only so"


def test_a_mount_and_swap_are_let_go_by_their_paths(machine: FakeMachine) -> None:
    machine.mount("/srv", "254:16")
    machine.swap("/dev/vdb")
    driver = mapper_of(machine)
    driver.let_go(thing(StackedKind.MOUNT, "/srv"))
    driver.let_go(thing(StackedKind.SWAP, "/dev/vdb"))
    assert machine.asked == ["umount /srv", "swapoff /dev/vdb"]


def test_what_the_kernel_refuses_is_an_error_and_asked_once(machine: FakeMachine) -> None:
    machine.device("md0", "9:0", on=("vdb",), md__level="raid1")
    machine.mount("/srv", "9:0")
    with pytest.raises(OSError, match="md0") as refused:
        mapper_of(machine).let_go(thing(StackedKind.RAID, "md0"))
    assert refused.value.errno == errno.EBUSY
    assert machine.asked == ["stop md0"]


def test_no_descriptor_stays_open(machine: FakeMachine) -> None:
    machine.device("md0", "9:0", on=("vdb",), md__level="raid1")
    machine.stuck.add("md0")
    with pytest.raises(OSError, match="md0"):
        mapper_of(machine).let_go(thing(StackedKind.RAID, "md0"))
    (descriptor,) = machine.opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("kind", [StackedKind.PARTITION, StackedKind.OTHER])
def test_what_no_call_lets_go_is_an_error(machine: FakeMachine, kind: StackedKind) -> None:
    with pytest.raises(OSError, match="nothing lets go"):
        mapper_of(machine).let_go(thing(kind, "vdb1"))


@pytest.mark.parametrize(("name", "flags"), [("umount2", 8), ("swapoff", None)])
def test_the_c_librarys_refusal_carries_its_number(tmp_path: Path, name: str, flags: int | None) -> None:
    with pytest.raises(OSError, match="absent") as refused:
        mapper.library_call(name, str(tmp_path / "absent"), flags)
    assert refused.value.errno in (errno.ENOENT, errno.EPERM)


def test_own_paths_are_the_program_its_libraries_and_what_is_open(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w"):
        found = mapper.own_paths()
    assert str(tmp_path / "open") in found
    assert str(Path.cwd()) in found
    assert any("python" in path for path in found)
    assert all(path.startswith("/") for path in found)


def test_own_paths_are_read_from_maps_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "self"
    (folder / "fd").mkdir(parents=True)
    for name, target in (("exe", "/opt/a b/python"), ("cwd", "/run/agent"), ("fd/3", "pipe:[12]")):
        (folder / name).symlink_to(target)
    (folder / "maps").write_text(
        "7f00-7f01 r-xp 00000000 fd:00 12   /opt/lib with space.so\n7ffc-7ffd rw-p 0 00:00 0  [stack]\n"
    )
    found = mapper.own_paths(tmp_path)
    assert {"/opt/a b/python", "/run/agent", "/opt/lib with space.so"} <= set(found)
    assert all(path.startswith("/") for path in found)
