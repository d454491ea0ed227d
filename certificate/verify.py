"""Verification: a bundle, a trust root and a policy give a verdict, or a refusal with its code.

`verify` is pure and asks nobody. Only bytes that a trusted key signed can build what it returns. In order:

 1. The bundle's chain of trust roots is the one trust root that was handed in.
 2. The outcome is signed by an issuer key that counts at its log position, and logged.
 3. The order is logged before the outcome, and is one that its agent could obey: signature, plan, approvals,
    validation table and grounds, by `delivery.obey`, the agent's own rules.
 4. The evidence is the file that the outcome's first subject names, of the digest that the outcome names, and
    signed by the key of the boot that the order names.
 5. Outcome, order and evidence speak of one deprovision, one host and one medium, and every word of the
    outcome about the medium and the command is the evidence's.
 6. The claim is what `assurance.judge` computes from order and evidence, with every reason and limit; or, of
    a result that the table does not accept, what `assurance.unaccepted` leaves of it.
 7. An `erased` outcome contains the acceptance that the validation table gives, or that a person gave whom
    the table asked for and who neither requested nor approved. A failure contains none. A person's acceptance
    counts from when it takes effect, and not where a rejection of the same evidence came along.
 8. The summary is signed and logged, names this outcome, covers every medium of the order, claims no more
    than its worst medium, and contradicts neither outcome nor evidence. Only a failure may come without one.
 9. The allocation receipt is there where the outcome names one, signed and logged, and is of this tenancy,
    this host and this medium: hosts and drives keep their salts, so that their commitments stay equal.
10. The log shows one view of itself (`logged`), and the times that were signed fit its order (`brackets`).
11. The policy accepts what is left (`policy`), device class first; a failure is refused as what it is.

Of an attempt whose *evidence never came* (decisions/0012) there is no file for rule 4, and none may come
along; rule 5 holds without it, and its claim is what `assurance.without_evidence` leaves: never `erased`.
A medium that was *destroyed* has no order, evidence, table or receipt: rules 1, 2, 10 and 11 hold, and
12. two enrolled operators attest exactly what the outcome says, its claim is what people can attest, and
    a summary, where one is there, names the outcome, or is older and says that the medium left (`destroyed`).
13. Whatever a summary says left the host, left by two operators' decisions, which came along.

"The evidence file" is `*.evidence.dsse.json`: subject[0] is the SHA-256 of its bytes, signature included, as
`Envelope.write` wrote them and as the bundle carries them, so that cosign and sha256sum find the same file;
`evidence_digest` is the SHA-256 of the payload inside, as every other "by digest".

Not checked, because no evidence speaks of it: the provider's own words in `custody` (site, asset, tenant) and
in `cryptographic_erase`, and the words of a destroyed medium (model, capacity), which are the provider's own.
What several bundles say together, `holdings` judges.
KNOWN GAPS: without a consistency proof an anchor is compared with a checkpoint of the same size only
(`logged`); without witnesses the operator could show others another log, which `Verified.cautions` says. A
host whose facts on record changed since it was handed out has another commitment: its receipt is refused.
A person's rejection that was left out of the bundle cannot be seen.
Sources: certificates.md, 12; FORMATS.md, "Outcome", "Bundle"; DESIGN.md, "What is claimed".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from certificate import agreement, assurance, brackets, delivery, departures, trust
from certificate import envelope as dsse
from certificate.bundle import Bundle, Document
from certificate.delivery import Delivery, Obeyable
from certificate.destroyed import examine_destruction
from certificate.errors import Code, Untrusted
from certificate.log import proof as log_proof
from certificate.log.entry import LogKind
from certificate.logged import Logged, decisions_of, log_entry, open_logged, require_one_log
from certificate.operators import enrolled_operators
from certificate.policy import Checked, Policy
from certificate.statements import (
    Allocation,
    Approval,
    Decision,
    Evidence,
    Order,
    Outcome,
    Statement,
    Summary,
)
from certificate.statements import statement as statements
from certificate.statements.evidence import MediumEvidence
from certificate.statements.outcome import Claim, Validation
from certificate.statements.people import DecisionKind
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Result, Role, Trigger, ValidationDecision
from certificate.trust import TrustRoot
from certificate.verified import NO_WITNESS, Check, Examined, Level, Verified, accepted, cautions_of

__all__ = ["NO_WITNESS", "Check", "Examined", "Level", "Verified", "accepted", "examine", "verify"]


def verify(bundle: Bundle, root: TrustRoot, policy: Policy) -> Verified:
    """The verdict, if every rule above holds.

    Raises Malformed (a document is not what it claims to be), Untrusted (a signature, key, place, proof or
    link is missing or wrong, or the policy asks more) or Refused(NOT_ERASED, INCONCLUSIVE).
    """
    return accepted(examine(bundle, root), policy)


def examine(bundle: Bundle, root: TrustRoot) -> Examined:
    """What the bundle proves, if rules 1 to 10, 12 and 13 hold: also of a failure, which is told this way and
    accepted by no policy. Raises as `verify`, but for what a policy says.
    """
    # 1. The chain of trust roots.
    _require_chain(bundle, root)
    # 2. The outcome: signed, logged.
    outcome = open_logged(bundle, Document.OUTCOME, bundle.outcome, Outcome, root)
    if outcome.predicate.destruction != "not_applicable":
        return examine_destruction(bundle, outcome, outcome.predicate.destruction, root)
    # 3. The order: one that its agent could obey, logged before the outcome.
    obeyable, ordered = _open_order(bundle, root, before_seq=outcome.seq)
    # 4. The evidence: this file, this payload, this boot.
    evidence = _open_evidence(bundle, outcome.statement, obeyable.order, root)
    # 5. One deprovision, one host, one medium.
    entry = None
    if evidence is None:
        agreement.require_unseen_story(outcome.statement, obeyable)
    else:
        entry = agreement.require_one_story(outcome.statement, obeyable, evidence)
    # 6. The claim, computed again.
    claim = _require_claim(outcome.predicate, obeyable, evidence)
    # 7. The acceptance.
    _require_validation(bundle, outcome.predicate, obeyable, root)
    # 8. The host's summary.
    summary = _open_summary(bundle, outcome, obeyable, evidence, root)
    if summary is None and claim.result is Result.ERASED:
        raise Untrusted(Code.INCOMPLETE_SET, "an erased medium without its host's summary")
    told = None if summary is None else summary.predicate
    # 9. The allocation receipt.
    allocation = _open_allocation(bundle, outcome, root)
    # 10. One log, and times that fit it.
    logged = (allocation, ordered, outcome, summary)
    view = require_one_log(logged, root)
    brackets.require_log_order(logged)
    brackets.require_attempt(order=obeyable.order, outcome=outcome.predicate, evidence=evidence, summary=told)
    documents = (outcome.predicate, obeyable.order, outcome.predicate if evidence is None else evidence)
    return Examined(
        claim=claim,
        purpose=root.purpose,
        outcome=outcome.predicate,
        outcome_digest=outcome.digest,
        outcome_seq=outcome.seq,
        order=obeyable.order,
        evidence=evidence,
        summary=told,
        attested_by=(),
        checkpoint=outcome.checkpoint,
        levels=(Level.SIGNED, Level.LOGGED),
        cautions=tuple(cautions_of(root, told)),
        checks=tuple(_checks(outcome, ordered, entry, summary, allocation)),
        checked=Checked(
            purpose=root.purpose,
            schema_version=max(document.schema_version for document in documents),
            device_classes=()
            if evidence is None
            else tuple(each.medium.device_class for each in evidence.media),
            claim=claim,
        ),
        view=view,
    )


# --- 1 to 4: what is signed, by whom, and where it stands ---------------------------------------------------


def _require_chain(bundle: Bundle, root: TrustRoot) -> None:
    """Rule 1. One version so far: the chain is that one."""
    if len(bundle.trust_roots) != 1:
        raise Untrusted(Code.UNSUPPORTED, "this release reads a chain of one trust root")
    if trust.read(bundle.trust_roots[0].encode()) != root:
        found = trust.fingerprint(bundle.trust_roots[0].encode())
        raise Untrusted(
            Code.KEY_UNTRUSTED, f"the bundle belongs under the trust root {found[:16]}..., not this"
        )


def _open_order(bundle: Bundle, root: TrustRoot, *, before_seq: int) -> tuple[Obeyable, Logged[Order]]:
    """Rule 3. Its life on the agent's clock is judged with the evidence, by `assurance`."""
    if bundle.order is None or bundle.validation is None:
        raise Untrusted(Code.INCOMPLETE_SET, "the order that the outcome names did not come along")
    ordered = open_logged(bundle, Document.ORDER, bundle.order, Order, root)
    if ordered.seq >= before_seq:
        raise Untrusted(
            Code.NOT_LOGGED,
            f"the order stands at entry {ordered.seq}, not before the outcome at {before_seq}",
        )
    data = bundle.order.encode()
    proof = log_proof.read(bundle.proof(Document.ORDER) or b"")
    obeyable = delivery.obey(
        Delivery(
            order=data,
            log_entry=log_entry(data, LogKind.ORDER, keyid=ordered.predicate.signer, seq=ordered.seq),
            proof=proof.hashes,
            checkpoint=proof.checkpoint_note,
            validation=bundle.validation.encode(),
            approvals=tuple(text.encode() for text in bundle.approvals),
            enrolments=decisions_of(bundle, DecisionKind.ENROL),
            decisions=decisions_of(bundle, DecisionKind.DISPOSITION),
        ),
        trust=root,
        boot_id=ordered.predicate.boot_id,
        hello_nonce=ordered.predicate.hello_nonce,
        hello_at_ms=0,
        now_ms=0,
    )
    return obeyable, ordered


