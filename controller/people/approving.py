"""Requests and approvals of a plan: what is taken, from whom, and for which attempt.

A statement is taken in this order, and refused at the first step that does not hold:

 1. The store is the one its anchor knows: an old one may have forgotten who was revoked.
 2. It was signed within the last 24 hours and not in the future, and dies within 24 hours of its signing.
 3. It is signed by an operator who counted then and is not revoked now; of our purpose; the envelope names
    that key; its subject is the plan digest.
 4. The plan is the present one of a deprovision that waits for approval, and stood before it was signed: what
    was signed for an earlier attempt is void even where the plan came out the same.
 5. The person typed the words of this very host (`people.confirmation`), and a reason that names nobody: it
    travels with the order and in the bundle (`people.disclosure`).
 6. A request comes before the yes that answers it, one request a plan; who requested does not approve; one
    living statement a person and plan.

Single use: a statement counts in the attempt it was given in, and an attempt dispatches one order at most;
`retry` begins another one. The agent refuses a second use in its boot besides.
Sources: FORMATS.md, "Statements" (approval), "Plan digest"; DESIGN.md, "One deprovision".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.delivery import APPROVAL_LIFE
from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.statements import Approval, Statement
from certificate.statements import statement as statements
from certificate.statements.vocabulary import Trigger
from controller import case as cases
from controller import knowledge
from controller.case import Case
from controller.errors import Code
from controller.guards import ApprovalsSuffice, WithinLimits, failing
from controller.people import counting, disclosure, private_texts
from controller.people.confirmation import is_confirmed
from controller.people.deciding import open_signed, require_named, require_recent
from controller.people.roster import roster
from controller.program import Program
from controller.states import State
from controller.store import deprovisions, plans
from controller.store.hosts import Host
from controller.store.plans import StoredApproval, StoredPlan

#: Where a plan stands and no order was made of it yet; *approved* too, because a cap may ask for more people.
OPEN_STATES = frozenset({State.PLANNED, State.APPROVED})


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of one statement."""

    #: Its payload digest.
    approval: str
    #: Why it is not enough yet; empty where it is.
    missing: tuple[str, ...]


def present(tx: Connection, digest: str) -> Case:
    """The case whose present plan this is. Raises Refused(PLAN_NOT_PRESENT)."""
    stored = plans.by_digest(tx, digest)
    if stored is None:
        raise Refused(Code.PLAN_NOT_PRESENT, f"no plan has the digest {digest[:64]}")
    case = cases.load(tx, stored.deprovision)
    if case.plan is None or case.plan.digest != digest:
        raise Refused(Code.PLAN_NOT_PRESENT, f"{case.id} has another plan now, or none")
    return case


def take(program: Program, data: bytes) -> Taken:
    """Stores one statement. Raises Malformed or Untrusted (the codes of `Operators.open_statement`), or
    Refused: STORE_NOT_CURRENT, DECISION_STALE, APPROVAL_INVALID, NOT_AN_OPERATOR, DECISION_MISMATCH,
    PLAN_NOT_PRESENT, CONFIRMATION_WRONG, REASON_NAMES_SOMEBODY, SELF_APPROVAL, REQUEST_MISSING,
    APPROVAL_REPEATED.
    """
    with program.store.transaction() as tx:
        now = program.clock()
        if program.keeper.compare(tx).is_frozen:
            raise Refused(Code.STORE_NOT_CURRENT, "the store is not the one its anchor knows")
        envelope, statement = _opened(tx, program, data, now=now)
        approval = statement.predicate
        case = present(tx, approval.plan_digest)
        plan = _require_open(case, statement)
        _require_confirmed(case, approval)
        require_names_nobody(tx, program, case.host, approval.reason)
        _require_turn(tx, program, case, approval, envelope.payload_digest, now=now)
        _record(tx, case, plan, envelope, approval, now=now)
        deprovisions.wake(tx, case.id, now=now)
        return Taken(approval=envelope.payload_digest, missing=missing(tx, program, case, now=now))


def require_names_nobody(tx: Connection, program: Program, host: Host, reason: str) -> None:
    """Of a reason that is to be signed over a plan of this host, or was. Raises
    Refused(REASON_NAMES_SOMEBODY).
    """
    disclosure.require_names_nobody(reason, private_texts.of_host(tx, program, host))


def missing(tx: Connection, program: Program, case: Case, *, now: datetime) -> tuple[str, ...]:
    """Why the people behind the present plan are not enough, as the guards say; empty where they are."""
    facts = knowledge.facts_of(tx, program, case, now=now)
    refused = failing((ApprovalsSuffice(), WithinLimits()), facts, now)
    return tuple(refusal.reason for _, refusal in refused)


