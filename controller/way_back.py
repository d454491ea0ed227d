"""The way back: a host that was on its way out is given back to its customer. Pure.

Rules this module holds:
- It is gone where the source freshly says that the customer of this very tenancy stays, or ever said so since
  this deprovision was created, or where an operator commanded `restore`; another tenancy's answer, an unknown
  or a missing one never begin it. Who came back and ended again gets a new deprovision, with a grace and
  notices of its own.
- It ends in `cancelled` only after the order was withdrawn or answered by a final `absent`, and after the
  switch was read back as restored, asked after our last act on it. If an order of any attempt may have begun,
  it ends with a person.
- A hold does not bar it: a hold keeps the host from being wiped, and so does this.
"""

from __future__ import annotations

from datetime import datetime

from certificate.statements.statement import Seen
from controller.deadlines import overdue
from controller.decision import Decision, Move
from controller.facts import Answer, Effect, Facts, Question
from controller.pace import wait
from controller.states import State

CAME_BACK = "the customer came back"
CALLED_BACK = "an operator commanded to give the host back"


def way_back(facts: Facts, now: datetime) -> Decision | None:
    """The way to `cancelled`, one step of it; None where nobody has a reason to go it."""
    reason = why_given_back(facts, now)
    return None if reason is None else give_back(facts, now, reason)


def why_given_back(facts: Facts, now: datetime) -> str | None:
    """Why the host belongs to its customer after all; None where nobody says so."""
    if has_returned(facts, now) or facts.came_back_at is not None:
        return CAME_BACK
    return CALLED_BACK if facts.is_called_back else None


def has_returned(facts: Facts, now: datetime) -> bool:
    """Whether the source freshly says that the customer of this very tenancy stays."""
    own = facts.own_tenancy
    return own is not None and facts.answer(own, now) in {Answer.ACTIVE, Answer.PENDING}


def may_have_begun(facts: Facts) -> bool:
    """Whether an order of any attempt was dispatched that no signed, final `absent` answered."""
    order = facts.order
    if facts.has_open_earlier_order:
        return True
    if order is None or order.dispatched_at is None:
        return False
    return order.is_acknowledged or not order.is_absent_final


def give_back(facts: Facts, now: datetime, reason: str) -> Decision:
    """The next step: withdraw what was not sent, undo the isolation, read it back, cancel."""
    order = facts.order
    if may_have_begun(facts):
        return Move(to=State.NEEDS_OPERATOR, reason=f"{reason}, but an order may have been begun before")
    late = overdue(facts, now)
    if order is not None and order.dispatched_at is None and not order.is_withdrawn:
        return late or wait(
            facts, now, f"{reason}: withdrawing the order", effect=Effect.WITHDRAW_ORDER, is_alarm=True
        )
    if is_restored(facts, now):
        is_command = facts.state is State.NEEDS_OPERATOR
        return Move(
            to=State.CANCELLED,
            reason=f"{reason}, and the host is read back as theirs",
            is_command=is_command,
        )
    return late or wait(
        facts,
        now,
        f"{reason}: undoing the quarantine",
        effect=Effect.RESTORE,
        ask=(Question.ISOLATION,),
        is_alarm=True,
    )


def is_restored(facts: Facts, now: datetime) -> bool:
    """Nobody ever touched the network, or the last to touch it restored it and the switch says so."""
    isolated_at, restored_at = facts.begun_at(Effect.ISOLATE), facts.begun_at(Effect.RESTORE)
    if isolated_at is None and restored_at is None:
        return facts.state is State.SCHEDULED
    if restored_at is None or (isolated_at is not None and isolated_at >= restored_at):
        return False
    seen = facts.isolation
    return seen is not None and facts.is_isolation_read(now) and seen.tenant_side_cut is Seen.NO
