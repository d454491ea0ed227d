"""A plain drive in memory, with the faults that an overwrite and a read-back must find out or say.

A fault is set on the drive and not on the technique: what it did is read from `stored`, past every lie.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.devices.drive import WHOLE, DriveIdentity
from certificate.statements import Seen
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

#: What stood on the drive before.
SECRET = b"a tenant's secret, planted before the overwrite;"


def planted(length_bytes: int) -> bytearray:
    return bytearray((SECRET * (length_bytes // len(SECRET) + 1))[:length_bytes])


def nowhere(nsid: int, offset_bytes: int, length_bytes: int) -> bool:
    return False


Where = Callable[[int, int, int], bool]


@dataclass
class MemoryBlockIo:
    """Blocks in memory. Each `Where` says of (nsid, offset, length) whether the fault is there."""

    stored: dict[int, bytearray]
    fails_to_write: Where = nowhere
    fails_to_read: Where = nowhere
    #: Says that it wrote, and did not.
    drops: Where = nowhere
    #: Reads as it was before the first write.
    is_stale: Where = nowhere
    #: Says that it read, and moved nothing.
    brings_nothing: Where = nowhere
    #: Hangs there until `may_go_on`.
    hangs: Where = nowhere
    may_go_on: threading.Event = field(default_factory=threading.Event)
    #: After that many writes the drive answers nothing any more.
    dies_after: int | None = None
    fails_to_flush: bool = False
    written: list[tuple[int, int, int]] = field(default_factory=list)
    read_from: list[tuple[int, int, int]] = field(default_factory=list)
    flushed_after: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.before = {nsid: bytes(data) for nsid, data in self.stored.items()}

    @property
    def is_dead(self) -> bool:
        return self.dies_after is not None and len(self.written) >= self.dies_after

    def open_exclusively(self) -> Seen:
        return Seen.YES

    def write_from(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        place = (nsid, offset_bytes, len(buffer))
        if self.hangs(*place):
            self.may_go_on.wait(20)
        with self.lock:
            self.threads.add(threading.current_thread().name)
            if self.is_dead or self.fails_to_write(*place):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.written.append(place)
            end = offset_bytes + len(buffer)
            if offset_bytes % 512 or len(buffer) % 512 or end > len(self.stored[nsid]):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            if not self.drops(*place):
                self.stored[nsid][offset_bytes:end] = buffer

    def read_into(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        place = (nsid, offset_bytes, len(buffer))
        if self.hangs(*place):
            self.may_go_on.wait(20)
        with self.lock:
            if self.is_dead or self.fails_to_read(*place):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.read_from.append(place)
            if self.brings_nothing(*place):
                return
            source = self.before[nsid] if self.is_stale(*place) else self.stored[nsid]
            buffer[:] = source[offset_bytes : offset_bytes + len(buffer)]

    def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        buffer = bytearray(length_bytes)
        self.read_into(nsid, offset_bytes, memoryview(buffer))
        return bytes(buffer)

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        self.write_from(nsid, offset_bytes, memoryview(data))

    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        return self.read(nsid, offset_bytes, length_bytes)

    def flush(self) -> None:
        with self.lock:
            if self.is_dead or self.fails_to_flush:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.flushed_after.append(len(self.written))

    def close(self) -> None:
        pass


class MemoryDrive:
    """One drive whose namespaces have the given sizes, in order of nsid."""

    name = "memory"
    transport_name = Transport.VIRTIO
    attachment = Attachment.INTERNAL
    device_class = DeviceClass.EMULATED

    def __init__(self, *sizes: int, is_protected: bool = False) -> None:
        self.is_protected = is_protected
        self.blocks = MemoryBlockIo({WHOLE + place: planted(size) for place, size in enumerate(sizes)})

    @property
    def layout(self) -> tuple[tuple[int, int], ...]:
        return tuple((nsid, len(data)) for nsid, data in sorted(self.blocks.stored.items()))

    @property
    def capacity_bytes(self) -> int:
        return sum(size for _, size in self.layout)

    @property
    def stream(self) -> bytes:
        """All that is stored, namespace after namespace."""
        return b"".join(bytes(data) for _, data in sorted(self.blocks.stored.items()))

    def identity(self) -> DriveIdentity:
        return DriveIdentity(serial_number="MEM-1", model_number="memory", capacity_bytes=self.capacity_bytes)

    def is_write_protected(self) -> bool:
        return self.is_protected
