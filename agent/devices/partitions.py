"""Where the partitions of a disk begin: GPT and MBR read as bytes through declared fields.

Rules: both copies of a GPT are read, the one at the start and the one at the end, and each counts only when
its checksums hold; an MBR is read whether or not a GPT is there, because a search loses nothing by looking in
one place too many; nothing outside the disk is read or named; a table's own numbers bound nothing here (128
partitions of a GPT and 64 logical ones are the most that are told). A table that does not hold is no table:
its starts are simply not known from it.

Only the starts are told. Whether something lies there is the caller's search. Errors of reading are the
caller's `read`'s own.
Sources: UEFI 2.10, 5.3 (GPT: header 5.3.2, entry 5.3.3); the MBR is no standard: its entries are as UEFI
2.10, 5.2.1 gives them, and the chain of logical partitions as Linux reads it (block/partitions/msdos.c). From
memory, the texts were not at hand; a system test reads what sfdisk wrote.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agent.devices.fields import Field, little_endian, raw_bytes, read_fields

#: (offset_bytes, length_bytes) -> exactly those bytes; raises OSError.
Read = Callable[[int, int], bytes]

GPT_SIGNATURE = b"EFI PART"
#: UEFI 2.10, 5.3.2: HeaderSize is at least 92 and at most one logical block.
GPT_HEADER_BYTES = 92
#: UEFI 2.10, 5.3.3: SizeOfPartitionEntry is 128 times a power of two; what we read of one is in its first.
GPT_ENTRY_BYTES = 128
#: What every partitioning program makes room for.
MAX_GPT_PARTITIONS = 128
#: Such a table has 16 KiB; one that claims to be gigabytes is an attack on whoever sums it up.
MAX_GPT_TABLE_BYTES = 1 << 20
#: Linux names at most 256 partitions of a disk; a chain that turns back on itself never ends.
MAX_LOGICAL = 64
#: A disk made on 512-byte blocks may be looked at through 4096-byte ones and the other way round.
BLOCK_SIZES: Final = (512, 4096)
MBR_BYTES = 512
MBR_SIGNATURE = b"\x55\xaa"
MBR_ENTRY_BYTES = 16
MBR_FIRST_ENTRY = 446
#: Types of a partition that holds a chain of others (extended; with LBA addressing; Linux's own).
EXTENDED_TYPES: Final = frozenset({0x05, 0x0F, 0x85})
#: UEFI 2.10, 5.2.3: the protective MBR's only entry covers the GPT itself and is no partition.
PROTECTIVE_TYPE = 0xEE

GPT_HEADER: Final = (  # offset, width, name, reader, field
    Field(0, 8, "signature", raw_bytes, "Signature"),
    Field(12, 4, "header_bytes", little_endian, "HeaderSize"),
    Field(16, 4, "header_checksum", little_endian, "HeaderCRC32"),
    Field(24, 8, "own_lba", little_endian, "MyLBA"),
    Field(72, 8, "entries_lba", little_endian, "PartitionEntryLBA"),
    Field(80, 4, "entry_count", little_endian, "NumberOfPartitionEntries"),
    Field(84, 4, "entry_bytes", little_endian, "SizeOfPartitionEntry"),
    Field(88, 4, "entries_checksum", little_endian, "PartitionEntryArrayCRC32"),
)
GPT_ENTRY: Final = (
    Field(0, 16, "type_guid", raw_bytes, "PartitionTypeGUID"),
    Field(32, 8, "first_lba", little_endian, "StartingLBA"),
    Field(40, 8, "last_lba", little_endian, "EndingLBA"),
)
MBR_ENTRY: Final = (
    Field(4, 1, "type", little_endian, "OSType"),
    Field(8, 4, "first_lba", little_endian, "StartingLBA"),
    Field(12, 4, "length_lba", little_endian, "SizeInLBA"),
)


@dataclass(frozen=True, kw_only=True)
class _Disk:
    """One view of a disk: its bytes, its length and the block size in which a table counts."""

    read: Read
    capacity_bytes: int
    block_bytes: int

    def holds(self, offset_bytes: int, length_bytes: int) -> bool:
        return offset_bytes >= 0 and offset_bytes + length_bytes <= self.capacity_bytes


def starts(read: Read, *, capacity_bytes: int, block_bytes: int) -> tuple[int, ...]:
    """Byte offsets at which partitions of the disk start, ascending, each once; empty where no table holds.

    `read` is asked for whole blocks within the disk only. Raises what `read` raises.
    """
    found: set[int] = set()
    for size in dict.fromkeys((block_bytes, *BLOCK_SIZES)):
        disk = _Disk(
            read=_aligned(read, capacity_bytes, block_bytes), capacity_bytes=capacity_bytes, block_bytes=size
        )
        found.update(_gpt(disk))
        found.update(_mbr(disk))
    return tuple(sorted(found))


def _aligned(read: Read, capacity_bytes: int, block_bytes: int) -> Read:
    """`read` in whole blocks of the drive, whatever is asked of it; only the end of the drive cuts one."""

    def aligned(offset_bytes: int, length_bytes: int) -> bytes:
        first = offset_bytes // block_bytes * block_bytes
        end = min(-(-(offset_bytes + length_bytes) // block_bytes) * block_bytes, capacity_bytes)
        inside = offset_bytes - first
        return read(first, end - first)[inside : inside + length_bytes]

    return aligned


def _gpt(disk: _Disk) -> Iterator[int]:
    """Both copies: the backup stands in the disk's last block (5.3.2)."""
    last_block = disk.capacity_bytes // disk.block_bytes - 1
    for lba in (1, last_block):
        if lba >= 1 and disk.holds(lba * disk.block_bytes, disk.block_bytes):
            yield from _gpt_copy(disk, lba)


