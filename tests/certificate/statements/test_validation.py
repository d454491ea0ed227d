"""The validation table: each case once, and whatever it does not name is escalated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from certificate.statements import ValidationTable
from certificate.statements.vocabulary import Grade, MediaKind, Method, Technique, ValidationDecision

Make = Callable[..., Any]
ROW = {
    "data_class": "default",
    "media": "self_encrypting_nvme",
    "technique": "nvme_sanitize_crypto",
    "grade": "marker-proven",
    "decision": "accept",
}
RULE = {
    "data_class": "default",
    "floor": "purge",
    "approvals_required": 0,
    "overwrite": "keystream",
    "read_back": "full",
    "escrow": "unknown",
}


def test_a_case_that_is_named_is_decided_and_every_other_is_escalated(make_table: Make) -> None:
    table: ValidationTable = make_table()
    accepted = []
    for data_class, media, technique, grade in product(["default", "other"], MediaKind, Technique, Grade):
        case = {"data_class": data_class, "media": media, "technique": technique, "grade": grade}
        decision = table.decide(**case)  # type: ignore[arg-type]
        if decision is not ValidationDecision.ESCALATE:
            accepted.append((data_class, media, technique, grade, decision))
    assert accepted == [
        (
            "default",
            MediaKind.SELF_ENCRYPTING_NVME,
            Technique.NVME_SANITIZE_CRYPTO,
            Grade.MARKER_PROVEN,
            ValidationDecision.ACCEPT,
        )
    ]


@pytest.mark.parametrize("decision", ["accept", "reject"])
def test_a_table_that_decides_a_case_twice_is_refused(decision: str, make_table: Make) -> None:
    with pytest.raises(ValidationError, match="each case once"):
        make_table(rows=[ROW, {**ROW, "decision": decision}])


def test_a_table_with_two_rules_for_a_class_is_refused(make_table: Make) -> None:
    with pytest.raises(ValidationError, match="each case once"):
        make_table(rules=[RULE, {**RULE, "approvals_required": 2}])


def test_a_table_without_rules_is_refused(make_table: Make) -> None:
    with pytest.raises(ValidationError):
        make_table(rules=[])


@pytest.mark.parametrize("otherwise", ["accept", "reject"])
def test_what_no_row_names_is_never_accepted(otherwise: str, make_table: Make) -> None:
    with pytest.raises(ValidationError):
        make_table(otherwise=otherwise)


@pytest.mark.parametrize(
    ("field", "value"), [("floor", "none"), ("floor", "destroy"), ("approvals_required", 3)]
)
def test_a_rule_asks_for_what_exists(field: str, value: Any, make_table: Make) -> None:
    with pytest.raises(ValidationError):
        make_table(rules=[{**RULE, field: value}])


def test_a_class_without_a_rule_has_none(make_table: Make) -> None:
    table: ValidationTable = make_table()
    rule = table.rule("default")
    assert rule is not None
    assert rule.floor is Method.PURGE
    assert table.rule("other") is None
