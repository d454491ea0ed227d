"""What waits for a person, grouped by one cause, and the ways out that are open. Pure: facts in, groups out.

Rules this module holds:
- A group is what needs an operator under one code in one rack and began within one hour of its first: a rack
  that lost power is one matter, a slow drip of unlike failures is not.
- A group's digest covers every member with its attempt and the instant it began to wait. Whoever decides on a
  group names that digest, so that nobody joins or leaves it between reading and signing.
- A way out is open for a group only where it is open for every member. It is found by asking the very rule
  that later carries the command out (`exits.require_exit`), as if enough people had signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import rfc8785

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Code
from controller.exits import PEOPLE_TO_LEAVE, require_exit
from controller.facts import CommandFacts, Exit, Facts
from controller.states import State

#: What begins within an hour of the first of its kind in a rack is taken for one cause: power, a switch, an
#: image. Longer than any retry of ours, shorter than a shift.
ONE_CAUSE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class WayOut:
    """One exit as it stands now; `closed` is the refusal that bars it, None where it is open."""

    exit: Exit
    closed: Refused | None

    @property
    def is_open(self) -> bool:
        return self.closed is None


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """One deprovision that needs an operator."""

    deprovision: DeprovisionId
    attempt: int
    #: The asset tag.
    host: str
    site: str
    rack: str
    #: Why a person is needed: a code, and the sentence beside it.
    code: str
    reason: str
    since: datetime
    ways: tuple[WayOut, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """What has one cause, oldest first. Never empty."""

    members: tuple[Stuck, ...]

    @property
    def code(self) -> str:
        return self.members[0].code

    @property
    def site(self) -> str:
        return self.members[0].site

    @property
    def rack(self) -> str:
        return self.members[0].rack

    @property
    def since(self) -> datetime:
        """When the first of them began to wait."""
        return self.members[0].since

    @property
    def digest(self) -> str:
        """SHA-256 hex over every member, its attempt and the microsecond in which it began to wait."""
        named = [[str(each.deprovision), each.attempt, each.since.isoformat()] for each in self.members]
        told: dict[str, Any] = {"code": self.code, "site": self.site, "rack": self.rack, "members": named}
        return hashlib.sha256(rfc8785.dumps(told)).hexdigest()

    @property
    def open_exits(self) -> tuple[Exit, ...]:
        """Those that every member may take."""
        return tuple(
            exit
            for exit in Exit
            if all(way.is_open for each in self.members for way in each.ways if way.exit is exit)
        )


def grouped(waiting: Iterable[Stuck]) -> tuple[Group, ...]:
    """Every one in exactly one group; the groups by their beginnings."""
    open_groups: dict[tuple[str, str, str], list[Stuck]] = {}
    closed: list[Group] = []
    for each in sorted(waiting, key=lambda one: (one.since, one.deprovision)):
        cause = (each.code, each.site, each.rack)
        members = open_groups.setdefault(cause, [])
        if members and each.since - members[0].since > ONE_CAUSE:
            closed.append(Group(members=tuple(members)))
            members.clear()
        members.append(each)
    closed.extend(Group(members=tuple(members)) for members in open_groups.values())
    return tuple(sorted(closed, key=lambda group: (group.since, group.digest)))


def ways_out(facts: Facts, now: datetime) -> tuple[WayOut, ...]:
    """Every exit, open or with what bars it."""
    return tuple(WayOut(exit=exit, closed=why_closed(facts, now, exit)) for exit in Exit)


def why_closed(facts: Facts, now: datetime, exit: Exit) -> Refused | None:
    """What would refuse this command if enough people had signed it now; None where nothing would.

    Outside `needs_operator` only `restore` is a way, and only while nothing may have been begun.
    """
    if facts.state is not State.NEEDS_OPERATOR:
        return _why_closed_elsewhere(facts, exit)
    signed = frozenset(f"person {number}" for number in range(PEOPLE_TO_LEAVE[exit]))
    try:
        require_exit(facts, now, CommandFacts(exit=exit, keyids=signed, commanded_at=now))
    except Refused as refusal:
        return refusal
    return None


def _why_closed_elsewhere(facts: Facts, exit: Exit) -> Refused | None:
    if exit is not Exit.RESTORE:
        return Refused(Code.EXIT_NOT_OPEN, f"{facts.deprovision} is {facts.state}, not with an operator")
    if facts.has_open_earlier_order:
        return Refused(Code.EXIT_NOT_OPEN, "an order of an earlier attempt may have been begun")
    if facts.state.is_reversible:
        return None
    order = facts.order
    if facts.state is not State.ERASING or facts.is_evidence_in or order is None or order.is_acknowledged:
        return Refused(Code.EXIT_NOT_OPEN, "the erasure was begun; a hold stops what has not begun yet")
    return None
