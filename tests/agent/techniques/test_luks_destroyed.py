"""Layers on a drive in memory: destroyed whole, and caught when a piece survives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.techniques import luks
from certificate.statements.statement import Seen
from tests import luks_image
from tests.luks_disk import MIB, MemoryDisk, find_one, seeded, write_gpt


@pytest.mark.parametrize("block_bytes", [512, 4096])
@pytest.mark.parametrize("at", [0, MIB])
@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_a_destroyed_layer_differs_everywhere_and_is_found_no_more(
    kind: str, at: int, block_bytes: int
) -> None:
    disk = MemoryDisk(block_bytes=block_bytes)
    if at:
        write_gpt(disk.image, [at], block_bytes=block_bytes, is_primary_broken=False)
    (luks_image.write_luks1 if kind == "luks1" else luks_image.write_luks2)(disk.image, at=at)
    table = bytes(disk.image[:at])
    layer = find_one(disk)
    remembered = luks.remember(disk, layer)
    assert luks.compare(disk, layer, remembered) is Seen.NO
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.compare(disk, layer, remembered) is Seen.YES
    assert luks.is_found(disk, layer, disk.layout) is Seen.NO
    assert luks.find(disk, disk.layout) == ()
    assert disk.flush_count == 1
    assert max(disk.write_sizes) <= luks.CHUNK_BYTES
    assert bytes(disk.image[:at]) == table
    destroyed = disk.image[at : at + layer.area_bytes]
    assert destroyed.count(bytes(64)) == 0
    assert disk.image[at + max(layer.area_bytes, 8 * MIB) : -MIB].count(0) == len(
        disk.image[at + max(layer.area_bytes, 8 * MIB) : -MIB]
    )


def test_every_standard_place_of_a_second_header_is_overwritten_even_amid_data() -> None:
    disk = MemoryDisk()
    luks_image.write_luks1(disk.image)
    for power in range(9):
        disk.image[0x4000 << power : (0x4000 << power) + 6] = b"SKUL\xba\xbe"
    (layer,) = (each for each in luks.find(disk, disk.layout) if each.offset_bytes == 0)
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.is_found(disk, layer, disk.layout) is Seen.NO


@pytest.mark.parametrize(
    "place",
    [0, 512, 0x4000, 0x8000, 0x8000 + 257536, 0x8000 + 258048, 16 * MIB - 512],
    ids=["header", "second sector", "second header", "slot", "slot's end", "second slot", "area's end"],
)
def test_one_sector_that_survives_is_caught(place: int) -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image, slots=2)
    layer = find_one(disk)
    remembered = luks.remember(disk, layer)
    disk.lost = {(1, place)}
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.compare(disk, layer, remembered) is Seen.NO


def test_a_second_header_that_survives_is_found_again() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    disk.lost = {(1, 0x4000)}
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.is_found(disk, layer, disk.layout) is Seen.YES
    assert luks.find(disk, disk.layout)[0].header_copies == 1


def test_a_restored_backup_is_found_again() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    backup = bytes(disk.image[: 16 * MIB])
    layer = find_one(disk)
    remembered = luks.remember(disk, layer)
    luks.destroy(disk, layer, random_bytes=seeded())
    disk.image[: 16 * MIB] = backup
    assert luks.compare(disk, layer, remembered) is Seen.NO
    assert luks.is_found(disk, layer, disk.layout) is Seen.YES


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_cannot_be_read_is_not_observed_and_never_no(when: str) -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    if when == "before":
        disk.unreadable = {(1, 0x8000)}
    remembered = luks.remember(disk, layer)
    disk.unreadable = {(1, 0x8000)} if when == "after" else set()
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.compare(disk, layer, remembered) is Seen.NOT_OBSERVED
    disk.is_dead = True
    assert luks.compare(disk, layer, remembered) is Seen.NOT_OBSERVED
    assert luks.is_found(disk, layer, disk.layout) is Seen.NOT_OBSERVED


def test_a_sector_that_survives_is_no_although_another_cannot_be_read() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    remembered = luks.remember(disk, layer)
    disk.lost = {(1, 0x8000)}
    luks.destroy(disk, layer, random_bytes=seeded())
    disk.unreadable = {(1, 12 * MIB)}
    assert luks.compare(disk, layer, remembered) is Seen.NO


def test_one_place_that_cannot_be_read_keeps_is_found_from_saying_no() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    luks.destroy(disk, layer, random_bytes=seeded())
    disk.unreadable = {(1, 0x40000)}
    assert luks.is_found(disk, layer, disk.layout) is Seen.NOT_OBSERVED


def test_a_namespace_that_is_gone_was_not_looked_at() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    assert luks.is_found(disk, layer, ()) is Seen.NOT_OBSERVED


def test_a_block_that_cannot_be_written_spares_no_other_and_is_told() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    remembered = luks.remember(disk, layer)
    disk.unwritable = {(1, 0x8000)}
    kept = bytes(disk.image[0x8000:0x9000])
    with pytest.raises(OSError, match="medium error"):
        luks.destroy(disk, layer, random_bytes=seeded())
    assert disk.flush_count == 1
    assert bytes(disk.image[0x8000:0x9000]) == kept
    assert luks.compare(disk, layer, remembered) is Seen.NO
    disk.image[0x8000:0x9000] = seeded(9)(0x1000)
    assert luks.compare(disk, layer, remembered) is Seen.YES, "all others were overwritten"


def test_a_drive_that_fails_every_write_is_given_up_soon() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    disk.is_dead = True
    asked: list[int] = []

    def counted(length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    with pytest.raises(OSError, match="dead"):
        luks.destroy(disk, layer, random_bytes=counted)
    assert len(asked) < 2 * luks.MAX_FAILED_WRITES


def test_nothing_remembered_is_nothing_compared() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    assert luks.compare(disk, layer, luks.Remembered(key=bytes(32), chunks=())) is Seen.NOT_OBSERVED


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["luks1", "luks2"]),
    changes=st.lists(
        st.tuples(st.integers(0, 0x8000 - 1) | st.integers(0, 600), st.binary(min_size=1, max_size=12)),
        max_size=8,
    ),
    block_bytes=st.sampled_from([512, 4096]),
)
def test_whatever_a_tenant_does_to_the_headers_nothing_that_bears_the_magic_survives(
    kind: str, changes: list[tuple[int, bytes]], block_bytes: int
) -> None:
    disk = MemoryDisk(20 * MIB, block_bytes=block_bytes)
    (luks_image.write_luks1 if kind == "luks1" else luks_image.write_luks2)(disk.image)
    for place, new in changes:
        disk.image[place : place + len(new)] = new
    bears = disk.image[:6] == b"LUKS\xba\xbe" or any(
        disk.image[place : place + 6] == b"SKUL\xba\xbe" for place in (0x4000 << power for power in range(9))
    )
    found = luks.find(disk, disk.layout)
    assert bool(found) is bears
    for layer in found:
        remembered = luks.remember(disk, layer)
        luks.destroy(disk, layer, random_bytes=seeded())
        assert luks.compare(disk, layer, remembered) is Seen.YES
    assert luks.find(disk, disk.layout) == ()
