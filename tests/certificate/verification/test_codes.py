"""The codes of `expunge verify`: each is explained to auditors, and a forged bundle reaches it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from certificate.answers import exit_code
from certificate.errors import Code

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "verify-by-hand.md"
#: certificates.md, section 12, without those that the page names as later.
OF_SECTION_12 = (
    "MALFORMED",
    "LIMIT_EXCEEDED",
    "UNSUPPORTED",
    "SIGNATURE_INVALID",
    "KEY_UNTRUSTED",
    "KEY_REVOKED_AT_INDEX",
    "TYPE_MISMATCH",
    "SUBJECT_MISMATCH",
    "NOT_LOGGED",
    "PROOF_INVALID",
    "CHECKPOINT_INVALID",
    "TIME_BRACKET_VIOLATED",
    "SPLIT_VIEW",
    "INCOMPLETE_SET",
    "EVIDENCE_MISMATCH",
    "POLICY_UNMET",
    "SUPERSEDED",
)
LATER = ("WITNESS_QUORUM_UNMET", "TIMESTAMP_INVALID", "ATTESTATION_INVALID")
#: Refused before any bundle is read, or beside one: tests in test_cli.py, test_annex.py and test_trust.py.
BESIDE_A_BUNDLE = {"FILE_UNREADABLE", "POLICY_INVALID", "ANNEX_MISMATCH", "TRUST_ROOT_INVALID"}


def listed() -> dict[str, int]:
    """Code and exit code of each row of the page's table."""
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([0-3]) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    return {code: int(number) for names, number in rows for code in re.findall(r"`([A-Z_]+)`", names)}


def reached() -> set[str]:
    """What the corpus' forged bundles are refused with; tests/corpus runs each of them."""
    cases = json.loads((ROOT / "tests" / "corpus" / "cases.json").read_bytes())
    return {case["code"] for case in cases if case["kind"] == "bundle" and case["code"]}


def test_each_code_that_applies_is_explained_and_reached_by_a_bundle() -> None:
    assert set(OF_SECTION_12) <= set(listed())
    assert set(OF_SECTION_12) <= reached()


def test_the_page_explains_exactly_what_can_be_reached() -> None:
    assert set(listed()) == reached() | BESIDE_A_BUNDLE


def test_the_pages_exit_codes_are_the_commands() -> None:
    assert {code: exit_code(Code[code]) for code in listed()} == listed()


def test_codes_of_later_releases_are_named_as_such_and_exist_nowhere() -> None:
    for code in LATER:
        assert code not in Code.__members__
        assert code in PAGE.read_text()
        assert code not in listed()
