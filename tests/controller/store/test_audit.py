"""The ledger alone tells what the rows say, and the first difference is found."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import update

from certificate.errors import Refused
from controller.errors import Code
from controller.states import State
from controller.store import audit, log_rows, open_store
from controller.store.deprovisions import deprovision


def checked(scene: Any) -> audit.Audit:
    store = open_store(scene.path, is_read_only=True)
    try:
        with store.snapshot() as tx:
            return audit.check(tx)
    finally:
        store.close()


def found(scene: Any) -> str:
    with pytest.raises(Refused) as refused:
        checked(scene)
    assert refused.value.code is Code.LEDGER_BROKEN
    return str(refused.value.reason)


def edit(scene: Any, statement: str, *values: Any) -> None:
    """As whoever owns the file may: triggers dropped, keys ignored."""
    connection = sqlite3.connect(scene.path, isolation_level=None)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement, values)
    connection.close()


def story(scene: Any) -> Any:
    order, _ = scene.erasing()
    with scene.store.transaction() as tx:
        unsigned = log_rows.unsigned(tx)
        assert unsigned is not None
        log_rows.store_checkpoint(tx, unsigned, note=b"note", now=scene.at())
    return order


def test_a_whole_story_checks(scene: Any) -> None:
    story(scene)
    scene.deprovision()
    result = checked(scene)
    assert (result.deprovisions, result.log_entries, result.checkpoints) == (2, 2, 1)
    assert result.events > 10


def test_a_state_changed_behind_the_ledgers_back_is_found(scene: Any) -> None:
    order = story(scene)
    with scene.store.transaction() as tx:
        row = deprovision.c.id == order.deprovision
        tx.execute(update(deprovision).where(row).values(state=State.RELEASED))
    assert "is released in attempt 1, but the ledger tells of erasing" in found(scene)


def test_an_attempt_changed_behind_the_ledgers_back_is_found(scene: Any) -> None:
    story(scene)
    edit(scene, "UPDATE deprovision SET attempt = 2")
    assert "in attempt 2" in found(scene)


def test_a_row_without_events_and_events_without_a_row_are_found(scene: Any) -> None:
    key = scene.deprovision()
    edit(scene, "UPDATE deprovision SET id = ?", "dep_" + "0" * 32)
    assert "stands in" in found(scene)
    edit(scene, "DELETE FROM deprovision")
    assert found(scene) == f"{key} stands in the ledger only"


@pytest.mark.parametrize(
    ("statement", "value", "reason"),
    [
        ("UPDATE log_entry SET entry = ? WHERE seq = 1", b"forged", "log entry 1 was altered"),
        ("UPDATE log_entry SET leaf_hash = ? WHERE seq = 1", "f" * 64, "log entry 1 was altered"),
        ("DELETE FROM log_entry WHERE seq = ?", 1, "log entry 1 is missing"),
        ("DELETE FROM log_entry WHERE seq = ?", 0, "log entry 1 and its"),
        ("UPDATE log_entry SET ledger_seq = ? WHERE seq = 1", 1, "log entry 1 and its"),
        ("UPDATE log_checkpoint SET root = ?", "f" * 64, "the checkpoint of 2 entries"),
        ("UPDATE log_checkpoint SET size = ?", 9, "the checkpoint of 9 entries"),
    ],
)
def test_each_alteration_of_the_log_is_found(scene: Any, statement: str, value: Any, reason: str) -> None:
    story(scene)
    edit(scene, statement, value)
    assert found(scene).startswith(reason)


def test_an_altered_ledger_is_found_before_anything_is_compared_with_it(scene: Any) -> None:
    story(scene)
    edit(scene, "UPDATE ledger_event SET body = '{}' WHERE seq = 3")
    assert found(scene) == "event 3 was altered"
