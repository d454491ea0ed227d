"""Hazards of amounts and of silence: clocks that jump, bursts of endings, too many wipes, nobody told."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.envelope import read as read_envelope
from certificate.identifiers import DeprovisionId, HostId
from certificate.statements import Order
from certificate.statements import statement as statements
from controller import advance, census, intake, knowledge, limits
from controller import case as cases
from controller.command_template import CommandTemplate
from controller.configuration import Limits, NoticeSettings
from controller.decision import Move
from controller.errors import LostRace
from controller.facts import MAX_CLOCK_DIFFERENCE
from controller.lifecycle import decide
from controller.states import State
from controller.store import (
    AnchorKeeper,
    alarms,
    create_store,
    deprovisions,
    hosts,
    identity,
    notices,
    orders,
    stops,
)
from controller.store.alarms import AlarmKind
from controller.store.notices import NoticeKind, Settled

MONTH = timedelta(days=31)


def sent(world: Any) -> int:
    """Orders that ever passed the point of no return."""
    with world.program.store.snapshot() as tx:
        return orders.dispatched_since(tx, world.now() - 10 * MONTH)


def live(world: Any) -> tuple[deprovisions.Deprovision, ...]:
    with world.program.store.snapshot() as tx:
        return deprovisions.live(tx)


# --- 11: a clock jumps --------------------------------------------------------------------------------------


@given(
    state=st.sampled_from([State.SCHEDULED, State.QUARANTINED, State.APPROVED, State.INTENDED]),
    jump=st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)),
    difference=st.integers(min_value=-40_000_000, max_value=40_000_000),
)
def test_hazard_11_no_jump_of_the_clock_leads_towards_a_wipe(
    story: Any, state: State, jump: timedelta, difference: int
) -> None:
    """What the source was asked before the jump is of no use after it; what it was asked after it tells the
    difference.
    """
    facts = story.facts(state)
    far = abs(difference) > MAX_CLOCK_DIFFERENCE.total_seconds()
    drifting = replace(facts, clock=replace(facts.clock, difference_seconds=difference))
    if far:
        assert forward(decide(drifting, story.T0)) is None
    if abs(jump) > timedelta(minutes=1):
        assert forward(decide(facts, story.T0 + jump)) is None


def forward(decision: Any) -> State | None:
    """The state towards the wipe that a decision leads to."""
    is_forward = isinstance(decision, Move) and decision.to in {
        State.QUARANTINED,
        State.STAGED,
        State.INTENDED,
        State.ERASING,
    }
    return decision.to if is_forward else None


def test_hazard_11_a_controller_that_is_steadily_a_month_fast_wipes_nothing(world: Any) -> None:
    """Everybody's clock was wrong; then the billing system's own was corrected, and ours goes on."""
    (world.folder / "shift").write_text(str(MONTH.total_seconds()))
    world.end_subscription()
    world.run(until=lambda world: world.state is State.SCHEDULED)
    real_beat = world._beat
    world._beat = lambda state=None: (real_beat(state), set_back(world, MONTH))
    facts = None
    for _ in range(20):
        world.step(lambda world: False)
        world._skip_to(world.now() + timedelta(seconds=10))
        with world.program.store.snapshot() as tx:
            facts = knowledge.facts_of(tx, world.program, cases.load(tx, world.key), now=world.now())
    assert facts is not None
    assert facts.state is State.SCHEDULED
    assert "TIME_UNTRUSTED" in world.deprovision.wait_reason
    assert facts.clock is not None
    assert facts.clock.difference_seconds == pytest.approx(MONTH.total_seconds(), abs=300)
    with world.program.store.snapshot() as tx:
        kinds = {each.kind for each in alarms.standing(tx)}
    assert AlarmKind.CLOCK_UNTRUSTED in kinds
    assert sent(world) == 0
    assert not world.switch.is_cut
    assert world.drive_text_count() == 8


def set_back(world: Any, by: timedelta) -> None:
    """The billing system's own clock is so far behind ours."""
    at = (world.now() - by).strftime("%Y-%m-%dT%H:%M:%SZ")
    with closing(sqlite3.connect(world.billing.path, timeout=10)) as database, database:
        database.execute("UPDATE pulse SET at = ?", (at,))


# --- 12: a burst of endings ---------------------------------------------------------------------------------

FLEET = 40


