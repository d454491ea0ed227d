"""Sign and log an outcome for each medium, a summary for the host, and check the bundle as a stranger would.

Rules: bytes are fixed first (draft), signed outside, logged once; repeating continues where it stopped. An
outcome that does not say `erased` is signed and logged as well, on the way to a person; one that says it only
when it is accepted (FORMATS.md, "Outcome"), so an escalated one waits for its person. A summary is made only
when every medium is accepted, and in the present attempt; it is one a deprovision, and that of another order
is never signed (decisions/0011). The files that a stranger is given are also written into the home. Nothing
is released before `verify()` passes for every bundle under the provider's own policy. A case that ends
without a release leaves what `closing` says.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from certificate.errors import Code, Untrusted
from certificate.identifiers import OutcomeId
from certificate.statements.vocabulary import Result
from certificate.verify import verify
from controller import certify, checkpointing, closing, copies, destroying, issuing
from controller.bundles import assemble
from controller.case import Case
from controller.certify import Verdict
from controller.effects.judge import Record, record_of
from controller.errors import LostRace
from controller.program import NONCE_BYTES, Program
from controller.records import custody
from controller.store import deprovisions, outcomes
from controller.store.outcomes import StoredOutcome


def perform(program: Program, case: Case) -> None:
    """Raises Refused where a document cannot be made or a bundle does not verify, LostRace where another
    attempt began meanwhile.
    """
    destroying.issue_due(program)
    if closing.is_due(program, case):
        closing.record(program, case)
        return
    record = record_of(program, case)
    issued = tuple(_outcome(program, case, record, verdict) for verdict in record.verdicts if verdict.is_due)
    checkpointing.sign_due(program)
    if not all(verdict.is_accepted for verdict in record.verdicts):
        # One that says `erased` is a certificate only beside its host's summary.
        copies.write(program, (each for each in issued if each.result is not Result.ERASED))
        return
    _summary(program, case, record, issued)
    checkpointing.sign_due(program)
    for outcome in issued:
        with program.store.snapshot() as tx:
            bundle = assemble(tx, outcomes.load(tx, outcome.id), program.documents.signed_files).bundle
        verify(bundle, program.documents.trust, program.documents.policy)
    # Of a drive that was destroyed meanwhile, too: its bundle gains the summary that names it.
    with program.store.snapshot() as tx:
        destroyed = [each for each in outcomes.of_deprovision(tx, case.id) if each.attempt is None]
    copies.write(program, (*issued, *destroyed))
    with program.store.transaction() as tx:
        digest = program.documents.policy.digest()
        outcomes.record_verified(tx, case.id, policy_digest=digest, now=program.clock())


def _outcome(program: Program, case: Case, record: Record, verdict: Verdict) -> StoredOutcome:
    """Drafted, signed and logged; whichever of these was done before is not done again."""
    attempt = case.deprovision.attempt
    with program.store.transaction() as tx:
        stored = outcomes.of_medium(tx, case.id, attempt=attempt, medium=verdict.commitment)
        if stored is None:
            issue = issuing.issue_of(tx, program, number=outcomes.next_issuer_seq(tx))
            statement = certify.make_outcome(
                outcome=OutcomeId.from_random(program.random_bytes(NONCE_BYTES)),
                issue=issue,
                order=record.order,
                order_digest=record.order_digest,
                evidence=record.evidence,
                evidence_digest=record.stored_evidence.payload_digest,
                evidence_file_digest=hashlib.sha256(record.stored_evidence.envelope).hexdigest(),
                verdict=verdict,
                custody=issuing.custody_of(tx, program, case),
                supersedes=issuing.superseded(tx, verdict.commitment),
                decided_at=issue.issued_at,
            )
            stored = issuing.draft(tx, program, statement, case=case, attempt=attempt)
    return issuing.issue(program, stored)


def _summary(program: Program, case: Case, record: Record, issued: tuple[StoredOutcome, ...]) -> None:
    with program.store.transaction() as tx:
        _require_present(tx, case)
        stored = outcomes.summary_of(tx, case.id)
        if stored is not None and not stored.names_order(record.order_digest):
            raise Untrusted(Code.SUBJECT_MISMATCH, "the stored summary is of another attempt's order")
        if stored is None:
            statement = certify.make_summary(
                issue=issuing.issue_of(tx, program, number=0),
                order=record.order,
                order_digests=issuing.order_digests(tx, case.id, record.order_digest),
                evidence=record.evidence,
                verdicts=record.verdicts,
                outcome_digests={outcome.medium: outcome.payload_digest for outcome in issued},
                departed=custody.departed(
                    tx, case.deprovision, besides={verdict.commitment for verdict in record.verdicts}
                ),
                custody=issuing.custody_of(tx, program, case),
            )
            stored = outcomes.draft_summary(tx, case.id, payload=statement.payload(), now=program.clock())
    issuing.issue_summary(program, stored)


def _require_present(tx: Connection, case: Case) -> None:
    row = case.deprovision
    if deprovisions.load(tx, case.id).attempt != row.attempt:
        raise LostRace(case.id, row.state, row.fence)
