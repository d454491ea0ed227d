"""Outcomes and summaries: what the controller says of an erase, built from the order, the evidence and the
verdict.

Rules:
1. The claim is what `assurance.judge` computes from order and evidence, and nothing else.
2. An `erased` outcome contains the validation that accepted it; any other outcome has none. What was not
   accepted is `inconclusive` once the case is closed over it (`unaccepted`).
3. Nothing is copied from configuration into a fact: what neither the agent nor the provider's records saw is
   `not_observed`.
4. A summary names every medium of the order, every one that left the host with this tenancy's data or under
   this deprovision, each once, and every place besides drives; its claim is the worst of all of them, and one
   that left unerased is `inconclusive` (decisions/0010).
5. Of an attempt whose evidence never came nothing is said that only evidence tells (decisions/0012).

Pure: ids, nonces, times and digests are handed in. Signing, logging and storing are the effect's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from certificate import assurance, outcome_words
from certificate import departures as certificate_departures
from certificate.identifiers import DeprovisionId, OutcomeId
from certificate.reasons import Reason
from certificate.statements.evidence import Command, Evidence, Markers, MediumEvidence, Residue
from certificate.statements.medium import Medium
from certificate.statements.order import Anchor, Order
from certificate.statements.outcome import (
    Claim,
    Custody,
    Destruction,
    Outcome,
    Sanitization,
    Validation,
    Verification,
)
from certificate.statements.statement import (
    NOT_OBSERVED,
    NotApplicable,
    Purpose,
    Seen,
    Statement,
    make,
    subject,
)
from certificate.statements.summary import MediumSummary, Summary
from certificate.statements.validation import ValidationTable
from certificate.statements.vocabulary import (
    DeviceClass,
    ResidueName,
    ResidueState,
    Result,
    Role,
    Technique,
    ValidationDecision,
    WhatBecame,
)
from controller.people.acceptance import Acceptance

NOT_APPLICABLE: NotApplicable = "not_applicable"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said of one medium, and whether the signed table accepts it."""

    commitment: str
    claim: Claim
    #: not_applicable unless the claim is `erased`.
    decision: ValidationDecision | NotApplicable
    #: The person who accepted what the table escalates; None where the table itself decided.
    accepted_by: Acceptance | None = None

    @property
    def is_accepted(self) -> bool:
        return self.claim.result is Result.ERASED and self.decision is ValidationDecision.ACCEPT

    @property
    def is_due(self) -> bool:
        """Whether its outcome may be signed now: `erased` only once accepted (FORMATS.md, "Outcome")."""
        return self.claim.result is not Result.ERASED or self.is_accepted


@dataclass(frozen=True, kw_only=True)
class Departed:
    """A medium that left the host, and what may be said of it."""

    entry: MediumSummary
    claim: Claim


@dataclass(frozen=True, kw_only=True)
class Issue:
    """What signs and numbers a document: handed in, so that the same input gives the same bytes."""

    issuer: str
    issuer_seq: int
    anchor: Anchor
    nonce: str
    issued_at: datetime


def judge(*, order: Order, evidence: Evidence, table: ValidationTable) -> tuple[Verdict, ...]:
    """One verdict for every medium the order names, in the plan's order."""
    verdicts = []
    for planned in order.plan.media:
        claim = assurance.judge(order=order, evidence=evidence, commitment=planned.commitment)
        decision: ValidationDecision | NotApplicable = NOT_APPLICABLE
        if claim.result is Result.ERASED and claim.technique != NOT_APPLICABLE:
            decision = table.decide(
                data_class=order.plan.data_class,
                media=planned.kind,
                technique=Technique(claim.technique),
                grade=claim.grade,
            )
        verdicts.append(Verdict(commitment=planned.commitment, claim=claim, decision=decision))
    return tuple(verdicts)


