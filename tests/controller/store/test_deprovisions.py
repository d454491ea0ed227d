"""A deprovision is moved by whoever holds its fence, from the state it is in, and by nobody else."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Code, LostRace
from controller.states import State
from controller.store import deprovisions, ledger
from controller.store.deprovisions import Move, deprovision

LEASE = timedelta(seconds=60)


def load(scene: Any, key: DeprovisionId) -> deprovisions.Deprovision:
    with scene.store.snapshot() as tx:
        return deprovisions.load(tx, key)


def test_a_new_deprovision_is_scheduled_due_and_held_by_nobody(scene: Any) -> None:
    row = load(scene, scene.deprovision())
    assert (row.state, row.attempt, row.fence, row.previous_state) == (State.SCHEDULED, 1, 0, None)
    assert (row.lease_owner, row.lease_until, row.next_due_at) == (None, None, scene.at())
    assert (row.grace_until, row.dwell_seconds) == (scene.at(5), 3)


def test_a_host_has_one_live_deprovision(scene: Any) -> None:
    host = scene.host()
    first = scene.deprovision(host)
    with pytest.raises(Refused) as refused:
        scene.deprovision(host)
    assert refused.value.code is Code.DEPROVISION_IS_LIVE
    fence = scene.claim(first)
    scene.move(first, State.SCHEDULED, State.CANCELLED, fence)
    second = scene.deprovision(host)
    with scene.store.snapshot() as tx:
        live = deprovisions.live_of_host(tx, host)
        assert live is not None
        assert live.id == second
        assert [row.id for row in deprovisions.of_host(tx, host)] == sorted((first, second))


def test_one_that_needs_an_operator_is_live(scene: Any) -> None:
    host = scene.host()
    key = scene.deprovision(host)
    scene.needs_operator(key, State.SCHEDULED, scene.claim(key))
    with pytest.raises(Refused):
        scene.deprovision(host)


def test_the_database_itself_refuses_a_second_live_one(scene: Any) -> None:
    host = scene.host()
    key = scene.deprovision(host)
    scene.move(key, State.SCHEDULED, State.CANCELLED, scene.claim(key))
    scene.deprovision(host)
    with pytest.raises(IntegrityError), scene.store.transaction() as tx:
        tx.execute(update(deprovision).where(deprovision.c.id == key).values(state=State.QUARANTINED))


def test_a_state_that_is_none_is_refused_by_the_database(scene: Any) -> None:
    key = scene.deprovision()
    with pytest.raises(IntegrityError, match="CHECK"), scene.store.transaction() as tx:
        tx.exec_driver_sql("UPDATE deprovision SET state = 'ended' WHERE id = ?", (str(key),))


def test_a_deprovision_of_an_unknown_host_is_refused(scene: Any) -> None:
    from certificate.identifiers import HostId

    with pytest.raises(Refused):
        scene.deprovision(scene.new(HostId))


def test_each_claim_takes_a_higher_fence_and_voids_the_one_before(scene: Any) -> None:
    key = scene.deprovision()
    first = scene.claim(key, "worker-1")
    second = scene.claim(key, "worker-1")
    assert second > first
    with pytest.raises(LostRace):
        scene.move(key, State.SCHEDULED, State.QUARANTINED, first)
    scene.move(key, State.SCHEDULED, State.QUARANTINED, second)


def test_a_running_lease_is_not_taken_by_another_and_an_expired_one_is(scene: Any) -> None:
    key = scene.deprovision()
    first = scene.claim(key, "worker-1", 0)
    with pytest.raises(LostRace):
        scene.claim(key, "worker-2", 59)
    assert load(scene, key).lease_owner == "worker-1"
    second = scene.claim(key, "worker-2", 60)
    assert second > first


def test_a_zombie_that_wakes_after_its_lease_can_change_nothing(scene: Any) -> None:
    key = scene.deprovision()
    zombie = scene.claim(key, "worker-1", 0)
    scene.claim(key, "worker-2", 61)
    for attempt in (
        lambda tx: deprovisions.heartbeat(tx, key, fence=zombie, now=scene.at(62), lease=LEASE),
        lambda tx: deprovisions.release_lease(tx, key, fence=zombie),
        lambda tx: deprovisions.confirm(tx, key, state=State.SCHEDULED, fence=zombie),
        lambda tx: deprovisions.wait(
            tx, key, state=State.SCHEDULED, fence=zombie, reason="x", next_due_at=None
        ),
        lambda tx: deprovisions.move(
            tx,
            key,
            old=State.SCHEDULED,
            fence=zombie,
            move=Move(new=State.QUARANTINED, next_due_at=None),
            now=scene.at(62),
        ),
    ):
        with pytest.raises(LostRace), scene.store.transaction() as tx:
            attempt(tx)
    assert load(scene, key).state is State.SCHEDULED


def test_a_heartbeat_lengthens_a_lease_and_cannot_revive_one(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key, "worker-1", 0)
    with scene.store.transaction() as tx:
        row = deprovisions.heartbeat(tx, key, fence=fence, now=scene.at(50), lease=LEASE)
    assert (row.lease_until, row.fence) == (scene.at(110), fence)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        deprovisions.heartbeat(tx, key, fence=fence, now=scene.at(110), lease=LEASE)


def test_a_released_lease_is_free_at_once(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key, "worker-1")
    with scene.store.transaction() as tx:
        deprovisions.release_lease(tx, key, fence=fence)
    assert scene.claim(key, "worker-2") > fence


def test_the_only_process_ends_the_leases_of_the_dead_one_but_not_its_fences(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key, "worker-1")
    with scene.store.transaction() as tx:
        assert deprovisions.end_all_leases(tx) == 1
        assert deprovisions.end_all_leases(tx) == 0
    assert load(scene, key).fence == fence
    assert scene.claim(key, "worker-2") > fence


def test_a_move_names_the_state_it_believes_in(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key)
    scene.move(key, State.SCHEDULED, State.QUARANTINED, fence)
    with pytest.raises(LostRace) as lost:
        scene.move(key, State.SCHEDULED, State.QUARANTINED, fence)
    assert (lost.value.key, lost.value.old, lost.value.code) == (key, State.SCHEDULED, Code.LOST_RACE)
    assert load(scene, key).previous_state is State.SCHEDULED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (State.SCHEDULED, State.ERASING),
        (State.SCHEDULED, State.SCHEDULED),
        (State.ERASING, State.INTENDED),
        (State.RELEASED, State.SCHEDULED),
        (State.NEEDS_OPERATOR, State.SCHEDULED),
    ],
)
def test_a_move_that_does_not_exist_is_our_own_mistake(scene: Any, old: State, new: State) -> None:
    key = scene.deprovision()
    with pytest.raises(ValueError, match="no move leads"):
        scene.move(key, old, new, scene.claim(key))


def test_a_person_is_called_with_a_reason_and_only_then(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key)
    because = Refused(Code.ORDER_STALE, "it took too long")
    with pytest.raises(ValueError, match="reason"):
        scene.move(key, State.SCHEDULED, State.NEEDS_OPERATOR, fence)
    with pytest.raises(ValueError, match="reason"):
        scene.move(key, State.SCHEDULED, State.QUARANTINED, fence, because=because)
    scene.move(key, State.SCHEDULED, State.NEEDS_OPERATOR, fence, because=because)
    row = load(scene, key)
    assert (row.operator_code, row.operator_reason) == ("ORDER_STALE", "it took too long")
    scene.move(key, State.NEEDS_OPERATOR, State.SCHEDULED, fence, is_command=True, begins_attempt=True)
    row = load(scene, key)
    assert (row.operator_code, row.operator_reason, row.attempt) == (None, None, 2)


def test_a_wait_has_its_reason_and_a_move_ends_it(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key)
    with scene.store.transaction() as tx:
        deprovisions.wait(
            tx, key, state=State.SCHEDULED, fence=fence, reason="grace runs", next_due_at=scene.at(5)
        )
    row = load(scene, key)
    assert (row.wait_reason, row.next_due_at) == ("grace runs", scene.at(5))
    scene.move(key, State.SCHEDULED, State.QUARANTINED, fence, deadline_at=scene.at(900))
    row = load(scene, key)
    assert (row.wait_reason, row.deadline_at) == (None, scene.at(900))


def test_each_state_is_entered_later_than_the_one_before_also_where_the_clock_was_set_back(
    scene: Any,
) -> None:
    key = scene.deprovision()
    scheduled = load(scene, key)
    fence = scene.claim(key)
    scene.move(key, State.SCHEDULED, State.QUARANTINED, fence)
    quarantined = load(scene, key)
    with scene.store.transaction() as tx:
        back = deprovisions.Move(new=State.STAGED, next_due_at=scene.at())
        earlier = scene.at() - timedelta(days=1)
        deprovisions.move(tx, key, old=State.QUARANTINED, fence=fence, move=back, now=earlier)
    assert scheduled.entered_at < quarantined.entered_at < load(scene, key).entered_at


def test_what_is_due_is_live_unleased_and_longest_due_first(scene: Any) -> None:
    leased, over, early, late, never = (scene.deprovision() for _ in range(5))
    scene.claim(leased)
    scene.move(over, State.SCHEDULED, State.CANCELLED, scene.claim(over))
    with scene.store.transaction() as tx:
        for key, due_at in ((early, scene.at(-9)), (late, scene.at(9)), (never, None), (over, scene.at(-9))):
            tx.execute(
                update(deprovision)
                .where(deprovision.c.id == key)
                .values(next_due_at=due_at, lease_until=None, lease_owner=None)
            )
        assert deprovisions.due(tx, now=scene.at(10), limit=9) == (early, late)
        assert deprovisions.due(tx, now=scene.at(10), limit=1) == (early,)
        assert deprovisions.due(tx, now=scene.at(8), limit=9) == (early,)
        assert deprovisions.next_due_at(tx) == scene.at(-9)
        assert len(deprovisions.live(tx)) == 4
        deprovisions.wake(tx, never, now=scene.at(7))
        deprovisions.wake(tx, over, now=scene.at(7))
        assert deprovisions.due(tx, now=scene.at(8), limit=9) == (early, never)


def test_the_move_and_its_event_are_one(scene: Any) -> None:
    key = scene.deprovision()
    fence = scene.claim(key)
    move = Move(new=State.QUARANTINED, next_due_at=None)
    scene.rolled_back(
        lambda tx: deprovisions.move(tx, key, old=State.SCHEDULED, fence=fence, move=move, now=scene.at())
    )
    with scene.store.snapshot() as tx:
        assert list(ledger.events(tx, deprovision=key))[-1].kind == "deprovision-scheduled"
    assert load(scene, key).state is State.SCHEDULED


def test_of_many_threads_one_claims(scene: Any) -> None:
    key = scene.deprovision()
    won: list[str] = []
    gate = threading.Barrier(8)

    def race(owner: str) -> None:
        gate.wait(30)
        try:
            scene.claim(key, owner)
        except LostRace:
            return
        won.append(owner)

    threads = [threading.Thread(target=race, args=(f"worker-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(won) == 1
    assert load(scene, key).lease_owner == won[0]


CLAIMANT = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from certificate.identifiers import DeprovisionId
from controller.errors import LostRace
from controller.store import deprovisions, open_store

store = open_store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
wins = 0
for _ in range(20):
    try:
        with store.transaction() as tx:
            deprovisions.claim(
                tx,
                DeprovisionId.parse(sys.argv[2]),
                owner=sys.argv[3],
                now=datetime(2030, 1, 1, 12, tzinfo=UTC),
                lease=timedelta(seconds=60),
            )
        wins += 1
    except LostRace:
        pass
print(wins)
"""


