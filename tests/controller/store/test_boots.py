"""A boot is prepared before it happens, proven once, and its keys are pinned from then on."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from certificate.errors import Refused
from controller.errors import LostRace
from controller.store import boots, ledger


def prove(scene: Any, key: Any, number: int, name: str = "agent") -> boots.StoredBoot:
    with scene.store.transaction() as tx:
        return boots.prove(
            tx,
            key,
            number,
            boot_id=scene.digest(name),
            evidence_key=scene.digest(f"{name} key"),
            host_key_blob="AAAA",
            now=scene.at(1),
        )


def test_a_boot_is_on_record_before_anything_is_started(scene: Any) -> None:
    key = scene.deprovision()
    with scene.store.snapshot() as tx:
        assert boots.latest(tx, key, attempt=1) is None
        assert boots.newest_number(tx, key) == 0
    first, second = scene.boot(key), scene.boot(key)
    assert (first.number, second.number) == (1, 2)
    assert first.config_digest == hashlib.sha256(first.config_envelope).hexdigest()
    assert (first.is_proven, first.boot_id, first.sealed_secret) == (False, None, b"sealed")
    with scene.store.snapshot() as tx:
        assert boots.latest(tx, key, attempt=1) == second
        assert boots.load(tx, key, 1) == first


def test_a_proof_pins_the_keys_of_the_boot(scene: Any) -> None:
    key = scene.deprovision()
    boot = prove(scene, key, scene.boot(key).number)
    assert (boot.is_proven, boot.boot_id) == (True, scene.digest("agent"))
    with pytest.raises(LostRace):
        prove(scene, key, 1, "impostor")
    with scene.store.snapshot() as tx:
        assert boots.by_boot_id(tx, scene.digest("agent")) == boot
        assert boots.by_boot_id(tx, scene.digest("impostor")) is None


def test_an_older_boot_cannot_be_proven_after_the_next_was_prepared(scene: Any) -> None:
    key = scene.deprovision()
    scene.boot(key)
    scene.boot(key)
    with pytest.raises(LostRace):
        prove(scene, key, 1)
    assert prove(scene, key, 2).is_proven


def test_a_boot_that_was_never_prepared_is_not_proven(scene: Any) -> None:
    key = scene.deprovision()
    with pytest.raises(LostRace):
        prove(scene, key, 1)
    with pytest.raises(Refused), scene.store.snapshot() as tx:
        boots.load(tx, key, 1)


def test_secrets_are_forgotten_with_the_deprovision(scene: Any) -> None:
    key, other = scene.deprovision(), scene.deprovision()
    scene.boot(key)
    scene.boot(other)
    with scene.store.transaction() as tx:
        boots.forget_secrets(tx, key)
        assert boots.load(tx, key, 1).sealed_secret is None
        assert boots.load(tx, other, 1).sealed_secret == b"sealed"


def test_the_same_inventory_twice_is_one_and_another_is_the_newest(scene: Any) -> None:
    key = scene.deprovision()

    def take(boot: str, line: bytes) -> boots.StoredInventory:
        with scene.store.transaction() as tx:
            boot_id = scene.digest(boot)
            return boots.record_inventory(tx, key, boot_id=boot_id, line=line, now=scene.at())

    first = take("b1", b"{}\n")
    assert take("b1", b"{}\n") == first
    second = take("b1", b"{ }\n")
    third = take("b2", b"{ }\n")
    assert first.number < second.number < third.number
    with scene.store.snapshot() as tx:
        assert boots.latest_inventory(tx, key) == third
        assert [event.kind for event in ledger.events(tx)].count("inventory-taken") == 3
    assert take("b1", b"{}\n").number > third.number


def test_a_boot_and_its_inventory_count_in_their_own_attempt_only(scene: Any) -> None:
    key = scene.deprovision()
    first = prove(scene, key, scene.boot(key).number)
    with scene.store.transaction() as tx:
        read = boots.record_inventory(tx, key, boot_id=scene.digest("agent"), line=b"{}\n", now=scene.at())
        assert boots.latest(tx, key, attempt=1) == first
        assert boots.latest(tx, key, attempt=2) is None
        assert boots.latest_inventory(tx, key, attempt=1) == read
        assert boots.latest_inventory(tx, key, attempt=2) is None
        assert boots.latest_inventory(tx, key) == read
    second = scene.boot(key, attempt=2)
    assert (second.number, second.attempt) == (2, 2)
    with scene.store.snapshot() as tx:
        assert boots.latest(tx, key, attempt=2) == second
        assert boots.latest(tx, key, attempt=1) == first


def test_a_boot_of_an_earlier_attempt_cannot_be_proven_after_the_next_was_prepared(scene: Any) -> None:
    key = scene.deprovision()
    scene.boot(key)
    scene.boot(key, attempt=2)
    with pytest.raises(LostRace):
        prove(scene, key, 1)
