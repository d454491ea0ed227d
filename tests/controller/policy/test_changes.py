"""A new table's changes are shown one by one, and what asks less than before comes first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from certificate.statements import Purpose, ValidationTable
from certificate.statements.validation import DataClassRule, ValidationRow
from controller.policy.changes import Tendency, compare
from controller.policy.draft import Draft

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RULE = {
    "data_class": "default",
    "floor": "purge",
    "approvals_required": 1,
    "overwrite": "keystream",
    "read_back": "full",
    "escrow": "unknown",
}
ROW = {
    "data_class": "default",
    "media": "self_encrypting_nvme",
    "technique": "nvme_sanitize_crypto",
    "grade": "marker-proven",
    "decision": "accept",
}


def draft(*, rules: list[dict[str, Any]] | None = None, rows: list[dict[str, Any]] | None = None) -> Draft:
    fields = {
        "schema": 1,
        "version": 2,
        "rules": [RULE] if rules is None else rules,
        "rows": [ROW] if rows is None else rows,
        "otherwise": "escalate",
    }
    return Draft.read(json.dumps(fields).encode())


def present() -> ValidationTable:
    return draft().table(purpose=Purpose.PRODUCTION, nonce="ab" * 16, issued_at=NOW)


def test_the_same_table_changes_nothing() -> None:
    assert compare(present(), draft()) == ()


@pytest.mark.parametrize(
    ("field", "value", "tendency"),
    [
        ("floor", "clear", Tendency.WEAKER),
        ("approvals_required", 0, Tendency.WEAKER),
        ("approvals_required", 2, Tendency.STRICTER),
        ("read_back", "sampled", Tendency.WEAKER),
        ("overwrite", "zero", Tendency.WEAKER),
        ("escrow", "none", Tendency.WEAKER),
        ("escrow", "known", Tendency.STRICTER),
    ],
)
def test_a_changed_rule_says_whether_it_asks_less(field: str, value: object, tendency: Tendency) -> None:
    (change,) = compare(present(), draft(rules=[RULE | {field: value}]))
    assert change.tendency is tendency
    assert (change.before, change.after) == (str(RULE[field]), str(value))


@pytest.mark.parametrize(("after", "tendency"), [("escalate", "stricter"), ("reject", "stricter")])
def test_a_changed_row_says_whether_it_accepts_more(after: str, tendency: str) -> None:
    (change,) = compare(present(), draft(rows=[ROW | {"decision": after}]))
    assert (change.tendency.value, change.before, change.after) == (tendency, "accept", after)


def test_a_row_that_is_left_out_is_escalated_from_then_on() -> None:
    (change,) = compare(present(), draft(rows=[]))
    assert (change.tendency, change.before, change.after) == (Tendency.STRICTER, "accept", "escalate")


def test_a_new_row_that_repeats_what_holds_for_all_others_is_no_change() -> None:
    repeated = ROW | {"grade": "device-reported", "decision": "escalate"}
    assert compare(present(), draft(rows=[ROW, repeated])) == ()


def test_what_is_weaker_comes_first() -> None:
    reported = ROW | {"grade": "device-reported", "decision": "accept"}
    changes = compare(
        present(),
        draft(rules=[RULE | {"approvals_required": 2}], rows=[ROW, reported]),
    )
    assert [change.tendency for change in changes] == [Tendency.WEAKER, Tendency.STRICTER]


def test_classes_that_come_and_go_are_named() -> None:
    secret = RULE | {"data_class": "secret"}
    (added,) = compare(present(), draft(rules=[RULE, secret]))
    assert (added.tendency, added.where, added.before) == (Tendency.WEAKER, "class secret", "-")
    table = draft(rules=[RULE, secret]).table(purpose=Purpose.PRODUCTION, nonce="ab" * 16, issued_at=NOW)
    (removed,) = compare(table, draft())
    assert (removed.tendency, removed.after) == (Tendency.STRICTER, "-")


def test_every_field_of_rule_and_row_is_compared() -> None:
    """A field that is added to the table must not change unseen."""
    assert set(RULE) == set(DataClassRule.model_fields)
    assert set(ROW) == set(ValidationRow.model_fields)
