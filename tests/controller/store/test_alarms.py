"""Alarms in the store: one standing row a kind and thing, and a call on record before it is made."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from controller.errors import Code, LostRace
from controller.store import alarms
from controller.store.alarms import AlarmKind


def raised(
    scene: Any, kind: AlarmKind = AlarmKind.FREEZE_STANDS, about: str = "stop 1"
) -> alarms.StoredAlarm:
    with scene.store.transaction() as tx:
        alarms.raise_alarm(
            tx,
            kind=kind,
            about=about,
            sentence="frozen",
            remedy=Code.FROZEN,
            since=scene.at(-60),
            now=scene.at(),
        )
        return next(each for each in alarms.standing(tx) if (each.kind, each.about) == (kind, about))


def test_one_of_a_kind_stands_about_one_thing_and_may_come_again_once_it_is_over(scene: Any) -> None:
    first = raised(scene)
    with pytest.raises(IntegrityError):
        raised(scene)
    with scene.store.transaction() as tx:
        alarms.end(tx, first.number, now=scene.at(5))
        assert alarms.standing(tx) == ()
    assert raised(scene).number > first.number


def test_the_gravest_kinds_stand_first(scene: Any) -> None:
    for kind in reversed(AlarmKind):
        raised(scene, kind, "x")
    with scene.store.snapshot() as tx:
        assert [each.kind for each in alarms.standing(tx)] == list(AlarmKind)


def test_a_person_is_called_once_and_a_call_that_failed_is_repeated(scene: Any) -> None:
    alarm = raised(scene)
    with scene.store.transaction() as tx:
        assert alarms.to_call(tx, now=scene.at(), limit=5) == (alarm,)
        alarms.begin_call(tx, alarm, next_try_at=scene.at(30))
        alarms.call_failed(tx, alarm.number, code=Code.COMMAND_FAILED)
        assert alarms.to_call(tx, now=scene.at(29), limit=5) == ()
        (again,) = alarms.to_call(tx, now=scene.at(30), limit=5)
        assert (again.attempts, again.last_code) == (1, "COMMAND_FAILED")
        alarms.begin_call(tx, again, next_try_at=scene.at(90))
        alarms.called(tx, again.number, record_digest="a" * 64, now=scene.at(31))
        assert alarms.to_call(tx, now=scene.at(999), limit=5) == ()
        assert alarms.standing(tx)[0].called_at == scene.at(31)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        alarms.begin_call(tx, alarm, next_try_at=scene.at(30))


def test_an_alarm_that_is_over_calls_nobody(scene: Any) -> None:
    alarm = raised(scene)
    with scene.store.transaction() as tx:
        alarms.end(tx, alarm.number, now=scene.at(1))
        assert alarms.to_call(tx, now=scene.at(2), limit=5) == ()