def with_a_fleet(world: Any, hosts_more: int = FLEET - 1) -> Any:
    """So many hosts more, each let to a subscription of its own; none of them ever answers as an agent."""
    with closing(sqlite3.connect(world.billing.path, timeout=10)) as database, database:
        for number in range(hosts_more):
            database.execute(
                "INSERT INTO contract VALUES (?, 'active', '2025-11-01T00:00:00Z')", (f"more-{number}",)
            )
            database.execute(
                "INSERT INTO placement VALUES (?, ?, '2025-11-01T00:00:00Z', NULL)",
                (f"rack-{number}", f"more-{number}"),
            )
    with world.program.store.transaction() as tx:
        (first,) = hosts.all_hosts(tx)
        for number in range(hosts_more):
            host = replace(
                first,
                id=HostId.from_random(secrets.token_bytes(16)),
                asset_tag=f"rack-{number}",
                salt=secrets.token_bytes(32),
            )
            hosts.register(tx, host, facts=(), now=world.now())
    world._beat()
    intake.learn(world.program)
    census.take(world.program)
    return world


def everything_ends(world: Any) -> None:
    """What a bad import does, or a cron job that comes back after an outage."""
    with closing(sqlite3.connect(world.billing.path, timeout=10)) as database, database:
        at = world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        database.execute("UPDATE contract SET status = 'ended', updated = ?", (at,))
    world._beat()


def breakers(world: Any) -> tuple[stops.Stop, ...]:
    with world.program.store.snapshot() as tx:
        return tuple(each for each in stops.all_standing(tx) if each.kind is stops.StopKind.BREAKER)


def live_for(world: Any, rounds: int) -> None:
    for _ in range(rounds):
        world.step(lambda world: False)
        world._skip_to(world.now() + timedelta(seconds=20))


def test_hazard_12_a_burst_of_endings_trips_the_breaker_and_wipes_nobody(world: Any) -> None:
    """Forty at once, seen by a poll between two censuses: the count of endings stops it."""
    with_a_fleet(world)
    everything_ends(world)
    intake.poll(world.program)
    (tripped,) = breakers(world)
    assert "endings in a day" in tripped.matter
    assert len(live(world)) == 15, "three times the five that count as usual"
    live_for(world, 5)
    assert len(live(world)) == 15
    assert {row.state for row in live(world)} == {State.SCHEDULED}
    assert all("INTAKE_CLOSED" in (row.wait_reason or "") for row in live(world))
    assert not world.switch.is_cut
    assert sent(world) == 0
    assert world.drive_text_count() == 8


def test_hazard_12_a_census_sees_the_fall_before_the_first_ending_is_scheduled(world: Any) -> None:
    with_a_fleet(world)
    everything_ends(world)
    world._skip_to(world.now() + timedelta(minutes=2))
    live_for(world, 3)
    (tripped,) = breakers(world)
    assert "0 subscriptions are active, 40 were" in tripped.matter
    assert live(world) == ()
    assert sent(world) == 0


# --- 13: too many wipes -------------------------------------------------------------------------------------


