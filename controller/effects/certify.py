"""Sign and log an outcome for each medium, a summary for the host, and check the bundle as a stranger would.

Rules: bytes are fixed first (draft), signed outside, logged once; repeating continues where it stopped. An
outcome that does not say `erased` is signed and logged as well, on the way to a person; one that says it only
when it is accepted (FORMATS.md, "Outcome"), so an escalated one waits for its person. A summary is made only
when every medium is accepted, and in the present attempt; it is one a deprovision, and that of another order
is never signed (decisions/0011). The files that a stranger is given are also written into the home. Nothing
is released before `verify()` passes for every bundle under the provider's own policy.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.errors import Code, Untrusted
from certificate.identifiers import OutcomeId
from certificate.statements.order import Anchor
from certificate.statements.outcome import Custody
from certificate.statements.vocabulary import Result
from certificate.verify import verify
from controller import certify, checkpointing, destroying, whereabouts
from controller.bundles import assemble
from controller.case import Case
from controller.certify import Verdict
from controller.effects.judge import Record, record_of
from controller.errors import LostRace
from controller.home import write_durably
from controller.intent import anchor
from controller.program import NONCE_BYTES, Program
from controller.records import custody
from controller.store import deprovisions, orders, outcomes
from controller.store.orders import FinalAnswer
from controller.store.outcomes import StoredOutcome


def perform(program: Program, case: Case) -> None:
    """Raises Refused where a document cannot be made or a bundle does not verify, LostRace where another
    attempt began meanwhile.
    """
    destroying.issue_due(program)
    record = record_of(program, case)
    issued = tuple(_outcome(program, case, record, verdict) for verdict in record.verdicts if verdict.is_due)
    checkpointing.sign_due(program)
    if not all(verdict.is_accepted for verdict in record.verdicts):
        # One that says `erased` is a certificate only beside its host's summary.
        _write_files(program, tuple(each for each in issued if each.result is not Result.ERASED))
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
    _write_files(program, (*issued, *destroyed))
    with program.store.transaction() as tx:
        digest = program.documents.policy.digest()
        outcomes.record_verified(tx, case.id, policy_digest=digest, now=program.clock())


def _write_files(program: Program, issued: tuple[StoredOutcome, ...]) -> None:
    """The home's copies, whole or not at all: certificates in one folder, everything else in the other."""
    for outcome in issued:
        with program.store.snapshot() as tx:
            assembled = assemble(tx, outcomes.load(tx, outcome.id), program.documents.signed_files)
        is_certificate = outcome.result is Result.ERASED
        folder = program.certificates_folder if is_certificate else program.failures_folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in assembled.files(outcome.id).items():
            write_durably(folder / name, content)


def _outcome(program: Program, case: Case, record: Record, verdict: Verdict) -> StoredOutcome:
    """Drafted, signed and logged; whichever of these was done before is not done again."""
    attempt = case.deprovision.attempt
    with program.store.transaction() as tx:
        stored = outcomes.of_medium(tx, case.id, attempt=attempt, medium=verdict.commitment)
        if stored is None:
            number = outcomes.next_issuer_seq(tx)
            issue = _issue(program, number, anchor(tx, program))
            outcome = OutcomeId.from_random(program.random_bytes(NONCE_BYTES))
            statement = certify.make_outcome(
                outcome=outcome,
                issue=issue,
                order=record.order,
                order_digest=record.order_digest,
                evidence=record.evidence,
                evidence_digest=record.stored_evidence.payload_digest,
                evidence_file_digest=hashlib.sha256(record.stored_evidence.envelope).hexdigest(),
                verdict=verdict,
                custody=_custody(tx, program, case),
                supersedes=_superseded(tx, verdict.commitment),
                decided_at=issue.issued_at,
            )
            stored = outcomes.draft(
                tx,
                id=outcome,
                deprovision=case.id,
                attempt=attempt,
                medium=verdict.commitment,
                issuer_seq=number,
                result=verdict.claim.result,
                payload=statement.payload(),
                now=program.clock(),
            )
    if stored.is_issued:
        return stored
    envelope = _signed(program, stored.payload)
    with program.store.transaction() as tx:
        return outcomes.issue(tx, stored.id, envelope=envelope, now=program.clock())


def _summary(program: Program, case: Case, record: Record, issued: tuple[StoredOutcome, ...]) -> None:
    with program.store.transaction() as tx:
        _require_present(tx, case)
        stored = outcomes.summary_of(tx, case.id)
        if stored is not None and not stored.names_order(record.order_digest):
            raise Untrusted(Code.SUBJECT_MISMATCH, "the stored summary is of another attempt's order")
        if stored is None:
            statement = certify.make_summary(
                issue=_issue(program, 0, anchor(tx, program)),
                order=record.order,
                order_digests=_order_digests(tx, case, record),
                evidence=record.evidence,
                verdicts=record.verdicts,
                outcome_digests={outcome.medium: outcome.payload_digest for outcome in issued},
                departed=custody.departed(
                    tx, case.deprovision, besides={verdict.commitment for verdict in record.verdicts}
                ),
                custody=_custody(tx, program, case),
            )
            stored = outcomes.draft_summary(tx, case.id, payload=statement.payload(), now=program.clock())
    if stored.is_issued:
        return
    envelope = _signed(program, stored.payload)
    with program.store.transaction() as tx:
        outcomes.issue_summary(tx, case.id, envelope=envelope, now=program.clock())


def _require_present(tx: Connection, case: Case) -> None:
    row = case.deprovision
    if deprovisions.load(tx, case.id).attempt != row.attempt:
        raise LostRace(case.id, row.state, row.fence)


def _signed(program: Program, payload: bytes) -> Envelope:
    return dsse.sign(payload, program.keyring.issuer)


def _issue(program: Program, number: int, at: Anchor) -> certify.Issue:
    return certify.Issue(
        issuer=program.keyring.issuer.public.keyid,
        issuer_seq=number,
        anchor=at,
        nonce=program.nonce(),
        issued_at=program.whole_second(),
    )


def _custody(tx: Connection, program: Program, case: Case) -> Custody:
    return whereabouts.custody_of(
        tx, program, case.host, case.own_tenancy, data_class=case.deprovision.data_class
    )


def _superseded(tx: Connection, medium: str) -> str | None:
    """The newest outcome on this very medium before this one, of an earlier attempt or tenancy."""
    issued = [each.payload_digest for each in outcomes.of_drive(tx, medium) if each.is_issued]
    return issued[-1] if issued else None


def _order_digests(tx: Connection, case: Case, record: Record) -> tuple[str, ...]:
    """Of every attempt that may have begun something; this one's last."""
    earlier = [
        order.payload_digest
        for order in orders.of_deprovision(tx, case.id)
        if order.dispatched_at is not None and order.answer is not FinalAnswer.ABSENT
    ]
    return (*(digest for digest in earlier if digest != record.order_digest), record.order_digest)
