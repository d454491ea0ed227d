"""What an execution is given of the outside: clocks, waiting, randomness.

Rules: the core asks these four and never the operating system, so that a test may hand in its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class World:
    """`clock`: CLOCK_BOOTTIME, milliseconds; `now`: UTC; `pause`: waits seconds; `random_bytes`: so many."""

    clock: Callable[[], int]
    now: Callable[[], datetime]
    pause: Callable[[float], None]
    random_bytes: Callable[[int], bytes]

    def utc_seconds(self) -> datetime:
        """Now, as statements write it."""
        return self.now().replace(microsecond=0)
