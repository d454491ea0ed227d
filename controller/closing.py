"""What a case leaves when it is closed without its host being certified (decisions/0012).

Rules: an outcome for each medium of the last order that may have begun something, and a summary of the host.
A medium of which no evidence came, or whose result nobody accepted, is `inconclusive`; one that is erased and
accepted keeps its word, and its certificate if the bundle verifies. The host is never said to be erased here:
that is said by certifying, before a release, and by nothing else. All bytes are fixed in one transaction, in
which the case is asked again whether it ends now, so that no evidence, acceptance or attempt comes between
them; signing, logging and writing follow and may be repeated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from certificate import assurance, departures
from certificate.identifiers import OutcomeId
from certificate.statements import Order, Outcome, Statement
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Result, ValidationDecision, WhatBecame
from controller import case as cases
from controller import certify, checkpointing, copies, issuing, knowledge, owing
from controller.case import Case
from controller.certify import NOT_APPLICABLE, Departed, Verdict
from controller.effects.judge import Record, record_of_order
from controller.errors import LostRace
from controller.exits import leaves_records
from controller.people import acceptance
from controller.program import NONCE_BYTES, Program
from controller.records import custody
from controller.store import evidence, outcomes
from controller.store.orders import StoredOrder
from controller.store.outcomes import StoredOutcome, StoredSummary


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """The last order that may have begun something, and what came of it; None where no evidence did."""

    stored: StoredOrder
    order: Order
    digest: str
    record: Record | None


def is_due(program: Program, case: Case) -> bool:
    """Whether the case ends now and owes its records."""
    with program.store.snapshot() as tx:
        return _ends_now(tx, program, case)


def record(program: Program, case: Case) -> None:
    """Leaves them. Raises LostRace where the case does not end after all, Refused where a document cannot be
    made.
    """
    begun = _begun(program, case)
    with program.store.transaction() as tx:
        present = cases.load(tx, case.id)
        last = owing.last_begun(tx, case.id)
        is_same = last is not None and last.id == begun.stored.id
        has_come = evidence.of_order(tx, begun.stored.id) is not None
        if not is_same or has_come is not (begun.record is not None) or not _ends_now(tx, program, present):
            raise LostRace(case.id, case.deprovision.state, case.deprovision.fence)
        verdicts = _verdicts(tx, program, begun)
        told = {each.commitment: _outcome(tx, program, present, begun, each) for each in verdicts}
        summary = _summary(tx, program, present, begun, verdicts, told)
    for stored in told.values():
        issuing.issue(program, stored)
    if summary is not None:
        issuing.issue_summary(program, summary)
    checkpointing.sign_due(program)
    _write(program, case)


def _ends_now(tx: Connection, program: Program, case: Case) -> bool:
    now = program.clock()
    return leaves_records(knowledge.facts_of(tx, program, case, now=now), now)


def _begun(program: Program, case: Case) -> _Begun:
    with program.store.snapshot() as tx:
        stored = owing.last_begun(tx, case.id)
        seen = None if stored is None else evidence.of_order(tx, stored.id)
    if stored is None:
        raise LostRace(case.id, case.deprovision.state, case.deprovision.fence)
    opened, digest = program.documents.trust.open_statement(stored.envelope, Order, seq=stored.log_seq)
    found = None if seen is None else record_of_order(program, stored)
    return _Begun(stored=stored, order=opened.predicate, digest=digest, record=found)


def _verdicts(tx: Connection, program: Program, begun: _Begun) -> tuple[Verdict, ...]:
    """What may be said of each medium of the order for good, in the plan's order."""
    if begun.record is None:
        return tuple(
            Verdict(
                commitment=medium,
                claim=assurance.without_evidence(order=begun.order, commitment=medium),
                decision=NOT_APPLICABLE,
            )
            for medium in owing.planned(begun.stored)
        )
    is_rejected = acceptance.rejection(tx, begun.record.stored_evidence.payload_digest) is not None
    accepted = owing.accepted(tx, program, begun.stored)
    return tuple(
        verdict
        if verdict.is_accepted and verdict.commitment in accepted
        else certify.unaccepted(_without_person(verdict), is_rejected=is_rejected)
        for verdict in begun.record.verdicts
    )


def _without_person(verdict: Verdict) -> Verdict:
    """As the table left it to a person: a yes that was read, and counts no more by now, is none."""
    is_lost = verdict.is_accepted
    return replace(
        verdict,
        accepted_by=None,
        decision=ValidationDecision.ESCALATE if is_lost else verdict.decision,
    )


