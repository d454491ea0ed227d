"""What must hold before a deprovision moves: one sentence a guard, silent when it holds, `Refused` when not.

Rules this module holds:
- A guard that loops refuses the empty list first: over nothing, every loop passes.
- Three-valued facts are compared with `is`; what was not observed refuses.
- Dispatch runs every guard of the intent again on new observations, and each irreversible acknowledgement
  runs them once more (DESIGN, "Point of no return"). The lists below are the only place that says which guard
  stands where; a test removes each guard from its list and shows what then happens.

Each guard names the questions whose answers could make it pass, so that whoever is refused knows what to ask.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from certificate.errors import Refused
from certificate.statements.medium import MIN_HOST_FACTS
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Trigger
from controller.errors import Code, NeedsApproval
from controller.facts import (
    MAX_CLOCK_DIFFERENCE,
    Answer,
    Disposition,
    Facts,
    Question,
    TenancyFacts,
)

#: DESIGN, *intended*: an order not dispatched for so long rests on a basis that nobody looked at since.
MAX_INTENDED_AGE = timedelta(minutes=15)
#: DESIGN: a manual wipe needs two people, and so does a wipe beyond a limit.
TWO_PEOPLE = 2


class Guard(Protocol):
    """Silent when its sentence holds, raises Refused when it does not."""

    @property
    def questions(self) -> tuple[Question, ...]: ...

    def check(self, facts: Facts, now: datetime) -> None: ...


class StoreIsCurrent:
    """Refuses while database and anchor disagree: a restored backup must not wipe (DESIGN, rule 7)."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if not facts.is_store_current:
            raise Refused(Code.STORE_NOT_CURRENT, "the ledger is not the one its anchor knows")


class NotFrozen:
    """Refuses while anybody's freeze stands."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.is_frozen:
            raise Refused(Code.FROZEN, "the controller is frozen")


class NotHeld:
    """Refuses while a hold covers the deprovision."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.holds:
            matters = "; ".join(f"{hold.matter} (by {hold.author})" for hold in facts.holds)
            raise Refused(Code.HELD, f"held: {matters}")


class ClockIsTrusted:
    """Refuses unless our clock agrees with the source's own, freshly, and is not behind what we signed."""

    questions: ClassVar[tuple[Question, ...]] = (Question.CLOCK,)

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.newest_signed_at is not None and now < facts.newest_signed_at:
            raise Refused(Code.TIME_UNTRUSTED, f"it is {now}, but we signed at {facts.newest_signed_at}")
        seen = facts.clock
        is_known = seen is not None and seen.is_fresh(now) and facts.is_new(seen)
        if seen is None or seen.difference_seconds is None or not is_known:
            raise Refused(Code.TIME_UNTRUSTED, "the source's own time is not freshly known")
        # written so that a NaN refuses
        if not abs(seen.difference_seconds) <= MAX_CLOCK_DIFFERENCE.total_seconds():
            raise Refused(
                Code.TIME_UNTRUSTED, f"our clock and the source's differ by {seen.difference_seconds:.0f} s"
            )


class NotCalledBack:
    """Refuses once an operator commanded to give the host back to its customer."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.is_called_back:
            raise Refused(Code.CALLED_BACK, "an operator commanded to give the host back")


class IntakeIsOpen:
    """Refuses while a breaker stands: the source says so many endings that none of them is believed."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if not facts.is_intake_open:
            raise Refused(Code.INTAKE_CLOSED, "a breaker tripped over what the source says")


class DispositionAllowsIt:
    """Refuses every disposition but `rented` where a tenancy ends; a host that was never let is wiped by hand
    only, as `stock` or `internal`, declared by two operators. `unknown` is never wiped.
    """

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        allowed = _NEVER_LET if facts.was_never_let else _LET
        if facts.disposition not in allowed:
            raise Refused(Code.DISPOSITION_REFUSES, f"the disposition of {facts.host} is {facts.disposition}")
        if not facts.was_never_let:
            return
        if facts.trigger is not Trigger.MANUAL:
            raise Refused(Code.DISPOSITION_REFUSES, f"no tenancy of {facts.host} can have ended")
        declared = facts.declaration
        if declared is None or declared.disposition is not facts.disposition:
            raise Refused(Code.DISPOSITION_UNDECLARED, f"nobody declared {facts.host} {facts.disposition}")
        if len(declared.keyids) < TWO_PEOPLE:
            raise Refused(
                Code.DISPOSITION_UNDECLARED, f"{len(declared.keyids)} of {TWO_PEOPLE} operators declared it"
            )


