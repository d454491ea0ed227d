"""The input breaker: when so much is said to end at once that none of it is believed. Pure.

Rules this module holds:
- Three things trip it: far more endings than usual, far fewer active subscriptions than a day ago, and a
  source that cannot count itself for too long. Each leaves a sentence with its numbers.
- A few are never a burst: a number below `usual_at_least` trips nothing, so that a small fleet can be ended,
  and without thirty days of history that number is what counts as usual.
- Counting begins anew with a thaw: what two operators looked at does not trip it again by itself; a second
  burst of the same size does.
- A controller that slept is not a source that was silent: silence counts from the first census that failed.

Enforced elsewhere: the trip is committed in the transaction that would have scheduled one ending too many
(`intake`), or that stores the census (`census`); while it stands nothing is scheduled and nothing scheduled
before is dispatched (`guards`, IntakeIsOpen). Only people lift it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.configuration import Breaker

DAY = timedelta(days=1)
#: Over how many days before the present one the usual endings are averaged.
USUAL_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Endings:
    """Scheduled endings as they were counted, the one in question included."""

    #: Within a day, and since the last thaw.
    today: int
    #: In the thirty days before.
    before: int


@dataclass(frozen=True, kw_only=True)
class Census:
    """What the source counted of itself."""

    #: Of the newest complete census; None before the first.
    active_now: int | None
    #: The most active subscriptions of any complete census within a day, and since the last thaw.
    active_highest: int | None
    #: When the first census failed after the newest complete one, and since the last thaw; None where the
    #: newest is complete.
    silent_since: datetime | None


def too_many_endings(settings: Breaker, seen: Endings) -> str | None:
    """Why this ending is one too many; None where it is not."""
    usual_in_all = max(settings.usual_at_least * USUAL_DAYS, seen.before)
    if seen.today * USUAL_DAYS <= settings.endings_factor * usual_in_all:
        return None
    return (
        f"{seen.today} endings in a day; usual are {usual_in_all / USUAL_DAYS:.1f}, and more than"
        f" {settings.endings_factor} times that is not believed"
    )


def doubtful_census(settings: Breaker, seen: Census, now: datetime) -> str | None:
    """Why the source as a whole is not believed; None where it is."""
    if seen.silent_since is not None and now - seen.silent_since >= settings.heartbeat_missing_for:
        return f"the source has not shown all it has since {seen.silent_since:%Y-%m-%d %H:%M:%SZ}"
    if seen.active_now is None or seen.active_highest is None:
        return None
    fell = seen.active_highest - seen.active_now
    if fell <= settings.usual_at_least or fell * 100 <= settings.active_fall_percent * seen.active_highest:
        return None
    return (
        f"{seen.active_now} subscriptions are active, {seen.active_highest} were within a day; a fall by more"
        f" than {settings.active_fall_percent} % is not believed"
    )
