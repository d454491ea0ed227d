"""A source that reads the views customers code to (FORMATS.md, "The provider's side").

    expunge_subscription(id, state: active | ended | pending, changed_at)
    expunge_tenancy(host, subscription, starts_at, ends_at)
    expunge_heartbeat(at, subscriptions, tenancies)

Rules. The heartbeat comes first: exactly one row, fresh, not from the future, its two counts equal to the
rows that the views show in the same snapshot; a view of no rows at all is never believed, whatever the
heartbeat says (on 16 April 2016 a provider's script read an empty answer as "no owner" and deleted live
machines). Then the rows: exactly one for the subscription, its id equal to the letter and none nearly
equal beside it; a state out of the three words; a `changed_at` that is aware and not in the future. A tenancy
list is complete only when every row of the view names a host and every row of this host can be read. Whatever
fails is `unknown`. Ended comes from `state`, never from a date.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.sources import (
    CensusAnswer,
    Hint,
    HintKind,
    HintsAnswer,
    SubscriptionAnswer,
    SubscriptionState,
    TenancyEntry,
    TenancyListAnswer,
)
from controller.sources.billing_database import MAX_POLLED_ROWS, MAX_ROWS, BillingDatabase, Row, Snapshot

#: FORMATS.md: the controller's clock and the source's differ by at most five minutes.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
WORDS = {
    "active": SubscriptionState.ACTIVE,
    "ended": SubscriptionState.ENDED,
    "pending": SubscriptionState.PENDING,
}


class _Doubt(Exception):
    """What was read cannot be believed. Never leaves this module."""


@dataclass(frozen=True, kw_only=True)
class SqlViewSource:
    """A `Source` over the three views. `clock` gives aware UTC; a heartbeat older than the limit is stale."""

    database: BillingDatabase
    clock: Callable[[], datetime]
    max_heartbeat_age: timedelta = MAX_CLOCK_DIFFERENCE

    def subscription(self, subscription_id: str) -> SubscriptionAnswer:
        reading = _Reading(asked={"subscription": subscription_id})
        state, changed_at, doubt = SubscriptionState.UNKNOWN, None, ""
        try:
            with self.database.snapshot() as snapshot:
                self._check_heartbeat(snapshot, reading)
                rows = reading.keep("subscriptions", snapshot.subscriptions_like(subscription_id))
            state, changed_at = self._state(subscription_id, rows)
        except _Doubt as reason:
            doubt = str(reason)
        except Exception as error:  # a driver of any database may raise anything; silence is unknown
            doubt = reading.failed(error)
        return SubscriptionAnswer(
            state=state,
            changed_at=changed_at,
            source_time=reading.source_time,
            raw=reading.raw(),
            doubt=doubt,
        )

    def tenancies(self, host: str) -> TenancyListAnswer:
        reading = _Reading(asked={"host": host})
        entries: tuple[TenancyEntry, ...] = ()
        is_complete, doubt = False, ""
        try:
            with self.database.snapshot() as snapshot:
                self._check_heartbeat(snapshot, reading)
                rows = reading.keep("tenancies", snapshot.tenancies_like(host))
            entries = _entries(host, rows)
            is_complete = True
        except _Doubt as reason:
            doubt = str(reason)
        except Exception as error:  # a driver of any database may raise anything; silence is unknown
            doubt = reading.failed(error)
        return TenancyListAnswer(
            is_complete=is_complete,
            entries=entries,
            source_time=reading.source_time,
            raw=reading.raw(),
            doubt=doubt,
        )

    def census(self) -> CensusAnswer:
        reading = _Reading(asked={"census": "subscriptions"})
        counted: dict[str, int] = {}
        is_complete, doubt = False, ""
        try:
            with self.database.snapshot() as snapshot:
                self._check_heartbeat(snapshot, reading)
                rows = reading.keep("states", snapshot.state_counts())
            counted = {word: count for word, count in rows if word in WORDS}
            is_complete = True
        except _Doubt as reason:
            doubt = str(reason)
        except Exception as error:  # a driver of any database may raise anything; silence is unknown
            doubt = reading.failed(error)
        return CensusAnswer(
            is_complete=is_complete,
            active_count=counted.get("active", 0),
            ended_count=counted.get("ended", 0),
            pending_count=counted.get("pending", 0),
            source_time=reading.source_time,
            raw=reading.raw(),
            doubt=doubt,
        )

    def hints(self, believed: Mapping[str, SubscriptionState]) -> HintsAnswer:
        reading = _Reading(asked={})
        try:
            with self.database.snapshot() as snapshot:
                self._check_heartbeat(snapshot, reading)
                rows = snapshot.subscription_states()
            if len(rows) > MAX_POLLED_ROWS:
                raise _Doubt(f"the view of subscriptions has more than {MAX_POLLED_ROWS} rows")
        except _Doubt as reason:
            return HintsAnswer(is_complete=False, hints=(), doubt=str(reason))
        except Exception as error:  # as above
            return HintsAnswer(is_complete=False, hints=(), doubt=reading.failed(error))
        shown = {identity: WORDS.get(word) for identity, word in rows if isinstance(word, str)}
        found = (_hint(each, belief, shown.get(each)) for each, belief in sorted(believed.items()))
        return HintsAnswer(is_complete=True, hints=tuple(hint for hint in found if hint), doubt="")

    def _check_heartbeat(self, snapshot: Snapshot, reading: _Reading) -> None:
        """Silent only if the source is seen to be alive and to show us all it has."""
        rows = reading.keep("heartbeats", snapshot.heartbeats())
        if len(rows) != 1:
            raise _Doubt("the heartbeat has no row" if not rows else "the heartbeat has more than one row")
        at, subscriptions, tenancies = rows[0]
        reading.source_time = _time(at, "the heartbeat's time")
        age = self.clock() - reading.source_time
        if age > self.max_heartbeat_age:
            raise _Doubt(f"the heartbeat is {int(age.total_seconds())} s old")
        if age < -MAX_CLOCK_DIFFERENCE:
            raise _Doubt(f"the heartbeat is {int(-age.total_seconds())} s in the future")
        counts = snapshot.counts()
        reading.keep("counts", [(counts.subscriptions, counts.tenancies, counts.nameless_tenancies)])
        for name, promised, read in (
            ("subscriptions", subscriptions, counts.subscriptions),
            ("tenancies", tenancies, counts.tenancies),
        ):
            if type(promised) is not int or promised != read:
                raise _Doubt(f"the heartbeat counts {promised!r} {name}, the view shows {read}")
            if read == 0:
                raise _Doubt(f"the view of {name} is empty")
        if counts.nameless_tenancies:
            raise _Doubt(f"{counts.nameless_tenancies} tenancies name no host")

    def _state(self, subscription_id: str, rows: list[Row]) -> tuple[SubscriptionState, datetime]:
        if not rows:
            raise _Doubt(f"the source does not know the subscription {subscription_id[:60]!r}")
        if len(rows) > 1:
            raise _Doubt(f"{len(rows)} subscriptions are called {subscription_id[:60]!r}, or nearly so")
        identity, word, changed = rows[0]
        if identity != subscription_id:
            raise _Doubt(f"the source knows {str(identity)[:60]!r}, not {subscription_id[:60]!r}")
        state = WORDS.get(word) if isinstance(word, str) else None
        if state is None:
            raise _Doubt(f"the state {str(word)[:40]!r} is none of {', '.join(WORDS)}")
        changed_at = _time(changed, "changed_at")
        if changed_at > self.clock() + MAX_CLOCK_DIFFERENCE:
            raise _Doubt("changed_at is in the future")
        return state, changed_at


class _Reading:
    """What was read for one question, as it was read."""

    def __init__(self, *, asked: dict[str, str]) -> None:
        self.source_time: datetime | None = None
        self._read: dict[str, Any] = {"asked": asked}

    def keep(self, name: str, rows: list[Row]) -> list[Row]:
        if len(rows) > MAX_ROWS:
            raise _Doubt(f"more than {MAX_ROWS} rows of {name}")
        self._read[name] = [[_written(value) for value in row] for row in rows]
        return rows

    def failed(self, error: Exception) -> str:
        """The doubt after an error. The kind only: a driver's message may hold an address or a password."""
        kind = type(getattr(error, "orig", None) or error).__name__
        self._read["error"] = kind
        return f"the source could not be read: {kind}"

    def raw(self) -> bytes:
        """Canonical: sorted names, no spaces, ASCII; every value as text, a number or null."""
        return json.dumps(self._read, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _written(value: Any) -> str | int | None:
    if value is None or type(value) in (str, int):
        return value  # type: ignore[no-any-return]
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _time(value: Any, what: str) -> datetime:
    """Aware UTC. Text is ISO 8601 with its offset; what has no offset has no meaning here."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _Doubt(f"{what} is no time: {value[:40]!r}") from None
    if not isinstance(value, datetime):
        raise _Doubt(f"{what} is no time: {str(value)[:40]!r}")
    if value.tzinfo is None:
        raise _Doubt(f"{what} has no offset from UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise _Doubt(f"{what} is no time: {str(value)[:40]!r}") from None


def _entries(host: str, rows: list[Row]) -> tuple[TenancyEntry, ...]:
    entries = []
    for named, subscription, starts, ends in rows:
        if named != host:
            raise _Doubt(f"the source knows a host {str(named)[:60]!r} beside {host[:60]!r}")
        if not isinstance(subscription, str) or not subscription.strip():
            raise _Doubt("a tenancy of the host names no subscription")
        starts_at = _time(starts, "starts_at")
        ends_at = None if ends is None else _time(ends, "ends_at")
        if ends_at is not None and ends_at < starts_at:
            raise _Doubt("a tenancy of the host ends before it starts")
        entries.append(TenancyEntry(subscription=subscription, starts_at=starts_at, ends_at=ends_at))
    return tuple(sorted(entries, key=lambda entry: (entry.starts_at, entry.subscription)))


def _hint(subscription: str, belief: SubscriptionState, shown: SubscriptionState | None) -> Hint | None:
    """A state that nobody can read gives no hint: it is found by asking."""
    if shown is None or shown is belief:
        return None
    kind = HintKind.ENDED if shown is SubscriptionState.ENDED else HintKind.RENEWED
    if kind is HintKind.RENEWED and belief is not SubscriptionState.ENDED:
        return None
    return Hint(kind=kind, subscription=subscription)
