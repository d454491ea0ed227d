from __future__ import annotations

from pathlib import Path

from agent.devices import topology
from agent.devices.topology import OtherDisk


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


def test_other_disks_are_named_and_devices_made_of_others_are_passed_over(tmp_path: Path) -> None:
    target = tmp_path / "devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0"
    put(target / "model", "SATA DISK")
    put(target / "serial", "Z1")
    (tmp_path / "bus/scsi").mkdir(parents=True)
    (target / "subsystem").symlink_to(tmp_path / "bus/scsi")
    put(tmp_path / "block/sda/size", "2048")
    put(tmp_path / "block/sda/removable", "0")
    (tmp_path / "block/sda/device").symlink_to(target)
    stick = tmp_path / "devices/pci0000:00/usb2/2-1/host6"
    stick.mkdir(parents=True)
    put(tmp_path / "block/sdb/size", "x")
    (tmp_path / "block/sdb/device").symlink_to(stick)
    put(tmp_path / "block/loop0/size", "8")
    put(tmp_path / "block/dm-0/size", "8")
    (tmp_path / "block/nvme0n1/device").mkdir(parents=True)
    assert topology.other_disks(tmp_path) == (
        OtherDisk(
            name="sda",
            bus="scsi",
            model="SATA DISK",
            serial="Z1",
            capacity_bytes=2048 * 512,
            is_removable=False,
        ),
        OtherDisk(name="sdb", bus="unknown", model="", serial="", capacity_bytes=0, is_removable=True),
    )
