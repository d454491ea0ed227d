from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import markers
from agent.devices.emulated import EmulatedBlockIo
from agent.devices.simulated import Fault, SimulatedNvme
from agent.errors import Code
from agent.markers import NamespaceRoom, PlacedMarker
from certificate import commitment
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import MarkerReading

PAGE = 4096
ORDER, NONCE, MEDIUM = "11" * 32, bytes(range(32)), "22" * 32
rooms = st.lists(st.integers(1, 10**7).map(lambda blocks: blocks * 512), min_size=1, max_size=70).map(
    lambda sizes: [NamespaceRoom(nsid=nsid, capacity_bytes=size) for nsid, size in enumerate(sizes, 1)]
)


def derive(
    namespaces: Sequence[NamespaceRoom], *, order: str = ORDER, nonce: bytes = NONCE, medium: str = MEDIUM
) -> tuple[PlacedMarker, ...]:
    return markers.derive(order_digest=order, boot_nonce=nonce, commitment=medium, namespaces=namespaces)


def room(blocks: int, nsid: int = 1) -> NamespaceRoom:
    return NamespaceRoom(nsid=nsid, capacity_bytes=blocks * PAGE)


def page(seed: int) -> bytes:
    return random.Random(seed).randbytes(PAGE)


# --- where --------------------------------------------------------------------------------------------------


@given(namespaces=rooms)
@settings(max_examples=60, deadline=None)
def test_markers_lie_in_their_namespace_apart_and_reach_both_ends(namespaces: list[NamespaceRoom]) -> None:
    if len(namespaces) > 64 or any(each.capacity_bytes < PAGE for each in namespaces):
        with pytest.raises(Refused) as refusal:
            derive(namespaces)
        assert refusal.value.code is Code.MARKERS_IMPOSSIBLE
        return
    placed = derive(namespaces)
    assert len(placed) <= 64
    for each in namespaces:
        offsets = [marker.offset_bytes for marker in placed if marker.nsid == each.nsid]
        assert offsets[0] == 0
        assert all(offset % 512 == 0 for offset in offsets)
        assert offsets[-1] + PAGE <= each.capacity_bytes
        assert all(low + PAGE <= high for low, high in itertools.pairwise(offsets))
        if len(namespaces) <= 32 and each.capacity_bytes >= 2 * PAGE:
            assert offsets[-1] + PAGE == each.capacity_bytes


def test_one_namespace_gets_first_last_and_sixteen_in_between() -> None:
    assert len(derive([room(8192)])) == 18


