"""Has the customer left: what the source says, and whether it may be believed (DESIGN, rule 2).

Rules this module holds:
- A guard that loops refuses the empty list first: over nothing, every loop passes.
- An answer counts only under a clock that agrees with the source's, while no breaker stands.
- The host's own disposition must allow it; a host that was never let needs two operators' declaration.
- Whoever came back is never wiped under the deprovision of their first ending.
- Every tenancy the host has or had is asked about, and the source's list must name exactly those.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Trigger
from controller.errors import Code
from controller.facts import MAX_CLOCK_DIFFERENCE, Answer, Disposition, Facts, Question, TenancyFacts
from controller.guards.approval import TWO_PEOPLE

_LET = frozenset({Disposition.RENTED})
_NEVER_LET = frozenset({Disposition.STOCK, Disposition.INTERNAL})


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


class CustomerNeverCameBack:
    """Refuses once the own customer was seen again since this deprovision was created, also if they have
    ended again: the grace and the notices of the first ending are not those of the second.
    """

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.came_back_at is not None:
            raise Refused(Code.CUSTOMER_CAME_BACK, f"seen at {facts.came_back_at}; this one is given back")


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
            if other.tenancy != own.tenancy and not is_earlier(other, own):
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


def _was_touched_since(tenancy: TenancyFacts, asked_at: datetime) -> bool:
    touched = (tenancy.last_hint_at, tenancy.last_change_at)
    return any(instant is not None and instant >= asked_at for instant in touched)


def is_earlier(other: TenancyFacts, own: TenancyFacts) -> bool:
    """Whether the other one is history: emptied together with the own, or before it."""
    if other.starts_at is None or own.starts_at is None:
        return False
    if other.starts_at < own.starts_at:
        return True
    return other.ends_at is not None and own.ends_at is not None and other.ends_at <= own.ends_at