def make_outcome(
    *,
    outcome: OutcomeId,
    issue: Issue,
    order: Order,
    order_digest: str,
    evidence: Evidence,
    evidence_digest: str,
    evidence_file_digest: str,
    verdict: Verdict,
    custody: Custody,
    supersedes: str | None,
    decided_at: datetime,
) -> Statement[Outcome]:
    """The record of this attempt on one medium. `evidence_file_digest`: SHA-256 of the `*.evidence.dsse.json`
    file; `supersedes`: of the payload of an earlier outcome on the same medium.
    """
    seen = _seen(order, evidence, verdict.commitment)
    predicate = Outcome(
        schema_version=1,
        purpose=order.purpose,
        nonce=issue.nonce,
        issued_at=issue.issued_at,
        outcome=outcome,
        deprovision=order.deprovision,
        attempt=order.attempt,
        issuer=issue.issuer,
        issuer_seq=issue.issuer_seq,
        anchor=issue.anchor,
        supersedes=supersedes or NOT_APPLICABLE,
        order=order.order,
        order_digest=order_digest,
        evidence_digest=evidence_digest,
        destruction=NOT_APPLICABLE,
        host_commitment=order.host.commitment,
        medium=seen.medium,
        media_kind=next(each.kind for each in order.plan.media if each.commitment == verdict.commitment),
        custody=custody,
        destination=outcome_words.destination(verdict.claim),
        claim=verdict.claim,
        boot_trust=order.boot_trust,
        observer=evidence.observer,
        agent_keyid=evidence.agent_keyid,
        attestation=NOT_OBSERVED,
        sanitization=_sanitization(seen, order=order, evidence=evidence),
        cryptographic_erase=outcome_words.cryptographic_erases(seen, escrow=order.escrow),
        verification=_verification(seen, agent_keyid=evidence.agent_keyid),
        validation=_validation(order=order, verdict=verdict, issuer=issue.issuer, decided_at=decided_at),
        gdpr_art28_3_g=Seen.that(verdict.claim.result is Result.ERASED),
    )
    subjects = (subject("evidence.dsse.json", evidence_file_digest), subject("medium", verdict.commitment))
    return make(predicate, subjects)


def make_unseen(
    *,
    outcome: OutcomeId,
    issue: Issue,
    order: Order,
    order_digest: str,
    commitment: str,
    custody: Custody,
    supersedes: str | None,
) -> Statement[Outcome]:
    """The record of an attempt on one medium of which no evidence came. Never `erased`."""
    planned = next(each for each in order.plan.media if each.commitment == commitment)
    claim = assurance.without_evidence(order=order, commitment=commitment)
    predicate = Outcome(
        schema_version=1,
        purpose=order.purpose,
        nonce=issue.nonce,
        issued_at=issue.issued_at,
        outcome=outcome,
        deprovision=order.deprovision,
        attempt=order.attempt,
        issuer=issue.issuer,
        issuer_seq=issue.issuer_seq,
        anchor=issue.anchor,
        supersedes=supersedes or NOT_APPLICABLE,
        order=order.order,
        order_digest=order_digest,
        evidence_digest=NOT_OBSERVED,
        destruction=NOT_APPLICABLE,
        host_commitment=order.host.commitment,
        medium=outcome_words.never_opened(planned),
        media_kind=planned.kind,
        custody=custody,
        destination=outcome_words.destination(claim),
        claim=claim,
        boot_trust=order.boot_trust,
        observer=NOT_OBSERVED,
        agent_keyid=NOT_OBSERVED,
        attestation=NOT_OBSERVED,
        sanitization=NOT_OBSERVED,
        cryptographic_erase=(),
        verification=NOT_OBSERVED,
        validation=NOT_APPLICABLE,
        gdpr_art28_3_g=Seen.NO,
    )
    return make(predicate, (subject("medium", commitment),))


def unaccepted(verdict: Verdict, *, is_rejected: bool) -> Verdict:
    """What is said of a medium once its case is closed: a claim of `erased` that is not accepted is none."""
    if verdict.claim.result is not Result.ERASED or verdict.is_accepted:
        return verdict
    by_table = verdict.decision is ValidationDecision.REJECT
    because = Reason.RESULT_REJECTED if is_rejected or by_table else Reason.RESULT_NOT_ACCEPTED
    claim = assurance.unaccepted(verdict.claim, because)
    return Verdict(commitment=verdict.commitment, claim=claim, decision=NOT_APPLICABLE)


