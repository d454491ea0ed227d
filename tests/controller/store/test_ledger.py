"""The ledger cannot be changed unnoticed, and tells every state by itself."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from certificate.errors import Refused
from controller.errors import Code, LostRace
from controller.states import State
from controller.store import ledger
from controller.store.events import StoreCreated
from controller.store.ledger import ledger_event


def told(scene: Any) -> list[ledger.LedgerEvent]:
    with scene.store.snapshot() as tx:
        return list(ledger.events(tx))


def edited(scene: Any, *statements: tuple[str, tuple[Any, ...]]) -> str | None:
    """Edits as whoever owns the file may, triggers dropped; what the check then says."""
    connection = sqlite3.connect(scene.path, isolation_level=None)
    for verb in ("update", "delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS ledger_event_refuse_{verb}")
    for statement, values in statements:
        connection.execute(statement, values)
    connection.close()
    with scene.store.snapshot() as tx:
        try:
            ledger.check(tx)
        except Refused as refusal:
            return f"{refusal.code}: {refusal.reason}"
    return None


def test_the_first_event_is_the_stores_own_and_stands_on_nothing(scene: Any) -> None:
    (first,) = told(scene)
    assert (first.seq, first.kind, first.previous) == (1, "store-created", "0" * 64)
    assert first.body == {"store_id": scene.digest("store")}


def test_an_events_digest_can_be_computed_from_its_exported_line_alone(scene: Any) -> None:
    scene.approved()
    with scene.store.snapshot() as tx:
        lines = list(ledger.export(tx))
    previous = "0" * 64
    for number, line in enumerate(lines, start=1):
        assert line.endswith("}\n")
        fields = json.loads(line)
        digest = fields.pop("digest")
        assert (fields["seq"], fields["previous"]) == (number, previous)
        assert hashlib.sha256(rfc8785.dumps(fields)).hexdigest() == digest
        previous = digest
    assert len(lines) == len(told(scene)) > 5


@pytest.mark.parametrize("statement", [update(ledger_event).values(kind="x"), delete(ledger_event)])
def test_the_database_refuses_to_change_an_event(scene: Any, statement: Any) -> None:
    with pytest.raises(IntegrityError, match="append-only"), scene.store.transaction() as tx:
        tx.execute(statement)
    assert len(told(scene)) == 1


def test_replacing_an_event_by_its_key_is_refused_too(scene: Any) -> None:
    with pytest.raises(IntegrityError, match="append-only"), scene.store.transaction() as tx:
        tx.exec_driver_sql(
            "REPLACE INTO ledger_event SELECT seq, at, 'forged', deprovision, body, previous, digest"
            " FROM ledger_event WHERE seq = 1"
        )


def test_an_untouched_ledger_checks(scene: Any) -> None:
    scene.approved()
    assert edited(scene) is None


def test_each_altered_field_of_an_event_is_found(scene: Any) -> None:
    scene.approved()
    original = told(scene)[3]
    forged = {
        "at": "2030-01-01T12:00:00.000001Z",
        "kind": "state-moved2",
        "deprovision": "dep_" + "0" * 32,
        "body": "{}",
        "previous": "f" * 64,
        "digest": "e" * 64,
    }
    for column, value in forged.items():
        change = f"UPDATE ledger_event SET {column} = ? WHERE seq = 4"  # noqa: S608
        former = original.body_text if column == "body" else getattr(original, column)
        assert (edited(scene, (change, (value,))) or "").startswith("LEDGER_BROKEN"), column
        assert edited(scene, (change, (former,))) is None


def test_a_body_with_another_spelling_of_the_same_value_is_found(scene: Any) -> None:
    text = told(scene)[0].body_text
    change = "UPDATE ledger_event SET body = ? WHERE seq = 1"
    assert "altered" in (edited(scene, (change, (text.replace(":", ": "),))) or "")
    assert "altered" in (edited(scene, (change, ("not json",))) or "")


def test_a_dropped_event_is_found_in_the_middle_and_an_inserted_one_before_the_first(scene: Any) -> None:
    scene.approved()
    columns = "at, kind, deprovision, body, previous"
    insert = f"INSERT INTO ledger_event SELECT 0, {columns}, ? FROM ledger_event WHERE seq = 1"  # noqa: S608
    assert "outside its order" in (edited(scene, (insert, ("0" * 64,))) or "")
    assert edited(scene, ("DELETE FROM ledger_event WHERE seq = 0", ())) is None
    assert "missing" in (edited(scene, ("DELETE FROM ledger_event WHERE seq = 3", ())) or "")


def test_an_event_resealed_after_a_change_breaks_the_next_one(scene: Any) -> None:
    scene.approved()
    event = told(scene)[2]
    body = rfc8785.dumps({**event.body, "forged": 1}).decode()
    fields = {
        "seq": event.seq,
        "at": event.at,
        "kind": event.kind,
        "deprovision": event.deprovision,
        "body": json.loads(body),
        "previous": event.previous,
    }
    digest = hashlib.sha256(rfc8785.dumps(fields)).hexdigest()
    change = "UPDATE ledger_event SET body = ?, digest = ? WHERE seq = 3"
    assert "event 4 does not stand" in (edited(scene, (change, (body, digest))) or "")


def test_a_cut_end_is_not_found_by_the_chain_but_by_the_anchor(scene: Any) -> None:
    scene.host()
    assert edited(scene, ("DELETE FROM ledger_event WHERE seq = 2", ())) is None
    with scene.store.snapshot() as tx:
        assert scene.keeper.compare(tx).is_frozen


def test_the_states_of_all_deprovisions_fold_from_the_ledger_alone(scene: Any) -> None:
    approved, _ = scene.approved()
    scheduled = scene.deprovision()
    failed, other_fence = scene.approved()
    scene.needs_operator(failed, State.APPROVED, other_fence)
    scene.move(
        failed, State.NEEDS_OPERATOR, State.SCHEDULED, other_fence, is_command=True, begins_attempt=True
    )
    assert ledger.fold(told(scene)) == {
        approved: ledger.Folded(state=State.APPROVED, attempt=1),
        scheduled: ledger.Folded(state=State.SCHEDULED, attempt=1),
        failed: ledger.Folded(state=State.SCHEDULED, attempt=2),
    }


def test_a_fold_refuses_a_move_from_where_the_deprovision_was_not(scene: Any) -> None:
    scene.approved()
    events = told(scene)
    moved = [event for event in events if event.kind == "state-moved"]
    for missing in moved[:-1]:
        with pytest.raises(Refused) as refused:
            ledger.fold([event for event in events if event is not missing])
        assert refused.value.code is Code.LEDGER_BROKEN
    with pytest.raises(Refused):
        ledger.fold(events + [event for event in events if event.kind == "deprovision-scheduled"])


def test_an_event_vanishes_with_the_transaction_that_failed(scene: Any) -> None:
    scene.rolled_back(lambda tx: ledger.append(tx, StoreCreated(store_id="a" * 64), now=scene.at()))
    assert len(told(scene)) == 1


def test_of_two_writers_on_one_head_the_slower_loses(scene: Any, mocker: Any) -> None:
    with scene.store.snapshot() as tx:
        stale = ledger.head(tx)
    scene.host()
    mocker.patch("controller.store.ledger.head", return_value=stale)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        ledger.append(tx, StoreCreated(store_id="a" * 64), now=scene.at())


def test_the_story_of_one_deprovision_is_read_in_order(scene: Any) -> None:
    first, _ = scene.approved()
    scene.approved()
    with scene.store.snapshot() as tx:
        story = list(ledger.events(tx, deprovision=first))
    assert [event.kind for event in story] == ["deprovision-scheduled", *["state-moved"] * 4]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batch=st.integers(min_value=1, max_value=9))
def test_events_are_read_whole_whatever_the_size_of_a_batch(scene: Any, batch: int) -> None:
    former, ledger._BATCH = ledger._BATCH, batch
    try:
        if len(told(scene)) < 5:
            scene.approved()
        assert [event.seq for event in told(scene)] == list(range(1, len(told(scene)) + 1))
    finally:
        ledger._BATCH = former
