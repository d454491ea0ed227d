"""Founding: a whole home at the first try, and never over another one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certificate import trust
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PrivateKey, PublicKey
from certificate.log import proof as log_proof
from certificate.log.entry import Entry, LogKind
from certificate.log.proof import Proof
from certificate.policy import Policy
from certificate.statements import Purpose, ValidationTable
from certificate.statements.vocabulary import (
    DeviceClass,
    Grade,
    MediaKind,
    Method,
    Technique,
    ValidationDecision,
)
from controller.configuration import configuration_at
from controller.errors import Code
from controller.founding import Founded, Founding, found
from controller.home import Home
from controller.ledger_check import check_ledger
from controller.machine import machine_id
from controller.store import AnchorKeeper, log_rows, open_store
from controller.store.anchor import Standing

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class SlowKeysMade(Exception):
    """The refusal came too late: keys were being made."""


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals must come before anything is written."""

    def made(*_: Any, **__: Any) -> None:
        raise SlowKeysMade

    monkeypatch.setattr("controller.founding.Keyring.create", made)


def attempt(home: Home, *, domain: str = "demo.example", same: bool = False) -> Founded:
    one, two = PrivateKey.from_seed(b"a" * 32).public, PrivateKey.from_seed(b"b" * 32).public
    founding = Founding(domain=domain, purpose=Purpose.PRODUCTION, operators=(one, one if same else two))
    return found(home, founding, passphrase=b"p", now=NOW, randomness=os.urandom)


def test_the_trust_root_vouches_for_the_keys_that_were_made(founded_once: Any, founded_keyring: Any) -> None:
    content = founded_once.home.trust_root.read_bytes()
    root = trust.read(content)
    assert trust.fingerprint(content) == founded_once.founded.fingerprint
    assert root.purpose is Purpose.DEMONSTRATION
    assert root.witnesses == "none"
    assert {key.role.value: key.public for key in root.keys} == {
        "order": founded_keyring.order.public,
        "issuer": founded_keyring.issuer.public,
        "boot": founded_keyring.boot.public,
        "root": PublicKey.from_ssh_line((founded_once.home.keys / "root.pub").read_text()),
    }
    assert root.log.origin == founded_once.founded.origin
    assert root.log.origin.startswith("demo.example/expunge-log/")
    assert [key.public for key in root.operators] == [key.public for key in founded_once.operators]


def test_the_table_accepts_one_proof_and_escalates_all_else(founded_once: Any) -> None:
    root = trust.read(founded_once.home.trust_root.read_bytes())
    statement, _ = root.open_statement(founded_once.home.validation_table.read_bytes(), ValidationTable)
    table = statement.predicate
    rule = table.rule("default")
    assert rule is not None
    assert (rule.floor, rule.approvals_required) == (Method.PURGE, 0)
    accepted = [
        (media, technique, grade)
        for media in MediaKind
        for technique in Technique
        for grade in Grade
        if table.decide(data_class="default", media=media, technique=technique, grade=grade)
        is ValidationDecision.ACCEPT
    ]
    assert accepted == [(MediaKind.SELF_ENCRYPTING_NVME, Technique.NVME_SANITIZE_CRYPTO, Grade.MARKER_PROVEN)]
    assert table.rule("health-records") is None


def test_the_own_policy_is_a_strangers_but_for_the_purpose_and_its_media(founded_once: Any) -> None:
    policy = Policy.read(founded_once.home.verify_policy.read_bytes())
    strict = Policy.production()
    assert policy.purposes == (Purpose.DEMONSTRATION,)
    assert policy.device_classes == (DeviceClass.EMULATED, DeviceClass.IMAGE_FILE)
    assert policy.minimum_method is strict.minimum_method
    assert policy.minimum_grade is strict.minimum_grade


def test_the_log_begins_with_the_trust_root_under_a_signed_checkpoint(founded: Any) -> None:
    content = founded.home.trust_root.read_bytes()
    root = trust.read(content)
    store = open_store(founded.home.database, is_read_only=True)
    try:
        with store.snapshot() as tx:
            checkpoint = log_rows.latest_checkpoint(tx)
            assert checkpoint is not None
            entry = log_rows.load_entry(tx, 0).entry
            proof = Proof(
                index=0, hashes=log_rows.inclusion(tx, seq=0, tree_size=1), checkpoint_note=checkpoint.note
            )
    finally:
        store.close()
    envelope = trust.sign(root, _root_key(founded))
    assert entry == Entry.of(envelope, kind=LogKind.GENESIS, seq=0).write()
    assert log_proof.check(entry, proof, root).size == 1


def _root_key(founded: Any) -> PrivateKey:
    return PrivateKey.from_openssh((founded.home.keys / "root").read_bytes(), passphrase=founded.passphrase)