def _gpt_copy(disk: _Disk, lba: int) -> Iterator[int]:
    block = disk.read(lba * disk.block_bytes, disk.block_bytes)
    header = read_fields(
        GPT_HEADER, block[:GPT_HEADER_BYTES], length_bytes=GPT_HEADER_BYTES, what="GPT header"
    )
    if header["signature"] != GPT_SIGNATURE or header["own_lba"] != lba:
        return
    size = header["header_bytes"]
    if not GPT_HEADER_BYTES <= size <= disk.block_bytes:
        return
    # The checksum counts its own field as zero (5.3.2, HeaderCRC32).
    if zlib.crc32(block[:16] + bytes(4) + block[20:size]) != header["header_checksum"]:
        return
    entry_bytes, count = header["entry_bytes"], header["entry_count"]
    offset_bytes, length_bytes = header["entries_lba"] * disk.block_bytes, entry_bytes * count
    if entry_bytes < GPT_ENTRY_BYTES or not 0 < length_bytes <= MAX_GPT_TABLE_BYTES:
        return
    if not disk.holds(offset_bytes, length_bytes):
        return
    table = disk.read(offset_bytes, length_bytes)
    if zlib.crc32(table) == header["entries_checksum"]:
        yield from islice(_gpt_entries(disk, table, entry_bytes), MAX_GPT_PARTITIONS)


def _gpt_entries(disk: _Disk, table: bytes, entry_bytes: int) -> Iterator[int]:
    for position in range(0, len(table), entry_bytes):
        entry = read_fields(
            GPT_ENTRY,
            table[position : position + GPT_ENTRY_BYTES],
            length_bytes=GPT_ENTRY_BYTES,
            what="GPT entry",
        )
        start = entry["first_lba"] * disk.block_bytes
        is_used = entry["type_guid"] != bytes(16)
        if is_used and entry["first_lba"] <= entry["last_lba"] and disk.holds(start, disk.block_bytes):
            yield start


def _mbr(disk: _Disk) -> Iterator[int]:
    for kind, first_lba in _mbr_entries(disk, 0):
        if disk.holds(first_lba * disk.block_bytes, disk.block_bytes):
            yield first_lba * disk.block_bytes
            if kind in EXTENDED_TYPES:
                yield from _logical(disk, first_lba)


def _logical(disk: _Disk, extended_lba: int) -> Iterator[int]:
    """A chain: each link is a small MBR that names a partition, counted from itself, and the next link,
    counted from the extended partition's start.
    """
    link: int | None = extended_lba
    seen: set[int] = set()
    while link is not None and link not in seen and len(seen) < MAX_LOGICAL:
        seen.add(link)
        following: int | None = None
        for kind, first_lba in _mbr_entries(disk, link):
            if kind in EXTENDED_TYPES:
                following = extended_lba + first_lba
            elif disk.holds((link + first_lba) * disk.block_bytes, disk.block_bytes):
                yield (link + first_lba) * disk.block_bytes
        link = following


def _mbr_entries(disk: _Disk, lba: int) -> Iterator[tuple[int, int]]:
    """Type and first LBA of each used entry of the MBR at `lba`; none where there is no MBR."""
    offset_bytes = lba * disk.block_bytes
    if not disk.holds(offset_bytes, MBR_BYTES):
        return
    sector = disk.read(offset_bytes, MBR_BYTES)
    if sector[-2:] != MBR_SIGNATURE:
        return
    for index in range(4):
        position = MBR_FIRST_ENTRY + index * MBR_ENTRY_BYTES
        entry = read_fields(
            MBR_ENTRY,
            sector[position : position + MBR_ENTRY_BYTES],
            length_bytes=MBR_ENTRY_BYTES,
            what="MBR entry",
        )
        is_used = entry["type"] not in (0, PROTECTIVE_TYPE)
        if is_used and entry["first_lba"] and entry["length_lba"]:
            yield entry["type"], entry["first_lba"]
