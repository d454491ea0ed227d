"""One step of one deprovision: load facts, decide, commit. No I/O besides the store; anybody may call it, any
number of times.

Rules: claim, facts, decision and its commit share one transaction, so no fact can change between looking and
moving; an effect's beginning is committed with the decision that asks for it; the move to `erasing` commits
the dispatch with it. An order is signed outside (`intent`), so the move to `intended` decides once more in
the transaction that stores it. What rests on the validation table is decided only under the newest that the
store knows; everything else goes on (`tables`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller import case as cases
from controller import knowledge, tables
from controller.case import Case
from controller.dispatch import lease as leases
from controller.errors import LostRace
from controller.facts import Effect, Question
from controller.intent import intend
from controller.lifecycle import Decision, Move, Refuse, Wait, decide
from controller.program import Program
from controller.states import State
from controller.store import boots, deprovisions, effects_begun, orders

#: Reached, and left for a new plan, only under the newest validation table.
_UNDER_A_PLAN = frozenset({State.PLANNED, State.APPROVED, State.INTENDED})


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was decided and committed, and what is left to do outside the transaction."""

    case: Case
    decision: Decision
    #: Of the claim under which the decision was committed.
    fence: int

    @property
    def effect(self) -> Effect | None:
        return None if isinstance(self.decision, Refuse) else self.decision.effect

    @property
    def questions(self) -> tuple[Question, ...]:
        return () if isinstance(self.decision, Move) else self.decision.ask

    @property
    def rests_on_the_table(self) -> bool:
        """Planning, what follows a plan up to the dispatch, and the way back to a new plan; not what gives a
        host back, nor what follows an order that was sent.
        """
        if self.effect in (Effect.MAKE_PLAN, Effect.DISPATCH):
            return True
        if not isinstance(self.decision, Move):
            return False
        is_replanned = self.decision.to is State.STAGED and self.case.deprovision.state in _UNDER_A_PLAN
        return is_replanned or self.decision.to in _UNDER_A_PLAN

    @property
    def is_rest(self) -> bool:
        """Nothing is left to do before the next due instant."""
        return not isinstance(self.decision, Move) and self.effect is None and not self.questions


def advance(program: Program, key: DeprovisionId, *, owner: str) -> Step:
    """One step under `owner`'s lease. Raises LostRace while somebody else works on it, and
    Refused(TABLE_SUPERSEDED); then nothing is claimed either.
    """
    with program.store.transaction() as tx:
        now = program.clock()
        row = deprovisions.claim(tx, key, owner=owner, now=now, lease=leases.LEASE)
        case = cases.load(tx, key)
        decision = decide(knowledge.facts_of(tx, program, case, now=now), now)
        step = Step(case=case, decision=decision, fence=row.fence)
        if step.rests_on_the_table:
            tables.require_newest(tx, program.documents.present_table)
        if not _is_intent(decision):
            _commit(tx, step, now)
    if _is_intent(decision):
        intend(program, key, fence=row.fence)
    return step


def _is_intent(decision: Decision) -> bool:
    return isinstance(decision, Move) and decision.to is State.INTENDED


def _commit(tx: Connection, step: Step, now: datetime) -> None:
    match step.decision:
        case Move():
            _move(tx, step, step.decision, now)
        case Wait():
            _wait(tx, step, step.decision.reason, step.decision.until)
        case Refuse():
            said = (f"{refusal.code.value}: {refusal.reason}" for refusal in step.decision.refusals)
            _wait(tx, step, "; ".join(said), step.decision.until)
        case _:
            assert_never(step.decision)
    if step.effect is not None:
        attempt = step.case.deprovision.attempt
        effects_begun.begin(tx, step.case.id, attempt=attempt, effect=step.effect, now=now)
    if step.is_rest or _is_over(step.decision):
        deprovisions.release_lease(tx, step.case.id, fence=step.fence)


def _move(tx: Connection, step: Step, decision: Move, now: datetime) -> None:
    row = step.case.deprovision
    if decision.effect is Effect.DISPATCH:
        # Not by the state it leads to: `reprobe` goes back to `erasing`, and sends nothing.
        if step.case.order is None:
            raise LostRace(step.case.id, State.INTENDED, step.fence)
        orders.dispatch(tx, step.case.order.id, now=now)
    is_lost = decision.to is State.NEEDS_OPERATOR
    deprovisions.move(
        tx,
        step.case.id,
        old=row.state,
        fence=step.fence,
        move=deprovisions.Move(
            new=decision.to,
            next_due_at=None if decision.to.is_terminal else now,
            because=Refused(decision.code, decision.reason) if is_lost else None,
            is_command=decision.is_command,
            begins_attempt=decision.begins_attempt,
        ),
        now=now,
    )
    if decision.to.is_terminal:
        boots.forget_secrets(tx, step.case.id)


def _wait(tx: Connection, step: Step, reason: str, until: datetime | None) -> None:
    row = step.case.deprovision
    deprovisions.wait(tx, row.id, state=row.state, fence=step.fence, reason=reason, next_due_at=until)


def _is_over(decision: Decision) -> bool:
    return isinstance(decision, Move) and decision.to.is_terminal
