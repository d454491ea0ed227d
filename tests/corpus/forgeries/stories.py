"""How a whole story is told before it is spoilt, and how its bundle becomes an item."""

from __future__ import annotations

from typing import Any

from tests.certificate.verification.conftest import Story
from tests.corpus.case import Case
from tests.corpus.papers import (
    KEYS,
    documents,
    parts,
    payload_of,
    story,
    written,
)

KIND = "bundle"


def case(name: str, code: str, sentence: str, made: Any, **fields: Any) -> Case:
    """`made`: a story to be told, a bundle's fields, or a file."""
    data = made if isinstance(made, bytes) else written(made if isinstance(made, dict) else parts(made))
    file = f"forged/{KIND}/{name}.json.gz"
    return Case(file=file, kind=KIND, code=code, sentence=sentence, data=data, **fields)


def allotted(**changes: Any) -> Story:
    told = story()
    told.allocation = documents.build_allocation(**changes)
    digest = documents.signed_as(told.allocation, KEYS.issuer).payload_digest
    return told.said("custody.allocation_ref", digest)


def honest_claim(told: Story) -> dict[str, Any]:
    claim: dict[str, Any] = payload_of(told.build().outcome)["predicate"]["claim"]
    return claim


def accepted(told: Story) -> dict[str, Any]:
    return {
        "decision": "accept",
        "table_digest": told.envelopes["validation"].payload_digest,
        "decided_by": "not_applicable",
        "validated_by": KEYS.issuer.public.keyid,
        "role": "issuer",
        "decided_at": "2026-11-22T10:00:40Z",
    }


def by_person(operator: Any, row: str = "escalate", **changes: Any) -> Story:
    """The table escalates; `operator` accepted exactly this evidence. Carol was enrolled by the first two."""
    told = story().tabled("rows.0.decision", row)
    told.build()
    fields = {
        "kind": "validate",
        "on": told.envelopes["evidence"].payload_digest,
        "choice": "accept",
        "enrols": "not_applicable",
        "issued_at": "2026-11-22T10:00:35Z",
        "effective_at": "2026-11-22T10:00:35Z",
    } | changes
    decision = documents.build_decision(operator, **fields)
    enrolments = tuple(documents.build_decision(each) for each in (KEYS.alice, KEYS.bob))
    told.decisions = (*(enrolments if operator is KEYS.carol else ()), decision)
    person = {
        "decided_by": decision.payload_digest,
        "validated_by": operator.public.keyid,
        "role": "operator",
        "decided_at": fields["issued_at"],
    }
    return told.said("validation", accepted(told) | person)


def approved(told: Story, **dates: str) -> Story:
    """Alice and Bob approved the plan."""
    assert told.order is not None
    digest = told.order.plan.canonical_digest()
    people = (KEYS.alice, KEYS.bob)
    told.approvals = tuple(documents.build_approval(each, plan_digest=digest, **dates) for each in people)
    return told.ordered("basis.approvals", documents.references_to(told.approvals))


def two_media(became: str | None) -> Story:
    """The order names a second drive, of which the evidence tells too; the summary as `became` says."""
    other = {"commitment": "ab" * 32}
    told = story().ordered("plan.media", lambda media: [*media, media[0] | other])
    told.seen("media", lambda media: [*media, media[0] | {"medium": media[0]["medium"] | other}])
    if became is not None:
        second = other | {"became": became, "outcome_digest": "cd" * 32, "decision_digest": "not_applicable"}
        told.summed("media", lambda media: [*media, second])
    return told
