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


def test_markers_that_do_not_open_the_commitment_are_doubted(case: Judged) -> None:
    for path, value in (
        ("committed_digest", "not_observed"),
        ("committed_digest", "00" * 32),
        ("was_acknowledged", "no"),
        ("was_acknowledged", "not_observed"),
    ):
        less = case.told(f"markers.{path}", value)
        assert (less.said, less.reasons) == (INCONCLUSIVE, ("MARKERS_NOT_COMMITTED",)), path
    for path, value in (("nonce", "not_observed"), ("nonce", "00" * 32), ("markers.0.offset_bytes", 8192)):
        less = case.told(f"markers.{path}", value)
        assert less.reasons == ("MARKERS_NOT_COMMITTED", "MARKERS_NOT_DERIVED"), path


def test_markers_that_were_not_counted_are_doubted(case: Judged) -> None:
    less = case.told("markers.committed_count", 17)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("MARKERS_INCOMPLETE",))


def test_a_marker_left_out_is_doubted_even_if_the_rest_opens_a_commitment(case: Judged) -> None:
    fewer = case.told("markers.markers", lambda markers: markers[:2]).reopened()
    less = fewer.told("markers.committed_count", 3)
    assert less.said == INCONCLUSIVE
    assert less.reasons == ("MARKERS_INCOMPLETE", "MARKERS_NOT_DERIVED", "MARKERS_TOO_FEW")


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offset_bytes", 4096),
        ("length_bytes", 512),
        ("length_bytes", 0),
        ("content_sha256", "00" * 32),
        ("nsid", 2),
    ],
)
def test_a_marker_that_nobody_derives_is_doubted_though_the_commitment_names_it(
    honest: Honest, technique: str, field: str, value: Any
) -> None:
    less = honest(technique).marker(0, **{field: value}).reopened()
    assert (less.said, "MARKERS_NOT_DERIVED" in less.reasons) == (INCONCLUSIVE, True)


@pytest.mark.parametrize(
    "offsets_bytes", [[4096 * page for page in range(18)], [10**15 + n for n in range(18)]]
)
def test_markers_on_the_first_pages_alone_or_beyond_the_end_prove_nothing(
    case: Judged, offsets_bytes: list[int]
) -> None:
    less = case
    for index, offset_bytes in enumerate(offsets_bytes):
        less = less.marker(index, offset_bytes=offset_bytes)
    assert (less.reopened().said, less.reopened().reasons) == (INCONCLUSIVE, ("MARKERS_NOT_DERIVED",))


def test_fewer_markers_than_are_derived_or_one_twice_are_doubted(case: Judged) -> None:
    """As many as three in the namespace, and each one where it belongs."""
    for chosen in (lambda markers: markers[:3], lambda markers: markers[1:], lambda m: [*m, m[0]]):
        less = case.told("markers.markers", chosen).reopened()
        assert (less.said, less.reasons) == (INCONCLUSIVE, ("MARKERS_NOT_DERIVED",))


@pytest.mark.parametrize("path", ["namespaces.0.is_attached", "namespaces.0.capacity_bytes"])
def test_markers_of_a_namespace_that_nobody_knows_are_not_derived(case: Judged, path: str) -> None:
    assert "MARKERS_NOT_DERIVED" in case.told(path, "not_observed").reasons


def test_more_namespaces_than_can_be_marked_are_doubted(case: Judged) -> None:
    many = case.told("namespaces", lambda had: [had[0] | {"nsid": nsid} for nsid in range(1, 66)])
    assert "MARKERS_NOT_DERIVED" in many.reasons


@pytest.mark.parametrize("technique", ["nvme_sanitize_crypto", "nvme_format_crypto"])
def test_without_markers_a_success_is_device_reported(honest: Honest, technique: str) -> None:
    bare = honest(technique).told("markers.markers", []).reopened()
    assert bare.said == ("erased", HONEST[technique][1], "device-reported")
    assert bare.reasons == ("NO_MARKERS",)
    assert assurance.REPORTED_LIMIT in bare.claim().limits


def test_a_namespace_without_markers_keeps_the_whole_medium_at_device_reported(case: Judged) -> None:
    less = case.detached()
    assert (less.said, less.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


@pytest.mark.parametrize(
    ("pages", "expected"), [(1, DEVICE_REPORTED), (2, DEVICE_REPORTED), (3, MARKER_PROVEN)]
)
def test_every_namespace_needs_three_markers(
    case: Judged, pages: int, expected: tuple[str, str, str]
) -> None:
    two = case.detached(pages * 4096).told("namespaces.1.is_attached", "yes").marked()
    assert two.said == expected
    assert two.reasons == (() if expected == MARKER_PROVEN else ("MARKERS_TOO_FEW",))


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
