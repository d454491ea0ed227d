from __future__ import annotations

import hashlib
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from certificate import sampling
from certificate.keystream import UNIT_BYTES
from certificate.sampling import EXTENT_BYTES, SUBSECTION_EXTENTS, Extent
from certificate.statements.vocabulary import ReadBackMode

SECTOR = 512
GIB = 1 << 30
SEED, OTHER_SEED = "5e" * 32, "5f" * 32

seeds = some.binary(min_size=32, max_size=32).map(bytes.hex)
capacities = some.integers(1, 3000 * EXTENT_BYTES // SECTOR).map(lambda sectors: sectors * SECTOR)
modes = some.sampled_from(ReadBackMode)


def sampled(capacity_bytes: int, seed: str = SEED) -> list[Extent]:
    return list(sampling.extents(ReadBackMode.SAMPLED, seed=seed, capacity_bytes=capacity_bytes))


def full(capacity_bytes: int) -> list[Extent]:
    return list(sampling.extents(ReadBackMode.FULL, seed=SEED, capacity_bytes=capacity_bytes))


def end_of(extent: Extent) -> int:
    return extent.offset_bytes + extent.length_bytes


@given(capacity=capacities)
def test_a_full_read_back_covers_every_byte_once(capacity: int) -> None:
    extents = full(capacity)
    assert extents[0].offset_bytes == 0
    assert all(end_of(one) == other.offset_bytes for one, other in pairwise(extents))
    assert end_of(extents[-1]) == capacity


@given(mode=modes, capacity=capacities, seed=seeds)
def test_the_number_of_extents_is_known_without_reading(mode: ReadBackMode, capacity: int, seed: str) -> None:
    extents = list(sampling.extents(mode, seed=seed, capacity_bytes=capacity))
    assert sampling.extent_count(mode, capacity_bytes=capacity) == len(extents)


@given(capacity=capacities, seed=seeds)
def test_a_sample_ascends_never_overlaps_and_stays_inside(capacity: int, seed: str) -> None:
    extents = sampled(capacity, seed)
    assert all(end_of(one) <= other.offset_bytes for one, other in pairwise(extents))
    assert all(0 < extent.length_bytes <= EXTENT_BYTES for extent in extents)
    assert end_of(extents[-1]) == capacity


@given(capacity=capacities, seed=seeds)
def test_the_first_and_the_last_byte_are_always_read(capacity: int, seed: str) -> None:
    extents = sampled(capacity, seed)
    assert extents[0].offset_bytes == 0
    assert end_of(extents[-1]) == capacity


@given(capacity=capacities, seed=seeds)
def test_a_sample_takes_a_tenth_of_the_extents_at_least(capacity: int, seed: str) -> None:
    extents = sampled(capacity, seed)
    total = -(-capacity // EXTENT_BYTES)
    assert len(extents) * 10 >= total
    # The last extent may be a sector only, which weighs nothing in a medium of 400 of them.
    if total >= 400:
        assert sum(extent.length_bytes for extent in extents) >= 0.095 * capacity


@given(capacity=capacities, seed=seeds)
def test_every_half_subsection_has_its_extent(capacity: int, seed: str) -> None:
    total = -(-capacity // EXTENT_BYTES)
    if total <= SUBSECTION_EXTENTS:
        return
    numbers = [extent.offset_bytes // EXTENT_BYTES for extent in sampled(capacity, seed)]
    halves = 2 * (total // SUBSECTION_EXTENTS)
    for half in range(halves):
        low, high = half * total // halves, (half + 1) * total // halves
        assert any(low <= number < high for number in numbers), f"half {half} of {halves}"
        # Two extents of a subsection, one from either half: 20 extents to a subsection, or a few more.
        assert 10 <= high - low <= 20


@given(capacity=some.integers(1, SUBSECTION_EXTENTS * EXTENT_BYTES // SECTOR).map(lambda n: n * SECTOR))
def test_a_small_medium_is_read_whole(capacity: int) -> None:
    assert sampled(capacity) == full(capacity)


@given(mode=modes, capacity=capacities, seed=seeds)
def test_each_extent_is_one_unit_of_the_keystream(mode: ReadBackMode, capacity: int, seed: str) -> None:
    for extent in sampling.extents(mode, seed=seed, capacity_bytes=capacity):
        assert extent.offset_bytes % UNIT_BYTES == 0
        assert extent.length_bytes == min(UNIT_BYTES, capacity - extent.offset_bytes)


def test_one_seed_gives_one_sample_and_another_seed_another() -> None:
    assert sampled(GIB) == sampled(GIB)
    assert sampled(GIB, OTHER_SEED) != sampled(GIB)


def test_the_sample_of_version_1_never_changes() -> None:
    offsets = ",".join(str(extent.offset_bytes) for extent in sampled(GIB))
    assert (
        hashlib.sha256(offsets.encode()).hexdigest()
        == "7b98b6574fb4e661471547a242b244de366d6ab3ee339fccbaf117164d21220f"
    )


@settings(max_examples=20)
@given(seed=seeds)
def test_no_place_of_a_medium_is_out_of_reach_of_a_sample(seed: str) -> None:
    # Each extent of the first subsection is chosen by some seed; none may be where data hides for sure.
    chosen: set[int] = set()
    for number in range(200):
        one_seed = hashlib.sha256(bytes.fromhex(seed) + number.to_bytes(2, "big")).hexdigest()
        chosen |= {extent.offset_bytes // EXTENT_BYTES for extent in sampled(40 * EXTENT_BYTES, one_seed)}
    assert chosen == set(range(40))


def test_a_medium_of_terabytes_is_sampled_without_a_list_of_it() -> None:
    capacity = 20 * 10**12
    count = sampling.extent_count(ReadBackMode.SAMPLED, capacity_bytes=capacity)
    assert count * EXTENT_BYTES >= 0.095 * capacity
    head = list(islice(sampling.extents(ReadBackMode.SAMPLED, seed=SEED, capacity_bytes=capacity), 1000))
    assert [extent.offset_bytes for extent in head] == sorted({extent.offset_bytes for extent in head})


def test_a_medium_of_21_gb_has_a_thousand_subsections() -> None:
    # NIST SP 800-88r1, 4.7: at least a thousand, where the medium is large enough.
    count = sampling.extent_count(ReadBackMode.SAMPLED, capacity_bytes=21 * 10**9)
    assert count - 2 >= 2 * 1000


def test_the_seed_is_made_of_order_nonce_and_medium_and_of_nothing_else() -> None:
    order, medium, nonce = "0a" * 32, "0b" * 32, b"\x0c" * 32
    made = sampling.seed(order_digest=order, nonce=nonce, commitment=medium)
    material = b"expunge-sample/v1" + b"\x0a" * 32 + b"\x0c" * 32 + b"\x0b" * 32
    assert made == hashlib.sha256(material).hexdigest()
    others = (
        sampling.seed(order_digest="1a" * 32, nonce=nonce, commitment=medium),
        sampling.seed(order_digest=order, nonce=b"\x1c" * 32, commitment=medium),
        sampling.seed(order_digest=order, nonce=nonce, commitment="1b" * 32),
    )
    assert len({made, *others}) == 4


def test_a_seed_that_is_no_hexadecimal_is_an_error() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        sampled(GIB, "not_observed")


@given(capacity=capacities, seed=seeds, mode=modes)
def test_extents_and_bytes_are_counted_without_making_them(
    capacity: int, seed: str, mode: ReadBackMode
) -> None:
    extents = list(sampling.extents(mode, seed=seed, capacity_bytes=capacity))
    assert sampling.extent_count(mode, capacity_bytes=capacity) == len(extents)
    assert sampling.byte_count(mode, capacity_bytes=capacity) == sum(each.length_bytes for each in extents)


def test_nothing_is_read_of_nothing() -> None:
    for mode in ReadBackMode:
        assert sampling.byte_count(mode, capacity_bytes=0) == 0
