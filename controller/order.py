"""Orders and withdrawals: the documents by which the controller permits a destruction, or takes it back.

Rules:
1. An order carries its plan and the digest that people approved, and the two agree.
2. It names one boot, one hello nonce, one token and a fence of its own, and lives `VALID_FOR_SECONDS` on the
agent's
   monotonic clock from that hello.
3. The basis says what was answered, by digest and time, for every tenancy of the host; an order without an
answer
   for each, or with an answer other than `ended`, is not made. Only by hand, and only for a host that two
   operators declared `stock` or `internal`, may a complete list be empty. (The guards say the same before and
   after; this is the last look, at what is about to be signed.)
4. What it says of copies of keys is what the signed table says for this class of data, and nobody else.

Pure: ids, nonces, times and digests are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from certificate.errors import Refused
from certificate.identifiers import OrderId
from certificate.statements.host_records import Withdrawal
from certificate.statements.medium import Host
from certificate.statements.order import Anchor, Basis, Order
from certificate.statements.plan import Plan
from certificate.statements.statement import (
    NotApplicable,
    Purpose,
    Seen,
    Statement,
    make,
    subject,
)
from certificate.statements.validation import DataClassRule
from certificate.statements.vocabulary import BootTrust, Observer, Trigger
from controller.errors import Code

#: The longest life FORMATS.md allows (900 s) is DESIGN.md's 15 minutes to dispatch; two minutes less leave
#: the agent, whose clock counts from its own hello, always the stricter of the two.
VALID_FOR_SECONDS = 780
#: DESIGN: a host that was never let is declared `stock` or `internal` by two.
DECLARED_BY = 2


@dataclass(frozen=True, kw_only=True)
class BootNamed:
    """The one boot an order is for."""

    boot_id: str
    boot_trust: BootTrust
    config_digest: str
    hello_nonce: str


@dataclass(frozen=True, kw_only=True)
class Signing:
    """What signs a document, and the nonce and instant it carries."""

    signer: str
    purpose: Purpose
    nonce: str
    issued_at: datetime


def make_order(
    *,
    order: OrderId,
    attempt: int,
    trigger: Trigger,
    token: str,
    fence: int,
    boot: BootNamed,
    host: Host,
    plan: Plan,
    rule: DataClassRule,
    basis: Basis,
    anchor: Anchor,
    signing: Signing,
    version: str,
) -> Statement[Order]:
    """The order as it will be signed. Raises Refused: TENANCY_REMAINS, TENANCY_NONE_KNOWN,
    TENANCY_LIST_UNKNOWN, DISPOSITION_REFUSES, DISPOSITION_UNDECLARED, PLAN_OF_ANOTHER_BOOT,
    NO_VALIDATION_RULE. `rule`: of the plan's class of data, in the table that the plan names.
    """
    _refuse_a_weak_basis(basis, trigger=trigger, plan=plan)
    if plan.boot_id != boot.boot_id:
        raise Refused(
            Code.PLAN_OF_ANOTHER_BOOT, "the plan was made for another start of the erase environment"
        )
    if rule.data_class != plan.data_class:
        raise Refused(Code.NO_VALIDATION_RULE, f"a rule for {rule.data_class!r}, not {plan.data_class!r}")
    predicate = Order(
        schema_version=1,
        purpose=signing.purpose,
        nonce=signing.nonce,
        issued_at=signing.issued_at,
        order=order,
        deprovision=plan.deprovision,
        attempt=attempt,
        continues="not_applicable",
        token=token,
        fence=fence,
        boot_id=boot.boot_id,
        boot_trust=boot.boot_trust,
        boot_config_digest=boot.config_digest,
        observer=Observer.ON_HOST,
        hello_nonce=boot.hello_nonce,
        valid_for_s=VALID_FOR_SECONDS,
        trigger=trigger,
        host=host,
        plan=plan,
        plan_digest=plan.canonical_digest(),
        escrow=rule.escrow,
        basis=basis,
        anchor=anchor,
        controller_version=version,
        signer=signing.signer,
    )
    return make(predicate, tuple(subject(f"medium/{n}", m.commitment) for n, m in enumerate(plan.media)))


def make_withdrawal(
    *, order: Order, order_digest: str, order_seq: int, reason: Code, signing: Signing
) -> Statement[Withdrawal]:
    """The record that an order will not be dispatched."""
    predicate = Withdrawal(
        schema_version=1,
        purpose=signing.purpose,
        nonce=signing.nonce,
        issued_at=signing.issued_at,
        signer=signing.signer,
        order=order.order,
        order_digest=order_digest,
        order_seq=order_seq,
        token=order.token,
        reason=reason.value,
    )
    return make(predicate, (subject("order", order_digest),))


def _refuse_a_weak_basis(basis: Basis, *, trigger: Trigger, plan: Plan) -> None:
    if basis.tenancies.count != len(basis.answers):
        raise Refused(Code.TENANCY_NONE_KNOWN, "not every tenancy of the host has an answer in the basis")
    if plan.tenancy_ref == "not_applicable" or not basis.answers:
        _refuse_unless_never_let(basis, trigger=trigger, plan=plan)
        return
    if basis.disposition != "rented":
        raise Refused(Code.DISPOSITION_REFUSES, f"a tenancy of a host declared {basis.disposition}")
    remaining: list[str | NotApplicable] = [each.state for each in basis.answers if each.state != "ended"]
    if remaining:
        raise Refused(Code.TENANCY_REMAINS, f"a tenancy of the host is {remaining[0]}")


def _refuse_unless_never_let(basis: Basis, *, trigger: Trigger, plan: Plan) -> None:
    """An empty list is an answer only where the source vouches for it and two people declared the same."""
    if basis.answers or plan.tenancy_ref != "not_applicable" or trigger is not Trigger.MANUAL:
        raise Refused(Code.TENANCY_NONE_KNOWN, "without a tenancy a host is wiped by hand only")
    if basis.tenancies.is_complete is not Seen.YES:
        raise Refused(Code.TENANCY_LIST_UNKNOWN, "the empty list of tenancies is not known to be complete")
    if basis.disposition == "rented":
        raise Refused(Code.DISPOSITION_REFUSES, "a rented host without a tenancy")
    people = {decision.keyid for decision in basis.decisions}
    if len(people) < DECLARED_BY:
        raise Refused(
            Code.DISPOSITION_UNDECLARED, f"{len(people)} of {DECLARED_BY} operators declared the host"
        )