def _open_evidence(
    bundle: Bundle, statement: Statement[Outcome], order: Order, root: TrustRoot
) -> Evidence | None:
    """Rule 4. None where the outcome says that none came, and then none may come along."""
    named = statement.predicate.evidence_digest
    if named == NOT_OBSERVED:
        if bundle.evidence is not None:
            raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome says that no evidence came, and here is some")
        return None
    if bundle.evidence is None:
        raise Untrusted(Code.INCOMPLETE_SET, "the evidence that the outcome names did not come along")
    data = bundle.evidence.encode()
    if statement.subject[0].digest.sha256 != hashlib.sha256(data).hexdigest():
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome's first subject is another evidence file")
    evidence, digest = root.open_evidence(data, boot_id=order.boot_id)
    if digest != named:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome names other evidence")
    return evidence.predicate


# --- 6: what may be said (5 is `agreement`) -----------------------------------------------------------------


def _require_claim(said: Outcome, obeyable: Obeyable, evidence: Evidence | None) -> Claim:
    """Rule 6."""
    order, medium = obeyable.order, said.medium.commitment
    listed = set() if evidence is None else {each.medium.commitment for each in evidence.media}
    missing = {each.commitment for each in order.plan.media} - listed
    if missing and said.claim.result is Result.ERASED:
        raise Untrusted(Code.INCOMPLETE_SET, f"the evidence lacks {len(missing)} of the order's media")
    if evidence is None:
        claim = assurance.without_evidence(order=order, commitment=medium)
    else:
        claim = assurance.judge(order=order, evidence=evidence, commitment=medium)
    if claim != said.claim and said.claim not in _unaccepted(claim, said, obeyable):
        raise Untrusted(
            Code.EVIDENCE_MISMATCH,
            f"the outcome claims {_brief(said.claim)}; the evidence supports {_brief(claim)}",
        )
    return said.claim


