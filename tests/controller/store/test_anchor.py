"""A restored backup is found out, stays found out, and an ordinary crash is not mistaken for one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from certificate.errors import Refused
from controller.errors import Code
from controller.store import AnchorKeeper, Store, anchor, open_store, read_head
from controller.store.anchor import FrozenBecause, Standing


def backup(scene: Any, to: Path) -> Path:
    source, target = sqlite3.connect(scene.path), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()
    return to


def comparison(scene: Any, store: Store | None = None, keeper: AnchorKeeper | None = None) -> Any:
    with (store or scene.store).snapshot() as tx:
        return (keeper or scene.keeper).compare(tx)


def anchored(scene: Any) -> Any:
    return anchor.read(scene.path.with_name("anchor.json"))


def test_the_anchor_follows_every_commit_that_moves_the_head(scene: Any) -> None:
    for _ in range(3):
        scene.host()
        with scene.store.snapshot() as tx:
            assert anchored(scene) == read_head(tx)
        assert comparison(scene).standing is Standing.CURRENT
    scene.genesis()
    assert anchored(scene).log_size == 1


def test_the_anchor_has_the_six_fields_of_the_format_and_is_private(scene: Any) -> None:
    path = scene.path.with_name("anchor.json")
    assert list(json.loads(path.read_text())) == [
        "store_id",
        "epoch",
        "machine_id",
        "ledger_seq",
        "head",
        "log_size",
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_crash_between_commit_and_anchor_is_ordinary(scene: Any) -> None:
    before = anchored(scene)
    scene.host()
    scene.keeper.place(before)
    found = comparison(scene)
    assert (found.standing, found.because, found.is_frozen) == (Standing.AHEAD, None, False)
    scene.host()
    assert comparison(scene).standing is Standing.CURRENT


def test_a_restored_backup_freezes(scene: Any, tmp_path: Path) -> None:
    copy = backup(scene, tmp_path / "backup.db")
    scene.host()
    restored = open_store(copy, anchoring=scene.keeper)
    assert comparison(scene, restored).because is FrozenBecause.STORE_BEHIND
    restored.close()


def test_a_frozen_store_stays_frozen_however_much_it_commits(scene: Any, tmp_path: Path) -> None:
    copy = backup(scene, tmp_path / "backup.db")
    scene.host()
    before = anchored(scene)
    restored = open_store(copy, anchoring=scene.keeper)
    scene.store.close()
    scene.store = restored
    because = []
    for _ in range(3):
        scene.host()
        because.append(comparison(scene).because)
        assert anchored(scene) == before
    assert because == [FrozenBecause.STORE_FORKED] * 3


def test_a_store_restored_to_the_very_head_of_the_anchor_is_not_frozen(scene: Any, tmp_path: Path) -> None:
    copy = backup(scene, tmp_path / "backup.db")
    restored = open_store(copy, anchoring=scene.keeper)
    assert comparison(scene, restored).standing is Standing.CURRENT
    restored.close()


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"store_id": "f" * 64}, FrozenBecause.ANOTHER_STORE),
        ({"machine_id": "other"}, FrozenBecause.ANOTHER_MACHINE),
        ({"epoch": 1}, FrozenBecause.STORE_BEHIND),
        ({"ledger_seq": 99}, FrozenBecause.STORE_BEHIND),
        ({"log_size": 1}, FrozenBecause.STORE_BEHIND),
        ({"head": "f" * 64}, FrozenBecause.STORE_FORKED),
        ({"ledger_seq": 0, "head": "f" * 64}, FrozenBecause.STORE_FORKED),
    ],
)
def test_each_field_that_disagrees_freezes(
    scene: Any, change: dict[str, Any], because: FrozenBecause
) -> None:
    scene.keeper.place(replace(anchored(scene), **change))
    assert comparison(scene).because is because


def test_a_database_carried_to_another_machine_freezes(scene: Any) -> None:
    elsewhere = AnchorKeeper(scene.path.with_name("anchor.json"), machine_id="another")
    assert comparison(scene, keeper=elsewhere).because is FrozenBecause.ANOTHER_MACHINE


def test_a_missing_anchor_freezes_and_is_not_made_again_by_a_commit(scene: Any) -> None:
    path = scene.path.with_name("anchor.json")
    path.unlink()
    assert comparison(scene).because is FrozenBecause.ANCHOR_MISSING
    scene.host()
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 1, 40, 150])
def test_a_torn_anchor_freezes_and_stays_for_people_to_see(scene: Any, length: int) -> None:
    path = scene.path.with_name("anchor.json")
    torn = path.read_bytes()[:length]
    path.write_bytes(torn)
    assert comparison(scene).because is FrozenBecause.ANCHOR_DAMAGED
    scene.host()
    assert path.read_bytes() == torn
    with pytest.raises(Refused) as refused:
        anchor.read(path)
    assert refused.value.code is Code.ANCHOR_INVALID


@pytest.mark.parametrize("field", ["epoch", "ledger_seq", "log_size", "head"])
def test_an_anchor_with_a_field_of_another_type_is_damaged(scene: Any, field: str) -> None:
    path = scene.path.with_name("anchor.json")
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, field: True}))
    assert comparison(scene).because is FrozenBecause.ANCHOR_DAMAGED


def test_an_older_head_that_arrives_late_does_not_take_the_anchor_back(scene: Any) -> None:
    with scene.store.snapshot() as tx:
        older = read_head(tx)
    scene.host()
    newer = anchored(scene)
    scene.keeper.after_commit(older)
    assert anchored(scene) == newer


def test_reconciling_places_the_anchor_anew_in_a_higher_epoch(scene: Any, tmp_path: Path) -> None:
    from controller.store import identity

    copy = backup(scene, tmp_path / "backup.db")
    scene.host()
    restored = open_store(copy, anchoring=scene.keeper)
    with restored.transaction() as tx:
        seen = anchored(scene).epoch
        identity.begin_epoch(tx, above=seen, machine_id="4d" * 16, now=scene.at())
        head = read_head(tx)
    assert comparison(scene, restored).is_frozen
    scene.keeper.place(head)
    assert comparison(scene, restored).standing is Standing.CURRENT
    assert comparison(scene).because is FrozenBecause.STORE_BEHIND
    restored.close()


def test_the_comparison_in_a_transaction_sees_what_another_store_wrote_meanwhile(
    scene: Any, tmp_path: Path
) -> None:
    lagging = open_store(backup(scene, tmp_path / "replica.db"), anchoring=scene.keeper)
    with lagging.transaction() as tx:
        assert not scene.keeper.compare(tx).is_frozen
    scene.host()
    with lagging.transaction() as tx:
        assert scene.keeper.compare(tx).is_frozen
    lagging.close()


def test_an_anchor_that_cannot_be_written_is_no_silent_success(scene: Any, mocker: Any) -> None:
    mocker.patch("controller.store.anchor.write_durably", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        scene.host()
    mocker.stopall()
    assert comparison(scene).standing is Standing.AHEAD


def test_the_anchor_shares_no_file_with_the_database(scene: Any, tmp_path: Path) -> None:
    shutil.copy(scene.path.with_name("anchor.json"), tmp_path / "kept.json")
    scene.host()
    assert anchor.read(tmp_path / "kept.json").ledger_seq < anchored(scene).ledger_seq
