"""Which recorded errors are explained: here a drive that was found with a failed sanitize. Failures that the
plan's next technique followed: `test_commands`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.techniques import (
    FORMATS,
    INCONCLUSIVE,
    OVERWRITES,
    SANITIZES,
    Judged,
    as_json,
    sanitize_dword10,
    status_log,
)

Honest = Callable[..., Judged]


def kept_out(case: Judged) -> Judged:
    """It could not be marked, says why, and its status log from right before the start says so too."""
    bare = case.told("markers.markers", []).reopened().told("errors", ["ACCESS_REFUSED"])
    return bare.told("commands.0.status_log_before", status_log(sanitize_dword10(2), state=3))


@pytest.mark.parametrize("technique", SANITIZES)
def test_a_drive_that_a_failed_sanitize_kept_us_out_of_is_claimed_by_its_own_word(
    honest: Honest, technique: str
) -> None:
    case = kept_out(honest(technique))
    assert case.said == ("erased", "purge", "device-reported")
    assert "NO_MARKERS" in case.reasons


def test_only_its_own_status_right_before_explains_that_a_drive_was_not_marked(case: Judged) -> None:
    honest = case.evidence.media[0]
    for before in (status_log(0, state=0), status_log(sanitize_dword10(2)), "not_observed", "00"):
        less = kept_out(case).told("commands.0.status_log_before", before)
        assert (less.said, "ERRORS_SEEN" in less.reasons) == (INCONCLUSIVE, True), before
    marked = kept_out(case).told("markers", as_json(honest.markers))
    assert (marked.said, marked.reasons) == (INCONCLUSIVE, ("ERRORS_SEEN",))


def test_another_error_beside_it_is_a_doubt(case: Judged) -> None:
    """What no erase leaves, seen where a marker would lie: `CONTENT_LEFT`."""
    less = kept_out(case).told("errors", ["ACCESS_REFUSED", "CONTENT_LEFT"])
    assert (less.said, "ERRORS_SEEN" in less.reasons) == (INCONCLUSIVE, True)


def test_neither_a_format_nor_an_overwrite_leads_out_of_a_failed_sanitize(honest: Honest) -> None:
    for technique in (*FORMATS, *OVERWRITES):
        assert "ERRORS_SEEN" in kept_out(honest(technique)).reasons
