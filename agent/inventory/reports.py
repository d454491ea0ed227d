"""Each drive as it says of itself now, with the layers on it and what stands on it.

Rules: a drive that does not answer as its standard says is in the inventory, unreadable; a drive without a
serial number is refused, whatever it can do, because nothing could name it in an order, and so is one that
may hold a namespace nobody listed (`accounting`); the class is the driver's own word, lowered where the drive
names a hypervisor (`devices.vendors`) or is another machine's; so is the attachment where the model is a
network's volume.

Whether encryption layers could be searched for stands among the capabilities as `LAYER_SEARCH`: `01` when the
start of every namespace that exists could be read, else not_observed. A drive that cannot be read is not
refused for that: the drive's own commands may still erase it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.devices import nvme, stack, vendors
from agent.devices.block import BlockIo
from agent.devices.drive import WHOLE, Drive
from agent.devices.nvme import IdentifyController, IdentifyNamespace, NvmeDrive
from agent.devices.plain import PlainDescription, PlainDrive
from agent.devices.stack import Stacked
from agent.errors import Code, DeviceError
from agent.host_facts import HostFacts
from agent.inventory import accounting
from agent.inventory.places import residue
from agent.inventory.storage import RefusedStorage, Storage
from agent.teardown import MAX_STACKED
from agent.techniques import luks
from certificate.errors import Malformed, RefusalCode, Refused
from certificate.messages import (
    CapabilityReport,
    DriveReport,
    InventoryAnswer,
    LayerReport,
    NamespaceReport,
    StackedReport,
)
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Attachment, DeviceClass

LAYER_SEARCH: Final = "LAYER_SEARCH"
#: Read of each namespace to see that it can be searched.
LOOK_BYTES = 4096


def take(
    storage: Storage,
    *,
    boot_id: str,
    host_facts: HostFacts,
    sys_root: Path = Path("/sys"),
    proc_root: Path = Path("/proc"),
    dev_root: Path = Path("/dev"),
) -> InventoryAnswer:
    """The inventory of this host: the drives in the hand, then what was refused, each as `storage` lists it.

    Raises Malformed when the host facts driver cannot read its source; Refused(TEARDOWN_UNSUPPORTED) when the
    kernel does not say what is mounted.
    """
    everything: tuple[Stacked, ...] = ()
    if not storage.is_images_only:
        try:
            everything = stack.read(sys_root=sys_root, proc_root=proc_root, dev_root=dev_root)
        except OSError as error:
            raise Refused(Code.TEARDOWN_UNSUPPORTED, f"mounts cannot be read: {error.strerror}") from error
    drives = [report(drive, stacked=storage.stacked_on(drive.name, everything)) for drive in storage.drives]
    drives += [_refused(each, storage.stacked_on(each.name, everything)) for each in storage.refused]
    return InventoryAnswer(
        boot_id=boot_id,
        host_facts=host_facts.observe(),
        drives=tuple(drives),
        residue=residue(is_images_only=storage.is_images_only, sys_root=sys_root),
    )


def report(drive: Drive, *, stacked: tuple[Stacked, ...] = ()) -> DriveReport:
    """One drive as it says of itself now; DRIVE_UNREADABLE where it does not answer as its standard says."""
    try:
        if isinstance(drive, NvmeDrive):
            return _nvme(drive, stacked)
        if isinstance(drive, PlainDrive):
            return _plain(drive, drive.describe(), stacked)
    except (DeviceError, Malformed, OSError):
        pass
    return _unreadable(drive, stacked)


# --- NVMe ---------------------------------------------------------------------------------------------------


def _nvme(drive: NvmeDrive, stacked: tuple[Stacked, ...]) -> DriveReport:
    controller = drive.identify_controller()
    attached = set(drive.active_namespaces())
    identified = _identified(drive, controller, attached)
    namespaces = tuple(
        NamespaceReport(
            nsid=nsid,
            capacity_bytes=each.capacity_bytes,
            logical_block_bytes=each.logical_block_bytes,
            is_attached=nsid in attached,
        )
        for nsid, each in identified.items()
    )
    layers, search, layer_code = _layers(drive.blocks, namespaces)
    status_log, is_running = _status_log(drive)
    running = Code.SANITIZE_RUNNING if is_running else None
    unaccounted = accounting.refusal(drive, controller, attached)
    device_class = vendors.class_of(drive.device_class, controller.pci_vendor)
    attachment = vendors.attachment_of(drive.attachment, controller.model_number)
    return DriveReport(
        transport=drive.transport_name.value,
        attachment=attachment.value,
        device_class=_as_attached(device_class, attachment).value,
        manufacturer=f"PCI vendor {controller.pci_vendor:04X}h",
        model=controller.model_number or NOT_OBSERVED,
        firmware=controller.firmware_revision or NOT_OBSERVED,
        serial=controller.serial_number,
        capacity_bytes=_capacity_bytes(controller, identified),
        unallocated_capacity_bytes=controller.unallocated_capacity_bytes,
        is_write_protected=any(each.is_write_protected for each in identified.values()),
        namespaces=namespaces,
        capabilities=(*_capabilities(controller, identified), search),
        layers=layers,
        stack=_stack(stacked),
        status_log=status_log,
        refused=_refusal(controller.serial_number, stacked, unaccounted, running, layer_code),
    )


def _identified(
    drive: NvmeDrive, controller: IdentifyController, attached: set[int]
) -> dict[int, IdentifyNamespace]:
    """Every namespace that exists, in ascending order, attached or not."""
    existing = set(drive.allocated_namespaces()) if controller.has_namespace_management else set()
    return {
        nsid: drive.identify_namespace(nsid) if nsid in attached else drive.identify_allocated(nsid)
        for nsid in sorted(attached | existing)
    }


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


# --- plain drives and what nobody opened --------------------------------------------------------------------


def _plain(drive: PlainDrive, said: PlainDescription, stacked: tuple[Stacked, ...]) -> DriveReport:
    whole = NamespaceReport(
        nsid=WHOLE,
        capacity_bytes=said.capacity_bytes,
        logical_block_bytes=said.logical_block_bytes,
        is_attached=True,
    )
    layers, search, layer_code = _layers(drive.blocks, (whole,))
    return DriveReport(
        transport=drive.transport_name.value,
        attachment=drive.attachment.value,
        device_class=_as_attached(drive.device_class, drive.attachment).value,
        manufacturer=said.manufacturer or NOT_OBSERVED,
        model=said.model_number or NOT_OBSERVED,
        firmware=said.firmware or NOT_OBSERVED,
        serial=said.serial_number,
        capacity_bytes=said.capacity_bytes,
        unallocated_capacity_bytes=0,
        is_write_protected=said.is_write_protected,
        namespaces=(whole,),
        capabilities=(search,),
        layers=layers,
        stack=_stack(stacked),
        status_log=NOT_OBSERVED,
        refused=_refusal(said.serial_number, stacked, layer_code),
    )


def _refused(storage: RefusedStorage, stacked: tuple[Stacked, ...]) -> DriveReport:
    """Nobody opened it, so no driver vouches for what it is."""
    return _closed(
        transport=storage.transport,
        attachment=storage.attachment,
        device_class=DeviceClass.NOT_OPENED,
        model=storage.model or NOT_OBSERVED,
        serial=storage.serial,
        capacity_bytes=storage.capacity_bytes,
        stacked=stacked,
        code=storage.code,
    )


def _unreadable(drive: Drive, stacked: tuple[Stacked, ...]) -> DriveReport:
    return _closed(
        transport=drive.transport_name.value,
        attachment=drive.attachment,
        device_class=drive.device_class,
        model=f"unreadable ({drive.name})",
        serial="",
        capacity_bytes=0,
        stacked=stacked,
        code=Code.DRIVE_UNREADABLE,
    )


def _closed(
    *,
    transport: str,
    attachment: Attachment,
    device_class: DeviceClass,
    model: str,
    serial: str,
    capacity_bytes: int,
    stacked: tuple[Stacked, ...],
    code: Code,
) -> DriveReport:
    """Storage of which nothing is known from itself."""
    return DriveReport(
        transport=transport,
        attachment=attachment.value,
        device_class=device_class.value,
        manufacturer=NOT_OBSERVED,
        model=model,
        firmware=NOT_OBSERVED,
        serial=serial,
        capacity_bytes=capacity_bytes,
        unallocated_capacity_bytes=0,
        is_write_protected=False,
        namespaces=(),
        capabilities=(),
        layers=(),
        stack=_stack(stacked),
        status_log=NOT_OBSERVED,
        refused=code.value,
    )


# --- what all share -----------------------------------------------------------------------------------------


def _as_attached(device_class: DeviceClass, attachment: Attachment) -> DeviceClass:
    """What is behind a network may be a program's making: nobody here can tell."""
    is_ours = attachment in (Attachment.INTERNAL, Attachment.REMOVABLE)
    return device_class if is_ours else vendors.weaker(device_class, DeviceClass.EMULATED)


