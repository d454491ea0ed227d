"""The log's rows: numbered without gaps, never changed, and provable against every checkpoint."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from certificate.errors import Malformed, Refused
from certificate.log import entry, merkle
from certificate.log.entry import LogKind
from controller.errors import Code, LostRace
from controller.store import ledger, log_rows
from controller.store.log_rows import UnsignedCheckpoint, log_checkpoint, log_entry


def append(scene: Any, text: str, kind: LogKind = LogKind.SUMMARY) -> log_rows.LogEntry:
    with scene.store.transaction() as tx:
        return log_rows.append_entry(tx, envelope=scene.signed(text), kind=kind, now=scene.at())


def filled(scene: Any, count: int) -> None:
    scene.genesis()
    for number in range(1, count):
        append(scene, f"document {number}")


def unsigned(scene: Any) -> UnsignedCheckpoint:
    with scene.store.snapshot() as tx:
        found: UnsignedCheckpoint | None = log_rows.unsigned(tx)
    assert found is not None
    return found


def keep(scene: Any, checkpoint: UnsignedCheckpoint, note: bytes = b"note") -> log_rows.StoredCheckpoint:
    with scene.store.transaction() as tx:
        return log_rows.store_checkpoint(tx, checkpoint, note=note, now=scene.at())


def test_a_batch_stands_in_the_log_and_the_ledger_as_one_after_the_other_would(scene: Any) -> None:
    scene.genesis()
    documents = [scene.signed(f"document {number}") for number in range(1, 6)]
    with scene.store.transaction() as tx:
        appended = log_rows.append_entries(
            tx, envelopes=[(each, None) for each in documents], kind=LogKind.SUMMARY, now=scene.at()
        )
    with scene.store.snapshot() as tx:
        assert log_rows.entries(tx)[1:] == appended
        events = list(ledger.events(tx))
    assert [one.seq for one in appended] == [1, 2, 3, 4, 5]
    assert [one.ledger_seq for one in appended] == [event.seq for event in events][-5:]
    assert all(event.is_sealed for event in events)
    assert all(after.previous == before.digest for before, after in pairwise(events))
    for one, document in zip(appended, documents, strict=True):
        entry.read(one.entry).require_commitment(
            document, kind=LogKind.SUMMARY, keyid=scene.signer.public.keyid
        )


def test_an_empty_batch_adds_nothing(scene: Any) -> None:
    scene.genesis()
    with scene.store.transaction() as tx:
        before = ledger.head(tx)
        assert log_rows.append_entries(tx, envelopes=[], kind=LogKind.SUMMARY, now=scene.at()) == ()
        assert ledger.append_all(tx, (), now=scene.at()) == ()
        assert (ledger.head(tx), log_rows.size(tx)) == (before, 1)


def test_entries_are_numbered_from_genesis_on_and_each_has_its_event(scene: Any) -> None:
    filled(scene, 3)
    with scene.store.snapshot() as tx:
        entries = log_rows.entries(tx)
        events = {event.seq: event for event in ledger.events(tx)}
        assert log_rows.size(tx) == 3
        assert log_rows.load_entry(tx, 2) == entries[2]
    assert [one.seq for one in entries] == [0, 1, 2]
    for one in entries:
        told = events[one.ledger_seq]
        assert (told.kind, told.body["log_seq"]) == ("log-entry-added", one.seq)
        assert told.body["leaf_hash"] == one.leaf_hash == merkle.leaf_hash(one.entry).hex()
        entry.read(one.entry).require_commitment(
            scene.signed("trust root" if one.seq == 0 else f"document {one.seq}"),
            kind=one.kind,
            keyid=scene.signer.public.keyid,
        )


def test_a_log_begins_with_genesis_and_has_one(scene: Any) -> None:
    with pytest.raises(Malformed):
        append(scene, "too early")
    scene.genesis()
    with pytest.raises(Malformed):
        append(scene, "too late", LogKind.GENESIS)
    with scene.store.snapshot() as tx:
        assert log_rows.size(tx) == 1
        assert [event.kind for event in ledger.events(tx)] == ["store-created", "log-entry-added"]


@pytest.mark.parametrize("table", [log_entry, log_checkpoint])
def test_the_database_refuses_to_change_the_log(scene: Any, table: Any) -> None:
    filled(scene, 1)
    keep(scene, unsigned(scene))
    for statement in (update(table).values(**{table.c[1].name: "order"}), delete(table)):
        with pytest.raises(IntegrityError, match="append-only"), scene.store.transaction() as tx:
            tx.execute(statement)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_every_entry_is_proven_against_every_later_root(scene: Any, count: int) -> None:
    filled(scene, count)
    with scene.store.snapshot() as tx:
        for size in range(1, count + 1):
            root = log_rows.root(tx, tree_size=size)
            for seq in range(size):
                proof = log_rows.inclusion(tx, seq=seq, tree_size=size)
                leaf = bytes.fromhex(log_rows.load_entry(tx, seq).leaf_hash)
                merkle.verify_inclusion(seq, size, leaf, proof, root)
            for former in range(1, size + 1):
                merkle.verify_consistency(
                    former,
                    size,
                    log_rows.consistency(tx, former_size=former, tree_size=size),
                    log_rows.root(tx, tree_size=former),
                    root,
                )


def test_a_tree_larger_than_the_log_has_no_root(scene: Any) -> None:
    filled(scene, 2)
    with scene.store.snapshot() as tx:
        with pytest.raises(ValueError, match="no 3 entries"):
            log_rows.root(tx, tree_size=3)
        with pytest.raises(Refused) as refused:
            log_rows.load_entry(tx, 2)
    assert refused.value.code is Code.NOT_IN_STORE


def test_a_checkpoint_is_due_exactly_while_entries_are_uncovered(scene: Any) -> None:
    filled(scene, 2)
    first = unsigned(scene)
    assert (first.previous_size, first.size) == (0, 2)
    stored = keep(scene, first, b"note 2")
    with scene.store.snapshot() as tx:
        assert log_rows.unsigned(tx) is None
        assert log_rows.latest_checkpoint(tx) == stored == log_rows.load_checkpoint(tx, 2)
    append(scene, "one more")
    second = unsigned(scene)
    assert (second.previous_size, second.size) == (2, 3)
    keep(scene, second, b"note 3")
    with scene.store.snapshot() as tx:
        notes = [log_rows.covering_checkpoint(tx, seq) for seq in range(4)]
    assert [None if found is None else found.note for found in notes] == [
        b"note 2",
        b"note 2",
        b"note 3",
        None,
    ]


def test_two_signers_cannot_both_extend_the_same_checkpoint(scene: Any) -> None:
    filled(scene, 1)
    first = unsigned(scene)
    append(scene, "meanwhile")
    second = unsigned(scene)
    keep(scene, second)
    with pytest.raises(LostRace):
        keep(scene, first)
    with pytest.raises(LostRace):
        keep(scene, second)
    with scene.store.snapshot() as tx:
        assert [event.kind for event in ledger.events(tx)].count("checkpoint-stored") == 1


def test_a_checkpoint_signed_before_more_came_is_still_one_of_this_log(scene: Any) -> None:
    filled(scene, 1)
    first = unsigned(scene)
    append(scene, "meanwhile")
    assert keep(scene, first).size == 1


@pytest.mark.parametrize("change", [{"root": b"\0" * 32}, {"size": 3}, {"size": 0}])
def test_a_checkpoint_of_another_tree_is_refused(scene: Any, change: dict[str, Any]) -> None:
    filled(scene, 2)
    with pytest.raises(Refused) as refused:
        keep(scene, replace(unsigned(scene), **change))
    assert refused.value.code is Code.CHECKPOINT_DIFFERS


def test_the_newest_signed_time_is_that_of_entry_or_checkpoint(scene: Any) -> None:
    with scene.store.snapshot() as tx:
        assert log_rows.newest_at(tx) is None
    filled(scene, 1)
    checkpoint = unsigned(scene)
    with scene.store.transaction() as tx:
        assert log_rows.newest_at(tx) == scene.at()
        log_rows.store_checkpoint(tx, checkpoint, note=b"note", now=scene.at(9))
        assert log_rows.newest_at(tx) == scene.at(9)
