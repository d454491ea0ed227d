"""What may be claimed of an honest erase, technique by technique, and of media nobody tells of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from certificate.assurance import judge
from certificate.reasons import Reason
from certificate.statements.vocabulary import Technique
from tests.techniques import FORMATS, HONEST, INCONCLUSIVE, OVERWRITES, TECHNIQUES, Judged, Techniques

Honest = Callable[..., Judged]
CAPS = {
    "nvme_sanitize_block": ("MARKER_READS_CONSTANT", "BLOCK_ERASE_SHOWS_NO_KEY"),
    "nvme_format_user_data": ("MARKER_READS_CONSTANT", "USER_DATA_ERASE_SHOWS_NO_KEY"),
}


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("layers", [0, 2])
def test_an_honest_erase_is_claimed_as_its_technique_allows(
    honest: Honest, technique: str, layers: int
) -> None:
    case = honest(technique, layers=layers)
    assert case.said == HONEST[technique]
    assert case.claim().technique is Technique(technique)
    assert case.reasons == CAPS.get(technique, ())


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_two_namespaces_are_erased_like_one(honest: Honest, technique: str) -> None:
    case = honest(technique, namespaces=2)
    assert case.said == HONEST[technique]
    assert len(case.evidence.media[0].commands) == (2 if technique in FORMATS else 1)


@pytest.mark.parametrize("technique", OVERWRITES)
@pytest.mark.parametrize("read_back", ["full", "sampled"])
def test_a_plain_disk_is_overwritten(honest: Honest, technique: str, read_back: str) -> None:
    assert honest(technique, is_plain=True, read_back=read_back).said == HONEST[technique]


def test_every_technique_but_layers_has_an_honest_story() -> None:
    assert {*TECHNIQUES, "luks"} == {technique.value for technique in Technique}


def test_a_medium_the_evidence_does_not_list_is_inconclusive(case: Judged) -> None:
    missing = case.seen("media", [])
    assert missing.said == INCONCLUSIVE
    assert missing.reasons == ("EVIDENCE_INCOMPLETE", "MEDIUM_MISSING")


def test_a_medium_the_order_does_not_name_is_inconclusive(case: Judged) -> None:
    claim = judge(order=case.order, evidence=case.evidence, commitment="00" * 32)
    assert (claim.result, claim.reasons) == ("inconclusive", ("MEDIUM_NOT_ORDERED", "MEDIUM_MISSING"))


@pytest.mark.parametrize("technique", ["nvme_sanitize_crypto", "nvme_format_crypto", "nvme_format_user_data"])
def test_keys_known_to_be_escrowed_spoil_what_may_destroy_keys_alone(honest: Honest, technique: str) -> None:
    known = honest(technique).ordered("escrow", "known")
    reasons = (*honest(technique).reasons, "ESCROW_KNOWN")
    assert (known.said, sorted(known.reasons)) == (INCONCLUSIVE, sorted(reasons))


def test_a_backup_of_a_header_that_is_known_spoils_layers_whose_keys_were_destroyed(
    techniques: Techniques,
) -> None:
    alone = techniques.layers_alone()
    assert "ESCROW_KNOWN" not in alone.reasons
    known = alone.ordered("escrow", "known")
    assert (known.said, "ESCROW_KNOWN" in known.reasons) == (INCONCLUSIVE, True)


@pytest.mark.parametrize(
    "technique",
    sorted(set(TECHNIQUES) - {"nvme_sanitize_crypto", "nvme_format_crypto", "nvme_format_user_data"}),
)
def test_keys_known_to_be_escrowed_spoil_no_other_erase(honest: Honest, technique: str) -> None:
    assert honest(technique, layers=1).ordered("escrow", "known").said == HONEST[technique]


@pytest.mark.parametrize("technique", OVERWRITES)
@pytest.mark.parametrize("spoilt", ["marker", "layer", "namespace"])
def test_a_hosts_overwrite_is_marker_proven_or_nothing(
    techniques: Techniques, technique: str, spoilt: str
) -> None:
    case = techniques.honest(technique, layers=1)
    small = case.detached(2 * 4096).told("namespaces.1.is_attached", "yes").word("NS2:FLBAS", "22")
    less, reason = {
        "marker": (case.marker(0, read_back_before="no"), Reason.MARKER_NOT_READ_BACK),
        "layer": (case.told("layers.0.was_flushed", "no"), Reason.LAYER_NOT_DESTROYED),
        "namespace": (small.marked(), Reason.MARKERS_TOO_FEW),
    }[spoilt]
    assert less.said == INCONCLUSIVE
    assert set(less.reasons) == {reason.value, "HOST_HAS_NO_REPORT"}
