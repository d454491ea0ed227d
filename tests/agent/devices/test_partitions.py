"""Tables written here byte by byte; tests/system/test_teardown.py reads what sfdisk wrote."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices import partitions

BLOCKS = 4096


class Disk:
    """Bytes in memory that complain about reads outside or amid blocks."""

    def __init__(self, block_bytes: int = 512, blocks: int = BLOCKS) -> None:
        self.block_bytes = block_bytes
        self.data = bytearray(block_bytes * blocks)
        self.reads: list[tuple[int, int]] = []

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        assert offset_bytes >= 0
        assert length_bytes > 0
        assert offset_bytes + length_bytes <= len(self.data)
        assert offset_bytes % self.block_bytes == 0
        assert length_bytes % self.block_bytes == 0
        self.reads.append((offset_bytes, length_bytes))
        return bytes(self.data[offset_bytes : offset_bytes + length_bytes])

    def put(self, lba: int, data: bytes) -> None:
        self.data[lba * self.block_bytes : lba * self.block_bytes + len(data)] = data

    def starts(self) -> list[int]:
        """In blocks of this disk; what another block size gives beside them is left out."""
        found = partitions.starts(self.read, capacity_bytes=len(self.data), block_bytes=self.block_bytes)
        assert list(found) == sorted(set(found))
        assert all(0 <= start < len(self.data) for start in found)
        return [start // self.block_bytes for start in found]


def gpt(
    disk: Disk,
    parts: list[tuple[int, int]],
    *,
    lba: int = 1,
    entries_lba: int = 2,
    entry_bytes: int = 128,
    count: int = 128,
    header_bytes: int = 92,
    own_lba: int | None = None,
) -> None:
    table = bytearray(entry_bytes * count)
    for index, (first, last) in enumerate(parts):
        entry = b"\xaf" * 16 + b"\x01" * 16 + struct.pack("<QQQ", first, last, 0) + bytes(72)
        table[index * entry_bytes : index * entry_bytes + 128] = entry
    header = bytearray(header_bytes)
    header[0:8] = b"EFI PART"
    struct.pack_into("<II", header, 8, 0x10000, header_bytes)
    struct.pack_into("<QQQQ", header, 24, lba if own_lba is None else own_lba, 0, 34, BLOCKS - 34)
    struct.pack_into("<QIII", header, 72, entries_lba, count, entry_bytes, zlib.crc32(table))
    struct.pack_into("<I", header, 16, zlib.crc32(header))
    disk.put(lba, bytes(header))
    disk.put(entries_lba, bytes(table))


def mbr(disk: Disk, entries: list[tuple[int, int, int]], *, lba: int = 0) -> None:
    """Entries: type, first LBA, length."""
    sector = bytearray(512)
    for index, (kind, first, length) in enumerate(entries):
        struct.pack_into("<B3xB3xII", sector, 446 + 16 * index, 0, kind, first, length)
    sector[510:] = b"\x55\xaa"
    disk.put(lba, bytes(sector))


# --- GPT ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block_bytes", [512, 4096])
def test_partitions_of_a_gpt_are_told_in_order(block_bytes: int) -> None:
    disk = Disk(block_bytes)
    gpt(disk, [(2048, 3000), (100, 200)])
    assert disk.starts() == [100, 2048]


def test_the_backup_is_read_where_the_first_copy_is_gone_or_overwritten() -> None:
    disk = Disk()
    gpt(disk, [(100, 200)], lba=BLOCKS - 1, entries_lba=BLOCKS - 33)
    assert disk.starts() == [100]


def test_partitions_of_both_copies_count() -> None:
    disk = Disk()
    gpt(disk, [(100, 200)])
    gpt(disk, [(300, 400)], lba=BLOCKS - 1, entries_lba=BLOCKS - 33)
    assert disk.starts() == [100, 300]


def test_a_table_made_on_other_blocks_than_the_drives_is_read() -> None:
    disk = Disk(512, blocks=8 * BLOCKS)
    other = Disk(4096)
    gpt(other, [(40, 50)])
    disk.data[:] = other.data
    assert disk.starts() == [40 * 8]


def test_a_header_or_a_table_that_was_changed_is_no_table() -> None:
    for offset in (16, 72, 80, 512 * 2, 512 * 2 + 40):
        disk = Disk()
        gpt(disk, [(100, 200)])
        disk.data[512 + offset if offset < 512 else offset] ^= 1
        assert disk.starts() == []


def test_a_header_that_lies_elsewhere_than_it_says_is_no_table() -> None:
    disk = Disk()
    gpt(disk, [(100, 200)], own_lba=7)
    assert disk.starts() == []


@pytest.mark.parametrize(
    ("first", "last"), [(BLOCKS, BLOCKS + 1), (200, 100), (2**63, 2**63), (2**64 - 1, 2**64 - 1)]
)
def test_a_partition_outside_the_disk_or_turned_around_is_none(first: int, last: int) -> None:
    disk = Disk()
    gpt(disk, [(first, last), (100, 200)])
    assert disk.starts() == [100]


@pytest.mark.parametrize("entry_bytes", [128, 256])
def test_larger_entries_are_read_and_no_more_than_128_are_told(entry_bytes: int) -> None:
    disk = Disk()
    gpt(disk, [(1000 + n, 1000 + n) for n in range(200)], entry_bytes=entry_bytes, count=200)
    assert disk.starts() == list(range(1000, 1128))


@pytest.mark.parametrize(
    ("count", "entry_bytes", "header_bytes"),
    [(0, 128, 92), (128, 64, 92), (1, 0, 92), (8192, 128, 512)],
)
def test_sizes_that_no_table_has_are_none(count: int, entry_bytes: int, header_bytes: int) -> None:
    disk = Disk()
    gpt(disk, [], count=max(1, count), entry_bytes=max(128, entry_bytes), header_bytes=header_bytes)
    struct.pack_into("<II", disk.data, 512 + 80, count, entry_bytes)
    struct.pack_into("<I", disk.data, 512 + 16, 0)
    struct.pack_into("<I", disk.data, 512 + 16, zlib.crc32(disk.data[512 : 512 + header_bytes]))
    disk.reads.clear()
    assert disk.starts() == []


def test_a_table_that_claims_gigabytes_is_not_read() -> None:
    disk = Disk()
    gpt(disk, [(100, 200)])
    struct.pack_into("<II", disk.data, 512 + 80, 2**31, 128)
    struct.pack_into("<I", disk.data, 512 + 16, 0)
    struct.pack_into("<I", disk.data, 512 + 16, zlib.crc32(disk.data[512 : 512 + 92]))
    assert disk.starts() == []
    assert max(length for _, length in disk.reads) <= 4096


@pytest.mark.parametrize("header_bytes", [0, 91, 513, 2**32 - 1])
def test_a_header_of_a_size_that_none_has_is_no_table(header_bytes: int) -> None:
    disk = Disk()
    gpt(disk, [(100, 200)])
    struct.pack_into("<I", disk.data, 512 + 12, header_bytes)
    struct.pack_into("<I", disk.data, 512 + 16, 0)
    struct.pack_into("<I", disk.data, 512 + 16, zlib.crc32(disk.data[512 : 512 + min(header_bytes, 512)]))
    assert disk.starts() == []


# --- MBR ----------------------------------------------------------------------------------------------------


def test_primary_partitions_are_told() -> None:
    disk = Disk(4096)
    mbr(disk, [(0x83, 100, 50), (0x07, 200, 50), (0, 300, 50), (0x83, 400, 0)])
    assert [start for start in disk.starts() if start >= 100] == [100, 200]


def test_a_protective_mbr_is_no_partition() -> None:
    disk = Disk()
    mbr(disk, [(0xEE, 1, 2**32 - 1)])
    assert disk.starts() == []


@pytest.mark.parametrize("extended", [0x05, 0x0F, 0x85])
def test_logical_partitions_are_counted_from_their_link_and_links_from_the_extended_one(
    extended: int,
) -> None:
    disk = Disk(4096)
    mbr(disk, [(0x83, 100, 50), (extended, 1000, 2000)])
    mbr(disk, [(0x83, 10, 50), (extended, 500, 100)], lba=1000)
    mbr(disk, [(0x83, 20, 50)], lba=1500)
    assert {100, 1000, 1010, 1520} <= set(disk.starts())


def test_a_chain_that_turns_back_on_itself_ends() -> None:
    disk = Disk(4096)
    mbr(disk, [(0x05, 1000, 2000)])
    mbr(disk, [(0x83, 10, 50), (0x05, 500, 100)], lba=1000)
    mbr(disk, [(0x83, 20, 50), (0x05, 500, 100)], lba=1500)
    assert [start for start in disk.starts() if start >= 1000] == [1000, 1010, 1520]


def test_a_chain_of_thousands_is_followed_64_links_far() -> None:
    disk = Disk(4096)
    mbr(disk, [(0x05, 1000, 3000)])
    for link in range(200):
        mbr(disk, [(0x83, 1, 1), (0x05, (link + 1) * 2, 2)], lba=1000 + 2 * link)
    logical = [start for start in disk.starts() if start > 1000]
    assert logical == [1001 + 2 * link for link in range(64)]


def test_a_link_or_a_partition_outside_the_disk_is_none() -> None:
    disk = Disk(4096)
    mbr(disk, [(0x83, 2**32 - 1, 1), (0x05, 1000, 10)])
    mbr(disk, [(0x83, 2**32 - 1, 1), (0x05, 2**32 - 1, 1)], lba=1000)
    assert [start for start in disk.starts() if start >= 1000] == [1000]


def test_both_kinds_of_table_are_looked_at() -> None:
    disk = Disk()
    mbr(disk, [(0x83, 3000, 10)])
    gpt(disk, [(100, 200)])
    assert disk.starts() == [100, 3000]


# --- whatever lies there ------------------------------------------------------------------------------------


def test_an_empty_disk_has_none() -> None:
    assert Disk().starts() == []


@pytest.mark.parametrize("blocks", [1, 2, 3, 7])
def test_a_disk_too_small_for_a_table_has_none(blocks: int) -> None:
    assert Disk(blocks=blocks).starts() == []


def test_a_capacity_that_ends_amid_a_block_is_not_read_past() -> None:
    data = bytes(512 * 9 + 100)

    def read(offset_bytes: int, length_bytes: int) -> bytes:
        assert offset_bytes + length_bytes <= len(data)
        return data[offset_bytes : offset_bytes + length_bytes]

    assert partitions.starts(read, capacity_bytes=len(data), block_bytes=512) == ()


def test_what_cannot_be_read_is_the_callers_to_know() -> None:
    def read(offset_bytes: int, length_bytes: int) -> bytes:
        raise OSError("input/output error")

    with pytest.raises(OSError, match="input/output"):
        partitions.starts(read, capacity_bytes=1 << 20, block_bytes=512)


numbers = st.one_of(st.integers(0, 64), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**31, 2**32 - 1]))


@given(
    st.lists(st.tuples(st.integers(0, 4090), st.binary(min_size=1, max_size=80)), max_size=12),
    st.lists(st.tuples(st.integers(0, 255), numbers, numbers), max_size=4),
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=4),
    st.sampled_from([512, 4096]),
)
def test_no_table_makes_the_reader_raise_leave_the_disk_or_work_for_long(
    noise: list[tuple[int, bytes]],
    entries: list[tuple[int, int, int]],
    parts: list[tuple[int, int]],
    block_bytes: int,
) -> None:
    disk = Disk(block_bytes, blocks=512)
    gpt(disk, parts)
    mbr(disk, entries)
    for _, first, _ in entries:
        if first < 512:
            mbr(disk, entries, lba=first)
    for offset, data in noise:
        disk.data[offset : offset + len(data)] = data
    assert len(disk.starts()) <= 2 * (2 * 128 + 4 * (1 + 4 * 64))
    assert len(disk.reads) <= 2 * (4 + 1 + 4 * 64)
