"""The journal: what a kill leaves, and what nobody may change."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import journal
from agent.journal import Journal, JournalWriter, Kind
from certificate.errors import Malformed, Refused
from certificate.messages import MAX_LINE_BYTES

TOKEN = "a1" * 16


def written(path: Path, count: int) -> Journal:
    writer = JournalWriter(path, token=TOKEN, clock=lambda: 7)
    for number in range(count):
        writer.append(Kind.PROGRESS, step="s", body={"medium": "m", "number": str(number)})
    writer.close()
    return journal.read(path)


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    found = journal.read(tmp_path / "journal.jsonl")
    assert (found.lines, found.head, found.has_evidence) == ((), "0" * 64, False)


def test_each_line_names_the_one_before(tmp_path: Path) -> None:
    found = written(tmp_path / "j", 3)
    assert found.lines[0].previous == "0" * 64
    assert len({line.previous for line in found.lines} | {found.head}) == 4
    assert [line.seq for line in found.lines] == [0, 1, 2]


@settings(deadline=None)
@given(cut=st.integers(min_value=1, max_value=400))
def test_a_torn_end_is_dropped_and_the_journal_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """Killed at any byte of a write: whole lines stay, the torn one is as if it had never been."""
    path = tmp_path_factory.mktemp("torn") / "j"
    whole = written(path, 3)
    data = path.read_bytes()
    kept = data[: max(0, len(data) - cut)]
    path.write_bytes(kept)
    lines = kept.count(b"\n")
    assert len(journal.read(path).lines) == lines
    after = written(path, 1)
    assert len(after.lines) == lines + 1
    assert after.lines[:lines] == whole.lines[:lines]


@given(st.data())
def test_one_changed_byte_of_an_earlier_line_refuses_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("changed") / "j"
    written(path, 3)
    found = bytearray(path.read_bytes())
    first_two = bytes(found).rfind(b"\n", 0, len(found) - 1)
    place = data.draw(st.integers(min_value=0, max_value=first_two - 1))
    found[place] ^= data.draw(st.sampled_from([1, 2, 4, 8]))
    path.write_bytes(bytes(found))
    with pytest.raises(Refused) as caught:
        journal.read(path)
    assert caught.value.code == "JOURNAL_BROKEN"


def test_a_line_left_out_refuses_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(Refused, match="JOURNAL_BROKEN"):
        journal.read(path)


def test_another_kind_of_line_in_a_journal_refuses(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"line":"accepted","token":"x"}\n')
    with pytest.raises(Refused, match="JOURNAL_BROKEN"):
        journal.read(path)


def test_a_line_is_on_disk_before_anybody_is_told(tmp_path: Path) -> None:
    path, seen = tmp_path / "j", []
    writer = JournalWriter(
        path,
        token=TOKEN,
        clock=lambda: 7,
        after_append=lambda line: seen.append(journal.read(path).lines[-1]),
    )
    line = writer.append(Kind.SENT, step="s", body={})
    assert seen == [line]


def test_a_line_nobody_could_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "j"
    writer = JournalWriter(path, token=TOKEN, clock=lambda: 7)
    with pytest.raises(Malformed, match="LIMIT_EXCEEDED"):
        writer.append(Kind.EVIDENCE, step="s", body={"annex": "x" * MAX_LINE_BYTES})
    assert path.read_bytes() == b""
    assert writer.append(Kind.FINISHED, step="s", body={}).seq == 0
