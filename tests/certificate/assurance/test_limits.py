"""What a claim says that it does not prove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate import assurance
from tests.techniques import FORMATS, OVERWRITES, TECHNIQUES, Judged, Techniques

Honest = Callable[..., Judged]
ALWAYS = {
    assurance.CELLS_LIMIT,
    assurance.FIRMWARE_LIMIT,
    assurance.START_LIMIT,
    assurance.COPIES_LIMIT,
}


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_claim_says_that_cells_firmware_start_and_copies_were_not_seen(
    honest: Honest, technique: str
) -> None:
    case = honest(technique)
    for each in (case, case.seen("media", []), case.marker(0, reading_after="unchanged")):
        assert set(each.claim().limits) >= ALWAYS


def test_layers_alone_say_so_too(techniques: Techniques) -> None:
    assert set(techniques.layers_alone().claim().limits) >= ALWAYS | {assurance.LAYERS_LIMIT}


def test_limits_name_what_this_erase_does_not_show(case: Judged) -> None:
    assert assurance.REPORTED_LIMIT not in case.claim().limits
    for attached in ("yes", "not_observed"):
        assert assurance.ATTACHED_LIMIT in case.seen("was_attached", attached).claim().limits
    assert assurance.ATTACHED_LIMIT not in case.claim().limits
    assert assurance.UNALLOCATED_LIMIT not in case.claim().limits
    for unallocated in (4096, "not_observed"):
        claim = case.told("unallocated_capacity_bytes", unallocated).claim()
        assert assurance.UNALLOCATED_LIMIT in claim.limits
    areas = case.told("unaddressed_areas", ["boot partition 1"]).claim().limits
    assert any("boot partition 1" in limit for limit in areas)
    assert not any("boot partition 1" in limit for limit in case.claim().limits)


@pytest.mark.parametrize("name", ["emulated", "image_file"])
def test_what_is_no_real_drive_is_called_so(case: Judged, name: str) -> None:
    assert any(name in limit for limit in case.told("medium.device_class", name).claim().limits)
    assert not any(name in limit for limit in case.claim().limits)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_each_technique_says_what_is_its_own(honest: Honest, technique: str) -> None:
    limits = honest(technique).claim().limits
    is_cryptographic = technique in ("nvme_sanitize_crypto", "nvme_format_crypto")
    for sentence, is_due in (
        (assurance.KEY_LIMIT, is_cryptographic),
        (assurance.ESCROW_LIMIT, is_cryptographic),
        (assurance.COMPLETION_LIMIT, technique in FORMATS),
        (assurance.FLASH_LIMIT, technique in OVERWRITES),
        (assurance.SPARE_LIMIT, technique in OVERWRITES),
    ):
        assert (sentence in limits) is is_due


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_known_copy_of_a_key_is_never_called_unknown(honest: Honest, technique: str) -> None:
    case = honest(technique, layers=1)
    for escrow, said in (
        ("none", {}),
        ("unknown", {assurance.ESCROW_LIMIT}),
        ("known", {assurance.KNOWN_COPY_LIMIT}),
    ):
        limits = set(case.ordered("escrow", escrow).claim().limits)
        assert limits & {assurance.ESCROW_LIMIT, assurance.KNOWN_COPY_LIMIT} == set(said)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("sharing", ["02", "not_observed"])
def test_namespaces_that_may_not_be_listed_are_named(honest: Honest, technique: str, sharing: str) -> None:
    case = honest(technique)
    assert assurance.UNLISTED_LIMIT not in case.claim().limits
    several = case.word("CMIC", sharing).word("TNVMCAP", "00" * 16)
    assert assurance.UNLISTED_LIMIT in several.claim().limits


def test_a_plain_disk_has_no_other_controllers(honest: Honest) -> None:
    assert assurance.UNLISTED_LIMIT not in honest("overwrite_zero", is_plain=True).claim().limits


def test_capacity_that_nobody_looked_for_is_named(case: Judged) -> None:
    unseen = case.told("medium.native_capacity_bytes", "not_observed")
    assert assurance.NATIVE_LIMIT in unseen.claim().limits
    assert assurance.NATIVE_LIMIT not in case.claim().limits


def sample_limits(case: Judged) -> list[str]:
    return [limit for limit in case.claim().limits if "samples" in limit]


def test_a_sample_says_how_much_it_read(honest: Honest) -> None:
    assert sample_limits(honest("overwrite_zero", read_back="full")) == []
    (said,) = sample_limits(honest("overwrite_zero", read_back="sampled"))
    assert "384075915264 of 3840755982336 bytes (10.00 %)" in said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("read_back.bytes_read", "not_observed"),
        ("medium.capacity_bytes", "not_observed"),
        ("medium.capacity_bytes", 0),
    ],
)
def test_a_sample_whose_share_nobody_knows_says_that(honest: Honest, path: str, value: Any) -> None:
    (said,) = sample_limits(honest("overwrite_zero", read_back="sampled").told(path, value))
    assert "not observed" in said


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_read_back_says_what_it_cannot_tell(honest: Honest, technique: str) -> None:
    """Zeros read as unmapping does, and a drive may answer from its cache."""
    limits = honest(technique).claim().limits
    assert (assurance.ZERO_LIMIT in limits) is (technique == "overwrite_zero")
    assert (assurance.CACHE_LIMIT in limits) is (technique in OVERWRITES)