def _unaccepted(claim: Claim, said: Outcome, obeyable: Obeyable) -> Iterator[Claim]:
    """What may be said instead of an erasure that the table does not accept. No person's word is asked for,
    because it only takes away.
    """
    if claim.result is not Result.ERASED:
        return
    decided = _table_decision(claim, said, obeyable)
    if decided is not ValidationDecision.ACCEPT:
        yield assurance.unaccepted(claim, assurance.Reason.RESULT_REJECTED)
    if decided is ValidationDecision.ESCALATE:
        yield assurance.unaccepted(claim, assurance.Reason.RESULT_NOT_ACCEPTED)


def _brief(claim: Claim) -> str:
    reasons = f" ({', '.join(claim.reasons)})" if claim.reasons else ""
    return f"{claim.result.value}, {claim.method.value}, {claim.grade.value}{reasons}"


# --- 7: the acceptance --------------------------------------------------------------------------------------


def _require_validation(bundle: Bundle, said: Outcome, obeyable: Obeyable, root: TrustRoot) -> None:
    """Rule 7."""
    validation = said.validation
    if said.claim.result is not Result.ERASED:
        if validation != "not_applicable":
            raise Untrusted(Code.EVIDENCE_MISMATCH, "a failure carries an acceptance")
        return
    if validation == "not_applicable" or validation.decision is not ValidationDecision.ACCEPT:
        raise Untrusted(Code.EVIDENCE_MISMATCH, "nobody accepted the result")
    if validation.table_digest != obeyable.order.plan.validation_digest:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome names another validation table than the plan")
    decided = _table_decision(said.claim, said, obeyable)
    if validation.decided_by != "not_applicable":
        if decided is not ValidationDecision.ESCALATE:
            raise Untrusted(Code.EVIDENCE_MISMATCH, f"a person decided where the table says {decided.value}")
        validator = (_require_person(bundle, said, validation, root), Role.OPERATOR)
    elif decided is not ValidationDecision.ACCEPT:
        raise Untrusted(Code.EVIDENCE_MISMATCH, f"the validation table says {decided.value}, not accept")
    else:
        validator = (said.issuer, Role.ISSUER)
    if (validation.validated_by, validation.role) != validator:
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the outcome says that somebody else validated it")