class TenancyListIsCompleteAndFresh:
    """Refuses unless the source's list for the host is complete, fresh, and names exactly those we know."""

    questions: ClassVar[tuple[Question, ...]] = (Question.TENANCIES,)

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.tenancy_list
        if seen is None or not seen.is_fresh(now) or not facts.is_new(seen):
            raise Refused(Code.TENANCY_LIST_UNKNOWN, f"no fresh list of tenancies of {facts.host}")
        if seen.is_complete is not Seen.YES:
            raise Refused(Code.TENANCY_LIST_UNKNOWN, "the source does not vouch that its list is complete")
        known = {str(tenancy.tenancy) for tenancy in facts.tenancies}
        if facts.was_never_let:
            if known or seen.names:
                raise Refused(Code.TENANCY_REMAINS, f"{facts.host} is or was let: {sorted(seen.names)}")
            return
        if not known or not seen.names:
            raise Refused(
                Code.TENANCY_NONE_KNOWN, f"{len(seen.names)} tenancies at the source, {len(known)} here"
            )
        if known != set(seen.names):
            only_here, only_there = sorted(known - set(seen.names)), sorted(set(seen.names) - known)
            raise Refused(
                Code.TENANCY_LIST_DIFFERS, f"only here: {only_here}; only at the source: {only_there}"
            )
        for tenancy in facts.tenancies:
            if _was_touched_since(tenancy, seen.asked_at):
                raise Refused(
                    Code.TENANCY_LIST_UNKNOWN, f"{tenancy.tenancy} changed since the list was asked for"
                )


class EveryTenancyEnded:
    """Refuses unless each tenancy of the host was seen `ended` after its last hint or change (rule 2).

    Of a host that was never let the list must say so (`TenancyListIsCompleteAndFresh`).
    """

    questions: ClassVar[tuple[Question, ...]] = (Question.SUBSCRIPTION,)

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.was_never_let and not facts.tenancies:
            return
        if not facts.tenancies:
            raise Refused(Code.TENANCY_NONE_KNOWN, f"{facts.host} has no tenancy")
        answers = {tenancy.tenancy: facts.answer(tenancy, now) for tenancy in facts.tenancies}
        live = {name: seen for name, seen in answers.items() if seen in {Answer.ACTIVE, Answer.PENDING}}
        if live:
            raise Refused(Code.TENANCY_REMAINS, ", ".join(f"{name} is {seen}" for name, seen in live.items()))
        unknown = [name for name, seen in answers.items() if seen is not Answer.ENDED]
        if unknown:
            raise Refused(Code.TENANCY_UNKNOWN, f"no fresh answer that counts for {', '.join(unknown)}")


class NoOtherTenancyTouchesTheHost:
    """Refuses a host that was let again, or that the tenancy has left, since this deprovision began.

    A later tenancy has a grace and notices of its own, even if it ended too; it is emptied under its own
    deprovision. One that lies within the own tenancy by both dates is history.
    """

    questions: ClassVar[tuple[Question, ...]] = (Question.TENANCIES,)

    def check(self, facts: Facts, now: datetime) -> None:
        own = facts.own_tenancy
        if facts.was_never_let and not facts.tenancies:
            return
        if own is None:
            raise Refused(
                Code.TENANCY_LIST_DIFFERS, f"{facts.tenancy} is not a tenancy of {facts.host} (any more)"
            )
        for other in facts.tenancies:
            if other.tenancy != own.tenancy and not _is_earlier(other, own):
                raise Refused(
                    Code.TENANCY_REMAINS,
                    f"{other.tenancy} may have begun after {own.tenancy}; it has a grace of its own",
                )


class NoOrderElsewhere:
    """Refuses while another deprovision of the host has a live order."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.has_live_order_elsewhere:
            raise Refused(Code.DEPROVISION_ELSEWHERE, f"another order for {facts.host} is live")


class HostIsIsolated:
    """Refuses unless the switch was read back, freshly, as tenant side cut and our side reachable."""

    questions: ClassVar[tuple[Question, ...]] = (Question.ISOLATION,)

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.isolation
        if seen is None or not facts.is_isolation_read(now):
            raise Refused(Code.HOST_NOT_ISOLATED, "no fresh read-back since the network was last changed")
        if seen.tenant_side_cut is not Seen.YES or seen.our_side_reachable is not Seen.YES:
            raise Refused(
                Code.HOST_NOT_ISOLATED,
                f"tenant side cut: {seen.tenant_side_cut}, our side reachable: {seen.our_side_reachable}",
            )


class BootIsProven:
    """Refuses unless the agent that answers proved the secret of this boot."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.boot is None or not facts.boot.is_proven:
            raise Refused(Code.BOOT_UNPROVEN, "no agent has proved the secret of this boot")


