"""What may have been done to the world is on record before the first byte."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from controller.facts import Effect
from controller.store import effects_begun, ledger


def test_the_newest_beginning_of_each_effect_counts_by_attempt_or_over_all(scene: Any) -> None:
    key, other = scene.deprovision(), scene.deprovision()
    with scene.store.transaction() as tx:
        for row, attempt, effect, seconds in (
            (key, 1, Effect.ISOLATE, 5),
            (key, 1, Effect.ISOLATE, 1),
            (key, 2, Effect.BOOT, 7),
            (other, 1, Effect.RESTORE, 9),
        ):
            effects_begun.begin(tx, row, attempt=attempt, effect=effect, now=scene.at(seconds))
        any_attempt = effects_begun.begun(tx, key, attempt=None)
        assert any_attempt == {Effect.ISOLATE: scene.at(5), Effect.BOOT: scene.at(7)}
        assert any_attempt[Effect.BOOT].tzinfo is UTC
        assert effects_begun.begun(tx, key, attempt=1) == {Effect.ISOLATE: scene.at(5)}
        assert effects_begun.begun(tx, key, attempt=3) == {}
        assert [event.kind for event in ledger.events(tx)].count("effect-begun") == 4
