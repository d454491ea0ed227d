"""Logical blocks of one drive's namespaces: what markers are written to and read from.

Rules: a drive is claimed before anything is written, and stays claimed until the read-back is over (closing a
namespace makes udev read it again, and during a sanitize that floods the log with errors; erasure.md, 2.4);
reads and writes go past the operating system's cache, or a read-back would show what we wrote and not what
the drive holds (nvme-cli#1320, MAAS LP#1900623). Part of a read or write is an error. Errors are OSError.
Nothing is decided here.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from certificate.statements.statement import Seen

#: linux/fs.h, _IO(0x12, 97): throw the cached pages of a block device away.
BLKFLSBUF = 0x1261
#: O_DIRECT wants memory, offset and length in multiples of the logical block; a page covers 512 and 4096.
ALIGNMENT_BYTES = 4096


OpenPath = Callable[[Path, int], int]
Ioctl = Callable[[int, int, int], object]


class BlockIo(Protocol):
    """Logical reading and writing of one drive. Offsets count from the start of the namespace, in bytes."""

    def open_exclusively(self) -> Seen:
        """Claims every namespace of the drive: `no` when something else holds one, `not_observed` when that
        could not be found out. Claiming twice is harmless.
        """
        ...

    def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly that many bytes from the drive itself. Raises OSError."""
        ...

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        """Writes all of `data`. Raises OSError."""
        ...

    def read_into(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        """As `read`, into the caller's buffer: page-aligned memory (an anonymous mapping), whole blocks.
        Several threads may call it at once, each with a buffer of its own.
        """
        ...

    def write_from(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        """As `write`, from the caller's buffer; as `read_into`."""
        ...

    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        """As `read`, also where the drive is not claimed: for an inventory. Raises OSError."""
        ...

    def flush(self) -> None:
        """What was written is on the drive and nothing is remembered in front of it. Raises OSError."""
        ...

    def close(self) -> None:
        """Lets the drive go. Harmless when it is not claimed."""
        ...


class KernelBlockIo:
    """Namespaces as the Linux kernel's block devices, O_EXCL (nobody else holds it) and O_DIRECT (no cache).

    Takes the device node of each namespace by nsid; the inventory found them through the controller's own
    topology, never by name. Several threads may read and write at once. A descriptor that a thread still uses
    when the drive is let go is closed by that thread: closed under it, its number could become another file,
    and the thread would write noise into that.
    """

    def __init__(
        self, nodes: Mapping[int, Path], *, open_path: OpenPath = os.open, ioctl: Ioctl = fcntl.ioctl
    ) -> None:
        self._nodes = dict(nodes)
        self._open_path = open_path
        self._ioctl = ioctl
        self._descriptors: dict[int, int] = {}
        self._lock = threading.Lock()
        #: How many threads use each descriptor just now.
        self._uses: Counter[int] = Counter()

    def open_exclusively(self) -> Seen:
        if not self._nodes:
            return Seen.NOT_OBSERVED
        for nsid, node in self._nodes.items():
            if nsid in self._descriptors:
                continue
            try:
                flags = os.O_RDWR | os.O_EXCL | os.O_DIRECT | os.O_CLOEXEC
                self._descriptors[nsid] = self._open_path(node, flags)
            except OSError as error:
                self.close()
                return Seen.NO if error.errno == errno.EBUSY else Seen.NOT_OBSERVED
        return Seen.YES

    def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        with self._using(nsid) as descriptor:
            return _read(descriptor, offset_bytes, length_bytes)

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        with self._using(nsid) as descriptor:
            _write(descriptor, offset_bytes, data)

    def read_into(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        with self._using(nsid) as descriptor:
            got = os.preadv(descriptor, [buffer], offset_bytes)
        if got != len(buffer):
            raise OSError(errno.EIO, f"{got} of {len(buffer)} bytes read")

    def write_from(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        with self._using(nsid) as descriptor:
            put = os.pwritev(descriptor, [buffer], offset_bytes)
        if put != len(buffer):
            raise OSError(errno.EIO, f"{put} of {len(buffer)} bytes written")

    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        if nsid in self._descriptors:
            return self.read(nsid, offset_bytes, length_bytes)
        if nsid not in self._nodes:
            raise OSError(errno.ENXIO, f"there is no namespace {nsid}")
        flags = os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC
        descriptor = self._open_path(self._nodes[nsid], flags)
        try:
            return _read(descriptor, offset_bytes, length_bytes)
        finally:
            os.close(descriptor)

    def flush(self) -> None:
        if not self._descriptors:
            raise OSError(errno.EBADF, "nothing is open that could be flushed")
        for nsid in tuple(self._descriptors):
            with self._using(nsid) as descriptor:
                os.fsync(descriptor)
                self._ioctl(descriptor, BLKFLSBUF, 0)

    def close(self) -> None:
        with self._lock:
            unused = [each for each in self._descriptors.values() if not self._uses[each]]
            self._descriptors.clear()
        for descriptor in unused:
            os.close(descriptor)

    @contextmanager
    def _using(self, nsid: int) -> Iterator[int]:
        with self._lock:
            if nsid not in self._descriptors:
                raise OSError(errno.EBADF, f"namespace {nsid} is not open")
            descriptor = self._descriptors[nsid]
            self._uses[descriptor] += 1
        try:
            yield descriptor
        finally:
            with self._lock:
                self._uses[descriptor] -= 1
                is_let_go = not self._uses[descriptor] and descriptor not in self._descriptors.values()
            if is_let_go:
                os.close(descriptor)


def _read(descriptor: int, offset_bytes: int, length_bytes: int) -> bytes:
    # Never closed by hand: an error's traceback may still hold a view of it, and BufferError would hide it.
    buffer = mmap.mmap(-1, _aligned(length_bytes))
    got = os.preadv(descriptor, [memoryview(buffer)[:length_bytes]], offset_bytes)
    if got != length_bytes:
        raise OSError(errno.EIO, f"{got} of {length_bytes} bytes read")
    return buffer[:length_bytes]


def _write(descriptor: int, offset_bytes: int, data: bytes) -> None:
    buffer = mmap.mmap(-1, _aligned(len(data)))
    buffer[: len(data)] = data
    put = os.pwritev(descriptor, [memoryview(buffer)[: len(data)]], offset_bytes)
    if put != len(data):
        raise OSError(errno.EIO, f"{put} of {len(data)} bytes written")


def _aligned(length_bytes: int) -> int:
    return -(-length_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