def _table_decision(claim: Claim, said: Outcome, obeyable: Obeyable) -> ValidationDecision:
    planned = next(each for each in obeyable.order.plan.media if each.commitment == said.medium.commitment)
    technique = claim.technique
    if technique == "not_applicable":
        return ValidationDecision.REJECT
    return obeyable.table.decide(
        data_class=obeyable.order.plan.data_class,
        media=planned.kind,
        technique=technique,
        grade=claim.grade,
    )


def _require_person(bundle: Bundle, said: Outcome, validation: Validation, root: TrustRoot) -> str:
    """Who said `accept` to exactly this evidence, and neither requested nor approved: the fingerprint."""
    found = (text.encode() for text in bundle.decisions)
    data = next((each for each in found if dsse.read(each).payload_digest == validation.decided_by), None)
    if data is None:
        raise Untrusted(Code.INCOMPLETE_SET, "the decision that accepted the result did not come along")
    operators = enrolled_operators(root, decisions_of(bundle, DecisionKind.ENROL), validation.decided_at)
    decision = operators.open_statement(data, Decision)[0].predicate
    is_acceptance = decision.kind is DecisionKind.VALIDATE and decision.choice == ValidationDecision.ACCEPT
    if not is_acceptance or decision.on != said.evidence_digest:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the decision named accepts something else")
    # The person's own date decides who counted then; another one could let in a key that was still inert.
    if decision.issued_at != validation.decided_at:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the acceptance is dated otherwise than it was signed")
    if decision.effective_at > validation.decided_at:
        raise Untrusted(Code.TIME_BRACKET_VIOLATED, "the acceptance takes effect later than it is said to")
    _require_no_rejection(bundle, said, root)
    if decision.operator in _approvers(bundle):
        raise Untrusted(
            Code.APPROVALS_MISSING, "who accepted the result had requested or approved the erasure"
        )
    return decision.operator


def _require_no_rejection(bundle: Bundle, said: Outcome, root: TrustRoot) -> None:
    """One rejection of this evidence, by whomever, is for good.

    KNOWN GAP: one that was left out of the bundle cannot be seen; decisions do not stand in the log.
    """
    for data in decisions_of(bundle, DecisionKind.VALIDATE):
        decision = statements.read(dsse.read(data).payload, Decision).predicate
        if decision.on == said.evidence_digest and decision.choice != ValidationDecision.ACCEPT:
            enrolments = decisions_of(bundle, DecisionKind.ENROL)
            enrolled_operators(root, enrolments, decision.issued_at).open_statement(data, Decision)
            raise Untrusted(Code.EVIDENCE_MISMATCH, f"{decision.operator} did not accept this evidence")


def _approvers(bundle: Bundle) -> set[str]:
    """The operators behind the approvals, which `delivery.obey` has verified."""
    read = (statements.read(dsse.read(text.encode()).payload, Approval) for text in bundle.approvals)
    return {statement.predicate.operator for statement in read}


# --- 8 to 10: the host, the receipt, the log ----------------------------------------------------------------


