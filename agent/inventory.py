"""Everything on this host that stores data, what it can do, and what it says of itself.

Rules: started on images only, nothing outside that folder is opened, and no block device ever; a drive is
found through its controller and never through a namespace's name; a drive behind two controllers is one
drive; what cannot be erased as it is, is listed with its code and never left out, because a drive nobody saw
is data nobody destroyed; a place nobody looked at is `not_covered`.

The device class is the word of the driver that opened the drive, lowered where the drive names a hypervisor
as its vendor (`devices.vendors`). Selection and admission are elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.devices import nvme, topology, vendors
from agent.devices.block import KernelBlockIo
from agent.devices.emulated import emulated_drive
from agent.devices.nvme import IdentifyController, IdentifyNamespace, NvmeDrive
from agent.devices.nvme_ioctl import IoctlTransport
from agent.devices.simulated import SimulatedNvme
from agent.errors import Code, DeviceError
from agent.host_facts import HostFacts
from certificate.errors import Malformed, Refused
from certificate.messages import (
    CapabilityReport,
    DriveReport,
    HostFactReport,
    InventoryAnswer,
    NamespaceReport,
)
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Attachment, DeviceClass, ResidueName, ResidueState, Transport

#: The only NVMe transport on which a drive is this machine's own.
LOCAL_TRANSPORT = "pcie"


@dataclass(frozen=True, kw_only=True)
class RefusedStorage:
    """Storage that no driver opened: what the system says of it, and why not."""

    name: str
    transport: str
    model: str
    serial: str
    capacity_bytes: int
    code: Code


@dataclass(frozen=True, kw_only=True)
class Storage:
    """All that was found: drives in the hand, and what could not be taken into it."""

    drives: tuple[NvmeDrive, ...]
    refused: tuple[RefusedStorage, ...]
    #: Only images were looked at, and nothing else of this machine.
    is_images_only: bool


def open_drives(
    *, only_images: Path | None, sys_root: Path = Path("/sys"), dev_root: Path = Path("/dev")
) -> Storage:
    """The storage of this host, or of the folder of simulated drives when `only_images` is given.

    Raises Refused(IMAGE_INVALID) when that folder is not there.
    """
    if only_images is not None:
        return _images(only_images)
    drives: list[NvmeDrive] = []
    refused: list[RefusedStorage] = []
    seen_subsystems: set[str] = set()
    for controller in topology.nvme_controllers(sys_root):
        if controller.subsystem and controller.subsystem in seen_subsystems:
            continue
        seen_subsystems.add(controller.subsystem)
        if controller.transport != LOCAL_TRANSPORT:
            refused.append(_remote(controller))
            continue
        nodes = {nsid: dev_root / name for nsid, name in controller.nodes.items()}
        transport = IoctlTransport(dev_root / controller.name)
        drives.append(NvmeDrive(name=controller.name, transport=transport, blocks=KernelBlockIo(nodes)))
    refused.extend(_other(disk) for disk in topology.other_disks(sys_root))
    return Storage(drives=tuple(drives), refused=tuple(refused), is_images_only=False)


def take(
    storage: Storage, *, boot_id: str, host_facts: HostFacts, sys_root: Path = Path("/sys")
) -> InventoryAnswer:
    """The inventory of this host. A drive that does not answer is in it, refused.

    Raises Malformed when the host facts driver cannot read its source.
    """
    drives = [report(drive) for drive in storage.drives] + [_refused(each) for each in storage.refused]
    return InventoryAnswer(
        boot_id=boot_id,
        host_facts=host_facts.observe(),
        drives=tuple(drives),
        residue=residue(storage, sys_root=sys_root),
    )


def report(drive: NvmeDrive) -> DriveReport:
    """One drive as it says of itself now; DRIVE_UNREADABLE where it does not answer as its standard says."""
    try:
        return _report(drive)
    except (DeviceError, Malformed):
        return _unreadable(drive.name, drive.device_class)


def residue(storage: Storage, *, sys_root: Path = Path("/sys")) -> tuple[HostFactReport, ...]:
    """Every place besides drives that may hold data, and whether it was looked at.

    Only pstore can be looked at here, and only when it is mounted and empty does it count as checked.
    """
    states = dict.fromkeys(ResidueName, ResidueState.NOT_COVERED)
    if not storage.is_images_only and _is_mounted_and_empty(sys_root / "fs/pstore"):
        states[ResidueName.PSTORE] = ResidueState.CHECKED
    return tuple(HostFactReport(kind=name.value, value=state.value) for name, state in states.items())


def _images(folder: Path) -> Storage:
    if not folder.is_dir():
        raise Refused(Code.IMAGE_INVALID, f"there is no folder {folder.name!r} of simulated drives")
    drives: list[NvmeDrive] = []
    refused: list[RefusedStorage] = []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            continue
        try:
            # A link could lead out of the folder, to anything.
            if entry.is_symlink():
                raise Malformed(Code.IMAGE_INVALID, f"{entry.name} is a link")
            drives.append(emulated_drive(SimulatedNvme.open(entry), name=entry.name))
        except (Malformed, OSError):
            refused.append(
                RefusedStorage(
                    name=entry.name,
                    transport=Transport.NVME.value,
                    model=NOT_OBSERVED,
                    serial="",
                    capacity_bytes=0,
                    code=Code.DRIVE_UNREADABLE,
                )
            )
    return Storage(drives=tuple(drives), refused=tuple(refused), is_images_only=True)


def _report(drive: NvmeDrive) -> DriveReport:
    controller = drive.identify_controller()
    attached = set(drive.active_namespaces())
    existing = set(drive.allocated_namespaces()) if controller.has_namespace_management else set()
    identified = {
        nsid: drive.identify_namespace(nsid) if nsid in attached else drive.identify_allocated(nsid)
        for nsid in sorted(attached | existing)
    }
    status_log, is_running = _status_log(drive)
    return DriveReport(
        transport=Transport.NVME.value,
        attachment=Attachment.INTERNAL.value,
        device_class=vendors.class_of(drive.device_class, controller.pci_vendor).value,
        manufacturer=f"PCI vendor {controller.pci_vendor:04X}h",
        model=controller.model_number or NOT_OBSERVED,
        firmware=controller.firmware_revision or NOT_OBSERVED,
        serial=controller.serial_number,
        capacity_bytes=_capacity_bytes(controller, identified),
        unallocated_capacity_bytes=controller.unallocated_capacity_bytes,
        is_write_protected=any(each.is_write_protected for each in identified.values()),
        namespaces=tuple(
            NamespaceReport(
                nsid=nsid,
                capacity_bytes=each.capacity_bytes,
                logical_block_bytes=each.logical_block_bytes,
                is_attached=nsid in attached,
            )
            for nsid, each in identified.items()
        ),
        capabilities=_capabilities(controller, identified),
        layers=(),
        stack=(),
        status_log=status_log,
        refused=_refusal(controller, is_running=is_running),
    )


def _refusal(controller: IdentifyController, *, is_running: bool) -> str | None:
    if not controller.serial_number:
        return Code.DRIVE_IDENTITY_MISSING.value
    return Code.SANITIZE_RUNNING.value if is_running else None


def _capacity_bytes(controller: IdentifyController, namespaces: dict[int, IdentifyNamespace]) -> int:
    """TNVMCAP, which includes what is unallocated; drives without it report what their namespaces hold."""
    held = sum(each.capacity_bytes for each in namespaces.values())
    return controller.total_capacity_bytes or held + controller.unallocated_capacity_bytes


def _capabilities(
    controller: IdentifyController, namespaces: dict[int, IdentifyNamespace]
) -> tuple[CapabilityReport, ...]:
    """Each word as sent, under the standard's name; a namespace's carry its number (`NS1:NSZE`)."""
    own = [CapabilityReport(field=name, raw=controller.word(name).hex()) for name in nvme.REPORTED_WORDS]
    return tuple(own) + tuple(
        CapabilityReport(field=f"NS{nsid}:{name}", raw=each.word(name).hex())
        for nsid, each in namespaces.items()
        for name in nvme.NAMESPACE_WORDS
    )


def _status_log(drive: NvmeDrive) -> tuple[str, bool]:
    """The sanitize status log (its first 64 bytes) and whether one is running. Drives that cannot sanitize
    refuse the page: nothing was observed then.
    """
    try:
        log = drive.sanitize_log()
    except (DeviceError, Malformed):
        return NOT_OBSERVED, False
    return log.head.hex(), log.is_running


def _remote(controller: topology.Controller) -> RefusedStorage:
    return RefusedStorage(
        name=controller.name,
        transport=f"nvme-{controller.transport or 'unknown'}",
        model=controller.model,
        serial=controller.serial,
        capacity_bytes=0,
        code=Code.STORAGE_REMOTE,
    )


def _other(disk: topology.OtherDisk) -> RefusedStorage:
    return RefusedStorage(
        name=disk.name,
        transport=disk.bus,
        model=disk.model,
        serial=disk.serial,
        capacity_bytes=disk.capacity_bytes,
        code=Code.STORAGE_REMOVABLE if disk.is_removable else Code.STORAGE_UNSUPPORTED,
    )


def _refused(storage: RefusedStorage) -> DriveReport:
    """Nobody opened it, so no driver vouches for what it is: it gets the weakest class."""
    return DriveReport(
        transport=storage.transport,
        attachment=Attachment.INTERNAL.value,
        device_class=DeviceClass.EMULATED.value,
        manufacturer=NOT_OBSERVED,
        model=storage.model or NOT_OBSERVED,
        firmware=NOT_OBSERVED,
        serial=storage.serial,
        capacity_bytes=storage.capacity_bytes,
        unallocated_capacity_bytes=0,
        is_write_protected=False,
        namespaces=(),
        capabilities=(),
        layers=(),
        stack=(),
        status_log=NOT_OBSERVED,
        refused=storage.code.value,
    )


def _unreadable(name: str, device_class: DeviceClass) -> DriveReport:
    return DriveReport(
        transport=Transport.NVME.value,
        attachment=Attachment.INTERNAL.value,
        device_class=device_class.value,
        manufacturer=NOT_OBSERVED,
        model=f"unreadable ({name})",
        firmware=NOT_OBSERVED,
        serial="",
        capacity_bytes=0,
        unallocated_capacity_bytes=0,
        is_write_protected=False,
        namespaces=(),
        capabilities=(),
        layers=(),
        stack=(),
        status_log=NOT_OBSERVED,
        refused=Code.DRIVE_UNREADABLE.value,
    )


def _is_mounted_and_empty(folder: Path) -> bool:
    try:
        return folder.is_mount() and not any(folder.iterdir())
    except OSError:
        return False
