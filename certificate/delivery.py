"""Delivery: an order with all that lets an agent decide, from these bytes alone, whether it may obey.

    order, log entry, inclusion proof, checkpoint, validation table, approvals, enrolment decisions,
    decisions on a host's disposition

`obey` is the one function by which an agent decides. An order is obeyed only if:

 1. The order is signed by an order key of the trust root the agent was born with, and is of its purpose.
 2. The log entry commits to this very envelope as an order, the proof leads from the entry to a checkpoint of
    the trusted log, and the order's anchor is a checkpoint of that log from before the entry.
 3. The order was made for this boot of this agent, and answers its newest `hello`.
 4. The order has not expired on the agent's own monotonic clock, counted from that `hello`.
 5. The plan in the order digests to the plan digest, which is what people approved; plan and order speak of
    the same deprovision, boot and host, and the host is the one its facts make.
 6. The validation table is signed by a root key, is the one the plan names, has a rule for the plan's class
    of data; that rule's floor, overwrite and read-back are the plan's, and its word about copies of keys is
    the order's. What the table does not name is not wiped.
 7. The approvals are those the order's basis names, each by another enrolled operator, for exactly this plan,
    alive when the order was issued and for a day at most. There are as many as the table asks where a tenancy
    ended, two where people ask by hand, and never fewer than the order itself says; who approves is not who
    requested.
 8. The basis bears the order: `grounds`. Every tenancy ended, or the host was never let and two operators
    declared so; nothing in it says freeze or hold.

Every rule refuses; none repairs. Nothing here depends on the controller's configuration. Not decided here:
whether this is the host and these are its drives, fence and token (the agent's admission); whether an
approval was used before (the agent's `acceptance`, for its boot, and the controller); and limits and notices,
which only the controller knows.

KNOWN GAP: an agent in RAM has no wall clock that it can trust, so that approvals and enrolments are judged at
the order's `issued_at`, which the controller signs; a controller with a false clock can stretch an approval.
KNOWN GAP: no consistency proof travels along, so that the anchor's root is compared with nothing here;
`verify` and monitors of the log do.
Sources: FORMATS.md, "Delivery", "Order"; DESIGN.md, "On the machine" and rule 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from certificate import commitment
from certificate import envelope as dsse
from certificate.errors import Code, Malformed, Untrusted
from certificate.grounds import require_grounds
from certificate.log import entry as log_entry
from certificate.log import proof as log_proof
from certificate.log.entry import Entry, LogKind
from certificate.log.merkle import MAX_PROOF_HASHES
from certificate.log.proof import Proof
from certificate.messages import DeliveryLine
from certificate.operators import Operators, enrolled_operators
from certificate.statements import Approval, Order, Statement, ValidationTable
from certificate.statements.validation import DataClassRule
from certificate.statements.vocabulary import Trigger
from certificate.trust import TrustRoot

#: FORMATS.md, "Order": a wipe by hand needs a second person.
MANUAL_APPROVALS = 2
#: A request and two approvals, with room; stops work without end.
MAX_APPROVALS = 16
#: Whoever said yes yesterday is asked again: an approval cannot be given for longer.
APPROVAL_LIFE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The files of a delivery, exactly as they came. `proof`: raw hashes, leaf to root."""

    order: bytes
    log_entry: bytes
    proof: tuple[bytes, ...]
    checkpoint: bytes
    validation: bytes
    approvals: tuple[bytes, ...]
    enrolments: tuple[bytes, ...]
    #: That the host was never let; none where a tenancy ended.
    decisions: tuple[bytes, ...]

    @classmethod
    def from_line(cls, line: DeliveryLine) -> Delivery:
        """Raises Malformed(LINE_INVALID) for a proof that is not hashes in lower-case hexadecimal."""
        if len(line.proof) > MAX_PROOF_HASHES:
            raise Malformed(Code.LINE_INVALID, f"a proof of {len(line.proof)} hashes")
        return cls(
            order=_encoded(line.order),
            log_entry=_encoded(line.log_entry),
            proof=tuple(_hash(text) for text in line.proof),
            checkpoint=_encoded(line.checkpoint),
            validation=_encoded(line.validation),
            approvals=tuple(_encoded(text) for text in line.approvals),
            enrolments=tuple(_encoded(text) for text in line.enrolments),
            decisions=tuple(_encoded(text) for text in line.decisions),
        )

    def to_line(self) -> DeliveryLine:
        """The delivery as a part of an `execute` line."""
        return DeliveryLine(
            order=self.order.decode(),
            log_entry=self.log_entry.decode(),
            proof=tuple(node.hex() for node in self.proof),
            checkpoint=self.checkpoint.decode(),
            validation=self.validation.decode(),
            approvals=tuple(data.decode() for data in self.approvals),
            enrolments=tuple(data.decode() for data in self.enrolments),
            decisions=tuple(data.decode() for data in self.decisions),
        )


