from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import inventory
from agent.devices.emulated import EmulatedBlockIo
from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.simulated import Namespace, SimulatedNvme
from agent.errors import Code
from agent.inventory import RefusedStorage
from certificate import selection
from certificate.errors import Refused
from certificate.messages import DriveReport, HostFactReport, InventoryAnswer, read_answer
from certificate.statements.vocabulary import DeviceClass, Method, OverwritePattern, ResidueName, Technique

Make = Callable[..., SimulatedNvme]
BOOT = "ab" * 32


class NamedHost:
    def observe(self) -> tuple[HostFactReport, ...]:
        return (HostFactReport(kind="chassis_serial", value="CH-1"),)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def make_drive(images: Path) -> Make:
    def make(name: str, **given: object) -> SimulatedNvme:
        wanted: dict[str, object] = {
            "serial": f"SER-{name}",
            "model": "Simulated SED",
            "firmware": "1.0",
            "capacity_bytes": 64 * 4096,
            "random": random.Random(name).randbytes,
            **given,
        }
        return SimulatedNvme.create(images / name, **wanted)  # type: ignore[arg-type]

    return make


def taken(images: Path) -> InventoryAnswer:
    storage = inventory.open_drives(only_images=images)
    return inventory.take(storage, boot_id=BOOT, host_facts=NamedHost())


def only_drive(images: Path) -> DriveReport:
    (drive,) = taken(images).drives
    return drive


# --- on images ----------------------------------------------------------------------------------------------


def test_every_image_is_a_drive_in_order_of_name(images: Path, make_drive: Make) -> None:
    make_drive("b")
    make_drive("a")
    assert [drive.serial for drive in taken(images).drives] == ["SER-a", "SER-b"]


def test_the_answer_survives_the_wire(images: Path, make_drive: Make) -> None:
    make_drive("a")
    answer = taken(images)
    assert read_answer(answer.write()) == answer
    assert (answer.boot_id, answer.host_facts) == (BOOT, NamedHost().observe())


def test_a_drive_is_reported_as_it_says_of_itself(images: Path, make_drive: Make) -> None:
    make_drive("a", unallocated_bytes=8192)
    drive = only_drive(images)
    words = {word.field: word.raw for word in drive.capabilities}
    assert (drive.transport, drive.device_class) == ("nvme", DeviceClass.EMULATED.value)
    assert (drive.manufacturer, drive.model, drive.firmware) == ("PCI vendor FFFFh", "Simulated SED", "1.0")
    assert (drive.capacity_bytes, drive.unallocated_capacity_bytes) == (66 * 4096, 8192)
    assert (words["SANICAP"], words["OACS"], words["FNA"], words["ONCS"]) == (
        "03000040",
        "0a00",
        "06",
        "0000",
    )
    assert words["UNVMCAP"] == "0020" + "00" * 14
    assert words["NS1:NSZE"] == "4000000000000000"
    assert len(bytes.fromhex(drive.status_log)) == 64
    assert drive.refused is None


def test_selection_understands_the_words(images: Path, make_drive: Make) -> None:
    make_drive("a")
    capabilities = selection.capabilities(only_drive(images))
    assert (
        selection.select(capabilities, Method.PURGE, overwrite=OverwritePattern.KEYSTREAM)[0]
        is Technique.NVME_SANITIZE_CRYPTO
    )


def test_namespaces_that_are_not_attached_are_listed_with_their_size(images: Path, make_drive: Make) -> None:
    make_drive("a", namespaces=(Namespace(nsid=1, blocks=8), Namespace(nsid=4, blocks=16, is_attached=False)))
    listed = [(each.nsid, each.capacity_bytes, each.is_attached) for each in only_drive(images).namespaces]
    assert listed == [(1, 8 * 4096, True), (4, 16 * 4096, False)]


def test_a_write_protected_namespace_protects_the_drive(images: Path, make_drive: Make) -> None:
    make_drive("a", namespaces=(Namespace(nsid=1, blocks=8, is_write_protected=True),))
    assert only_drive(images).is_write_protected


def test_a_drive_that_is_sanitizing_is_listed_and_refused(images: Path, make_drive: Make) -> None:
    device = make_drive("a")
    device.start_sanitize("crypto", command_dword=4, is_no_deallocate=False, may_exit_failure=False)
    drive = only_drive(images)
    assert drive.refused == Code.SANITIZE_RUNNING.value
    assert drive.status_log[4:6] == "02"


