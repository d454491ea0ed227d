"""Evidence is kept whole and once; verdicts come for all media at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.vocabulary import Result, ValidationDecision
from controller.errors import Code, LostRace
from controller.store import evidence, orders
from controller.store.orders import FinalAnswer


def receive(scene: Any, order: Any, text: str = "evidence", annex: bytes = b"{}") -> Any:
    with scene.store.transaction() as tx:
        return evidence.receive(tx, order.id, envelope=scene.signed(text), annex=annex, now=scene.at(5))


def verdict(scene: Any, medium: str, decision: ValidationDecision) -> evidence.Verdict:
    return evidence.Verdict(
        medium=scene.digest(medium), result=Result.ERASED, decision=decision, claim={"grade": "x", "n": 1}
    )


def test_evidence_answers_its_order(scene: Any) -> None:
    order, _ = scene.erasing()
    stored = receive(scene, order)
    assert receive(scene, order) == stored
    with scene.store.snapshot() as tx:
        assert evidence.of_order(tx, order.id) == stored
        assert evidence.of_deprovision(tx, order.deprovision) == (stored,)
        answered = orders.load(tx, order.id)
    assert (answered.answer, answered.answered_at) == (FinalAnswer.DONE, scene.at(5))


@pytest.mark.parametrize("other", [{"text": "forged"}, {"annex": b"other"}])
def test_other_evidence_of_the_same_order_is_refused(scene: Any, other: dict[str, Any]) -> None:
    order, _ = scene.erasing()
    stored = receive(scene, order)
    with pytest.raises(Refused) as refused:
        receive(scene, order, **other)
    assert refused.value.code is Code.ALREADY_STORED
    with scene.store.snapshot() as tx:
        assert evidence.of_order(tx, order.id) == stored


def test_evidence_of_an_order_that_was_never_sent_or_answered_absent_is_not_taken(scene: Any) -> None:
    with pytest.raises(LostRace):
        receive(scene, scene.intended())
    order, _ = scene.erasing()
    with scene.store.transaction() as tx:
        orders.answer_absent(tx, order.id, envelope=scene.signed("absent"), now=scene.at())
    with pytest.raises(LostRace):
        receive(scene, order)
    with scene.store.snapshot() as tx:
        assert evidence.of_order(tx, order.id) is None


def test_verdicts_are_recorded_for_all_media_at_once_and_never_changed(scene: Any) -> None:
    order, _ = scene.erasing()
    receive(scene, order)
    pair = [verdict(scene, name, ValidationDecision.ACCEPT) for name in ("m1", "m2")]

    def record(verdicts: list[evidence.Verdict]) -> tuple[evidence.Verdict, ...]:
        with scene.store.transaction() as tx:
            return evidence.record_verdicts(tx, order.id, verdicts, now=scene.at())

    first = record(pair)
    assert record(pair[::-1]) == first == tuple(sorted(pair, key=lambda one: one.medium))
    with scene.store.snapshot() as tx:
        assert evidence.verdicts_of(tx, order.id) == first
    for other in (pair[:1], [pair[0], replace(pair[1], decision=ValidationDecision.REJECT)]):
        with pytest.raises(Refused) as refused:
            record(other)
        assert refused.value.code is Code.ALREADY_STORED


def test_verdicts_over_no_media_are_not_verdicts(scene: Any) -> None:
    order, _ = scene.erasing()
    receive(scene, order)
    with pytest.raises(ValueError, match="no media"), scene.store.transaction() as tx:
        evidence.record_verdicts(tx, order.id, [], now=scene.at())
