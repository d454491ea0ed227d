"""Decisions, revocations and declarations as rows: stored once, used once, never taken back."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.log.entry import LogKind
from certificate.statements import Decision, Purpose, make, subject
from certificate.statements.people import DecisionKind
from controller.errors import Code, LostRace
from controller.facts import Disposition
from controller.people.matter import Signed
from controller.store import decisions, declarations, hosts, log_rows, revocations


def signed(scene: Any, on: str = "matter", **changes: Any) -> tuple[Envelope, Decision]:
    key = PrivateKey.from_seed(b"o" * 32)
    fields = {
        "schema": 1,
        "purpose": Purpose.DEMONSTRATION,
        "nonce": secrets.token_hex(16),
        "issued_at": scene.at(),
        "kind": DecisionKind.THAW,
        "operator": key.public.keyid,
        "on": scene.digest(on),
        "choice": "thaw",
        "reason": "a test",
        "document_digest": "not_applicable",
        "enrols": "not_applicable",
        "effective_at": scene.at(),
        "ledger_seq": 1,
    }
    decision = Decision.model_validate(fields | changes)
    return dsse.sign(make(decision, (subject("decided", decision.on),)).payload(), key), decision


def record(scene: Any, on: str = "matter", **changes: Any) -> str:
    envelope, read = signed(scene, on, **changes)
    with scene.store.transaction() as tx:
        assert decisions.record(tx, envelope=envelope, read=read, now=scene.at())
    return envelope.payload_digest


def unused(scene: Any, **changes: Any) -> list[str]:
    asked = {
        "on_digest": scene.digest("matter"),
        "choice": "thaw",
        "document_digest": None,
        "issued_after": scene.at(-1),
    }
    with scene.store.snapshot() as tx:
        found = decisions.unused(tx, DecisionKind.THAW, **(asked | changes))
    return [each.payload_digest for each in found]


def test_a_decision_is_stored_once(scene: Any) -> None:
    envelope, read = signed(scene)
    with scene.store.transaction() as tx:
        assert decisions.record(tx, envelope=envelope, read=read, now=scene.at())
        assert not decisions.record(tx, envelope=envelope, read=read, now=scene.at(1))
    with scene.store.snapshot() as tx:
        stored = decisions.load(tx, envelope.payload_digest)
    assert (stored.envelope, stored.received_at, stored.used_at) == (envelope.write(), scene.at(), None)


def test_only_young_unused_decisions_over_the_same_words_are_found(scene: Any) -> None:
    mine = record(scene)
    record(scene, "another matter")
    record(scene, choice="refuse")
    record(scene, document_digest=scene.digest("document"))
    record(scene, kind=DecisionKind.RELEASE_HOLD)
    record(scene, issued_at=scene.at() - timedelta(days=1))
    assert unused(scene) == [mine]
    assert unused(scene, issued_after=scene.at()) == []


def test_a_decision_is_used_once(scene: Any) -> None:
    digest = record(scene)
    with scene.store.transaction() as tx:
        decisions.mark_used(tx, [digest], now=scene.at(1))
    assert unused(scene) == []
    with scene.store.snapshot() as tx:
        assert [each.payload_digest for each in decisions.used(tx, DecisionKind.THAW)] == [digest]
    for key in (digest, "0" * 64):
        with pytest.raises(LostRace), scene.store.transaction() as tx:
            decisions.mark_used(tx, [key], now=scene.at(2))


def test_a_key_is_revoked_once_and_logged(scene: Any) -> None:
    scene.genesis()
    envelope, read = signed(scene, kind=DecisionKind.REVOKE)
    keyid = scene.signer.public.keyid
    with scene.store.transaction() as tx:
        decisions.record(tx, envelope=envelope, read=read, now=scene.at())
        revocation = revocations.record(tx, keyid, envelope=envelope, now=scene.at())
    with scene.store.snapshot() as tx:
        assert revocations.of_all(tx) == {keyid: revocation}
        assert log_rows.load_entry(tx, revocation.log_seq).kind is LogKind.REVOKE_KEY
    with pytest.raises(Refused) as refused, scene.store.transaction() as tx:
        revocations.record(tx, keyid, envelope=envelope, now=scene.at(1))
    assert refused.value.code is Code.OPERATOR_REVOKED


def test_a_revocation_without_its_stored_decision_is_refused(scene: Any) -> None:
    scene.genesis()
    envelope, _ = signed(scene, kind=DecisionKind.REVOKE)
    with pytest.raises(Refused), scene.store.transaction() as tx:
        revocations.record(tx, scene.signer.public.keyid, envelope=envelope, now=scene.at())
    with scene.store.snapshot() as tx:
        assert revocations.of_all(tx) == {}


def test_the_newest_declaration_of_a_host_stands_with_its_signers(scene: Any) -> None:
    host = scene.host()

    def declare(old: Disposition, new: Disposition, keyid: str) -> str:
        digest = record(scene, f"{new}")
        by = Signed(payload_digest=digest, keyid=keyid, reason="", envelope=b"")
        with scene.store.transaction() as tx:
            declarations.record(tx, host, old=old, new=new, signed=[by], now=scene.at())
        return digest

    with scene.store.snapshot() as tx:
        assert declarations.standing(tx, host) is None
    declare(Disposition.RENTED, Disposition.STOCK, "first")
    second = declare(Disposition.STOCK, Disposition.INTERNAL, "second")
    with scene.store.snapshot() as tx:
        standing = declarations.standing(tx, host)
        assert hosts.load(tx, host).disposition is Disposition.INTERNAL
    assert standing is not None
    assert (standing.disposition, standing.signers) == (Disposition.INTERNAL, ((second, "second"),))
    with pytest.raises(LostRace):
        declare(Disposition.STOCK, Disposition.RENTED, "third")
