"""What the Linux kernel says stands on what: partitions, mappings, arrays, loop devices, mounts and swap.

Rules: sysfs and procfs are read and never written, and nothing is opened but their files; an edge is taken
from either end that names it (`slaves` of the upper, `holders` of the lower); a device that holds another and
is of no kind known here is `other`, never left out. Two things are told apart: what a thing's data lie on
(`on`) and, of a mount, the mount whose tree it hangs in (`placed_in`), which cannot go before it.

KNOWN GAP: files behind loop devices and swap are found by their path, so one that another mount now hides
below it is taken to lie on that mount. It is then let go too late or not at all, and what lies below does not
let go either, which is seen.

Sources, from memory besides what a kernel showed: Documentation/filesystems/proc.rst (3.5 mountinfo), proc(5)
on swaps, Documentation/ABI on /sys/block/*/{slaves,holders,dm,md,loop} and /sys/fs/btrfs/UUID/devices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.devices.topology import text
from certificate.statements.vocabulary import StackedKind

#: Device-mapper names its owner in the first part of the UUID.
MAPPER_OWNERS: Final = (("CRYPT-", StackedKind.CRYPT), ("LVM-", StackedKind.LVM))
#: An array inside a container of a controller's own format; `-` where the array is only read (Linux md.rst).
_CONTAINER = re.compile(r"^external:[/-]([^/]+)/")
#: How mountinfo and swaps write a space, a tab, a line feed, a backslash and a number sign.
_OCTAL = re.compile(r"\\([0-7]{3})")
#: What an overlay is made of, in its options.
_OVERLAID = ("lowerdir", "upperdir", "workdir")
_DELETED = " (deleted)"


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """One thing that stands on others. `key` is unique among all; a disk's or another device's is its name.

    `name`: how a person calls it; `path`: what it is let go by (mount point, swap path, device name).
    """

    key: str
    kind: StackedKind
    name: str
    path: str
    on: tuple[str, ...]
    placed_in: str | None


@dataclass(frozen=True, kw_only=True)
class _Mount:
    key: str
    parent: str
    number: str
    point: str
    source: str
    options: str
    filesystem: str


def read(
    *, sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc"), dev_root: Path = Path("/dev")
) -> tuple[Stacked, ...]:
    """Everything that stands on something now, lowest first. Raises OSError when procfs cannot be read."""
    folders = _block_folders(sys_root)
    mounts = _mounts(proc_root)
    numbers = {text(folder / "dev"): name for name, folder in folders.items()}
    names = _Names(sys_root=sys_root, dev_root=dev_root, folders=folders)
    found = [
        *_devices(folders, mounts, names),
        *(_mounted(mount, mounts, numbers, names) for mount in mounts),
        *_swaps(proc_root, mounts, names),
    ]
    return _lowest_first(found)


def above(stack: Iterable[Stacked], roots: Iterable[str]) -> tuple[Stacked, ...]:
    """Everything that stands on one of `roots`, through however many others; in the order of `stack`."""
    everything = tuple(stack)
    reached = set(roots)
    grows = True
    while grows:
        more = {each.key for each in everything if _lower(each) & reached} - reached
        reached |= more
        grows = bool(more)
    return tuple(each for each in everything if _lower(each) & reached)


def _lower(each: Stacked) -> set[str]:
    return {*each.on} if each.placed_in is None else {*each.on, each.placed_in}


# --- block devices ------------------------------------------------------------------------------------------


def _block_folders(sys_root: Path) -> dict[str, Path]:
    """Every block device and partition by the kernel's name."""
    folders: dict[str, Path] = {}
    for disk in sorted((sys_root / "block").glob("*")):
        folders[disk.name] = disk
        for part in sorted(disk.glob("*/partition")):
            folders[part.parent.name] = part.parent
    return folders


def _devices(folders: dict[str, Path], mounts: tuple[_Mount, ...], names: _Names) -> Iterator[Stacked]:
    held: dict[str, set[str]] = {}
    for name, folder in folders.items():
        for holder in _listed(folder / "holders"):
            held.setdefault(holder, set()).add(name)
        held.setdefault(name, set()).update(_listed(folder / "slaves"))
        if (folder / "partition").exists():
            held[name].add(folder.parent.name)
        if container := _CONTAINER.match(text(folder / "md/metadata_version")):
            held[name].add(container[1])
    for name, on in sorted(held.items()):
        folder = folders.get(name, Path())
        backing = text(folder / "loop/backing_file") if name in folders else ""
        if backing:
            yield _device(name, StackedKind.LOOP, _file(backing, mounts, names))
        elif on:
            yield _device(name, _kind(name, folder if name in folders else None), sorted(on))


def _device(name: str, kind: StackedKind, on: Iterable[str]) -> Stacked:
    return Stacked(key=name, kind=kind, name=name, path=name, on=tuple(on), placed_in=None)


def _kind(name: str, folder: Path | None) -> StackedKind:
    if folder is None:
        return StackedKind.OTHER
    if (folder / "partition").exists():
        return StackedKind.PARTITION
    if (folder / "md").is_dir():
        return StackedKind.RAID
    if (folder / "dm").is_dir():
        owner = text(folder / "dm/uuid")
        return next((kind for start, kind in MAPPER_OWNERS if owner.startswith(start)), StackedKind.MAPPER)
    return StackedKind.OTHER


