"""What an outcome says beside its claim is computed from what was seen, and from nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from certificate import outcome_words
from certificate.departures import claim_of_open_exception
from certificate.statements.vocabulary import Destination, Escrow, MarkerReading, Technique
from tests.techniques import FORMATS, OVERWRITES, READINGS, TECHNIQUES, Judged, Techniques

EVERYWHERE = "media keys of the whole device, unallocated capacity included"
KEYS = {"nvme_sanitize_crypto": EVERYWHERE, "nvme_format_crypto": "media keys of every namespace"}


def entry_of(case: Judged) -> Any:
    return case.evidence.media[0]


def scopes(case: Judged) -> list[str]:
    erases = outcome_words.cryptographic_erases(entry_of(case), escrow=Escrow.UNKNOWN)
    return [str(each.key_scope) for each in erases]


def test_each_technique_has_its_clause_and_they_are_all_named() -> None:
    assert set(outcome_words.CLAUSES) == set(Technique)
    assert all(len(clause) <= 120 for clause in outcome_words.CLAUSES.values())


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_clause_is_that_of_the_technique_that_was_sent_last(
    techniques: Techniques, technique: str
) -> None:
    case = techniques.honest(technique)
    assert outcome_words.clause(entry_of(case)) == outcome_words.CLAUSES[Technique(technique)]
    assert outcome_words.clause(entry_of(case.told("commands", []))) == "not_applicable"


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_keys_are_destroyed_by_a_cryptographic_technique_and_by_no_other(
    techniques: Techniques, technique: str
) -> None:
    expected = [KEYS[technique]] if technique in KEYS else []
    assert scopes(techniques.honest(technique)) == expected


def test_each_layer_whose_keys_were_destroyed_stands_beside_the_media_keys(techniques: Techniques) -> None:
    found = scopes(techniques.honest("nvme_sanitize_crypto", layers=2))
    assert found[0] == EVERYWHERE
    assert len(found) == 3
    assert all("volume key, namespace 1, offset" in scope for scope in found[1:])
    assert len(scopes(techniques.layers_alone(1))) == 1


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("every_copy_differs", "no"),
        ("every_copy_differs", "not_observed"),
        ("is_found_after", "yes"),
        ("is_found_after", "not_observed"),
    ],
)
def test_the_keys_of_a_layer_that_may_still_be_there_are_not_said_to_be_destroyed(
    techniques: Techniques, fact: str, value: str
) -> None:
    case = techniques.honest("overwrite_zero", layers=1)
    assert len(scopes(case)) == 1
    assert scopes(case.told(f"layers.0.{fact}", value)) == []


@pytest.mark.parametrize("escrow", Escrow)
def test_what_is_known_of_copies_is_said_of_each_key_and_nothing_else_is_known(
    techniques: Techniques, escrow: Any
) -> None:
    case = techniques.honest("nvme_format_crypto", layers=1)
    for erase in outcome_words.cryptographic_erases(entry_of(case), escrow=escrow):
        assert erase.escrow == escrow
        others = erase.model_dump(exclude={"escrow", "key_scope"})
        assert set(others.values()) == {"not_observed"}


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_marker_is_as_expected_if_it_reads_as_its_technique_leaves_it(
    techniques: Techniques, technique: str
) -> None:
    case = techniques.honest(technique)
    count = len(entry_of(case).markers.markers)
    assert outcome_words.markers_as_expected(entry_of(case)) == count > 0
    for reading in ("unchanged", "unreadable", "not_observed", "not_applicable"):
        spoilt = case.marker(1, reading_after=reading)
        assert outcome_words.markers_as_expected(entry_of(spoilt)) == count - 1, reading
    nobody_asked = case.told("commands", [])
    assert outcome_words.markers_as_expected(entry_of(nobody_asked)) == 0


@pytest.mark.parametrize(
    ("technique", "reading"),
    [
        ("nvme_sanitize_crypto", MarkerReading.ZERO),
        ("nvme_format_crypto", MarkerReading.CONSTANT),
        ("nvme_sanitize_crypto", MarkerReading.AS_OVERWRITTEN),
        ("nvme_sanitize_overwrite", MarkerReading.PSEUDORANDOM),
        ("overwrite_keystream", MarkerReading.PSEUDORANDOM),
        ("overwrite_zero", MarkerReading.ZERO),
    ],
)
def test_what_another_technique_leaves_is_not_as_expected(
    techniques: Techniques, technique: str, reading: MarkerReading
) -> None:
    case = techniques.honest(technique).every_marker(reading_after=reading.value)
    assert outcome_words.markers_as_expected(entry_of(case)) == 0
    assert READINGS[technique] != reading.value


@pytest.mark.parametrize("technique", [*FORMATS, *OVERWRITES])
def test_the_techniques_before_it_were_given_up(techniques: Techniques, technique: str) -> None:
    refused = ("nvme_sanitize_crypto", "nvme_sanitize_block")
    case = techniques.honest(technique, refused=refused)
    planned = case.order.plan.media[0].techniques
    assert outcome_words.fallback_from(entry_of(case), planned) == refused
    assert outcome_words.fallback_from(entry_of(techniques.honest(technique)), planned[2:]) == ()
    assert outcome_words.fallback_from(entry_of(case.told("commands", [])), planned) == ()


def test_only_what_is_erased_stays_and_nobody_decided_over_the_rest(techniques: Techniques) -> None:
    honest = techniques.honest("nvme_sanitize_crypto")
    assert outcome_words.destination(honest.claim()) is Destination.STAYS_IN_HOST
    failed = honest.marker(0, reading_after="unchanged")
    assert outcome_words.destination(failed.claim()) == "not_observed"
    assert outcome_words.destination(claim_of_open_exception()) == "not_observed"
