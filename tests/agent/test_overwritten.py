"""What an overwrite leaves at each place follows from technique and aim alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import overwritten
from agent.journal_bodies import OverwriteRead
from agent.techniques.technique import Aim
from certificate import keystream
from certificate.statements.vocabulary import OverwritePattern, Technique

KEY = bytes(range(64))
MIB = 1 << 20
TWO = Aim(key=KEY, layout=((1, MIB + 8192), (3, MIB)))


def content(technique: Technique, aim: Aim = TWO) -> overwritten.Content:
    found = overwritten.content_after(technique, aim)
    assert found is not None
    return found


@given(st.integers(0, MIB // 512 - 8).map(lambda block: block * 512))
def test_the_second_namespace_goes_on_where_the_first_ended(offset_bytes: int) -> None:
    whole = keystream.read(
        KEY,
        capacity_bytes=2 * MIB + 8192,
        offset_bytes=MIB + 8192 + offset_bytes,
        length_bytes=4096,
    )
    assert content(Technique.OVERWRITE_KEYSTREAM)(3, offset_bytes, 4096) == whole


def test_zeros_are_zeros_everywhere() -> None:
    assert content(Technique.OVERWRITE_ZERO)(3, 512, 4096) == bytes(4096)


def test_a_drives_own_overwrite_repeats_dword_11_least_significant_byte_first() -> None:
    pattern = keystream.sanitize_pattern(KEY)
    for nsid in (1, 3):
        found = content(Technique.NVME_SANITIZE_OVERWRITE)(nsid, 512, 4096)
        assert found == pattern.to_bytes(4, "little") * 1024


def test_a_piece_amid_the_pattern_keeps_its_phase() -> None:
    whole = content(Technique.NVME_SANITIZE_OVERWRITE)(1, 0, 64)
    assert content(Technique.NVME_SANITIZE_OVERWRITE)(1, 3, 10) == whole[3:13]


@pytest.mark.parametrize(
    "technique",
    [
        None,
        Technique.NVME_SANITIZE_CRYPTO,
        Technique.NVME_SANITIZE_BLOCK,
        Technique.NVME_FORMAT_CRYPTO,
        Technique.NVME_FORMAT_USER_DATA,
        Technique.LUKS,
    ],
)
def test_of_every_other_technique_nobody_can_say_what_it_leaves(technique: Technique | None) -> None:
    assert overwritten.content_after(technique, TWO) is None


@pytest.mark.parametrize("layout", [(), ((1, 4608), (2, MIB)), ((2, MIB), (1, MIB))])
def test_over_what_is_no_stream_no_pass_was_made(layout: tuple[tuple[int, int], ...]) -> None:
    aim = Aim(key=KEY, layout=layout)
    assert overwritten.content_after(Technique.OVERWRITE_KEYSTREAM, aim) is None


def test_only_the_hosts_own_techniques_have_a_pattern_to_read_back() -> None:
    told = {technique: overwritten.pattern_of(technique) for technique in Technique}
    assert {technique for technique, pattern in told.items() if pattern is not None} == {
        Technique.OVERWRITE_KEYSTREAM,
        Technique.OVERWRITE_ZERO,
    }
    assert told[Technique.OVERWRITE_ZERO] is OverwritePattern.ZERO
    assert overwritten.pattern_of(None) is None


def read(**changes: Any) -> OverwriteRead:
    told = {"pattern": "zero", "bytes_written": 2 * MIB + 8192, "bytes_failed": 0, "was_flushed": "yes"}
    return OverwriteRead(**(told | changes))


def test_a_pass_is_whole_when_every_byte_was_written_and_flushed() -> None:
    assert overwritten.is_whole(read(), TWO)


@pytest.mark.parametrize(
    "changes",
    [
        {"bytes_written": 2 * MIB + 8191},
        {"bytes_written": 2 * MIB + 8193},
        {"bytes_failed": 1},
        {"was_flushed": "no"},
        {"was_flushed": "not_observed"},
    ],
)
def test_a_pass_that_lacks_anything_is_not_whole(changes: dict[str, Any]) -> None:
    assert not overwritten.is_whole(read(**changes), TWO)


def test_a_pass_that_nobody_told_of_is_not_whole() -> None:
    assert not overwritten.is_whole(None, TWO)
