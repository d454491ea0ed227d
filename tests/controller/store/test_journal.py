"""Journal lines are kept as they came; a step is allowed once, and only at the point where it may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from certificate.errors import Refused
from certificate.messages import JournalLine
from controller.errors import Code, LostRace
from controller.states import State
from controller.store import journal, ledger, orders
from controller.store.journal import acknowledgement, journal_line

START = "start:" + "a" * 64 + ":nvme_sanitize_crypto"
MARKERS = "markers:" + "a" * 64


def store_line(scene: Any, order: Any, read: JournalLine) -> journal.StoredLine:
    with scene.store.transaction() as tx:
        return journal.store_line(tx, order.id, read=read, line=read.write(), now=scene.at())


def grant(scene: Any, order: Any, seq: int, fence: int, seconds: float = 0) -> journal.Acknowledgement:
    with scene.store.transaction() as tx:
        return journal.grant(tx, order.id, seq=seq, fence=fence, now=scene.at(seconds))


def code_of(refused: Any) -> Code:
    code: Code = refused.value.code
    return code


def test_lines_are_kept_as_the_bytes_that_came(scene: Any) -> None:
    order, _ = scene.erasing()
    scene.store_lines(order, "", MARKERS, "")
    with scene.store.snapshot() as tx:
        lines = journal.lines(tx, order.id)
        assert journal.last_line(tx, order.id) == lines[-1]
        assert journal.line_at(tx, order.id, 1) == lines[1]
        assert journal.line_at(tx, order.id, 3) is None
    assert [(line.seq, line.step, line.needs_ack) for line in lines] == [
        (0, "", False),
        (1, MARKERS, True),
        (2, "", False),
    ]
    assert lines[0].line == scene.line(order, 0).write()


def test_the_same_line_again_is_no_news(scene: Any) -> None:
    order, _ = scene.erasing()
    first = store_line(scene, order, scene.line(order, 0))
    scene.store_lines(order, "", "")
    assert store_line(scene, order, scene.line(order, 0)) == first


def test_another_line_under_the_same_number_is_refused_and_the_first_kept(scene: Any) -> None:
    order, _ = scene.erasing()
    first = store_line(scene, order, scene.line(order, 0))
    with pytest.raises(Refused) as refused:
        store_line(scene, order, replace(scene.line(order, 0), at_ms=7))
    assert code_of(refused) is Code.JOURNAL_FORKED
    with scene.store.snapshot() as tx:
        assert journal.lines(tx, order.id) == (first,)


@pytest.mark.parametrize(("seq", "previous"), [(0, "f" * 64), (1, "0" * 64), (2, "0" * 64)])
def test_a_journal_begins_with_its_first_line(scene: Any, seq: int, previous: str) -> None:
    order, _ = scene.erasing()
    with pytest.raises(Refused) as refused:
        store_line(scene, order, scene.line(order, seq, previous=previous))
    assert code_of(refused) is Code.JOURNAL_GAP


@pytest.mark.parametrize("seq", [1, 2])
def test_a_line_that_does_not_stand_on_the_newest_is_refused(scene: Any, seq: int) -> None:
    order, _ = scene.erasing()
    first = store_line(scene, order, scene.line(order, 0))
    previous = first.line_digest if seq == 2 else "f" * 64
    with pytest.raises(Refused) as refused:
        store_line(scene, order, scene.line(order, seq, previous=previous))
    assert code_of(refused) is Code.JOURNAL_GAP


def test_a_line_of_another_token_is_refused(scene: Any) -> None:
    order, _ = scene.erasing()
    with pytest.raises(Refused) as refused:
        store_line(scene, order, replace(scene.line(order, 0), token="f" * 32))
    assert code_of(refused) is Code.NOT_THIS_ORDER


def test_a_step_is_granted_to_the_line_that_asked_and_to_no_other(scene: Any) -> None:
    order, fence = scene.erasing()
    scene.store_lines(order, MARKERS, START, START)
    granted = grant(scene, order, 1, fence, 1)
    assert (granted.step, granted.seq, granted.requested_at_ms) == (START, 1, 1_001)
    assert grant(scene, order, 1, fence, 9) == granted
    with pytest.raises(Refused) as refused:
        grant(scene, order, 2, fence)
    assert code_of(refused) is Code.ALREADY_STORED
    with scene.store.snapshot() as tx:
        assert journal.acknowledgements(tx, order.id) == (granted,)
        assert journal.last_granted_at(tx, order.deprovision) == scene.at(1)
        told = [event.body for event in ledger.events(tx) if event.kind == "acknowledgement-granted"]
    assert told == [{"order": order.id, "journal_seq": 1, "step": START}]


def test_a_line_that_asks_for_nothing_and_one_we_do_not_have_are_not_granted(scene: Any) -> None:
    order, fence = scene.erasing()
    scene.store_lines(order, "", START)
    for seq in (0, 2):
        with pytest.raises(Refused) as refused:
            grant(scene, order, seq, fence)
        assert code_of(refused) is Code.NOT_IN_STORE


def test_only_the_holder_of_the_lease_grants(scene: Any) -> None:
    order, fence = scene.erasing()
    scene.store_lines(order, START)
    scene.claim(order.deprovision, "worker-2", 61)
    with pytest.raises(LostRace):
        grant(scene, order, 0, fence)


def test_nothing_is_granted_once_the_deprovision_left_erasing(scene: Any) -> None:
    order, fence = scene.erasing()
    scene.store_lines(order, START)
    scene.needs_operator(order.deprovision, State.ERASING, fence)
    with pytest.raises(LostRace):
        grant(scene, order, 0, fence)
    with scene.store.snapshot() as tx:
        assert journal.last_granted_at(tx, order.deprovision) is None


def test_nothing_is_granted_once_the_order_was_answered(scene: Any) -> None:
    order, fence = scene.erasing()
    scene.store_lines(order, START)
    with scene.store.transaction() as tx:
        orders.answer_absent(tx, order.id, envelope=scene.signed("absent"), now=scene.at())
    with pytest.raises(LostRace):
        grant(scene, order, 0, fence)


@pytest.mark.parametrize(
    "statement",
    [
        update(acknowledgement).values(seq=9),
        delete(acknowledgement),
        update(journal_line).values(kind="x"),
        delete(journal_line),
    ],
)
def test_the_database_refuses_to_change_what_was_said_and_granted(scene: Any, statement: Any) -> None:
    order, fence = scene.erasing()
    scene.store_lines(order, START)
    grant(scene, order, 0, fence)
    with pytest.raises(IntegrityError, match="append-only"), scene.store.transaction() as tx:
        tx.execute(statement)
