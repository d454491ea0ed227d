"""Holds cover a host, freezes cover everything, and neither ends by itself."""

from __future__ import annotations

from typing import Any

import pytest

from controller.errors import LostRace
from controller.store import stops
from controller.store.stops import Scope, ScopeKind, StopKind


def begin(scene: Any, host: Any) -> int:
    """A hold on one host; a freeze where none is named."""
    scope = stops.EVERYTHING if host is None else Scope(kind=ScopeKind.HOST, host=host)
    with scene.store.transaction() as tx:
        number: int = stops.begin(
            tx,
            kind=StopKind.FREEZE if host is None else StopKind.HOLD,
            scope=scope,
            author=scene.signer.public.keyid,
            matter="litigation",
            review_at=scene.at(1),
            now=scene.at(),
        )
    return number


def lift(scene: Any, number: int) -> None:
    with scene.store.transaction() as tx:
        stops.lift(tx, number, decision_digest=scene.digest("decision"), now=scene.at(2))


def test_a_hold_covers_its_host_and_a_freeze_every_host(scene: Any) -> None:
    first, second = scene.host(), scene.host()
    hold, freeze = begin(scene, first), begin(scene, None)
    with scene.store.snapshot() as tx:
        assert [stop.number for stop in stops.standing(tx, first)] == [hold, freeze]
        assert [stop.number for stop in stops.standing(tx, second)] == [freeze]
        assert [stop.number for stop in stops.freezes(tx)] == [freeze]
    lift(scene, freeze)
    with scene.store.snapshot() as tx:
        assert [stop.number for stop in stops.standing(tx, first)] == [hold]
        assert stops.freezes(tx) == ()


def test_a_stop_is_lifted_once_and_outlives_its_review(scene: Any) -> None:
    host = scene.host()
    number = begin(scene, host)
    with scene.store.snapshot() as tx:
        assert stops.standing(tx, host)[0].review_at < scene.at(9)
    lift(scene, number)
    with pytest.raises(LostRace):
        lift(scene, number)
    with pytest.raises(LostRace):
        lift(scene, number + 1)
