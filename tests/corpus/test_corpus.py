"""What strangers may send, and what each reader says to it: every item by its code, none by an accident."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache

import pytest

from agent.errors import Code as AgentCode
from certificate.errors import Code as CertificateCode
from controller.errors import Code as ControllerCode
from tests.corpus import make, readers
from tests.corpus.case import FOLDER, MANIFEST, Case, unpacked

CASES = [Case.of_row(row) for row in json.loads(MANIFEST.read_bytes())]
FORGED = [case for case in CASES if case.is_forged]
VALID = [case for case in CASES if not case.is_forged]
CODES = {code.value for codes in (AgentCode, CertificateCode, ControllerCode) for code in codes}


@cache
def under(trust_root: str) -> readers.Under:
    return readers.under(unpacked(trust_root))


def named(case: Case) -> str:
    return case.file


@pytest.mark.parametrize("case", FORGED, ids=named)
def test_a_forgery_is_refused_with_its_code(case: Case) -> None:
    refusal = readers.refusal_of(case.kind, case.whole, under(case.under))
    code, reason = refusal or (None, "")
    assert code == case.code, f"{case.sentence} {reason}"
    assert case.words is None or case.words in reason


@pytest.mark.parametrize("case", VALID, ids=named)
def test_what_the_forgeries_were_made_from_is_taken(case: Case) -> None:
    assert readers.code_of(case.kind, case.whole, under(case.under)) is None, case.sentence


@pytest.mark.parametrize("case", [case for case in CASES if case.finds is not None], ids=named)
def test_in_a_table_that_does_not_hold_nothing_is_found(case: Case) -> None:
    found = readers.READERS[case.kind](case.whole, under(case.under))
    assert tuple(found) == case.finds, case.sentence


def test_a_forgery_without_a_code_is_found_out_by_what_is_found() -> None:
    assert all(case.code in CODES if case.code else case.finds is not None for case in FORGED)


def test_the_corpus_is_large_and_speaks_of_every_kind() -> None:
    assert len(FORGED) >= 120
    assert {case.kind for case in FORGED} == set(readers.READERS)
    without_valid = set(readers.READERS) - {case.kind for case in VALID}
    # An annex that the evidence does not name is never taken; of a channel, `request_line` holds the honest.
    assert without_valid == {"swapped_annex", "request_stream"}
    few = [kind for kind, count in Counter(case.kind for case in FORGED).items() if count < 1]
    assert not few


def test_every_file_stands_in_the_manifest_once() -> None:
    files = {
        str(path.relative_to(FOLDER))
        for folder in ("valid", "forged")
        for path in (FOLDER / folder).rglob("*")
        if path.is_file()
    }
    listed = [case.file for case in CASES]
    assert files == set(listed)
    assert len(listed) == len(set(listed))


def test_no_two_forgeries_of_a_kind_are_the_same_bytes() -> None:
    seen = Counter((case.kind, case.under, case.whole) for case in CASES)
    assert not [case.file for case in CASES if seen[case.kind, case.under, case.whole] > 1]


def test_every_forgery_says_in_a_sentence_what_was_forged() -> None:
    for case in CASES:
        assert case.sentence.endswith("."), case.file
        assert len(case.sentence) <= 110, case.file


def test_the_corpus_is_what_its_program_makes() -> None:
    assert make.differing(list(make.cases())) == [], "run: python -m tests.corpus.make"


#: What a verifier may answer (certificates.md, 12, as far as it applies), each shown by a bundle at least.
OF_THE_VERIFIER = """
MALFORMED LIMIT_EXCEEDED UNSUPPORTED DUPLICATE_KEY NOT_A_NUMBER TRAILING_BYTES TOO_DEEP UNKNOWN_FIELD
SIGNATURE_INVALID SIGNATURE_COUNT KEY_UNTRUSTED KEY_REVOKED_AT_INDEX TYPE_MISMATCH SUBJECT_MISMATCH
PURPOSE_MISMATCH NOT_LOGGED PROOF_INVALID CHECKPOINT_INVALID PLAN_MISMATCH APPROVALS_MISSING
BASIS_INSUFFICIENT DECISIONS_MISSING NOT_A_PHYSICAL_DEVICE DEMONSTRATION EVIDENCE_MISMATCH INCOMPLETE_SET
ATTESTATION_MISSING SUPERSEDED NOT_ERASED INCONCLUSIVE POLICY_UNMET SPLIT_VIEW TIME_BRACKET_VIOLATED
"""


def test_every_answer_of_the_verifier_is_shown_by_a_bundle() -> None:
    shown = {case.code for case in FORGED if case.kind == "bundle"}
    assert set(OF_THE_VERIFIER.split()) <= shown
