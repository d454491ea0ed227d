"""`expunge reconcile`: what it shows, what it signs, and what it refuses to touch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certificate.keys import PrivateKey
from controller import reconciling
from controller.keyring import Keyring
from controller.machine import machine_id
from controller.people.acts import reconcile as act
from controller.store import AnchorKeeper, identity, open_store, read_head
from controller.store.anchor import FrozenBecause


@pytest.fixture
def passphrase_fd(founded: Any) -> Callable[[], int]:
    def make() -> int:
        read_end, write_end = os.pipe()
        os.write(write_end, founded.passphrase)
        os.close(write_end)
        return read_end

    return make


@pytest.fixture
def keys(founded: Any, tmp_path: Path) -> tuple[Path, Path]:
    """The operators' private key files."""
    files = (tmp_path / "alice", tmp_path / "bob")
    for file, key in zip(files, founded.operators, strict=True):
        file.write_bytes(key.to_openssh(passphrase=None))
    return files


@pytest.fixture
def restored(founded: Any) -> Any:
    """The home with its database as it was before the last events; the log did not go on meanwhile."""
    home = founded.home
    kept = home.database.with_name("kept.db")
    shutil.copy(home.database, kept)
    keeper = AnchorKeeper(home.anchor, machine_id=machine_id())
    store = open_store(home.database, anchoring=keeper)
    with store.transaction() as tx:
        identity.begin_epoch(tx, above=0, machine_id=machine_id(), now=datetime.now(UTC))
    store.close()
    for suffix in ("-wal", "-shm"):
        home.database.with_name(f"expunge.db{suffix}").unlink(missing_ok=True)
    kept.replace(home.database)
    return founded


@pytest.fixture
def decide(
    expunge: Any,
    restored: Any,
    founded_keyring: Any,
    passphrase_fd: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """decide(key file, *more): one operator signs. The controller's keys are open already: bcrypt is slow."""
    monkeypatch.setattr(Keyring, "open", lambda folder, *, passphrase: founded_keyring)

    def run(key: Path, *more: object) -> Any:
        words = f"reconcile {_store_id(restored.home)[:8]}"
        arguments = ("--reason", "the disk died", "--key", key, "--confirm", words, *more)
        return expunge(
            "reconcile",
            "--home",
            restored.home.path,
            "--decide",
            "--passphrase-fd",
            passphrase_fd(),
            *arguments,
        )

    return run


def _store_id(home: Any) -> str:
    store = open_store(home.database, is_read_only=True)
    with store.snapshot() as tx:
        store_id = read_head(tx).store_id
    store.close()
    return store_id


def test_a_store_that_its_anchor_knows_has_nothing_to_reconcile(expunge: Any, founded: Any) -> None:
    said = expunge("reconcile", "--home", founded.home.path)
    assert (said.code, said.out.splitlines()[0]) == (0, "current")


def test_a_dry_run_shows_why_and_changes_nothing(expunge: Any, restored: Any) -> None:
    before = restored.home.database.read_bytes(), restored.home.anchor.read_bytes()
    said = expunge("reconcile", "--home", restored.home.path)
    assert said.code == 4
    assert said.out.startswith("frozen: store_behind")
    assert "0 of 2 operators signed" in said.out
    assert (restored.home.database.read_bytes(), restored.home.anchor.read_bytes()) == before
    told = expunge("reconcile", "--home", restored.home.path, "--json").json
    assert (told["because"], told["here"]["epoch"], told["anchor"]["epoch"]) == ("store_behind", 0, 1)


def test_two_operators_sign_and_the_second_waits_for_the_instant_that_is_named(
    expunge: Any, restored: Any, decide: Any, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = decide(keys[0])
    assert (first.code, first.out) == (4, "1 of 2: stored; another operator must sign the same\n")
    assert "the store is older than its anchor" in first.err
    early = decide(keys[1])
    assert (early.code, early.out) == (3, "")
    assert "RECONCILE_TOO_EARLY" in early.err
    shown = expunge("reconcile", "--home", restored.home.path)
    assert (shown.code, "1 of 2 operators signed" in shown.out) == (4, True)
    assert "the second signature counts from" in shown.out
    monkeypatch.setattr(reconciling, "ORDER_LIFE", reconciling.STANDS_FOR * 0)
    done = decide(keys[1], "--json")
    assert (done.code, done.json["done"].startswith("epoch ")) == (0, True)
    assert expunge("reconcile", "--home", restored.home.path).code == 0


def test_the_same_operator_twice_is_one(
    decide: Any, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "ORDER_LIFE", reconciling.STANDS_FOR * 0)
    assert decide(keys[0]).code == 4
    assert decide(keys[0]).code == 4


def test_other_words_than_the_stores_sign_nothing(decide: Any, keys: tuple[Path, Path]) -> None:
    said = decide(keys[0], "--confirm", "yes")
    assert said.code == 3
    assert "CONFIRMATION_WRONG" in said.err


def test_a_stranger_signs_nothing(decide: Any, tmp_path: Path) -> None:
    (tmp_path / "mallory").write_bytes(PrivateKey.generate().to_openssh(passphrase=None))
    said = decide(tmp_path / "mallory")
    assert said.code == 3
    assert "NOT_AN_OPERATOR" in said.err


def test_a_decision_has_a_reason(expunge: Any, restored: Any) -> None:
    assert expunge("reconcile", "--home", restored.home.path, "--decide").code == 2


def test_nobody_reconciles_under_a_running_serve(
    expunge: Any, restored: Any, decide: Any, keys: tuple[Path, Path]
) -> None:
    with restored.home.locked():
        for said in (expunge("reconcile", "--home", restored.home.path), decide(keys[0])):
            assert said.code == 3
            assert "HOME_IN_USE" in said.err


def test_what_cannot_be_reconciled_is_said_with_its_remedy(expunge: Any, restored: Any) -> None:
    anchor = restored.home.anchor
    anchor.write_text(anchor.read_text().replace('"log_size": 1', '"log_size": 9'))
    said = expunge("reconcile", "--home", restored.home.path)
    assert said.code == 3
    assert "RECONCILE_LOG_BEHIND" in said.out
    assert "newer backup" in said.out


def test_every_reason_for_a_freeze_has_its_words() -> None:
    assert set(act.BECAUSE) == set(FrozenBecause)
