from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import inventory
from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.nvme_ioctl import IoctlTransport
from agent.devices.simulated import SimulatedNvme, SimulatedPlain
from agent.errors import Code, DeviceError
from agent.inventory import Storage
from agent.teardown import KernelTeardown, NothingStacked
from certificate.errors import Refused
from certificate.messages import DriveReport
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

ReportOf = Callable[..., DriveReport]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def nvme(folder: Path, name: str) -> None:
    SimulatedNvme.create(
        folder / name,
        serial=f"SER-{name}",
        model="Simulated SED",
        firmware="1.0",
        capacity_bytes=64 * 4096,
        random=random.Random(name).randbytes,
    )


def plain(folder: Path, name: str) -> None:
    SimulatedPlain.create(
        folder / name,
        serial=f"SER-{name}",
        model="Simulated plain",
        firmware="1.0",
        capacity_bytes=64 * 4096,
        random=random.Random(name).randbytes,
    )


def image(folder: Path, name: str) -> None:
    (folder / f"{name}.img").write_bytes(bytes(1 << 20))
    (folder / f"{name}.json").write_text(f'{{"serial": "SER-{name}", "model": "Image"}}')


def refused(storage: Storage) -> list[tuple[str, str]]:
    return [(each.name, each.code.value) for each in storage.refused]


# --- on images ----------------------------------------------------------------------------------------------


def test_every_kind_of_image_is_a_drive_in_order_of_name(images: Path) -> None:
    nvme(images, "c")
    image(images, "b")
    plain(images, "a")
    storage = inventory.open_drives(only_images=images)
    assert [drive.name for drive in storage.drives] == ["a", "b", "c"]
    assert [drive.transport_name for drive in storage.drives] == [
        Transport.VIRTIO,
        Transport.IMAGE,
        Transport.NVME,
    ]
    assert [drive.device_class for drive in storage.drives] == [
        DeviceClass.EMULATED,
        DeviceClass.IMAGE_FILE,
        DeviceClass.EMULATED,
    ]
    assert [drive.identity().serial_number for drive in storage.drives] == ["SER-a", "SER-b", "SER-c"]
    assert storage.refused == ()


def test_whatever_else_lies_in_the_folder_is_listed_and_never_left_out(images: Path, tmp_path: Path) -> None:
    nvme(images, "a")
    nvme(images, "broken")
    (images / "broken" / "media.key").unlink()
    (images / "empty").mkdir()
    (images / "nameless.img").write_bytes(bytes(1 << 20))
    (images / "lonely.json").write_text('{"serial": "S", "model": "M"}')
    (images / "notes.txt").write_text("no drive")
    (images / "small.img").write_bytes(b"x")
    (images / "small.json").write_text('{"serial": "S", "model": "M"}')
    storage = inventory.open_drives(only_images=images)
    assert [drive.name for drive in storage.drives] == ["a"]
    unreadable = Code.DRIVE_UNREADABLE.value
    assert refused(storage) == [
        (name, unreadable)
        for name in ("broken", "empty", "lonely.json", "nameless.img", "notes.txt", "small.img")
    ]


