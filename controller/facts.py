"""What is known about one deprovision at one instant: read once, frozen, handed to `decide`.

Rules this module holds:
- An observation is the *newest question*, answered or not: highest `sequence` by asking, never by storing. A
  question without its answer is `unknown`, so it voids an older answer.
- Age counts from `asked_at`; an answer from the future is no answer (a clock jumped).
- At dispatch and at each acknowledgement only what was asked after `basis_since` lets anything irreversible
  begin; an answer that the customer stays needs no such newness.
- `ended` counts only if asked after the last hint and the last change of that tenancy; a contrary answer is
  itself a change; after a renewal hint the source must also date the end later than that hint by what two
  clocks may differ.
- A return is latched (`came_back_at`): who ends again is owed a grace and notices of that ending.
- Nothing here is a default for a fact nobody observed: every field is named by whoever loads it.

Owed by whoever stores: the instant of anything that voids an answer (hint, change, answer, effect begun,
order made) is later than every instant stored before, even if the clock stepped back meanwhile; `asked_at` is
the plain clock, so that ages stay honest. Otherwise a hint stored after a step back would look older than the
question before it. Times are aware UTC. A `Facts` is loaded in one read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from certificate.identifiers import DeprovisionId, HostId, OrderId, TenancyId
from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import BootTrust, Result, Trigger, ValidationDecision
from controller.states import State

#: DESIGN, rule 2: how old an observation may be when something irreversible rests on it. With the 60 s of an
#: acknowledgement and the drift of a clock it bounds how long a renewal at the source can be missed.
MAX_AGE = timedelta(seconds=30)
#: FORMATS, "Time": how far the controller's clock may be from the source's own. Where an instant of the
#: source's is held against one of ours, the difference counts against going on.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)


class Question(StrEnum):
    """What may be asked of the world; each answer is a stored observation, asked outside transactions."""

    SUBSCRIPTION = "subscription"
    TENANCIES = "tenancies"
    CLOCK = "clock"
    #: How many subscriptions stand in each state; asked by the intake, about the source as a whole.
    CENSUS = "census"
    ISOLATION = "isolation"
    #: A hello whose nonce the next order names (never replaced by one for status or follow).
    ORDER_HELLO = "order_hello"
    AGENT_STATUS = "agent_status"
    #: As AGENT_STATUS, and the agent is asked to refuse the token for ever if it has not begun.
    FINAL_ABSENCE = "final_absence"


class Effect(StrEnum):
    """What may be done to the world; each may be repeated, and returning from it proves nothing."""

    ISOLATE = "isolate"
    BOOT = "boot"
    #: Hello and inventory of whoever answers as the erase environment.
    INSPECT = "inspect"
    MAKE_PLAN = "make_plan"
    WITHDRAW_ORDER = "withdraw_order"
    #: The one effect that is never repeated: it comes with the move to `erasing` and with nothing else.
    DISPATCH = "dispatch"
    #: Follow the journal, store its lines, acknowledge them (each by `may_acknowledge`).
    COLLECT = "collect"
    JUDGE = "judge"
    CERTIFY = "certify"
    RESTORE = "restore"


class Answer(StrEnum):
    """What a source says of a subscription. Silence, an error, a login page are `unknown`, never `ended`."""

    ACTIVE = "active"
    ENDED = "ended"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Exit(StrEnum):
    """What an operator may command of one deprovision; all but `restore` only out of `needs_operator`."""

    #: Agent and drives are asked again; nothing is issued.
    REPROBE = "reprobe"
    #: A new attempt: new plan, new approvals, new token.
    RETRY = "retry"
    #: The host goes back to whom it was taken from; from every state in which nothing was dispatched, too.
    RESTORE = "restore"
    #: Two people attest the physical destruction of the media.
    DESTROY = "destroy"
    #: Kept out of service.
    CLOSE = "close"


class Disposition(StrEnum):
    RENTED = "rented"
    STOCK = "stock"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The newest question of its kind, and its answer where one came."""

    #: Grows with every question asked; decides which is the newest.
    sequence: int
    #: Database clock, committed before the question was sent.
    asked_at: datetime
    #: When the answer was stored; None while there is none.
    answered_at: datetime | None

    def is_fresh(self, now: datetime) -> bool:
        """Answered, in this order of time, and asked less than MAX_AGE ago."""
        if self.answered_at is None:
            return False
        return self.asked_at <= self.answered_at <= now and now - self.asked_at < MAX_AGE


