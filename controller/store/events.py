"""What the ledger remembers: one frozen class an event, its fields the keys of the body.

Rules: a body holds ids, keyed pseudonyms, digests, codes, whole numbers and times, and nothing else: no
serial, no address, no name, no text for people. A plain string passes only where it is a digest, a key's
fingerprint, or words of lower-case letters; whatever else is a member of an enumeration or an identifier
(LEDGER_TEXT_REFUSED). `deprovision` stands in a column of its own, so it is not repeated in the body. An
event may gain a field with a new kind; none is renamed, because the chain is checked for ever.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, DriveId, HostId, Identifier, OrderId, OutcomeId, TenancyId
from certificate.log.entry import LogKind
from certificate.statements.vocabulary import BootTrust, Result, Trigger
from controller.errors import Code
from controller.states import State

#: A digest, a fingerprint, an identifier, or a step: lower-case words and digests joined by colons
#: ("start:<digest>:technique"), numbers only where a step counts namespaces or names an offset.
_ALLOWED_TEXT = re.compile(
    r"[0-9a-f]{64}|SHA256:[A-Za-z0-9+/]{43}|[a-z]{3}_[0-9a-f]{32}"
    r"|[a-z_]{1,40}(:([0-9a-f]{64}|[a-z_]{1,40})){0,3}"
    r"|layer:[0-9a-f]{64}:[0-9]{1,10}:[0-9]{1,20}|start:[0-9a-f]{64}:[a-z_]{1,40}:ns[0-9]{1,10}"
)


def may_stand(text: str) -> bool:
    """Whether `text` is of a form that the ledger holds."""
    return _ALLOWED_TEXT.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class Event:
    """The common shape. `kind` names the event in the ledger."""

    kind: ClassVar[str]
    deprovision: DeprovisionId | None = None

    def body(self) -> dict[str, Any]:
        """The body's keys and plain values. Raises Refused(LEDGER_TEXT_REFUSED)."""
        names = (field.name for field in dataclasses.fields(self) if field.name != "deprovision")
        return {name: self._plain(name, getattr(self, name)) for name in names}

    def _plain(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, datetime):
            return time_text(value)
        if isinstance(value, Identifier):
            return type(value).parse(value)
        if isinstance(value, StrEnum):
            return value.value
        if isinstance(value, str) and may_stand(value):
            return value
        raise Refused(Code.LEDGER_TEXT_REFUSED, f"{self.kind}.{name} is neither a digest nor a known word")


def time_text(value: datetime) -> str:
    """YYYY-MM-DDTHH:MM:SS.ffffffZ. Raises ValueError for a naive time."""
    if value.utcoffset() is None:
        raise ValueError(f"{value.isoformat()} has no time zone")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- the store itself
# -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StoreCreated(Event):
    """The first event. `store_id` is 64 hexadecimal digits of randomness."""

    kind = "store-created"
    store_id: str


@dataclass(frozen=True, kw_only=True)
class EpochBegun(Event):
    """Two operators reconciled a store with the world; fences now rise from `epoch` x 2^32."""

    kind = "epoch-begun"
    epoch: int
    former_epoch: int


@dataclass(frozen=True, kw_only=True)
class LogEntryAdded(Event):
    """An entry of the public log: its place, and the hash by which the tree names it."""

    kind = "log-entry-added"
    log_kind: LogKind
    log_seq: int
    leaf_hash: str
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class CheckpointStored(Event):
    kind = "checkpoint-stored"
    size: int
    root: str


@dataclass(frozen=True, kw_only=True)
class ValidationTableTaken(Event):
    """The store works under this signed validation table from here on, and under no older one again."""

    kind = "validation-table-taken"
    version: int
    table_digest: str


@dataclass(frozen=True, kw_only=True)
class SubjectShredded(Event):
    """The key of a subject's private text was destroyed."""

    kind = "subject-shredded"
    subject_ref: str


# --- hosts, tenancies, what the world says
# --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HostRegistered(Event):
    kind = "host-registered"
    host: HostId
    disposition: StrEnum


@dataclass(frozen=True, kw_only=True)
class DispositionDeclared(Event):
    kind = "disposition-declared"
    host: HostId
    old: StrEnum
    new: StrEnum


@dataclass(frozen=True, kw_only=True)
class DriveRecorded(Event):
    kind = "drive-recorded"
    host: HostId
    drive: DriveId
    commitment: str
    basis: StrEnum


@dataclass(frozen=True, kw_only=True)
class TenancyRecorded(Event):
    kind = "tenancy-recorded"
    tenancy: TenancyId
    host: HostId
    subscription_ref: str
    tenancy_ref: str
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TenancyEndChanged(Event):
    """The source now gives another end; `ends_at` is null where it names none."""

    kind = "tenancy-end-changed"
    tenancy: TenancyId
    ends_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AllocationIssued(Event):
    kind = "allocation-issued"
    tenancy: TenancyId
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class HintReceived(Event):
    kind = "hint-received"
    sequence: int
    hint: StrEnum
    subscription_ref: str


@dataclass(frozen=True, kw_only=True)
class AnswerChanged(Event):
    """A question got another answer than the last time. `about` is an id of ours, or SHA-256 of a name."""

    kind = "answer-changed"
    sequence: int
    question: StrEnum
    about: str
    answer: str
    raw_digest: str | None


# --- people
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DecisionReceived(Event):
    """An operator's signed decision; the envelope stands in its row."""

    kind = "decision-received"
    decision: StrEnum
    payload_digest: str
    on_digest: str
    keyid: str


