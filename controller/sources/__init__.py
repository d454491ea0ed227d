"""What the provider's billing says, and how sure one may be that it said so.

The promise of every driver: it never raises for what the source does, and never guesses. A missing record, an
empty list, an error, a time-out, a stale or a strange answer is `unknown`; only a clear word of a source that
is seen to be alive is `ended`. `raw` holds exactly what was read, so that an order can name its SHA-256.
Nothing is kept between two questions. Hints are reasons to ask, never answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class SubscriptionState(StrEnum):
    """What a source says of a subscription. Only `ended` ever lets a deprovision go on."""

    ACTIVE = "active"
    ENDED = "ended"
    PENDING = "pending"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        raise TypeError("four values do not fit in a bool; compare with `is`")


@dataclass(frozen=True, kw_only=True)
class SubscriptionAnswer:
    """`changed_at`: when the state began, by the source. `source_time`: the source's own clock, if told.

    `doubt` says for people why the state is unknown; empty otherwise.
    """

    state: SubscriptionState
    changed_at: datetime | None
    source_time: datetime | None
    raw: bytes
    doubt: str


@dataclass(frozen=True, kw_only=True)
class TenancyEntry:
    """One tenancy of a host. `ends_at` is None where the source names no end; it never proves one."""

    subscription: str
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TenancyListAnswer:
    """The tenancies of one host. Nothing may be concluded from `entries` unless `is_complete`."""

    is_complete: bool
    entries: tuple[TenancyEntry, ...]
    source_time: datetime | None
    raw: bytes
    doubt: str


@dataclass(frozen=True, kw_only=True)
class CensusAnswer:
    """How many subscriptions stand in each state. Nothing may be concluded from it unless `is_complete`.

    A subscription whose state is none of the three words is counted nowhere: it is missing among the active.
    """

    is_complete: bool
    active_count: int
    ended_count: int
    pending_count: int
    source_time: datetime | None
    raw: bytes
    doubt: str


class HintKind(StrEnum):
    """What may have happened. The names are those of the webhook's events."""

    ENDED = "subscription.ended"
    RENEWED = "subscription.renewed"


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A reason to ask about this subscription."""

    kind: HintKind
    subscription: str


@dataclass(frozen=True, kw_only=True)
class HintsAnswer:
    """What a poll found. Empty `hints` mean nothing unless `is_complete`."""

    is_complete: bool
    hints: tuple[Hint, ...]
    doubt: str


class Source(Protocol):
    """A billing system, as far as we ask it."""

    def subscription(self, subscription_id: str) -> SubscriptionAnswer:
        """Has this subscription ended?"""
        ...

    def tenancies(self, host: str) -> TenancyListAnswer:
        """Who rents, rented or will rent this host? `host` is the source's own name for it (asset tag)."""
        ...

    def census(self) -> CensusAnswer:
        """How many subscriptions are active, ended, pending?"""
        ...

    def hints(self, believed: Mapping[str, SubscriptionState]) -> HintsAnswer:
        """Which of these subscriptions are no longer what the controller last saw them to be?"""
        ...


__all__ = [
    "CensusAnswer",
    "Hint",
    "HintKind",
    "HintsAnswer",
    "Source",
    "SubscriptionAnswer",
    "SubscriptionState",
    "TenancyEntry",
    "TenancyListAnswer",
]