def make_destroyed(
    *,
    outcome: OutcomeId,
    issue: Issue,
    purpose: Purpose,
    deprovision: DeprovisionId | None,
    host_commitment: str,
    destruction: Destruction,
    model: str | None,
    capacity_bytes: int | None,
    custody: Custody,
    supersedes: str | None,
) -> Statement[Outcome]:
    """The record of a medium that left and was destroyed, as two operators attest. `model` and
    `capacity_bytes`: the provider's own record, which nothing of ours has seen.
    """
    attested = destruction.attested
    claim = certificate_departures.claim_of_destroy(attested)
    predicate = Outcome(
        schema_version=1,
        purpose=purpose,
        nonce=issue.nonce,
        issued_at=issue.issued_at,
        outcome=outcome,
        deprovision=deprovision or NOT_APPLICABLE,
        attempt=NOT_APPLICABLE,
        issuer=issue.issuer,
        issuer_seq=issue.issuer_seq,
        anchor=issue.anchor,
        supersedes=supersedes or NOT_APPLICABLE,
        order=NOT_APPLICABLE,
        order_digest=NOT_APPLICABLE,
        evidence_digest=NOT_APPLICABLE,
        destruction=destruction,
        host_commitment=host_commitment,
        medium=_never_opened(attested.medium, model=model, capacity_bytes=capacity_bytes),
        media_kind=NOT_OBSERVED,
        custody=custody,
        destination=outcome_words.destination(claim),
        claim=claim,
        boot_trust=NOT_APPLICABLE,
        observer=NOT_APPLICABLE,
        agent_keyid=NOT_APPLICABLE,
        attestation=NOT_OBSERVED,
        sanitization=NOT_APPLICABLE,
        cryptographic_erase=(),
        verification=NOT_APPLICABLE,
        validation=NOT_APPLICABLE,
        gdpr_art28_3_g=Seen.YES,
    )
    return make(predicate, (subject("medium", attested.medium),))


def _never_opened(commitment: str, *, model: str | None, capacity_bytes: int | None) -> Medium:
    is_word = model is not None and 0 < len(model) <= 120 and model.isascii() and model.isprintable()
    return Medium(
        commitment=commitment,
        transport=NOT_OBSERVED,
        device_class=DeviceClass.NOT_OPENED,
        manufacturer=NOT_OBSERVED,
        model=model if model is not None and is_word else NOT_OBSERVED,
        firmware=NOT_OBSERVED,
        capacity_bytes=NOT_OBSERVED if capacity_bytes is None else capacity_bytes,
        native_capacity_bytes=NOT_OBSERVED,
        logical_block_bytes=NOT_OBSERVED,
    )


def make_summary(
    *,
    issue: Issue,
    order: Order,
    order_digests: tuple[str, ...],
    evidence: Evidence | None,
    verdicts: tuple[Verdict, ...],
    outcome_digests: dict[str, str],
    departed: tuple[Departed, ...],
    custody: Custody,
) -> Statement[Summary]:
    """The record of one host. `order_digests`: of every attempt that may have touched it, this order's last;
    `verdicts`: of the media that are in it; `outcome_digests`: medium commitment -> SHA-256 of its outcome's
    payload; `departed`: media that left the host before this, by a recorded decision.
    """
    media = tuple(
        MediumSummary(
            commitment=verdict.commitment,
            became=WhatBecame(verdict.claim.result.value),
            outcome_digest=outcome_digests[verdict.commitment],
            decision_digest=NOT_APPLICABLE,
        )
        for verdict in verdicts
    )
    predicate = Summary(
        schema_version=1,
        purpose=order.purpose,
        nonce=issue.nonce,
        issued_at=issue.issued_at,
        deprovision=order.deprovision,
        issuer=issue.issuer,
        anchor=issue.anchor,
        host_commitment=order.host.commitment,
        custody=custody,
        media=(*media, *(each.entry for each in departed)),
        residue=_residue(evidence),
        claim=certificate_departures.claim_of_host(
            [
                *((WhatBecame(verdict.claim.result.value), verdict.claim) for verdict in verdicts),
                *((each.entry.became, each.claim) for each in departed),
            ]
        ),
        ended_at=issue.issued_at,
        order_digests=order_digests,
    )
    return make(predicate, tuple(subject("outcome", digest) for digest in outcome_digests.values()))


