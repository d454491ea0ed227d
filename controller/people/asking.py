"""Reading what an act is asked about: short texts under names, closed.

Rules: a name that is missing, unknown or empty refuses; nothing has a default, because people sign over it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection

from certificate.errors import Refused
from controller.duration import parse_duration
from controller.errors import Code
from controller.people.matter import About
from controller.store import hosts
from controller.store.hosts import Host

#: A hold that nobody looks at for longer than this is forgotten.
LONGEST_REVIEW = timedelta(days=366)


def fields(about: About, names: Iterable[str]) -> tuple[str, ...]:
    """The texts under exactly these names, in this order. Raises Refused(DECISION_MISMATCH)."""
    wanted = tuple(names)
    if set(about) != set(wanted) or not all(about[name].strip() for name in wanted):
        raise Refused(Code.DECISION_MISMATCH, f"it is asked about {', '.join(wanted)}, each with a text")
    return tuple(about[name] for name in wanted)


def number(text: str) -> int:
    """A number as a list shows it. Raises Refused(DECISION_MISMATCH)."""
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise Refused(Code.DECISION_MISMATCH, f"{text[:40]!r} is not a number")
    return int(text)


def review(text: str) -> timedelta:
    """When somebody must look again, from the setting on. Raises Refused(REVIEW_INVALID)."""
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise Refused(Code.REVIEW_INVALID, str(error)) from None
    if not timedelta() < duration <= LONGEST_REVIEW:
        raise Refused(Code.REVIEW_INVALID, f"{text} is no time within a year")
    return duration


def host(tx: Connection, asset_tag: str) -> Host:
    """The host with this asset tag. Raises Refused(NOT_IN_STORE)."""
    found = hosts.by_asset_tag(tx, asset_tag)
    if found is None:
        raise Refused(Code.NOT_IN_STORE, f"no host is called {asset_tag[:120]}")
    return found