@pytest.mark.parametrize("target", ["drive", "image", "nothing"])
def test_a_link_is_listed_and_not_followed(images: Path, tmp_path: Path, target: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if target == "drive":
        nvme(elsewhere, "x")
        (images / "x").symlink_to(elsewhere / "x")
    elif target == "image":
        image(elsewhere, "x")
        (images / "x.img").symlink_to(elsewhere / "x.img")
        (images / "x.json").symlink_to(elsewhere / "x.json")
    else:
        (images / "x").symlink_to(elsewhere / "absent")
    storage = inventory.open_drives(only_images=images)
    assert storage.drives == ()
    assert {code for _, code in refused(storage)} == {Code.DRIVE_UNREADABLE.value}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        inventory.open_drives(only_images=tmp_path / "absent")
    assert refusal.value.code is Code.IMAGE_INVALID


def test_an_empty_folder_holds_no_drive(images: Path) -> None:
    storage = inventory.open_drives(only_images=images)
    assert (storage.drives, storage.refused, storage.is_images_only) == ((), (), True)


def test_on_images_there_is_nothing_to_let_go(images: Path) -> None:
    storage = inventory.open_drives(only_images=images)
    teardown = inventory.teardown(storage, (), pause=lambda seconds: None)
    assert isinstance(teardown, NothingStacked)


WATCHED = """
import os, sys
from pathlib import Path
from agent import inventory, markers
from agent.host_facts import EmulatedHostFacts
from agent.techniques import TECHNIQUES
from agent.techniques.technique import Aim
from certificate.statements.vocabulary import Technique

AIM = Aim(key=bytes(64), layout=((1, 64 * 4096),))

def work(folder):
    storage = inventory.open_drives(only_images=folder / "images")
    inventory.take(storage, boot_id="0" * 64, host_facts=EmulatedHostFacts(folder / "facts.json"))
    for drive in storage.drives[:1]:
        drive.blocks.open_exclusively()
        placed = markers.derive(order_digest="11" * 32, boot_nonce=bytes(32), commitment="22" * 32,
                                namespaces=[markers.NamespaceRoom(nsid=1, capacity_bytes=64 * 4096)])
        markers.write(drive.blocks, placed)
        technique = TECHNIQUES[Technique.NVME_SANITIZE_CRYPTO]
        prepared = technique.prepare(drive, AIM, step="")
        started = technique.start(drive, prepared)
        watched = technique.watch(drive, prepared, started, now_ms=lambda: 0,
                                  pause=lambda seconds: None, report=lambda progress: None)
        technique.conclude(drive, prepared, started, watched)
        readings = [markers.read_after(drive.blocks, each, None).reading.value for each in placed]
        print(readings.count("pseudorandom"))
        drive.blocks.close()

allowed, events = os.path.abspath(sys.argv[1]), []
def hook(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "os.truncate", "os.rename", "os.link"):
        path = arguments[0]
        if not isinstance(path, int):  # a descriptor is of something that was opened before
            events.append(os.path.abspath(os.fsdecode(path)))
work(Path(sys.argv[2]))  # once before, so that modules loaded on first use are no surprise below
sys.addaudithook(hook)
work(Path(sys.argv[1]))
seen = list(events)
# A file is opened anew through the descriptor that found out what it is.
inside = (allowed + os.sep, "/proc/self/fd/")
outside = sorted({path for path in seen if path != allowed and not path.startswith(inside)})
print("opened", len(seen) > 0, "outside", outside)
"""


def test_on_images_nothing_else_of_the_machine_is_opened_whoever_runs_it(tmp_path: Path) -> None:
    """An audit hook of the interpreter sees every open, also root's, from inventory to read-back."""
    for name in ("watched", "before"):
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        (folder / "facts.json").write_text('{"chassis_serial": "CH-1"}')
        SimulatedNvme.create(
            folder / "images" / "a",
            serial="S",
            model="M",
            firmware="1",
            capacity_bytes=64 * 4096,
            random=random.Random(1).randbytes,
        )
        (folder / "images" / "b.img").write_bytes(bytes(1 << 20))
        (folder / "images" / "b.json").write_text('{"serial": "S2", "model": "M2"}')
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "watched"), str(tmp_path / "before")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stdout.splitlines() == ["18", "18", "opened True outside []"]


# --- on a machine (its sysfs played from files) -------------------------------------------------------------


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def on_bus(root: Path, disk: str, bus: str, *parts: str) -> Path:
    """The device of a disk, at a place of that bus; more parts are folders on the way."""
    device = root.joinpath("devices", "pci0000:00", *parts, f"{disk}-device")
    device.mkdir(parents=True)
    (root / "bus" / bus).mkdir(parents=True, exist_ok=True)
    (device / "subsystem").symlink_to(root / "bus" / bus)
    put(root / "block" / disk / "size", "2048")
    (root / "block" / disk / "device").symlink_to(device)
    return device


