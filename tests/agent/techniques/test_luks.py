"""Layers on a drive in memory: found wherever they start, and told as they are."""

from __future__ import annotations

import hashlib

import pytest

from agent.errors import Code
from agent.techniques import luks
from certificate.errors import Malformed
from certificate.messages import NamespaceReport
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import LayerKind
from tests import luks_image
from tests.luks_disk import MIB, SIZE, MemoryDisk, find_one, seeded, write_gpt, write_mbr


@pytest.mark.parametrize("block_bytes", [512, 4096])
def test_a_luks2_layer_on_the_whole_drive_is_found_as_its_header_says(block_bytes: int) -> None:
    disk = MemoryDisk(block_bytes=block_bytes)
    luks_image.write_luks2(disk.image, slots=3, tokens=2)
    layer = find_one(disk)
    assert layer.kind is LayerKind.LUKS2
    assert (layer.nsid, layer.offset_bytes, layer.area_bytes) == (1, 0, 16 * MIB)
    assert (layer.header_copies, layer.key_slots, layer.tokens) == (2, 3, 2)
    assert not layer.is_detached
    assert not layer.is_hw_opal


@pytest.mark.parametrize("block_bytes", [512, 4096])
def test_a_luks1_layer_is_found_with_the_slots_in_use(block_bytes: int) -> None:
    disk = MemoryDisk(block_bytes=block_bytes)
    luks_image.write_luks1(disk.image, enabled=(0, 3))
    layer = find_one(disk)
    assert layer.kind is LayerKind.LUKS1
    assert (layer.area_bytes, layer.header_copies, layer.key_slots, layer.tokens) == (2 * MIB, 1, 2, 0)


@pytest.mark.parametrize("block_bytes", [512, 4096])
@pytest.mark.parametrize("is_primary_broken", [False, True])
def test_layers_are_found_at_partitions_of_a_gpt(block_bytes: int, is_primary_broken: bool) -> None:
    disk = MemoryDisk(64 * MIB, block_bytes=block_bytes)
    write_gpt(disk.image, [MIB, 30 * MIB], block_bytes=block_bytes, is_primary_broken=is_primary_broken)
    luks_image.write_luks2(disk.image, at=MIB)
    luks_image.write_luks1(disk.image, at=30 * MIB)
    found = luks.find(disk, disk.layout)
    assert [(each.kind.value, each.offset_bytes) for each in found] == [("luks2", MIB), ("luks1", 30 * MIB)]


def test_layers_are_found_at_primary_and_logical_partitions_of_an_mbr() -> None:
    disk = MemoryDisk(64 * MIB)
    write_mbr(disk.image, 0, [(0x83, 63), (0x05, 65536)])
    write_mbr(disk.image, 65536 * 512, [(0x83, 63)])
    luks_image.write_luks1(disk.image, at=63 * 512)
    luks_image.write_luks2(disk.image, at=(65536 + 63) * 512)
    assert [each.offset_bytes for each in luks.find(disk, disk.layout)] == [63 * 512, (65536 + 63) * 512]


def test_layers_are_found_in_every_attached_namespace_and_told_in_order() -> None:
    disk = MemoryDisk(SIZE, SIZE, SIZE)
    for image in disk.images.values():
        luks_image.write_luks2(image)
    layout = list(disk.layout)
    layout[1] = NamespaceReport(nsid=2, capacity_bytes=SIZE, logical_block_bytes=512, is_attached=False)
    assert [each.nsid for each in luks.find(disk, reversed(layout))] == [1, 3]


def test_a_drive_without_headers_has_no_layer() -> None:
    disk = MemoryDisk()
    disk.image[:MIB] = seeded()(MIB)
    assert luks.find(disk, disk.layout) == ()


@pytest.mark.parametrize("header_bytes", [0x4000 << power for power in range(9)])
def test_a_layer_without_its_first_header_is_found_by_its_second_at_every_standard_place(
    header_bytes: int,
) -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image, header_bytes=header_bytes, slots=2)
    disk.image[:4096] = bytes(4096)
    layer = find_one(disk)
    assert (layer.offset_bytes, layer.header_copies, layer.key_slots) == (0, 1, 2)
    assert luks.is_found(disk, layer, disk.layout) is Seen.YES


