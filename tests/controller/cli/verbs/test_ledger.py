"""`expunge ledger`: the same answer with and without a running `serve`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from controller.store import ledger, open_store


def test_a_ledger_is_checked_by_itself_or_by_serve_with_one_answer(served_desk: Any, expunge: Any) -> None:
    by_serve = expunge("ledger", "check", "--home", served_desk.home.path, "--json")
    assert by_serve.code == 0, by_serve.err
    assert by_serve.json == json.loads(served_desk.desk.check_ledger().to_json())


def test_without_serve_the_check_opens_the_database_for_reading_only(founded: Any, expunge: Any) -> None:
    before = founded.home.anchor.read_bytes()
    said = expunge("ledger", "check", "--home", founded.home.path)
    assert said.code == 0, said.err
    assert "3 events in one chain" in said.out
    assert founded.home.anchor.read_bytes() == before


@pytest.mark.parametrize("change", ["kind = 'order'", "body = '{}'", "at = '2020-01-01T00:00:00.000000Z'"])
def test_an_altered_event_is_found(founded: Any, expunge: Any, change: str) -> None:
    store = open_store(founded.home.database)
    with store.transaction() as tx:
        triggers = tx.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_event'")
        )
        for (name,) in triggers.all():
            tx.execute(text(f'DROP TRIGGER "{name}"'))
        tx.execute(text(f"UPDATE ledger_event SET {change} WHERE seq = 2"))  # noqa: S608
    store.close()
    said = expunge("ledger", "check", "--home", founded.home.path)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("LEDGER_BROKEN")


def test_an_export_is_the_whole_ledger_line_by_line(
    served_desk: Any, expunge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.api.desk.PAGE_LINES", 2)
    for number in range(3):
        expunge("hook", "ended", f"sub-{number}", "--home", served_desk.home.path)
    said = expunge("ledger", "export", "--home", served_desk.home.path)
    assert said.code == 0, said.err
    with served_desk.desk.store.snapshot() as tx:
        assert said.out == "".join(ledger.export(tx))
    assert [json.loads(line)["seq"] for line in said.out.splitlines()] == list(range(1, 7))


def test_an_export_needs_serve(founded: Any, expunge: Any) -> None:
    said = expunge("ledger", "export", "--home", founded.home.path)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("SERVE_UNREACHABLE")
