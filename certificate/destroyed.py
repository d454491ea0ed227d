"""What a bundle proves of a medium that was destroyed: rules 10, 12 and 13 of `verify`, where there is
neither order nor evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

from certificate import agreement, brackets, departures
from certificate.bundle import Bundle, Document
from certificate.errors import Code, Untrusted
from certificate.logged import Logged, decisions_of, open_logged, require_one_log
from certificate.policy import Checked
from certificate.statements import Outcome, Summary
from certificate.statements.outcome import Destruction
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import WhatBecame
from certificate.trust import TrustRoot
from certificate.verified import Check, Examined, Level, cautions_of

#: What an older summary says of a medium that was destroyed later.
_HAD_LEFT = (WhatBecame.OPEN_EXCEPTION, WhatBecame.REMOVED)


def examine_destruction(
    bundle: Bundle, outcome: Logged[Outcome], destruction: Destruction, root: TrustRoot
) -> Examined:
    """A medium that was destroyed: rules 10, 12 and 13. Raises as `verify.examine`."""
    said = outcome.predicate
    _require_alone(bundle, outcome)
    # 12. What two operators attest.
    attested_by = departures.require_destruction(
        said,
        destruction,
        decisions=decisions_of(bundle, DecisionKind.DESTROY),
        enrolments=decisions_of(bundle, DecisionKind.ENROL),
        root=root,
    )
    # 12 and 13. The host's summary, where it has one.
    summary = _open_summary(bundle, outcome, root)
    # 10. One log, and times that fit it.
    view = require_one_log((outcome, summary), root)
    brackets.require_log_order((outcome, summary))
    brackets.require_destroyed_by(destruction.attested, said.issued_at)
    told = None if summary is None else summary.predicate
    return Examined(
        claim=said.claim,
        purpose=root.purpose,
        outcome=said,
        outcome_digest=outcome.digest,
        outcome_seq=outcome.seq,
        order=None,
        evidence=None,
        summary=told,
        attested_by=attested_by,
        checkpoint=outcome.checkpoint,
        levels=(Level.SIGNED, Level.LOGGED),
        cautions=tuple(cautions_of(root, told)),
        checks=tuple(_checks_of_destroyed(outcome, destruction, summary)),
        checked=Checked(
            purpose=root.purpose, schema_version=said.schema_version, device_classes=(), claim=said.claim
        ),
        view=view,
    )


def _require_alone(bundle: Bundle, outcome: Logged[Outcome]) -> None:
    """No order stands behind a destruction, and the medium is its one subject."""
    if bundle.order is not None:
        raise Untrusted(Code.SUBJECT_MISMATCH, "an order came along for a medium that was destroyed")
    if [each.digest.sha256 for each in outcome.statement.subject] != [outcome.predicate.medium.commitment]:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome's one subject is another medium")


def _open_summary(bundle: Bundle, outcome: Logged[Outcome], root: TrustRoot) -> Logged[Summary] | None:
    """Rule 12. One that is older than the destruction cannot name it, and says that the medium left."""
    if bundle.summary is None:
        return None
    summary = open_logged(bundle, Document.SUMMARY, bundle.summary, Summary, root)
    said = summary.predicate
    if said.deprovision != outcome.predicate.deprovision:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary is of another deprovision")
    if said.host_commitment != outcome.predicate.host_commitment:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary is of another host")
    if summary.seq > outcome.seq:
        agreement.require_in_summary(outcome.predicate, outcome.digest, said)
    else:
        if agreement.require_listed(outcome.predicate, said).became not in _HAD_LEFT:
            raise Untrusted(Code.SUBJECT_MISMATCH, "the summary does not say that the medium left its host")
        agreement.require_host_claim(said, {})
    departures.require_left(bundle, said, root)
    return summary


def _checks_of_destroyed(
    outcome: Logged[Outcome], destruction: Destruction, summary: Logged[Summary] | None
) -> Iterable[Check]:
    attested = destruction.attested
    yield Check(name="outcome", sentence=f"signed by {outcome.predicate.issuer}, log entry {outcome.seq}")
    yield Check(
        name="people",
        sentence=f"{len(destruction.decisions)} operators attest: {attested.method.value},"
        f" {attested.destroyed_on}, document {attested.document_digest[:16]}",
    )
    if summary is not None:
        yield Check(name="summary", sentence=f"log entry {summary.seq}: the medium left, by two operators")
    yield Check(
        name="log",
        sentence=f"{outcome.checkpoint.origin}, {outcome.checkpoint.size} entries, no contradiction seen",
    )
    yield Check(name="times", sentence="what was signed is dated in the order of the log")