@dataclass(frozen=True, kw_only=True)
class Obeyable:
    """An order that may be obeyed as far as documents can tell. Only `obey` makes one."""

    order: Order
    order_digest: str
    table: ValidationTable


def obey(
    delivery: Delivery, *, trust: TrustRoot, boot_id: str, hello_nonce: str, hello_at_ms: int, now_ms: int
) -> Obeyable:
    """The order, if every rule above holds.

    `boot_id`: of the agent's own key. `hello_nonce`, `hello_at_ms`: of its newest `hello` for an order, the
    time in milliseconds of CLOCK_BOOTTIME, as `now_ms`.
    Raises Malformed (a file is not what it claims to be) or Untrusted: SIGNATURE_INVALID, KEY_UNTRUSTED,
    KEY_REVOKED_AT_INDEX, PURPOSE_MISMATCH, NOT_LOGGED, PROOF_INVALID, CHECKPOINT_INVALID,
    ORDER_FOR_ANOTHER_BOOT, ORDER_EXPIRED, PLAN_MISMATCH, ESCROW_MISMATCH, APPROVALS_MISSING,
    SUBJECT_MISMATCH, BASIS_INSUFFICIENT, DECISIONS_MISSING.
    """
    entry = log_entry.read(delivery.log_entry)
    # 1. Signature, role, position, purpose.
    statement, order_digest = trust.open_statement(delivery.order, Order, seq=entry.seq)
    order = statement.predicate
    # 2. Logged.
    _require_logged(delivery, entry, order, trust)
    # 3. This boot, this hello.
    if order.boot_id != boot_id:
        raise Untrusted(Code.ORDER_FOR_ANOTHER_BOOT, "the order names another boot of the erase environment")
    if order.hello_nonce != hello_nonce:
        raise Untrusted(Code.ORDER_EXPIRED, "the order answers another hello than the newest one")
    # 4. Alive.
    _require_alive(order, hello_at_ms, now_ms)
    # 5. The plan that was approved.
    _require_plan(order)
    # 6. The table that decides.
    table, rule = _open_table(delivery.validation, order, entry.seq, trust)
    # 7. The people behind it.
    operators = enrolled_operators(trust, delivery.enrolments, order.issued_at)
    _require_approvals(delivery.approvals, order, rule, operators)
    # 8. Why the customer is gone.
    require_grounds(order, delivery.decisions, operators)
    return Obeyable(order=order, order_digest=order_digest, table=table)


def _require_logged(delivery: Delivery, entry: Entry, order: Order, trust: TrustRoot) -> None:
    """Rule 2. `order.signer` is the fingerprint of the key that verified: `open_statement` holds that."""
    entry.require_commitment(dsse.read(delivery.order), kind=LogKind.ORDER, keyid=order.signer)
    proof = Proof(index=entry.seq, hashes=delivery.proof, checkpoint_note=delivery.checkpoint)
    checkpoint = log_proof.check(delivery.log_entry, proof, trust)
    if order.anchor.origin != checkpoint.origin:
        raise Untrusted(Code.CHECKPOINT_INVALID, "the order is anchored in another log")
    if order.anchor.size > entry.seq:
        raise Untrusted(
            Code.CHECKPOINT_INVALID,
            f"the order stands at entry {entry.seq} and claims to follow a tree of {order.anchor.size}",
        )


def _require_alive(order: Order, hello_at_ms: int, now_ms: int) -> None:
    """Rule 4. A clock that ran backwards is another boot's clock."""
    if now_ms < hello_at_ms:
        raise Untrusted(Code.ORDER_EXPIRED, "the clock stands before the hello that the order answers")
    if now_ms >= hello_at_ms + order.valid_for_s * 1000:
        age_s = (now_ms - hello_at_ms) // 1000
        raise Untrusted(
            Code.ORDER_EXPIRED, f"{age_s} s after the hello, and the order was good for {order.valid_for_s} s"
        )


def _require_plan(order: Order) -> None:
    """Rule 5."""
    plan = order.plan
    if plan.canonical_digest() != order.plan_digest:
        raise Untrusted(Code.PLAN_MISMATCH, "the order's plan is not the one whose digest it names")
    for name, planned, ordered in (
        ("deprovision", plan.deprovision, order.deprovision),
        ("boot", plan.boot_id, order.boot_id),
        ("host", plan.host_commitment, order.host.commitment),
    ):
        if planned != ordered:
            raise Untrusted(Code.PLAN_MISMATCH, f"plan and order name another {name}")
    facts = [(fact.kind.value, fact.commitment) for fact in order.host.facts]
    if commitment.host_commitment(facts) != order.host.commitment:
        raise Untrusted(Code.PLAN_MISMATCH, "the host's facts do not make the host that was planned for")


