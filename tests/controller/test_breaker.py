"""The breaker: what trips it, what is too few to trip it, and that a thaw begins anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.breaker import Census, Endings, doubtful_census, too_many_endings
from controller.configuration import Breaker

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETTINGS = Breaker()
HOUR = timedelta(hours=1)


def census(**changes: object) -> Census:
    fields: dict[str, object] = {"active_now": 100, "active_highest": 100, "silent_since": None}
    return Census(**(fields | changes))  # type: ignore[arg-type]


def test_without_a_history_five_a_day_are_usual_and_the_sixteenth_is_one_too_many() -> None:
    assert too_many_endings(SETTINGS, Endings(today=15, before=0)) is None
    told = too_many_endings(SETTINGS, Endings(today=16, before=0))
    assert told is not None
    assert "16 endings" in told


def test_a_provider_with_many_endings_is_held_to_its_own_mean() -> None:
    """Ten a day over thirty days: thirty may end today, and not one more."""
    assert too_many_endings(SETTINGS, Endings(today=30, before=300)) is None
    assert too_many_endings(SETTINGS, Endings(today=31, before=300)) is not None


@given(today=st.integers(1, 10_000), before=st.integers(0, 100_000), more=st.integers(0, 1000))
def test_one_ending_more_never_makes_a_burst_more_believable(today: int, before: int, more: int) -> None:
    if too_many_endings(SETTINGS, Endings(today=today, before=before)) is not None:
        assert too_many_endings(SETTINGS, Endings(today=today + more, before=before)) is not None


@pytest.mark.parametrize(
    ("active", "trips"),
    [(100, False), (80, False), (79, True), (0, True)],
)
def test_a_fall_by_more_than_a_fifth_in_a_day_is_not_believed(active: int, trips: bool) -> None:
    told = doubtful_census(SETTINGS, census(active_now=active), NOW)
    assert (told is not None) is trips


def test_a_few_are_never_a_burst_however_small_the_fleet() -> None:
    assert doubtful_census(SETTINGS, census(active_now=0, active_highest=5), NOW) is None
    assert doubtful_census(SETTINGS, census(active_now=0, active_highest=6), NOW) is not None


def test_before_the_first_census_nothing_fell() -> None:
    assert doubtful_census(SETTINGS, census(active_now=None, active_highest=None), NOW) is None


@pytest.mark.parametrize(("ago", "trips"), [(HOUR - timedelta(seconds=1), False), (HOUR, True)])
def test_a_source_that_shows_no_census_for_an_hour_is_not_believed(ago: timedelta, trips: bool) -> None:
    told = doubtful_census(SETTINGS, census(silent_since=NOW - ago), NOW)
    assert (told is not None) is trips


@given(now=st.integers(0, 1000), highest=st.integers(0, 1000), fewer=st.integers(0, 1000))
def test_fewer_active_subscriptions_are_never_more_believable(now: int, highest: int, fewer: int) -> None:
    if doubtful_census(SETTINGS, census(active_now=now, active_highest=highest), NOW) is not None:
        less = max(0, now - fewer)
        assert doubtful_census(SETTINGS, census(active_now=less, active_highest=highest), NOW) is not None
