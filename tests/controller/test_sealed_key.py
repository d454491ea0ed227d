"""Symmetric keys at rest: one passphrase, one purpose, no changed byte."""

from __future__ import annotations

import json
import os

import pytest

from certificate.errors import Code, Refused
from controller.sealed_key import seal, unseal

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return seal(KEY, purpose="pseudonym", passphrase=b"correct", randomness=os.urandom).write()


def test_a_key_opens_with_its_passphrase_for_its_purpose(sealed: bytes) -> None:
    assert unseal(sealed, purpose="pseudonym", passphrase=b"correct") == KEY
    assert KEY.hex().encode() not in sealed


@pytest.mark.parametrize(("purpose", "passphrase"), [("pseudonym", b"wrong"), ("private-text", b"correct")])
def test_another_passphrase_and_another_purpose_are_refused(
    sealed: bytes, purpose: str, passphrase: bytes
) -> None:
    with pytest.raises(Refused) as refused:
        unseal(sealed, purpose=purpose, passphrase=passphrase)
    assert refused.value.code is Code.KEY_UNREADABLE


@pytest.mark.parametrize("field", ["salt", "nonce", "sealed"])
def test_one_changed_digit_is_refused(sealed: bytes, field: str) -> None:
    fields = json.loads(sealed)
    fields[field] = ("0" if fields[field][0] != "0" else "1") + fields[field][1:]
    with pytest.raises(Refused) as refused:
        unseal(json.dumps(fields).encode(), purpose="pseudonym", passphrase=b"correct")
    assert refused.value.code is Code.KEY_UNREADABLE


@pytest.mark.parametrize(("field", "value"), [("n", 2), ("kdf", "none"), ("p", 2), ("schema_version", 2)])
def test_a_file_cannot_ask_for_cheaper_parameters(sealed: bytes, field: str, value: object) -> None:
    fields = {**json.loads(sealed), field: value}
    with pytest.raises(Refused) as refused:
        unseal(json.dumps(fields).encode(), purpose="pseudonym", passphrase=b"correct")
    assert refused.value.code is Code.MALFORMED


def test_two_files_of_one_key_have_nothing_in_common() -> None:
    one, two = (
        json.loads(seal(KEY, purpose="pseudonym", passphrase=b"x", randomness=os.urandom).write())
        for _ in range(2)
    )
    assert not {one["salt"], one["nonce"], one["sealed"]} & {two["salt"], two["nonce"], two["sealed"]}
