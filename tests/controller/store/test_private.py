"""Text about people can be read with the master key, and by nobody once it was shredded."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import select, update

from certificate.errors import Refused
from controller.errors import Code, LostRace
from controller.store import ledger, private
from demo.disclosure import says

MASTER = b"m" * 32
SECRET = "sub-4711 of Anna Beispiel"


def write(scene: Any, subject: str, kind: str = "subscription", text: str = SECRET) -> None:
    with scene.store.transaction() as tx:
        private.write(
            tx,
            subject_ref=scene.digest(subject),
            kind=kind,
            text=text,
            master_key=MASTER,
            random_bytes=scene.random,
            now=scene.at(),
        )


def read(scene: Any, subject: str, kind: str = "subscription", master: bytes = MASTER) -> str | None:
    with scene.store.snapshot() as tx:
        return private.read(tx, subject_ref=scene.digest(subject), kind=kind, master_key=master)


def shred(scene: Any, subject: str) -> None:
    with scene.store.transaction() as tx:
        private.shred(tx, subject_ref=scene.digest(subject), now=scene.at(1))


def bytes_on_disk(scene: Any) -> bytes:
    return b"".join(path.read_bytes() for path in scene.path.parent.glob("expunge.db*"))


def test_what_was_written_is_read_and_the_newest_text_of_a_kind_counts(scene: Any) -> None:
    write(scene, "anna")
    write(scene, "anna", "customer", "Anna")
    assert (read(scene, "anna"), read(scene, "anna", "customer")) == (SECRET, "Anna")
    write(scene, "anna", "customer", "Anna B.")
    assert read(scene, "anna", "customer") == "Anna B."
    assert read(scene, "anna", "address") is None
    assert read(scene, "bert") is None


def test_nothing_private_stands_in_the_file_in_clear(scene: Any) -> None:
    write(scene, "anna")
    assert not says(bytes_on_disk(scene), "Anna")
    assert not says(bytes_on_disk(scene), "sub-4711")


def test_another_master_key_reads_nothing(scene: Any) -> None:
    write(scene, "anna")
    with pytest.raises(Refused) as refused:
        read(scene, "anna", master=b"x" * 32)
    assert refused.value.code is Code.PRIVATE_UNREADABLE


@pytest.mark.parametrize("place", ["subject_ref", "kind"])
def test_a_text_moved_to_another_place_does_not_open(scene: Any, place: str) -> None:
    write(scene, "anna")
    write(scene, "bert", "customer", "Bert")
    change = {"subject_ref": scene.digest("bert")} if place == "subject_ref" else {"kind": "address"}
    with scene.store.transaction() as tx:
        row = private.private_text
        tx.execute(update(row).where(row.c.subject_ref == scene.digest("anna")).values(change))
    subject, kind = ("bert", "subscription") if place == "subject_ref" else ("anna", "address")
    with pytest.raises(Refused) as refused:
        read(scene, subject, kind)
    assert refused.value.code is Code.PRIVATE_UNREADABLE


def test_a_shredded_subject_is_gone_for_good_and_only_it(scene: Any) -> None:
    write(scene, "anna")
    write(scene, "bert", text="Bert")
    with scene.store.snapshot() as tx:
        table = private.private_subject
        query = select(table.c.wrapped_key).where(table.c.subject_ref == scene.digest("anna"))
        wrapped = tx.scalar(query)
    shred(scene, "anna")
    for attempt in (lambda: read(scene, "anna"), lambda: write(scene, "anna")):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.code is Code.PRIVATE_SHREDDED
    assert read(scene, "bert") == "Bert"
    connection = sqlite3.connect(scene.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert wrapped is not None
    assert wrapped not in bytes_on_disk(scene)


def test_shredding_is_told_by_pseudonym_and_done_once(scene: Any) -> None:
    write(scene, "anna")
    shred(scene, "anna")
    with scene.store.snapshot() as tx:
        newest = list(ledger.events(tx))[-1]
    assert (newest.kind, newest.body) == ("subject-shredded", {"subject_ref": scene.digest("anna")})
    with pytest.raises(LostRace):
        shred(scene, "anna")
    with pytest.raises(Refused) as refused:
        shred(scene, "nobody")
    assert refused.value.code is Code.NOT_IN_STORE


def test_a_sealed_text_that_was_cut_or_altered_does_not_open(scene: Any) -> None:
    sealed = private.seal(MASTER, b"secret", about=b"boot", random_bytes=scene.random)
    assert private.unseal(MASTER, sealed, about=b"boot") == b"secret"
    altered = bytes([*sealed[:-1], sealed[-1] ^ 1])
    for wrong in (b"", sealed[:5], sealed[:-1], altered):
        with pytest.raises(Refused) as refused:
            private.unseal(MASTER, wrong, about=b"boot")
        assert refused.value.code is Code.PRIVATE_UNREADABLE