def test_the_anchor_says_what_the_database_says(founded: Any) -> None:
    store = open_store(founded.home.database, is_read_only=True)
    try:
        with store.snapshot() as tx:
            keeper = AnchorKeeper(founded.home.anchor, machine_id=machine_id())
            assert keeper.compare(tx).standing is Standing.CURRENT
    finally:
        store.close()


def test_the_ledger_of_a_new_home_is_in_order(founded: Any) -> None:
    checked = check_ledger(founded.home)
    assert (checked.log_entries, checked.checkpoints, checked.deprovisions) == (1, 1, 0)
    assert checked.events >= 3


def test_every_file_but_the_public_one_is_for_its_owner_only(founded_once: Any) -> None:
    files = [path for path in founded_once.home.path.rglob("*") if path.is_file()]
    others = {path.name for path in files if stat.S_IMODE(path.stat().st_mode) != 0o600}
    assert others == {"issuer.pem"}


def test_the_configuration_that_init_writes_can_be_read(founded_once: Any) -> None:
    assert configuration_at(founded_once.home).provider.domain == "demo.example"


def test_a_home_is_never_founded_over_another(founded: Any, no_keys: None) -> None:
    before = {path: path.read_bytes() for path in founded.home.path.rglob("*") if path.is_file()}
    with pytest.raises(Refused) as refused:
        attempt(founded.home)
    assert refused.value.code is Code.HOME_EXISTS
    assert before == {path: path.read_bytes() for path in founded.home.path.rglob("*") if path.is_file()}


def without_trust_root(home: Home) -> None:
    home.trust_root.unlink()


def only_keys(home: Home) -> None:
    without_trust_root(home)
    home.database.unlink()
    home.validation_table.unlink()


def only_database(home: Home) -> None:
    without_trust_root(home)
    for path in home.keys.iterdir():
        path.unlink()
    home.validation_table.unlink()


@pytest.mark.parametrize("spoil", [without_trust_root, only_keys, only_database])
def test_half_a_home_is_refused_and_said_to_be_half(
    founded: Any, no_keys: None, spoil: Callable[[Home], None]
) -> None:
    spoil(founded.home)
    with pytest.raises(Refused) as refused:
        attempt(founded.home)
    assert refused.value.code is Code.HOME_EXISTS
    assert "half-way" in refused.value.reason
    assert "Remove" in refused.value.remedy


def test_one_person_is_not_two_operators(tmp_path: Path, no_keys: None) -> None:
    with pytest.raises(Refused) as refused:
        attempt(Home(tmp_path / "home"), same=True)
    assert refused.value.code is Code.OPERATORS_NOT_TWO
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "domain",
    ["", "Demo Example", "a" * 300, "demo.example/other", "demo+example", 'a"\n[limits]\nper_hour = 9 #'],
)
def test_a_domain_that_no_log_can_have_is_refused_before_keys_are_made(
    tmp_path: Path, no_keys: None, domain: str
) -> None:
    with pytest.raises(Refused) as refused:
        attempt(Home(tmp_path / "home"), domain=domain)
    assert refused.value.code is Code.CONFIGURATION_INVALID
    assert not list((tmp_path / "home" / "keys").iterdir())
    assert not (tmp_path / "home" / "expunge.toml").exists()


def test_a_configuration_of_another_domain_is_kept_and_refused(tmp_path: Path, no_keys: None) -> None:
    home = Home(tmp_path / "home")
    with pytest.raises(SlowKeysMade):
        attempt(home, domain="one.example")
    written = home.configuration.read_bytes()
    with pytest.raises(Refused) as refused:
        attempt(home, domain="two.example")
    assert refused.value.code is Code.CONFIGURATION_INVALID
    assert home.configuration.read_bytes() == written


def test_operators_may_not_be_the_controllers_own_keys(
    tmp_path: Path, founded_once: Any, founded_keyring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root_key = _root_key(founded_once)
    monkeypatch.setattr("controller.founding.Keyring.create", lambda *_, **__: (root_key, founded_keyring))
    founding = Founding(
        domain="demo.example",
        purpose=Purpose.PRODUCTION,
        operators=(founded_keyring.order.public, founded_once.operators[0].public),
    )
    with pytest.raises(Refused) as refused:
        found(Home(tmp_path / "home"), founding, passphrase=b"p", now=NOW, randomness=os.urandom)
    assert refused.value.code is Code.CONFIGURATION_INVALID


def test_the_root_key_stays_out_of_the_ring_and_opens_with_the_passphrase_only(founded: Any) -> None:
    with pytest.raises(Refused) as refused:
        PrivateKey.from_openssh((founded.home.keys / "root").read_bytes(), passphrase=b"guess")
    assert refused.value.code is CertificateCode.KEY_UNREADABLE
