"""Is exactly this plan approved, within limits or beyond them, and were those concerned told.

Rules this module holds: a yes is for one plan and dies; by hand one person asks and another approves; beyond
a limit two approve; a reboot voids the plan and with it every yes.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from certificate.errors import Refused
from certificate.statements.vocabulary import Trigger
from controller.errors import Code, NeedsApproval
from controller.facts import Facts, Question

#: DESIGN: a manual wipe needs two people; so do a wipe beyond a limit, and whatever lifts a stop or decides
#: what may be wiped (decisions/0005).
TWO_PEOPLE = 2


class PlanIsOfThisBoot:
    """Refuses unless a plan exists that names media and the present boot: a reboot voids it."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.plan is None or not facts.plan.media:
            raise Refused(Code.PLAN_MISSING, "there is no plan that names a medium")
        if facts.boot is None or facts.plan.boot_id != facts.boot.boot_id:
            raise Refused(Code.PLAN_OF_ANOTHER_BOOT, f"the plan is of boot {facts.plan.boot_id[:8]}")


class ApprovalsSuffice:
    """Refuses with fewer people behind this plan than the signed table asks; by hand, two at least.

    A request is its author's yes; where anybody is asked, somebody else must have approved
    (`certificate.delivery` counts the same).
    """

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.approvals_required is None:
            raise Refused(Code.NO_VALIDATION_RULE, f"no rule for the data class {facts.data_class!r}")
        requesters, approvers = people(facts, now)
        needed, behind = facts.approvals_required, requesters | approvers
        if len(behind) < needed or (needed and not approvers):
            raise NeedsApproval(Code.APPROVALS_REQUIRED, f"{len(behind)} of {needed} people, one approving")
        if facts.trigger is Trigger.MANUAL and (not requesters or not approvers):
            raise NeedsApproval(
                Code.APPROVALS_REQUIRED, "a manual wipe is requested by one person and approved by another"
            )


class WithinLimits:
    """Refuses a wipe beyond a cap unless two people stand behind exactly it, one of them approving."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        requesters, approvers = people(facts, now)
        if facts.limits_reached and (len(requesters | approvers) < TWO_PEOPLE or not approvers):
            raise NeedsApproval(Code.LIMIT_REACHED, ", ".join(facts.limits_reached))


class NoticesSettled:
    """Refuses while a notice has neither delivery record nor recorded waiver."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if not facts.are_notices_settled:
            raise Refused(Code.NOTICES_OPEN, "a notice has neither delivery record nor waiver")


def people(facts: Facts, now: datetime) -> tuple[frozenset[str], frozenset[str]]:
    """Who requested, and who else approved, exactly the present plan; by key, living statements only."""
    alive = [
        a for a in facts.approvals if facts.plan and a.plan_digest == facts.plan.digest and now < a.expires_at
    ]
    requesters = frozenset(a.keyid for a in alive if a.is_request)
    return requesters, frozenset(a.keyid for a in alive if not a.is_request) - requesters