@pytest.fixture
def sys_root(tmp_path: Path) -> Path:
    root = tmp_path / "sys"
    put(root / "class/nvme/nvme0/transport", "pcie")
    put(root / "class/nvme/nvme0/nvme1n1/nsid", "1")
    return root


def found(sys_root: Path, tmp_path: Path) -> Storage:
    return inventory.open_drives(only_images=None, sys_root=sys_root, dev_root=tmp_path / "dev")


def test_a_local_controller_is_driven_as_a_physical_drive(sys_root: Path, tmp_path: Path) -> None:
    storage = found(sys_root, tmp_path)
    (drive,) = storage.drives
    assert (drive.name, drive.device_class, drive.attachment) == (
        "nvme0",
        DeviceClass.PHYSICAL,
        Attachment.INTERNAL,
    )
    assert storage.nodes == {"nvme0": ("nvme1n1",)}


@pytest.mark.parametrize("transport", ["tcp", "rdma", "fc", "loop", "", "apple-nvme"])
def test_whatever_is_not_on_pcie_is_told_to_be_another_machines(
    sys_root: Path, tmp_path: Path, transport: str
) -> None:
    put(sys_root / "class/nvme/nvme0/transport", transport)
    assert [drive.attachment for drive in found(sys_root, tmp_path).drives] == [Attachment.REMOTE]


def test_a_drive_behind_thunderbolt_is_removable(sys_root: Path, tmp_path: Path) -> None:
    device = sys_root / "devices/pci0000:00/0000:00:07.0/0000:05:00.0"
    put(device.parent / "removable", "removable")
    put(device / "removable", "unknown")
    (sys_root / "class/nvme/nvme0/device").symlink_to(device)
    assert [drive.attachment for drive in found(sys_root, tmp_path).drives] == [Attachment.REMOVABLE]


def test_one_drive_behind_two_controllers_is_one_drive(sys_root: Path, tmp_path: Path) -> None:
    for name in ("nvme0", "nvme1"):
        put(sys_root / f"class/nvme/{name}/transport", "pcie")
        put(sys_root / f"class/nvme-subsystem/nvme-subsys0/{name}/state", "live")
    assert [drive.name for drive in found(sys_root, tmp_path).drives] == ["nvme0"]