@dataclass(frozen=True, kw_only=True)
class SubscriptionObservation(Observation):
    answer: Answer
    #: When the source says its state changed; None where it does not say.
    changed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TenancyListObservation(Observation):
    #: YES only where the source vouches that nothing is missing (counts agree, heartbeat fresh).
    is_complete: Seen
    #: Every tenancy the source names for the host: our id, or the source's own words for one unknown to us.
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class IsolationObservation(Observation):
    """The read-back of the switch. Restored is the same question: `tenant_side_cut` is NO."""

    tenant_side_cut: Seen
    our_side_reachable: Seen


@dataclass(frozen=True, kw_only=True)
class ClockObservation(Observation):
    #: The controller's clock minus the source's own; None where the source gave no time.
    difference_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class HelloObservation(Observation):
    #: Who answered and proved itself; None where nobody did.
    boot_id: str | None
    #: For people: why nobody did, as `CODE: reason`; empty where one did.
    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class AgentObservation(Observation):
    """What the agent says of a token (AGENT_STATUS or FINAL_ABSENCE, whichever was asked last)."""

    token: str
    state: TokenState
    #: For people: why there is no answer, as `CODE: reason`; empty where there is one.
    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class TenancyFacts:
    tenancy: TenancyId
    #: None where the source does not say; then the tenancy may be the latest one.
    starts_at: datetime | None
    #: A date only; ended comes from the subscription's state, never from here.
    ends_at: datetime | None
    #: The newest hint of any kind, by the time we received it.
    last_hint_at: datetime | None
    #: The newest hint that the customer stays (renewed, reactivated).
    last_renewal_hint_at: datetime | None
    #: The newest change of a fact of this tenancy here. A contrary answer is one, at its `answered_at`.
    last_change_at: datetime | None
    latest: SubscriptionObservation | None


@dataclass(frozen=True, kw_only=True)
class BootFacts:
    """The newest start of the erase environment that an agent answered for."""

    boot_id: str
    #: The answer proved the single-use secret of this boot over both its keys.
    is_proven: bool
    boot_trust: BootTrust


@dataclass(frozen=True, kw_only=True)
class InventoryFacts:
    """The newest inventory, compared with what is on record for the host."""

    boot_id: str
    #: Independent signs of identity that agree, without placeholders and values seen on two hosts.
    agreeing_host_facts: int
    contradicting_host_facts: int
    #: Drives on record for this host; 0 where nobody recorded any.
    expected_drives: int
    missing_drives: int
    unexpected_drives: int
    #: Why drives cannot be erased at the floor, one code a drive refused.
    refused: tuple[str, ...]
    #: For people: one sentence a drive that is missing, unexpected or refused. Guards decide by the counts.
    named: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanFacts:
    digest: str
    boot_id: str
    #: Commitments of the media this plan would erase.
    media: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ApprovalFacts:
    """One stored, verified request or yes of an enrolled operator who counts by now."""

    keyid: str
    is_request: bool
    plan_digest: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderFacts:
    """The newest order of this attempt."""

    order: OrderId
    token: str
    fence: int
    plan_digest: str
    boot_id: str
    intended_at: datetime
    #: When the agent will refuse it: the hello's instant plus `valid_for_s`.
    expires_at: datetime
    #: A stored checkpoint of ours covers its log entry.
    is_logged: bool
    #: Set by the move to `erasing`; whether a byte was sent then, only the agent knows.
    dispatched_at: datetime | None
    #: The logged withdrawal exists. A withdrawn order was never dispatched and never will be.
    is_withdrawn: bool
    #: An irreversible step of this token was acknowledged.
    is_acknowledged: bool
    #: The agent of this very boot answered a signed, final `absent` for the token.
    is_absent_final: bool