def test_a_drive_without_a_serial_number_is_listed_and_refused(images: Path, make_drive: Make) -> None:
    make_drive("a", serial="")
    assert only_drive(images).refused == Code.DRIVE_IDENTITY_MISSING.value


def test_a_broken_image_is_listed_and_never_left_out(images: Path, make_drive: Make, tmp_path: Path) -> None:
    make_drive("a")
    make_drive("b")
    (images / "b" / "media.key").unlink()
    (images / "c").symlink_to(tmp_path)
    (images / "notes.txt").write_text("no drive")
    refused = [drive.refused for drive in taken(images).drives]
    assert refused == [None, Code.DRIVE_UNREADABLE.value, Code.DRIVE_UNREADABLE.value]


def test_a_link_to_a_drive_elsewhere_is_not_followed(images: Path, make_drive: Make, tmp_path: Path) -> None:
    make_drive("a").folder.rename(tmp_path / "elsewhere")
    (images / "a").symlink_to(tmp_path / "elsewhere")
    storage = inventory.open_drives(only_images=images)
    assert storage.drives == ()
    assert [each.code for each in storage.refused] == [Code.DRIVE_UNREADABLE]


def test_a_drive_that_breaks_after_it_was_opened_is_unreadable(images: Path, make_drive: Make) -> None:
    make_drive("a")
    storage = inventory.open_drives(only_images=images)
    (images / "a" / "state.json").write_text("{}")
    assert inventory.report(storage.drives[0]).refused == Code.DRIVE_UNREADABLE.value


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        inventory.open_drives(only_images=tmp_path / "absent")
    assert refusal.value.code is Code.IMAGE_INVALID


def test_an_empty_folder_is_an_inventory_of_no_drive(images: Path) -> None:
    assert taken(images).drives == ()


def test_no_place_that_holds_data_is_missing_and_none_was_looked_at(images: Path) -> None:
    residue = {each.kind: each.value for each in taken(images).residue}
    assert set(residue) == {name.value for name in ResidueName}
    assert set(residue.values()) == {"not_covered"}


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
    for drive in storage.drives:
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
        print([markers.read_after(drive.blocks, each, None).reading.value for each in placed].count("pseudorandom"))
        drive.blocks.close()

allowed, events = os.path.abspath(sys.argv[1]), []
def hook(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "os.truncate", "os.rename", "os.link"):
        path = arguments[0]
        events.append("descriptor" if isinstance(path, int) else os.path.abspath(os.fsdecode(path)))
work(Path(sys.argv[2]))  # once before, so that modules loaded on first use are no surprise below
sys.addaudithook(hook)
work(Path(sys.argv[1]))
seen = list(events)
outside = sorted({path for path in seen if path != allowed and not path.startswith(allowed + os.sep)})
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
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "watched"), str(tmp_path / "before")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stdout.splitlines() == ["18", "18", "opened True outside []"]


class KernelDriven:
    """Answers as the simulated drive does, but through the driver of real ones, as a vendor's controller."""

    device_class = DeviceClass.PHYSICAL

    def __init__(self, device: SimulatedNvme, pci_vendor: bytes) -> None:
        self.device, self.pci_vendor = device, pci_vendor

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        answer = self.device.submit(sqe, data)
        is_identify_controller = (sqe[0], sqe[40]) == (0x06, 0x01)
        received = self.pci_vendor + answer.data[2:] if is_identify_controller else answer.data
        return Completion(status=answer.status, result=answer.result, data=received)


@pytest.mark.parametrize(
    ("pci_vendor", "expected"),
    [
        ("361b", "emulated"),
        ("f41a", "emulated"),
        ("ad15", "emulated"),
        ("4d14", "physical"),
        ("1b36", "physical"),
    ],
)
def test_a_drive_that_names_a_hypervisor_as_its_vendor_is_emulated(
    make_drive: Make, pci_vendor: str, expected: str
) -> None:
    device = make_drive("a")
    drive = NvmeDrive(
        name="nvme0",
        transport=KernelDriven(device, bytes.fromhex(pci_vendor)),
        blocks=EmulatedBlockIo(device),
    )
    assert inventory.report(drive).device_class == expected


# --- on a machine (its sysfs played from files) -------------------------------------------------------------


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.fixture
def sys_root(tmp_path: Path) -> Path:
    root = tmp_path / "sys"
    put(root / "class/nvme/nvme0/transport", "pcie")
    put(root / "class/nvme/nvme0/nvme1n1/nsid", "1")
    put(root / "class/nvme/nvme1/transport", "tcp")
    put(root / "class/nvme/nvme1/serial", "FAR-1")
    put(root / "class/nvme/nvme1/nvme0n1/nsid", "1")
    return root


