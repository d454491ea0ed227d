"""Bundles of media that were destroyed: what two operators say, and each way in which they did not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from certificate import envelope as dsse
from tests.certificate.verification.test_destroyed import Gone
from tests.corpus.case import Case
from tests.corpus.papers import KEYS, TOOLS, documents, parts, payload_of, story, written

KIND = "bundle"
ATTESTATION = "ATTESTATION_MISSING"


def cases() -> Iterator[Case]:
    yield _case(
        "unnamed_policy",
        "POLICY_UNMET",
        "Genuine, and people's word alone: a policy of production asks more.",
        gone(),
    )
    alice, bob = KEYS.alice, KEYS.bob
    yield _case(
        "by_one",
        ATTESTATION,
        "One operator attests, twice.",
        gone(people=[(alice, {}), (alice, {"ledger_seq": 13})]),
    )
    yield _case(
        "by_a_stranger",
        "KEY_UNTRUSTED",
        "A stranger is the second.",
        gone(people=[(alice, {}), (KEYS.stranger, {})]),
    )
    yield _case(
        "another_method",
        "SUBJECT_MISMATCH",
        "The second operator chose another method.",
        gone(people=[(alice, {}), (bob, {"choice": "melt"})]),
    )
    yield _case(
        "another_document",
        "SUBJECT_MISMATCH",
        "The second operator saw another document.",
        gone(people=[(alice, {}), (bob, {"document_digest": "00" * 32})]),
    )
    yield _case(
        "attested_later",
        ATTESTATION,
        "Attested after the outcome that contains it.",
        gone(
            people=[
                (alice, {}),
                (bob, {"issued_at": "2026-11-22T11:00:00Z", "effective_at": "2026-11-22T11:00:00Z"}),
            ]
        ),
    )
    yield _case(
        "decision_absent", "INCOMPLETE_SET", "One of the two decisions did not come along.", gone(kept_back=1)
    )
    yield _case(
        "another_medium",
        "SUBJECT_MISMATCH",
        "What was attested is another drive.",
        gone(attested={"medium": "00" * 32}),
    )
    raised = documents.claim_fields()
    yield _case("claims_purge", "MALFORMED", "A destruction that claims a purge.", gone(), claim=raised)
    told = parts(gone().build())
    ordered = parts(story())
    yield _case_of(
        "with_an_order",
        "SUBJECT_MISMATCH",
        "The papers of an erasure beside a destruction.",
        told | {name: ordered[name] for name in ("order", "evidence", "validation")},
    )
    yield _case(
        "summary_says_erased",
        "EVIDENCE_MISMATCH",
        "Destroyed, and the summary says erased.",
        gone(summary={"entry": {"became": "erased"}}),
    )
    yield _case(
        "removed_by_one",
        ATTESTATION,
        "One operator took the drive out.",
        gone(summary={}, removed_by=[(alice, {})]),
    )


def gone(**changes: Any) -> Gone:
    made = Gone(TOOLS, documents.MEDIUM)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _case(name: str, code: str, sentence: str, made: Gone, **outcome: Any) -> Case:
    if outcome:
        return _malformed(name, code, sentence, made, outcome)
    return _case_of(name, code, sentence, parts(made.build()))


def _malformed(name: str, code: str, sentence: str, made: Gone, outcome: dict[str, Any]) -> Case:
    """An outcome that no model can be built of, signed all the same."""
    fields = parts(made.build())
    payload = payload_of(fields["outcome"])
    payload["predicate"] |= outcome
    fields["outcome"] = dsse.sign(json.dumps(payload).encode(), KEYS.issuer).write().decode()
    return _case_of(name, code, sentence, fields)


def _case_of(name: str, code: str, sentence: str, fields: dict[str, Any]) -> Case:
    file = f"forged/{KIND}/destroyed_{name}.json.gz"
    return Case(file=file, kind=KIND, code=code, sentence=sentence, data=written(fields))
