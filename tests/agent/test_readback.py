from __future__ import annotations

import hashlib
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent import readback
from agent.readback import ReadBackFacts, read_back
from certificate import keystream, sampling
from certificate.statements.vocabulary import OverwritePattern, ReadBackMode
from tests.memory_drive import MemoryDrive

MIB = 1 << 20
KEY = hashlib.shake_256(b"a key for tests").digest(keystream.KEY_BYTES)
SEED = "5e" * 32
SIZES = (3 * MIB + 4096, 4096, 2 * MIB + 512)
patterns = pytest.mark.parametrize("pattern", list(OverwritePattern))
modes = pytest.mark.parametrize("mode", list(ReadBackMode))


def overwritten(*sizes: int, pattern: OverwritePattern = OverwritePattern.KEYSTREAM) -> MemoryDrive:
    """A drive on which every byte is as a perfect pass leaves it."""
    drive = MemoryDrive(*sizes)
    capacity = drive.capacity_bytes
    stream = bytes(capacity)
    if pattern is OverwritePattern.KEYSTREAM:
        stream = keystream.read(KEY, capacity_bytes=capacity, offset_bytes=0, length_bytes=capacity)
    position = 0
    for nsid, size in drive.layout:
        drive.blocks.stored[nsid][:] = stream[position : position + size]
        position += size
    return drive


def look(
    drive: MemoryDrive,
    *,
    pattern: OverwritePattern = OverwritePattern.KEYSTREAM,
    mode: ReadBackMode = ReadBackMode.FULL,
    **changes: object,
) -> ReadBackFacts:
    arguments: dict[str, object] = {"key": KEY, "pattern": pattern, "mode": mode, "seed": SEED, **changes}
    return read_back(drive.blocks, drive.layout, **arguments)  # type: ignore[arg-type]


def flip(drive: MemoryDrive, place: int, bit: int = 1) -> None:
    """One bit of one byte of the stream."""
    for nsid, size in drive.layout:
        if place < size:
            drive.blocks.stored[nsid][place] ^= bit
            return
        place -= size
    raise AssertionError("the place lies outside the drive")


@modes
@patterns
def test_a_perfect_pass_shows_no_difference(pattern: OverwritePattern, mode: ReadBackMode) -> None:
    drive = overwritten(*SIZES, pattern=pattern)
    assert look(drive, pattern=pattern, mode=mode) == ReadBackFacts(
        mode=mode,
        seed=SEED,
        extents_planned=6,
        extents_read=6,
        bytes_read=sum(SIZES),
        bytes_mismatched=0,
        bytes_unreadable=0,
    )


@modes
@patterns
def test_a_drive_nobody_overwrote_differs_nearly_everywhere(
    pattern: OverwritePattern, mode: ReadBackMode
) -> None:
    facts = look(MemoryDrive(*SIZES), pattern=pattern, mode=mode)
    assert facts.extents_read == facts.extents_planned
    assert facts.bytes_mismatched > 0.99 * facts.bytes_read


def test_the_other_pattern_is_no_match() -> None:
    drive = overwritten(2 * MIB, pattern=OverwritePattern.ZERO)
    assert look(drive, pattern=OverwritePattern.KEYSTREAM).bytes_mismatched > 0.99 * 2 * MIB
    drive = overwritten(2 * MIB, pattern=OverwritePattern.KEYSTREAM)
    assert look(drive, pattern=OverwritePattern.ZERO).bytes_mismatched > 0.99 * 2 * MIB


def test_another_key_is_no_match() -> None:
    facts = look(overwritten(2 * MIB), key=bytes(range(64)))
    assert facts.bytes_mismatched > 0.99 * 2 * MIB


@patterns
@settings(max_examples=15, deadline=None)
@given(place=some.integers(0, sum(SIZES) - 1), bit=some.sampled_from([1 << shift for shift in range(8)]))
def test_one_flipped_bit_anywhere_is_found(pattern: OverwritePattern, place: int, bit: int) -> None:
    drive = overwritten(*SIZES, pattern=pattern)
    flip(drive, place, bit)
    assert look(drive, pattern=pattern).bytes_mismatched == 1


@patterns
@pytest.mark.parametrize("place", [0, 1, 63, 64, 65, 511, 512, MIB - 1, MIB, sum(SIZES) - 1])
def test_one_flipped_bit_at_an_edge_is_found(pattern: OverwritePattern, place: int) -> None:
    drive = overwritten(*SIZES, pattern=pattern)
    flip(drive, place, 0x80)
    assert look(drive, pattern=pattern).bytes_mismatched == 1


def test_a_constant_other_than_zero_is_no_zero() -> None:
    drive = MemoryDrive(2 * MIB)
    drive.blocks.stored[1][:] = b"\x33" * (2 * MIB)
    assert look(drive, pattern=OverwritePattern.ZERO).bytes_mismatched == 2 * MIB


@patterns
def test_differences_are_counted_byte_by_byte(pattern: OverwritePattern) -> None:
    drive = overwritten(*SIZES, pattern=pattern)
    places = {0, 1, 2, MIB + 77, 3 * MIB + 4095, 3 * MIB + 4096, sum(SIZES) - 1}
    for place in places:
        flip(drive, place)
    assert look(drive, pattern=pattern).bytes_mismatched == len(places)