def _open_table(
    data: bytes, order: Order, seq: int, trust: TrustRoot
) -> tuple[ValidationTable, DataClassRule]:
    """Rule 6. The table is not logged itself; the order that names it by digest is, at `seq`."""
    statement, digest = trust.open_statement(data, ValidationTable, seq=seq)
    table = statement.predicate
    if digest != order.plan.validation_digest:
        raise Untrusted(Code.PLAN_MISMATCH, "the plan names another validation table")
    rule = table.rule(order.plan.data_class)
    if rule is None:
        raise Untrusted(Code.PLAN_MISMATCH, f"the table has no rule for {order.plan.data_class!r}")
    if order.plan.floor is not rule.floor:
        raise Untrusted(
            Code.PLAN_MISMATCH, f"the floor is {order.plan.floor.value}, the table asks {rule.floor.value}"
        )
    if (order.plan.overwrite, order.plan.read_back) != (rule.overwrite, rule.read_back):
        asked = f"{rule.overwrite.value} and {rule.read_back.value}"
        raise Untrusted(Code.PLAN_MISMATCH, f"overwrite or read-back are not what the table asks, {asked}")
    if order.escrow is not rule.escrow:
        said = f"the order says {order.escrow.value} of copies of keys, the table {rule.escrow.value}"
        raise Untrusted(Code.ESCROW_MISMATCH, said)
    return table, rule


def _require_approvals(
    approvals: tuple[bytes, ...], order: Order, rule: DataClassRule, operators: Operators
) -> None:
    """Rule 7."""
    if len(approvals) > MAX_APPROVALS:
        raise Malformed(Code.LIMIT_EXCEEDED, f"{len(approvals)} approvals")
    opened = [operators.open_statement(data, Approval) for data in approvals]
    named = sorted((reference.digest, reference.keyid) for reference in order.basis.approvals)
    if named != sorted((digest, statement.predicate.operator) for statement, digest in opened):
        raise Untrusted(Code.APPROVALS_MISSING, "other approvals came than those the order was based on")
    requesters = {digest: found.predicate.operator for found, digest in opened if _is_request(found)}
    for statement, _ in opened:
        _require_approves(statement, order)
        _require_answers(statement.predicate, requesters, order)
    people = {statement.predicate.operator for statement, _ in opened}
    if len(people) != len(opened):
        raise Untrusted(Code.APPROVALS_MISSING, "one person stands behind two of the approvals")
    _require_enough(order, rule, people_count=len(people), requests_count=len(requesters))


def _is_request(statement: Statement[Approval]) -> bool:
    return statement.predicate.kind == "request"


def _require_approves(statement: Statement[Approval], order: Order) -> None:
    """For exactly this plan, and alive when the order was issued."""
    approval = statement.predicate
    subjects = {found.digest.sha256 for found in statement.subject}
    if subjects != {order.plan_digest} or approval.plan_digest != order.plan_digest:
        raise Untrusted(Code.PLAN_MISMATCH, f"what {approval.operator} approved is another plan")
    if approval.deprovision != order.deprovision:
        raise Untrusted(Code.PLAN_MISMATCH, f"what {approval.operator} approved is another deprovision")
    if approval.expires_at > approval.issued_at + APPROVAL_LIFE:
        raise Untrusted(Code.APPROVALS_MISSING, f"{approval.operator} approved for longer than a day")
    if not approval.issued_at <= order.issued_at < approval.expires_at:
        raise Untrusted(
            Code.APPROVALS_MISSING, f"the approval of {approval.operator} had expired, or came later"
        )


def _require_answers(approval: Approval, requesters: Mapping[str, str], order: Order) -> None:
    """Who approves a request is not who made it. Without a request only a tenancy's end can be approved."""
    if approval.kind == "request":
        if approval.request_digest != "not_applicable":
            raise Untrusted(Code.SUBJECT_MISMATCH, "a request answers no other request")
        return
    if approval.request_digest == "not_applicable":
        if order.trigger is Trigger.MANUAL:
            raise Untrusted(Code.APPROVALS_MISSING, "a wipe by hand was approved that nobody requested")
        return
    requester = requesters.get(approval.request_digest)
    if requester is None:
        raise Untrusted(Code.APPROVALS_MISSING, "the request that was approved did not come along")
    if requester == approval.operator:
        raise Untrusted(Code.APPROVALS_MISSING, f"{requester} approved its own request")


def _require_enough(order: Order, rule: DataClassRule, *, people_count: int, requests_count: int) -> None:
    """A request counts as its author's yes; but where anybody is asked, somebody must have approved."""
    asked_by_trigger = MANUAL_APPROVALS if order.trigger is Trigger.MANUAL else 0
    required = max(rule.approvals_required, asked_by_trigger, order.basis.approvals_required)
    if people_count < required:
        raise Untrusted(Code.APPROVALS_MISSING, f"{people_count} of {required} people stand behind this plan")
    if required and people_count == requests_count:
        raise Untrusted(Code.APPROVALS_MISSING, "it was requested, but nobody approved it")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8")


def _hash(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise Malformed(Code.LINE_INVALID, "a proof hash is 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)
