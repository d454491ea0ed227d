"""What the Linux kernel says is attached to this machine and stores data: sysfs, read and never written.

Rules: an NVMe controller is found in the class of controllers, its namespaces through its own folder and its
subsystem's, by the `nsid` they carry; numbers in names mean nothing (nvme0n1 need not belong to nvme0;
erasure.md, 2.1). Every other block device is named, unless it is known to be made of others or of memory
(loop, RAM, device mapper, md), or is a reader with no medium in it. Two paths are one disk only where both
carry one worldwide name. A storage controller that no driver drives is named too: nobody sees what is behind
it. Nothing is opened but sysfs files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent.devices.attachment import attachment
from certificate.statements.vocabulary import Attachment

SECTOR_BYTES = 512
_NODE = re.compile(r"^nvme[0-9]+n[0-9]+$")
#: A path of a namespace that several controllers reach; its block device is `_NODE`.
_PATH = re.compile(r"^nvme[0-9]+c[0-9]+n[0-9]+$")
#: What the kernel makes of other block devices or of memory: it stores nothing of its own.
_MADE = re.compile(r"^(loop|ram|zram|dm-|md|bcache|zd)[0-9a-z_]*$")
#: PCI base class 01h is mass storage, 0805h a reader of SD cards (PCI Code and ID Assignment, 1.2 and 1.9).
STORAGE_CLASSES: Final = ("0x01", "0x0805")
#: Drivers that keep a device for a guest or a program, so that the kernel shows nothing of it.
HIDING_DRIVERS: Final = frozenset({"vfio-pci", "pci-stub", "uio_pci_generic", "igb_uio"})
#: Virtio device types 2 (block) and 8 (SCSI host), OASIS Virtual I/O Device 1.1, 5.
STORAGE_VIRTIO: Final = frozenset({"0x0002", "0x0008"})


@dataclass(frozen=True, kw_only=True)
class Controller:
    """One NVMe controller. `nodes`: namespace id -> name of its block device, where there is one."""

    name: str
    #: `pcie`, `tcp`, `rdma`, `fc`, `loop`; empty where the kernel does not say.
    transport: str
    serial: str
    model: str
    #: Name of the NVM subsystem's folder, the same for every controller of one drive; empty where unknown.
    subsystem: str
    nodes: dict[int, str]
    #: The kernel calls it, or a bridge above it, removable (Thunderbolt, U.2 in an outer bay).
    is_removable: bool


@dataclass(frozen=True, kw_only=True)
class OtherDisk:
    """A block device that is no NVMe namespace. `bus`: the last named bus on its path, such as `scsi`.

    `paths`: the kernel's names of the disk, one for each way to it.
    """

    name: str
    paths: tuple[str, ...]
    bus: str
    vendor: str
    model: str
    serial: str
    #: Worldwide name; empty where the disk has none.
    wwid: str
    capacity_bytes: int
    logical_block_bytes: int
    attachment: Attachment
    is_write_protected: bool


@dataclass(frozen=True, kw_only=True)
class Undriven:
    """A storage controller that the kernel shows no disks of. `ids`: vendor and device, as its bus says."""

    name: str
    bus: str
    ids: str


def nvme_controllers(sys_root: Path) -> tuple[Controller, ...]:
    """Every NVMe controller, in order of name."""
    return tuple(_controller(sys_root, folder) for folder in sorted((sys_root / "class/nvme").glob("nvme*")))


def other_disks(sys_root: Path) -> tuple[OtherDisk, ...]:
    """Every disk of this machine that no NVMe controller above shows, in order of name."""
    shown = {node for each in nvme_controllers(sys_root) for node in each.nodes.values()}
    return _one_per_disk(
        other_disk(folder)
        for folder in sorted((sys_root / "block").glob("*"))
        if folder.name not in shown and _stores(folder)
    )


def undriven_controllers(sys_root: Path) -> tuple[Undriven, ...]:
    """Every storage controller on PCI or virtio without a driver that shows its disks."""
    return tuple(_undriven(sys_root))


def other_disk(folder: Path) -> OtherDisk:
    """What sysfs says now of the disk with this folder."""
    device = (folder / "device").resolve()
    bus = (device / "subsystem").resolve().name if (device / "subsystem").exists() else ""
    vendor, model = text(device / "vendor"), text(device / "model") or text(device / "name")
    block_bytes = text(folder / "queue/logical_block_size")
    card_type = text(device / "type")
    return OtherDisk(
        name=folder.name,
        paths=(folder.name,),
        bus=bus or "unknown",
        vendor=vendor,
        model=model,
        serial=text(folder / "serial") or text(device / "serial") or _unit_serial(device / "vpd_pg80"),
        wwid=text(device / "wwid"),
        capacity_bytes=_sectors(folder) * SECTOR_BYTES,
        logical_block_bytes=int(block_bytes) if block_bytes.isdecimal() else SECTOR_BYTES,
        attachment=attachment(
            folder.name,
            parts=device.parts,
            model=f"{vendor} {model}",
            scsi_type=card_type if bus == "scsi" else "",
            card_type=card_type if bus == "mmc" else "",
            is_removable=text(folder / "removable") == "1" or _is_unpluggable(device),
        ),
        is_write_protected=text(folder / "ro") == "1",
    )


def _stores(folder: Path) -> bool:
    if _MADE.match(folder.name) or _PATH.match(folder.name) or text(folder / "hidden") == "1":
        return False
    if (folder / "device").exists():
        # An empty slot of a card reader, or a floppy drive, stores nothing.
        return not (text(folder / "removable") == "1" and text(folder / "size") == "0")
    # A device of the kernel's own that nobody connected (nbd).
    return text(folder / "size") != "0"


def _one_per_disk(disks: Iterable[OtherDisk]) -> tuple[OtherDisk, ...]:
    """Paths of one disk joined, the first one's name kept. A serial alone joins nothing: two disks that lie
    about it would be one.
    """
    found: dict[object, OtherDisk] = {}
    for disk in disks:
        key: object = disk.name
        if disk.wwid.startswith(("naa.", "eui.")):
            key = (disk.wwid, disk.vendor, disk.model, disk.serial, disk.capacity_bytes)
        first = found.setdefault(key, disk)
        if first is not disk:
            found[key] = replace(first, paths=(*first.paths, *disk.paths))
    return tuple(found.values())


def _undriven(sys_root: Path) -> Iterator[Undriven]:
    for folder in sorted((sys_root / "bus/pci/devices").glob("*")):
        if text(folder / "class").startswith(STORAGE_CLASSES) and _is_hidden(folder):
            ids = f"{text(folder / 'vendor')} {text(folder / 'device')}"
            yield Undriven(name=folder.name, bus="pci", ids=ids)
    for folder in sorted((sys_root / "bus/virtio/devices").glob("*")):
        if text(folder / "device") in STORAGE_VIRTIO and _is_hidden(folder):
            ids = f"{text(folder / 'vendor')} {text(folder / 'device')}"
            yield Undriven(name=folder.name, bus="virtio", ids=ids)


def _is_hidden(folder: Path) -> bool:
    driver = folder / "driver"
    return not driver.exists() or driver.resolve().name in HIDING_DRIVERS


def _controller(sys_root: Path, folder: Path) -> Controller:
    subsystem = _subsystem(sys_root, folder.name)
    nodes = {nsid: name for nsid, name in _namespaces(folder) if _NODE.match(name)}
    if subsystem is not None:
        # With native multipath the block device hangs below the subsystem, beside hidden paths.
        nodes |= {nsid: name for nsid, name in _namespaces(subsystem) if _NODE.match(name)}
    return Controller(
        name=folder.name,
        transport=text(folder / "transport"),
        serial=text(folder / "serial"),
        model=text(folder / "model"),
        subsystem=subsystem.name if subsystem is not None else "",
        nodes=nodes,
        is_removable=_is_unpluggable((folder / "device").resolve()),
    )


def _subsystem(sys_root: Path, controller: str) -> Path | None:
    for folder in sorted((sys_root / "class/nvme-subsystem").glob("*")):
        if (folder / controller).exists():
            return folder
    return None


def _namespaces(folder: Path) -> Iterator[tuple[int, str]]:
    for entry in sorted(folder.glob("nvme*n*")):
        nsid = text(entry / "nsid")
        if nsid.isdecimal():
            yield int(nsid), entry.name


def _is_unpluggable(device: Path) -> bool:
    """The kernel calls the device, or one it hangs on, removable (USB and PCI devices; ABI/testing)."""
    return any(text(folder / "removable") == "removable" for folder in (device, *device.parents))


def _sectors(folder: Path) -> int:
    sectors = text(folder / "size")
    return int(sectors) if sectors.isdecimal() else 0


def _unit_serial(page: Path) -> str:
    """Unit Serial Number, VPD page 80h: length in bytes 3:2, then ASCII (SPC-4, 7.8.18); empty where it is
    not there or is no such page.
    """
    try:
        data = page.read_bytes()
    except OSError:
        return ""
    length_bytes = int.from_bytes(data[2:4], "big")
    if len(data) < 4 or data[1] != 0x80 or len(data) < 4 + length_bytes:
        return ""
    raw = data[4 : 4 + length_bytes].strip(b" \x00")
    return raw.decode("ascii") if raw.isascii() and raw.decode("ascii").isprintable() else ""


def text(path: Path) -> str:
    """The file's text, stripped; empty where it is absent or not ours to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \n\x00")
    except OSError:
        return ""
