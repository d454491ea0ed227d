"""The watch over a real store: an alarm is raised once, and a person is called until the call worked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from controller import watch
from controller.command_template import CommandTemplate
from controller.states import State
from controller.store import alarms, journal, notices, orders, stops
from controller.store.alarms import AlarmKind
from controller.store.notices import NoticeKind
from controller.store.stops import StopKind

DAY = timedelta(days=1)


def standing(world: Any) -> dict[AlarmKind, alarms.StoredAlarm]:
    with world.program.store.snapshot() as tx:
        return {each.kind: each for each in alarms.standing(tx)}


def freeze(world: Any) -> int:
    with world.program.store.transaction() as tx:
        now = world.now()
        return stops.begin(
            tx, kind=StopKind.FREEZE, author="anyone", matter="a doubt", review_at=now + DAY, now=now
        )


def thaw(world: Any, number: int) -> None:
    with world.program.store.transaction() as tx:
        stops.lift(tx, number, decision_digest="d" * 64, now=world.now())


def paging(world: Any, *command: str) -> None:
    template = CommandTemplate(arguments=command, timeout_seconds=10)
    world._program = replace(world.program, alarm=template)


def test_an_alarm_is_raised_once_and_is_over_with_its_reason(world: Any) -> None:
    number = freeze(world)
    watch.look(world.program)
    first = standing(world)[AlarmKind.FREEZE_STANDS]
    watch.look(world.program)
    assert standing(world)[AlarmKind.FREEZE_STANDS] == first
    assert (first.about, first.remedy) == (f"stop {number}", "FROZEN")
    thaw(world, number)
    watch.look(world.program)
    assert AlarmKind.FREEZE_STANDS not in standing(world)


def test_a_person_is_called_once_for_each_new_alarm(world: Any, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    paging(world, "sh", "-c", f'echo "$0 $1" >> {calls}', "{kind}", "{about}")
    number = freeze(world)
    for _ in range(3):
        watch.look(world.program)
        watch.call(world.program)
    assert calls.read_text().splitlines() == [f"freeze_stands stop {number}"]
    called = standing(world)[AlarmKind.FREEZE_STANDS]
    assert called.called_at is not None
    assert called.record_digest is not None


def test_a_call_that_fails_is_repeated_later_and_is_an_alarm_itself(world: Any) -> None:
    paging(world, "false")
    freeze(world)
    watch.look(world.program)
    for _ in range(4):
        watch.call(world.program)
        world._skip_to(world.now() + timedelta(hours=1))
    watch.look(world.program)
    failing = standing(world)[AlarmKind.FREEZE_STANDS]
    assert (failing.attempts, failing.called_at, failing.last_code) == (4, None, "COMMAND_FAILED")
    assert AlarmKind.COMMAND_FAILING in standing(world)


def test_without_a_command_alarms_stand_in_status_only(world: Any) -> None:
    freeze(world)
    watch.look(world.program)
    watch.call(world.program)
    assert standing(world)[AlarmKind.FREEZE_STANDS].attempts == 0


def test_a_store_that_is_not_its_anchors_alarms(world: Any) -> None:
    (world.folder / "anchor.json").unlink()
    watch.look(world.program)
    assert AlarmKind.STORE_FROZEN in standing(world)


def test_what_needs_a_person_alarms_with_its_host(world_in: Any) -> None:
    world = world_in(State.APPROVED)
    world._skip_to(world.now() + 3 * DAY)
    world.run()
    watch.look(world.program)
    assert world.state is State.NEEDS_OPERATOR
    alarm = standing(world)[AlarmKind.NEEDS_OPERATOR]
    assert alarm.about == world.key
    assert alarm.sentence.startswith("host-1: ")


def test_a_customer_who_returned_too_late_alarms_and_is_a_notice_to_operators(world_in: Any) -> None:
    """The renewal came after the first irreversible step was acknowledged."""
    world = world_in(State.ERASING)

    def is_begun(world: Any) -> bool:
        with world.program.store.snapshot() as tx:
            found = orders.of_deprovision(tx, world.key)
            return any(journal.acknowledgements(tx, each.id) for each in found)

    world.run(until=is_begun)
    renew(world)
    ask(world)
    watch.look(world.program)
    assert standing(world)[AlarmKind.CUSTOMER_RETURNED_TOO_LATE].about == world.key
    with world.program.store.snapshot() as tx:
        opened = {each.kind: each for each in notices.of_deprovision(tx, world.key)}
    assert opened[NoticeKind.RETURNED_TOO_LATE].is_open


def renew(world: Any) -> None:
    with closing(sqlite3.connect(world.billing.path, timeout=10)) as database, database:
        database.execute("UPDATE contract SET status = 'active'")
    world._beat()


def ask(world: Any) -> None:
    from controller.observe import source
    from controller.store import tenancies

    with world.program.store.snapshot() as tx:
        (tenancy,) = tenancies.of_host(tx, world.deprovision.host)
    source.subscription(world.program, tenancy)
