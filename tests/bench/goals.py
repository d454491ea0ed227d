"""What was measured against what was set out: one row a goal, a median with its spread, met or missed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from enum import Enum


class Sense(Enum):
    """Which side of its bound a goal lies on."""

    AT_LEAST = ">="
    AT_MOST = "<="
    #: Recorded, and no goal.
    NONE = ""


@dataclass
class Goal:
    """One ratio (or cost), measured once a round."""

    what: str
    sense: Sense
    bound: float
    unit: str = "x"
    seen: list[float] = field(default_factory=list)
    #: Our own figure of each round, for orientation: bytes a second.
    rates: list[float] = field(default_factory=list)

    def add(self, value: float, rate: float | None = None) -> None:
        self.seen.append(value)
        if rate is not None:
            self.rates.append(rate)

    @property
    def median(self) -> float:
        return statistics.median(self.seen)

    @property
    def verdict(self) -> str:
        if not self.seen:
            return "not measured"
        if self.sense is Sense.NONE:
            return "no goal"
        is_met = self.median >= self.bound if self.sense is Sense.AT_LEAST else self.median <= self.bound
        return "met" if is_met else "MISSED"

    def line(self) -> str:
        goal = "" if self.sense is Sense.NONE else f"{self.sense.value} {self.bound:.2f} {self.unit}"
        if not self.seen:
            return f"{self.what:<58} {goal:<14} {'-':>8} {'-':>16}  {self.verdict}"
        spread = f"{min(self.seen):.2f} .. {max(self.seen):.2f}"
        rate = f"  {statistics.median(self.rates) / 1e9:.2f} GB/s" if self.rates else ""
        return f"{self.what:<58} {goal:<14} {self.median:>8.3f} {spread:>16}  {self.verdict}{rate}"


def table(goals: list[Goal]) -> str:
    """All of them, under one heading."""
    head = f"{'what':<58} {'goal':<14} {'median':>8} {'min .. max':>16}  verdict, our rate"
    return "\n".join([head, "-" * len(head), *(goal.line() for goal in goals)])
