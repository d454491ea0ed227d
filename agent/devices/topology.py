"""What the Linux kernel says is attached to this machine and stores data: sysfs, read and never written.

Rules: an NVMe controller is found in the class of controllers, its namespaces through its own folder and its
subsystem's, by the `nsid` they carry; numbers in names mean nothing (nvme0n1 need not belong to nvme0;
erasure.md, 2.1). Block devices made of others (loop, RAM, device mapper, md) store nothing of their own and
are passed over; every other one is named. Nothing is opened but sysfs files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512
_NODE = re.compile(r"^nvme[0-9]+n[0-9]+$")


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


@dataclass(frozen=True, kw_only=True)
class OtherDisk:
    """A block device that is no NVMe namespace. `bus`: the last named bus on its path, such as `scsi`."""

    name: str
    bus: str
    model: str
    serial: str
    capacity_bytes: int
    is_removable: bool


def nvme_controllers(sys_root: Path) -> tuple[Controller, ...]:
    """Every NVMe controller, in order of name."""
    return tuple(_controller(sys_root, folder) for folder in sorted((sys_root / "class/nvme").glob("nvme*")))


def other_disks(sys_root: Path) -> tuple[OtherDisk, ...]:
    """Every disk of this machine that is not NVMe, in order of name."""
    return tuple(
        _other(folder)
        for folder in sorted((sys_root / "block").glob("*"))
        # Virtual block devices have no device behind them, and NVMe namespaces belong to a controller.
        if (folder / "device").exists() and not _NODE.match(folder.name)
    )


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


def _other(folder: Path) -> OtherDisk:
    sectors = text(folder / "size")
    device = (folder / "device").resolve()
    bus = (device / "subsystem").resolve().name if (device / "subsystem").exists() else ""
    is_usb = any(re.match(r"^usb[0-9]+$", part) for part in device.parts)
    return OtherDisk(
        name=folder.name,
        bus=bus or "unknown",
        model=text(device / "model"),
        serial=text(device / "serial"),
        capacity_bytes=int(sectors) * SECTOR_BYTES if sectors.isdecimal() else 0,
        is_removable=is_usb or text(folder / "removable") == "1",
    )


def text(path: Path) -> str:
    """The file's text, stripped; empty where it is absent or not ours to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \n\x00")
    except OSError:
        return ""
