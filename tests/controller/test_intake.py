"""From what the source says to a scheduled deprovision: a hint makes us ask, and only `ended` schedules."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import func, select, update

from certificate import envelope as dsse
from controller import case as cases
from controller import intake, knowledge
from controller.configuration import parse_configuration
from controller.facts import Disposition, Question
from controller.program import Program
from controller.spool import HintEvent
from controller.states import State
from controller.store import deprovisions, hints, hosts, observations, tenancies
from controller.store.deprovisions import Deprovision

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def hint(world: Any, event: HintEvent = HintEvent.ENDED) -> None:
    program = world.program
    with program.store.transaction() as tx:
        hints.receive(
            tx,
            source="test",
            event_id=secrets.token_hex(8),
            event=event,
            subscription_ref=program.pseudonyms.subscription("sub-1"),
            now=world.now(),
        )


def say(world: Any, state: str) -> None:
    """The billing system writes this state, and shows that it is alive."""
    world._beat(state)


def fall_silent(world: Any, state: str) -> None:
    """The billing system says this state, but its last sign of life is an hour old."""
    say(world, state)
    old = (world.now() - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    with sqlite3.connect(world.billing.path) as database:
        database.execute("UPDATE pulse SET at = ?", (old,))
    database.close()


def scheduled(world: Any) -> tuple[Deprovision, ...]:
    with world.program.store.snapshot() as tx:
        return deprovisions.all_deprovisions(tx)


def put_into(world: Any, state: State) -> None:
    """As a life would that is no matter here."""
    with world.program.store.transaction() as tx:
        tx.execute(update(deprovisions.deprovision).values(state=state, next_due_at=None))


def list_questions(world: Any) -> int:
    asked = select(func.count()).where(observations.observation.c.question == Question.TENANCIES)
    with world.program.store.snapshot() as tx:
        return int(tx.scalar(asked) or 0)


def later(program: Program, by: timedelta) -> Program:
    clock = program.clock
    return replace(program, clock=lambda: clock() + by)


@pytest.fixture
def known(world: Any) -> Any:
    """A world whose one tenancy is known, and active."""
    intake.learn(world.program)
    assert not scheduled(world)
    return world


# --- a hint is not an answer --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["active", "pending", "unknown", "terminated"])
@pytest.mark.parametrize("event", HintEvent)
def test_a_hint_alone_schedules_nothing_while_the_source_says_otherwise(
    known: Any, state: str, event: HintEvent
) -> None:
    say(known, state)
    hint(known, event)
    assert intake.take_hints(known.program) == 1
    assert not scheduled(known)


def test_a_hint_schedules_nothing_while_the_source_is_stale(known: Any) -> None:
    fall_silent(known, "ended")
    hint(known)
    intake.take_hints(known.program)
    assert not scheduled(known)


def test_a_hint_is_taken_once(known: Any) -> None:
    hint(known)
    assert intake.take_hints(known.program) == 1
    assert intake.take_hints(known.program) == 0


def test_a_renewal_hint_schedules_what_has_ended_because_only_the_answer_counts(known: Any) -> None:
    say(known, "ended")
    hint(known, HintEvent.RENEWED)
    intake.take_hints(known.program)
    assert len(scheduled(known)) == 1


# --- an end schedules once ----------------------------------------------------------------------------------


def test_an_ended_tenancy_is_scheduled_once_with_the_grace_of_the_policy(
    known: Any, provider: ModuleType
) -> None:
    text = provider.CONFIGURATION.format(billing=known.billing.path).replace(
        'grace = "PT0S"', 'grace = "PT72H"'
    )
    program = replace(known.program, configuration=parse_configuration(text.encode()))
    say(known, "ended")
    before = known.now()
    for _ in range(3):
        hint(known)
        intake.take_hints(program)
    (row,) = scheduled(known)
    assert row.state is State.SCHEDULED
    assert before + 72 * HOUR <= row.grace_until <= known.now() + 72 * HOUR
    assert row.policy_digest == program.configuration.policy_digest


def test_a_hint_about_a_live_deprovision_wakes_it(known: Any) -> None:
    say(known, "ended")
    hint(known)
    intake.take_hints(known.program)
    with known.program.store.transaction() as tx:
        tx.execute(update(deprovisions.deprovision).values(next_due_at=known.now() + HOUR))
    hint(known, HintEvent.RENEWED)
    intake.take_hints(known.program)
    (row,) = scheduled(known)
    assert row.next_due_at is not None
    assert row.next_due_at <= known.now()


def test_a_poll_finds_an_end_that_nobody_gave_a_hint_about(known: Any) -> None:
    intake.poll(known.program)
    assert not scheduled(known)
    say(known, "ended")
    intake.poll(known.program)
    assert len(scheduled(known)) == 1


def test_a_poll_of_a_stale_source_schedules_nothing(known: Any) -> None:
    fall_silent(known, "ended")
    intake.poll(known.program)
    assert not scheduled(known)


# --- what came to its end -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "count"),
    [(State.RELEASED, 1), (State.DESTROYED, 1), (State.CLOSED, 1), (State.CANCELLED, 2)],
)
def test_only_a_cancelled_tenancy_may_be_begun_again(known: Any, end: State, count: int) -> None:
    say(known, "ended")
    hint(known)
    intake.take_hints(known.program)
    put_into(known, end)
    hint(known)
    intake.take_hints(known.program)
    assert len(scheduled(known)) == count


def test_a_tenancy_that_was_cancelled_and_later_released_is_not_begun_again(known: Any) -> None:
    for end in (State.CANCELLED, State.RELEASED):
        say(known, "ended")
        hint(known)
        intake.take_hints(known.program)
        with known.program.store.transaction() as tx:
            live = deprovisions.live(tx)
            assert len(live) == 1
            row = deprovisions.deprovision
            tx.execute(update(row).where(row.c.id == live[0].id).values(state=end, next_due_at=None))
    hint(known)
    intake.take_hints(known.program)
    assert len(scheduled(known)) == 2


# --- hosts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disposition", [each for each in Disposition if each is not Disposition.RENTED])
def test_a_host_that_is_not_rented_is_never_scheduled(known: Any, disposition: Disposition) -> None:
    with known.program.store.transaction() as tx:
        tx.execute(update(hosts.host).values(disposition=disposition))
    say(known, "ended")
    hint(known)
    intake.take_hints(known.program)
    intake.poll(known.program)
    assert not scheduled(known)


def test_a_hint_that_came_before_its_tenancy_was_known_is_not_lost(world: Any) -> None:
    say(world, "ended")
    hint(world)
    assert intake.take_hints(world.program) == 1
    assert not scheduled(world)
    intake.learn(world.program)
    assert len(scheduled(world)) == 1


def test_a_list_that_the_source_cannot_vouch_for_teaches_and_schedules_nothing(world: Any) -> None:
    fall_silent(world, "ended")
    hint(world)
    intake.learn(world.program)
    intake.take_hints(world.program)
    with world.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        assert not tenancies.of_host(tx, host.id)
    assert not scheduled(world)


def silent(world: Any) -> None:
    fall_silent(world, "ended")
    intake.learn(world.program)


def crashed(world: Any) -> None:
    """Asked, and dead before the answer."""
    with world.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        observations.ask(tx, Question.TENANCIES, host.id, now=world.now())


@pytest.mark.parametrize("doubt", [silent, crashed])
def test_a_doubtful_list_is_asked_for_again_soon_but_not_at_once(
    world: Any, doubt: Callable[[Any], None]
) -> None:
    doubt(world)
    assert list_questions(world) == 1
    say(world, "ended")
    intake.learn(later(world.program, intake.DOUBT_FOR - 5 * SECOND))
    assert list_questions(world) == 1
    intake.learn(later(world.program, intake.DOUBT_FOR + SECOND))
    assert list_questions(world) == 2
    assert len(scheduled(world)) == 1, "its tenancy is known now, and was asked about at once"


def test_a_sure_list_is_asked_for_again_when_it_is_old(known: Any) -> None:
    intake.learn(later(known.program, intake.LEARN_EVERY - 5 * SECOND))
    assert list_questions(known) == 1
    intake.learn(later(known.program, intake.LEARN_EVERY + SECOND))
    assert list_questions(known) == 2


# --- history, and hosts that share a subscription -----------------------------------------------------------


def write(world: Any, *statements: str) -> None:
    with sqlite3.connect(world.billing.path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


EARLIER = (
    "INSERT INTO contract VALUES ('sub-0', 'ended', '2025-06-01T00:00:00Z')",
    "INSERT INTO placement VALUES ('host-1', 'sub-0', '2025-01-01T00:00:00Z', '2025-06-01T00:00:00Z')",
)


def test_an_earlier_tenancy_of_a_let_host_is_history_and_schedules_nothing(world: Any) -> None:
    write(world, *EARLIER)
    intake.learn(world.program)
    with world.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        assert len(tenancies.of_host(tx, host.id)) == 2
    intake.poll(world.program)
    assert not scheduled(world)


def test_a_host_that_was_let_before_is_deprovisioned_when_its_present_tenancy_ends(world: Any) -> None:
    write(world, *EARLIER)
    intake.learn(world.program)
    world.end_subscription()
    world.run()
    (row,) = scheduled(world)
    assert row.state is State.RELEASED
    assert world.drive_text_count() == 0


def test_a_poll_asks_about_every_tenancy_of_the_subscription_that_changed(known: Any) -> None:
    write(known, "INSERT INTO placement VALUES ('host-1', 'sub-1', '2025-12-01T00:00:00Z', NULL)")
    program = later(known.program, 2 * intake.LEARN_EVERY)
    known._beat()
    intake.learn(program)
    say(known, "ended")
    intake.poll(known.program)
    with known.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        both = tenancies.of_host(tx, host.id)
        asked = [observations.latest(tx, Question.SUBSCRIPTION, each.id) for each in both]
    assert len(both) == 2
    assert [seen is not None and seen.asked.answer for seen in asked] == ["ended", "ended"]


def test_our_clock_is_held_against_the_newest_signed_time_and_not_the_newest_checkpoint(known: Any) -> None:
    from controller import checkpointing
    from controller.store import log_rows

    year = timedelta(days=365)
    ahead = later(known.program, year)
    for program in (ahead, known.program):
        with program.store.transaction() as tx:
            log_rows.append_entry(
                tx,
                envelope=dsse.read(known.documents.trust_file, payload_type=dsse.TRUST_ROOT_PAYLOAD_TYPE),
                kind=log_rows.LogKind.TRUST_ROOT,
                now=program.clock(),
            )
        checkpointing.sign_due(program)
    say(known, "ended")
    intake.poll(known.program)
    (row,) = scheduled(known)
    with known.program.store.snapshot() as tx:
        facts = knowledge.facts_of(tx, known.program, cases.load(tx, row.id), now=known.now())
    assert facts.newest_signed_at is not None
    assert facts.newest_signed_at > known.now() + year / 2
