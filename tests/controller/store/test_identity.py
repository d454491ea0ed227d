"""Fences rise and never repeat, whatever happens to the store."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from certificate.errors import Refused
from controller.errors import Code
from controller.store import identity, ledger


def test_a_store_has_one_identity(scene: Any) -> None:
    with pytest.raises(Refused) as refused, scene.store.transaction() as tx:
        identity.create(tx, store_id="0" * 64, machine_id="m", now=scene.at())
    assert refused.value.code is Code.ALREADY_STORED
    with scene.store.snapshot() as tx:
        assert identity.load(tx).store_id == scene.digest("store")


def test_fences_rise_across_transactions_and_epochs(scene: Any) -> None:
    fences = []
    for epoch in range(3):
        for _ in range(3):
            with scene.store.transaction() as tx:
                fences.append(identity.next_fence(tx))
        with scene.store.transaction() as tx:
            fences.append(identity.next_fence(tx))
            began = identity.begin_epoch(tx, above=0, machine_id="m", now=scene.at())
            assert began.epoch == epoch + 1
    assert fences == sorted(set(fences))
    assert fences[-1] == 2 * 2**32 + 4


def test_a_fence_of_a_transaction_that_failed_is_taken_by_nobody_before_it(scene: Any) -> None:
    with scene.store.transaction() as tx:
        first = identity.next_fence(tx)
    scene.rolled_back(identity.next_fence)
    with scene.store.transaction() as tx:
        assert identity.next_fence(tx) > first


def test_a_new_epoch_stands_above_every_one_the_world_has_seen(scene: Any) -> None:
    with scene.store.transaction() as tx:
        assert identity.begin_epoch(tx, above=41, machine_id="m2", now=scene.at()).epoch == 42
        assert identity.load(tx).machine_id == "m2"
        assert identity.next_fence(tx) == 42 * 2**32 + 1
        newest = list(ledger.events(tx))[-1]
    assert (newest.kind, newest.body) == ("epoch-begun", {"epoch": 42, "former_epoch": 0})


def test_a_fence_beyond_signed_json_is_never_made(scene: Any) -> None:
    with scene.store.transaction() as tx, pytest.raises(ValueError, match="signed JSON"):
        identity.begin_epoch(tx, above=identity.MAX_EPOCH, machine_id="m", now=scene.at())
    assert (identity.MAX_EPOCH + 1) * 2**32 == 2**53


def test_an_exhausted_epoch_gives_no_fence(scene: Any) -> None:
    with scene.store.transaction() as tx:
        tx.execute(update(identity.store_identity).values(counter=2**32 - 2))
    with scene.store.transaction() as tx:
        assert identity.next_fence(tx) == 2**32 - 1
        with pytest.raises(Refused):
            identity.next_fence(tx)