class InventoryIsOfThisBoot:
    """Refuses unless the drives and the host were read by the agent of the present boot."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        boot = None if facts.boot is None else facts.boot.boot_id
        if facts.inventory is None or facts.inventory.boot_id != boot:
            raise Refused(Code.INVENTORY_MISSING, "the present boot has not listed the host's drives")


class IdentityAgrees:
    """Refuses unless at least three independent signs say this is the host, and none says it is not."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.inventory
        agreeing = 0 if seen is None else seen.agreeing_host_facts
        if agreeing < MIN_HOST_FACTS:
            raise Refused(Code.IDENTITY_UNPROVEN, f"{agreeing} host facts agree, {MIN_HOST_FACTS} are needed")
        if seen is not None and seen.contradicting_host_facts:
            raise Refused(
                Code.IDENTITY_CONTRADICTED, f"{seen.contradicting_host_facts} host facts name another host"
            )


class DrivesAreTheExpectedOnes:
    """Refuses one missing, one unexpected or one refused drive, and a host whose drives nobody recorded."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.inventory
        if seen is None or not seen.expected_drives:
            raise Refused(Code.DRIVES_DIFFER, f"no drives are on record for {facts.host}, or none were read")
        if seen.missing_drives or seen.unexpected_drives:
            raise Refused(
                Code.DRIVES_DIFFER,
                f"of {seen.expected_drives} drives {seen.missing_drives} are missing and"
                f" {seen.unexpected_drives} more are there",
            )
        if seen.refused:
            raise Refused(Code.DRIVES_REFUSED, ", ".join(seen.refused))


class PlanIsOfThisBoot:
    """Refuses unless a plan exists that names media and the present boot: a reboot voids it."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.plan is None or not facts.plan.media:
            raise Refused(Code.PLAN_MISSING, "there is no plan that names a medium")
        if facts.boot is None or facts.plan.boot_id != facts.boot.boot_id:
            raise Refused(Code.PLAN_OF_ANOTHER_BOOT, f"the plan is of boot {facts.plan.boot_id[:8]}")


class ApprovalsSuffice:
    """Refuses with fewer approvals of this plan than the signed table asks; by hand, two people at least."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.approvals_required is None:
            raise Refused(Code.NO_VALIDATION_RULE, f"no rule for the data class {facts.data_class!r}")
        requesters, approvers = people(facts, now)
        if len(approvers) < facts.approvals_required:
            raise NeedsApproval(
                Code.APPROVALS_REQUIRED, f"{len(approvers)} of {facts.approvals_required} approvals"
            )
        if facts.trigger is Trigger.MANUAL and (not requesters or not approvers):
            raise NeedsApproval(
                Code.APPROVALS_REQUIRED, "a manual wipe is requested by one person and approved by another"
            )


class WithinLimits:
    """Refuses a wipe beyond a cap unless two people approved exactly it."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.limits_reached and len(people(facts, now)[1]) < TWO_PEOPLE:
            raise NeedsApproval(Code.LIMIT_REACHED, ", ".join(facts.limits_reached))


class NoticesSettled:
    """Refuses while a notice has neither delivery record nor recorded waiver."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if not facts.are_notices_settled:
            raise Refused(Code.NOTICES_OPEN, "a notice has neither delivery record nor waiver")


class AgentGreetedForTheOrder:
    """Refuses to make an order without a fresh hello of the present boot, asked after the last order."""

    questions: ClassVar[tuple[Question, ...]] = (Question.ORDER_HELLO,)

    def check(self, facts: Facts, now: datetime) -> None:
        seen, order = facts.hello, facts.order
        if (
            seen is None
            or not seen.is_fresh(now)
            or (order is not None and seen.asked_at <= order.intended_at)
        ):
            raise Refused(Code.AGENT_SILENT, "no fresh hello for this order")
        if facts.boot is None or seen.boot_id != facts.boot.boot_id:
            raise Refused(Code.AGENT_SILENT, "the present boot did not answer the hello for this order")


class OrderIsAlive:
    """Refuses to send an order that is not logged, was sent or withdrawn, has aged, or is of another plan."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        order = facts.order
        if order is None:
            raise Refused(Code.ORDER_MISSING, "there is no order")
        if order.dispatched_at is not None or order.is_acknowledged or order.is_absent_final:
            raise Refused(Code.ORDER_SPENT, f"{order.order} was sent at {order.dispatched_at}")
        stale = order_staleness(facts, now)
        if stale is not None:
            raise Refused(Code.ORDER_STALE, stale)
        if not order.is_logged:
            raise Refused(Code.ORDER_NOT_LOGGED, f"no checkpoint covers {order.order} yet")


def order_staleness(facts: Facts, now: datetime) -> str | None:
    """Why the order must be made anew rather than sent; None while it need not."""
    order = facts.order
    if order is None:
        return "there is no order"
    if order.is_withdrawn:
        return f"{order.order} is withdrawn"
    if not order.intended_at <= now < min(order.intended_at + MAX_INTENDED_AGE, order.expires_at):
        return f"{order.order} of {order.intended_at} was not dispatched in time"
    if facts.plan is None or order.plan_digest != facts.plan.digest:
        return f"{order.order} is of another plan"
    if facts.boot is None or order.boot_id != facts.boot.boot_id:
        return f"{order.order} is of another boot"
    return None


