from __future__ import annotations

from pathlib import Path

import pytest

from agent.devices import topology
from agent.devices.topology import OtherDisk, Undriven
from certificate.statements.vocabulary import Attachment


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_namespaces_belong_to_the_controller_that_holds_them_and_not_to_the_like_named(
    tmp_path: Path,
) -> None:
    put(tmp_path / "class/nvme/nvme0/transport", "pcie")
    put(tmp_path / "class/nvme/nvme0/nvme1n1/nsid", "1")
    put(tmp_path / "class/nvme/nvme1/transport", "pcie")
    put(tmp_path / "class/nvme/nvme1/nvme0n1/nsid", "1")
    first, second = topology.nvme_controllers(tmp_path)
    assert (first.name, first.nodes) == ("nvme0", {1: "nvme1n1"})
    assert (second.name, second.nodes) == ("nvme1", {1: "nvme0n1"})


def test_with_multipath_the_block_device_is_found_through_the_subsystem(tmp_path: Path) -> None:
    for name in ("nvme2", "nvme3"):
        put(tmp_path / f"class/nvme/{name}/transport", "pcie")
        put(tmp_path / f"class/nvme/{name}/nvme7c{name[-1]}n1/nsid", "5")
        put(tmp_path / f"class/nvme-subsystem/nvme-subsys7/{name}/state", "live")
    put(tmp_path / "class/nvme-subsystem/nvme-subsys7/nvme7n1/nsid", "5")
    controllers = topology.nvme_controllers(tmp_path)
    assert [each.nodes for each in controllers] == [{5: "nvme7n1"}] * 2
    assert {each.subsystem for each in controllers} == {"nvme-subsys7"}


def test_what_the_kernel_does_not_say_stays_empty(tmp_path: Path) -> None:
    put(tmp_path / "class/nvme/nvme0/nvme0n1/nsid", "not a number")
    (controller,) = topology.nvme_controllers(tmp_path)
    assert (controller.transport, controller.serial, controller.subsystem, controller.nodes) == (
        "",
        "",
        "",
        {},
    )


def test_no_sysfs_is_no_controller(tmp_path: Path) -> None:
    assert topology.nvme_controllers(tmp_path) == ()
    assert topology.other_disks(tmp_path) == ()


def disk(root: Path, name: str, *parts: str, **files: str) -> Path:
    """A disk with its device at that place; files of the disk, and of its device after `device__`."""
    device = root.joinpath("devices", *parts, f"device-{name}")
    device.mkdir(parents=True)
    put(root / "block" / name / "size", files.pop("size", "2048"))
    (root / "block" / name / "device").symlink_to(device)
    for key, value in files.items():
        put(root / "block" / name / key.replace("__", "/"), value)
    return device


def on_bus(root: Path, device: Path, bus: str) -> None:
    (root / "bus" / bus).mkdir(parents=True, exist_ok=True)
    (device / "subsystem").symlink_to(root / "bus" / bus)


def test_a_disk_is_told_as_its_files_say(tmp_path: Path) -> None:
    device = disk(
        tmp_path,
        "sda",
        "pci0000:00",
        "ata1",
        "host0",
        ro="1",
        queue__logical_block_size="4096",
        device__vendor="ATA",
        device__model="SATA DISK",
        device__serial="Z1",
        device__wwid="naa.5000c500a1b2c3d4",
    )
    on_bus(tmp_path, device, "scsi")
    assert topology.other_disks(tmp_path) == (
        OtherDisk(
            name="sda",
            paths=("sda",),
            bus="scsi",
            vendor="ATA",
            model="SATA DISK",
            serial="Z1",
            wwid="naa.5000c500a1b2c3d4",
            capacity_bytes=2048 * 512,
            logical_block_bytes=4096,
            attachment=Attachment.INTERNAL,
            is_write_protected=True,
        ),
    )


def test_what_a_disk_does_not_say_stays_empty(tmp_path: Path) -> None:
    disk(tmp_path, "sdb", size="x")
    (each,) = topology.other_disks(tmp_path)
    assert (each.bus, each.vendor, each.model, each.serial, each.wwid) == ("unknown", "", "", "", "")
    assert (each.capacity_bytes, each.logical_block_bytes, each.is_write_protected) == (0, 512, False)


@pytest.mark.parametrize(
    ("page", "serial"),
    [
        (b"\x00\x80\x00\x08  WD-42 ", "WD-42"),
        (b"\x00\x80\x00\x04ABCDEFG", "ABCD"),
        (b"\x00\x80\x00\x20SHORT", ""),
        (b"\x00\x83\x00\x04ABCD", ""),
        (b"\x00\x80\x00\x02\xff\xfe", ""),
        (b"\x00\x80\x00\x02\x07a", ""),
        (b"\x00", ""),
    ],
)
def test_a_scsi_serial_is_read_from_its_page(tmp_path: Path, page: bytes, serial: str) -> None:
    device = disk(tmp_path, "sda")
    (device / "vpd_pg80").write_bytes(page)
    assert topology.other_disks(tmp_path)[0].serial == serial


@pytest.mark.parametrize(
    "name", ["loop0", "ram3", "zram0", "dm-12", "md0", "md_home", "bcache0", "zd16", "nvme0c1n1"]
)
def test_what_is_made_of_others_is_passed_over(tmp_path: Path, name: str) -> None:
    put(tmp_path / "block" / name / "size", "8")
    assert topology.other_disks(tmp_path) == ()


