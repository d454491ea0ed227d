"""`expunge hook`: the hint arrives, listener or not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.spool import Hint, HintEvent, Spool
from controller.store import hints


def spooled(home: Any) -> list[Hint]:
    found: list[Hint] = []
    Spool(home.spool).drain(found.append, now=datetime.now(UTC))
    return found


def test_a_hint_goes_to_the_running_serve(served_desk: Any, expunge: Any) -> None:
    said = expunge("hook", "ended", "sub-1", "--home", served_desk.home.path)
    assert (said.code, said.out) == (0, "ended sub-1: taken by serve\n")
    assert spooled(served_desk.home) == []
    with served_desk.desk.store.snapshot() as tx:
        assert [hint.event for hint in hints.untaken(tx, limit=9)] == [HintEvent.ENDED]


def test_without_a_listener_it_is_kept_in_the_spool_and_the_line_says_so(founded: Any, expunge: Any) -> None:
    said = expunge("hook", "renewed", "sub-1", "--home", founded.home.path)
    assert said.code == 0
    assert "kept in the spool" in said.out
    (hint,) = spooled(founded.home)
    assert (hint.event, hint.subscription) == (HintEvent.RENEWED, "sub-1")


def test_a_serve_that_breaks_loses_no_hint(
    served_desk: Any, expunge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("controller.api.desk.hints.receive", breaks)
    said = expunge("hook", "ended", "sub-1", "--home", served_desk.home.path)
    assert (said.code, said.out) == (0, "ended sub-1: not taken by serve; kept in the spool until it runs\n")
    assert len(spooled(served_desk.home)) == 1


def test_json_says_the_same(founded: Any, expunge: Any) -> None:
    said = expunge("hook", "ended", "sub-1", "--home", founded.home.path, "--json")
    assert said.json == {"event": "ended", "subscription": "sub-1", "to": "spool"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["deleted", "sub-1"], 2), (["ended"], 2), (["ended", "a\nb"], 3), (["ended", ""], 3)],
)
def test_what_is_no_hint_is_refused_and_nothing_is_kept(
    founded: Any, expunge: Any, arguments: list[str], code: int
) -> None:
    assert expunge("hook", *arguments, "--home", founded.home.path).code == code
    assert spooled(founded.home) == []


def test_a_folder_that_is_no_home_gets_no_hint(tmp_path: Path, expunge: Any) -> None:
    said = expunge("hook", "ended", "sub-1", "--home", tmp_path / "typo")
    assert said.code == 3
    assert said.err.startswith("HOME_MISSING")
    assert list(tmp_path.iterdir()) == []
