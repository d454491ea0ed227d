"""A guard: one sentence that must hold, silent when it does, `Refused` when it does not.

Rules this module holds:
- A guard names the questions whose answers could make it pass, so that whoever is refused knows what to ask.
- `failing` collects every refusal, so that a person repairs all of them at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from certificate.errors import Refused
from controller.facts import Facts, Question


class Guard(Protocol):
    """Silent when its sentence holds, raises Refused when it does not."""

    @property
    def questions(self) -> tuple[Question, ...]: ...

    def check(self, facts: Facts, now: datetime) -> None: ...


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
