"""A drive is destroyed once, and what people said of it is kept where it can be forgotten."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from certificate.errors import Refused
from certificate.identifiers import OutcomeId
from certificate.statements.vocabulary import DestroyMethod, Result
from controller.errors import Code
from controller.store import destructions, ledger, outcomes, private
from controller.store.destructions import DestructionWords
from controller.store.hosts import Drive
from demo.disclosure import says

KEY = b"k" * 32
WORDS = DestructionWords(by="Shredders", witness="Grace", place="their yard")


def drafted(scene: Any, tx: Any, drive: Drive) -> outcomes.StoredOutcome:
    return outcomes.draft(
        tx,
        id=OutcomeId.from_random(secrets.token_bytes(16)),
        deprovision=None,
        attempt=None,
        medium=drive.commitment,
        issuer_seq=outcomes.next_issuer_seq(tx),
        result=Result.ERASED,
        payload=b"a destroyed drive",
        now=scene.at(1),
    )


def record(scene: Any, tx: Any, drive: Drive, outcome: outcomes.StoredOutcome) -> Any:
    return destructions.record(
        tx,
        drive,
        outcome=outcome,
        decisions=("1" * 64, "2" * 64),
        method=DestroyMethod.SHRED,
        destroyed_on="2026-11-22",
        document_digest="d" * 64,
        words=WORDS,
        master_key=KEY,
        random_bytes=secrets.token_bytes,
        now=scene.at(1),
    )


def test_what_was_recorded_is_found_again_and_waits_for_its_signature(scene: Any) -> None:
    drive = scene.drive(scene.host(), "S-GONE")
    with scene.store.transaction() as tx:
        outcome = drafted(scene, tx, drive)
        new = record(scene, tx, drive, outcome)
    with scene.store.snapshot() as tx:
        assert destructions.of_drive(tx, drive.id) == new
        assert destructions.unissued(tx) == (outcome.id,)
        assert outcomes.of_drive(tx, drive.commitment) == (outcome,)
        told = "\n".join(event.line() for event in ledger.events(tx)).encode()
    for word in ("Shredders", "Grace", "their yard", "S-GONE"):
        assert not says(told, word)


def test_a_drive_is_destroyed_once(scene: Any) -> None:
    drive = scene.drive(scene.host(), "S-GONE")
    with scene.store.transaction() as tx:
        outcome = drafted(scene, tx, drive)
        record(scene, tx, drive, outcome)
    with scene.store.transaction() as tx:
        with pytest.raises(Refused) as caught:
            record(scene, tx, drive, outcome)
        assert caught.value.code is Code.ALREADY_STORED
        with pytest.raises(Refused) as caught:
            drafted(scene, tx, drive)
        assert caught.value.code is Code.ALREADY_STORED


def test_the_row_is_never_changed(scene: Any) -> None:
    drive = scene.drive(scene.host(), "S-GONE")
    with scene.store.transaction() as tx:
        record(scene, tx, drive, drafted(scene, tx, drive))
    with pytest.raises(DBAPIError, match="append-only"), scene.store.transaction() as tx:
        tx.execute(update(destructions.media_destruction).values(destroyed_on="2020-01-01"))


def test_words_that_were_forgotten_are_none_and_the_rest_stays(scene: Any) -> None:
    drive = scene.drive(scene.host(), "S-GONE")
    with scene.store.transaction() as tx:
        record(scene, tx, drive, drafted(scene, tx, drive))
        said = destructions.words_of(tx, drive, master_key=KEY)
        assert set(said.values()) == {"Shredders", "Grace", "their yard"}
        (subject,) = tx.scalars(select(private.private_subject.c.subject_ref))
        private.shred(tx, subject_ref=subject, now=scene.at(2))
        assert set(destructions.words_of(tx, drive, master_key=KEY).values()) == {None}
        assert destructions.of_drive(tx, drive.id) is not None
