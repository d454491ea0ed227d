"""Bundles from rows: an honest story, replayed into a store, comes out so that it convinces a stranger."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from certificate import trust as trust_module
from certificate.bundle import Bundle, Document
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.identifiers import DriveId, HostId
from certificate.log import checkpoint as log_checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import LogKind
from certificate.policy import Policy
from certificate.statements.vocabulary import Result, Trigger
from certificate.verify import verify
from controller.api import stories
from controller.bundles import SignedFiles, assemble
from controller.errors import Code
from controller.facts import Disposition
from controller.store import (
    Store,
    create_store,
    deprovisions,
    evidence,
    hosts,
    identity,
    log_rows,
    orders,
    outcomes,
)
from controller.store.orders import NewOrder
from demo.disclosure import says

NOW = datetime(2026, 11, 22, 10, 1, tzinfo=UTC)
CERTIFICATE_TESTS = Path(__file__).parent.parent / "certificate"


def loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """The builders of certificate's sample documents, which no test module can import by name."""
    return loaded("expunge_certificate_samples", CERTIFICATE_TESTS / "conftest.py")


@pytest.fixture(scope="session")
def stories_of_certificate() -> ModuleType:
    return loaded("expunge_certificate_stories", CERTIFICATE_TESTS / "verification" / "conftest.py")


@dataclass
class Replay:
    """The rows of one honest story, and the keys that sign its log."""

    store: Store
    story: Any
    keys: Any
    files: SignedFiles

    def checkpoint(self) -> None:
        with self.store.transaction() as tx:
            due = log_rows.unsigned(tx)
            if due is None:
                return
            stated = Checkpoint(origin=self.story.root.log.origin, size=due.size, root=due.root)
            log_rows.store_checkpoint(tx, due, note=log_checkpoint.sign(stated, self.keys.log), now=NOW)

    @property
    def outcome(self) -> outcomes.StoredOutcome:
        with self.store.snapshot() as tx:
            (stored,) = outcomes.of_deprovision(tx, self.story.order.deprovision)
        return stored

    def bundle(self) -> Bundle:
        with self.store.snapshot() as tx:
            return assemble(tx, self.outcome, self.files).bundle

    def certificate(self, *, with_annex: bool = False) -> dict[str, str]:
        with self.store.snapshot() as tx:
            told = stories.certificate(tx, self.story.order.deprovision, self.files, with_annex=with_annex)
        return {file.name: file.content for file in told.files}


def builders(samples: ModuleType) -> dict[str, Any]:
    """Under the names that `Story` knows them by."""
    return {
        "make_trust": samples.build_trust,
        "make_table": samples.build_table,
        "make_plan": samples.build_plan,
        "make_order": samples.build_order,
        "make_evidence": samples.build_evidence,
        "make_outcome": samples.build_outcome,
        "make_summary": samples.build_summary,
        "make_log": samples.SampleLog,
        "keys": samples.KEYS,
        "altered": samples.with_field,
        "signed": samples.signed_as,
        "signed_order": samples.sign_order,
        "signed_evidence": samples.sign_evidence,
        "signed_outcome": samples.sign_outcome,
        "digest_of_hex": lambda raw: samples.hashlib.sha256(bytes.fromhex(raw)).hexdigest(),
    }


@pytest.fixture
def replay(tmp_path: Path, samples: ModuleType, stories_of_certificate: ModuleType) -> Iterator[Replay]:
    """Everything up to the issued outcome and summary; no checkpoint covers them yet."""
    story = stories_of_certificate.Story(builders(samples))
    story.build()
    root = trust_module.sign(story.root, samples.KEYS.root)
    store = create_store(tmp_path / "expunge.db")
    files = SignedFiles(trust_root=root.write(), validation_table=story.envelopes["validation"].write())
    replayed = Replay(store=store, story=story, keys=samples.KEYS, files=files)
    with store.transaction() as tx:
        identity.create(tx, store_id="5" * 64, machine_id="m" * 16, now=NOW)
        log_rows.append_entry(tx, envelope=root, kind=LogKind.GENESIS, now=NOW)
        # The sample order is anchored in a tree of two, so others stand before it, as in the samples' log.
        for number in range(2):
            other = samples.build_allocation(nonce=samples.nonce_of(f"allocation {number}"))
            envelope = samples.signed_as(other, samples.KEYS.issuer)
            log_rows.append_entry(tx, envelope=envelope, kind=LogKind.ALLOCATION, now=NOW)
        _record_host(tx, story)
        _record_order(tx, story)
    replayed.checkpoint()
    with store.transaction() as tx:
        _record_result(tx, story)
    yield replayed
    store.close()


def _record_host(tx: Any, story: Any) -> None:
    host = HostId("hst_" + "1" * 32)
    hosts.register(
        tx,
        hosts.Host(
            id=host,
            asset_tag="host-1",
            site="site-1",
            rack="r1",
            data_class="default",
            disposition=Disposition.RENTED,
            customer_ref=None,
            salt=bytes(32),
            address="127.0.0.1",
            port=22,
            boot_parameters={},
            quarantine_parameters={},
            registered_at=NOW,
        ),
        facts=(),
        now=NOW,
    )
    hosts.record_drive(
        tx,
        id=DriveId("drv_" + "1" * 32),
        host_id=host,
        serial="SERIAL-4711",
        salt=bytes(32),
        basis=hosts.DriveBasis.DECLARED,
        model=None,
        capacity_bytes=None,
        now=NOW,
    )
    deprovisions.schedule(
        tx,
        id=story.order.deprovision,
        host_id=host,
        tenancy_id=None,
        trigger=Trigger.ENDED,
        data_class="default",
        policy_version=3,
        policy_digest="d" * 64,
        grace_until=NOW,
        dwell_seconds=1,
        now=NOW,
    )


