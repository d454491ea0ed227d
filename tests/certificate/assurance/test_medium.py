"""The medium itself, before and after, and how much of it a technique can reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.reasons import Reason
from tests.techniques import FORMATS, HONEST, INCONCLUSIVE, OVERWRITES, SANITIZES, TECHNIQUES, Judged

Honest = Callable[..., Judged]


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(
    ("field", "wanted", "reason"),
    [
        ("was_present", "yes", Reason.NOT_PRESENT),
        ("opened_exclusively", "yes", Reason.NOT_EXCLUSIVE),
        ("same_identity_after", "yes", Reason.IDENTITY_CHANGED),
        ("is_readable_after", "yes", Reason.NOT_READABLE),
        ("is_write_protected", "no", Reason.WRITE_PROTECTED),
        ("namespaces.0.is_covered", "yes", Reason.NAMESPACE_NOT_COVERED),
    ],
)
def test_each_fact_of_the_medium_is_needed(
    honest: Honest, technique: str, field: str, wanted: str, reason: Reason
) -> None:
    for value in {"yes", "no", "not_observed"} - {wanted}:
        less = honest(technique).told(field, value)
        assert less.said == INCONCLUSIVE
        assert reason.value in less.reasons


@pytest.mark.parametrize(
    ("path", "planned", "other"),
    [
        ("medium.capacity_bytes", "capacity_bytes", 4096),
        ("medium.firmware", "firmware", "OTHER"),
        ("medium.transport", None, "virtio"),
        ("attachment", None, "removable"),
    ],
)
def test_a_medium_unlike_the_planned_one_is_doubted(
    case: Judged, path: str, planned: str | None, other: Any
) -> None:
    assert "MEDIUM_DIFFERS" in case.told(path, other).reasons
    assert "MEDIUM_DIFFERS" in case.told(path, "not_observed").reasons
    if planned is not None:
        assert "MEDIUM_DIFFERS" not in case.planned(planned, "not_observed").told(path, other).reasons


@pytest.mark.parametrize("attachment", ["remote", "removable", "virtual"])
def test_storage_that_the_order_names_as_it_is_attached_is_judged_as_any_other(
    case: Judged, attachment: str
) -> None:
    named = case.planned("attachment", attachment)
    assert named.reasons == ("MEDIUM_DIFFERS",)
    assert named.told("attachment", attachment).said == HONEST["nvme_sanitize_crypto"]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_medium_is_of_the_kind_that_its_own_words_make_it(honest: Honest, technique: str) -> None:
    """The validation table decides by the kind, so the plan's word for it is not believed."""
    for kind in ("nvme", "plain"):
        assert "MEDIUM_DIFFERS" in honest(technique).planned("kind", kind).reasons
    for raw in ("06000000", "not_observed"):
        assert "MEDIUM_DIFFERS" in honest(technique).word("SANICAP", raw).reasons
    plain = honest("overwrite_zero", is_plain=True)
    assert plain.planned("kind", "nvme").reasons == ("MEDIUM_DIFFERS",)


def test_what_no_driver_of_ours_opened_was_not_held(case: Judged) -> None:
    assert case.told("medium.device_class", "not_opened").reasons == ("NOT_EXCLUSIVE",)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_namespace_that_nobody_listed_shows_in_the_capacity(honest: Honest, technique: str) -> None:
    hidden = honest(technique).told("namespaces.0.capacity_bytes", lambda capacity: capacity - 4096)
    assert hidden.said == INCONCLUSIVE
    assert "CAPACITY_UNACCOUNTED" in hidden.reasons
    for path in ("unallocated_capacity_bytes", "namespaces.0.capacity_bytes"):
        assert "CAPACITY_UNACCOUNTED" in honest(technique).told(path, "not_observed").reasons


@pytest.mark.parametrize("technique", SANITIZES)
def test_a_sanitize_reaches_what_no_namespace_holds(honest: Honest, technique: str) -> None:
    less = honest(technique).told("namespaces.0.capacity_bytes", lambda capacity: capacity - 4096)
    rest = less.told("unallocated_capacity_bytes", 4096).word("UNVMCAP", "0010" + "00" * 14)
    assert rest.marked().said == HONEST[technique]


@pytest.mark.parametrize("technique", [*FORMATS, *OVERWRITES])
def test_only_a_sanitize_reaches_what_no_namespace_holds(honest: Honest, technique: str) -> None:
    less = honest(technique).told("namespaces.0.capacity_bytes", lambda capacity: capacity - 4096)
    rest = less.told("unallocated_capacity_bytes", 4096).word("UNVMCAP", "0010" + "00" * 14)
    assert rest.said == INCONCLUSIVE
    assert "UNALLOCATED_NOT_REACHED" in rest.reasons


@pytest.mark.parametrize("technique", [*FORMATS, *OVERWRITES])
@pytest.mark.parametrize("raw", ["not_observed", "00", "01" + "00" * 15])
def test_the_drives_own_word_says_that_nothing_is_unallocated(
    honest: Honest, technique: str, raw: str
) -> None:
    less = honest(technique).word("UNVMCAP", raw)
    gone = honest(technique).told("capabilities", lambda words: [w for w in words if w["field"] != "UNVMCAP"])
    for case in (less, gone):
        assert case.said == INCONCLUSIVE
        assert "UNALLOCATED_NOT_REACHED" in case.reasons


