"""One step of one deprovision: advance it, then do what the decision leaves to do.

Rules: the effect is performed before the questions are asked, so that these see what it did; an effect that
fails is logged and nothing else, because what it did or did not do is for the next question to tell; the
order is sent by the step that moved to `erasing` and by no other.
"""

from __future__ import annotations

from typing import assert_never

import structlog

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller import case as cases
from controller.advance import Step, advance
from controller.case import Case
from controller.decision import Wait
from controller.effects import (
    boot,
    certify,
    collect,
    dispatch_order,
    inspect,
    isolate,
    judge,
    make_plan,
    notify,
    restore,
    withdraw_order,
)
from controller.errors import Unanswered
from controller.facts import Effect
from controller.observe import questioning
from controller.program import Program

logger = structlog.get_logger(__name__)


def take_step(program: Program, key: DeprovisionId, *, owner: str) -> Step:
    """Decides, commits, acts and asks, once. Raises LostRace while somebody else works on it."""
    step = advance(program, key, owner=owner)
    log = logger.bind(deprovision=key, state=step.case.deprovision.state.value)
    log.info("decided", decision=type(step.decision).__name__, effect=step.effect and step.effect.value)
    if isinstance(step.decision, Wait) and step.decision.is_alarm:
        log.error("alarm", reason=step.decision.reason)
    if step.effect is not None:
        with program.store.snapshot() as tx:
            case = cases.load(tx, key)
        try:
            perform(program, case, step.effect, fence=step.fence)
        except (Refused, Unanswered) as failure:
            log.warning(
                "effect failed", effect=step.effect.value, code=failure.code.value, reason=failure.reason
            )
    questioning.ask_all(program, step.case, step.questions)
    return step


def perform(program: Program, case: Case, effect: Effect, *, fence: int) -> None:
    """The act behind an effect's name. Raises Refused or Unanswered."""
    match effect:
        case Effect.ISOLATE:
            isolate.perform(program, case)
        case Effect.BOOT:
            boot.perform(program, case)
        case Effect.INSPECT:
            inspect.perform(program, case)
        case Effect.MAKE_PLAN:
            make_plan.perform(program, case)
        case Effect.WITHDRAW_ORDER:
            withdraw_order.perform(program, case)
        case Effect.DISPATCH:
            dispatch_order.perform(program, case)
        case Effect.COLLECT:
            collect.perform(program, case, fence=fence)
        case Effect.JUDGE:
            judge.perform(program, case)
        case Effect.CERTIFY:
            certify.perform(program, case)
        case Effect.RESTORE:
            restore.perform(program, case)
        case Effect.NOTIFY:
            notify.perform(program, case)
        case _:
            assert_never(effect)
