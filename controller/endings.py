"""When a tenancy ended for us, and whether its customer came back since: read from the answers we stored.

Rules this module holds:
- A customer came back where the source answered `active` or `pending` since the deprovision was created. That
  is never taken back by a later answer.
- They came back unseen where the source now dates the end later than the ending we scheduled upon, by more
  than two clocks may differ. A deprovision rests on one ending, and this is another.
- Silence is no return, and a hint is none: it makes us ask. An `ended` counts after a renewal hint only if it
  is dated later than the hint (`Facts.answer`), and is then another ending by the rule above.
- We saw a tenancy ended from the first `ended` after the last answer that the customer stays. The source's
  own date may lie before it: billing systems date back.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from certificate.identifiers import TenancyId
from controller.facts import MAX_CLOCK_DIFFERENCE, Answer, Question
from controller.store import observations
from controller.store.deprovisions import Deprovision
from controller.store.observations import StoredObservation

#: Everything that does not say that the customer stays.
_NOT_THERE = frozenset({Answer.ENDED.value, Answer.UNKNOWN.value})


def came_back_at(tx: Connection, row: Deprovision) -> datetime | None:
    """When we stored that the customer of this deprovision came back since it was created; None where never.

    It is compared with the question the deprovision rests on, because later answers are never stamped earlier
    than that one was asked, even if the clock was wrong at the time and set back afterwards.
    """
    if row.tenancy is None:
        return None
    rests_on = observations.newest_asked_by(tx, Question.SUBSCRIPTION, row.tenancy, instant=row.created_at)
    since = row.created_at if rests_on is None else rests_on.asked_at
    stayed = _newest_to_stay(tx, row.tenancy)
    if stayed is not None and stayed.answered_at is not None and stayed.answered_at >= since:
        return stayed.answered_at
    return _dated_later(tx, row, rests_on)


def first_seen_ended(tx: Connection, tenancy: TenancyId) -> datetime | None:
    """When we first stored `ended` after the last answer that the customer stays; None where we never did."""
    first = observations.first_answer(
        tx,
        Question.SUBSCRIPTION,
        tenancy,
        answer=Answer.ENDED.value,
        after=_newest_to_stay(tx, tenancy),
    )
    return None if first is None else first.answered_at


def changed_at(seen: StoredObservation | None) -> datetime | None:
    """When the source says that the state it answered with began; None where it does not say."""
    text = None if seen is None else (seen.detail or {}).get("changed_at")
    return None if text is None else datetime.fromisoformat(text)


def _newest_to_stay(tx: Connection, tenancy: TenancyId) -> StoredObservation | None:
    return observations.latest_contrary(tx, Question.SUBSCRIPTION, tenancy, other_than=_NOT_THERE)


def _dated_later(tx: Connection, row: Deprovision, rests_on: StoredObservation | None) -> datetime | None:
    """When an `ended` was stored that is dated after this deprovision and after what it rests on."""
    latest = None if row.tenancy is None else observations.latest(tx, Question.SUBSCRIPTION, row.tenancy)
    seen = None if latest is None else latest.answered
    dated_at = changed_at(seen)
    if seen is None or seen.answer != Answer.ENDED.value or dated_at is None:
        return None
    first_at = changed_at(rests_on)
    known_until = row.created_at if first_at is None else max(row.created_at, first_at)
    return seen.answered_at if dated_at > known_until + MAX_CLOCK_DIFFERENCE else None