@pytest.mark.parametrize("technique", [*FORMATS, *OVERWRITES])
def test_the_drives_own_word_says_how_large_it_is(honest: Honest, technique: str) -> None:
    case = honest(technique)
    assert case.word("TNVMCAP", "00" * 16).said == HONEST[technique]
    for raw in ("not_observed", "00", "ff" * 8 + "00" * 8):
        less = case.word("TNVMCAP", raw)
        assert less.said == INCONCLUSIVE
        assert "CAPACITY_UNACCOUNTED" in less.reasons


@pytest.mark.parametrize("technique", [*FORMATS, *OVERWRITES])
@pytest.mark.parametrize("sharing", ["02", "06", "not_observed", "0200"])
def test_what_one_of_several_controllers_lists_may_not_be_everything(
    honest: Honest, technique: str, sharing: str
) -> None:
    """Another controller's namespace stands in no list, and no capacity counts it."""
    case = honest(technique).word("CMIC", sharing)
    assert case.said == HONEST[technique]
    more = case.word("NN", "02000000")
    assert more.said == HONEST[technique], "with namespace management all that are allocated are listed"
    alone = case.word("OACS", "0600")
    assert alone.said == HONEST[technique]
    unknown = (
        case.word("TNVMCAP", "00" * 16),
        more.word("OACS", "0600"),
        alone.word("NN", "not_observed"),
        more.word("OACS", "not_observed"),
    )
    for less in unknown:
        assert (less.said, "CAPACITY_UNACCOUNTED" in less.reasons) == (INCONCLUSIVE, True)
    assert honest(technique).word("OACS", "0600").word("NN", "80000000").said == HONEST[technique]


@pytest.mark.parametrize("technique", SANITIZES)
@pytest.mark.parametrize("sharing", ["02", "06", "not_observed", "0200"])
def test_a_sanitize_reaches_the_namespaces_of_every_controller_and_shows_it_of_the_listed_ones(
    honest: Honest, technique: str, sharing: str
) -> None:
    """A namespace that this controller does not list holds no marker: what is left is the drive's word."""
    case = honest(technique).word("CMIC", sharing)
    assert case.said == HONEST[technique]
    more = case.word("NN", "02000000")
    assert more.said == HONEST[technique], "with namespace management all that are allocated are listed"
    alone = case.word("OACS", "0600")
    assert alone.said == HONEST[technique]
    unknown = (
        case.word("TNVMCAP", "00" * 16),
        case.word("TNVMCAP", "not_observed"),
        more.word("OACS", "0600"),
        alone.word("NN", "not_observed"),
        more.word("OACS", "not_observed"),
    )
    for less in unknown:
        assert less.said == ("erased", "purge", "device-reported")
        assert "NAMESPACES_UNLISTED" in less.reasons
    assert honest(technique).word("OACS", "0600").word("NN", "80000000").said == HONEST[technique]


@pytest.mark.parametrize("technique", SANITIZES)
@pytest.mark.parametrize("sharing", ["00", "02"])
@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_total_other_than_what_is_listed_leaves_a_sanitize_the_drives_word(
    honest: Honest, technique: str, sharing: str, factor: float
) -> None:
    case = honest(technique).word("CMIC", sharing)
    total = int(case.evidence.media[0].medium.capacity_bytes * factor)
    less = case.word("TNVMCAP", total.to_bytes(16, "little").hex())
    assert less.said == ("erased", "purge", "device-reported")
    assert "NAMESPACES_UNLISTED" in less.reasons


@pytest.mark.parametrize("technique", [*FORMATS, *OVERWRITES])
@pytest.mark.parametrize("attached", ["no", "not_observed"])
def test_a_namespace_that_is_not_attached_is_reached_by_a_sanitize_only(
    honest: Honest, technique: str, attached: str
) -> None:
    less = honest(technique, namespaces=2).told("namespaces.1.is_attached", attached)
    assert less.said == INCONCLUSIVE
    assert "NAMESPACE_NOT_REACHED" in less.reasons
    sanitized = honest("nvme_sanitize_crypto", namespaces=2).told("namespaces.1.is_attached", attached)
    assert sanitized.marked().said == ("erased", "purge", "device-reported")


def test_a_medium_of_no_capacity_is_no_medium(case: Judged) -> None:
    """Nothing of nothing is erased: over nothing, every sum comes out."""
    empty = case.told("namespaces", []).told("markers.markers", []).reopened()
    empty = empty.told("medium.capacity_bytes", 0).planned("capacity_bytes", 0)
    assert "CAPACITY_UNACCOUNTED" in empty.reasons
    assert empty.said == INCONCLUSIVE


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_capacity_that_the_medium_hides_is_doubted(honest: Honest, technique: str) -> None:
    case = honest(technique)
    shown = case.evidence.media[0].medium.capacity_bytes
    assert case.told("medium.native_capacity_bytes", shown).said == HONEST[technique]
    for native in (shown + 512, "not_observed"):
        less = case.told("medium.native_capacity_bytes", native)
        assert less.said == INCONCLUSIVE
        assert "HIDDEN_CAPACITY" in less.reasons
    nobody = case.told("medium.native_capacity_bytes", shown).told("medium.capacity_bytes", "not_observed")
    assert "HIDDEN_CAPACITY" in nobody.reasons


@pytest.mark.parametrize("released", ["no", "not_observed"])
def test_what_held_the_medium_has_let_go(case: Judged, released: str) -> None:
    assert case.told("released", [{"kind": "raid", "is_released": "yes"}]).reasons == ()
    held = [{"kind": "raid", "is_released": "yes"}, {"kind": "mount", "is_released": released}]
    less = case.told("released", held)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("NOT_RELEASED",))


def test_recorded_errors_are_doubted(case: Judged) -> None:
    less = case.told("errors", ["READ_FAILED"])
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("ERRORS_SEEN",))