@pytest.mark.parametrize("name", ["nbd0", "drbd0", "nullb0", "ublkb0", "rbd0", "pmem0", "mmcblk0", "zz0"])
def test_every_other_block_device_is_named_even_without_a_device_behind_it(tmp_path: Path, name: str) -> None:
    put(tmp_path / "block" / name / "size", "8")
    assert [each.name for each in topology.other_disks(tmp_path)] == [name]


def test_what_nobody_connected_and_an_empty_reader_store_nothing(tmp_path: Path) -> None:
    put(tmp_path / "block/nbd1/size", "0")
    disk(tmp_path, "sdc", size="0", removable="1")
    disk(tmp_path, "sdd", size="0", removable="0")
    assert [each.name for each in topology.other_disks(tmp_path)] == ["sdd"]


def test_a_hidden_path_is_no_disk_of_its_own(tmp_path: Path) -> None:
    disk(tmp_path, "sda", hidden="1")
    assert topology.other_disks(tmp_path) == ()


def test_a_namespace_that_no_controller_shows_is_named(tmp_path: Path) -> None:
    put(tmp_path / "class/nvme/nvme0/nvme0n1/nsid", "1")
    disk(tmp_path, "nvme0n1")
    disk(tmp_path, "nvme5n1")
    assert [each.name for each in topology.other_disks(tmp_path)] == ["nvme5n1"]


def test_two_paths_with_one_worldwide_name_are_one_disk(tmp_path: Path) -> None:
    for name in ("sda", "sdb"):
        disk(tmp_path, name, f"port-{name}", device__wwid="naa.5000c500a1b2c3d4", device__model="SAS")
    (each,) = topology.other_disks(tmp_path)
    assert (each.name, each.paths) == ("sda", ("sda", "sdb"))


@pytest.mark.parametrize(
    "second",
    [
        {"device__wwid": "naa.5000c500a1b2c3d5"},
        {"device__model": "OTHER"},
        {"device__serial": "S2"},
        {"size": "4096"},
    ],
)
def test_two_disks_that_differ_in_anything_are_two(tmp_path: Path, second: dict[str, str]) -> None:
    first = {"device__wwid": "naa.5000c500a1b2c3d4", "device__model": "SAS", "device__serial": "S1"}
    disk(tmp_path, "sda", "a", **first)
    disk(tmp_path, "sdb", "b", **{**first, **second})
    assert len(topology.other_disks(tmp_path)) == 2


@pytest.mark.parametrize("wwid", ["", "t10.ATA     DISK"])
def test_a_serial_alone_makes_no_two_disks_one(tmp_path: Path, wwid: str) -> None:
    for name in ("sda", "sdb"):
        disk(tmp_path, name, name, device__serial="SAME", device__wwid=wwid)
    assert len(topology.other_disks(tmp_path)) == 2


def test_a_device_behind_something_unpluggable_is_removable(tmp_path: Path) -> None:
    disk(tmp_path, "sda", "pci0000:00", "0000:05:00.0", "ata1")
    put(tmp_path / "devices/pci0000:00/0000:05:00.0/removable", "removable")
    assert topology.other_disks(tmp_path)[0].attachment is Attachment.REMOVABLE


# --- controllers that nobody drives -------------------------------------------------------------------------


def function(root: Path, bus: str, name: str, driver: str = "", **files: str) -> None:
    for key, value in {"vendor": "0x8086", "device": "0x201d", **files}.items():
        put(root / "bus" / bus / "devices" / name / key, value)
    if driver:
        (root / "bus" / bus / "drivers" / driver).mkdir(parents=True, exist_ok=True)
        link = root / "bus" / bus / "devices" / name / "driver"
        link.symlink_to(root / "bus" / bus / "drivers" / driver)


@pytest.mark.parametrize(
    ("pci_class", "driver", "is_listed"),
    [
        ("0x010400", "", True),
        ("0x010802", "", True),
        ("0x080501", "", True),
        ("0x010802", "vfio-pci", True),
        ("0x010802", "nvme", False),
        ("0x020000", "", False),
        ("0x080300", "", False),
    ],
)
def test_a_storage_controller_without_a_driver_that_shows_its_disks_is_named(
    tmp_path: Path, pci_class: str, driver: str, is_listed: bool
) -> None:
    function(tmp_path, "pci", "0000:00:0e.0", driver, **{"class": pci_class})
    expected = (Undriven(name="0000:00:0e.0", bus="pci", ids="0x8086 0x201d"),) if is_listed else ()
    assert topology.undriven_controllers(tmp_path) == expected


@pytest.mark.parametrize(
    ("kind", "driver", "is_listed"),
    [("0x0002", "", True), ("0x0008", "", True), ("0x0002", "virtio_blk", False), ("0x0001", "", False)],
)
def test_a_virtio_disk_without_its_driver_is_named(
    tmp_path: Path, kind: str, driver: str, is_listed: bool
) -> None:
    function(tmp_path, "virtio", "virtio0", driver, device=kind)
    assert [each.bus for each in topology.undriven_controllers(tmp_path)] == ["virtio"] * is_listed