def test_each_controller_of_a_drive_is_asked_what_it_lists(
    sys_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def submit(self: IoctlTransport, sqe: bytes, data: bytes | int) -> Completion:
        asked.append(self._path.name)
        return Completion(status=0, result=0, data=bytes(4096))

    for name in ("nvme0", "nvme1", "nvme2"):
        put(sys_root / f"class/nvme/{name}/transport", "pcie")
        put(sys_root / f"class/nvme-subsystem/nvme-subsys0/{name}/state", "live")
    put(sys_root / "class/nvme/nvme1/nvme1n2/nsid", "2")
    (drive,) = found(sys_root, tmp_path).drives
    assert isinstance(drive, NvmeDrive)
    assert drive.shown == {1, 2}
    monkeypatch.setattr(IoctlTransport, "submit", submit)
    assert drive.active_namespaces_elsewhere() == ((), ())
    assert asked == ["nvme1", "nvme2"]


def test_a_drive_with_one_path_over_a_network_is_remote(sys_root: Path, tmp_path: Path) -> None:
    put(sys_root / "class/nvme/nvme1/transport", "tcp")
    for name in ("nvme0", "nvme1"):
        put(sys_root / f"class/nvme-subsystem/nvme-subsys0/{name}/state", "live")
    assert [drive.attachment for drive in found(sys_root, tmp_path).drives] == [Attachment.REMOTE]


def test_two_controllers_without_a_subsystem_are_two_drives(sys_root: Path, tmp_path: Path) -> None:
    put(sys_root / "class/nvme/nvme1/transport", "pcie")
    assert len(found(sys_root, tmp_path).drives) == 2


def test_a_virtio_disk_is_a_plain_drive_and_never_physical(sys_root: Path, tmp_path: Path) -> None:
    device = on_bus(sys_root, "vda", "virtio", "virtio1")
    put(device / "vendor", "0x1af4")
    put(sys_root / "block/vda/serial", "VD-1")
    put(sys_root / "block/vda/ro", "1")
    put(sys_root / "block/vda/queue/logical_block_size", "4096")
    storage = found(sys_root, tmp_path)
    drive = storage.drives[1]
    assert (drive.name, drive.transport_name, drive.device_class, drive.attachment) == (
        "vda",
        Transport.VIRTIO,
        DeviceClass.EMULATED,
        Attachment.INTERNAL,
    )
    assert drive.identity().serial_number == "VD-1"
    assert drive.identity().capacity_bytes == 2048 * 512
    assert storage.nodes["vda"] == ("vda",)


def test_a_virtio_disk_says_anew_who_it_is_each_time(sys_root: Path, tmp_path: Path) -> None:
    on_bus(sys_root, "vda", "virtio")
    put(sys_root / "block/vda/serial", "VD-1")
    drive = found(sys_root, tmp_path).drives[1]
    assert drive.identity().serial_number == "VD-1"
    put(sys_root / "block/vda/serial", "VD-2")
    assert drive.identity().serial_number == "VD-2"
    (sys_root / "block/vda").rename(sys_root / "block/gone")
    with pytest.raises(DeviceError):
        drive.identity()


@pytest.mark.parametrize(
    ("disk", "parts", "code"),
    [
        ("sda", ("ata1",), Code.STORAGE_UNSUPPORTED),
        ("sda", ("host0", "rport-0:0-1"), Code.STORAGE_REMOTE),
        ("sda", ("usb2", "2-1"), Code.STORAGE_REMOVABLE),
        ("sr0", ("ata2",), Code.STORAGE_VIRTUAL),
    ],
)
def test_other_disks_are_listed_with_the_reason(
    sys_root: Path, tmp_path: Path, disk: str, parts: tuple[str, ...], code: Code
) -> None:
    on_bus(sys_root, disk, "scsi", *parts)
    (each,) = found(sys_root, tmp_path).refused
    assert (each.name, each.transport, each.capacity_bytes, each.code) == (disk, "scsi", 2048 * 512, code)


def test_a_controller_that_no_driver_drives_is_listed(sys_root: Path, tmp_path: Path) -> None:
    put(sys_root / "bus/pci/devices/0000:5e:00.0/class", "0x010400")
    put(sys_root / "bus/pci/devices/0000:5e:00.0/vendor", "0x1000")
    put(sys_root / "bus/pci/devices/0000:5e:00.0/device", "0x005d")
    (each,) = found(sys_root, tmp_path).refused
    assert (each.name, each.model, each.code) == (
        "0000:5e:00.0",
        "storage controller 0x1000 0x005d",
        Code.STORAGE_UNDRIVEN,
    )


def test_the_teardown_knows_each_drives_block_devices_by_its_serial(
    sys_root: Path, tmp_path: Path, report_of: ReportOf
) -> None:
    on_bus(sys_root, "vda", "virtio")
    on_bus(sys_root, "sda", "scsi", "ata1")
    storage = found(sys_root, tmp_path)
    reports = [report_of(serial=serial) for serial in ("NVME", "VD", "SATA")]
    teardown = inventory.teardown(storage, reports, pause=lambda seconds: None)
    assert isinstance(teardown, KernelTeardown)
    assert teardown.nodes == {"NVME": ("nvme1n1",), "VD": ("vda",), "SATA": ("sda",)}
    with pytest.raises(ValueError, match="zip"):
        inventory.teardown(storage, reports[:2], pause=lambda seconds: None)
