"""Which notices an ending needs, when each is due, and whether all are settled. Pure.

Rules this module holds:
- A customer is told twice before a host is taken out of reach: when the ending is scheduled, and when a day
  of grace is left (half of it where grace is shorter).
- Nothing is settled before every needed notice was opened and has its delivery record or waiver: where none
  was opened yet, all are open (NOTICES_OPEN).
- A host that was never let has nobody to tell; that is recorded too.
- A try that failed is repeated later and later, an hour at most, and never given up: only a person or the
  policy waives.

Delivery is at-least-once: a crash between sending and recording sends again. What a command claims to have
sent is believed as far as its record goes; that somebody read it, nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from controller.store.notices import Notice, NoticeKind

#: A customer who hears of it a day before can still call.
IMMINENT_BEFORE = timedelta(days=1)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
#: Doublings after which the longest pause is reached in any case; bounds the power below.
MAX_DOUBLINGS = 10


def needed(*, has_tenancy: bool) -> tuple[NoticeKind, ...]:
    """What must be settled before an order is made."""
    if not has_tenancy:
        return (NoticeKind.ENDING_ANNOUNCED,)
    return (NoticeKind.ENDING_ANNOUNCED, NoticeKind.WIPE_IMMINENT)


def due_at(kind: NoticeKind, *, scheduled_at: datetime, grace_until: datetime) -> datetime:
    """When it is first tried. `grace_until` may have passed: then everything is due at once."""
    if kind is not NoticeKind.WIPE_IMMINENT:
        return scheduled_at
    grace = max(grace_until - scheduled_at, timedelta())
    return grace_until - min(IMMINENT_BEFORE, grace / 2) if grace else scheduled_at


def are_settled(opened: Iterable[Notice], *, has_tenancy: bool) -> bool:
    """Whether an order may name them."""
    settled = {each.kind for each in opened if not each.is_open}
    return settled.issuperset(needed(has_tenancy=has_tenancy))


def pause_after(attempts: int) -> timedelta:
    """How long after the beginning of a try, the `attempts`-th, the next one waits."""
    doublings = min(attempts - 1, MAX_DOUBLINGS)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
