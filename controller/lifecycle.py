"""`decide`: the one move a deprovision may make now, or why none. Pure; level, not edge.

Rules this module holds:
- The same facts and instant give the same answer; nothing here assumes that an effect worked: it waits until
  an observation shows it, and asks for that observation.
- The order is sent by exactly one decision, the move from `intended` to `erasing`. After it nothing is issued
  again, whatever crashed: the agent is asked (DESIGN, rule 4).
- An order that was not dispatched within 15 minutes is withdrawn and made anew *in the same attempt*, as the
  next order, with a token and fence of its own: a withdrawn order was never sent, and a new attempt is a
  person's decision.
- A renewal of the own tenancy cancels until the first irreversible acknowledgement: order withdrawn or
  answered by a final `absent`, isolation undone *and read back*, then `cancelled`. Another live tenancy of
  the host, an unknown answer or a missing one neither cancels nor goes on. After that acknowledgement it
  alarms: no running command is interrupted, but no further irreversible start is acknowledged either.
  A return that was seen once stays one, also if the customer has ended again: that is another ending, with a
  grace and notices of its own. An operator's `restore` goes the same way (`way_back`). A host that was let
  (again) before anything was dispatched goes to a person at once.
- Out of `needs_operator` lead only commands of operators (`exits`). After `reprobe` the agent is asked and
  nothing is acknowledged any more.
- Every running state has a deadline with its reason (`DEADLINES`); it leads to a person. Not from `erasing`
  before 60 s plus drift after the last acknowledgement, when the agent can no longer begin anything.
- While the store is frozen or older than its anchor, nothing moves but `erasing` to a person (rule 7).

Enforced elsewhere: what must be true (`guards`), which moves exist (`states`), how often the world is asked
(`pace`), that facts, decision and move share one transaction (`advance`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from certificate.errors import Refused
from certificate.messages import TokenState
from controller.deadlines import DEADLINES, deadline, overdue
from controller.decision import Decision, Move, Refuse, Wait
from controller.errors import Code
from controller.exits import out_of_needs_operator
from controller.facts import Answer, Effect, Facts, Question
from controller.guards import (
    GUARDS_TO_ACKNOWLEDGE,
    GUARDS_TO_APPROVE,
    GUARDS_TO_CONCLUDE,
    GUARDS_TO_DISPATCH,
    GUARDS_TO_INTEND,
    GUARDS_TO_ISOLATE,
    GUARDS_TO_PLAN,
    GUARDS_TO_QUARANTINE,
    GUARDS_TO_STAGE,
    DrivesAreTheExpectedOnes,
    Guard,
    IdentityAgrees,
    failing,
    is_of_an_earlier_epoch,
    order_staleness,
    require,
)
from controller.guards.customer import is_earlier
from controller.pace import WATCH_EVERY, questions, refuse, wait
from controller.states import State
from controller.verdicts import objections, to_a_person
from controller.way_back import CAME_BACK, give_back, has_returned, is_restored, way_back, why_given_back

__all__ = [
    "DEADLINES",
    "Decision",
    "Effect",
    "Move",
    "Question",
    "Refuse",
    "Wait",
    "deadline",
    "decide",
    "may_acknowledge",
    "questions_to_acknowledge",
]

#: Connecting and handing over one order line takes less, or the channel gave up; only then is the token
#: poisoned, so that a slow delivery is not turned into a refusal for nothing.
DELIVERY_TIME = timedelta(seconds=20)

#: What each state needs before its next move; shown in full also while a freeze stops everything.
_GUARDS: dict[State, tuple[Guard, ...]] = {
    State.SCHEDULED: GUARDS_TO_QUARANTINE,
    State.QUARANTINED: GUARDS_TO_STAGE,
    State.STAGED: GUARDS_TO_PLAN,
    State.PLANNED: GUARDS_TO_APPROVE,
    State.APPROVED: GUARDS_TO_INTEND,
    State.INTENDED: GUARDS_TO_DISPATCH,
}


def decide(facts: Facts, now: datetime) -> Decision:
    """The one move this deprovision may make now, or why none. Same facts and instant, same answer."""
    if facts.state.is_terminal:
        return Wait(reason=facts.state.sentence, until=None)
    if facts.state not in {State.ERASING, State.NEEDS_OPERATOR} and failing(GUARDS_TO_CONCLUDE, facts, now):
        return refuse(facts, now, failing(_GUARDS.get(facts.state, GUARDS_TO_CONCLUDE), facts, now))
    if facts.state.is_reversible:
        # Whoever was let the host meanwhile is not connected for a customer who came back and left again.
        is_theirs = has_returned(facts, now) or facts.is_called_back
        back, let_again = way_back(facts, now), _let_again(facts, now)
        early = (back or let_again) if is_theirs else (let_again or back)
        if (early := early or overdue(facts, now)) is not None:
            return early
    match facts.state:
        case State.SCHEDULED:
            return _scheduled(facts, now)
        case State.QUARANTINED:
            return _quarantined(facts, now)
        case State.STAGED:
            return _staged(facts, now)
        case State.PLANNED:
            return _planned(facts, now)
        case State.APPROVED:
            return _approved(facts, now)
        case State.INTENDED:
            return _intended(facts, now)
        case State.ERASING:
            return _erasing(facts, now)
        case State.VERIFIED:
            return _verified(facts, now)
        case State.VALIDATED:
            return _validated(facts, now)
        case State.CERTIFIED:
            return _certified(facts, now)
        case State.NEEDS_OPERATOR:
            return out_of_needs_operator(facts, now)
        case State.RELEASED | State.CANCELLED | State.DESTROYED | State.CLOSED:
            return Wait(reason=facts.state.sentence, until=None)
        case _:
            assert_never(facts.state)


def may_acknowledge(
    facts: Facts, now: datetime, *, token: str, boot_id: str, step: str, is_irreversible: bool
) -> None:
    """Silent when this step of the journal may be acknowledged in this very transaction; raises Refused.

    Refuses NOT_ERASING outside `erasing`, NOT_THIS_ORDER for another token, boot or medium, and whatever the
    guards say: for an irreversible step all of the dispatch's, for any other only those of the store, since
    such an acknowledgement allows nothing. `step` is "<kind>:<commitment>[:<technique>]" where irreversible.
    """
    order, plan = facts.order, facts.plan
    if facts.state is not State.ERASING:
        raise Refused(Code.NOT_ERASING, f"{facts.deprovision} is {facts.state}")
    if order is None or order.dispatched_at is None or order.is_withdrawn or order.is_absent_final:
        raise Refused(Code.NOT_THIS_ORDER, "no order of this attempt is with the agent")
    if facts.entered_at > order.dispatched_at:
        raise Refused(Code.NOT_ERASING, f"{order.order} is only asked about since it needed an operator")
    if token != order.token or boot_id != order.boot_id:
        raise Refused(Code.NOT_THIS_ORDER, f"{step!r} is of another token or boot than {order.order}")
    if is_of_an_earlier_epoch(facts):
        raise Refused(Code.NOT_THIS_ORDER, f"{order.order} was made before the store was reconciled")
    require(GUARDS_TO_CONCLUDE, facts, now)
    if not is_irreversible:
        return
    if plan is None or plan.digest != order.plan_digest or plan.boot_id != order.boot_id:
        raise Refused(Code.NOT_THIS_ORDER, f"the plan of {order.order} is not the present one")
    if not any(medium in step.split(":") for medium in plan.media):
        raise Refused(Code.NOT_THIS_ORDER, f"{step!r} names no medium of {order.order}")
    require(GUARDS_TO_ACKNOWLEDGE, facts, now)


def questions_to_acknowledge(facts: Facts, now: datetime) -> tuple[Question, ...]:
    """What to ask, before the transaction, so that an irreversible step can be acknowledged in it."""
    return questions(guard for guard, _ in failing(GUARDS_TO_ACKNOWLEDGE, facts, now))


# --- the reversible states ----------------------------------------------------------------------------------


def _scheduled(facts: Facts, now: datetime) -> Decision:
    if now < facts.grace_until:
        reason = f"grace until {facts.grace_until:%Y-%m-%d %H:%M:%SZ}"
        return wait(facts, now, reason, until=facts.grace_until)
    if refused := failing(GUARDS_TO_ISOLATE, facts, now):
        return refuse(facts, now, refused)
    if refused := failing(GUARDS_TO_QUARANTINE, facts, now):
        return wait(
            facts,
            now,
            f"isolating: {refused[0][1].reason}",
            effect=Effect.ISOLATE,
            ask=questions(guard for guard, _ in refused),
        )
    return Move(to=State.QUARANTINED, reason="grace is over and the tenant's side is read back as cut")


def _let_again(facts: Facts, now: datetime) -> Move | None:
    """To a person at once: somebody lives there now, on drives that nobody emptied, perhaps cut off already,
    and a week of waiting would only keep the next end of the host from being taken up.
    """
    own = facts.own_tenancy
    if facts.was_never_let:
        later = [other.tenancy for other in facts.tenancies]
    else:
        later = [
            other.tenancy
            for other in facts.tenancies
            if own is not None
            and other.tenancy != own.tenancy
            and not is_earlier(other, own)
            and facts.answer(other, now) is Answer.ACTIVE
        ]
    if not later:
        return None
    reason = f"the host was let again ({later[0]}) before it was emptied; restore or close this one"
    return Move(to=State.NEEDS_OPERATOR, reason=reason)


def _quarantined(facts: Facts, now: datetime) -> Decision:
    dwells_until = facts.entered_at + facts.dwell
    if now < dwells_until:
        return wait(facts, now, f"dwell until {dwells_until:%Y-%m-%d %H:%M:%SZ}", until=dwells_until)
    if refused := failing(GUARDS_TO_STAGE, facts, now):
        return refuse(facts, now, refused)
    return _inspecting(facts, now) or Move(to=State.STAGED, reason="the erase environment proved itself")


def _staged(facts: Facts, now: datetime) -> Decision:
    if waiting := _inspecting(facts, now):
        return waiting
    if refused := failing(GUARDS_TO_PLAN, facts, now):
        return _reading_again(facts, now, refused) or refuse(facts, now, refused)
    if _restart(facts) is not None:
        return wait(facts, now, "planning", effect=Effect.MAKE_PLAN)
    return Move(to=State.PLANNED, reason="the plan of this boot's inventory stands")


def _planned(facts: Facts, now: datetime) -> Decision:
    if (restart := _restart(facts)) is not None:
        return Move(to=State.STAGED, reason=restart)
    if refused := failing(GUARDS_TO_APPROVE, facts, now):
        return refuse(facts, now, refused)
    return Move(to=State.APPROVED, reason="as many people as the signed table asks said yes")


def _approved(facts: Facts, now: datetime) -> Decision:
    if (restart := _restart(facts)) is not None:
        return Move(to=State.STAGED, reason=restart)
    if refused := failing(GUARDS_TO_INTEND, facts, now):
        return refuse(facts, now, refused)
    return Move(to=State.INTENDED, reason="every guard passed; the order is signed and logged")


def _intended(facts: Facts, now: datetime) -> Decision:
    order = facts.order
    if order is not None and order.is_withdrawn:
        return Move(to=State.APPROVED, reason=f"{order.order} is withdrawn; a new one is made")
    stale = order_staleness(facts, now)
    if order is not None and order.dispatched_at is None and stale is not None:
        return wait(facts, now, f"withdrawing: {stale}", effect=Effect.WITHDRAW_ORDER)
    if refused := failing(GUARDS_TO_DISPATCH, facts, now):
        return refuse(facts, now, refused)
    return Move(
        to=State.ERASING, reason="every guard passed again on new observations", effect=Effect.DISPATCH
    )


def _inspecting(facts: Facts, now: datetime) -> Wait | None:
    """Boots the erase environment and reads it, until the present boot is proven and its inventory read."""
    boot = facts.boot
    if boot is not None and boot.is_proven:
        if facts.inventory is not None and facts.inventory.boot_id == boot.boot_id:
            return None
        return wait(facts, now, "reading the host's drives", effect=Effect.INSPECT)
    begun_at = facts.begun_at(Effect.BOOT)
    if begun_at is not None and begun_at <= now < begun_at + facts.boot_takes:
        return wait(
            facts,
            now,
            "waiting for the erase environment to answer",
            effect=Effect.INSPECT,
            until=begun_at + facts.boot_takes,
        )
    return wait(facts, now, "starting the erase environment", effect=Effect.BOOT)


def _reading_again(facts: Facts, now: datetime, refused: tuple[tuple[Guard, Refused], ...]) -> Wait | None:
    """What an inventory refused may be over: a sanitize that ran by itself, a drive that was not seated. It
    is read again at the pace of the watch, and what it refuses now is said in the same words.
    """
    begun_at = facts.begun_at(Effect.INSPECT)
    is_of_inventory = any(
        isinstance(guard, (IdentityAgrees, DrivesAreTheExpectedOnes)) for guard, _ in refused
    )
    if not is_of_inventory or (begun_at is not None and begun_at <= now < begun_at + WATCH_EVERY):
        return None
    said = "; ".join(f"{refusal.code.value}: {refusal.reason}" for _, refusal in refused)
    return wait(facts, now, said, effect=Effect.INSPECT)


def _restart(facts: Facts) -> str | None:
    """Why the plan no longer stands; None while it does. A reboot voids it, and with it every approval."""
    if facts.boot is None or not facts.boot.is_proven:
        return "the erase environment is gone; plan again"
    if facts.inventory is None or facts.inventory.boot_id != facts.boot.boot_id:
        return "the host restarted; read its drives again"
    if facts.plan is None or facts.plan.boot_id != facts.boot.boot_id:
        return "there is no plan of the present boot, drives and validation table"
    return None


# --- the point of no return is passed -----------------------------------------------------------------------


def _erasing(facts: Facts, now: datetime) -> Decision:
    order = facts.order
    if order is None or order.dispatched_at is None:
        return Move(to=State.NEEDS_OPERATOR, reason="no order of this attempt was dispatched")
    stopped = failing(GUARDS_TO_CONCLUDE, facts, now)
    if stopped and (facts.is_evidence_in or order.is_absent_final):
        return overdue(facts, now) or refuse(facts, now, stopped)
    if facts.is_evidence_in:
        return _judging(facts, now)
    if order.is_absent_final:
        return _absent(facts, now)
    doubt = f"; {facts.agent.doubt}" if facts.agent is not None and facts.agent.doubt else ""
    if late := overdue(facts, now):
        return replace(late, reason=late.reason + doubt)
    why_back = why_given_back(facts, now)
    if why_back is not None and not order.is_acknowledged:
        return wait(
            facts,
            now,
            f"{why_back}: nothing is acknowledged, and the agent is asked never to begin{doubt}",
            effect=_follows(facts),
            ask=(Question.FINAL_ABSENCE,),
            is_alarm=True,
        )
    reason = f"the agent says {facts.token_state}{doubt}"
    if why_back is not None:
        reason += f"; {why_back} after the first irreversible step"
    is_undelivered = facts.token_state is TokenState.ABSENT and now >= order.dispatched_at + DELIVERY_TIME
    return wait(
        facts,
        now,
        reason,
        effect=_follows(facts),
        ask=(Question.FINAL_ABSENCE if is_undelivered else Question.AGENT_STATUS,),
        is_alarm=why_back is not None,
    )


def _follows(facts: Facts) -> Effect | None:
    """Not while the agent says that it never had the order. Following an execution whose process is gone
    makes the agent look at its drives, and only look (DESIGN, rule 4).
    """
    return None if facts.agent is None or facts.token_state is TokenState.ABSENT else Effect.COLLECT


def _judging(facts: Facts, now: datetime) -> Decision:
    if facts.verdicts:
        return Move(to=State.VERIFIED, reason="the evidence is in and judged")
    if not facts.is_table_kept:
        return Move(
            to=State.NEEDS_OPERATOR,
            reason="the validation table that the order names is not kept, and no other may judge",
            code=Code.TABLE_NOT_KEPT,
        )
    return overdue(facts, now) or wait(facts, now, "judging the evidence", effect=Effect.JUDGE)


def _absent(facts: Facts, now: datetime) -> Decision:
    """The agent will never begin: back to the customer who returned, otherwise a person decides."""
    if (back := way_back(facts, now)) is not None:
        return back
    if facts.was_never_let:
        return Move(to=State.NEEDS_OPERATOR, reason="the agent will never begin: a final absent is signed")
    answer = _answer_since_the_absence(facts, now)
    match answer:
        case Answer.ACTIVE | Answer.PENDING:
            return give_back(facts, now, CAME_BACK)
        case Answer.ENDED:
            return Move(
                to=State.NEEDS_OPERATOR, reason="the agent will never begin: a final absent is signed"
            )
        case Answer.UNKNOWN:
            return overdue(facts, now) or wait(
                facts,
                now,
                "the agent will never begin; whether the customer came back is unknown",
                ask=(Question.SUBSCRIPTION,),
            )
        case _:
            assert_never(answer)


def _answer_since_the_absence(facts: Facts, now: datetime) -> Answer:
    """Before a person is called it is asked once more whether the customer came back: the absence took its
    time.
    """
    own = facts.own_tenancy
    if own is None or own.latest is None:
        return Answer.UNKNOWN
    answer = facts.answer(own, now)
    is_older = facts.agent is None or own.latest.asked_at <= facts.agent.asked_at
    return Answer.UNKNOWN if answer is Answer.ENDED and is_older else answer


def _verified(facts: Facts, now: datetime) -> Decision:
    if said := objections(facts):
        return to_a_person(facts, said)
    return Move(to=State.VALIDATED, reason="every medium is erased and accepted by the signed table")


def _validated(facts: Facts, now: datetime) -> Decision:
    if facts.are_outcomes_logged and facts.is_summary_logged and facts.does_bundle_verify:
        return Move(to=State.CERTIFIED, reason="outcomes and summary are logged, and the bundle verifies")
    return overdue(facts, now) or wait(facts, now, "certifying", effect=Effect.CERTIFY)


def _certified(facts: Facts, now: datetime) -> Decision:
    if is_restored(facts, now):
        return Move(to=State.RELEASED, reason="the quarantine is read back as undone")
    return overdue(facts, now) or wait(
        facts, now, "undoing the quarantine", effect=Effect.RESTORE, ask=(Question.ISOLATION,)
    )
