"""Taking a host out of its tenant's reach, and seeing that it is.

The promise of every driver: all three methods may be repeated; `isolate` and `restore` return when the
command was given, which proves nothing; `read_back` asks what is really so and never raises for silence: what
was not clearly seen is `unknown`. The tenant's side and ours are two questions, because a host that nobody
reaches is as useless as one that everybody reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from controller.target import Target


class Known(StrEnum):
    """An answer from the world: three values, so it is compared with `is` and has no truth of its own."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        raise TypeError("three values do not fit in a bool; compare with `is`")


@dataclass(frozen=True, kw_only=True)
class IsolationAnswer:
    """What a read-back saw. `raw` is exactly what was answered, so that an order can name its digest."""

    tenant_side_cut: Known
    our_side_reachable: Known
    raw: bytes
    #: Why something is unknown, for people; empty when nothing is.
    doubt: str


class Quarantine(Protocol):
    """A switch, a firewall, or whatever stands between a tenant and a host."""

    def isolate(self, target: Target) -> None:
        """Cut the tenant's side. Raises Refused (nothing was done) or Unanswered (unknown what was)."""
        ...

    def read_back(self, target: Target) -> IsolationAnswer:
        """What is so now. Raises Refused only where the question could not even be asked."""
        ...

    def restore(self, target: Target) -> None:
        """Give the tenant's side back. Raises as `isolate`."""
        ...


__all__ = ["IsolationAnswer", "Known", "Quarantine", "Target"]