def _seen(order: Order, evidence: Evidence, commitment: str) -> MediumEvidence:
    """What the agent says of this medium; of one it does not speak of, that nothing was observed."""
    for entry in evidence.media:
        if entry.medium.commitment == commitment:
            return entry
    planned = next(each for each in order.plan.media if each.commitment == commitment)
    nobody_looked = Seen.NOT_OBSERVED
    return MediumEvidence(
        medium=outcome_words.never_opened(planned),
        attachment=NOT_OBSERVED,
        was_present=nobody_looked,
        released=(),
        layers=(),
        opened_exclusively=nobody_looked,
        same_identity_after=nobody_looked,
        is_readable_after=nobody_looked,
        is_write_protected=nobody_looked,
        capabilities=(),
        namespaces=(),
        unallocated_capacity_bytes=NOT_OBSERVED,
        commands=(),
        markers=Markers(
            committed_digest=NOT_OBSERVED,
            was_acknowledged=nobody_looked,
            nonce=NOT_OBSERVED,
            committed_count=0,
            markers=(),
        ),
        read_back=NOT_OBSERVED,
        unaddressed_areas=(),
        errors=(),
    )


def _residue(evidence: Evidence | None) -> tuple[Residue, ...]:
    """Every name once; a place the agent did not speak of is not covered, and one it named twice neither."""
    states: dict[ResidueName, list[ResidueState]] = {name: [] for name in ResidueName}
    for entry in () if evidence is None else evidence.residue:
        states[entry.name].append(entry.state)
    return tuple(
        Residue(name=name, state=seen[0] if len(seen) == 1 else ResidueState.NOT_COVERED)
        for name, seen in states.items()
    )


def _sanitization(seen: MediumEvidence, *, order: Order, evidence: Evidence) -> Sanitization:
    planned = next(each for each in order.plan.media if each.commitment == seen.medium.commitment)
    return Sanitization(
        layers=seen.layers,
        commands=seen.commands,
        started_at=seen.commands[0].started_at if seen.commands else NOT_OBSERVED,
        finished_at=seen.commands[-1].finished_at if seen.commands else NOT_OBSERVED,
        standard=outcome_words.clause(seen),
        fallback_from=outcome_words.fallback_from(seen, planned.techniques),
        unaddressed_areas=seen.unaddressed_areas,
        errors=seen.errors,
        tool=evidence.tool,
    )


def _verification(seen: MediumEvidence, *, agent_keyid: str) -> Verification:
    last: Command | None = seen.commands[-1] if seen.commands else None
    log = last.status_log_after if last is not None else NOT_OBSERVED
    return Verification(
        verified_by=agent_keyid,
        role=Role.AGENT,
        status_log_digest=NOT_OBSERVED
        if log in (NOT_OBSERVED, NOT_APPLICABLE)
        else hashlib.sha256(bytes.fromhex(log)).hexdigest(),
        markers_committed=seen.markers.committed_count,
        markers_as_expected=outcome_words.markers_as_expected(seen),
        read_back=seen.read_back,
    )


def _validation(
    *, order: Order, verdict: Verdict, issuer: str, decided_at: datetime
) -> Validation | NotApplicable:
    if verdict.decision == NOT_APPLICABLE:
        return NOT_APPLICABLE
    if not verdict.is_accepted:
        raise ValueError("an outcome says `erased` only once it is accepted")
    person = verdict.accepted_by
    return Validation(
        decision=ValidationDecision(verdict.decision),
        table_digest=order.plan.validation_digest,
        decided_by=NOT_APPLICABLE if person is None else person.decision,
        validated_by=issuer if person is None else person.keyid,
        role=Role.ISSUER if person is None else Role.OPERATOR,
        decided_at=decided_at if person is None else person.decided_at,
    )
