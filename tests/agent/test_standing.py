"""What became of a token, and the absence that is final."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agent import durable
from agent.run_directory import RunDirectory
from certificate.messages import AskStatus

NEVER_SEEN = "ab" * 16


def release(lab: Any) -> None:
    """The executing process is gone: nobody holds the lock any more."""
    while lab.locks:
        os.close(lab.locks.pop())


def interrupted_at(lab: Any, kind: str, **run: Any) -> Any:
    """An order whose execution was cut short right after its first line of this kind."""

    class Killed(BaseException):
        pass

    def die(line: Any) -> None:
        if line.kind == kind:
            if run.get("acked"):
                lab.ack(order, line)
            raise Killed

    order = lab.accept()
    with pytest.raises(Killed):
        lab.run(order, after=die)
    return order


def test_a_token_this_boot_never_saw_is_absent_and_not_finally(make_lab: Any) -> None:
    lab = make_lab()
    answer = lab.status(NEVER_SEEN)
    assert (answer.state, answer.absence, answer.journal_lines) == ("absent", None, 0)
    assert lab.order() is not None


def test_a_final_absence_is_signed_by_this_boots_key(make_lab: Any) -> None:
    lab = make_lab()
    answer = lab.status(NEVER_SEEN, finalise=True)
    statement, _ = lab.root.open_absence(answer.absence.encode(), boot_id=lab.record.boot_id)
    absence = statement.predicate
    assert (absence.token, absence.order, absence.is_final) == (NEVER_SEEN, "not_applicable", True)
    assert absence.reason == "ORDER_NEVER_ACCEPTED"


def test_a_final_absence_is_the_same_however_often_it_is_asked_for(make_lab: Any) -> None:
    lab = make_lab()
    first = lab.status(NEVER_SEEN, finalise=True)
    assert lab.status(NEVER_SEEN, finalise=True) == first
    assert lab.status(NEVER_SEEN) == first


def test_an_accepted_order_that_never_began_becomes_finally_absent(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    release(lab)
    assert lab.status(order.token).state == "absent"
    answer = lab.status(order.token, finalise=True)
    statement, _ = lab.root.open_absence(answer.absence.encode(), boot_id=lab.record.boot_id)
    assert (statement.predicate.order, statement.predicate.reason) == (order.order, "ORDER_NOT_BEGUN")


def test_a_poisoned_token_begins_nothing_even_when_a_process_starts_late(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    release(lab)
    lab.status(order.token, finalise=True)
    with pytest.raises(Exception, match="TOKEN_POISONED"):
        lab.run(order)
    assert lab.drives[0].state().sanitize.status == "never"


def test_an_execution_left_behind_is_not_begun_again(make_lab: Any) -> None:
    """Only what was just accepted may begin: a journal with more in it is another process's."""
    lab = make_lab()
    order = interrupted_at(lab, "opened")
    with pytest.raises(Exception, match="TOKEN_SPENT"):
        lab.run(order)


def test_a_finished_execution_is_done_and_cannot_be_finalised(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    for finalise in (False, True):
        answer = lab.status(order.token, finalise=finalise)
        assert (answer.state, answer.absence) == ("done", None)


@pytest.mark.parametrize("kind", ["opened", "markers_committed"])
def test_what_was_not_acknowledged_before_a_kill_is_absent(make_lab: Any, kind: str) -> None:
    lab = make_lab()
    order = interrupted_at(lab, kind)
    assert lab.status(order.token).state == "absent"
    assert lab.status(order.token, finalise=True).absence is not None
    assert lab.drives[0].state().sanitize.status == "never"


@pytest.mark.parametrize("kind", ["marked", "start", "sent", "progress", "ended", "readback"])
def test_what_may_have_begun_is_unknown_and_is_never_finalised(make_lab: Any, kind: str) -> None:
    lab = make_lab()
    order = interrupted_at(lab, kind)
    for finalise in (False, True):
        answer = lab.status(order.token, finalise=finalise)
        assert (answer.state, answer.absence) == ("unknown", None)


def test_an_acknowledgement_that_stands_makes_an_absence_impossible(make_lab: Any) -> None:
    """The controller has let the first irreversible step begin; whether it did, the files cannot tell."""
    lab = make_lab()
    order = interrupted_at(lab, "markers_committed", acked=True)
    assert lab.status(order.token, finalise=True).state == "unknown"


def test_after_evidence_the_answer_is_done_though_the_last_line_is_missing(make_lab: Any) -> None:
    lab = make_lab()
    order = interrupted_at(lab, "evidence")
    assert lab.status(order.token).state == "done"


def test_an_absence_killed_at_any_write_is_given_the_next_time(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between poison and signature: the token is given up already, and the next asking signs it."""

    class Killed(BaseException):
        pass

    written, original = [0], durable.write_whole

    def counting(path: Path, data: bytes, *, mode: int = durable.OWNER_ONLY) -> None:
        written[0] += 1
        if written[0] == dies_at:
            raise Killed
        original(path, data, mode=mode)

    lab = make_lab()
    for dies_at in (1, 2):
        token = f"{dies_at:032x}"
        written[0] = 0
        monkeypatch.setattr(durable, "write_whole", counting)
        with pytest.raises(Killed):
            lab.status(token, finalise=True)
        monkeypatch.setattr(durable, "write_whole", original)
        assert lab.status(token, finalise=True).absence is not None


def test_a_journal_that_was_changed_gives_no_standing(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    file = RunDirectory(lab.run_directory.path).tokens_folder / order.token / "journal.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"kind":"sent"', b'"kind":"lost"'))
    answer = lab.ask(AskStatus(token=order.token, finalise=False))
    assert answer.code == "JOURNAL_BROKEN"
