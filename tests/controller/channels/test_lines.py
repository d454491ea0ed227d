"""Lines out of a stream: the same however it arrives, and never more than may be read."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.messages import MAX_LINE_BYTES
from controller.channels.lines import CHUNK_BYTES, Deadline, LineReader
from controller.errors import Code, Unanswered

SOON = Deadline.after(60)


def reader(*chunks: bytes) -> LineReader:
    left = iter(chunks)
    return LineReader(lambda deadline: next(left, b""))


def lines_of(lines: LineReader) -> Iterator[bytes]:
    while (line := lines.line(SOON)) is not None:
        yield line


@given(
    lines=st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=6), data=st.data()
)
def test_lines_are_the_same_however_they_are_cut_on_the_way(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(stream) - 1)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(lines_of(reader(*(chunk for chunk in chunks if chunk)))) == lines


@pytest.mark.parametrize("chunk_bytes", [CHUNK_BYTES, 1000, MAX_LINE_BYTES + 5])
def test_a_line_has_one_mebibyte_with_its_line_feed_and_not_a_byte_more(chunk_bytes: int) -> None:
    longest = b"x" * (MAX_LINE_BYTES - 1)
    assert reader(*cut(longest + b"\n", chunk_bytes)).line(SOON) == longest
    with pytest.raises(Unanswered) as refused:
        reader(*cut(longest + b"x\n", chunk_bytes)).line(SOON)
    assert refused.value.code is Code.ANSWER_INVALID


def cut(stream: bytes, chunk_bytes: int) -> list[bytes]:
    return [stream[start : start + chunk_bytes] for start in range(0, len(stream), chunk_bytes)]


def test_a_stream_that_ends_inside_a_line_has_no_such_line() -> None:
    lines = reader(b"whole\nhalf")
    assert lines.line(SOON) == b"whole"
    with pytest.raises(Unanswered):
        lines.line(SOON)


def test_what_waits_behind_the_last_line_is_refused_unread() -> None:
    for chunks in ((b"last\nmore",), (b"last\n", b"more")):
        lines = reader(*chunks)
        lines.line(SOON)
        with pytest.raises(Unanswered):
            lines.refuse_more(SOON)
    lines = reader(b"last\n")
    lines.line(SOON)
    lines.refuse_more(SOON)


def test_a_deadline_that_passed_has_no_time_left() -> None:
    assert Deadline.after(-5).remaining_seconds == 0.0
