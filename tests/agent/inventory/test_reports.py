from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import inventory
from agent.devices.emulated import EmulatedBlockIo
from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.simulated import Namespace, SimulatedNvme
from agent.devices.stack import Stacked
from agent.errors import Code
from agent.inventory import RefusedStorage, Storage
from agent.teardown import MAX_STACKED
from agent.techniques import luks
from certificate import selection
from certificate.errors import Malformed, Refused
from certificate.messages import DriveReport, HostFactReport, InventoryAnswer, read_answer
from certificate.statements.vocabulary import (
    Attachment,
    DeviceClass,
    Escrow,
    Method,
    OverwritePattern,
    StackedKind,
    Technique,
)
from tests.machine import FakeMachine, put

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
        selection.select(
            capabilities, Method.PURGE, overwrite=OverwritePattern.KEYSTREAM, escrow=Escrow.UNKNOWN
        )[0]
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


def test_a_drive_that_breaks_after_it_was_opened_is_unreadable(images: Path, make_drive: Make) -> None:
    make_drive("a")
    storage = inventory.open_drives(only_images=images)
    (images / "a" / "state.json").write_text("{}")
    assert inventory.report(storage.drives[0]).refused == Code.DRIVE_UNREADABLE.value


def test_an_empty_folder_is_an_inventory_of_no_drive(images: Path) -> None:
    assert taken(images).drives == ()


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
        ("0f1d", "emulated"),
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


def test_a_networks_volume_on_the_machines_own_bus_is_remote(make_drive: Make) -> None:
    device = make_drive("a", model="Amazon Elastic Block Store")
    drive = NvmeDrive(
        name="nvme0", transport=KernelDriven(device, b"\x0f\x1d"), blocks=EmulatedBlockIo(device)
    )
    reported = inventory.report(drive)
    assert (reported.attachment, reported.device_class) == ("remote", "emulated")


def test_storage_nobody_opened_says_so_and_gets_no_technique() -> None:
    refused = RefusedStorage(
        name="sda", transport="scsi", model="", serial="", capacity_bytes=1, code=Code.STORAGE_UNSUPPORTED
    )
    storage = inventory.Storage(drives=(), refused=(refused,), is_images_only=False)
    (drive,) = inventory.take(storage, boot_id=BOOT, host_facts=NamedHost()).drives
    assert drive.device_class == DeviceClass.NOT_OPENED.value
    with pytest.raises(Refused):
        selection.select(
            selection.capabilities(drive),
            Method.CLEAR,
            overwrite=OverwritePattern.KEYSTREAM,
            escrow=Escrow.UNKNOWN,
        )


# --- plain drives and images --------------------------------------------------------------------------------


def image(images: Path, name: str, content: bytes = b"") -> Path:
    path = images / f"{name}.img"
    path.write_bytes(content.ljust(4 << 20, b"\0"))
    path.with_suffix(".json").write_text('{"serial": "IMG-1", "model": "Image"}')
    return path


def words(drive: DriveReport) -> dict[str, str]:
    return {word.field: word.raw for word in drive.capabilities}


def test_an_image_is_reported_with_one_namespace_over_all_of_it(images: Path) -> None:
    path = image(images, "a")
    drive = only_drive(images)
    assert (drive.transport, drive.device_class, drive.serial, drive.model) == (
        "image",
        "image_file",
        "IMG-1",
        "Image",
    )
    (whole,) = drive.namespaces
    assert (whole.nsid, whole.capacity_bytes, whole.logical_block_bytes, whole.is_attached) == (
        1,
        4 << 20,
        512,
        True,
    )
    assert (drive.capacity_bytes, drive.status_log, drive.refused) == (4 << 20, "not_observed", None)
    assert not drive.is_write_protected
    path.chmod(0o400)
    assert only_drive(images).is_write_protected


def test_selection_understands_an_image(images: Path) -> None:
    image(images, "a")
    chosen = selection.select(
        selection.capabilities(only_drive(images)),
        Method.CLEAR,
        overwrite=OverwritePattern.ZERO,
        escrow=Escrow.UNKNOWN,
    )
    assert chosen == (Technique.OVERWRITE_ZERO,)


