from __future__ import annotations

from pathlib import Path

import pytest

from agent.devices import stack
from agent.devices.stack import Stacked
from certificate.statements.vocabulary import StackedKind
from tests.machine import FakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def look(machine: FakeMachine) -> dict[str, Stacked]:
    found = stack.read(sys_root=machine.sys_root, proc_root=machine.proc_root, dev_root=machine.dev_root)
    return {each.name: each for each in found}


def test_a_partition_stands_on_its_disk(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.partition("vdb", "vdb1", "254:17")
    part = look(machine)["vdb1"]
    assert (part.kind, part.on) == (StackedKind.PARTITION, ("vdb",))


@pytest.mark.parametrize(
    ("uuid", "kind"),
    [
        ("CRYPT-LUKS2-0123-home", StackedKind.CRYPT),
        ("LVM-aBcDeF", StackedKind.LVM),
        ("mpath-3600508b4000156d7", StackedKind.MAPPER),
        ("part1-mpath-36005", StackedKind.MAPPER),
        ("", StackedKind.MAPPER),
    ],
)
def test_a_mapping_is_named_by_who_made_it(machine: FakeMachine, uuid: str, kind: StackedKind) -> None:
    machine.device("vdb", "254:16")
    machine.mapped("dm-0", "253:0", "home", uuid, "vdb")
    assert (look(machine)["dm-0"].kind, look(machine)["dm-0"].on) == (kind, ("vdb",))


def test_an_array_stands_on_all_its_members(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.device("vdc", "254:32")
    machine.device("md0", "9:0", on=("vdb", "vdc"), md__level="raid1")
    assert (look(machine)["md0"].kind, look(machine)["md0"].on) == (StackedKind.RAID, ("vdb", "vdc"))


def test_an_array_in_a_controllers_container_stands_on_the_container(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.device("md127", "9:127", on=("vdb",), md__level="container", md__metadata_version="external:imsm")
    machine.device("md126", "9:126", on=("vdb",), md__level="raid1", md__metadata_version="external:/md127/0")
    assert look(machine)["md126"].on == ("md127", "vdb")
    assert look(machine)["md127"].on == ("vdb",)


def test_a_device_that_holds_another_and_is_of_no_known_kind_is_other(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.device("bcache0", "251:0", on=("vdb",))
    assert look(machine)["bcache0"].kind is StackedKind.OTHER


def test_a_holder_that_is_shown_at_one_end_only_is_not_left_out(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    (machine.sys_root / "block/vdb/holders/strange0").mkdir()
    assert (look(machine)["strange0"].kind, look(machine)["strange0"].on) == (StackedKind.OTHER, ("vdb",))


def test_a_mount_stands_on_the_device_with_its_number_whatever_its_source_says(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.mount("/srv", "254:16", source="/dev/root")
    mount = look(machine)["/srv"]
    assert (mount.kind, mount.on, mount.path) == (StackedKind.MOUNT, ("vdb",), "/srv")
    assert mount.placed_in == look(machine)["/"].key


def test_signs_that_mountinfo_writes_as_numbers_are_read_back(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.mount("/srv/a b\\c", "254:16")
    assert look(machine)["/srv/a b\\c"].on == ("vdb",)


def test_a_btrfs_mount_stands_on_every_device_of_the_file_system(machine: FakeMachine) -> None:
    for index, name in enumerate(("vdb", "vdc", "vdd")):
        machine.device(name, f"254:{16 * index}")
    machine.btrfs["1234-5678"] = ["vdb", "vdc"]
    machine.mount("/srv", "0:44", "btrfs", "/dev/vdb")
    assert look(machine)["/srv"].on == ("vdb", "vdc")


def test_sources_are_followed_through_the_mappers_names_and_through_links(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.mapped("dm-3", "253:3", "vg-home", "LVM-x", "vdb")
    machine.mount("/a", "0:44", "btrfs", "/dev/mapper/vg-home")
    link = machine.dev_root / "disk/by-id/one"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../vdb")
    (machine.dev_root / "vdb").touch()
    machine.mount("/b", "0:45", "btrfs", "/dev/disk/by-id/one")
    machine.mount("/c", "0:46", "bcachefs", "/dev/vdb:/dev/mapper/vg-home")
    seen = look(machine)
    assert (seen["/a"].on, seen["/b"].on, seen["/c"].on) == (("dm-3",), ("vdb",), ("dm-3", "vdb"))


def test_an_overlay_stands_on_the_mounts_its_layers_lie_in(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    lower = machine.mount("/lower", "254:16")
    machine.mount(
        "/merged", "0:50", "overlay", "overlay", options="rw,lowerdir=/lower/a:/lower/b,upperdir=/run/u"
    )
    assert look(machine)["/merged"].on == tuple(sorted((f"mount {lower.id}", "mount 20")))


def test_a_loop_device_stands_on_the_mount_its_file_lies_in(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    mount = machine.mount("/srv", "254:16")
    machine.loop("loop0", "7:0", "/srv/disk.img")
    machine.loop("loop1", "7:1", "/srv/gone.img (deleted)")
    machine.loop("loop2", "7:2", "/dev/vdb")
    machine.device("loop3", "7:3")
    seen = look(machine)
    assert (seen["loop0"].kind, seen["loop0"].on) == (StackedKind.LOOP, (f"mount {mount.id}",))
    assert seen["loop1"].on == (f"mount {mount.id}",)
    assert seen["loop2"].on == ("vdb",)
    assert "loop3" not in seen


def test_a_file_below_a_covered_mount_point_is_taken_to_lie_on_all_that_are_there(
    machine: FakeMachine,
) -> None:
    machine.device("vdb", "254:16")
    machine.device("vdc", "254:32")
    first, second = machine.mount("/srv", "254:16"), machine.mount("/srv", "254:32")
    machine.loop("loop0", "7:0", "/srv/disk.img")
    assert set(look(machine)["loop0"].on) == {f"mount {first.id}", f"mount {second.id}"}
    found = stack.read(sys_root=machine.sys_root, proc_root=machine.proc_root, dev_root=machine.dev_root)
    assert {each.key: each.placed_in for each in found}[f"mount {second.id}"] == f"mount {first.id}"


def test_swap_stands_on_a_device_or_on_the_mount_of_its_file(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.mapped("dm-0", "253:0", "swap", "LVM-x", "vdb")
    mount = machine.mount("/srv", "254:16")
    for path in ("/dev/dm-0", "/dev/mapper/swap", "/srv/swap\\040file"):
        machine.swap(path)
    seen = look(machine)
    assert (seen["/dev/dm-0"].kind, seen["/dev/dm-0"].on) == (StackedKind.SWAP, ("dm-0",))
    assert seen["/dev/mapper/swap"].on == ("dm-0",)
    assert seen["/srv/swap file"].on == (f"mount {mount.id}",)


def test_a_kernel_without_swap_has_no_swap(machine: FakeMachine) -> None:
    (machine.proc_root / "swaps").unlink()
    assert [each.kind for each in look(machine).values()] == [StackedKind.MOUNT]


def test_without_a_list_of_mounts_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mountinfo"):
        stack.read(sys_root=tmp_path, proc_root=tmp_path, dev_root=tmp_path)


def test_everything_comes_after_what_it_stands_on(machine: FakeMachine) -> None:
    machine.device("md0", "9:0", on=("dm-9",), md__level="raid1")
    machine.device("vdb", "254:16")
    machine.mapped("dm-9", "253:9", "a", "LVM-x", "vdb")
    machine.mount("/srv", "9:0")
    names = list(look(machine))
    assert names.index("dm-9") < names.index("md0") < names.index("/srv")


def test_what_stands_on_itself_is_listed_and_ends(machine: FakeMachine) -> None:
    machine.mapped("dm-0", "253:0", "a", "", "dm-1")
    machine.mapped("dm-1", "253:1", "b", "", "dm-0")
    assert {"dm-0", "dm-1"} <= set(look(machine))


def test_above_finds_everything_through_however_many_others(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16")
    machine.device("vdc", "254:32")
    machine.partition("vdb", "vdb1", "254:17")
    machine.mapped("dm-0", "253:0", "a", "LVM-x", "vdb1")
    machine.mount("/srv", "253:0")
    machine.mount("/srv/proc", "0:5", "proc", "proc")
    machine.mount("/other", "254:32")
    found = stack.read(sys_root=machine.sys_root, proc_root=machine.proc_root, dev_root=machine.dev_root)
    assert [each.name for each in stack.above(found, ("vdb",))] == ["vdb1", "dm-0", "/srv", "/srv/proc"]
    assert stack.above(found, ()) == ()


@pytest.mark.parametrize(
    ("path", "point", "expected"),
    [("/a/b", "/a", True), ("/a", "/a", True), ("/ab", "/a", False), ("/a", "/", True), ("/", "/a", False)],
)
def test_a_path_is_below_a_mount_point_by_whole_names(path: str, point: str, expected: bool) -> None:
    assert stack.is_below(path, point) is expected
