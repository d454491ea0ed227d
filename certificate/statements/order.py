"""Order: the signed permission to destroy. This boot, these drives, these techniques, this floor, and why.

It carries its own plan, so that whoever holds the order can recompute the digest that people approved, and
its basis: what the sources answered and when, the policy, the quarantine as read back, the approvals, the
limits, the notices. A log proof stands beside an order (delivery), never in it. Enforced elsewhere:
`delivery` (may it be obeyed at all), the agent's admission (here, now, on these drives).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from certificate.identifiers import DeprovisionId, OrderId
from certificate.statements.medium import Host
from certificate.statements.plan import Plan
from certificate.statements.statement import (
    CodeWord,
    Count,
    Digest,
    KeyId,
    Model,
    Nonce,
    NotApplicable,
    NotObserved,
    Predicate,
    Seen,
    UtcSeconds,
    Word,
)
from certificate.statements.vocabulary import BootTrust, Escrow, Observer, Trigger

#: FORMATS.md: an order lives at most this long on the agent's monotonic clock.
MAX_VALID_FOR_SECONDS = 900


class Anchor(Model):
    """An earlier checkpoint of the log: this document was made after it."""

    origin: Word
    size: Count
    root: Digest


class SourceAnswer(Model):
    """What a source said of one tenancy of the host, by digest of its raw answer."""

    tenancy_ref: Digest
    subscription_ref: Digest
    source: Word
    state: Literal["active", "ended", "pending", "unknown"]
    changed_at: UtcSeconds | NotObserved
    answer_digest: Digest
    sequence: Count
    asked_at: UtcSeconds
    answered_at: UtcSeconds


class TenancyList(Model):
    """The source's list of the host's tenancies; `is_complete` only where the source vouches for it."""

    source: Word
    is_complete: Seen
    count: Count
    answer_digest: Digest
    sequence: Count
    asked_at: UtcSeconds
    answered_at: UtcSeconds


class QuarantineReadBack(Model):
    tenant_side_cut: Seen
    our_side_reachable: Seen
    answer_digest: Digest
    sequence: Count
    asked_at: UtcSeconds
    answered_at: UtcSeconds


class ApprovalReference(Model):
    """An approval or request that travels with the order, by digest of its payload."""

    digest: Digest
    keyid: KeyId


class LimitState(Model):
    """One cap as it stood when the order was made, this order included."""

    name: CodeWord
    used: Count
    limit: Count


class NoticeReference(Model):
    """The delivery record or recorded waiver of a notice, by digest."""

    kind: Literal["delivered", "waived"]
    record_digest: Digest


class Basis(Model):
    """Why the customer is gone and why we may."""

    tenancies: TenancyList
    answers: tuple[SourceAnswer, ...]
    policy_version: Count
    policy_digest: Digest
    disposition: Literal["rented", "stock", "internal"]
    quarantine: QuarantineReadBack | NotApplicable
    approvals_required: Annotated[int, Field(ge=0, le=2)]
    approvals: tuple[ApprovalReference, ...]
    decisions: tuple[ApprovalReference, ...]
    limits: tuple[LimitState, ...]
    is_frozen: Seen
    holds: Seen
    notices: tuple[NoticeReference, ...]
    #: The newest ledger event this order was decided on.
    ledger_seq: Count
    ledger_head: Digest


class Order(Predicate):
    statement_name: ClassVar[str] = "order"

    order: OrderId
    deprovision: DeprovisionId
    attempt: Annotated[int, Field(ge=1)]
    #: The order that this one continues (an interrupted overwrite).
    continues: OrderId | NotApplicable
    token: Nonce
    fence: Count
    boot_id: Digest
    boot_trust: BootTrust
    boot_config_digest: Digest
    observer: Observer
    hello_nonce: Nonce
    valid_for_s: Annotated[int, Field(ge=1, le=MAX_VALID_FOR_SECONDS)]
    trigger: Trigger
    host: Host
    plan: Plan
    plan_digest: Digest
    #: Whether copies of the keys about to be destroyed are kept elsewhere: the word of the validation table's
    #: rule for this class of data, signed by the root key (`delivery` compares).
    escrow: Escrow
    basis: Basis
    anchor: Anchor
    controller_version: Word
    signer: KeyId