def test_a_drive_that_vanished_is_unreadable(images: Path) -> None:
    path = image(images, "a")
    storage = inventory.open_drives(only_images=images)
    path.unlink()
    drive = inventory.report(storage.drives[0])
    assert (drive.refused, drive.serial) == (Code.DRIVE_UNREADABLE.value, "")


# --- layers -------------------------------------------------------------------------------------------------

LUKS1 = b"LUKS\xba\xbe\x00\x01"


def test_layers_are_reported_where_they_lie_and_the_search_is_told(images: Path) -> None:
    image(images, "a", LUKS1)
    drive = only_drive(images)
    assert [(layer.kind, layer.nsid, layer.offset_bytes) for layer in drive.layers] == [("luks1", 1, 0)]
    assert words(drive)["LAYER_SEARCH"] == "01"
    assert drive.refused is None


def test_a_drive_without_layers_was_searched(images: Path, make_drive: Make) -> None:
    make_drive("a")
    drive = only_drive(images)
    assert (drive.layers, words(drive)["LAYER_SEARCH"]) == ((), "01")


class Unreadable(EmulatedBlockIo):
    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        raise OSError("input/output error")


def test_a_drive_whose_blocks_cannot_be_read_says_so_and_is_not_refused_for_it(make_drive: Make) -> None:
    device = make_drive("a")
    drive = NvmeDrive(name="a", transport=KernelDriven(device, b"\x4d\x14"), blocks=Unreadable(device))
    reported = inventory.report(drive)
    assert (reported.layers, words(reported)["LAYER_SEARCH"]) == ((), "not_observed")
    assert reported.refused is None


def test_a_namespace_that_is_not_attached_was_not_searched(images: Path, make_drive: Make) -> None:
    make_drive("a", namespaces=(Namespace(nsid=1, blocks=8), Namespace(nsid=4, blocks=16, is_attached=False)))
    assert words(only_drive(images))["LAYER_SEARCH"] == "not_observed"


class Readable(EmulatedBlockIo):
    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        return bytes(length_bytes)


def test_not_even_where_something_answers_for_it(make_drive: Make) -> None:
    device = make_drive(
        "a", namespaces=(Namespace(nsid=1, blocks=8), Namespace(nsid=4, blocks=16, is_attached=False))
    )
    drive = NvmeDrive(name="a", transport=KernelDriven(device, b"\x4d\x14"), blocks=Readable(device))
    assert words(inventory.report(drive))["LAYER_SEARCH"] == "not_observed"


