"""What the world itself saw, for whoever checks a promise: outside the store, so that no backup undoes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from certificate.identifiers import TenancyId
from controller.facts import Exit


class Moment(Enum):
    """When a promise could break; but for the last two, inside the transaction and before it commits."""

    #: The move to `erasing`.
    DISPATCH = auto()
    #: An irreversible step is acknowledged.
    GRANT = auto()
    #: An effect or a move gives the host back.
    GIVE_BACK = auto()
    CANCELLED = auto()
    RELEASED = auto()
    #: A move that only a command leads to.
    EXIT = auto()
    #: The first byte of an order leaves.
    SEND = auto()
    #: The drive gets an irreversible command.
    BEGIN = auto()


@dataclass(frozen=True)
class Looked:
    """When the source was really asked, and how far the clocks had moved by then."""

    tenancy: TenancyId | None
    at: datetime
    moved: timedelta


@dataclass(frozen=True)
class Grant:
    token: str
    at: datetime
    moved: timedelta
    #: The answers on which it rests.
    looks: tuple[Looked, ...]


@dataclass(frozen=True)
class Command:
    """What operators commanded, when, by the order of stored things, and how many of them."""

    exit: Exit
    people: int


@dataclass
class Record:
    dispatched: list[tuple[int, str]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    begun: list[tuple[str, int]] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    #: Retries carried out.
    retries: int = 0
    #: Tokens that were left behind by a way out of `needs_operator`, with the clocks' moving by then.
    left: dict[str, timedelta] = field(default_factory=dict)
    #: Tokens that are only asked about since `reprobe`.
    reprobed: set[str] = field(default_factory=set)
    #: Tokens of orders that the store held when it was reconciled.
    from_before: set[str] = field(default_factory=set)
    #: The store lost something that it had already answered for, and nobody reconciled it yet.
    is_rolled_back: bool = False
    rolled_back_at: datetime | None = None

    def reconciled(self, attempt: int) -> None:
        """Two people looked at what really is, and answer for it: the count of attempts begins anew."""
        self.dispatched.clear()
        self.sent.clear()
        self.begun.clear()
        self.grants.clear()
        self.left.clear()
        self.reprobed.clear()
        self.retries = attempt - 1
        self.is_rolled_back, self.rolled_back_at = False, None
