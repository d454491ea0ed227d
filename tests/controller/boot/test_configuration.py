"""The configuration of one start: public, signed, bound to one secret that is not in it."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certificate import envelope
from certificate.errors import Untrusted
from certificate.identifiers import DeprovisionId
from certificate.keys import PrivateKey
from certificate.statements import Boot, Purpose, read
from certificate.statements.vocabulary import BootTrust
from controller.boot.configuration import BootConfiguration, build

BOOT_KEY = PrivateKey.from_seed(b"b" * 32)
CONTROLLER = PrivateKey.from_seed(b"c" * 32).public
SECRET = bytes(range(32))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def built(**changes: Any) -> BootConfiguration:
    fields: dict[str, Any] = {
        "deprovision": DeprovisionId.from_random(b"d" * 16),
        "boot_trust": BootTrust.VIRTUAL_MEDIA,
        "trust_root_digest": "ab" * 32,
        "controller_keys": (CONTROLLER,),
        "secret": SECRET,
        "nonce": "cd" * 16,
        "purpose": Purpose.DEMONSTRATION,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "signer": BOOT_KEY,
    }
    return build(**{**fields, **changes})


def test_the_configuration_is_a_signed_boot_statement() -> None:
    opened = envelope.read(built().data).opened(BOOT_KEY.public)
    boot = read(opened, Boot).predicate
    assert boot.boot_trust is BootTrust.VIRTUAL_MEDIA
    assert boot.trust_root_digest == "ab" * 32
    assert boot.controller_ssh_keys == (CONTROLLER.ssh_line,)
    assert boot.signer == BOOT_KEY.public.keyid
    assert boot.purpose is Purpose.DEMONSTRATION
    assert (boot.issued_at, boot.expires_at) == (NOW, NOW + timedelta(hours=1))


def test_the_secret_is_named_by_its_hash_and_stands_nowhere_in_it() -> None:
    data = built().data
    opened = envelope.read(data).opened(BOOT_KEY.public)
    assert read(opened, Boot).predicate.secret_digest == hashlib.sha256(SECRET).hexdigest()
    for form in (SECRET, SECRET.hex().encode()):
        assert form not in data
        assert form not in opened


def test_no_other_key_signed_it() -> None:
    with pytest.raises(Untrusted):
        envelope.read(built().data).opened(CONTROLLER)


def test_the_same_start_gives_the_same_bytes_and_another_secret_others() -> None:
    assert built().data == built().data
    assert built().digest == hashlib.sha256(built().data).hexdigest()
    assert built(secret=b"t" * 32).digest != built().digest


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": b"short"},
        {"secret": b""},
        {"expires_at": NOW},
        {"issued_at": datetime(2026, 11, 22, 12)},  # noqa: DTZ001 (naive on purpose)
        {"issued_at": NOW.replace(microsecond=1)},
        {"controller_keys": ()},
        {"trust_root_digest": ""},
        {"nonce": "cd"},
    ],
    ids=str,
)
def test_what_could_not_be_checked_later_is_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        built(**changes)