def test_more_layers_than_evidence_can_name_wait_for_a_person(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(*_: object) -> None:
        raise Malformed(Code.LAYERS_TOO_MANY, "33")

    image(images, "a")
    monkeypatch.setattr(luks, "find", too_many)
    drive = only_drive(images)
    assert (drive.refused, words(drive)["LAYER_SEARCH"]) == ("LAYERS_TOO_MANY", "not_observed")


# --- on a machine -------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    made = FakeMachine(tmp_path)
    made.device("vdb", "254:16", serial="VD-1", size="8192")
    return made


def answered(machine: FakeMachine, storage: Storage) -> InventoryAnswer:
    answer = inventory.take(
        storage,
        boot_id=BOOT,
        host_facts=NamedHost(),
        sys_root=machine.sys_root,
        proc_root=machine.proc_root,
        dev_root=machine.dev_root,
    )
    assert read_answer(answer.write()) == answer
    return answer


def opened(machine: FakeMachine) -> Storage:
    device = machine.sys_root / "block/vdb/device"
    device.mkdir(exist_ok=True)
    (machine.sys_root / "bus/virtio").mkdir(parents=True)
    (device / "subsystem").symlink_to(machine.sys_root / "bus/virtio")
    return inventory.open_drives(only_images=None, sys_root=machine.sys_root, dev_root=machine.dev_root)


def test_what_stands_on_a_drive_is_reported_lowest_first(machine: FakeMachine) -> None:
    machine.device("sdz", "8:0")
    machine.partition("vdb", "vdb1", "254:17")
    machine.mapped("dm-0", "253:0", "home", "CRYPT-x", "vdb1")
    machine.mount("/srv", "253:0")
    machine.mount("/srv/proc", "0:5", "proc", "proc")
    machine.mount("/other", "8:0")
    (drive,) = [each for each in answered(machine, opened(machine)).drives if each.serial == "VD-1"]
    assert [(each.kind, each.node, each.on) for each in drive.stack] == [
        ("partition", "vdb1", "vdb"),
        ("crypt", "dm-0", "vdb1"),
        ("mount", "/srv", "dm-0"),
        ("mount", "/srv/proc", "/srv"),
    ]
    assert drive.refused is None


def test_what_stands_on_refused_storage_is_reported_too(machine: FakeMachine) -> None:
    machine.device("sda", "8:0", size="8")
    (machine.sys_root / "block/sda/device").mkdir()
    machine.mount("/srv", "8:0")
    (machine.sys_root / "block/sda/device").mkdir(exist_ok=True)
    storage = opened(machine)
    (drive,) = [each for each in answered(machine, storage).drives if each.refused == "STORAGE_UNSUPPORTED"]
    assert [each.node for each in drive.stack] == ["/srv"]


def test_a_drive_with_more_on_it_than_evidence_can_name_is_refused(machine: FakeMachine) -> None:
    stacked = tuple(
        Stacked(
            key=f"mount {n}", kind=StackedKind.MOUNT, name=f"/{n}", path=f"/{n}", on=("vdb",), placed_in=None
        )
        for n in range(MAX_STACKED + 1)
    )
    (drive,) = opened(machine).drives
    assert inventory.report(drive, stacked=stacked[1:]).refused is None
    crowded = inventory.report(drive, stacked=stacked)
    assert (crowded.refused, len(crowded.stack)) == ("TEARDOWN_UNSUPPORTED", MAX_STACKED)


def test_a_machine_that_does_not_say_what_is_mounted_has_no_inventory(
    machine: FakeMachine, tmp_path: Path
) -> None:
    storage = opened(machine)
    (machine.proc_root / "self/mountinfo").unlink()
    with pytest.raises(Refused) as refusal:
        answered(machine, storage)
    assert refusal.value.code is Code.TEARDOWN_UNSUPPORTED


def test_a_virtio_disk_is_reported_as_sysfs_says(machine: FakeMachine) -> None:
    (drive,) = answered(machine, opened(machine)).drives
    assert (drive.transport, drive.attachment, drive.device_class) == ("virtio", "internal", "emulated")
    assert (drive.serial, drive.model, drive.capacity_bytes) == ("VD-1", "virtio-blk", 8192 * 512)
    assert words(drive) == {"LAYER_SEARCH": "not_observed"}, "no node of it is there to be read"


def test_a_virtio_disk_without_a_serial_number_is_listed_and_refused(machine: FakeMachine) -> None:
    machine.device("vdb", "254:16", size="8192")
    (drive,) = answered(machine, opened(machine)).drives
    assert (drive.serial, drive.refused) == ("", Code.DRIVE_IDENTITY_MISSING.value)


def test_a_local_drive_that_does_not_answer_is_listed_and_refused(machine: FakeMachine) -> None:
    put(machine.sys_root / "class/nvme/nvme0/transport", "pcie")
    answer = answered(machine, opened(machine))
    assert [drive.refused for drive in answer.drives] == [Code.DRIVE_UNREADABLE.value, None]


@pytest.mark.parametrize(
    ("attachment", "expected"), [("internal", "physical"), ("removable", "physical"), ("remote", "emulated")]
)
def test_nobody_can_tell_whether_another_machines_drive_is_physical(
    make_drive: Make, attachment: str, expected: str
) -> None:
    device = make_drive("a")
    drive = NvmeDrive(
        name="nvme0",
        transport=KernelDriven(device, bytes.fromhex("4d14")),
        blocks=EmulatedBlockIo(device),
        attachment=Attachment(attachment),
    )
    reported = inventory.report(drive)
    assert (reported.attachment, reported.device_class, reported.refused) == (attachment, expected, None)
