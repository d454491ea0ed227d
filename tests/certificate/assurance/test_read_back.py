"""What was read back: all that the plan asks for, from the places nobody chose, without one byte amiss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.reasons import Reason
from tests.techniques import HONEST, INCONCLUSIVE, NOT_ERASED, OVERWRITES, TECHNIQUES, Judged

Honest = Callable[..., Judged]
OTHERS = sorted(set(TECHNIQUES) - set(OVERWRITES))


@pytest.mark.parametrize("technique", OVERWRITES)
@pytest.mark.parametrize("mode", ["full", "sampled"])
@pytest.mark.parametrize(
    ("field", "value", "expected", "reason"),
    [
        ("seed", "00" * 32, INCONCLUSIVE, Reason.READ_BACK_NOT_AS_PLANNED),
        ("seed", "not_observed", INCONCLUSIVE, Reason.READ_BACK_NOT_AS_PLANNED),
        ("extents_planned", lambda count: count - 1, INCONCLUSIVE, Reason.READ_BACK_NOT_AS_PLANNED),
        ("extents_planned", lambda count: count + 1, INCONCLUSIVE, Reason.READ_BACK_NOT_AS_PLANNED),
        ("extents_read", lambda count: count - 1, INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("extents_read", "not_observed", INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_read", lambda count: count - 1, INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_read", lambda count: count + 1, INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_read", "not_observed", INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_unreadable", 1, INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_unreadable", "not_observed", INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_mismatched", "not_observed", INCONCLUSIVE, Reason.READ_BACK_INCOMPLETE),
        ("bytes_mismatched", 1, NOT_ERASED, Reason.READ_BACK_MISMATCH),
    ],
)
def test_each_number_of_a_read_back_counts(
    honest: Honest, technique: str, mode: str, field: str, value: Any, expected: Any, reason: Reason
) -> None:
    less = honest(technique, read_back=mode).told(f"read_back.{field}", value)
    assert (less.said, less.reasons) == (expected, (reason.value,))


@pytest.mark.parametrize("technique", OVERWRITES)
@pytest.mark.parametrize("found", ["not_applicable", "not_observed"])
def test_an_overwrite_without_a_read_back_is_inconclusive(honest: Honest, technique: str, found: str) -> None:
    less = honest(technique).told("read_back", found)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("READ_BACK_MISSING",))


def test_a_sample_is_not_a_full_read_back(honest: Honest) -> None:
    sampled = honest("overwrite_keystream", read_back="sampled")
    assert sampled.ordered("plan.read_back", "full").reasons == ("READ_BACK_NOT_AS_PLANNED",)
    full = honest("overwrite_keystream", read_back="full")
    assert full.ordered("plan.read_back", "sampled").said == HONEST["overwrite_keystream"]
    assert full.told("read_back.mode", "sampled").said == INCONCLUSIVE


def test_unreadable_bytes_do_not_hide_bytes_that_differ(overwritten: Judged) -> None:
    less = overwritten.told("read_back.bytes_mismatched", 4096).told("read_back.bytes_unreadable", 512)
    assert (less.said, less.reasons) == (NOT_ERASED, ("READ_BACK_INCOMPLETE", "READ_BACK_MISMATCH"))


def test_a_read_back_of_a_medium_of_unknown_size_is_of_nothing(overwritten: Judged) -> None:
    less = overwritten.told("medium.capacity_bytes", "not_observed")
    assert "READ_BACK_NOT_AS_PLANNED" in less.reasons


def test_without_a_nonce_nobody_knows_what_should_have_been_read(overwritten: Judged) -> None:
    assert "READ_BACK_NOT_AS_PLANNED" in overwritten.told("markers.nonce", "not_observed").reasons
    assert "READ_BACK_NOT_AS_PLANNED" in overwritten.seen("order_digest", "00" * 32).reasons


@pytest.mark.parametrize("technique", OTHERS)
def test_another_technique_needs_no_read_back_and_an_adverse_one_lowers_it(
    honest: Honest, technique: str
) -> None:
    case = honest(technique)
    found = honest("overwrite_zero").evidence.media[0].read_back.model_dump(mode="json")
    assert case.told("read_back", found).said == HONEST[technique]
    for adverse in (
        "not_observed",
        found | {"bytes_mismatched": 1},
        found | {"bytes_mismatched": "not_observed"},
        found | {"bytes_unreadable": 1},
        found | {"bytes_unreadable": "not_observed"},
    ):
        less = case.told("read_back", adverse)
        assert (less.said, "READ_BACK_DIFFERS" in less.reasons) == (INCONCLUSIVE, True)
