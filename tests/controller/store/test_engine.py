"""A commit is a promise: what the database is told to do, and that the anchor follows."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId
from controller.errors import Code
from controller.store import identity, open_store, read_head
from controller.store.boots import inventory
from controller.store.engine import DATABASE_MODE
from controller.store.identity import store_identity


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("secure_delete", 1),
        ("recursive_triggers", 1),
        ("busy_timeout", 10_000),
    ],
)
def test_every_connection_is_told_to_keep_its_promise(scene: Any, pragma: str, value: object) -> None:
    for _ in range(2):
        with scene.store.transaction() as tx:
            assert tx.execute(text(f"PRAGMA {pragma}")).scalar_one() == value
    with scene.store.snapshot() as tx:
        assert tx.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


def test_a_transaction_holds_the_writers_place_from_its_first_moment(scene: Any) -> None:
    other = sqlite3.connect(scene.path, timeout=0, isolation_level=None)
    with scene.store.transaction():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_snapshot_holds_up_nobody_and_sees_one_state(scene: Any) -> None:
    with scene.store.snapshot() as tx:
        before = identity.load(tx).counter
        with scene.store.transaction() as writer:
            identity.next_fence(writer)
        assert identity.load(tx).counter == before
    with scene.store.snapshot() as tx:
        assert identity.load(tx).counter == before + 1


def test_a_snapshot_cannot_write_and_spoils_no_connection(scene: Any) -> None:
    for _ in range(3):
        with pytest.raises(OperationalError, match="readonly"):
            with scene.store.snapshot() as tx:
                identity.next_fence(tx)
        with scene.store.transaction() as tx:
            identity.next_fence(tx)


def test_a_block_that_raises_leaves_nothing(scene: Any) -> None:
    scene.rolled_back(identity.next_fence)
    with scene.store.snapshot() as tx:
        assert identity.load(tx).counter == 0


def test_a_row_that_names_nothing_is_refused(scene: Any) -> None:
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        with scene.store.transaction() as tx:
            tx.execute(
                insert(inventory).values(
                    deprovision=scene.new(DeprovisionId),
                    boot_id=scene.digest("boot"),
                    line=b"{}",
                    line_digest=scene.digest("line"),
                    taken_at=scene.at(),
                )
            )


def test_a_store_opened_for_reading_reads_beside_the_writer_and_writes_nothing(scene: Any) -> None:
    reader = open_store(scene.path, is_read_only=True)
    with pytest.raises(Refused) as refused, reader.transaction():
        pass
    assert refused.value.code is Code.STORE_READ_ONLY
    with scene.store.transaction(), reader.snapshot() as tx:
        assert identity.load(tx).epoch == 0
    reader.close()


def test_nobody_else_on_the_machine_may_read_the_database(scene: Any) -> None:
    for path in scene.path.parent.glob("expunge.db*"):
        assert path.stat().st_mode & 0o777 == DATABASE_MODE, path.name


def test_commits_are_counted_before_the_anchor_and_failures_are_not(scene: Any) -> None:
    seen: list[tuple[int, int]] = []

    def count(number: int) -> None:
        anchored = scene.path.with_name("anchor.json").read_text()
        with counted.snapshot() as tx:
            seen.append((number, read_head(tx).ledger_seq))
        assert f'"ledger_seq": {read_before}' in anchored

    read_before = 1
    counted = open_store(scene.path, anchoring=scene.keeper, count_commit=count)
    with counted.transaction() as tx:
        identity.begin_epoch(tx, above=0, machine_id=identity.load(tx).machine_id, now=scene.at())
    with pytest.raises(ZeroDivisionError), counted.transaction():
        raise ZeroDivisionError
    read_before = 2
    with counted.transaction():
        pass
    assert seen == [(1, 2), (2, 2)]
    counted.close()


def test_a_caller_goes_on_only_after_commit_and_anchor_are_on_disk(scene: Any) -> None:
    """DESIGN, rule 7: an operator's act is answered only after the copy outside is written."""
    told: list[str] = []

    class Watched:
        """The keeper, with a note of what was done when."""

        def look(self) -> bytes | None:
            found: bytes | None = scene.keeper.look()
            return found

        def before_commit(self, tx: Any) -> Any:
            told.append("about to commit")
            return scene.keeper.before_commit(tx)

        def after_commit(self, head: Any) -> None:
            with reader.snapshot() as tx:
                assert read_head(tx) == head
            told.append("committed")
            scene.keeper.after_commit(head)
            told.append("anchored")

    reader = open_store(scene.path, is_read_only=True)
    watched = open_store(scene.path, anchoring=Watched())
    with watched.transaction() as tx:
        identity.begin_epoch(tx, above=0, machine_id=identity.load(tx).machine_id, now=scene.at())
        told.append("decided")
    told.append("answered")
    assert told == ["decided", "about to commit", "committed", "anchored", "answered"]
    for store in (reader, watched):
        store.close()


def test_a_path_with_signs_that_mean_something_in_an_address_is_opened_as_it_is(tmp_path: Path) -> None:
    from controller.store import create_store

    odd = tmp_path / "a ?b=#%41"
    odd.mkdir()
    create_store(odd / "expunge.db").close()
    assert {path.name for path in odd.iterdir()} == {"expunge.db"}


def test_many_threads_write_one_after_the_other_and_lose_nothing(scene: Any) -> None:
    fences: list[int] = []

    def take() -> None:
        for _ in range(10):
            with scene.store.transaction() as tx:
                fences.append(identity.next_fence(tx))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(fences) == list(range(1, 61))
    with scene.store.snapshot() as tx:
        assert tx.execute(select(store_identity.c.counter)).scalar_one() == 60


def test_a_host_is_no_deprovision_even_for_the_database(scene: Any) -> None:
    from sqlalchemy.exc import StatementError

    from controller.store import deprovisions

    with scene.store.snapshot() as tx, pytest.raises(StatementError, match="expected a DeprovisionId"):
        deprovisions.load(tx, scene.new(HostId))
