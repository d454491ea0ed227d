"""Encryption layers: each that the order names has its entry, and none is found afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate import assurance
from certificate.reasons import Reason
from certificate.statements.vocabulary import Technique
from tests.techniques import HONEST, INCONCLUSIVE, NOT_ERASED, OVERWRITES, TECHNIQUES, Judged, Techniques

Honest = Callable[..., Judged]
DEVICES = sorted(set(TECHNIQUES) - set(OVERWRITES))


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(
    "change",
    [
        lambda layers: layers[:1],
        lambda layers: [],
        lambda layers: [*layers, layers[0]],
        lambda layers: [*layers, layers[0] | {"offset_bytes": 0}],
        lambda layers: [layers[0], layers[1] | {"kind": "luks1"}],
        lambda layers: [layers[0], layers[1] | {"nsid": 2}],
        lambda layers: [layers[0], layers[1] | {"offset_bytes": 4096}],
    ],
    ids=["missing", "all missing", "twice", "extra", "other kind", "other namespace", "other place"],
)
def test_each_layer_the_order_names_has_exactly_one_entry(
    honest: Honest, technique: str, change: Any
) -> None:
    less = honest(technique, layers=2).told("layers", change)
    assert less.said == INCONCLUSIVE
    assert "LAYERS_DIFFER" in less.reasons


def test_a_layer_the_plan_names_twice_is_nobodys(honest: Honest) -> None:
    less = honest("nvme_sanitize_crypto", layers=1).planned("layers", lambda layers: layers * 2)
    assert less.told("layers", lambda layers: layers * 2).reasons == ("LAYERS_DIFFER",)


def test_layers_may_be_told_in_any_order(honest: Honest) -> None:
    case = honest("nvme_sanitize_crypto", layers=2)
    assert case.told("layers", lambda layers: layers[::-1]).said == HONEST["nvme_sanitize_crypto"]


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(
    ("field", "value", "expected", "reason"),
    [
        ("is_found_after", "yes", NOT_ERASED, Reason.LAYER_FOUND_AFTER),
        ("is_found_after", "not_observed", INCONCLUSIVE, Reason.LAYER_NOT_LOOKED_FOR),
        ("known_key_refused", "no", NOT_ERASED, Reason.LAYER_KEY_OPENS),
    ],
)
def test_a_layer_that_is_found_or_opens_afterwards_contradicts_whatever_the_drive_says(
    honest: Honest, technique: str, field: str, value: str, expected: Any, reason: Reason
) -> None:
    less = honest(technique, layers=2).told(f"layers.1.{field}", value)
    assert less.said == expected
    assert reason.value in less.reasons


def test_a_key_that_nobody_had_is_not_asked_for(honest: Honest) -> None:
    case = honest("nvme_sanitize_crypto", layers=1)
    assert case.told("layers.0.known_key_refused", "yes").said == HONEST["nvme_sanitize_crypto"]


@pytest.mark.parametrize("field", ["start_acknowledged", "every_copy_differs", "was_flushed"])
@pytest.mark.parametrize("value", ["no", "not_observed"])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_layer_that_was_not_seen_to_be_destroyed_lowers_the_grade(
    honest: Honest, technique: str, field: str, value: str
) -> None:
    less = honest(technique, layers=2).told(f"layers.0.{field}", value)
    method = HONEST[technique][1]
    assert less.said == (("erased", method, "device-reported") if technique in DEVICES else INCONCLUSIVE)
    assert "LAYER_NOT_DESTROYED" in less.reasons


def test_layers_alone_never_make_a_medium_erased(techniques: Techniques) -> None:
    """A backup of the header and an old passphrase open what still lies on the medium."""
    alone = techniques.layers_alone()
    claim = alone.claim()
    assert (alone.said, claim.technique) == (INCONCLUSIVE, Technique.LUKS)
    assert {"LAYER_ALONE", "NO_COMMAND"} <= set(claim.reasons)
    perfect = alone.told("layers.0.known_key_refused", "yes").every_marker(
        reading_after="pseudorandom", changed_65536ths=32_700
    )
    assert perfect.said == INCONCLUSIVE
    assert perfect.ordered("plan.floor", "clear").said == INCONCLUSIVE
    assert perfect.ordered("boot_trust", "network").said == INCONCLUSIVE


def test_a_layer_that_was_never_begun_is_nothing_at_all(techniques: Techniques) -> None:
    alone = techniques.layers_alone().told("layers.0.start_acknowledged", "not_observed")
    assert (alone.said, alone.claim().technique) == (INCONCLUSIVE, "not_applicable")
    assert "LAYER_ALONE" not in alone.reasons


def test_a_medium_with_layers_says_that_a_copy_of_a_header_may_exist(honest: Honest) -> None:
    layered = honest("overwrite_zero", layers=1)
    assert assurance.LAYERS_LIMIT in layered.claim().limits
    assert assurance.LAYERS_LIMIT in layered.told("layers", []).claim().limits
    assert assurance.ESCROW_LIMIT in layered.claim().limits
    assert assurance.LAYERS_LIMIT not in honest("overwrite_zero").claim().limits
    assert assurance.ESCROW_LIMIT not in honest("overwrite_zero").claim().limits
