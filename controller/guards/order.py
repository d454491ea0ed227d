"""May this order be made, or sent: greeted for, logged, unsent, young, and of the present plan and boot.

Rules this module holds: an order is made over a hello of its own; what was sent, withdrawn or answered by a
final `absent` is never sent; nor is what was made before the store was reconciled (DESIGN.md, rule 7).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from certificate.errors import Refused
from controller.errors import Code
from controller.facts import Facts, Question

#: DESIGN, *intended*: an order not dispatched for so long rests on a basis that nobody looked at since.
MAX_INTENDED_AGE = timedelta(minutes=15)
#: FORMATS.md, "Order": a fence is epoch x 2^32 + counter.
FENCES_AN_EPOCH = 2**32


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
            why = f" ({seen.doubt})" if seen.doubt else ""
            raise Refused(Code.AGENT_SILENT, f"the present boot did not answer the hello for this order{why}")


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
    if is_of_an_earlier_epoch(facts):
        return f"{order.order} was made before the store was reconciled"
    if not order.intended_at <= now < min(order.intended_at + MAX_INTENDED_AGE, order.expires_at):
        return f"{order.order} of {order.intended_at} was not dispatched in time"
    if facts.plan is None or order.plan_digest != facts.plan.digest:
        return f"{order.order} is of another plan"
    if facts.boot is None or order.boot_id != facts.boot.boot_id:
        return f"{order.order} is of another boot"
    return None


def is_of_an_earlier_epoch(facts: Facts) -> bool:
    """Whether the order was made before two operators reconciled the store: whoever works on the deprovision
    now holds a fence of the new epoch, and what an older copy ordered is sent and allowed nothing more.
    """
    order = facts.order
    return order is not None and order.fence // FENCES_AN_EPOCH < facts.fence // FENCES_AN_EPOCH
