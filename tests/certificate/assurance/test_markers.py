"""The markers: that they are those committed to, that there are enough, and what each reading is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate import assurance
from certificate.assurance import strength
from certificate.reasons import Reason
from tests.techniques import HONEST, INCONCLUSIVE, NOT_ERASED, TECHNIQUES, Judged

Honest = Callable[..., Judged]
MARKER_PROVEN = HONEST["nvme_sanitize_crypto"]
DEVICE_REPORTED = HONEST["nvme_sanitize_block"]


@pytest.mark.parametrize(
    ("reading", "expected", "reason"),
    [
        ("pseudorandom", MARKER_PROVEN, None),
        ("zero", DEVICE_REPORTED, Reason.MARKER_READS_CONSTANT),
        ("constant", DEVICE_REPORTED, Reason.MARKER_READS_CONSTANT),
        ("as_overwritten", INCONCLUSIVE, Reason.MARKER_DOES_NOT_FIT),
        ("unchanged", NOT_ERASED, Reason.MARKER_UNCHANGED),
        ("unreadable", INCONCLUSIVE, Reason.MARKER_NOT_READ),
        ("not_applicable", INCONCLUSIVE, Reason.MARKER_NOT_READ),
        ("not_observed", INCONCLUSIVE, Reason.MARKER_NOT_READ),
    ],
)
def test_one_marker_decides_what_a_cryptographic_erase_may_claim(
    case: Judged, reading: str, expected: tuple[str, str, str], reason: Reason | None
) -> None:
    read = case.marker(1, reading_after=reading)
    assert (read.said, read.reasons) == (expected, (reason.value,) if reason else ())


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_drive_that_reports_success_over_an_unchanged_marker_is_not_erased(
    honest: Honest, technique: str
) -> None:
    assert honest(technique).marker(2, reading_after="unchanged", changed_65536ths=0).said == NOT_ERASED


def test_a_block_erase_whose_markers_look_random_is_still_device_reported(block: Judged) -> None:
    assert block.every_marker(reading_after="pseudorandom").said == DEVICE_REPORTED
    assert block.marker(0, reading_after="as_overwritten").said == INCONCLUSIVE


def test_a_marker_never_seen_on_the_medium_proves_nothing(case: Judged) -> None:
    for seen in ("no", "not_observed"):
        less = case.marker(0, read_back_before=seen)
        assert (less.said, less.reasons) == (DEVICE_REPORTED, ("MARKER_NOT_READ_BACK",))


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("changed", [0, 20_000, 28_671, 36_865, 65_536, "not_observed"])
def test_a_reading_that_its_count_of_changed_bits_contradicts_is_doubted(
    honest: Honest, technique: str, changed: Any
) -> None:
    less = honest(technique).marker(0, changed_65536ths=changed)
    assert (less.said, "MARKER_IMPLAUSIBLE" in less.reasons) == (INCONCLUSIVE, True)


@pytest.mark.parametrize("changed", [28_672, 36_864])
def test_half_of_the_bits_give_or_take_a_sixteenth_is_believed(case: Judged, changed: int) -> None:
    assert case.marker(0, changed_65536ths=changed).said == MARKER_PROVEN


def test_a_marker_shorter_than_a_block_proves_nothing(case: Judged) -> None:
    assert case.marker(0, length_bytes=512).reopened().said == MARKER_PROVEN
    short = case.marker(0, length_bytes=511).reopened()
    assert (short.said, short.reasons) == (INCONCLUSIVE, ("MARKER_IMPLAUSIBLE",))


def test_markers_that_do_not_open_the_commitment_are_doubted(case: Judged) -> None:
    for path, value in (
        ("committed_digest", "not_observed"),
        ("committed_digest", "00" * 32),
        ("nonce", "not_observed"),
        ("nonce", "00" * 32),
        ("was_acknowledged", "no"),
        ("was_acknowledged", "not_observed"),
        ("markers.0.offset_bytes", 8192),
    ):
        less = case.told(f"markers.{path}", value)
        assert (less.said, less.reasons) == (INCONCLUSIVE, ("MARKERS_NOT_COMMITTED",)), path


def test_a_marker_left_out_is_doubted_even_if_the_rest_opens_a_commitment(case: Judged) -> None:
    fewer = case.told("markers.markers", lambda markers: markers[:2]).reopened()
    less = fewer.told("markers.committed_count", 3)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("MARKERS_INCOMPLETE", "MARKERS_TOO_FEW"))


def test_one_marker_listed_twice_does_not_count_as_two(case: Judged) -> None:
    twice = case.told("markers.markers", lambda markers: [*markers, markers[0]]).reopened()
    assert twice.reasons == ("MARKERS_INCOMPLETE",)


def test_a_marker_in_a_namespace_that_is_not_listed_is_doubted(case: Judged) -> None:
    assert case.marker(0, nsid=2).reopened().reasons == ("MARKERS_INCOMPLETE", "MARKERS_TOO_FEW")


@pytest.mark.parametrize("technique", ["nvme_sanitize_crypto", "nvme_format_crypto"])
def test_without_markers_a_success_is_device_reported(honest: Honest, technique: str) -> None:
    bare = honest(technique).told("markers.markers", []).reopened()
    assert bare.said == ("erased", HONEST[technique][1], "device-reported")
    assert bare.reasons == ("NO_MARKERS",)
    assert assurance.REPORTED_LIMIT in bare.claim().limits


def test_a_namespace_without_markers_keeps_the_whole_medium_at_device_reported(case: Judged) -> None:
    less = case.detached()
    assert (less.said, less.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


def test_every_namespace_needs_three_markers(case: Judged) -> None:
    two = case.detached()
    for offsets_bytes in ((0,), (0, 4096)):
        less = two.marked_in(2, *offsets_bytes)
        assert (less.said, less.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))
    assert two.marked_in(2, 0, 4096, 7 * 4096).said == MARKER_PROVEN


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_markers_on_a_whole_drive_are_too_few(case: Judged, count: int) -> None:
    less = case.told("markers.markers", lambda markers: markers[:count]).reopened()
    assert (less.said, less.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


def test_three_markers_at_one_offset_are_one(case: Judged) -> None:
    less = case.detached().marked_in(2, 0, 0, 0)
    assert less.reasons == ("MARKERS_INCOMPLETE", "MARKERS_TOO_FEW")


def test_a_namespace_left_out_of_the_list_does_not_raise_the_claim(case: Judged, block: Judged) -> None:
    for hidden in (case.detached(), block.detached()):
        less = hidden.told("namespaces", lambda namespaces: namespaces[:1])
        assert "CAPACITY_UNACCOUNTED" in less.reasons
        assert strength(less.claim()) < strength(hidden.claim())


def test_a_namespace_that_passes_for_another_is_not_proven_by_its_markers(case: Judged) -> None:
    less = case.detached().told("namespaces.1.nsid", 1)
    assert (less.said, less.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


def test_a_namespace_of_no_size_needs_no_marker(case: Judged) -> None:
    assert case.detached(capacity_bytes=0).said == MARKER_PROVEN
