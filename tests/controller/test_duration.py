"""Durations: one text, one length, and nothing a calendar decides."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.duration import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P7D", timedelta(days=7)),
        ("PT4H", timedelta(hours=4)),
        ("PT90S", timedelta(seconds=90)),
        ("P1DT12H30M5S", timedelta(days=1, hours=12, minutes=30, seconds=5)),
        ("PT0S", timedelta(0)),
    ],
)
def test_a_duration_is_read_as_iso_8601_writes_it(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "7 days",
        "P1M",
        "P1Y",
        "P1W",
        "PT1.5H",
        "-P1D",
        "P-1D",
        "PT5M1H",
        "PT1H1H",
        "p7d",
        " P7D",
        "P7D\n",
        "P99999D",
        "P٧D",
    ],
)
def test_whatever_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(seconds=st.integers(min_value=0, max_value=9999 * 86_400))
def test_every_duration_is_written_so_that_it_reads_back_the_same(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(duration_text(duration)) == duration


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta(milliseconds=1)])
def test_what_cannot_be_written_is_refused(duration: timedelta) -> None:
    with pytest.raises(ValueError, match="whole, non-negative"):
        duration_text(duration)
