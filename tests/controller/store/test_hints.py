"""A hint is stored once, whoever repeats it, and forgotten by no crash."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.errors import Refused
from controller.errors import Code, LostRace
from controller.spool import HintEvent
from controller.store import hints, ledger


def receive(scene: Any, event_id: str, *, seconds: float = 0, **changes: Any) -> hints.StoredHint | None:
    fields: dict[str, Any] = {
        "source": "whmcs",
        "event": HintEvent.ENDED,
        "subscription_ref": scene.digest("sub-1"),
        "now": scene.at(seconds),
    }
    with scene.store.transaction() as tx:
        return hints.receive(tx, event_id=event_id, **(fields | changes))


def test_the_same_event_told_twice_is_one_hint(scene: Any) -> None:
    first = receive(scene, "e1")
    assert first is not None
    assert receive(scene, "e1", seconds=9) is None
    with scene.store.snapshot() as tx:
        assert hints.untaken(tx, limit=10) == (first,)
        assert [event.kind for event in ledger.events(tx)].count("hint-received") == 1


def test_the_same_id_of_another_source_is_another_hint(scene: Any) -> None:
    assert receive(scene, "e1") is not None
    assert receive(scene, "e1", source="stripe") is not None


@pytest.mark.parametrize("change", ["event", "subscription_ref"])
def test_a_renewal_does_not_vanish_behind_an_id_used_again(scene: Any, change: str) -> None:
    receive(scene, "e1")
    other = {"event": HintEvent.RENEWED, "subscription_ref": scene.digest("sub-2")}[change]
    with pytest.raises(Refused) as refused:
        receive(scene, "e1", **{change: other})
    assert refused.value.code is Code.ALREADY_STORED


def test_a_hint_is_open_until_somebody_scheduled_what_it_calls_for(scene: Any) -> None:
    first, second = receive(scene, "e1"), receive(scene, "e2")
    assert first is not None
    assert second is not None
    with scene.store.transaction() as tx:
        assert hints.untaken(tx, limit=1) == (first,)
        hints.take(tx, first.sequence, now=scene.at(1))
        assert hints.untaken(tx, limit=10) == (second,)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        hints.take(tx, first.sequence, now=scene.at(2))


def test_the_newest_hint_is_by_receipt_and_of_the_kind_asked_for(scene: Any) -> None:
    receive(scene, "e1", seconds=5, event=HintEvent.RENEWED)
    receive(scene, "e2", seconds=9)
    receive(scene, "e3", seconds=3)
    receive(scene, "e4", seconds=99, subscription_ref=scene.digest("sub-2"))
    ref = scene.digest("sub-1")
    with scene.store.snapshot() as tx:
        newest, renewal = hints.latest(tx, ref), hints.latest(tx, ref, event=HintEvent.RENEWED)
        assert hints.latest(tx, scene.digest("sub-3")) is None
    assert newest is not None
    assert renewal is not None
    assert (newest.event_id, renewal.event_id) == ("e2", "e1")