def people(facts: Facts, now: datetime) -> tuple[frozenset[str], frozenset[str]]:
    """Who requested, and who else approved, exactly the present plan; by key, living statements only."""
    alive = [
        a for a in facts.approvals if facts.plan and a.plan_digest == facts.plan.digest and now < a.expires_at
    ]
    requesters = frozenset(a.keyid for a in alive if a.is_request)
    return requesters, frozenset(a.keyid for a in alive if not a.is_request) - requesters


def _was_touched_since(tenancy: TenancyFacts, asked_at: datetime) -> bool:
    touched = (tenancy.last_hint_at, tenancy.last_change_at)
    return any(instant is not None and instant >= asked_at for instant in touched)


def _is_earlier(other: TenancyFacts, own: TenancyFacts) -> bool:
    if other.starts_at is None or own.starts_at is None:
        return False
    if other.starts_at < own.starts_at:
        return True
    return other.ends_at is not None and own.ends_at is not None and other.ends_at <= own.ends_at


_LET = frozenset({Disposition.RENTED})
_NEVER_LET = frozenset({Disposition.STOCK, Disposition.INTERNAL})

_MAY_WE: tuple[Guard, ...] = (StoreIsCurrent(), NotFrozen(), NotHeld(), NotCalledBack())

#: The list is asked for after the answers, because a contrary answer is a change that voids an earlier list.
_HAS_THE_CUSTOMER_LEFT: tuple[Guard, ...] = (
    ClockIsTrusted(),
    IntakeIsOpen(),
    DispositionAllowsIt(),
    EveryTenancyEnded(),
    TenancyListIsCompleteAndFresh(),
    NoOtherTenancyTouchesTheHost(),
    NoOrderElsewhere(),
)

_IS_IT_THE_MACHINE: tuple[Guard, ...] = (
    BootIsProven(),
    InventoryIsOfThisBoot(),
    IdentityAgrees(),
    DrivesAreTheExpectedOnes(),
)

_IS_IT_APPROVED: tuple[Guard, ...] = (PlanIsOfThisBoot(), ApprovalsSuffice(), WithinLimits())

#: Before the isolation is begun: cutting a customer off is reversible, and still an outage.
GUARDS_TO_ISOLATE: tuple[Guard, ...] = (*_MAY_WE, *_HAS_THE_CUSTOMER_LEFT)
GUARDS_TO_QUARANTINE: tuple[Guard, ...] = (*GUARDS_TO_ISOLATE, HostIsIsolated())
#: Before the host is booted: the tenant's running system is gone afterwards, though not its drives.
GUARDS_TO_STAGE: tuple[Guard, ...] = GUARDS_TO_QUARANTINE
GUARDS_TO_PLAN: tuple[Guard, ...] = (*_MAY_WE, *_IS_IT_THE_MACHINE)
GUARDS_TO_APPROVE: tuple[Guard, ...] = (*_MAY_WE, *_IS_IT_APPROVED)

_ALL: tuple[Guard, ...] = (
    *_MAY_WE,
    *_HAS_THE_CUSTOMER_LEFT,
    HostIsIsolated(),
    *_IS_IT_THE_MACHINE,
    *_IS_IT_APPROVED,
    NoticesSettled(),
)

GUARDS_TO_INTEND: tuple[Guard, ...] = (*_ALL, AgentGreetedForTheOrder())
GUARDS_TO_DISPATCH: tuple[Guard, ...] = (*_ALL, OrderIsAlive())
#: Token, boot and step are compared by `lifecycle.may_acknowledge`, which runs these in its transaction.
GUARDS_TO_ACKNOWLEDGE: tuple[Guard, ...] = _ALL
#: To cancel, restore, conclude or release: nothing of the sort while the store may be an old one (rule 7).
GUARDS_TO_CONCLUDE: tuple[Guard, ...] = (StoreIsCurrent(), NotFrozen())


def failing(guards: tuple[Guard, ...], facts: Facts, now: datetime) -> tuple[tuple[Guard, Refused], ...]:
    """Every guard that refuses, with its refusal: all, so that a person repairs all of them at once."""
    refused: list[tuple[Guard, Refused]] = []
    for guard in guards:
        try:
            guard.check(facts, now)
        except Refused as refusal:
            refused.append((guard, refusal))
    return tuple(refused)


def require(guards: tuple[Guard, ...], facts: Facts, now: datetime) -> None:
    """Silent when every guard is; raises the first refusal otherwise."""
    for guard in guards:
        guard.check(facts, now)
