"""Bundles from rows: what a stranger is given for one medium, built again whenever it is asked for.

Rules: every document is the stored envelope, byte for byte; all proofs lead to one checkpoint, the newest, so
that they cannot contradict each other; an outcome that is not issued, or not yet covered by a checkpoint, has
no bundle. The annex is never part of it. Whether the bundle convinces, `certificate.verify` says.
Source: FORMATS.md, "Bundle".
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate import trust
from certificate.bundle import MEDIA_TYPE, Bundle, Document, LogProof
from certificate.departures import HAVE_LEFT
from certificate.errors import Refused
from certificate.log.proof import Proof
from certificate.statements import Order, Outcome, Summary
from certificate.statements import statement as statements
from controller import tables
from controller.errors import Code
from controller.people.roster import enrolments_for
from controller.people.travelling import with_order
from controller.store import (
    decisions,
    departures,
    deprovisions,
    evidence,
    log_rows,
    orders,
    outcomes,
    tenancies,
)
from controller.store.decisions import StoredDecision
from controller.store.evidence import StoredEvidence
from controller.store.log_rows import StoredCheckpoint
from controller.store.orders import StoredOrder
from controller.store.outcomes import StoredOutcome, StoredSummary


@dataclass(frozen=True, kw_only=True)
class SignedFiles:
    """What the root key signed once, as the files have it: the trust root and the validation table."""

    trust_root: bytes
    #: The table in force.
    validation_table: bytes
    #: Those before it, for orders that were made under them.
    earlier_tables: tuple[bytes, ...] = ()

    def table_named(self, digest: str) -> bytes:
        """The table of this digest. Raises Refused(TABLE_NOT_KEPT)."""
        return tables.file_named(digest, (self.validation_table, *self.earlier_tables))


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A bundle and the annex that must stay out of it."""

    bundle: Bundle
    outcome: bytes
    #: None for a destroyed medium, and for an attempt of which none came.
    evidence: StoredEvidence | None

    def files(self, name: str) -> dict[str, bytes]:
        """What a stranger is handed: the bundle, and its outcome and evidence for openssl or cosign."""
        files = {f"{name}.bundle.json": self.bundle.write(), f"{name}.dsse.json": self.outcome}
        if self.evidence is not None:
            files[f"{name}.evidence.dsse.json"] = self.evidence.envelope
        return files


def assemble(tx: Connection, stored: StoredOutcome, files: SignedFiles) -> Assembled:
    """The bundle of one issued outcome. Raises Refused: CERTIFICATE_NOT_READY while a part is missing or not
    logged, NOT_IN_STORE for a part that is gone.
    """
    if statements.read(stored.payload, Outcome).predicate.destruction != "not_applicable":
        return _assemble_destroyed(tx, stored, files)
    order, outcome_envelope, outcome_seq, seen, checkpoint = _parts(tx, stored)
    summary = outcomes.summary_of(tx, order.deprovision)
    summary_seq = None if summary is None else summary.log_seq
    tenancy = deprovisions.load(tx, order.deprovision).tenancy
    allocation = None if tenancy is None else tenancies.allocation_of(tx, tenancy)
    logged = {
        Document.OUTCOME: outcome_seq,
        Document.ORDER: order.log_seq,
        Document.SUMMARY: summary_seq,
        Document.ALLOCATION: None if allocation is None else allocation.log_seq,
    }
    decided = (*_acceptance(tx, stored), *_departures(tx, summary))
    people = with_order(
        tx, trust.read(files.trust_root), order, besides=(decision.keyid for decision in decided)
    )
    bundle = Bundle(
        format=MEDIA_TYPE,
        outcome=outcome_envelope.decode(),
        summary=None if summary is None or summary.envelope is None else summary.envelope.decode(),
        evidence=None if seen is None else seen.envelope.decode(),
        order=order.envelope.decode(),
        validation=files.table_named(_ordered(order).plan.validation_digest).decode(),
        approvals=tuple(envelope.decode() for envelope in people.approvals),
        decisions=tuple(
            envelope.decode()
            for envelope in (
                *people.enrolments,
                *people.declarations,
                *(decision.envelope for decision in decided),
            )
        ),
        allocation=None if allocation is None else allocation.envelope.decode(),
        proofs=tuple(
            LogProof(document=document, proof=_proof(tx, seq, checkpoint))
            for document, seq in logged.items()
            if seq is not None
        ),
        trust_roots=(files.trust_root.decode(),),
    )
    return Assembled(bundle=bundle, outcome=outcome_envelope, evidence=seen)


