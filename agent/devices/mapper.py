"""The calls by which a kernel lets go of what stands on a drive: umount2, swapoff, and three ioctls.

Rules: each call is made once and its own refusal is an OSError; nothing is forced and nothing is detached
lazily, because a mount that is only out of sight still holds the drive; what a call returned is no evidence
that anything was let go, so the caller reads the kernel again (`devices.stack`). Nothing is chosen here.

Sources: umount(2), swapoff(2); linux/dm-ioctl.h (DM_DEV_REMOVE, struct dm_ioctl, 312 bytes); linux/loop.h
(LOOP_CLR_FD); linux/raid/md_u.h (STOP_ARRAY). Numbers and offsets were computed from those headers.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.devices.stack import Stacked
from agent.devices.topology import text
from certificate.statements.vocabulary import StackedKind

#: umount2(2): a link at the end of the path is not followed.
UMOUNT_NOFOLLOW = 8
LOOP_CLR_FD = 0x4C01
STOP_ARRAY = 0x0932
DM_DEV_REMOVE = 0xC138FD04
#: struct dm_ioctl: version[3], data_size, data_start, target_count, open_count, flags, event_nr, padding,
#: dev, name[128], uuid[129], data[7]. A device is named by name, by uuid, or, both being empty, by `dev`.
DM_IOCTL: Final = struct.Struct("<3IIIIiIIIQ128s129s7s")
#: Major 4 is the interface since 2001; a lower minor than the kernel's is always answered.
DM_VERSION = (4, 0, 0)
DM_CONTROL = "mapper/control"
#: Kinds that device-mapper keeps.
MAPPED: Final = frozenset({StackedKind.CRYPT, StackedKind.LVM, StackedKind.MAPPER})

OpenPath = Callable[[Path, int], int]
#: (descriptor, request, buffer or 0); raises OSError.
Ioctl = Callable[[int, int, bytearray | int], object]
#: A call of the C library: (name, path, flags); swapoff takes no flags. Raises OSError.
PathCall = Callable[[str, str, int | None], None]


def kernel_ioctl(descriptor: int, request: int, argument: bytearray | int) -> object:
    """The real ioctl; a buffer is changed in place."""
    return fcntl.ioctl(descriptor, request, argument)


def library_call(name: str, path: str, flags: int | None) -> None:
    """umount2 or swapoff through the C library, which Python has no function for."""
    library = ctypes.CDLL(None, use_errno=True)
    arguments: list[object] = [os.fsencode(path)]
    if flags is not None:
        arguments.append(ctypes.c_int(flags))
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


class Mapper:
    """One kernel. `let_go` asks it once."""

    def __init__(
        self,
        *,
        sys_root: Path = Path("/sys"),
        dev_root: Path = Path("/dev"),
        open_path: OpenPath = os.open,
        ioctl: Ioctl = kernel_ioctl,
        path_call: PathCall = library_call,
    ) -> None:
        self._sys_root = sys_root
        self._dev_root = dev_root
        self._open_path = open_path
        self._ioctl = ioctl
        self._path_call = path_call

    def let_go(self, each: Stacked) -> None:
        """Raises OSError where the kernel refuses. A partition and an unknown holder have no such call."""
        if each.kind is StackedKind.MOUNT:
            self._path_call("umount2", each.path, UMOUNT_NOFOLLOW)
        elif each.kind is StackedKind.SWAP:
            self._path_call("swapoff", each.path, None)
        elif each.kind is StackedKind.LOOP:
            self._ask(each.path, LOOP_CLR_FD, 0)
        elif each.kind is StackedKind.RAID:
            self._ask(each.path, STOP_ARRAY, 0)
        elif each.kind in MAPPED:
            self._ask(DM_CONTROL, DM_DEV_REMOVE, self._removal(each.path), flags=os.O_RDWR)
        else:
            raise OSError(f"nothing lets go of {each.kind.value} {each.name}")

    def _ask(self, node: str, request: int, argument: bytearray | int, *, flags: int = os.O_RDONLY) -> None:
        # Only for reading: a device that is itself read-only cannot be opened otherwise.
        path = self._dev_root / node.replace("!", "/")
        descriptor = self._open_path(path, flags | os.O_CLOEXEC)
        try:
            self._ioctl(descriptor, request, argument)
        finally:
            os.close(descriptor)

    def _removal(self, node: str) -> bytearray:
        """The device by its number: a name could be another device's by now, a number of one that is open
        cannot.
        """
        major, _, minor = text(self._sys_root / "block" / node / "dev").partition(":")
        if not (major.isdecimal() and minor.isdecimal()):
            raise OSError(f"{node} has no number")
        size = DM_IOCTL.size
        return bytearray(
            DM_IOCTL.pack(
                *DM_VERSION, size, size, 0, 0, 0, 0, 0, os.makedev(int(major), int(minor)), b"", b"", b""
            )
        )


def own_paths(proc_root: Path = Path("/proc")) -> tuple[str, ...]:
    """Every path this process runs from: its program and modules, what is mapped into it, where it stands,
    what it has open. What cannot be read is left out; a mount in use does not let go anyway.
    """
    links = [proc_root / "self" / name for name in ("exe", "cwd", "root")]
    try:
        links += sorted((proc_root / "self/fd").iterdir())
        lines = (proc_root / "self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        lines = []
    found = {sys.prefix, sys.base_prefix, str(Path(__file__).resolve())}
    found |= {parts[5] for line in lines if len(parts := line.split(None, 5)) == 6}
    for link in links:
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return tuple(sorted(path for path in found if path.startswith("/")))