def standing_request(tx: Connection, program: Program, case: Case, *, now: datetime) -> StoredApproval | None:
    """The request that a yes must name; None where nobody asked."""
    return next((each for each in counting.approvals(tx, program, case, now=now) if each.is_request), None)


def _opened(
    tx: Connection, program: Program, data: bytes, *, now: datetime
) -> tuple[Envelope, Statement[Approval]]:
    """Steps 2 and 3."""
    envelope = dsse.read(data)
    read = statements.read(envelope.payload, Approval).predicate
    require_recent(read.issued_at, now=now)
    if not now < read.expires_at <= read.issued_at + APPROVAL_LIFE:
        raise Refused(Code.APPROVAL_INVALID, f"it would live from {read.issued_at} to {read.expires_at}")
    operators = roster(tx, program.documents.trust, now=read.issued_at)
    statement, _ = open_signed(operators, data, Approval)
    approval = statement.predicate
    require_named(envelope, approval.operator)
    if [found.digest.sha256 for found in statement.subject] != [approval.plan_digest]:
        raise Refused(Code.APPROVAL_INVALID, "its subject is not the plan that it names")
    return envelope, statement


def _require_open(case: Case, statement: Statement[Approval]) -> StoredPlan:
    """Step 4."""
    approval, plan = statement.predicate, case.plan
    if plan is None or case.deprovision.state not in OPEN_STATES:
        raise Refused(Code.PLAN_NOT_PRESENT, f"{case.id} is {case.deprovision.state}: nothing waits for it")
    if approval.deprovision != case.id:
        raise Refused(Code.APPROVAL_INVALID, "it names another deprovision than its plan")
    # Times in statements are cut to whole seconds, so the plan's is cut as well.
    if approval.issued_at < plan.made_at.replace(microsecond=0):
        raise Refused(Code.APPROVAL_INVALID, "it was signed before the plan of this attempt stood")
    return plan


def _require_confirmed(case: Case, approval: Approval) -> None:
    """Step 5."""
    if not is_confirmed(
        approval.confirmation_digest,
        deprovision=case.id,
        asset_tag=case.host.asset_tag,
        facts=case.known.facts,
    ):
        raise Refused(Code.CONFIRMATION_WRONG, "the words typed are not those of this host")


def _require_turn(
    tx: Connection, program: Program, case: Case, approval: Approval, payload_digest: str, *, now: datetime
) -> None:
    """Step 6."""
    standing = counting.approvals(tx, program, case, now=now)
    request = next((each for each in standing if each.is_request), None)
    if approval.kind == "request":
        if approval.request_digest != "not_applicable":
            raise Refused(Code.APPROVAL_INVALID, "a request answers no other request")
        if request is not None and request.payload_digest != payload_digest:
            raise Refused(Code.APPROVAL_REPEATED, f"{request.keyid} requested this plan already")
    else:
        _require_answers(case, approval, request)
    _require_first(standing, approval, payload_digest)


def _require_answers(case: Case, approval: Approval, request: StoredApproval | None) -> None:
    if request is None:
        is_asked = case.deprovision.trigger is Trigger.MANUAL or approval.request_digest != "not_applicable"
        if is_asked:
            raise Refused(Code.REQUEST_MISSING, "no request of this plan stands")
        return
    if request.keyid == approval.operator:
        raise Refused(Code.SELF_APPROVAL, f"{approval.operator} requested this plan")
    if approval.request_digest != request.payload_digest:
        raise Refused(Code.REQUEST_MISSING, "it names another request than the one that stands")


def _require_first(standing: Sequence[StoredApproval], approval: Approval, payload_digest: str) -> None:
    """The same statement again is no second one."""
    mine = [each for each in standing if each.keyid == approval.operator]
    if any(each.payload_digest != payload_digest for each in mine):
        raise Refused(Code.APPROVAL_REPEATED, f"{approval.operator} stands behind this plan already")


def _record(
    tx: Connection, case: Case, plan: StoredPlan, envelope: Envelope, approval: Approval, *, now: datetime
) -> None:
    request_digest = None if approval.request_digest == "not_applicable" else approval.request_digest
    attempt = case.deprovision.attempt
    is_new = plans.record_approval(
        tx,
        case.id,
        attempt=attempt,
        envelope=envelope,
        plan_digest=plan.digest,
        keyid=approval.operator,
        is_request=approval.kind == "request",
        request_digest=request_digest,
        expires_at=approval.expires_at,
        now=now,
    )
    if is_new:
        return
    stored = plans.approval_by_digest(tx, envelope.payload_digest)
    if stored is None or stored.attempt != attempt:
        raise Refused(Code.APPROVAL_REPEATED, "it was given for an earlier attempt")