def test_random_positions_spread_over_the_whole_namespace() -> None:
    offsets = [marker.offset_bytes // PAGE for marker in derive([room(16_002)])][1:-1]
    assert [(offset - 1) // 1000 for offset in offsets] == list(range(16))


def test_a_tiny_namespace_is_marked_on_every_page() -> None:
    assert [marker.offset_bytes for marker in derive([room(3)])] == [0, PAGE, 2 * PAGE]
    assert [marker.offset_bytes for marker in derive([room(1)])] == [0]


@pytest.mark.parametrize(
    ("blocks_of_512", "offsets"), [(8, [0]), (9, [0]), (15, [0]), (16, [0, 4096]), (17, [0, 4608])]
)
def test_a_namespace_below_two_pages_is_marked_from_its_first_block(
    blocks_of_512: int, offsets: list[int]
) -> None:
    placed = derive([NamespaceRoom(nsid=1, capacity_bytes=blocks_of_512 * 512)])
    assert [marker.offset_bytes for marker in placed] == offsets


@pytest.mark.parametrize("namespaces", [[], [room(0)], [room(8), room(0, 2)]])
def test_a_drive_without_room_is_refused(namespaces: list[NamespaceRoom]) -> None:
    with pytest.raises(Refused) as refusal:
        derive(namespaces)
    assert refusal.value.code is Code.MARKERS_IMPOSSIBLE


# --- what ---------------------------------------------------------------------------------------------------


def test_the_same_order_boot_and_drive_give_the_same_markers() -> None:
    assert derive([room(999)]) == derive([room(999)])


@pytest.mark.parametrize("other", [{"order": "12" * 32}, {"nonce": bytes(32)}, {"medium": "23" * 32}])
def test_another_order_boot_or_drive_gives_other_positions_and_content(other: dict[str, str | bytes]) -> None:
    ours, theirs = derive([room(100_000)]), derive([room(100_000)], **other)  # type: ignore[arg-type]
    assert not {each.content for each in ours} & {each.content for each in theirs}
    assert len({each.offset_bytes for each in ours} & {each.offset_bytes for each in theirs}) < 8


def test_no_two_markers_of_a_drive_are_alike() -> None:
    placed = derive([room(999), room(999, 2)])
    assert len({each.content for each in placed}) == len(placed)


def test_a_marker_itself_looks_random() -> None:
    for marker in derive([room(999)]):
        assert markers.classify(page(1), marker.content, expected=None).reading is MarkerReading.PSEUDORANDOM


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33)])
def test_a_nonce_has_32_bytes(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        derive([room(9)], nonce=nonce)


def test_the_commitment_is_the_documents_own() -> None:
    placed = derive([room(9)])
    listed = [(each.nsid, each.offset_bytes, PAGE, each.content_sha256) for each in placed]
    assert markers.digest(placed, boot_nonce=NONCE) == commitment.markers_digest(nonce=NONCE, markers=listed)
    assert markers.digest(placed[1:], boot_nonce=NONCE) != markers.digest(placed, boot_nonce=NONCE)


# --- how it reads -------------------------------------------------------------------------------------------


@given(written=st.integers(0, 2**32), found=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_a_fresh_random_page_reads_pseudorandom(written: int, found: int) -> None:
    if written == found:
        return
    reading = markers.classify(page(written), page(found), expected=None)
    assert reading.reading is MarkerReading.PSEUDORANDOM
    assert reading.changed_65536ths is not None
    assert abs(reading.changed_65536ths - 32768) < 1087


def test_the_marker_itself_is_unchanged() -> None:
    reading = markers.classify(page(1), page(1), expected=None)
    assert (reading.reading, reading.changed_65536ths) == (MarkerReading.UNCHANGED, 0)


def test_zeros_and_constants_have_their_own_names() -> None:
    assert markers.classify(page(1), bytes(PAGE), expected=None).reading is MarkerReading.ZERO
    assert markers.classify(page(1), b"\xff" * PAGE, expected=None).reading is MarkerReading.CONSTANT


@given(seed=st.integers(0, 2**32), at=st.integers(0, PAGE // 8 - 1), length=st.integers(1, PAGE // 8))
@settings(max_examples=200, deadline=None)
def test_a_marker_that_shows_in_part_is_unchanged(seed: int, at: int, length: int) -> None:
    written, found = page(seed), bytearray(page(seed + 1))
    place = slice(at * 8, (at + length) * 8)
    found[place] = written[place]
    assert markers.classify(written, bytes(found), expected=None).reading is MarkerReading.UNCHANGED


@given(keep=st.integers(0, PAGE - 1))
@settings(max_examples=100, deadline=None)
def test_a_page_half_erased_is_never_pseudorandom(keep: int) -> None:
    found = bytes(PAGE - keep) + page(3)[:keep]
    if keep <= PAGE - 512:
        assert markers.classify(page(1), found, expected=None).reading is not MarkerReading.PSEUDORANDOM


@pytest.mark.parametrize(
    "found",
    [
        (b"the old tenant's text, still readable. " * 200)[:PAGE],
        bytes.fromhex("33cc55aa") * (PAGE // 4),
        bytes(range(256)) * 16,
        bytes(byte & 0x7F for byte in page(5)),
        bytes(PAGE - 1) + b"\x01",
        bytes(255 - byte for byte in page(1)),
    ],
    ids=["text", "pattern", "every value equally often", "seven bits", "almost zero", "the marker inverted"],
)
def test_what_cannot_be_named_reads_as_unchanged(found: bytes) -> None:
    assert markers.classify(page(1), found, expected=None).reading is MarkerReading.UNCHANGED


@pytest.mark.parametrize("found", [b"", bytes(PAGE - 1), bytes(PAGE + 1)])
def test_a_page_of_another_length_is_unreadable(found: bytes) -> None:
    reading = markers.classify(page(1), found, expected=None)
    assert (reading.reading, reading.changed_65536ths) == (MarkerReading.UNREADABLE, None)


# --- on a drive ---------------------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path) -> SimulatedNvme:
    return SimulatedNvme.create(
        tmp_path / "drive",
        serial="S",
        model="M",
        firmware="1",
        capacity_bytes=64 * PAGE,
        random=random.Random(5).randbytes,
    )


def run_sanitize(device: SimulatedNvme, *, keep: bool) -> None:
    device.start_sanitize("crypto", command_dword=4, is_no_deallocate=keep, may_exit_failure=False)
    for _ in range(5):
        device.poll()


def test_markers_are_written_read_back_and_gone_after_a_crypto_erase(device: SimulatedNvme) -> None:
    blocks, placed = EmulatedBlockIo(device), derive([room(64)])
    assert {markers.read_back_before(blocks, each) for each in placed} == {Seen.NO}
    markers.write(blocks, placed)
    assert {markers.read_back_before(blocks, each) for each in placed} == {Seen.YES}
    run_sanitize(device, keep=True)
    assert {markers.read_after(blocks, each, None).reading for each in placed} == {MarkerReading.PSEUDORANDOM}


def test_a_drive_that_lies_leaves_every_marker_unchanged(device: SimulatedNvme) -> None:
    device.set_faults([Fault.LIES])
    blocks, placed = EmulatedBlockIo(device), derive([room(64)])
    markers.write(blocks, placed)
    run_sanitize(device, keep=True)
    assert {markers.read_after(blocks, each, None).reading for each in placed} == {MarkerReading.UNCHANGED}


def test_deallocated_markers_read_zero(device: SimulatedNvme) -> None:
    blocks, placed = EmulatedBlockIo(device), derive([room(64)])
    markers.write(blocks, placed)
    run_sanitize(device, keep=False)
    assert {markers.read_after(blocks, each, None).reading for each in placed} == {MarkerReading.ZERO}


def test_a_drive_that_refuses_reads_gives_unreadable_markers(device: SimulatedNvme) -> None:
    blocks, placed = EmulatedBlockIo(device), derive([room(64)])
    markers.write(blocks, placed)
    device.start_sanitize("crypto", command_dword=4, is_no_deallocate=True, may_exit_failure=False)
    assert markers.read_back_before(blocks, placed[0]) is Seen.NOT_OBSERVED
    assert markers.read_after(blocks, placed[0], None).reading is MarkerReading.UNREADABLE
    with pytest.raises(OSError, match="sanitize running"):
        markers.write(blocks, placed)


def test_markers_are_on_the_drive_and_not_only_on_their_way_when_writing_returns() -> None:
    class Recorder:
        calls: tuple[str, ...] = ()

        def open_exclusively(self) -> Seen:
            return Seen.YES

        def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
            return bytes(length_bytes)

        def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
            self.calls += ("write",)

        def flush(self) -> None:
            self.calls += ("flush",)

        def close(self) -> None:
            self.calls += ("close",)

    recorder = Recorder()
    markers.write(recorder, derive([room(64)]))
    assert recorder.calls == ("write",) * 18 + ("flush",)


# --- after an overwrite -------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [bytes(PAGE), b"\xa5\x01\x02\x03" * (PAGE // 4), page(7)])
def test_exactly_what_an_overwrite_wrote_is_as_overwritten(expected: bytes) -> None:
    assert markers.classify(page(1), expected, expected=expected).reading is MarkerReading.AS_OVERWRITTEN


@given(position=st.integers(0, PAGE * 8 - 1))
@settings(max_examples=40, deadline=None)
def test_one_bit_off_is_not_as_overwritten(position: int) -> None:
    expected = page(7)
    found = bytearray(expected)
    found[position // 8] ^= 1 << position % 8
    assert markers.classify(page(1), bytes(found), expected=expected).reading is MarkerReading.PSEUDORANDOM
    zeros = bytearray(PAGE)
    zeros[position // 8] = 1 << position % 8
    assert markers.classify(page(1), bytes(zeros), expected=bytes(PAGE)).reading is MarkerReading.UNCHANGED


def test_zeros_where_a_keystream_was_written_are_zeros() -> None:
    assert markers.classify(page(1), bytes(PAGE), expected=page(7)).reading is MarkerReading.ZERO


def test_a_marker_that_is_still_there_is_unchanged_whatever_was_expected() -> None:
    reading = markers.classify(page(1), page(1), expected=page(1))
    assert reading.reading is MarkerReading.UNCHANGED


def test_a_remnant_of_the_marker_in_an_overwritten_page_is_unchanged() -> None:
    expected = page(7)
    found = expected[:512] + page(1)[512:520] + expected[520:]
    assert markers.classify(page(1), found, expected=expected).reading is MarkerReading.UNCHANGED


def test_each_marker_is_compared_with_what_stands_at_its_own_place() -> None:
    class Blocks:
        def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
            return page(nsid * 1000 + offset_bytes)

    placed = derive([room(64)])[:3]
    content = lambda nsid, offset_bytes, length_bytes: page(nsid * 1000 + offset_bytes)  # noqa: E731
    blocks: Any = Blocks()
    assert {markers.read_after(blocks, each, content).reading for each in placed} == {
        MarkerReading.AS_OVERWRITTEN
    }
    other = lambda nsid, offset_bytes, length_bytes: page(nsid * 1000 + offset_bytes + 1)  # noqa: E731
    assert {markers.read_after(blocks, each, other).reading for each in placed} == {
        MarkerReading.PSEUDORANDOM
    }
