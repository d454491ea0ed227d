"""The outbox in the store: opened once, settled once, and a try on record before it is made."""

from __future__ import annotations

from typing import Any

import pytest

from controller.errors import Code, LostRace
from controller.store import ledger, notices
from controller.store.notices import NoticeKind, Settled

KIND = NoticeKind.ENDING_ANNOUNCED


def opened(scene: Any, kind: NoticeKind = KIND, seconds: float = 0) -> notices.Notice:
    key = scene.deprovision()
    with scene.store.transaction() as tx:
        notices.open_notice(tx, key, kind=kind, due_at=scene.at(seconds), now=scene.at())
        (found,) = notices.of_deprovision(tx, key)
    return found


def test_a_notice_is_opened_once_a_kind(scene: Any) -> None:
    first = opened(scene)
    with scene.store.transaction() as tx:
        notices.open_notice(tx, first.deprovision, kind=KIND, due_at=scene.at(99), now=scene.at())
        assert notices.of_deprovision(tx, first.deprovision) == (first,)
        assert [event.kind for event in ledger.events(tx)].count("notice-opened") == 1


def test_what_is_not_due_or_was_just_tried_is_not_tried(scene: Any) -> None:
    notice = opened(scene, seconds=10)
    with scene.store.transaction() as tx:
        assert notices.due(tx, now=scene.at(9), limit=5) == ()
        assert notices.due(tx, now=scene.at(10), limit=5) == (notice,)
        notices.begin_try(tx, notice, next_try_at=scene.at(40))
        assert notices.due(tx, now=scene.at(39), limit=5) == ()
        (again,) = notices.due(tx, now=scene.at(40), limit=5)
    assert again.attempts == 1


def test_a_try_is_one_controllers(scene: Any) -> None:
    notice = opened(scene)
    with scene.store.transaction() as tx:
        notices.begin_try(tx, notice, next_try_at=scene.at(30))
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        notices.begin_try(tx, notice, next_try_at=scene.at(30))


def test_what_failed_least_comes_first(scene: Any) -> None:
    failing, new = opened(scene), opened(scene, seconds=1)
    with scene.store.transaction() as tx:
        notices.begin_try(tx, failing, next_try_at=scene.at())
        notices.failed(tx, failing.number, code=Code.COMMAND_FAILED)
        due = notices.due(tx, now=scene.at(5), limit=5)
    assert [each.number for each in due] == [new.number, failing.number]
    assert due[1].last_code == "COMMAND_FAILED"


@pytest.mark.parametrize(
    ("settle", "settled", "records"),
    [
        (
            lambda tx, n, now: notices.deliver(tx, n, record_digest="a" * 64, now=now),
            "delivered",
            ("a" * 64,),
        ),
        (
            lambda tx, n, now: notices.waive_by_policy(tx, n, policy_digest="b" * 64, now=now),
            "waived",
            ("b" * 64,),
        ),
        (
            lambda tx, n, now: notices.waive(tx, n, decisions=("c" * 64, "d" * 64), now=now),
            "waived",
            ("c" * 64, "d" * 64),
        ),
        (lambda tx, n, now: notices.tell_nobody(tx, n, now=now), "nobody", ()),
    ],
)
def test_a_notice_is_settled_once_and_the_ledger_knows_by_what(
    scene: Any, settle: Any, settled: str, records: tuple[str, ...]
) -> None:
    notice = opened(scene)
    with scene.store.transaction() as tx:
        settle(tx, notice.number, scene.at(3))
        done = notices.load(tx, notice.number)
        told = [event.body for event in ledger.events(tx) if event.kind == "notice-settled"]
    assert (done.settled, done.records, done.settled_at) == (Settled(settled), records, scene.at(3))
    assert [(body["settled"], body["record_digest"]) for body in told] == [
        (settled, digest) for digest in records or (None,)
    ]
    for again in (settle, lambda tx, n, now: notices.failed(tx, n, code=Code.COMMAND_FAILED)):
        with pytest.raises(LostRace), scene.store.transaction() as tx:
            again(tx, notice.number, scene.at(4))


def test_a_waiver_without_a_decision_is_no_waiver(scene: Any) -> None:
    notice = opened(scene)
    with pytest.raises(ValueError, match="decisions"), scene.store.transaction() as tx:
        notices.waive(tx, notice.number, decisions=(), now=scene.at())


def test_deprovisions_of_which_nothing_was_opened_are_found(scene: Any) -> None:
    notice, forgotten = opened(scene), scene.deprovision()
    with scene.store.snapshot() as tx:
        assert notices.without(tx) == (forgotten,)
        assert [each.number for each in notices.all_notices(tx, is_open=True)] == [notice.number]