def _open_summary(
    bundle: Bundle, outcome: Logged[Outcome], obeyable: Obeyable, evidence: Evidence | None, root: TrustRoot
) -> Logged[Summary] | None:
    """Rule 8."""
    if bundle.summary is None:
        return None  # right for a failure only, and `verify` lets no other go on without one
    summary = open_logged(bundle, Document.SUMMARY, bundle.summary, Summary, root)
    said = summary.predicate
    agreement.require_of_order(said, obeyable, evidence)
    if summary.seq <= outcome.seq:
        raise Untrusted(Code.NOT_LOGGED, "the summary was logged before the outcome that it sums up")
    agreement.require_in_summary(outcome.predicate, outcome.digest, said)
    departures.require_left(bundle, said, root)
    return summary


def _open_allocation(bundle: Bundle, outcome: Logged[Outcome], root: TrustRoot) -> Logged[Allocation] | None:
    """Rule 9."""
    named = outcome.predicate.custody.allocation_ref
    if bundle.allocation is None:
        if named != NOT_OBSERVED:
            raise Untrusted(Code.INCOMPLETE_SET, "the outcome names an allocation receipt that is not here")
        return None
    allocation = open_logged(bundle, Document.ALLOCATION, bundle.allocation, Allocation, root)
    if allocation.digest != named:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome names another allocation receipt")
    said, receipt = outcome.predicate, allocation.predicate
    if receipt.tenancy_ref != said.custody.tenancy_ref:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the allocation receipt is another tenancy's")
    if receipt.host_commitment != said.host_commitment:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the allocation receipt is of another host")
    if said.medium.commitment not in {medium.commitment for medium in receipt.media}:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the allocation receipt does not list this medium")
    return allocation


# --- what was verified, in words ----------------------------------------------------------------------------


def _people(order: Order) -> str:
    count = len(order.basis.approvals)
    if order.trigger is Trigger.MANUAL:
        return f"requested and approved by {count} different operators"
    return f"{count} approvals, as the validation table requires" if count else "none asked for"


def _evidence(order: Order, entry: MediumEvidence | None) -> str:
    if entry is None:
        return f"the outcome says that none came from boot {order.boot_id[:16]}, and none came along"
    return f"signed by the agent of boot {order.boot_id[:16]}, one file, unaltered"


def _claim(said: Outcome, entry: MediumEvidence | None) -> str:
    if entry is None:
        return "computed again from the order alone: the same"
    told = f"computed again from the raw words and {len(entry.markers.markers)} markers"
    is_withheld = not assurance.UNACCEPTED.isdisjoint(said.claim.reasons)
    return f"{told}: more, but the provider did not accept it" if is_withheld else f"{told}: the same"


def _validated(said: Outcome, table_digest: str) -> str:
    if said.validation == "not_applicable":
        return "nobody accepted anything, as it must be for a failure"
    if said.validation.decided_by == "not_applicable":
        return f"accepted by the validation table {table_digest[:16]}"
    return (
        f"the table {table_digest[:16]} asks for a person; accepted by an operator who neither requested nor"
        " approved"
    )


def _checks(
    outcome: Logged[Outcome],
    ordered: Logged[Order],
    entry: MediumEvidence | None,
    summary: Logged[Summary] | None,
    allocation: Logged[Allocation] | None,
) -> Iterable[Check]:
    said, order = outcome.predicate, ordered.predicate
    yield Check(name="outcome", sentence=f"signed by {said.issuer}, log entry {outcome.seq}")
    yield Check(
        name="order",
        sentence=f"signed by {order.signer}, log entry {ordered.seq}: before the erasure was reported",
    )
    yield Check(name="evidence", sentence=_evidence(order, entry))
    yield Check(name="people", sentence=_people(order))
    yield Check(name="claim", sentence=_claim(said, entry))
    yield Check(name="validation", sentence=_validated(said, order.plan.validation_digest))
    if summary is not None:
        yield Check(
            name="summary",
            sentence=f"log entry {summary.seq}: every medium of the order, this one among them",
        )
    if allocation is not None:
        yield Check(name="allocation", sentence=f"log entry {allocation.seq}: handed out and now returned")
    yield Check(
        name="log",
        sentence=f"{outcome.checkpoint.origin}, {outcome.checkpoint.size} entries, no contradiction seen",
    )
    yield Check(name="times", sentence="what was signed is dated in the order of the log")
