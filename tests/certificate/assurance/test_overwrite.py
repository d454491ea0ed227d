"""A host's own overwrite: every byte written and flushed, or nothing is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.reasons import Reason
from tests.techniques import HONEST, INCONCLUSIVE, NOT_ERASED, OVERWRITES, Judged, submission

Honest = Callable[..., Judged]
PASS = "commands.0.overwrite"


@pytest.mark.parametrize("technique", OVERWRITES)
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("bytes_written", lambda written: written - 512, Reason.OVERWRITE_INCOMPLETE),
        ("bytes_written", lambda written: written + 512, Reason.OVERWRITE_INCOMPLETE),
        ("bytes_written", "not_observed", Reason.OVERWRITE_INCOMPLETE),
        ("bytes_failed", 512, Reason.OVERWRITE_INCOMPLETE),
        ("bytes_failed", "not_observed", Reason.OVERWRITE_INCOMPLETE),
        ("was_flushed", "no", Reason.OVERWRITE_NOT_FLUSHED),
        ("was_flushed", "not_observed", Reason.OVERWRITE_NOT_FLUSHED),
    ],
)
def test_every_byte_was_written_and_flushed(
    honest: Honest, technique: str, field: str, value: Any, reason: Reason
) -> None:
    less = honest(technique).told(f"{PASS}.{field}", value)
    assert (less.said, less.reasons) == (INCONCLUSIVE, (reason.value,))


def test_bytes_that_failed_are_missing_even_if_the_sum_is_whole(overwritten: Judged) -> None:
    less = overwritten.told(f"{PASS}.bytes_written", lambda written: written - 512)
    assert less.told(f"{PASS}.bytes_failed", 512).reasons == ("OVERWRITE_INCOMPLETE",)


def test_a_pass_over_a_medium_of_unknown_size_is_not_complete(overwritten: Judged) -> None:
    less = overwritten.told("medium.capacity_bytes", "not_observed")
    assert "OVERWRITE_INCOMPLETE" in less.told(f"{PASS}.bytes_written", "not_observed").reasons


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("submission", submission(opcode=0x84, dword10=0x204)),
        ("submission", "not_observed"),
        ("completion_status", "0000"),
        ("completion_status", "not_observed"),
        ("status_log_before", "not_observed"),
        ("status_log_after", "00" * 64),
        ("overwrite", "not_applicable"),
    ],
)
def test_a_pass_has_its_own_record_and_no_device_words(overwritten: Judged, field: str, value: str) -> None:
    less = overwritten.told(f"commands.0.{field}", value)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("RECORD_DOES_NOT_FIT",))


@pytest.mark.parametrize("technique", OVERWRITES)
def test_what_was_written_is_the_plans_pattern_and_the_techniques(honest: Honest, technique: str) -> None:
    other = "zero" if OVERWRITES[technique] == "keystream" else "keystream"
    assert honest(technique).told(f"{PASS}.pattern", other).reasons == ("SUBMISSION_DIFFERS",)
    assert honest(technique).ordered("plan.overwrite", other).reasons == ("SUBMISSION_DIFFERS",)


def test_metadata_in_line_with_the_data_is_left_by_the_host(honest: Honest) -> None:
    case = honest("overwrite_zero", namespaces=2)
    assert case.word("NS2:FLBAS", "32").reasons == ("LAYOUT_DIFFERS",)
    assert case.word("NS2:FLBAS", "not_observed").reasons == ("LAYOUT_DIFFERS",)
    plain = honest("overwrite_zero", is_plain=True)
    assert plain.said == HONEST["overwrite_zero"]


@pytest.mark.parametrize("technique", OVERWRITES)
@pytest.mark.parametrize(
    ("reading", "expected", "reason"),
    [
        ("as_overwritten", HONEST["overwrite_zero"], None),
        ("unchanged", NOT_ERASED, "MARKER_UNCHANGED"),
        ("pseudorandom", INCONCLUSIVE, "MARKER_DOES_NOT_FIT"),
        ("zero", INCONCLUSIVE, "MARKER_DOES_NOT_FIT"),
        ("constant", INCONCLUSIVE, "MARKER_DOES_NOT_FIT"),
        ("unreadable", INCONCLUSIVE, "MARKER_NOT_READ"),
        ("not_applicable", INCONCLUSIVE, "MARKER_NOT_READ"),
        ("not_observed", INCONCLUSIVE, "MARKER_NOT_READ"),
    ],
)
def test_every_marker_reads_exactly_as_it_was_overwritten(
    honest: Honest, technique: str, reading: str, expected: Any, reason: str | None
) -> None:
    less = honest(technique).marker(1, reading_after=reading)
    assert less.said == expected
    assert reason is None or reason in less.reasons


def test_an_overwrite_without_markers_is_inconclusive(overwritten: Judged) -> None:
    bare = overwritten.told("markers.markers", []).reopened()
    assert (bare.said, bare.reasons) == (INCONCLUSIVE, ("NO_MARKERS", "HOST_HAS_NO_REPORT"))


def test_an_overwrite_is_at_most_clear(honest: Honest) -> None:
    for technique in OVERWRITES:
        less = honest(technique).ordered("plan.floor", "purge")
        assert (less.said, less.reasons) == (INCONCLUSIVE, ("BELOW_FLOOR",))
