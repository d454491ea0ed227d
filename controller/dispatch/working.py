"""One step of one deprovision: advance it, then do what the decision leaves to do.

Rules: the effect is performed before the questions are asked, so that these see what it did; an effect that
fails is logged and nothing else, because what it did or did not do is for the next question to tell; the
order is sent by the step that moved to `erasing` and by no other; a worker that no longer holds its lease
(`lease`) begins no effect and asks no question, because some questions are acts: a final absence is.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import assert_never

import structlog

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller import case as cases
from controller.advance import Step, advance
from controller.case import Case
from controller.decision import Wait
from controller.dispatch.lease import Heart, Lease, holding, uptime_seconds
from controller.effects import (
    boot,
    certify,
    collect,
    dispatch_order,
    inspect,
    isolate,
    judge,
    make_plan,
    restore,
    withdraw_order,
)
from controller.errors import Unanswered
from controller.facts import Effect
from controller.observe import questioning
from controller.program import Program

logger = structlog.get_logger(__name__)


def take_step(program: Program, key: DeprovisionId, *, owner: str, heart: Heart | None = None) -> Step:
    """Decides, commits, acts and asks, once. `heart` keeps the lease meanwhile; without one, what is left to
    do must end within a lease. Raises LostRace while somebody else works on it.
    """
    since = uptime_seconds()
    step = advance(program, key, owner=owner)
    lease = Lease(program, key, fence=step.fence, since_seconds=since)
    with nullcontext() if heart is None else heart.keeping(lease):
        _follow_up(program, step, lease)
    return step


def _follow_up(program: Program, step: Step, lease: Lease) -> None:
    log = logger.bind(deprovision=step.case.id, state=step.case.deprovision.state.value)
    log.info("decided", decision=type(step.decision).__name__, effect=step.effect and step.effect.value)
    if isinstance(step.decision, Wait) and step.decision.is_alarm:
        log.error("alarm", reason=step.decision.reason)
    if step.effect is not None:
        with program.store.snapshot() as tx:
            case = cases.load(tx, step.case.id)
        try:
            perform(program, case, step.effect, lease=lease)
        except (Refused, Unanswered) as failure:
            log.warning(
                "effect failed", effect=step.effect.value, code=failure.code.value, reason=failure.reason
            )
    for question in step.questions:
        if lease.is_held:
            questioning.ask_all(program, step.case, (question,))


def perform(program: Program, case: Case, effect: Effect, *, lease: Lease) -> None:
    """The act behind an effect's name. Raises Refused (LostRace where the lease is lost) or Unanswered."""
    program = holding(program, lease)
    match effect:
        case Effect.ISOLATE:
            isolate.perform(program, case, lease=lease)
        case Effect.BOOT:
            boot.perform(program, case, lease=lease)
        case Effect.INSPECT:
            inspect.perform(program, case)
        case Effect.MAKE_PLAN:
            make_plan.perform(program, case)
        case Effect.WITHDRAW_ORDER:
            withdraw_order.perform(program, case)
        case Effect.DISPATCH:
            dispatch_order.perform(program, case, lease=lease)
        case Effect.COLLECT:
            collect.perform(program, case, lease=lease)
        case Effect.JUDGE:
            judge.perform(program, case)
        case Effect.CERTIFY:
            certify.perform(program, case)
        case Effect.RESTORE:
            restore.perform(program, case, lease=lease)
        case _:
            assert_never(effect)