@dataclass(frozen=True, kw_only=True)
class DecisionUsed(Event):
    """Enough people stood behind the same words, and this was one of them."""

    kind = "decision-used"
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class OperatorEnrolled(Event):
    """A further operator, who counts from `since` on."""

    kind = "operator-enrolled"
    keyid: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class OperatorRevoked(Event):
    kind = "operator-revoked"
    keyid: str
    decision_digest: str


# --- one deprovision
# ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DeprovisionScheduled(Event):
    kind = "deprovision-scheduled"
    host: HostId
    tenancy: TenancyId | None
    trigger: Trigger
    state: State
    attempt: int


@dataclass(frozen=True, kw_only=True)
class StateMoved(Event):
    """One move. `reason` is the code that sent it to needs_operator, or null."""

    kind = "state-moved"
    old: State
    new: State
    attempt: int
    fence: int
    reason: StrEnum | None


@dataclass(frozen=True, kw_only=True)
class OperatorCommanded(Event):
    """An operator's command of one attempt, by the fingerprint of the key that signed it; one event a signer.

    `decision_digest` is of the signed decision, which holds the reason.
    """

    kind = "operator-commanded"
    command: str
    keyid: str
    attempt: int
    decision_digest: str


@dataclass(frozen=True, kw_only=True)
class EffectBegun(Event):
    """Something may be done to the world from here on; written before the first byte."""

    kind = "effect-begun"
    effect: StrEnum
    attempt: int


@dataclass(frozen=True, kw_only=True)
class NoticeOpened(Event):
    """Somebody is to be told."""

    kind = "notice-opened"
    notice: StrEnum


@dataclass(frozen=True, kw_only=True)
class NoticeSettled(Event):
    """A notice was delivered or waived, or there was nobody to tell; the record itself is private.

    Where several people waived it, there is one event for each of their decisions.
    """

    kind = "notice-settled"
    notice: StrEnum
    settled: StrEnum
    record_digest: str | None


@dataclass(frozen=True, kw_only=True)
class ApprovalReceived(Event):
    kind = "approval-received"
    plan_digest: str
    payload_digest: str
    keyid: str
    is_request: bool


@dataclass(frozen=True, kw_only=True)
class Stopped(Event):
    """A hold, a freeze or a breaker began. A site or rack is a name and stands in the row only."""

    kind = "stopped"
    number: int
    stop: StrEnum
    scope: StrEnum
    host: HostId | None
    customer_ref: str | None
    author: str


@dataclass(frozen=True, kw_only=True)
class StopLifted(Event):
    kind = "stop-lifted"
    number: int
    decision_digest: str


@dataclass(frozen=True, kw_only=True)
class BootPrepared(Event):
    kind = "boot-prepared"
    number: int
    config_digest: str
    boot_trust: BootTrust


@dataclass(frozen=True, kw_only=True)
class BootProven(Event):
    kind = "boot-proven"
    number: int
    boot_id: str


@dataclass(frozen=True, kw_only=True)
class InventoryTaken(Event):
    """`line_digest` is SHA-256 of the agent's answer as it came."""

    kind = "inventory-taken"
    boot_id: str
    line_digest: str


@dataclass(frozen=True, kw_only=True)
class PlanMade(Event):
    kind = "plan-made"
    attempt: int
    plan_digest: str
    boot_id: str


@dataclass(frozen=True, kw_only=True)
class OrderIntended(Event):
    kind = "order-intended"
    order: OrderId
    attempt: int
    fence: int
    payload_digest: str
    plan_digest: str


@dataclass(frozen=True, kw_only=True)
class OrderDispatched(Event):
    """The point of no return was passed: committed before the first byte was sent."""

    kind = "order-dispatched"
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class OrderWithdrawn(Event):
    kind = "order-withdrawn"
    order: OrderId
    reason: StrEnum
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class OrderAnswered(Event):
    """The agent's final word on an order. `absence_digest` is that of its signed absence, or null."""

    kind = "order-answered"
    order: OrderId
    answer: StrEnum
    absence_digest: str | None


@dataclass(frozen=True, kw_only=True)
class AcknowledgementGranted(Event):
    """The irreversible step `step` may begin, under one token and boot."""

    kind = "acknowledgement-granted"
    order: OrderId
    journal_seq: int
    step: str


@dataclass(frozen=True, kw_only=True)
class EvidenceReceived(Event):
    kind = "evidence-received"
    order: OrderId
    payload_digest: str
    annex_digest: str


@dataclass(frozen=True, kw_only=True)
class VerdictsComputed(Event):
    """What `assurance` and the validation table say of an order's media: how many, and of which table."""

    kind = "verdicts-computed"
    order: OrderId
    media: int
    accepted: int


@dataclass(frozen=True, kw_only=True)
class OutcomeDrafted(Event):
    kind = "outcome-drafted"
    outcome: OutcomeId
    #: None for a destroyed medium.
    attempt: int | None
    medium: str
    result: Result
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class OutcomeIssued(Event):
    kind = "outcome-issued"
    outcome: OutcomeId
    log_seq: int


@dataclass(frozen=True, kw_only=True)
class SummaryDrafted(Event):
    kind = "summary-drafted"
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class SummaryIssued(Event):
    kind = "summary-issued"
    log_seq: int


@dataclass(frozen=True, kw_only=True)
class BundleVerified(Event):
    """`verify()` accepted the bundle under the provider's own policy."""

    kind = "bundle-verified"
    policy_digest: str
