"""What the table in force says of a result, and which rule says so."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.vocabulary import Result, ValidationDecision
from controller.errors import Code
from controller.people import table_word
from controller.people.table_word import TableWord
from controller.store.evidence import Verdict
from controller.store.plans import StoredPlan

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CASE = "default, self_encrypting_nvme, nvme_sanitize_crypto, marker-proven"


def word_of(documents: ModuleType, technique: str = "nvme_sanitize_crypto", **table: Any) -> TableWord:
    """The word of a table, the sample one with these changes, on the sample medium."""
    plan = documents.build_plan()
    stored = StoredPlan(
        number=1,
        deprovision=plan.deprovision,
        attempt=1,
        digest=plan.canonical_digest(),
        text=plan.canonical(),
        boot_id=plan.boot_id,
        made_at=NOW,
    )
    verdict = Verdict(
        medium=documents.MEDIUM,
        result=Result.ERASED,
        decision=ValidationDecision.ESCALATE,
        claim={"technique": technique, "grade": "marker-proven"},
    )
    return table_word.of_results(documents.build_table(**table), stored, [verdict])[documents.MEDIUM]


def test_the_row_that_names_a_result_is_named(documents: ModuleType) -> None:
    assert str(word_of(documents)) == f"accept: the row {CASE}"


def test_a_result_that_no_row_names_is_escalated_in_so_many_words(documents: ModuleType) -> None:
    assert str(word_of(documents, rows=[])) == f"escalate: no row names {CASE}"


def test_what_misses_the_floor_that_the_class_has_now_is_rejected_whatever_a_row_says(
    documents: ModuleType,
) -> None:
    row = documents.build_table().model_dump(mode="json")["rows"][0]
    accepted = row | {"technique": "overwrite_keystream"}
    said = word_of(documents, "overwrite_keystream", rows=[accepted])
    assert said.decision is ValidationDecision.REJECT
    assert "it asks purge" in said.because
    rule = documents.build_table().model_dump(mode="json")["rules"][0] | {"floor": "clear"}
    cleared = word_of(documents, "overwrite_keystream", rules=[rule], rows=[accepted])
    assert cleared.decision is ValidationDecision.ACCEPT


@pytest.mark.parametrize(
    "technique", ["nvme_sanitize_crypto", "nvme_format_crypto", "nvme_format_user_data"], ids=str
)
def test_what_may_have_destroyed_only_keys_is_rejected_where_copies_are_known_by_now(
    documents: ModuleType, technique: str
) -> None:
    sample = documents.build_table().model_dump(mode="json")
    rows = [sample["rows"][0] | {"technique": technique}]
    rule = sample["rules"][0] | {"floor": "clear"}
    said = word_of(documents, technique, rules=[rule | {"escrow": "known"}], rows=rows)
    assert said.decision is ValidationDecision.REJECT
    assert "copies of keys" in said.because
    for escrow in ("none", "unknown"):
        other = word_of(documents, technique, rules=[rule | {"escrow": escrow}], rows=rows)
        assert other.decision is ValidationDecision.ACCEPT


def test_what_overwrites_is_not_rejected_where_copies_of_keys_are_known(documents: ModuleType) -> None:
    sample = documents.build_table().model_dump(mode="json")
    rows = [sample["rows"][0] | {"technique": "nvme_sanitize_overwrite"}]
    rule = sample["rules"][0] | {"escrow": "known"}
    said = word_of(documents, "nvme_sanitize_overwrite", rules=[rule], rows=rows)
    assert said.decision is ValidationDecision.ACCEPT


@pytest.mark.parametrize("decision", ValidationDecision)
def test_only_what_the_table_rejects_is_refused(decision: ValidationDecision) -> None:
    words = {"ab" * 32: TableWord(decision=decision, because="of a row")}
    if decision is not ValidationDecision.REJECT:
        table_word.require_acceptable(words)
        return
    with pytest.raises(Refused, match="medium abababab: of a row") as caught:
        table_word.require_acceptable(words)
    assert caught.value.code is Code.TABLE_REJECTS


def test_without_the_plan_nothing_is_said(documents: ModuleType) -> None:
    with pytest.raises(Refused) as caught:
        table_word.of_results(documents.build_table(), None, [])
    assert caught.value.code is Code.PLAN_MISSING
