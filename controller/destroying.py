"""Outcomes of media that were destroyed: drafted with the people's decision, signed and logged after it.

Rules: the bytes are fixed in the transaction that finds two operators behind the same words; signing and
logging happen outside it, by whoever comes next (the decision's own taker, a starting controller, the next
certificate), and repeating them changes nothing; nothing is logged while the store may be an old one. What a
stranger is given verifies under the provider's own policy with the grade of people's word, or it is not
written.
"""

from __future__ import annotations

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.identifiers import OutcomeId
from certificate.statements import Summary
from certificate.statements import statement as statements
from certificate.statements.outcome import Attested, Destruction
from certificate.statements.vocabulary import Result
from controller import certify, checkpointing, copies, whereabouts
from controller.bundles import assemble
from controller.case import known_host
from controller.intent import anchor
from controller.people.matter import Signed
from controller.program import NONCE_BYTES, Program
from controller.records import custody
from controller.store import destructions, hosts, outcomes, tenancies
from controller.store.departures import Departure
from controller.store.deprovisions import Deprovision
from controller.store.destructions import DestructionWords
from controller.store.hosts import Host
from controller.store.outcomes import StoredOutcome


def draft(
    tx: Connection,
    program: Program,
    departure: Departure,
    *,
    attested: Attested,
    signed: tuple[Signed, ...],
    words: DestructionWords,
) -> StoredOutcome:
    """Fixes what is said of it, and enters it into the register. Raises Refused(ALREADY_STORED)."""
    gone, now = departure.drive, program.clock()
    host = hosts.load(tx, gone.host)
    tenancy = tenancies.load(tx, departure.tenancies[-1]) if departure.tenancies else None
    row = custody.deprovision_of(tx, departure)
    earlier = [each.payload_digest for each in outcomes.of_drive(tx, gone.commitment) if each.is_issued]
    number = outcomes.next_issuer_seq(tx)
    digests = tuple(sorted(each.payload_digest for each in signed))
    data_class = host.data_class if row is None else row.data_class
    statement = certify.make_destroyed(
        outcome=OutcomeId.from_random(program.random_bytes(NONCE_BYTES)),
        issue=certify.Issue(
            issuer=program.keyring.issuer.public.keyid,
            issuer_seq=number,
            anchor=anchor(tx, program),
            nonce=program.nonce(),
            issued_at=program.whole_second(),
        ),
        purpose=program.documents.trust.purpose,
        deprovision=None if row is None else row.id,
        host_commitment=_host_commitment(tx, host, row, data_class=data_class),
        destruction=Destruction(attested=attested, decisions=digests),
        model=gone.model,
        capacity_bytes=gone.capacity_bytes,
        custody=whereabouts.custody_of(tx, program, host, tenancy, data_class=data_class),
        supersedes=earlier[-1] if earlier else None,
    )
    stored = outcomes.draft(
        tx,
        id=statement.predicate.outcome,
        deprovision=None if row is None else row.id,
        attempt=None,
        medium=gone.commitment,
        issuer_seq=number,
        result=Result.ERASED,
        payload=statement.payload(),
        now=now,
    )
    destructions.record(
        tx,
        gone,
        outcome=stored,
        decisions=digests,
        method=attested.method,
        destroyed_on=attested.destroyed_on,
        document_digest=attested.document_digest,
        words=words,
        master_key=program.keyring.private_text_key,
        random_bytes=program.random_bytes,
        now=now,
    )
    return stored


def _host_commitment(tx: Connection, host: Host, row: Deprovision | None, *, data_class: str) -> str:
    """As the host's summary names it, where there is one: the facts on record may have changed since, and
    `certificate.destroyed` asks both to name one host.
    """
    summary = None if row is None else outcomes.summary_of(tx, row.id)
    if summary is not None:
        return statements.read(summary.payload, Summary).predicate.host_commitment
    return known_host(tx, host, data_class=data_class).named().commitment


def issue_due(program: Program) -> None:
    """Signs, logs and writes out what was drafted; nothing while the store may be an old one."""
    with program.store.snapshot() as tx:
        due = destructions.unissued(tx)
    for key in due:
        with program.store.snapshot() as tx:
            envelope = dsse.sign(outcomes.load(tx, key).payload, program.keyring.issuer)
        with program.store.transaction() as tx:
            if program.keeper.compare(tx).is_frozen:
                return
            if not outcomes.load(tx, key).is_issued:
                outcomes.issue(tx, key, envelope=envelope, now=program.clock())
        checkpointing.sign_due(program)
        _write_files(program, key)


def _write_files(program: Program, key: OutcomeId) -> None:
    with program.store.snapshot() as tx:
        stored = outcomes.load(tx, key)
        bundle = assemble(tx, stored, program.documents.signed_files).bundle
    copies.require_certificate(program, stored, bundle)
    copies.write(program, (stored,))
