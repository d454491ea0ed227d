"""Compute the verdict of each medium from the stored order and evidence, and keep it.

Rules: the table that decides is the one that the order names by digest, never the one in force; what is kept
is the table's word, and a person's yes to what it escalates is a decision of its own, read beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from certificate.errors import Refused
from certificate.statements import Evidence, Order
from certificate.statements.vocabulary import ValidationDecision
from controller import certify
from controller.case import Case
from controller.errors import Code
from controller.people import acceptance as validation
from controller.people.acceptance import Acceptance
from controller.program import Program
from controller.store import evidence
from controller.store.evidence import StoredEvidence
from controller.store.orders import StoredOrder


@dataclass(frozen=True, kw_only=True)
class Record:
    """An order and what came of it, opened and verified."""

    stored_order: StoredOrder
    order: Order
    order_digest: str
    stored_evidence: StoredEvidence
    evidence: Evidence
    verdicts: tuple[certify.Verdict, ...]


def record_of(program: Program, case: Case) -> Record:
    """Of the attempt's own order. Raises as `record_of_order`."""
    if case.order is None:
        raise Refused(Code.ORDER_MISSING, "there is no order")
    return record_of_order(program, case.order)


def record_of_order(program: Program, stored: StoredOrder) -> Record:
    """Raises Refused for what is not there, Untrusted for what does not verify."""
    with program.store.snapshot() as tx:
        kept = evidence.of_order(tx, stored.id)
        if kept is None:
            raise Refused(Code.NOT_IN_STORE, f"{stored.id} has no evidence")
        acceptance = validation.standing(
            tx, program.documents.trust, kept.payload_digest, now=program.clock()
        )
    trust = program.documents.trust
    ordered, digest = trust.open_statement(stored.envelope, Order, seq=stored.log_seq)
    seen, _ = trust.open_evidence(kept.envelope, boot_id=stored.boot_id)
    table = program.documents.table_named(ordered.predicate.plan.validation_digest)
    verdicts = certify.judge(order=ordered.predicate, evidence=seen.predicate, table=table.table)
    return Record(
        stored_order=stored,
        order=ordered.predicate,
        order_digest=digest,
        stored_evidence=kept,
        evidence=seen.predicate,
        verdicts=tuple(_answered(verdict, acceptance) for verdict in verdicts),
    )


def _answered(verdict: certify.Verdict, acceptance: Acceptance | None) -> certify.Verdict:
    """What the table escalates, with a person's yes to it."""
    if acceptance is None or verdict.decision is not ValidationDecision.ESCALATE:
        return verdict
    return replace(verdict, decision=ValidationDecision.ACCEPT, accepted_by=acceptance)


def perform(program: Program, case: Case) -> None:
    """Raises as `record_of`; LostRace and ALREADY_STORED where other verdicts stand."""
    record = record_of(program, case)
    verdicts = [
        evidence.Verdict(
            medium=verdict.commitment,
            result=verdict.claim.result,
            decision=_table_decision(verdict),
            claim=verdict.claim.model_dump(mode="json"),
        )
        for verdict in record.verdicts
    ]
    with program.store.transaction() as tx:
        evidence.record_verdicts(tx, record.stored_order.id, verdicts, now=program.clock())


def _table_decision(verdict: certify.Verdict) -> ValidationDecision:
    """The table accepts only what is erased; anything else is a person's to decide on."""
    if verdict.decision == certify.NOT_APPLICABLE or verdict.accepted_by is not None:
        return ValidationDecision.ESCALATE
    return ValidationDecision(verdict.decision)
