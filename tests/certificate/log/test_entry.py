"""Log entries: the grammar, and what an entry does and does not commit to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PrivateKey
from certificate.log import entry as log_entry
from certificate.log.entry import Entry, LogKind
from demo.disclosure import says

SIGNER = PrivateKey.from_seed(bytes(range(32)))
ENVELOPE = dsse.sign(b'{"a":1}', SIGNER)
ENTRY = Entry.of(ENVELOPE, kind=LogKind.ORDER, seq=17)
TEXT = ENTRY.write()


def test_an_entry_is_six_lines() -> None:
    # Digests computed apart from the module: sha256sum of the PAE and of the 64 signature bytes.
    pae = b'DSSEv1 28 application/vnd.in-toto+json 7 {"a":1}'
    assert ENTRY.write() == (
        b"expunge-log/v1\nkind order\npae sha256:"
        + hashlib.sha256(pae).hexdigest().encode()
        + b"\nsig sha256:"
        + hashlib.sha256(ENVELOPE.signature).hexdigest().encode()
        + b"\nkey "
        + SIGNER.public.keyid.encode()
        + b"\nseq 17\n"
    )


@given(
    kind=st.sampled_from([kind for kind in LogKind if kind is not LogKind.GENESIS]),
    pae=st.binary(min_size=32, max_size=32),
    signature=st.binary(min_size=32, max_size=32),
    seq=st.integers(min_value=1, max_value=2**63 - 1),
)
def test_an_entry_is_read_as_it_is_written(kind: LogKind, pae: bytes, signature: bytes, seq: int) -> None:
    entry = Entry(
        kind=kind,
        pae_sha256=pae.hex(),
        signature_sha256=signature.hex(),
        keyid=SIGNER.public.keyid,
        seq=seq,
    )
    assert log_entry.read(entry.write()) == entry
    assert len(entry.write()) <= log_entry.MAX_ENTRY_BYTES


@pytest.mark.parametrize(
    "altered",
    [
        b"",
        TEXT[:-1],
        TEXT + b"\n",
        TEXT + b"extra x\n",
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"seq 17", b"seq 017"),
        TEXT.replace(b"seq 17", b"seq -1"),
        TEXT.replace(b"seq 17", b"seq 9999999999999999999"),
        TEXT.replace(b"kind order", b"kind purge"),
        TEXT.replace(b"kind order", b"kind Order"),
        TEXT.replace(b"kind order", b"kind  order"),
        TEXT.replace(b"expunge-log/v1", b"expunge-log/v2"),
        TEXT.replace(b"pae sha256:", b"pae sha512:"),
        TEXT.replace(ENTRY.pae_sha256.encode(), ENTRY.pae_sha256.upper().encode()),
        TEXT.replace(b"key SHA256:", b"key MD5:"),
    ],
)
def test_anything_but_the_six_lines_is_refused(altered: bytes) -> None:
    assert altered != TEXT
    with pytest.raises(Malformed) as refusal:
        log_entry.read(altered)
    assert refusal.value.code is Code.ENTRY_INVALID


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.integers(min_value=1, max_value=255))
def test_no_flipped_byte_gives_the_same_entry(position: int, flip: int) -> None:
    altered = bytearray(TEXT)
    altered[position] ^= flip
    with suppress(Malformed):
        found = log_entry.read(bytes(altered))
        assert found != ENTRY
        assert found.write() == bytes(altered)


def test_genesis_is_entry_zero_and_only_entry_zero() -> None:
    assert Entry.of(ENVELOPE, kind=LogKind.GENESIS, seq=0).seq == 0
    for kind, seq in ((LogKind.GENESIS, 1), (LogKind.ORDER, 0)):
        with pytest.raises(Malformed) as refusal:
            Entry.of(ENVELOPE, kind=kind, seq=seq)
        assert refusal.value.code is Code.ENTRY_INVALID


def refusal_of(entry: Entry, envelope: Envelope, **changes: Any) -> str:
    arguments: dict[str, Any] = {"kind": LogKind.ORDER, "keyid": SIGNER.public.keyid, **changes}
    with pytest.raises(Untrusted) as refusal:
        entry.require_commitment(envelope, **arguments)
    assert refusal.value.code is Code.NOT_LOGGED
    return refusal.value.reason


def test_an_entry_commits_to_its_own_document() -> None:
    ENTRY.require_commitment(ENVELOPE, kind=LogKind.ORDER, keyid=SIGNER.public.keyid)


def test_an_entry_does_not_commit_to_another_document_signature_kind_or_key() -> None:
    other = PrivateKey.from_seed(bytes(32))
    assert "another document" in refusal_of(ENTRY, dsse.sign(b'{"a":2}', SIGNER))
    assert "another signature" in refusal_of(ENTRY, dsse.sign(b'{"a":1}', other))
    assert "kind" in refusal_of(ENTRY, ENVELOPE, kind=LogKind.OUTCOME)
    assert "names the key" in refusal_of(ENTRY, ENVELOPE, keyid=other.public.keyid)


def test_another_spacing_or_an_empty_keyid_keeps_the_commitment() -> None:
    document = json.loads(ENVELOPE.write())
    document["signatures"][0]["keyid"] = ""
    found = dsse.read(json.dumps(document, indent=3).encode())
    ENTRY.require_commitment(found, kind=LogKind.ORDER, keyid=SIGNER.public.keyid)


@pytest.mark.parametrize(
    "change",
    [{"pae_sha256": "00"}, {"signature_sha256": "A" * 64}, {"keyid": "SHA256:short"}, {"seq": -1}],
)
def test_values_that_the_grammar_cannot_carry_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        replace(ENTRY, **change)


def test_an_entry_names_no_host_medium_or_tenant(
    make_order: Callable[..., Any], signed_order: Callable[..., Envelope]
) -> None:
    order = make_order()
    entry = Entry.of(signed_order(order), kind=LogKind.ORDER, seq=3).write()
    for word in (order.order, order.deprovision, order.host.commitment, order.plan.media[0].commitment):
        assert not says(entry, word)
