"""Power may fail after any commit: what was promised is there, what was not is not, nothing is in between."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

from controller.store import AnchorKeeper, anchor, audit, deprovisions, identity, open_store, read_head

MACHINE = "4d" * 16

#: Leads one deprovision a few states on. Dies by its own hand right after commit DIE_AFTER, before the anchor
#: is written, or inside the transaction of move DIE_INSIDE.
WORKER = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from certificate.identifiers import DeprovisionId
from controller.states import State
from controller.store import AnchorKeeper, deprovisions, open_store
from controller.store.deprovisions import Move

path, key = Path(sys.argv[1]), DeprovisionId.parse(sys.argv[2])
die_after, die_inside = int(sys.argv[3]), int(sys.argv[4])
now = datetime(2030, 1, 1, 12, tzinfo=UTC)

def die_if(it_is_time):
    if it_is_time:
        os.kill(os.getpid(), signal.SIGKILL)

keeper = AnchorKeeper(path.with_name("anchor.json"), machine_id="4d" * 16)
store = open_store(path, anchoring=keeper, count_commit=lambda number: die_if(number == die_after))
with store.transaction() as tx:
    fence = deprovisions.claim(tx, key, owner="w", now=now, lease=timedelta(seconds=60)).fence
print("committed", flush=True)
way = [State.SCHEDULED, State.QUARANTINED, State.STAGED, State.PLANNED]
for number, (old, new) in enumerate(zip(way, way[1:]), start=1):
    with store.transaction() as tx:
        deprovisions.move(tx, key, old=old, fence=fence, move=Move(new=new, next_due_at=now), now=now)
        die_if(number == die_inside)
    print("committed", flush=True)
"""


def run(path: Path, key: str, *, die_after: int = 0, die_inside: int = 0) -> tuple[int, int]:
    """The process's end and how many commits it had heard of."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(path), key, str(die_after), str(die_inside)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.count("committed")


def test_a_kill_after_any_commit_leaves_a_store_that_reads_checks_and_goes_on(
    scene: Any, tmp_path: Path
) -> None:
    key = scene.deprovision()
    scene.store.close()
    fences = set()
    for die_at in count(1):
        folder = tmp_path / f"crash-{die_at}"
        folder.mkdir()
        for name in ("expunge.db", "anchor.json"):
            shutil.copy(tmp_path / name, folder / name)
        end, heard = run(folder / "expunge.db", key, die_after=die_at)
        keeper = AnchorKeeper(folder / "anchor.json", machine_id=MACHINE)
        store = open_store(folder / "expunge.db", anchoring=keeper)
        with store.snapshot() as tx:
            audit.check(tx)
            row = deprovisions.load(tx, key)
            moved = ["scheduled", "quarantined", "staged", "planned"].index(row.state)
            assert not keeper.compare(tx).is_frozen
        if end == 0:
            assert (heard, moved) == (4, 3)
            store.close()
            break
        assert end == -signal.SIGKILL
        assert (heard, moved) == (die_at - 1, die_at - 1), "the commit it died on is kept"
        with store.transaction() as tx:
            assert deprovisions.end_all_leases(tx) == 1
            fences.add(identity.next_fence(tx))
            assert identity.load(tx).newest_fence > row.fence
        with store.transaction() as tx:
            identity.begin_epoch(tx, above=0, machine_id=MACHINE, now=scene.at())
        with store.snapshot() as tx:
            assert anchor.read(folder / "anchor.json") == read_head(tx)
        store.close()
    assert die_at == 5


def test_a_kill_inside_a_transaction_leaves_nothing_of_it(scene: Any) -> None:
    key = scene.deprovision()
    assert run(scene.path, key, die_inside=2) == (-signal.SIGKILL, 2)
    with scene.store.snapshot() as tx:
        audit.check(tx)
        assert deprovisions.load(tx, key).state == "quarantined"


def test_a_write_ahead_log_cut_anywhere_gives_a_state_that_once_was(scene: Any, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    scene.store.engine.dispose()
    shutil.copy(scene.path, base / "expunge.db")
    for _ in range(3):
        scene.deprovision()
    wal = scene.path.with_name("expunge.db-wal").read_bytes()
    assert len(wal) > 4096
    sizes = set()
    for number, cut in enumerate(range(0, len(wal), len(wal) // 12)):
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        shutil.copy(base / "expunge.db", folder / "expunge.db")
        (folder / "expunge.db-wal").write_bytes(wal[:cut])
        store = open_store(folder / "expunge.db")
        with store.snapshot() as tx:
            sizes.add(audit.check(tx).events)
        store.close()
    assert len(sizes) > 2