def test_a_layer_without_its_second_header_is_found_by_its_first() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image, slots=2)
    disk.image[0x4000:0x8000] = bytes(0x4000)
    assert (find_one(disk).header_copies, find_one(disk).key_slots) == (1, 2)


def test_a_second_header_says_itself_where_its_layer_starts() -> None:
    """Its distance from another start happens to be a standard place too."""
    disk = MemoryDisk(64 * MIB)
    write_mbr(disk.image, 0, [(0x83, 2048), (0x83, 2048 + 0x4000 // 512)])
    luks_image.write_luks2(disk.image, at=MIB, header_bytes=0x8000)
    disk.image[MIB : MIB + 4096] = bytes(4096)
    assert find_one(disk).offset_bytes == MIB


@pytest.mark.parametrize("damaged", ["primary", "secondary", "both"])
def test_a_damaged_header_is_a_layer_nevertheless(damaged: str) -> None:
    disk = MemoryDisk(200 * MIB)
    luks_image.write_luks2(disk.image, slots=2)
    if damaged != "secondary":
        disk.image[5000] ^= 1
    if damaged != "primary":
        disk.image[0x4000 + 5000] ^= 1
    layer = find_one(disk)
    assert layer.header_copies == 2
    if damaged == "both":
        assert (layer.key_slots, layer.area_bytes) == (0, luks.UNREADABLE_AREA_BYTES)
    else:
        assert (layer.key_slots, layer.area_bytes) == (2, 16 * MIB)


def test_a_magic_number_with_an_unknown_version_is_a_layer() -> None:
    disk = MemoryDisk()
    disk.image[:8] = b"LUKS\xba\xbe\x00\x09"
    assert find_one(disk).area_bytes == SIZE


@pytest.mark.parametrize("is_secondary", [False, True])
def test_of_two_copies_the_newer_is_told_and_the_slots_of_both_are_destroyed(is_secondary: bool) -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image, slots=3, sequences=(4, 4))
    newer = luks_image.luks2_header(luks_image.luks2_json(slots=1), sequence=9, is_secondary=is_secondary)
    place = 0x4000 if is_secondary else 0
    disk.image[place : place + 0x4000] = newer
    layer = find_one(disk)
    assert layer.key_slots == 1
    assert len(layer.stretches) == 3 + 1


def test_a_second_header_counts_for_its_own_layer_only() -> None:
    disk = MemoryDisk()
    write_mbr(disk.image, 0, [(0x83, 2048), (0x83, 2048 + 0x10000 // 512)])
    luks_image.write_luks2(disk.image, at=MIB, slots=0)
    luks_image.write_luks2(disk.image, at=MIB + 0x10000, header_bytes=0x10000)
    assert [each.header_copies for each in luks.find(disk, disk.layout)] == [2, 2]


def test_a_layer_made_on_smaller_blocks_than_the_drive_has_is_destroyed_with_the_blocks_around_it() -> None:
    disk = MemoryDisk(block_bytes=4096)
    write_mbr(disk.image, 0, [(0x83, 63)])
    luks_image.write_luks2(disk.image, at=63 * 512)
    layer = find_one(disk)
    assert (layer.offset_bytes, layer.header_copies) == (63 * 512, 2)
    remembered = luks.remember(disk, layer)
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.compare(disk, layer, remembered) is Seen.YES
    assert luks.is_found(disk, layer, disk.layout) is Seen.NO


def test_a_header_whose_data_lie_elsewhere_is_marked_detached() -> None:
    for data_offset in (0, SIZE, SIZE + MIB):
        disk = MemoryDisk()
        luks_image.write_luks2(disk.image, data_offset=data_offset)
        assert find_one(disk).is_detached
    disk = MemoryDisk()
    disk.image[:592] = luks_image.luks1_header(payload_sectors=0)
    layer = find_one(disk)
    assert layer.is_detached
    assert layer.area_bytes == (8 + 7 * 504) * 512 + 256000


def test_a_layer_whose_key_the_drive_keeps_says_so() -> None:
    for kind in ("hw-opal", "hw-opal-crypt"):
        disk = MemoryDisk()
        luks_image.write_luks2(disk.image, segment_type=kind)
        assert find_one(disk).is_hw_opal


def test_a_data_offset_at_the_end_of_the_drive_does_not_make_the_area_as_large() -> None:
    disk = MemoryDisk(300 * MIB)
    luks_image.write_luks2(disk.image, data_offset=299 * MIB)
    assert find_one(disk).area_bytes == luks.MAX_AREA_BYTES


def test_luks1_slots_far_from_their_header_are_destroyed_by_themselves() -> None:
    disk = MemoryDisk(300 * MIB)
    places = (*(8 + number * 504 for number in range(7)), 290 * 2048)
    disk.image[:592] = luks_image.luks1_header(
        enabled=(7,), payload_sectors=299 * 2048, material_sectors=places
    )
    disk.image[290 * MIB : 290 * MIB + 256000] = seeded(5)(256000)
    layer = find_one(disk)
    remembered = luks.remember(disk, layer)
    luks.destroy(disk, layer, random_bytes=seeded())
    assert luks.compare(disk, layer, remembered) is Seen.YES
    assert bytes(disk.image[290 * MIB : 290 * MIB + 256000]) != seeded(5)(256000)


def test_more_layers_than_evidence_can_name_are_refused() -> None:
    disk = MemoryDisk(16 * MIB)
    starts = [MIB + number * 0x1000 for number in range(33)]
    write_gpt(disk.image, starts, block_bytes=512, is_primary_broken=False)
    for start in starts[:32]:
        disk.image[start : start + 8] = b"LUKS\xba\xbe\x00\x01"
    assert len(luks.find(disk, disk.layout)) == 32
    disk.image[starts[32] : starts[32] + 8] = b"LUKS\xba\xbe\x00\x01"
    with pytest.raises(Malformed) as refused:
        luks.find(disk, disk.layout)
    assert refused.value.code is Code.LAYERS_TOO_MANY


def test_a_place_that_cannot_be_read_hides_no_other_layer() -> None:
    disk = MemoryDisk(64 * MIB)
    write_gpt(disk.image, [MIB, 30 * MIB], block_bytes=512, is_primary_broken=False)
    luks_image.write_luks2(disk.image, at=MIB)
    luks_image.write_luks2(disk.image, at=30 * MIB)
    disk.unreadable = {(1, 0), (1, 512), (1, MIB)}
    found = luks.find(disk, disk.layout)
    assert [(each.offset_bytes, each.header_copies) for each in found] == [(MIB, 1), (30 * MIB, 2)]


def test_a_dead_drive_has_no_layer_that_anybody_could_read() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    disk.is_dead = True
    assert luks.find(disk, disk.layout) == ()


def test_a_report_says_what_was_found_and_nothing_of_its_content() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image, slots=2, tokens=1)
    report = luks.to_report(find_one(disk))
    assert (report.kind, report.nsid, report.offset_bytes, report.area_bytes) == ("luks2", 1, 0, 16 * MIB)
    assert (report.header_copies, report.key_slots, report.tokens, report.is_detached) == (2, 2, 1, False)


def test_what_is_remembered_never_shows_itself() -> None:
    disk = MemoryDisk()
    luks_image.write_luks2(disk.image)
    layer = find_one(disk)
    assert repr(luks.remember(disk, layer)) == "Remembered()"
    zeros = luks.remember(disk, layer).chunks[-1][1]
    assert zeros is not None
    plain = hashlib.blake2b(bytes(512), digest_size=luks.DIGEST_BYTES).digest()
    assert plain not in zeros, "a digest that anybody can make shows what a tenant had"
    assert zeros != luks.remember(disk, layer).chunks[-1][1]
