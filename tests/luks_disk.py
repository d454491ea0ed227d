"""A disk in memory for LUKS layers: it fails where it is told to, and bears partition tables."""

from __future__ import annotations

import errno
import random
import struct
import zlib
from collections.abc import Callable

from agent.techniques import luks
from agent.techniques.luks import FoundLayer
from certificate.messages import NamespaceReport
from certificate.statements.statement import Seen

MIB = 1 << 20
SIZE = 40 * MIB


class MemoryDisk:
    """One namespace or several in memory. `unreadable` and `unwritable`: byte places whose block fails;
    `lost`: a write that touches such a place is acknowledged and not done there.
    """

    def __init__(self, *sizes: int, block_bytes: int = 512) -> None:
        self.images = {nsid: bytearray(size) for nsid, size in enumerate(sizes or (SIZE,), start=1)}
        self.block_bytes = block_bytes
        self.unreadable: set[tuple[int, int]] = set()
        self.unwritable: set[tuple[int, int]] = set()
        self.lost: set[tuple[int, int]] = set()
        self.write_sizes: list[int] = []
        self.flush_count = 0
        self.is_dead = False

    @property
    def image(self) -> bytearray:
        return self.images[1]

    @property
    def layout(self) -> tuple[NamespaceReport, ...]:
        return tuple(
            NamespaceReport(
                nsid=nsid,
                capacity_bytes=len(image),
                logical_block_bytes=self.block_bytes,
                is_attached=True,
            )
            for nsid, image in self.images.items()
        )

    def open_exclusively(self) -> Seen:
        return Seen.YES

    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        return self.read(nsid, offset_bytes, length_bytes)

    def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        self._check(nsid, offset_bytes, length_bytes, self.unreadable)
        return bytes(self.images[nsid][offset_bytes : offset_bytes + length_bytes])

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        self._check(nsid, offset_bytes, len(data), self.unwritable)
        self.write_sizes.append(len(data))
        kept = {
            place: bytes(self.images[nsid][place : place + 512])
            for number, place in self.lost
            if number == nsid and offset_bytes <= place < offset_bytes + len(data)
        }
        self.images[nsid][offset_bytes : offset_bytes + len(data)] = data
        for place, old in kept.items():
            self.images[nsid][place : place + 512] = old

    def read_into(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        buffer[:] = self.read(nsid, offset_bytes, len(buffer))

    def write_from(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        self.write(nsid, offset_bytes, bytes(buffer))

    def flush(self) -> None:
        self.flush_count += 1

    def close(self) -> None:
        pass

    def _check(self, nsid: int, offset_bytes: int, length_bytes: int, bad: set[tuple[int, int]]) -> None:
        """As O_DIRECT: whole blocks inside the namespace or nothing."""
        if self.is_dead:
            raise OSError(errno.EIO, "dead")
        if offset_bytes % self.block_bytes or length_bytes % self.block_bytes or length_bytes <= 0:
            raise OSError(errno.EINVAL, f"{length_bytes} bytes at {offset_bytes} are no blocks")
        if nsid not in self.images or offset_bytes + length_bytes > len(self.images[nsid]):
            raise OSError(errno.EINVAL, "beyond the end")
        if any(
            number == nsid and offset_bytes <= place < offset_bytes + length_bytes for number, place in bad
        ):
            raise OSError(errno.EIO, "medium error")


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def find_one(disk: MemoryDisk) -> FoundLayer:
    (layer,) = luks.find(disk, disk.layout)
    return layer


def write_gpt(image: bytearray, starts: list[int], *, block_bytes: int, is_primary_broken: bool) -> None:
    """Both copies of a table with these partitions, each of one block."""
    entries = b"".join(
        b"\x11" * 16
        + bytes([number]) * 16
        + struct.pack("<QQQ72x", start // block_bytes, start // block_bytes, 0)
        for number, start in enumerate(starts)
    ).ljust(128 * 128, b"\0")
    last = len(image) // block_bytes - 1
    blocks = len(entries) // block_bytes
    for own, other, table in ((1, last, 2), (last, 1, last - blocks)):
        head = struct.pack(
            "<8s4sIIIQQQQ16sQIII", b"EFI PART", b"\0\0\1\0", 92, 0, 0, own, other, 2 + blocks,
            last - blocks - 1, b"\x22" * 16, table, 128, 128, zlib.crc32(entries),
        )  # fmt: skip
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        image[own * block_bytes : own * block_bytes + 92] = head
        image[table * block_bytes : table * block_bytes + len(entries)] = entries
    if is_primary_broken:
        image[block_bytes : block_bytes + 8] = bytes(8)


def write_mbr(image: bytearray, at: int, entries: list[tuple[int, int]]) -> None:
    """Entries of (type, first sector)."""
    for index, (kind, first) in enumerate(entries):
        place = at + 446 + 16 * index
        image[place : place + 16] = struct.pack("<4xB3xII", kind, first, 2048)
    image[at + 510 : at + 512] = b"\x55\xaa"