def _refusal(serial: str, stacked: tuple[Stacked, ...], *codes: RefusalCode | None) -> str | None:
    """The first of what stands in the way."""
    first: list[RefusalCode | None] = [None if serial.strip() else Code.DRIVE_IDENTITY_MISSING]
    too_many = Code.TEARDOWN_UNSUPPORTED if len(stacked) > MAX_STACKED else None
    return next((code.value for code in (*first, *codes, too_many) if code is not None), None)


def _layers(
    blocks: BlockIo, namespaces: tuple[NamespaceReport, ...]
) -> tuple[tuple[LayerReport, ...], CapabilityReport, RefusalCode | None]:
    """The encryption layers, whether they could be searched for, and why the drive must wait for a person."""
    try:
        found = luks.find(blocks, namespaces)
    except Malformed as error:
        return (), CapabilityReport(field=LAYER_SEARCH, raw=NOT_OBSERVED), error.code
    was_possible = bool(namespaces) and all(_can_be_read(blocks, each) for each in namespaces)
    search = CapabilityReport(field=LAYER_SEARCH, raw="01" if was_possible else NOT_OBSERVED)
    return tuple(luks.to_report(layer) for layer in found), search, None


def _can_be_read(blocks: BlockIo, namespace: NamespaceReport) -> bool:
    try:
        blocks.peek(namespace.nsid, 0, min(LOOK_BYTES, namespace.capacity_bytes))
    except OSError:
        return False
    return namespace.is_attached


def _stack(stacked: Iterable[Stacked]) -> tuple[StackedReport, ...]:
    """Lowest first, as read. `on` is the first of what it stands on that is on this drive."""
    names = {each.key: each.name for each in stacked}
    reports: list[StackedReport] = []
    for each in list(stacked)[:MAX_STACKED]:
        lower = next((key for key in each.on if key in names), None)
        if lower is None:
            lower = each.on[0] if each.on else each.placed_in or ""
        reports.append(StackedReport(kind=each.kind.value, node=each.name, on=names.get(lower, lower)))
    return tuple(reports)
