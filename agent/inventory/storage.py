"""The drives of this host in the hand, and all other storage by name.

Rules: a drive is found through its controller and never through a namespace's name; a drive behind two
controllers is one drive; one that a driver of ours opens is in the hand however it is attached, and its
attachment is told; what no driver of ours opens, and what a controller without a driver may hide, is listed
with its code. On images, whatever lies in the folder and is no drive is listed as unreadable storage, and no
link is followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from agent import teardown as teardowns
from agent.devices import emulated, image_file, stack, topology
from agent.devices.block import KernelBlockIo
from agent.devices.drive import WHOLE, Drive
from agent.devices.mapper import Mapper, own_paths
from agent.devices.nvme import NvmeDrive
from agent.devices.nvme_ioctl import IoctlTransport
from agent.devices.plain import PlainDescription, PlainDrive
from agent.devices.topology import Controller, OtherDisk
from agent.errors import Code, TransportError
from certificate.errors import Malformed, Refused
from certificate.messages import DriveReport
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

#: The only NVMe transport on which a drive is this machine's own.
LOCAL_TRANSPORT = "pcie"
#: Virtio block devices; their disks on the SCSI bus answer SCSI commands and are not meant.
VIRTIO_BUS = "virtio"
CODES: Final = {
    Attachment.INTERNAL: Code.STORAGE_UNSUPPORTED,
    Attachment.REMOTE: Code.STORAGE_REMOTE,
    Attachment.REMOVABLE: Code.STORAGE_REMOVABLE,
    Attachment.VIRTUAL: Code.STORAGE_VIRTUAL,
}


@dataclass(frozen=True, kw_only=True)
class RefusedStorage:
    """Storage that no driver opened: what the system says of it, and why not."""

    name: str
    transport: str
    model: str
    serial: str
    capacity_bytes: int
    code: Code
    attachment: Attachment = Attachment.INTERNAL


@dataclass(frozen=True, kw_only=True)
class Storage:
    """All that was found: drives in the hand, and what could not be taken into it."""

    drives: tuple[Drive, ...]
    refused: tuple[RefusedStorage, ...]
    #: Only images were looked at, and nothing else of this machine.
    is_images_only: bool
    #: The kernel's block devices of each drive and refused storage, by its name; none where it has none.
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def stacked_on(self, name: str, everything: Iterable[stack.Stacked]) -> tuple[stack.Stacked, ...]:
        """What of `everything` stands on that drive."""
        return stack.above(everything, self.nodes.get(name, ()))


def open_drives(
    *, only_images: Path | None, sys_root: Path = Path("/sys"), dev_root: Path = Path("/dev")
) -> Storage:
    """The storage of this host, or of the folder of image and simulated drives when `only_images` is given.

    Raises Refused(IMAGE_INVALID) when that folder is not there.
    """
    if only_images is not None:
        return _images(only_images)
    drives: list[Drive] = []
    refused: list[RefusedStorage] = []
    nodes: dict[str, tuple[str, ...]] = {}
    for controllers in _by_subsystem(topology.nvme_controllers(sys_root)):
        first = controllers[0]
        drives.append(_nvme(controllers, dev_root))
        nodes[first.name] = tuple(sorted({node for each in controllers for node in each.nodes.values()}))
    for disk in topology.other_disks(sys_root):
        nodes[disk.name] = disk.paths
        if disk.bus == VIRTIO_BUS:
            drives.append(_virtio(disk, sys_root, dev_root))
        else:
            refused.append(_other(disk))
    refused.extend(_undriven(each) for each in topology.undriven_controllers(sys_root))
    return Storage(drives=tuple(drives), refused=tuple(refused), is_images_only=False, nodes=nodes)


def teardown(
    storage: Storage,
    reports: Iterable[DriveReport],
    *,
    pause: teardowns.Pause,
    sys_root: Path = Path("/sys"),
    proc_root: Path = Path("/proc"),
    dev_root: Path = Path("/dev"),
) -> teardowns.Teardown:
    """What lets everything on these drives go. `reports`: of `storage`, as `take` lists them."""
    if storage.is_images_only:
        return teardowns.NothingStacked()
    nodes: dict[str, tuple[str, ...]] = {}
    names = [drive.name for drive in storage.drives] + [each.name for each in storage.refused]
    for name, report in zip(names, reports, strict=True):
        nodes[report.serial] = (*nodes.get(report.serial, ()), *storage.nodes.get(name, ()))
    return teardowns.KernelTeardown(
        nodes=nodes,
        look=partial(stack.read, sys_root=sys_root, proc_root=proc_root, dev_root=dev_root),
        let_go=Mapper(sys_root=sys_root, dev_root=dev_root).let_go,
        own_paths=partial(own_paths, proc_root),
        pause=pause,
    )


# --- the machine's own --------------------------------------------------------------------------------------


def _by_subsystem(controllers: Iterable[Controller]) -> tuple[tuple[Controller, ...], ...]:
    """The controllers of each drive. One without a subsystem is a drive of its own."""
    drives: dict[str, list[Controller]] = {}
    for controller in controllers:
        drives.setdefault(controller.subsystem or f"alone {controller.name}", []).append(controller)
    return tuple(tuple(each) for each in drives.values())


def _nvme(controllers: tuple[Controller, ...], dev_root: Path) -> Drive:
    """One drive, through its first controller; attached as the farthest of its paths is."""
    first = controllers[0]
    attachment = Attachment.INTERNAL
    if any(each.is_removable for each in controllers):
        attachment = Attachment.REMOVABLE
    if any(each.transport != LOCAL_TRANSPORT for each in controllers):
        attachment = Attachment.REMOTE
    return NvmeDrive(
        name=first.name,
        transport=IoctlTransport(dev_root / first.name),
        blocks=KernelBlockIo({nsid: dev_root / name for nsid, name in first.nodes.items()}),
        attachment=attachment,
        others=tuple(IoctlTransport(dev_root / each.name) for each in controllers[1:]),
        shown=frozenset(nsid for each in controllers for nsid in each.nodes),
    )


def _virtio(disk: OtherDisk, sys_root: Path, dev_root: Path) -> PlainDrive:
    return PlainDrive(
        name=disk.name,
        transport_name=Transport.VIRTIO,
        attachment=disk.attachment,
        device_class=DeviceClass.EMULATED,
        blocks=KernelBlockIo({WHOLE: dev_root / disk.name}),
        describe=partial(_describe_virtio, sys_root / "block" / disk.name),
    )


def _describe_virtio(folder: Path) -> PlainDescription:
    """As sysfs says now. Raises TransportError when the disk is gone."""
    if not folder.exists():
        raise TransportError(f"{folder.name} is not there")
    disk = topology.other_disk(folder)
    return PlainDescription(
        serial_number=disk.serial,
        manufacturer=f"virtio vendor {disk.vendor}" if disk.vendor else "",
        model_number="virtio-blk",
        firmware="",
        capacity_bytes=disk.capacity_bytes,
        logical_block_bytes=disk.logical_block_bytes,
        is_write_protected=disk.is_write_protected,
    )


def _other(disk: OtherDisk) -> RefusedStorage:
    return RefusedStorage(
        name=disk.name,
        transport=disk.bus,
        model=f"{disk.vendor} {disk.model}".strip(),
        serial=disk.serial,
        capacity_bytes=disk.capacity_bytes,
        code=CODES[disk.attachment],
        attachment=disk.attachment,
    )


def _undriven(controller: topology.Undriven) -> RefusedStorage:
    return RefusedStorage(
        name=controller.name,
        transport=controller.bus,
        model=f"storage controller {controller.ids}",
        serial="",
        capacity_bytes=0,
        code=Code.STORAGE_UNDRIVEN,
    )


# --- images and simulated drives ----------------------------------------------------------------------------


def _images(folder: Path) -> Storage:
    if not folder.is_dir():
        raise Refused(Code.IMAGE_INVALID, f"there is no folder {folder.name!r} of drives")
    drives: list[Drive] = []
    refused: list[RefusedStorage] = []
    for entry in sorted(folder.iterdir()):
        if _describes_an_image(entry):
            continue
        try:
            drives.append(_image(entry))
        except (Malformed, OSError):
            refused.append(_unreadable(entry))
    return Storage(drives=tuple(drives), refused=tuple(refused), is_images_only=True)


def _describes_an_image(entry: Path) -> bool:
    """`<name>.json` belongs to `<name>.img` and is read with it."""
    return entry.suffix == ".json" and entry.with_suffix(image_file.SUFFIX).exists()


def _image(entry: Path) -> Drive:
    """Raises Malformed for what is no drive, and for a link: it could lead out of the folder, to anything."""
    if entry.is_symlink():
        raise Malformed(Code.IMAGE_INVALID, f"{entry.name} is a link")
    if entry.is_dir():
        return emulated.open_drive(entry)
    return _image_file(entry)


def _image_file(path: Path) -> PlainDrive:
    image = image_file.open_drive(path)
    return PlainDrive(
        name=image.name,
        transport_name=image.transport_name,
        attachment=image.attachment,
        device_class=image.device_class,
        blocks=image.blocks,
        describe=partial(_describe_image, image),
    )


def _describe_image(image: image_file.ImageFileDrive) -> PlainDescription:
    identity = image.identity()
    return PlainDescription(
        serial_number=identity.serial_number,
        manufacturer="",
        model_number=identity.model_number,
        firmware="",
        capacity_bytes=identity.capacity_bytes,
        logical_block_bytes=image_file.LOGICAL_BLOCK_BYTES,
        is_write_protected=image.is_write_protected(),
    )


def _unreadable(entry: Path) -> RefusedStorage:
    is_folder = entry.is_dir() and not entry.is_symlink()
    return RefusedStorage(
        name=entry.name,
        transport=(Transport.NVME if is_folder else Transport.IMAGE).value,
        model="",
        serial="",
        capacity_bytes=0,
        code=Code.DRIVE_UNREADABLE,
    )