def _outcome(tx: Connection, program: Program, case: Case, begun: _Begun, verdict: Verdict) -> StoredOutcome:
    """The one that this attempt has, or its draft."""
    attempt = begun.stored.attempt
    stored = outcomes.of_medium(tx, case.id, attempt=attempt, medium=verdict.commitment)
    if stored is not None:
        return stored
    statement = _statement(tx, program, case, begun, verdict)
    return issuing.draft(tx, program, statement, case=case, attempt=attempt)


def _statement(
    tx: Connection, program: Program, case: Case, begun: _Begun, verdict: Verdict
) -> Statement[Outcome]:
    issue = issuing.issue_of(tx, program, number=outcomes.next_issuer_seq(tx))
    outcome = OutcomeId.from_random(program.random_bytes(NONCE_BYTES))
    whereabouts = issuing.custody_of(tx, program, case)
    supersedes = issuing.superseded(tx, verdict.commitment)
    if begun.record is None:
        return certify.make_unseen(
            outcome=outcome,
            issue=issue,
            order=begun.order,
            order_digest=begun.digest,
            commitment=verdict.commitment,
            custody=whereabouts,
            supersedes=supersedes,
        )
    kept = begun.record.stored_evidence
    return certify.make_outcome(
        outcome=outcome,
        issue=issue,
        order=begun.order,
        order_digest=begun.digest,
        evidence=begun.record.evidence,
        evidence_digest=kept.payload_digest,
        evidence_file_digest=hashlib.sha256(kept.envelope).hexdigest(),
        verdict=verdict,
        custody=whereabouts,
        supersedes=supersedes,
        decided_at=issue.issued_at,
    )


def _summary(
    tx: Connection,
    program: Program,
    case: Case,
    begun: _Begun,
    verdicts: tuple[Verdict, ...],
    told: dict[str, StoredOutcome],
) -> StoredSummary | None:
    """The one that there is, or its draft; None where nothing of the host is unerased."""
    stored = outcomes.summary_of(tx, case.id)
    if stored is not None:
        return stored
    left = custody.departed(tx, case.deprovision, besides=set())
    accepted = {each.commitment for each in verdicts if each.is_accepted}
    if not owing.is_unerased(told, accepted=accepted, departed=left):
        return None
    by_medium = {each.commitment: each for each in verdicts}
    gone = tuple(_gone(each, by_medium.get(each.entry.commitment), told) for each in left)
    names = {each.entry.commitment for each in gone}
    statement = certify.make_summary(
        issue=issuing.issue_of(tx, program, number=0),
        order=begun.order,
        order_digests=issuing.order_digests(tx, case.id, begun.digest),
        evidence=None if begun.record is None else begun.record.evidence,
        verdicts=tuple(each for each in verdicts if each.commitment not in names),
        outcome_digests={medium: each.payload_digest for medium, each in told.items()},
        departed=gone,
        custody=issuing.custody_of(tx, program, case),
    )
    if statement.predicate.claim.result is Result.ERASED:
        raise ValueError("a closing says of no host that it is erased")
    return outcomes.draft_summary(tx, case.id, payload=statement.payload(), now=program.clock())


def _gone(left: Departed, verdict: Verdict | None, told: dict[str, StoredOutcome]) -> Departed:
    """A medium of the order that left since: what became of it in this attempt, unless it was destroyed."""
    if verdict is None or left.entry.became is WhatBecame.DESTROYED:
        return left
    became = WhatBecame.REMOVED if verdict.is_accepted else WhatBecame.OPEN_EXCEPTION
    entry = MediumSummary(
        commitment=left.entry.commitment,
        became=became,
        outcome_digest=told[left.entry.commitment].payload_digest,
        decision_digest=left.entry.decision_digest,
    )
    claim = verdict.claim if verdict.is_accepted else departures.claim_of_open_exception()
    return Departed(entry=entry, claim=claim)


def _write(program: Program, case: Case) -> None:
    """Every record of this case, because each bundle gains the summary."""
    with program.store.snapshot() as tx:
        issued = [each for each in outcomes.of_deprovision(tx, case.id) if each.is_issued]
    copies.write(
        program,
        [each for each in issued if each.result is not Result.ERASED or copies.is_certificate(program, each)],
    )
