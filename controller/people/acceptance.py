"""A person's validation of evidence: what was said of it, by whom, and whether it counts now.

Rules this module holds (NIST SP 800-88r2, 4.5.2):
- It is a carried-out `decision: validate` over the evidence's own digest: one acceptance is of every medium
  of that evidence which the table escalates, and of nothing that came later.
- An acceptance counts while its signer counts. One rejection, by whomever, is for good: what a person saw and
  turned down is erased anew or destroyed, not shown to the next person.
- It changes no verdict that the table accepts or rejects, nor one that does not say `erased`.

`certificate.verify` holds acceptances to the same, from the documents alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from certificate.statements import Plan
from certificate.statements.people import DecisionKind
from certificate.statements.statement import read_model
from certificate.statements.vocabulary import Result, ValidationDecision
from certificate.trust import TrustRoot
from controller.people.roster import roster
from controller.store import decisions
from controller.store.decisions import StoredDecision
from controller.store.evidence import Verdict
from controller.store.plans import StoredPlan


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """One person's yes to one evidence."""

    #: Payload digest of the decision.
    decision: str
    keyid: str
    #: When it was signed, in whole seconds: what an outcome says.
    decided_at: datetime
    #: When it was carried out here.
    accepted_at: datetime


def standing(tx: Connection, trust: TrustRoot, evidence_digest: str, *, now: datetime) -> Acceptance | None:
    """The newest acceptance of this evidence by somebody who counts; None where it was rejected as well."""
    said = _said(tx, evidence_digest)
    if not said or any(each.choice != ValidationDecision.ACCEPT for each in said):
        return None
    counting = {key.keyid for key in roster(tx, trust, now=now).keys}
    for each in reversed(said):
        if each.keyid in counting and each.used_at is not None:
            return Acceptance(
                decision=each.payload_digest,
                keyid=each.keyid,
                decided_at=each.issued_at,
                accepted_at=each.used_at,
            )
    return None


def rejection(tx: Connection, evidence_digest: str) -> StoredDecision | None:
    """The decision by which a person turned this evidence down; None where nobody did."""
    said = (each for each in _said(tx, evidence_digest) if each.choice != ValidationDecision.ACCEPT)
    return next(said, None)


def decided(
    result: Result, decision: ValidationDecision, acceptance: Acceptance | None
) -> ValidationDecision:
    """The table's word on one medium, or `accept` where a person answered what it escalates."""
    if acceptance is not None and is_awaited(result, decision):
        return ValidationDecision.ACCEPT
    return decision


def is_accepted(result: Result, decision: ValidationDecision, acceptance: Acceptance | None) -> bool:
    """Whether the medium is erased, and the table or a person accepts it."""
    return result is Result.ERASED and decided(result, decision, acceptance) is ValidationDecision.ACCEPT


def is_awaited(result: Result, decision: ValidationDecision) -> bool:
    """Whether this is a result that the table leaves to a person."""
    return result is Result.ERASED and decision is ValidationDecision.ESCALATE


def row_words(plan: StoredPlan | None, verdict: Verdict) -> str:
    """The case of the validation table that decides on this medium: data class, media, technique, grade."""
    claim = verdict.claim
    media = data_class = "unknown"
    if plan is not None:
        planned = read_model(plan.text, Plan, what="plan")
        kinds = {each.commitment: each.kind.value for each in planned.media}
        media, data_class = kinds.get(verdict.medium, media), planned.data_class
    return f"{data_class}, {media}, {claim['technique']}, {claim['grade']}"


def _said(tx: Connection, evidence_digest: str) -> tuple[StoredDecision, ...]:
    return decisions.carried_out(tx, DecisionKind.VALIDATE, on_digest=evidence_digest)
