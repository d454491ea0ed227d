"""Which notices an ending needs, when they are due, and when an order may name them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.identifiers import DeprovisionId
from controller.notices import LONGEST_PAUSE, are_settled, due_at, needed, pause_after
from controller.store.notices import Notice, NoticeKind, Settled

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def notice(kind: NoticeKind, settled: Settled | None) -> Notice:
    return Notice(
        number=1,
        deprovision=DeprovisionId("dep_" + "1" * 32),
        kind=kind,
        due_at=T0,
        attempts=0,
        next_try_at=T0,
        last_code=None,
        settled=settled,
        settled_at=None if settled is None else T0,
        record_digest=None,
        waived_by=(),
    )


def test_where_nothing_was_opened_yet_nothing_is_settled() -> None:
    assert not are_settled((), has_tenancy=True)
    assert not are_settled((), has_tenancy=False)


@pytest.mark.parametrize("missing", needed(has_tenancy=True))
def test_one_open_or_missing_notice_holds_back_all(missing: NoticeKind) -> None:
    told = [notice(kind, Settled.DELIVERED) for kind in needed(has_tenancy=True) if kind is not missing]
    assert not are_settled(told, has_tenancy=True)
    assert not are_settled([*told, notice(missing, None)], has_tenancy=True)
    for settled in Settled:
        assert are_settled([*told, notice(missing, settled)], has_tenancy=True)


def test_a_notice_to_operators_neither_settles_nor_holds_back_an_order() -> None:
    told = [notice(kind, Settled.WAIVED) for kind in needed(has_tenancy=True)]
    assert are_settled([*told, notice(NoticeKind.RETURNED_TOO_LATE, None)], has_tenancy=True)
    assert not are_settled([notice(NoticeKind.RETURNED_TOO_LATE, Settled.DELIVERED)], has_tenancy=True)


@pytest.mark.parametrize(
    ("grace", "due"),
    [(7 * DAY, 6 * DAY), (DAY, DAY / 2), (timedelta(0), timedelta(0)), (-DAY, timedelta(0))],
)
def test_the_second_notice_comes_a_day_before_the_end_of_grace_or_at_its_half(
    grace: timedelta, due: timedelta
) -> None:
    when = due_at(NoticeKind.WIPE_IMMINENT, scheduled_at=T0, grace_until=T0 + grace)
    assert when == T0 + due
    assert due_at(NoticeKind.ENDING_ANNOUNCED, scheduled_at=T0, grace_until=T0 + grace) == T0


@given(grace=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1000)))
def test_every_notice_is_due_before_the_host_may_be_taken_away(grace: timedelta) -> None:
    for kind in needed(has_tenancy=True):
        assert T0 <= due_at(kind, scheduled_at=T0, grace_until=T0 + grace) <= T0 + grace


@given(attempts=st.integers(1, 10_000))
def test_a_pause_grows_to_an_hour_and_no_longer(attempts: int) -> None:
    assert pause_after(attempts) <= pause_after(attempts + 1) <= LONGEST_PAUSE
    assert pause_after(1) == timedelta(seconds=30)
