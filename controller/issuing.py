"""Outcomes and summaries on their way into the log: numbered and drafted in a transaction, signed outside,
logged once.

Rules: bytes are fixed before they are signed; whichever step was done before is not done again. An outcome
supersedes the newest one that an earlier attempt left on the same medium; what people attest of a medium's
destruction is superseded by no attempt.
"""

from __future__ import annotations

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.identifiers import DeprovisionId
from certificate.statements import Outcome, Statement
from certificate.statements.outcome import Custody
from controller import certify, whereabouts
from controller.case import Case
from controller.intent import anchor
from controller.program import Program
from controller.store import orders, outcomes
from controller.store.orders import FinalAnswer
from controller.store.outcomes import StoredOutcome, StoredSummary


def issue_of(tx: Connection, program: Program, *, number: int) -> certify.Issue:
    """`number`: of the outcome among all of the issuer's, 0 for a summary."""
    return certify.Issue(
        issuer=program.keyring.issuer.public.keyid,
        issuer_seq=number,
        anchor=anchor(tx, program),
        nonce=program.nonce(),
        issued_at=program.whole_second(),
    )


def custody_of(tx: Connection, program: Program, case: Case) -> Custody:
    return whereabouts.custody_of(
        tx, program, case.host, case.own_tenancy, data_class=case.deprovision.data_class
    )


def superseded(tx: Connection, medium: str) -> str | None:
    """The newest logged outcome of an attempt on this very medium, of an earlier attempt or tenancy."""
    issued = [
        each.payload_digest
        for each in outcomes.of_drive(tx, medium)
        if each.is_issued and each.attempt is not None
    ]
    return issued[-1] if issued else None


def order_digests(tx: Connection, key: DeprovisionId, own: str) -> tuple[str, ...]:
    """Of every attempt that may have begun something; `own` last."""
    earlier = [
        order.payload_digest
        for order in orders.of_deprovision(tx, key)
        if order.dispatched_at is not None and order.answer is not FinalAnswer.ABSENT
    ]
    return (*(digest for digest in earlier if digest != own), own)


def draft(
    tx: Connection, program: Program, statement: Statement[Outcome], *, case: Case, attempt: int
) -> StoredOutcome:
    """Fixes the bytes of an outcome of this attempt. Raises Refused(ALREADY_STORED)."""
    said = statement.predicate
    return outcomes.draft(
        tx,
        id=said.outcome,
        deprovision=case.id,
        attempt=attempt,
        medium=said.medium.commitment,
        issuer_seq=said.issuer_seq,
        result=said.claim.result,
        payload=statement.payload(),
        now=program.clock(),
    )


def issue(program: Program, stored: StoredOutcome) -> StoredOutcome:
    """Signed and logged, if it was not before."""
    if stored.is_issued:
        return stored
    envelope = _signed(program, stored.payload)
    with program.store.transaction() as tx:
        return outcomes.issue(tx, stored.id, envelope=envelope, now=program.clock())


def issue_summary(program: Program, stored: StoredSummary) -> None:
    """As `issue`."""
    if stored.is_issued:
        return
    envelope = _signed(program, stored.payload)
    with program.store.transaction() as tx:
        outcomes.issue_summary(tx, stored.deprovision, envelope=envelope, now=program.clock())


def _signed(program: Program, payload: bytes) -> Envelope:
    return dsse.sign(payload, program.keyring.issuer)
