"""Envelopes: DSSE's own vector, exact bytes, one signature, and every altered byte."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from certificate import envelope
from certificate.envelope import STATEMENT_PAYLOAD_TYPE, TRUST_ROOT_PAYLOAD_TYPE, pae, read, sign
from certificate.errors import Code, Malformed, Refused, Untrusted
from certificate.keys import PrivateKey

SIGNER = PrivateKey.from_seed(bytes(range(32)))
OTHER = PrivateKey.from_seed(bytes(range(1, 33)))
ENVELOPE = sign(b'{"a":1}', SIGNER)
WRITTEN = ENVELOPE.write()


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(WRITTEN) | changes).encode()


def signature_changed(**changes: Any) -> bytes:
    document = json.loads(WRITTEN)
    document["signatures"][0] |= changes
    return json.dumps(document).encode()


def code_of(data: bytes) -> Code:
    with pytest.raises(Malformed) as refusal:
        read(data)
    code = refusal.value.code
    assert isinstance(code, Code)
    return code


def test_pae_is_the_published_one() -> None:
    # DSSE v1, protocol.md, "Test Vectors".
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_count_bytes_not_characters() -> None:
    assert pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"
    assert pae("", b"") == b"DSSEv1 0  0 "


@given(st.binary(max_size=300))
def test_an_envelope_is_read_as_it_was_written(payload: bytes) -> None:
    made = sign(payload, SIGNER)
    assert read(made.write()) == made
    assert read(made.write()).opened(SIGNER.public) == payload


def test_signing_stored_bytes_again_gives_the_same_envelope() -> None:
    assert sign(b'{"a":1}', SIGNER).write() == WRITTEN


def test_the_signature_verifies_with_another_library_call_over_the_pae() -> None:
    document = json.loads(WRITTEN)
    message = pae(document["payloadType"], base64.b64decode(document["payload"]))
    key: Any = load_pem_public_key(SIGNER.public.pem)
    key.verify(base64.b64decode(document["signatures"][0]["sig"]), message)
    assert document["signatures"][0]["keyid"] == SIGNER.public.keyid


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Untrusted) as refusal:
        ENVELOPE.opened(OTHER.public)
    assert refusal.value.code is Code.SIGNATURE_INVALID


def test_url_safe_base64_is_also_read() -> None:
    payload = b"\xfb\xff\xfe" * 5
    made = sign(payload, SIGNER)
    document = json.loads(made.write())
    document["payload"] = base64.urlsafe_b64encode(payload).decode()
    document["signatures"][0]["sig"] = base64.urlsafe_b64encode(made.signature).decode()
    assert "_" in document["payload"]
    assert read(json.dumps(document).encode()).opened(SIGNER.public) == payload


def test_the_keyid_may_be_absent_empty_or_wrong() -> None:
    document = json.loads(WRITTEN)
    del document["signatures"][0]["keyid"]
    for data in (
        json.dumps(document).encode(),
        signature_changed(keyid=""),
        signature_changed(keyid=OTHER.public.keyid),
    ):
        assert read(data).opened(SIGNER.public) == b'{"a":1}'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (changed(also=1), Code.UNKNOWN_FIELD),
        (signature_changed(also=1), Code.UNKNOWN_FIELD),
        (changed(signatures=[]), Code.SIGNATURE_COUNT),
        (changed(signatures=json.loads(WRITTEN)["signatures"] * 2), Code.SIGNATURE_COUNT),
        (changed(signatures={}), Code.SIGNATURE_COUNT),
        (changed(signatures=["x"]), Code.MALFORMED),
        (changed(payloadType="application/json"), Code.TYPE_MISMATCH),
        (changed(payloadType=TRUST_ROOT_PAYLOAD_TYPE), Code.TYPE_MISMATCH),
        (changed(payloadType=1), Code.MALFORMED),
        (signature_changed(keyid=None), Code.MALFORMED),
        (changed(payload=1), Code.BASE64_INVALID),
        (changed(payload="eyJhIjoxfQ"), Code.BASE64_INVALID),
        (changed(payload="eyJhIjoxfR=="), Code.BASE64_INVALID),
        (changed(payload="eyJh\nIjoxfQ=="), Code.BASE64_INVALID),
        (changed(payload="+_8="), Code.BASE64_INVALID),
        (changed(payload="é"), Code.BASE64_INVALID),
        (signature_changed(sig="AAAA"), Code.MALFORMED),
        (signature_changed(sig=base64.b64encode(bytes(65)).decode()), Code.MALFORMED),
        (b"[]", Code.MALFORMED),
        (b"{}", Code.MALFORMED),
        (WRITTEN + WRITTEN, Code.TRAILING_BYTES),
        (WRITTEN.replace(b'{"payloadType"', b'{"payload":"","payloadType"'), Code.DUPLICATE_KEY),
        (changed(payload=1.5), Code.NOT_A_NUMBER),
        (b" " * envelope.MAX_ENVELOPE_BYTES + WRITTEN, Code.LIMIT_EXCEEDED),
        (changed(payload=json.loads("[" * 32 + "]" * 32)), Code.TOO_DEEP),
    ],
)
def test_each_way_of_being_wrong_has_its_code(data: bytes, code: Code) -> None:
    assert code_of(data) is code


def test_a_missing_part_is_named() -> None:
    for name in ("payloadType", "payload", "signatures"):
        document = json.loads(WRITTEN)
        del document[name]
        with pytest.raises(Malformed, match=name):
            read(json.dumps(document).encode())


def test_a_payload_does_not_change_its_type() -> None:
    retyped = sign(b'{"a":1}', SIGNER, payload_type=TRUST_ROOT_PAYLOAD_TYPE)
    document = json.loads(retyped.write()) | {"payloadType": STATEMENT_PAYLOAD_TYPE}
    with pytest.raises(Untrusted) as refusal:
        read(json.dumps(document).encode()).opened(SIGNER.public)
    assert refusal.value.code is Code.SIGNATURE_INVALID


@given(st.integers(min_value=0, max_value=len(WRITTEN) - 1), st.integers(min_value=1, max_value=255))
def test_no_flipped_byte_opens_as_another_payload(position: int, flip: int) -> None:
    altered = bytearray(WRITTEN)
    altered[position] ^= flip
    try:
        payload = read(bytes(altered)).opened(SIGNER.public)
    except Refused:
        return
    # Only the hint (keyid) and the space after the document are not signed.
    assert payload == b'{"a":1}'


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)
