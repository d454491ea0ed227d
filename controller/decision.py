"""What `decide` may answer: a move to commit, a wait with its reason, or refusals, all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from certificate.errors import Refused
from controller.errors import Code
from controller.facts import Effect, Question
from controller.states import State


@dataclass(frozen=True, kw_only=True)
class Move:
    """Commit this change of state, then do `effect` once, after the commit."""

    to: State
    reason: str
    #: What a person is called for, where it leads to one.
    code: Code = Code.PERSON_MUST_DECIDE
    effect: Effect | None = None
    #: A person's command leads here (`states.Transition.is_command`).
    is_command: bool = False
    #: `retry`: the next attempt begins.
    begins_attempt: bool = False


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Nothing to commit. Do `effect`, then ask `ask`, in this order; decide again at `until` or sooner."""

    reason: str
    until: datetime | None
    effect: Effect | None = None
    ask: tuple[Question, ...] = ()
    #: A person should hear of it now.
    is_alarm: bool = False


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """Guards said no, all of them named. Ask `ask`, and decide again at `until` or sooner."""

    refusals: tuple[Refused, ...]
    until: datetime | None
    ask: tuple[Question, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes alone, in the order of the guards."""
        return tuple(refusal.code.value for refusal in self.refusals)


Decision = Move | Wait | Refuse
