"""Outcomes and summaries: their bytes fixed once, signed as often as a crash asks for, logged once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, OutcomeId
from certificate.log.entry import LogKind
from certificate.statements.vocabulary import Result
from controller.errors import Code, LostRace
from controller.store import log_rows, outcomes


def issue(scene: Any, drafted: Any, payload: bytes | None = None) -> outcomes.StoredOutcome:
    envelope = dsse.sign(drafted.payload if payload is None else payload, scene.signer)
    with scene.store.transaction() as tx:
        return outcomes.issue(tx, drafted.id, envelope=envelope, now=scene.at(1))


def test_an_attempt_on_a_medium_has_one_outcome(scene: Any) -> None:
    key = scene.deprovision()
    first = scene.draft(key, "m1")
    with pytest.raises(Refused) as refused:
        scene.draft(key, "m1")
    assert refused.value.code is Code.ALREADY_STORED
    second = scene.draft(key, "m1", attempt=2)
    third = scene.draft(key, "m2")
    with scene.store.snapshot() as tx:
        assert outcomes.of_deprovision(tx, key) == (first, second, third)
        assert outcomes.of_medium(tx, key, attempt=1, medium=scene.digest("m1")) == first
        assert outcomes.of_medium(tx, key, attempt=3, medium=scene.digest("m1")) is None


def test_the_database_itself_refuses_a_second_outcome(scene: Any) -> None:
    scene.draft(scene.deprovision())
    with scene.store.snapshot() as tx:
        row = tx.execute(select(outcomes.outcome)).one()._asdict()
    row |= {"id": scene.new(OutcomeId), "issuer_seq": 99, "payload_digest": scene.digest("other")}
    with pytest.raises(IntegrityError, match="UNIQUE"), scene.store.transaction() as tx:
        tx.execute(insert(outcomes.outcome).values(**row))


def test_the_issuers_outcomes_are_numbered_without_gaps(scene: Any) -> None:
    numbers = [scene.draft(scene.deprovision()).issuer_seq for _ in range(3)]
    assert numbers == [1, 2, 3]
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        outcomes.draft(
            tx,
            id=scene.new(OutcomeId),
            deprovision=scene.new(DeprovisionId),
            attempt=1,
            medium=scene.digest("m"),
            issuer_seq=5,
            result=Result.ERASED,
            payload=b"x",
            now=scene.at(),
        )


def test_a_drafted_outcome_is_logged_once(scene: Any) -> None:
    scene.genesis()
    drafted = scene.draft(scene.deprovision())
    assert not drafted.is_issued
    issued = issue(scene, drafted)
    assert (issued.is_issued, issued.issued_at, issued.log_seq) == (True, scene.at(1), 1)
    with pytest.raises(LostRace):
        issue(scene, drafted)
    with scene.store.snapshot() as tx:
        assert log_rows.size(tx) == 2
        assert log_rows.load_entry(tx, 1).kind is LogKind.OUTCOME
        assert outcomes.load(tx, drafted.id) == issued
    assert dsse.read(issued.envelope or b"").payload == drafted.payload


def test_other_bytes_than_the_drafts_are_not_issued(scene: Any) -> None:
    scene.genesis()
    drafted = scene.draft(scene.deprovision())
    with pytest.raises(ValueError, match="another payload"):
        issue(scene, drafted, b"forged")
    with scene.store.snapshot() as tx:
        assert log_rows.size(tx) == 1


def test_signing_again_after_a_crash_gives_the_same_envelope(scene: Any) -> None:
    drafted = scene.draft(scene.deprovision())
    with scene.store.snapshot() as tx:
        payload = outcomes.load(tx, drafted.id).payload
    envelopes = {dsse.sign(payload, scene.signer).write() for _ in range(2)}
    assert len(envelopes) == 1


def test_a_host_has_one_summary_logged_once_and_verified_only_then(scene: Any) -> None:
    scene.genesis()
    key = scene.deprovision()

    def verified() -> outcomes.StoredSummary:
        with scene.store.transaction() as tx:
            return outcomes.record_verified(tx, key, policy_digest=scene.digest("policy"), now=scene.at(2))

    def issued() -> outcomes.StoredSummary:
        with scene.store.transaction() as tx:
            envelope = dsse.sign(b"summary", scene.signer)
            return outcomes.issue_summary(tx, key, envelope=envelope, now=scene.at(1))

    with scene.store.transaction() as tx:
        drafted = outcomes.draft_summary(tx, key, payload=b"summary", now=scene.at())
    assert (drafted.is_issued, drafted.verified_at) == (False, None)
    with pytest.raises(Refused), scene.store.transaction() as tx:
        outcomes.draft_summary(tx, key, payload=b"another", now=scene.at())
    with pytest.raises(LostRace):
        verified()
    assert issued().log_seq == 1
    with pytest.raises(LostRace):
        issued()
    assert (verified().verified_under, verified().verified_at) == (scene.digest("policy"), scene.at(2))


def test_a_summary_that_was_never_drafted_is_not_issued(scene: Any) -> None:
    key, envelope = scene.deprovision(), scene.signed("summary")
    with pytest.raises(Refused) as refused, scene.store.transaction() as tx:
        outcomes.issue_summary(tx, key, envelope=envelope, now=scene.at())
    assert refused.value.code is Code.NOT_IN_STORE
