from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.devices.layout import BLOCK_BYTES, SECTOR_BYTES, Layout

layouts = some.lists(
    some.integers(1, 9).map(lambda blocks: blocks * BLOCK_BYTES), min_size=1, max_size=6
).map(lambda sizes: tuple((1 + 2 * place, size) for place, size in enumerate(sizes)))


@given(
    namespaces=layouts, start=some.integers(0, 60 * BLOCK_BYTES), length=some.integers(1, 60 * BLOCK_BYTES)
)
def test_pieces_are_the_stream_and_never_cross_a_namespace(
    namespaces: tuple[tuple[int, int], ...], start: int, length: int
) -> None:
    layout = Layout(namespaces)
    start %= layout.capacity_bytes
    length = min(length, layout.capacity_bytes - start)
    stream = [(nsid, offset) for nsid, size in namespaces for offset in range(size)]
    pieces = list(layout.pieces(start, length))
    made = [(each.nsid, each.offset_bytes + step) for each in pieces for step in range(each.end - each.start)]
    assert made == stream[start : start + length]
    assert [each.start for each in pieces] == [0, *(each.end for each in pieces[:-1])]
    assert pieces[-1].end == length


@given(namespaces=layouts, place=some.integers(0, 60 * BLOCK_BYTES))
def test_every_place_of_a_namespace_has_one_place_in_the_stream(
    namespaces: tuple[tuple[int, int], ...], place: int
) -> None:
    layout = Layout(namespaces)
    place %= layout.capacity_bytes
    (piece,) = layout.pieces(place, 1)
    assert layout.offset_of(piece.nsid, piece.offset_bytes) == place


def test_the_capacity_is_what_can_be_addressed() -> None:
    assert Layout(((1, 4096), (7, 512))).capacity_bytes == 4608


def test_the_last_namespace_may_end_on_any_sector() -> None:
    (piece,) = Layout(((1, 4096), (2, 1024))).pieces(4096, 1024)
    assert (piece.nsid, piece.offset_bytes) == (2, 0)


@pytest.mark.parametrize(
    "namespaces",
    [
        (),
        ((1, 0),),
        ((1, -4096),),
        ((1, SECTOR_BYTES - 1),),
        ((2, 4096), (1, 4096)),
        ((1, 4096), (1, 4096)),
        ((1, 4096 + 512), (2, 4096)),
        ((1, 4096), (2, 0)),
    ],
)
def test_what_is_no_stream_of_whole_blocks_is_refused(namespaces: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="namespace"):
        Layout(namespaces)


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 0), (8192, 1), (8191, 2), (0, 8193)])
def test_nothing_lies_outside_the_stream(start: int, length: int) -> None:
    with pytest.raises(ValueError, match="do not lie in"):
        list(Layout(((1, 4096), (2, 4096))).pieces(start, length))


@pytest.mark.parametrize(("nsid", "offset"), [(3, 0), (1, 4096), (1, -1)])
def test_a_place_of_no_namespace_has_none_in_the_stream(nsid: int, offset: int) -> None:
    with pytest.raises(ValueError, match="there is no byte"):
        Layout(((1, 4096), (2, 4096))).offset_of(nsid, offset)
