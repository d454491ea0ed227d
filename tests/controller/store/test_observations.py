"""Questions are committed before they are sent, and the newest is the one asked last."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.errors import Refused
from controller.errors import Code, LostRace
from controller.facts import Question
from controller.store import ledger, observations

KIND = Question.SUBSCRIPTION


def ask(scene: Any, seconds: float, about: str = "ten_1") -> int:
    with scene.store.transaction() as tx:
        return observations.ask(tx, KIND, about, now=scene.at(seconds)).sequence


def answer(scene: Any, sequence: int, word: str, seconds: float, **more: Any) -> None:
    with scene.store.transaction() as tx:
        observations.answer(tx, sequence, answer=word, now=scene.at(seconds), **more)


def latest(scene: Any, about: str = "ten_1") -> Any:
    with scene.store.snapshot() as tx:
        return observations.latest(tx, KIND, about)


def test_a_question_is_there_before_its_answer(scene: Any) -> None:
    sequence = ask(scene, 0)
    found = latest(scene)
    assert (found.asked.sequence, found.asked.asked_at, found.answered) == (sequence, scene.at(), None)
    assert found.is_open
    assert latest(scene, "ten_2") is None


def test_an_answer_completes_exactly_its_question(scene: Any) -> None:
    sequence = ask(scene, 0)
    answer(scene, sequence, "ended", 1, raw_digest=scene.digest("raw"), detail={"changed_at": None})
    found = latest(scene)
    assert not found.is_open
    assert found.answered == found.asked
    assert (found.answered.answer, found.answered.answered_at) == ("ended", scene.at(1))
    assert (found.answered.raw_digest, found.answered.detail) == (scene.digest("raw"), {"changed_at": None})


def test_a_question_is_answered_once(scene: Any) -> None:
    sequence = ask(scene, 0)
    answer(scene, sequence, "active", 1)
    with pytest.raises(LostRace):
        answer(scene, sequence, "ended", 2)
    assert latest(scene).answered.answer == "active"
    with pytest.raises(Refused) as refused:
        answer(scene, sequence + 1, "ended", 2)
    assert refused.value.code is Code.NOT_IN_STORE


def test_the_latest_answer_is_the_one_asked_last_not_the_one_stored_last(scene: Any) -> None:
    first, second = ask(scene, 0), ask(scene, 1)
    answer(scene, second, "ended", 2)
    answer(scene, first, "active", 3)
    assert latest(scene).answered.sequence == second
    assert not latest(scene).is_open


def test_a_later_question_without_an_answer_is_seen_to_be_open(scene: Any) -> None:
    answer(scene, ask(scene, 0), "ended", 1)
    second = ask(scene, 2)
    found = latest(scene)
    assert found.is_open
    assert (found.asked.sequence, found.answered.answer) == (second, "ended")


def test_a_contrary_answer_stored_late_to_an_early_question_is_not_lost(scene: Any) -> None:
    early, late = ask(scene, 0), ask(scene, 1)
    answer(scene, late, "ended", 2)
    answer(scene, early, "active", 3)
    with scene.store.snapshot() as tx:
        contrary = observations.latest_contrary(tx, KIND, "ten_1", other_than={"ended"})
    assert contrary is not None
    assert (contrary.sequence, contrary.answered_at) == (early, scene.at(3))


def test_the_contrary_answer_is_the_one_stored_last_and_unanswered_ones_are_none(scene: Any) -> None:
    for seconds, word in ((0, "active"), (2, "unknown"), (4, "ended")):
        answer(scene, ask(scene, seconds), word, seconds + 1)
    ask(scene, 6)
    with scene.store.snapshot() as tx:
        contrary = observations.latest_contrary(tx, KIND, "ten_1", other_than={"ended"})
        assert contrary is not None
        assert (contrary.answer, contrary.answered_at) == ("unknown", scene.at(3))
        others = {"ended", "unknown", "active"}
        assert observations.latest_contrary(tx, KIND, "ten_1", other_than=others) is None


def test_questions_of_other_kinds_and_about_other_things_do_not_mix(scene: Any) -> None:
    answer(scene, ask(scene, 0, "ten_1"), "ended", 1)
    answer(scene, ask(scene, 2, "ten_2"), "active", 3)
    with scene.store.transaction() as tx:
        observations.ask(tx, Question.CLOCK, "ten_1", now=scene.at(9))
    assert latest(scene, "ten_1").answered.answer == "ended"
    assert latest(scene, "ten_2").answered.answer == "active"


def test_only_an_answer_that_differs_from_the_one_before_is_an_event(scene: Any) -> None:
    for seconds, word in enumerate(("ended", "ended", "unknown", "ended")):
        answer(scene, ask(scene, seconds, "billing.example"), word, seconds + 0.5)
    with scene.store.snapshot() as tx:
        told = [event.body for event in ledger.events(tx) if event.kind == "answer-changed"]
    assert [body["answer"] for body in told] == ["ended", "unknown", "ended"]
    assert {body["about"] for body in told} == {scene.digest("billing.example")}


def test_a_sequence_number_is_never_given_twice(scene: Any) -> None:
    last = ask(scene, 0)
    with scene.store.transaction() as tx:
        tx.execute(observations.observation.delete())
    assert ask(scene, 1) > last


def test_an_answer_that_is_no_word_is_refused_with_everything_it_brought(scene: Any) -> None:
    sequence = ask(scene, 0)
    with pytest.raises(Refused) as refused:
        answer(scene, sequence, "<html>", 1)
    assert refused.value.code is Code.LEDGER_TEXT_REFUSED
    assert latest(scene).is_open


def test_what_becomes_known_after_the_clock_was_set_back_does_not_look_older_than_the_question(
    scene: Any,
) -> None:
    ask(scene, 100)
    with scene.store.transaction() as tx:
        assert observations.stamp(tx, scene.at(40)) == scene.at(100)
        assert observations.stamp(tx, scene.at(160)) == scene.at(160)
    late = ask(scene, 50, "ten_2")
    answer(scene, late, "active", 60)
    assert latest(scene, "ten_2").answered.answered_at == scene.at(100)


def test_questions_of_a_dead_process_are_answered_unknown_at_the_next_start(scene: Any) -> None:
    answered, orphan = ask(scene, 0), ask(scene, 1, "ten_2")
    answer(scene, answered, "ended", 2)
    with scene.store.transaction() as tx:
        assert observations.abandon(tx, now=scene.at(3)) == 1
    assert latest(scene).answered.answer == "ended"
    assert latest(scene, "ten_2").answered.sequence == orphan
    assert latest(scene, "ten_2").answered.answer == "unknown"