def test_a_local_controller_is_driven_and_another_machines_is_refused(sys_root: Path, tmp_path: Path) -> None:
    storage = inventory.open_drives(only_images=None, sys_root=sys_root, dev_root=tmp_path / "dev")
    assert [drive.name for drive in storage.drives] == ["nvme0"]
    assert storage.drives[0].device_class is DeviceClass.PHYSICAL
    assert [(each.name, each.serial, each.code) for each in storage.refused] == [
        ("nvme1", "FAR-1", Code.STORAGE_REMOTE)
    ]


@pytest.mark.parametrize("transport", ["tcp", "rdma", "fc", "loop", "", "apple-nvme"])
def test_only_pcie_is_this_machines_own(tmp_path: Path, transport: str) -> None:
    put(tmp_path / "class/nvme/nvme0/transport", transport)
    storage = inventory.open_drives(only_images=None, sys_root=tmp_path)
    assert storage.drives == ()
    assert [each.code for each in storage.refused] == [Code.STORAGE_REMOTE]


def test_one_drive_behind_two_controllers_is_one_drive(tmp_path: Path) -> None:
    for name in ("nvme0", "nvme1"):
        put(tmp_path / f"class/nvme/{name}/transport", "pcie")
        put(tmp_path / f"class/nvme-subsystem/nvme-subsys0/{name}/state", "live")
    storage = inventory.open_drives(only_images=None, sys_root=tmp_path)
    assert [drive.name for drive in storage.drives] == ["nvme0"]


def test_two_controllers_without_a_subsystem_are_two_drives(tmp_path: Path) -> None:
    for name in ("nvme0", "nvme1"):
        put(tmp_path / f"class/nvme/{name}/transport", "pcie")
    assert len(inventory.open_drives(only_images=None, sys_root=tmp_path).drives) == 2


@pytest.mark.parametrize(
    ("removable", "code"), [("1", Code.STORAGE_REMOVABLE), ("0", Code.STORAGE_UNSUPPORTED)]
)
def test_other_disks_are_listed_with_the_reason(tmp_path: Path, removable: str, code: Code) -> None:
    put(tmp_path / "block/sda/removable", removable)
    put(tmp_path / "block/sda/size", "8")
    (tmp_path / "block/sda/device").mkdir()
    storage = inventory.open_drives(only_images=None, sys_root=tmp_path)
    assert [(each.name, each.capacity_bytes, each.code) for each in storage.refused] == [("sda", 4096, code)]


def test_a_drive_that_does_not_answer_is_listed_and_refused(sys_root: Path, tmp_path: Path) -> None:
    storage = inventory.open_drives(only_images=None, sys_root=sys_root, dev_root=tmp_path / "dev")
    answer = inventory.take(storage, boot_id=BOOT, host_facts=NamedHost(), sys_root=sys_root)
    assert [drive.refused for drive in answer.drives] == ["DRIVE_UNREADABLE", "STORAGE_REMOTE"]
    assert read_answer(answer.write()) == answer


def test_storage_nobody_opened_gets_the_weakest_class_and_no_technique() -> None:
    refused = RefusedStorage(
        name="sda", transport="scsi", model="", serial="", capacity_bytes=1, code=Code.STORAGE_UNSUPPORTED
    )
    storage = inventory.Storage(drives=(), refused=(refused,), is_images_only=False)
    (drive,) = inventory.take(storage, boot_id=BOOT, host_facts=NamedHost()).drives
    assert drive.device_class == DeviceClass.EMULATED.value
    with pytest.raises(Refused):
        selection.select(selection.capabilities(drive), Method.CLEAR, overwrite=OverwritePattern.KEYSTREAM)


def test_pstore_is_checked_only_when_it_is_mounted_and_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = inventory.Storage(drives=(), refused=(), is_images_only=False)
    folder = tmp_path / "fs/pstore"

    def pstore() -> str:
        states = {each.kind: each.value for each in inventory.residue(storage, sys_root=tmp_path)}
        assert {value for kind, value in states.items() if kind != "pstore"} == {"not_covered"}
        return states["pstore"]

    assert pstore() == "not_covered"
    folder.mkdir(parents=True)
    assert pstore() == "not_covered"
    monkeypatch.setattr(Path, "is_mount", lambda path: path == folder)
    assert pstore() == "checked"
    (folder / "dmesg-erst-1").write_text("a crash")
    assert pstore() == "not_covered"
