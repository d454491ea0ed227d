"""What is probably not meant in a table is said before anybody signs it."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from certificate.policy import Policy
from certificate.statements.validation import DataClassRule, ValidationRow
from certificate.statements.vocabulary import Grade, MediaKind, Technique
from controller.policy.doubts import GRADES, doubts, why_never
from controller.policy.draft import Draft

RULE = {
    "data_class": "default",
    "floor": "purge",
    "approvals_required": 0,
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
CLEAR = RULE | {"floor": "clear"}


def found(rules: list[dict[str, Any]], rows: list[dict[str, Any]], **policy: Any) -> tuple[str, ...]:
    fields = {"schema": 1, "version": 2, "rules": rules, "rows": rows, "otherwise": "escalate"}
    own = json.loads(Policy.production().write()) | policy
    return doubts(Draft.read(json.dumps(fields).encode()), Policy.read(json.dumps(own).encode()))


def test_the_first_table_leaves_no_doubt() -> None:
    assert found([RULE], [ROW]) == ()


def test_a_floor_that_the_own_verification_refuses_is_doubted() -> None:
    (doubt,) = found([CLEAR], [ROW])
    assert "policy/verify.json" in doubt
    assert found([CLEAR], [ROW], minimum_method="clear") == ()


def test_a_class_for_which_nothing_is_accepted_is_doubted() -> None:
    (doubt,) = found([RULE], [ROW | {"decision": "escalate"}])
    assert "a person validates every result" in doubt


def test_an_accepted_grade_that_the_own_verification_refuses_is_doubted() -> None:
    reported = ROW | {"grade": "device-reported"}
    assert found([RULE], [reported]) == ()
    (doubt,) = found([RULE], [reported], minimum_grade="marker-proven")
    assert "asks marker-proven" in doubt


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"technique": "luks"}, "keys of a layer"),
        ({"media": "plain"}, "a plain medium has no nvme_sanitize_crypto"),
        ({"media": "nvme"}, "is self_encrypting_nvme"),
        ({"technique": "nvme_format_crypto"}, "reaches clear"),
        ({"technique": "overwrite_keystream"}, "reaches clear"),
        ({"technique": "nvme_sanitize_block"}, "never marker-proven"),
        ({"grade": "device-attested"}, "never device-attested"),
        ({"grade": "none"}, "never none"),
        ({"data_class": "secret"}, "has no rule"),
    ],
)
def test_a_row_that_no_result_can_meet_is_named_with_its_reason(row: dict[str, str], why: str) -> None:
    said = found([RULE], [ROW, ROW | row])
    assert any("no result is ever of this case" in doubt and why in doubt for doubt in said)


def test_the_pattern_that_a_class_does_not_write_is_never_a_result() -> None:
    plain = ROW | {"media": "plain", "technique": "overwrite_zero"}
    (doubt,) = found([CLEAR], [ROW, plain], minimum_method="clear")
    assert "overwrites with keystream" in doubt
    assert found([CLEAR | {"overwrite": "zero"}], [ROW, plain], minimum_method="clear") == ()


@pytest.mark.parametrize("technique", ["nvme_sanitize_crypto", "nvme_format_crypto", "nvme_format_user_data"])
def test_a_class_whose_keys_are_kept_elsewhere_never_accepts_a_cryptographic_erase(technique: str) -> None:
    grade = "device-reported" if technique == "nvme_format_user_data" else ROW["grade"]
    row = ROW | {"technique": technique, "grade": grade}
    assert not any("copies of keys" in doubt for doubt in found([CLEAR], [row], minimum_method="clear"))
    (doubt,) = found([CLEAR | {"escrow": "known"}], [row], minimum_method="clear")
    assert "copies of keys are kept" in doubt


def test_every_technique_says_what_it_can_show() -> None:
    assert set(GRADES) == set(Technique)


def test_no_case_is_called_impossible_without_a_reason_and_some_case_of_each_media_is_possible() -> None:
    rules = [
        DataClassRule.model_validate_json(json.dumps(CLEAR | {"overwrite": pattern}))
        for pattern in ("zero", "keystream")
    ]
    possible = {
        media
        for media, technique, grade, rule in product(MediaKind, Technique, Grade, rules)
        if why_never(row_of(media, technique, grade), rule) is None
    }
    assert possible == set(MediaKind)


def row_of(media: MediaKind, technique: Technique, grade: Grade) -> ValidationRow:
    fields = ROW | {"media": media.value, "technique": technique.value, "grade": grade.value}
    return ValidationRow.model_validate_json(json.dumps(fields))
