"""What a person must hear of: everything that stands still, and what it endangers. Pure.

Rules this module holds:
- Every freeze, hold and long wait has its alarm with its age; none of them ever becomes a move: a state that
  gives up goes to a person (`deadlines`), and this module only says how near that is.
- An alarm is of one kind about one thing, and stands as long as its reason does.
- What is not known alarms as much as what is wrong: a source that says nothing, a clock nobody vouches for, a
  notice without a record.
- Each kind has its code, whose remedy says what to do (docs/operate.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.deadlines import DEADLINES
from controller.errors import Code
from controller.facts import MAX_CLOCK_DIFFERENCE
from controller.states import State
from controller.store.alarms import AlarmKind
from controller.store.notices import Notice
from controller.store.stops import Stop, StopKind

#: A heartbeat may be this old (`configuration.MAX_HEARTBEAT_AGE`); beyond it every answer is unknown.
SILENT_AFTER = timedelta(minutes=5)
#: A notice's first tries fail and are repeated within this (`notices.pause_after`).
UNDELIVERED_AFTER = timedelta(minutes=10)
#: A command that failed so often will not help itself.
FAILURES = 3
#: Of the time a state may last: after a half it waits long, in the last quarter its deadline is near.
LONG, NEAR = 2, 4

CODES: dict[AlarmKind, Code] = {
    AlarmKind.STORE_FROZEN: Code.STORE_NOT_CURRENT,
    AlarmKind.CLOCK_UNTRUSTED: Code.TIME_UNTRUSTED,
    AlarmKind.SOURCE_SILENT: Code.TENANCY_UNKNOWN,
    AlarmKind.BREAKER_TRIPPED: Code.INTAKE_CLOSED,
    AlarmKind.FREEZE_STANDS: Code.FROZEN,
    AlarmKind.HOLD_PAST_REVIEW: Code.HELD,
    AlarmKind.HOLD_ENDANGERS_DEADLINE: Code.HELD,
    AlarmKind.CUSTOMER_RETURNED_TOO_LATE: Code.CUSTOMER_RETURNED,
    AlarmKind.NEEDS_OPERATOR: Code.PERSON_MUST_DECIDE,
    AlarmKind.APPROVAL_AWAITED: Code.APPROVALS_REQUIRED,
    AlarmKind.LIMIT_REACHED: Code.LIMIT_REACHED,
    AlarmKind.WAITING_LONG: Code.WAITS_TOO_LONG,
    AlarmKind.DEADLINE_NEAR: Code.WAITS_TOO_LONG,
    AlarmKind.NOTICE_UNDELIVERED: Code.NOTICES_OPEN,
    AlarmKind.COMMAND_FAILING: Code.COMMAND_FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One reason to call a person."""

    kind: AlarmKind
    #: What it is about: an id of ours, `stop 7`, the name of a source.
    about: str
    #: Since when it is so, as far as anybody knows.
    since: datetime
    sentence: str

    @property
    def code(self) -> Code:
        """Its remedy says what to do."""
        return CODES[self.kind]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One live deprovision, as far as its waiting goes."""

    deprovision: str
    #: Asset tag.
    host: str
    state: State
    #: Since when nothing but grace or dwell keeps it where it is: later than `entered_at` while these run.
    waits_since: datetime
    #: When the state gives up if nobody holds it; None where it never does.
    gives_up_at: datetime | None
    #: When it gives up: a hold lets a reversible state wait for its review.
    deadline_at: datetime | None
    #: Why it waits, for people, with the codes of what refuses.
    reason: str
    #: Numbers of the holds that cover it.
    holds: tuple[int, ...]
    #: When the source was seen to say that the customer stays, after an irreversible step; None elsewhere.
    returned_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Failing:
    """A command of the provider's that fails again and again."""

    name: str
    since: datetime
    code: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the store says at one instant."""

    source: str
    #: Why nothing moves; empty where the store is the one that its anchor knows.
    frozen_because: str
    #: Since when the source showed no complete census; None while it does.
    silent_since: datetime | None
    #: Our clock minus the source's by the newest census; None where the source told no time.
    clock_difference_seconds: int | None
    newest_signed_at: datetime | None
    stops: tuple[Stop, ...]
    waiting: tuple[Waiting, ...]
    open_notices: tuple[Notice, ...]
    failing: tuple[Failing, ...]


def alarms(seen: Standing, now: datetime) -> tuple[Alarm, ...]:
    """Everything that alarms now, the gravest kinds first."""
    found = [*_of_the_whole(seen, now), *_of_stops(seen, now)]
    for each in seen.waiting:
        found += _of_one(each, now)
    found += [*_of_limits(seen), *_of_notices(seen, now), *_of_commands(seen)]
    order = list(AlarmKind)
    return tuple(sorted(found, key=lambda alarm: (order.index(alarm.kind), alarm.since, alarm.about)))


def codes_in(reason: str) -> tuple[str, ...]:
    """The codes of the refusals that a stored reason names (`advance` writes `CODE: why; CODE: why`)."""
    return tuple(re.findall(r"(?:^|; )([A-Z][A-Z0-9_]{2,60}): ", reason))


def _of_the_whole(seen: Standing, now: datetime) -> Iterator[Alarm]:
    if seen.frozen_because:
        yield Alarm(
            kind=AlarmKind.STORE_FROZEN,
            about="store",
            since=now,
            sentence=f"nothing is begun, concluded or released: {seen.frozen_because}",
        )
    if (doubt := _clock_doubt(seen, now)) is not None:
        yield Alarm(kind=AlarmKind.CLOCK_UNTRUSTED, about="clock", since=now, sentence=doubt)
    if seen.silent_since is not None and now - seen.silent_since >= SILENT_AFTER:
        yield Alarm(
            kind=AlarmKind.SOURCE_SILENT,
            about=seen.source,
            since=seen.silent_since,
            sentence=f"{seen.source} has shown no complete census; every answer of it is unknown",
        )


def _clock_doubt(seen: Standing, now: datetime) -> str | None:
    if seen.newest_signed_at is not None and now < seen.newest_signed_at:
        return f"our clock is before what we signed at {seen.newest_signed_at:%Y-%m-%d %H:%M:%SZ}"
    difference = seen.clock_difference_seconds
    if difference is not None and abs(difference) > MAX_CLOCK_DIFFERENCE.total_seconds():
        return f"our clock and {seen.source}'s differ by {difference} s"
    return None


def _of_stops(seen: Standing, now: datetime) -> Iterator[Alarm]:
    for stop in seen.stops:
        about = f"stop {stop.number}"
        match stop.kind:
            case StopKind.BREAKER:
                yield Alarm(
                    kind=AlarmKind.BREAKER_TRIPPED, about=about, since=stop.set_at, sentence=stop.matter
                )
            case StopKind.FREEZE:
                sentence = f"frozen by {stop.author}: {stop.matter}"
                yield Alarm(kind=AlarmKind.FREEZE_STANDS, about=about, since=stop.set_at, sentence=sentence)
            case StopKind.HOLD:
                if now >= stop.review_at:
                    yield Alarm(
                        kind=AlarmKind.HOLD_PAST_REVIEW,
                        about=about,
                        since=stop.review_at,
                        sentence=f"nobody reviewed the hold by {stop.author}: {stop.matter}",
                    )


def _of_one(each: Waiting, now: datetime) -> Iterator[Alarm]:
    def alarm(kind: AlarmKind, since: datetime, sentence: str) -> Alarm:
        return Alarm(kind=kind, about=each.deprovision, since=since, sentence=f"{each.host}: {sentence}")

    if each.returned_at is not None:
        yield alarm(
            AlarmKind.CUSTOMER_RETURNED_TOO_LATE,
            each.returned_at,
            "the customer stays after all, and an irreversible step was begun before that was known",
        )
    if each.state is State.NEEDS_OPERATOR:
        yield alarm(AlarmKind.NEEDS_OPERATOR, each.waits_since, each.reason)
    if Code.APPROVALS_REQUIRED.value in codes_in(each.reason):
        yield alarm(AlarmKind.APPROVAL_AWAITED, each.waits_since, each.reason)
    if each.state is State.ERASING and Code.HOST_KEY_CHANGED.value in codes_in(each.reason):
        # Another machine or another boot: waiting does not help, and the deadline of `erasing` is a day.
        yield alarm(AlarmKind.WAITING_LONG, each.waits_since, f"{each.state} waits: {each.reason}")
    if each.holds and each.gives_up_at is not None:
        near_at = each.gives_up_at - DEADLINES[each.state].after / NEAR
        if now >= near_at:
            numbers = ", ".join(map(str, each.holds))
            yield alarm(
                AlarmKind.HOLD_ENDANGERS_DEADLINE,
                near_at,
                f"hold {numbers} keeps it beyond {each.gives_up_at:%Y-%m-%d %H:%M:%SZ}, its deadline",
            )
    yield from _of_deadline(each, now, alarm)


def _of_deadline(
    each: Waiting, now: datetime, alarm: Callable[[AlarmKind, datetime, str], Alarm]
) -> Iterator[Alarm]:
    if each.deadline_at is None:
        return
    allowed = DEADLINES[each.state].after
    near_at, long_at = each.deadline_at - allowed / NEAR, each.waits_since + allowed / LONG
    if now >= near_at:
        yield alarm(
            AlarmKind.DEADLINE_NEAR,
            near_at,
            f"{each.state} gives up at {each.deadline_at:%Y-%m-%d %H:%M:%SZ}: {each.reason}",
        )
    elif now >= long_at and each.state.is_reversible:
        yield alarm(AlarmKind.WAITING_LONG, long_at, f"{each.state} waits: {each.reason}")


def _of_limits(seen: Standing) -> Iterator[Alarm]:
    """One for all hosts that wait for a place, however many they are."""
    limited = [each for each in seen.waiting if Code.LIMIT_REACHED.value in codes_in(each.reason)]
    if limited:
        yield Alarm(
            kind=AlarmKind.LIMIT_REACHED,
            about="limits",
            since=min(each.waits_since for each in limited),
            sentence=f"{len(limited)} hosts wait for a place: {limited[0].reason}",
        )


def _of_notices(seen: Standing, now: datetime) -> Iterator[Alarm]:
    for notice in seen.open_notices:
        if notice.attempts >= FAILURES or now - notice.due_at >= UNDELIVERED_AFTER:
            why = notice.last_code or "no command was run"
            yield Alarm(
                kind=AlarmKind.NOTICE_UNDELIVERED,
                about=f"notice {notice.number}",
                since=notice.due_at,
                sentence=f"{notice.kind} of {notice.deprovision}: {notice.attempts} tries, {why}",
            )


def _of_commands(seen: Standing) -> Iterator[Alarm]:
    for failing in seen.failing:
        yield Alarm(
            kind=AlarmKind.COMMAND_FAILING,
            about=failing.name,
            since=failing.since,
            sentence=f"the {failing.name} command fails: {failing.code}",
        )