@dataclass(frozen=True, kw_only=True)
class VerdictFacts:
    """What `assurance` and the validation table say of one medium of the order."""

    medium: str
    result: Result
    #: The table's, or `accept` where a person answered what the table escalates.
    decision: ValidationDecision
    #: Which case of the table it is, in words: data class, media, technique, grade.
    row: str


@dataclass(frozen=True, kw_only=True)
class AcceptanceFacts:
    """The standing validation by a person: `accept`, over the evidence of the order."""

    keyid: str
    accepted_at: datetime


@dataclass(frozen=True, kw_only=True)
class HoldFacts:
    author: str
    matter: str
    review_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeclarationFacts:
    """The standing declaration of a host's disposition by operators who count, over an empty list."""

    disposition: Disposition
    #: Fingerprints of the different keys that signed it.
    keyids: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class CommandFacts:
    """The newest command of operators for this deprovision that is neither carried out nor void."""

    exit: Exit
    #: Fingerprints of the different keys that signed it.
    keyids: frozenset[str]
    commanded_at: datetime


@dataclass(frozen=True, kw_only=True)
class EffectBegun:
    """An effect is recorded before its first byte, so that a crash cannot hide that it may have happened."""

    effect: Effect
    begun_at: datetime


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One deprovision at one instant."""

    deprovision: DeprovisionId
    host: HostId
    #: The tenancy the host leaves; None for a manual wipe of a host that never had one.
    tenancy: TenancyId | None
    state: State
    #: 1, and one more with each `retry` by a person.
    attempt: int
    fence: int
    entered_at: datetime
    #: When the state gives up; None lets `lifecycle.deadline` count from `entered_at`.
    deadline_at: datetime | None
    trigger: Trigger
    disposition: Disposition
    #: What operators declared of the host; None where nobody did.
    declaration: DeclarationFacts | None
    data_class: str
    #: Fixed when the deprovision was created; nothing is touched before.
    grace_until: datetime
    #: When we stored that the customer came back since this deprovision was created: the newest answer active
    #: or pending of the own tenancy, or an `ended` that the source dates later than this ending. What the
    #: source says afterwards does not take it back. None where nothing of the sort was ever stored.
    came_back_at: datetime | None
    #: How long the host stays quarantined before it is booted (policy pinned at creation).
    dwell: timedelta
    #: How long a start of the erase environment may take before it is begun again (the boot driver's).
    boot_takes: timedelta
    #: Answers asked before this instant allow nothing irreversible: the order's own at dispatch, the request
    #: at an acknowledgement (DESIGN, "Point of no return": *new* observations). None where no order stands.
    basis_since: datetime | None
    #: Every tenancy of the host that we know, not only the one that ended.
    tenancies: tuple[TenancyFacts, ...]
    tenancy_list: TenancyListObservation | None
    clock: ClockObservation | None
    #: The newest time that stands in a statement or checkpoint we signed; None before the first.
    newest_signed_at: datetime | None
    isolation: IsolationObservation | None
    boot: BootFacts | None
    inventory: InventoryFacts | None
    #: One sentence a drive on record for this host that is on record for another host as well, departed from
    #: neither.
    drives_elsewhere: tuple[str, ...]
    hello: HelloObservation | None
    plan: PlanFacts | None
    #: The validation table that a dispatched order names is in force or kept: no other may judge it.
    is_table_kept: bool
    #: From the signed validation table; None where it has no rule for this class of data.
    approvals_required: int | None
    approvals: tuple[ApprovalFacts, ...]
    order: OrderFacts | None
    #: An order of an *earlier* attempt was dispatched and not answered by a final `absent`.
    has_open_earlier_order: bool
    #: The newest acknowledgement of an irreversible step granted in any attempt.
    last_acknowledged_at: datetime | None
    agent: AgentObservation | None
    #: The journal of the order's token ended and everything it carried is stored.
    is_evidence_in: bool
    #: Computed at once for all media of the order, or none yet.
    verdicts: tuple[VerdictFacts, ...]
    #: By somebody who counts now; None where nobody accepted, or somebody rejected.
    acceptance: AcceptanceFacts | None
    are_outcomes_logged: bool
    #: The bytes of a summary are fixed, in whichever attempt: there is one a deprovision (decisions/0011).
    has_summary: bool
    #: A closing fixed that summary: in it a medium of the host is not erased, and nothing certifies it.
    is_written_off: bool
    #: With a person, and closing would leave outcomes or a summary that are not logged yet (decisions/0012).
    owes_records: bool
    #: The summary names this attempt's order, and is logged.
    is_summary_logged: bool
    #: `verify()` accepts this attempt's bundles under the provider's own policy.
    does_bundle_verify: bool
    #: Holds whose scope covers this deprovision.
    holds: tuple[HoldFacts, ...]
    #: Frozen by people, or since the store was found older than its anchor.
    is_frozen: bool
    #: No breaker has tripped: what the source says of endings is not in doubt as a whole.
    is_intake_open: bool
    #: Names of the caps that one more wipe would exceed now.
    limits_reached: tuple[str, ...]
    #: The anchor outside the database agrees with the ledger's head and epoch, compared in this transaction.
    is_store_current: bool
    #: Every notice that policy asks for has a delivery record or a recorded waiver.
    are_notices_settled: bool
    #: Another deprovision of this host has an order that was not withdrawn or finished.
    has_live_order_elsewhere: bool
    command: CommandFacts | None
    #: The newest beginning of each effect in this attempt (isolate and restore: in any attempt).
    effects_begun: tuple[EffectBegun, ...]

    def answer(self, tenancy: TenancyFacts, now: datetime) -> Answer:
        """What may be believed of this tenancy's subscription at `now`; `unknown` unless everything fits."""
        seen = tenancy.latest
        if seen is None or not seen.is_fresh(now) or not _is_after(seen.asked_at, tenancy.last_hint_at):
            return Answer.UNKNOWN
        if seen.answer is not Answer.ENDED:
            return seen.answer
        if not _is_after(seen.asked_at, tenancy.last_change_at) or not self.is_new(seen):
            return Answer.UNKNOWN
        hinted_at = tenancy.last_renewal_hint_at
        if hinted_at is None:
            return Answer.ENDED
        is_later = seen.changed_at is not None and seen.changed_at >= hinted_at + MAX_CLOCK_DIFFERENCE
        return Answer.ENDED if is_later else Answer.UNKNOWN

    def is_new(self, seen: Observation) -> bool:
        """Whether it was asked after the instant from which answers count here."""
        return _is_after(seen.asked_at, self.basis_since)

    @property
    def was_never_let(self) -> bool:
        """The deprovision is about no tenancy: a host in stock, or one of the provider's own."""
        return self.tenancy is None

    @property
    def is_called_back(self) -> bool:
        """An operator commanded to give the host back."""
        return self.command is not None and self.command.exit is Exit.RESTORE

    @property
    def own_tenancy(self) -> TenancyFacts | None:
        """The tenancy this deprovision is about, if the host still has it."""
        return next((t for t in self.tenancies if t.tenancy == self.tenancy), None)

    def begun_at(self, effect: Effect) -> datetime | None:
        """When this effect was last begun; None when it never was."""
        return max((e.begun_at for e in self.effects_begun if e.effect is effect), default=None)

    @property
    def switched_at(self) -> datetime | None:
        """When somebody of ours last began to change the host's network; None when nobody ever did."""
        begun = [self.begun_at(Effect.ISOLATE), self.begun_at(Effect.RESTORE)]
        return max((instant for instant in begun if instant is not None), default=None)

    def is_isolation_read(self, now: datetime) -> bool:
        """Whether the read-back is fresh and was asked after the last change of ours to the network."""
        seen = self.isolation
        if seen is None or not seen.is_fresh(now) or not self.is_new(seen):
            return False
        return _is_after(seen.asked_at, self.switched_at)

    @property
    def token_state(self) -> TokenState:
        """What the agent last said of the order's own token; `unknown` when it said nothing of it."""
        seen, order = self.agent, self.order
        if seen is None or order is None or seen.token != order.token or seen.answered_at is None:
            return TokenState.UNKNOWN
        return seen.state


def _is_after(asked_at: datetime, event_at: datetime | None) -> bool:
    """Strictly after: what happened in the same instant may not be in the answer yet."""
    return event_at is None or asked_at > event_at
