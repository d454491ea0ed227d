"""Everything that stands still alarms, says since when, and what it endangers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.identifiers import DeprovisionId
from controller.alarms import CODES, Failing, Standing, Waiting, alarms, codes_in
from controller.deadlines import DEADLINES
from controller.states import State
from controller.store.alarms import AlarmKind
from controller.store.notices import Notice, NoticeKind
from controller.store.stops import EVERYTHING, Stop, StopKind

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = DeprovisionId("dep_" + "1" * 32)

CALM = Standing(
    source="billing",
    frozen_because="",
    silent_since=None,
    clock_difference_seconds=2,
    newest_signed_at=NOW - HOUR,
    stops=(),
    waiting=(),
    open_notices=(),
    failing=(),
)


def stop(kind: StopKind, *, review_in: timedelta = DAY) -> Stop:
    return Stop(
        number=7,
        kind=kind,
        scope=EVERYTHING,
        author="anna",
        matter="case 7",
        set_at=NOW - 3 * DAY,
        review_at=NOW + review_in,
        lifted_at=None,
        lifted_by=None,
    )


def waiting(state: State = State.PLANNED, **changes: object) -> Waiting:
    """A minute old, and far from its deadline."""
    ends_at = NOW - MINUTE + DEADLINES[state].after if state in DEADLINES else None
    told = Waiting(
        deprovision=KEY,
        host="host-1",
        state=state,
        waits_since=NOW - MINUTE,
        gives_up_at=ends_at,
        deadline_at=ends_at,
        reason="waits",
        holds=(),
        returned_at=None,
    )
    return replace(told, **changes)


def notice(**changes: object) -> Notice:
    told = Notice(
        number=3,
        deprovision=KEY,
        kind=NoticeKind.ENDING_ANNOUNCED,
        due_at=NOW - MINUTE,
        attempts=1,
        next_try_at=NOW,
        last_code="COMMAND_FAILED",
        settled=None,
        settled_at=None,
        record_digest=None,
        waived_by=(),
    )
    return replace(told, **changes)


def old(state: State, share: float) -> Waiting:
    """A state of which so much of its time is over."""
    after = DEADLINES[state].after
    since = NOW - after * share
    return waiting(state, waits_since=since, gives_up_at=since + after, deadline_at=since + after)


def kinds(**changes: object) -> list[AlarmKind]:
    return [each.kind for each in alarms(replace(CALM, **changes), NOW)]


def test_where_nothing_stands_still_nothing_alarms() -> None:
    calm = (waiting(), waiting(State.SCHEDULED), waiting(State.ERASING))
    assert alarms(replace(CALM, waiting=calm), NOW) == ()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (AlarmKind.STORE_FROZEN, {"frozen_because": "store_behind"}),
        (AlarmKind.CLOCK_UNTRUSTED, {"clock_difference_seconds": 301}),
        (AlarmKind.CLOCK_UNTRUSTED, {"clock_difference_seconds": -301}),
        (AlarmKind.CLOCK_UNTRUSTED, {"newest_signed_at": NOW + MINUTE}),
        (AlarmKind.SOURCE_SILENT, {"silent_since": NOW - 5 * MINUTE}),
        (AlarmKind.BREAKER_TRIPPED, {"stops": (stop(StopKind.BREAKER),)}),
        (AlarmKind.FREEZE_STANDS, {"stops": (stop(StopKind.FREEZE),)}),
        (AlarmKind.HOLD_PAST_REVIEW, {"stops": (stop(StopKind.HOLD, review_in=timedelta(0)),)}),
        (AlarmKind.NEEDS_OPERATOR, {"waiting": (waiting(State.NEEDS_OPERATOR),)}),
        (AlarmKind.CUSTOMER_RETURNED_TOO_LATE, {"waiting": (waiting(returned_at=NOW - HOUR),)}),
        (AlarmKind.APPROVAL_AWAITED, {"waiting": (waiting(reason="APPROVALS_REQUIRED: 0 of 1"),)}),
        (AlarmKind.LIMIT_REACHED, {"waiting": (waiting(reason="HELD: x; LIMIT_REACHED: PER_DAY"),)}),
        (AlarmKind.WAITING_LONG, {"waiting": (old(State.PLANNED, 0.5),)}),
        (AlarmKind.DEADLINE_NEAR, {"waiting": (old(State.PLANNED, 0.75),)}),
        (AlarmKind.DEADLINE_NEAR, {"waiting": (old(State.ERASING, 0.75),)}),
        (AlarmKind.NOTICE_UNDELIVERED, {"open_notices": (notice(attempts=3),)}),
        (AlarmKind.NOTICE_UNDELIVERED, {"open_notices": (notice(due_at=NOW - HOUR, attempts=0),)}),
        (AlarmKind.COMMAND_FAILING, {"failing": (Failing(name="alarm", since=NOW, code="X"),)}),
    ],
)
def test_each_reason_has_its_alarm(kind: AlarmKind, changes: dict[str, object]) -> None:
    assert kinds(**changes) == [kind]


@pytest.mark.parametrize(
    "changes",
    [
        {"clock_difference_seconds": 300},
        {"clock_difference_seconds": None},
        {"silent_since": NOW - 5 * MINUTE + timedelta(seconds=1)},
        {"stops": (stop(StopKind.HOLD),)},
        {"open_notices": (notice(attempts=2),)},
        {"open_notices": (notice(due_at=NOW + DAY, attempts=0),)},
        {"waiting": (old(State.PLANNED, 0.49), old(State.ERASING, 0.74))},
    ],
)
def test_what_is_on_its_way_does_not_alarm_yet(changes: dict[str, object]) -> None:
    assert kinds(**changes) == []


@pytest.mark.parametrize("state", State)
def test_another_host_key_amid_an_erasure_alarms_at_once_and_elsewhere_not(state: State) -> None:
    changed = waiting(state, reason="the agent says unknown; HOST_KEY_CHANGED: another key answers")
    found = alarms(replace(CALM, waiting=(changed,)), NOW)
    at_once = [each for each in found if each.kind is AlarmKind.WAITING_LONG]
    assert bool(at_once) == (state is State.ERASING)
    assert all("HOST_KEY_CHANGED" in each.sentence for each in at_once)


def test_a_hold_says_which_deadline_it_endangers_before_its_own_review() -> None:
    """It lets the state wait for the review, so the deadline itself is not near."""
    near = old(State.PLANNED, 0.8)
    held = replace(near, holds=(7,), deadline_at=NOW + 30 * DAY)
    assert AlarmKind.DEADLINE_NEAR in kinds(waiting=(near,))
    (endangered,) = [
        each
        for each in alarms(replace(CALM, waiting=(held,)), NOW)
        if each.kind is AlarmKind.HOLD_ENDANGERS_DEADLINE
    ]
    assert near.gives_up_at is not None
    assert f"{near.gives_up_at:%Y-%m-%d %H:%M:%SZ}" in endangered.sentence
    assert AlarmKind.DEADLINE_NEAR not in kinds(waiting=(held,))


def test_a_hundred_hosts_at_a_limit_are_one_alarm() -> None:
    many = tuple(waiting(reason="LIMIT_REACHED: PER_DAY", host=f"host-{n}") for n in range(100))
    (alarm,) = alarms(replace(CALM, waiting=many), NOW)
    assert alarm.sentence.startswith("100 hosts")


def test_the_gravest_alarms_stand_first_and_each_names_its_remedy() -> None:
    every = alarms(
        replace(
            CALM,
            frozen_because="store_behind",
            stops=(stop(StopKind.FREEZE), stop(StopKind.BREAKER)),
            waiting=(old(State.PLANNED, 0.6), waiting(State.NEEDS_OPERATOR)),
            open_notices=(notice(attempts=9),),
        ),
        NOW,
    )
    order = list(AlarmKind)
    assert [order.index(each.kind) for each in every] == sorted(order.index(each.kind) for each in every)
    assert all(each.code.remedy for each in every)


def test_every_kind_has_a_code() -> None:
    assert set(CODES) == set(AlarmKind)


@pytest.mark.parametrize(
    ("reason", "codes"),
    [
        ("HELD: held: case 7 (by X); LIMIT_REACHED: PER_DAY", ("HELD", "LIMIT_REACHED")),
        ("grace until 2026-03-01 12:00:00Z", ()),
        ("a doubt about LIMIT_REACHED: no code of ours", ()),
    ],
)
def test_codes_are_read_only_where_advance_writes_them(reason: str, codes: tuple[str, ...]) -> None:
    assert codes_in(reason) == codes


@given(more=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=500)))
def test_an_older_wait_never_alarms_less(more: timedelta) -> None:
    def about_time(now: datetime) -> set[str]:
        told = replace(
            CALM, waiting=(old(State.PLANNED, 0.6),), stops=(stop(StopKind.FREEZE), stop(StopKind.HOLD))
        )
        return {each.about for each in alarms(told, now)}

    assert about_time(NOW) <= about_time(NOW + more)