def test_hazard_13_of_two_workers_at_the_last_place_exactly_one_dispatches(
    story: Any, two_intended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real transaction of `advance`, twice at the same time; only what the world said is written down."""
    program, keys = two_intended
    at_once = threading.Barrier(2)

    def facts_of(tx: Any, program: Any, case: cases.Case, *, now: datetime) -> Any:
        row, order = case.deprovision, case.order
        assert order is not None
        told = story.facts(State.INTENDED)
        return replace(
            told,
            deprovision=row.id,
            fence=row.fence,
            limits_reached=limits.reached(tx, program.configuration.limits, case, now=now),
        )

    monkeypatch.setattr(knowledge, "facts_of", facts_of)
    became: dict[str, str] = {}

    def work(key: DeprovisionId) -> None:
        at_once.wait(timeout=30)
        try:
            step = advance.advance(program, key, owner=key)
        except LostRace as lost:
            became[key] = lost.reason
            return
        decision = step.decision
        became[key] = decision.to.value if isinstance(decision, Move) else str(decision.codes)

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(became.values()) == ["('LIMIT_REACHED',)", "erasing"]
    with program.store.snapshot() as tx:
        assert orders.dispatched_since(tx, story.T0 - story.HOUR) == 1


@pytest.fixture
def two_intended(story: Any, loaded: Any, tmp_path: Path) -> Iterator[tuple[Any, list[DeprovisionId]]]:
    """A store with two deprovisions in `intended`, each with an order of its own, and one place left."""
    rooms = loaded("expunge_tests_store", Path(__file__).parents[1] / "controller" / "store" / "conftest.py")
    store = create_store(tmp_path / "expunge.db")
    with store.transaction() as tx:
        identity.create(tx, store_id="a" * 64, machine_id=rooms.MACHINE, now=rooms.T0)
    keeper = AnchorKeeper(tmp_path / "anchor.json", machine_id=rooms.MACHINE)
    scene = rooms.Scene(path=tmp_path / "expunge.db", store=store, keeper=keeper)
    keys = [scene.intended().deprovision for _ in range(2)]
    with store.transaction() as tx:
        for key in keys:
            deprovisions.release_lease(tx, key, fence=deprovisions.load(tx, key).fence)
    yield (
        SimpleNamespace(
            store=store,
            clock=lambda: story.T0,
            configuration=SimpleNamespace(limits=Limits(per_hour=1, fleet_percent_per_day=100)),
            #: No table was ever taken up in this store.
            documents=SimpleNamespace(present_table=None),
        ),
        keys,
    )
    store.close()


# --- 23: a notice undelivered -------------------------------------------------------------------------------


def told_by(world: Any, *command: str) -> Any:
    """The provider tells its customers by this command."""
    program = world.program
    settings = NoticeSettings(command=command)
    world._program = replace(
        program,
        configuration=program.configuration.model_copy(update={"notice": settings}),
        notice=CommandTemplate(arguments=command, timeout_seconds=5),
    )
    return world


@pytest.mark.parametrize("command", [("false", "{kind}"), ("/no/such/program",), ("sleep", "60")])
def test_hazard_23_nobody_is_wiped_while_the_notice_bounces(
    world: Any, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by(world, *command)
    world._program = replace(world.program, notice=CommandTemplate(arguments=command, timeout_seconds=0.2))
    world.end_subscription()
    live_for(world, 12)
    assert world.state is State.SCHEDULED
    assert "NOTICES_OPEN" in world.deprovision.wait_reason
    with world.program.store.snapshot() as tx:
        opened = notices.of_deprovision(tx, world.key)
    assert [each.kind for each in opened] == [NoticeKind.ENDING_ANNOUNCED, NoticeKind.WIPE_IMMINENT]
    assert all(each.is_open and each.attempts and each.last_code == "COMMAND_FAILED" for each in opened)
    assert not world.switch.is_cut
    assert sent(world) == 0


def test_hazard_23_without_a_word_in_the_configuration_nobody_is_wiped(world: Any) -> None:
    program = world.program
    world._program = replace(program, configuration=program.configuration.model_copy(update={"notice": None}))
    world.end_subscription()
    live_for(world, 6)
    assert world.state is State.SCHEDULED
    assert "NOTICES_OPEN" in world.deprovision.wait_reason
    assert not world.switch.is_cut


@pytest.mark.parametrize("is_told", [True, False])
def test_hazard_23_the_order_names_what_was_delivered_or_who_waived(world: Any, is_told: bool) -> None:
    if is_told:
        told_by(world, "echo", "{kind} to {to} of {host}")
    world.end_subscription()
    world.run()
    assert world.state is State.RELEASED
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        settled = notices.of_deprovision(tx, world.key)
    named = statements.read(read_envelope(order.envelope).payload, Order).predicate.basis.notices
    assert len(named) == 2
    assert {each.kind for each in named} == {"delivered" if is_told else "waived"}
    assert {each.settled for each in settled} == {Settled.DELIVERED if is_told else Settled.WAIVED}
    assert [each.record_digest for each in named] == [each.record_digest for each in settled]
    policy = world.program.configuration.policy_digest
    assert all((each.record_digest == policy) is not is_told for each in named)


def test_hazard_23_a_notice_that_always_fails_holds_up_no_other(world: Any) -> None:
    """One customer's address bounces for ever; the other is told in the same round."""
    with_a_fleet(world, 1)
    told_by(world, "sh", "-c", 'test "$0" != host-1', "{host}")
    everything_ends(world)
    intake.poll(world.program)
    live_for(world, 6)
    with world.program.store.snapshot() as tx:
        told = {row.host: notices.of_deprovision(tx, row.id) for row in deprovisions.live(tx)}
        names = {host.id: host.asset_tag for host in hosts.all_hosts(tx)}
    settled = {names[host]: {each.is_open for each in found} for host, found in told.items()}
    assert settled == {"host-1": {True}, "rack-0": {False}}