def _assemble_destroyed(tx: Connection, stored: StoredOutcome, files: SignedFiles) -> Assembled:
    """Of a medium that was destroyed: what two operators signed, and its host's summary if that names it."""
    envelope, seq = _issued(stored)
    checkpoint = _checkpoint_over(tx, stored, seq)
    destruction = statements.read(stored.payload, Outcome).predicate.destruction
    attesting = () if destruction == "not_applicable" else destruction.decisions
    summary = _summary_naming(tx, stored)
    decided = (*(decisions.load(tx, digest) for digest in attesting), *_departures(tx, summary))
    enrolments = enrolments_for(tx, trust.read(files.trust_root), {each.keyid for each in decided})
    logged = {Document.OUTCOME: seq, Document.SUMMARY: None if summary is None else summary.log_seq}
    bundle = Bundle(
        format=MEDIA_TYPE,
        outcome=envelope.decode(),
        summary=None if summary is None or summary.envelope is None else summary.envelope.decode(),
        evidence=None,
        order=None,
        validation=None,
        approvals=(),
        decisions=tuple(each.decode() for each in (*enrolments, *(each.envelope for each in decided))),
        allocation=None,
        proofs=tuple(
            LogProof(document=document, proof=_proof(tx, place, checkpoint))
            for document, place in logged.items()
            if place is not None
        ),
        trust_roots=(files.trust_root.decode(),),
    )
    return Assembled(bundle=bundle, outcome=envelope, evidence=None)


def _summary_naming(tx: Connection, stored: StoredOutcome) -> StoredSummary | None:
    """The host's summary, once it is logged, if it says that this medium left. One of a case that was closed
    while the medium was still in its host knows nothing of that.
    """
    found = None if stored.deprovision is None else outcomes.summary_of(tx, stored.deprovision)
    if found is None or found.envelope is None:
        return None
    media = statements.read(found.payload, Summary).predicate.media
    left = {each.commitment for each in media if each.became in HAVE_LEFT}
    return found if stored.medium in left else None


def _parts(
    tx: Connection, stored: StoredOutcome
) -> tuple[StoredOrder, bytes, int, StoredEvidence | None, StoredCheckpoint]:
    envelope, seq = _issued(stored)
    predicate = statements.read(stored.payload, Outcome).predicate
    if predicate.order == "not_applicable":
        raise Refused(Code.CERTIFICATE_NOT_READY, f"{stored.id} names no order")
    order = orders.load(tx, predicate.order)
    seen = None if predicate.is_unseen else evidence.of_order(tx, order.id)
    if seen is None and not predicate.is_unseen:
        raise Refused(Code.CERTIFICATE_NOT_READY, f"the evidence for {order.id} is not here")
    return order, envelope, seq, seen, _checkpoint_over(tx, stored, seq)


def _issued(stored: StoredOutcome) -> tuple[bytes, int]:
    if stored.envelope is None or stored.log_seq is None:
        raise Refused(Code.CERTIFICATE_NOT_READY, f"{stored.id} is not signed yet")
    return stored.envelope, stored.log_seq


def _checkpoint_over(tx: Connection, stored: StoredOutcome, seq: int) -> StoredCheckpoint:
    checkpoint = log_rows.latest_checkpoint(tx)
    if checkpoint is None or checkpoint.size <= seq:
        raise Refused(Code.CERTIFICATE_NOT_READY, f"no checkpoint covers {stored.id} yet")
    return checkpoint


def _acceptance(tx: Connection, stored: StoredOutcome) -> tuple[StoredDecision, ...]:
    """The decision of the person who accepted the result, where the outcome names one."""
    validation = statements.read(stored.payload, Outcome).predicate.validation
    if validation == "not_applicable" or validation.decided_by == "not_applicable":
        return ()
    return (decisions.load(tx, validation.decided_by),)


def _departures(tx: Connection, stored: StoredSummary | None) -> tuple[StoredDecision, ...]:
    """The decisions by which media left the host, as its summary names them: of both people each."""
    if stored is None:
        return ()
    media = statements.read(stored.payload, Summary).predicate.media
    left = [each.commitment for each in media if each.decision_digest != "not_applicable"]
    return tuple(
        decisions.load(tx, digest)
        for commitment in left
        for digest in departures.of_medium(tx, commitment).decisions
    )


def _ordered(order: StoredOrder) -> Order:
    return statements.read(dsse.read(order.envelope).payload, Order).predicate


def _proof(tx: Connection, seq: int, checkpoint: StoredCheckpoint) -> str:
    if checkpoint.size <= seq:
        raise Refused(Code.CERTIFICATE_NOT_READY, f"no checkpoint covers entry {seq} yet")
    hashes = log_rows.inclusion(tx, seq=seq, tree_size=checkpoint.size)
    return Proof(index=seq, hashes=hashes, checkpoint_note=checkpoint.note).write().decode()
