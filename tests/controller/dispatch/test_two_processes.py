"""Two processes on one SQLite file: nothing is given twice, nothing goes back, a stopped one only delays."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.log.entry import LogKind
from controller import checkpointing
from controller.dispatch.lease import LEASE
from controller.errors import LostRace
from controller.states import State
from controller.store import anchor, audit, deprovisions, identity, log_rows, open_store, read_head
from controller.store import anchor as anchors
from controller.store.anchor import AnchorKeeper, Standing

ROUNDS = 30


def in_child(world: Any, act: Callable[[Any], None]) -> int:
    """A process of its own, with connections of its own, that acts and ends."""
    world.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act(world)
            code = 0
        finally:
            os._exit(code)
    return child


def ended_well(children: list[int]) -> bool:
    return all(os.waitpid(child, 0)[1] == 0 for child in children)


def log_one(world: Any) -> None:
    envelope = dsse.sign(secrets.token_bytes(8), world.keys.issuer)
    with world.program.store.transaction() as tx:
        log_rows.append_entry(tx, envelope=envelope, kind=LogKind.ALLOCATION, now=world.now())


def log_and_sign(world: Any) -> None:
    for _ in range(ROUNDS):
        log_one(world)
        checkpointing.sign_due(world.program)


def anchored(world: Any) -> tuple[int, int]:
    head = anchor.read(world.folder / "anchor.json")
    assert head is not None
    return head.ledger_seq, head.log_size


def test_log_ledger_and_anchor_of_two_processes_are_whole_and_the_anchor_never_goes_back(world: Any) -> None:
    with world.program.store.snapshot() as tx:
        before = log_rows.size(tx)
    children = [in_child(world, log_and_sign) for _ in range(2)]
    seen = [anchored(world)]
    while os.waitid(os.P_PID, children[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        seen.append(anchored(world))
    assert ended_well(children)
    seen.append(anchored(world))
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "it was seen while it moved"
    with world.program.store.snapshot() as tx:
        audit.check(tx)
        assert log_rows.size(tx) == before + 2 * ROUNDS
        newest = log_rows.latest_checkpoint(tx)
        assert newest is not None
        assert newest.size == log_rows.size(tx)
        assert anchor.read(world.folder / "anchor.json") == read_head(tx)
        assert world.program.keeper.compare(tx).standing is Standing.CURRENT


def test_no_fence_is_given_twice_by_two_processes(world: Any) -> None:
    def take_fences(world: Any) -> None:
        with (world.folder / f"fences-{os.getpid()}").open("w") as file:
            for _ in range(ROUNDS):
                with world.program.store.transaction() as tx:
                    fence = identity.next_fence(tx)
                file.write(f"{fence}\n")

    assert ended_well([in_child(world, take_fences) for _ in range(2)])
    taken = [int(word) for path in world.folder.glob("fences-*") for word in path.read_text().split()]
    assert len(taken) == len(set(taken)) == 2 * ROUNDS


def test_of_two_processes_one_claims(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.SCHEDULED)
    with world.program.store.transaction() as tx:
        deprovisions.end_all_leases(tx)

    def claim(world: Any) -> None:
        try:
            with world.program.store.transaction() as tx:
                deprovisions.claim(tx, world.key, owner=str(os.getpid()), now=world.now(), lease=LEASE)
        except LostRace:
            return
        (world.folder / f"claimed-{os.getpid()}").touch()

    assert ended_well([in_child(world, claim) for _ in range(4)])
    assert len(list(world.folder.glob("claimed-*"))) == 1


def test_a_snapshot_does_not_look_older_than_its_anchor_when_another_process_commits(world: Any) -> None:
    """Otherwise every second look beside a busy neighbour would find the store frozen."""
    neighbour = open_store(world.folder / "expunge.db", anchoring=world.program.keeper)
    with world.program.store.snapshot() as tx:
        read_head(tx)
        with neighbour.transaction() as other:
            envelope = dsse.sign(b"meanwhile", world.keys.issuer)
            log_rows.append_entry(other, envelope=envelope, kind=LogKind.ALLOCATION, now=world.now())
        assert anchor.read(world.folder / "anchor.json") != read_head(tx)
        assert not world.program.keeper.compare(tx).is_frozen
    neighbour.close()


def test_an_anchor_that_was_taken_away_still_freezes_every_snapshot(world: Any) -> None:
    (world.folder / "anchor.json").unlink()
    with world.program.store.snapshot() as tx:
        assert world.program.keeper.compare(tx).is_frozen


def test_an_anchor_kept_locked_by_a_stopped_process_is_an_error_and_no_silence(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "LOCK_SECONDS", 0.1)
    with (world.folder / ".anchor.json.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            log_one(world)
    with world.program.store.snapshot() as tx:
        assert world.program.keeper.compare(tx).standing is Standing.AHEAD


def test_a_dead_process_keeps_no_anchor_locked(world: Any) -> None:
    def hold(world: Any) -> None:
        keeper: AnchorKeeper = world.program.keeper
        with keeper._alone():
            (world.folder / "held").touch()
            time.sleep(60)

    child = in_child(world, hold)
    deadline = time.monotonic() + 10
    while not (world.folder / "held").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with world.program.keeper._alone():
        pass