@pytest.mark.parametrize("share", [0.23, 0.9])
@modes
def test_a_pass_that_covered_only_part_is_found_out(mode: ReadBackMode, share: float) -> None:
    drive, done = MemoryDrive(100 * MIB), overwritten(100 * MIB)
    end = int(share * 100) * MIB
    drive.blocks.stored[1][:end] = done.blocks.stored[1][:end]
    facts = look(drive, mode=mode)
    assert facts.bytes_mismatched > 0
    if mode is ReadBackMode.FULL:
        assert facts.bytes_mismatched == pytest.approx((1 - share) * 100 * MIB, rel=0.01)


def test_a_drive_that_dropped_writes_is_found_out() -> None:
    drive = MemoryDrive(4 * MIB)
    drive.blocks.drops = lambda _, offset, __: offset == 2 * MIB
    stream = keystream.read(KEY, capacity_bytes=4 * MIB, offset_bytes=0, length_bytes=4 * MIB)
    for offset in range(0, 4 * MIB, MIB):
        drive.blocks.write(1, offset, stream[offset : offset + MIB])
    facts = look(drive)
    assert 0.99 * MIB < facts.bytes_mismatched <= MIB


def test_a_drive_that_reads_as_it_was_before_is_found_out() -> None:
    drive = MemoryDrive(2 * MIB)
    drive.blocks.stored[1][:] = overwritten(2 * MIB).blocks.stored[1]
    assert look(drive).bytes_mismatched == 0
    drive.blocks.is_stale = lambda _, offset, __: offset == MIB
    assert 0.99 * MIB < look(drive).bytes_mismatched <= MIB


@patterns
def test_a_read_that_brought_nothing_shows_no_earlier_ones_bytes(pattern: OverwritePattern) -> None:
    drive = overwritten(8 * MIB, pattern=pattern)
    drive.blocks.brings_nothing = lambda _, offset, __: offset >= 4 * MIB
    facts = look(drive, pattern=pattern, workers=1)
    # Not one sector of them passes.
    assert facts.bytes_mismatched >= 4 * MIB // 512


@modes
def test_what_cannot_be_read_is_counted_and_the_rest_is_read(mode: ReadBackMode) -> None:
    drive = overwritten(100 * MIB)
    drive.blocks.fails_to_read = lambda _, offset, __: offset == 99 * MIB
    facts = look(drive, mode=mode)
    planned = {ReadBackMode.FULL: 100, ReadBackMode.SAMPLED: 12}[mode]
    assert (facts.extents_planned, facts.extents_read) == (planned, planned - 1)
    assert (facts.bytes_read, facts.bytes_unreadable) == ((planned - 1) * MIB, MIB)
    assert facts.bytes_mismatched == 0


def test_an_extent_that_is_readable_in_part_is_unreadable() -> None:
    drive = overwritten(MIB - 4096, 4096)
    drive.blocks.fails_to_read = lambda nsid, *_: nsid == 2
    facts = look(drive)
    assert (facts.extents_read, facts.bytes_read, facts.bytes_unreadable) == (0, 0, MIB)


def test_a_drive_that_dies_leaves_nothing_compared() -> None:
    drive = overwritten(8 * MIB)
    drive.blocks.dies_after = 0
    facts = look(drive)
    assert (facts.extents_read, facts.bytes_unreadable) == (0, 8 * MIB)


def test_a_drive_that_hangs_is_given_up_and_all_that_was_not_read_counts_as_unreadable() -> None:
    drive = overwritten(32 * MIB)
    drive.blocks.hangs = lambda _, offset, __: offset >= 2 * MIB
    facts = look(drive, no_progress_seconds=0.3)
    assert (facts.extents_planned, facts.extents_read) == (32, 2)
    assert (facts.bytes_read, facts.bytes_unreadable) == (2 * MIB, 30 * MIB)
    drive.blocks.may_go_on.set()
    time.sleep(0.1)
    assert facts.extents_read == 2


def test_a_fault_of_a_worker_is_no_silence() -> None:
    def broken(_: int, offset: int, __: int) -> bool:
        if offset == MIB:
            raise RuntimeError("a fault of ours")
        return False

    drive = overwritten(4 * MIB)
    drive.blocks.brings_nothing = broken
    facts = look(drive, workers=1)
    assert (facts.extents_read, facts.bytes_unreadable) == (1, 3 * MIB)


def test_without_a_thread_nothing_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    facts = look(overwritten(MIB))
    assert (facts.extents_read, facts.bytes_unreadable) == (0, MIB)


def test_exactly_the_planned_places_are_read_once() -> None:
    drive = overwritten(100 * MIB)
    look(drive, mode=ReadBackMode.SAMPLED)
    planned = sampling.extents(ReadBackMode.SAMPLED, seed=SEED, capacity_bytes=100 * MIB)
    assert sorted(drive.blocks.read_from) == [(1, each.offset_bytes, each.length_bytes) for each in planned]


def test_nothing_is_written_by_reading_back() -> None:
    drive = overwritten(*SIZES)
    look(drive)
    assert drive.blocks.written == []


def test_progress_is_told_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "REPORT_SECONDS", 0.01)
    drive = overwritten(16 * MIB)
    told: list[int] = []
    look(drive, report=told.append)
    assert told == sorted(told)
    assert told[-1] == 65_535


def test_a_keystream_without_its_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="key"):
        look(MemoryDrive(MIB), key=None)


def test_a_layout_that_is_no_medium_is_an_error() -> None:
    drive = MemoryDrive(MIB)
    with pytest.raises(ValueError, match="no namespace"):
        read_back(drive.blocks, (), key=KEY, pattern=OverwritePattern.ZERO, mode=ReadBackMode.FULL, seed=SEED)