def _listed(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except OSError:
        return ()


class _Names:
    """A device's path, as mounts and swaps write it, to the kernel's name."""

    def __init__(self, *, sys_root: Path, dev_root: Path, folders: dict[str, Path]) -> None:
        self._sys_root = sys_root
        self._dev_root = dev_root
        self._folders = folders
        self._mapped = {text(folder / "dm/name"): name for name, folder in folders.items()}

    def device(self, path: str) -> str | None:
        """None for what is no path of a block device here."""
        if not path.startswith("/dev/"):
            return None
        inside = path.removeprefix("/dev/")
        for name in (inside, os.path.realpath(self._dev_root / inside).rpartition("/")[2]):
            # sysfs writes a slash in a name as an exclamation mark (cciss!c0d0).
            if name.replace("/", "!") in self._folders:
                return name.replace("/", "!")
        return self._mapped.get(inside.removeprefix("mapper/")) if inside.startswith("mapper/") else None

    def btrfs_members(self, name: str) -> tuple[str, ...]:
        """All devices of the btrfs file system that lies on device `name`."""
        for devices in sorted((self._sys_root / "fs/btrfs").glob("*/devices")):
            if name in (members := _listed(devices)):
                return members
        return ()


# --- mounts and swap ----------------------------------------------------------------------------------------


def _mounts(proc_root: Path) -> tuple[_Mount, ...]:
    lines = (proc_root / "self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return tuple(mount for mount in map(_mount, lines) if mount is not None)


def _mount(line: str) -> _Mount | None:
    """`36 35 98:0 /root /point options [optional ...] - filesystem source options` (proc.rst, 3.5)."""
    before, dash, after = line.partition(" - ")
    first, last = before.split(" "), after.split(" ")
    if not dash or len(first) < 6 or len(last) < 3:
        return None
    return _Mount(
        key=_mount_key(first[0]),
        parent=_mount_key(first[1]),
        number=first[2],
        point=_plain(first[4]),
        filesystem=last[0],
        source=_plain(last[1]),
        options=_plain(last[2]),
    )


def _mount_key(number: str) -> str:
    return f"mount {number}"


def _mounted(mount: _Mount, mounts: tuple[_Mount, ...], numbers: dict[str, str], names: _Names) -> Stacked:
    on: set[str] = set()
    if mount.number in numbers:
        on.add(numbers[mount.number])
    else:
        # btrfs and bcachefs count devices of their own; bcachefs names all its members, joined by colons.
        on.update(name for part in mount.source.split(":") if (name := names.device(part)) is not None)
    for name in tuple(on):
        on.update(names.btrfs_members(name))
    if mount.filesystem == "overlay":
        on.update(key for path in _overlaid(mount.options) for key in _holding(path, mounts))
    on.discard(mount.key)
    is_known = any(each.key == mount.parent != mount.key for each in mounts)
    return Stacked(
        key=mount.key,
        kind=StackedKind.MOUNT,
        name=mount.point,
        path=mount.point,
        on=tuple(sorted(on)),
        placed_in=mount.parent if is_known else None,
    )


def _overlaid(options: str) -> Iterator[str]:
    for option in options.split(","):
        name, _, value = option.partition("=")
        if name.rstrip("+") in _OVERLAID:
            yield from (path for path in value.split(":") if path.startswith("/"))


def _swaps(proc_root: Path, mounts: tuple[_Mount, ...], names: _Names) -> Iterator[Stacked]:
    """A kernel without swap has no such file."""
    for line in text(proc_root / "swaps").splitlines()[1:]:
        path = _plain(line.split()[0]) if line.split() else ""
        if path:
            yield Stacked(
                key=f"swap {path}",
                kind=StackedKind.SWAP,
                name=path,
                path=path,
                on=_file(path, mounts, names),
                placed_in=None,
            )


def _file(path: str, mounts: tuple[_Mount, ...], names: _Names) -> tuple[str, ...]:
    """What a file or device lies on: the device itself, or the mounts whose tree it is in."""
    whole = path.removesuffix(_DELETED)
    device = names.device(whole)
    return (device,) if device is not None else _holding(whole, mounts)


def _holding(path: str, mounts: tuple[_Mount, ...]) -> tuple[str, ...]:
    """The mounts at the longest mount point that `path` is below; several where one covers another."""
    points = [mount.point for mount in mounts if is_below(path, mount.point)]
    longest = max(points, key=len, default=None)
    return tuple(mount.key for mount in mounts if mount.point == longest)


def is_below(path: str, point: str) -> bool:
    """Whether `path` is the mount point itself or in its tree."""
    return path == point or path.startswith(point.rstrip("/") + "/")


def _plain(word: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)


def _lowest_first(found: list[Stacked]) -> tuple[Stacked, ...]:
    """Each after all it stands on. What stands on itself in a circle, which no kernel allows, comes last."""
    waiting = {each.key: each for each in found}
    ordered: list[Stacked] = []
    while waiting:
        ready = [each for each in waiting.values() if not _lower(each) & waiting.keys()]
        for each in ready or list(waiting.values()):
            ordered.append(waiting.pop(each.key))
    return tuple(ordered)