def _record_order(tx: Any, story: Any) -> None:
    order = story.order
    new = NewOrder(
        id=order.order,
        deprovision=order.deprovision,
        attempt=order.attempt,
        token=order.token,
        fence=order.fence,
        plan_digest=order.plan_digest,
        boot_id=order.boot_id,
        hello_nonce=order.hello_nonce,
        expires_at=NOW + timedelta(minutes=10),
    )
    orders.intend(tx, new, envelope=story.envelopes["order"], now=NOW)
    orders.dispatch(tx, order.order, now=NOW)


def _record_result(tx: Any, story: Any) -> None:
    key, signed = story.order.deprovision, story.envelopes
    evidence.receive(tx, story.order.order, envelope=signed["evidence"], annex=b'{"serial":"S"}', now=NOW)
    predicate = json.loads(signed["outcome"].payload)["predicate"]
    drafted = outcomes.draft(
        tx,
        id=outcomes.OutcomeId(predicate["outcome"]),
        deprovision=key,
        attempt=1,
        medium=predicate["medium"]["commitment"],
        issuer_seq=1,
        result=Result(predicate["claim"]["result"]),
        payload=signed["outcome"].payload,
        now=NOW,
    )
    outcomes.issue(tx, drafted.id, envelope=signed["outcome"], now=NOW)
    outcomes.draft_summary(tx, key, payload=signed["summary"].payload, now=NOW)
    outcomes.issue_summary(tx, key, envelope=signed["summary"], now=NOW)


def test_a_bundle_from_rows_convinces_a_stranger(replay: Replay) -> None:
    replay.checkpoint()
    verified = verify(replay.bundle(), replay.story.root, Policy.production())
    assert verified.claim.result is Result.ERASED


def test_every_document_is_carried_byte_for_byte(replay: Replay) -> None:
    replay.checkpoint()
    bundle, signed = replay.bundle(), replay.story.envelopes
    for name in ("outcome", "summary", "evidence", "order", "validation"):
        assert getattr(bundle, name).encode() == signed[name].write()
    assert {proof.document for proof in bundle.proofs} == {
        Document.OUTCOME,
        Document.ORDER,
        Document.SUMMARY,
    }


def test_all_proofs_lead_to_one_checkpoint(replay: Replay) -> None:
    replay.checkpoint()
    notes = {proof.proof.partition("\n\n")[2] for proof in replay.bundle().proofs}
    assert len(notes) == 1


def test_an_outcome_that_no_checkpoint_covers_has_no_bundle(replay: Replay) -> None:
    with pytest.raises(Refused) as refused:
        replay.bundle()
    assert refused.value.code is Code.CERTIFICATE_NOT_READY


def test_a_bundle_built_again_later_still_convinces(replay: Replay) -> None:
    replay.checkpoint()
    before = replay.bundle()
    with replay.store.transaction() as tx:
        log_rows.append_entry(tx, envelope=replay.story.envelopes["order"], kind=LogKind.ENROL_AGENT, now=NOW)
    replay.checkpoint()
    after = replay.bundle()
    assert after != before
    assert verify(after, replay.story.root, Policy.production())


def test_the_files_of_a_certificate_are_the_bundle_and_its_parts(replay: Replay) -> None:
    replay.checkpoint()
    files = replay.certificate()
    name = replay.outcome.id
    assert set(files) == {f"{name}.bundle.json", f"{name}.dsse.json", f"{name}.evidence.dsse.json"}
    bundle = Bundle.read(files[f"{name}.bundle.json"].encode())
    assert bundle.outcome == files[f"{name}.dsse.json"]
    assert bundle.evidence == files[f"{name}.evidence.dsse.json"]


def test_an_annex_is_written_only_when_asked_for_and_never_into_the_bundle(replay: Replay) -> None:
    replay.checkpoint()
    files = replay.certificate(with_annex=True)
    name = replay.outcome.id
    assert files[f"{name}.annex.json"] == '{"serial":"S"}'
    others = "".join(content for file, content in files.items() if "annex" not in file)
    assert not says(others.encode(), '"serial"')
    assert not says(others.encode(), "SERIAL-4711")


def test_one_changed_byte_of_a_row_is_seen_by_whoever_verifies(replay: Replay) -> None:
    replay.checkpoint()
    table = outcomes.outcome
    stored = replay.outcome
    assert stored.envelope is not None
    changed = stored.envelope.replace(b'"sig":"', b'"sig":"A', 1)[:-1]
    with replay.store.transaction() as tx:
        tx.execute(table.update().values(envelope=changed))
    with pytest.raises(Refused) as refused:
        verify(replay.bundle(), replay.story.root, Policy.production())
    assert refused.value.code in {
        CertificateCode.BASE64_INVALID,
        CertificateCode.SIGNATURE_INVALID,
        CertificateCode.MALFORMED,
    }


def test_a_story_with_an_order_shows_the_signed_basis_and_the_media(replay: Replay) -> None:
    replay.checkpoint()
    with replay.store.snapshot() as tx:
        story = stories.story(tx, replay.story.order.deprovision, source="billing", policy={})
    assert story.why is not None
    assert story.why.basis == replay.story.order.basis.model_dump(mode="json")
    assert (story.why.plan_digest, story.why.floor) == (replay.story.order.plan_digest, "purge")
    assert story.why.order_digest == replay.story.envelopes["order"].payload_digest
    (medium,) = story.media
    assert (medium.result, medium.grade, medium.is_logged) == ("erased", "marker-proven", True)
    assert story.line.host == "host-1"
    assert not says(story.to_json().encode(), "SERIAL-4711")