def test_of_two_processes_one_claims(scene: Any) -> None:
    key = scene.deprovision()
    claimants = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMANT, str(scene.path), str(key), owner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for owner in ("a", "b")
    ]
    for claimant in claimants:
        assert claimant.stdout is not None
        assert claimant.stdout.readline() == "ready\n"
    for claimant in claimants:
        assert claimant.stdin is not None
        claimant.stdin.write("go\n")
        claimant.stdin.flush()
    won = [int(claimant.communicate(timeout=60)[0]) for claimant in claimants]
    wins = dict(zip("ab", won, strict=True))
    assert sorted(wins.values()) == [0, 20]
    assert load(scene, key).lease_owner == max(wins, key=lambda owner: wins[owner])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(("claim", "move", "beat")), st.integers(0, 90)),
        max_size=12,
    )
)
def test_whoever_claimed_last_is_the_only_one_who_can_change_anything(
    scene: Any, acts: list[tuple[str, str, int]]
) -> None:
    key = scene.deprovision()
    fences: dict[str, int] = {}
    holder, until, clock, highest = None, -1, 0, 0
    for owner, act, seconds in acts:
        clock += seconds
        fence = fences.get(owner, 0)
        try:
            if act == "claim":
                fences[owner] = scene.claim(key, owner, clock)
                assert holder in (None, owner) or clock >= until
                assert fences[owner] > highest
                holder, until, highest = owner, clock + 60, fences[owner]
            elif act == "beat":
                with scene.store.transaction() as tx:
                    deprovisions.heartbeat(tx, key, fence=fence, now=scene.at(clock), lease=LEASE)
                assert holder == owner
                assert clock < until
                until = clock + 60
            else:
                with scene.store.transaction() as tx:
                    deprovisions.confirm(tx, key, state=State.SCHEDULED, fence=fence)
                assert fence == highest
        except LostRace:
            if act == "claim":
                assert holder != owner
                assert clock < until
            else:
                assert fence != highest or (act == "beat" and clock >= until)
