"""Checkpoints: three lines, one spelling, the right origin."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Code, Malformed, Refused, Untrusted
from certificate.keys import PrivateKey
from certificate.log import checkpoint as log_checkpoint
from certificate.log import note
from certificate.log.checkpoint import Checkpoint, open_checkpoint, read_body
from certificate.log.merkle import EMPTY_ROOT
from certificate.log.note import Ed25519NoteKey

SIGNER = PrivateKey.from_seed(bytes(range(32)))
ORIGIN = log_checkpoint.origin("hoster.example", SIGNER.public)
KEYS = (Ed25519NoteKey(name=ORIGIN, public=SIGNER.public),)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=17, root=hashlib.sha256(b"root").digest())
NOTE = log_checkpoint.sign(CHECKPOINT, SIGNER)
ROOT_TEXT = base64.b64encode(CHECKPOINT.root)


def signed(body: bytes) -> bytes:
    return note.sign(body, name=ORIGIN, signer=SIGNER)


def refusal_of(data: bytes) -> Refused:
    with pytest.raises(Refused) as refusal:
        open_checkpoint(data, origin=ORIGIN, keys=KEYS)
    assert refusal.value.code is Code.CHECKPOINT_INVALID
    return refusal.value


def test_the_origin_is_made_of_domain_and_log_key() -> None:
    assert f"hoster.example/expunge-log/{hashlib.sha256(SIGNER.public.raw).hexdigest()[:8]}" == ORIGIN


def test_a_checkpoint_is_opened_as_it_was_signed() -> None:
    assert open_checkpoint(NOTE, origin=ORIGIN, keys=KEYS) == CHECKPOINT
    assert NOTE.startswith(ORIGIN.encode() + b"\n17\n" + ROOT_TEXT + b"\n\n")


@given(st.integers(min_value=1, max_value=2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_body_is_read_as_it_is_written(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root)
    assert read_body(checkpoint.body()) == checkpoint


@pytest.mark.parametrize(
    "body",
    [
        ORIGIN.encode() + b"\n017\n" + ROOT_TEXT + b"\n",
        ORIGIN.encode() + b"\n-1\n" + ROOT_TEXT + b"\n",
        ORIGIN.encode() + b"\n1e1\n" + ROOT_TEXT + b"\n",
        ORIGIN.encode() + b"\n17\n" + ROOT_TEXT[:-1] + b"\n",
        ORIGIN.encode() + b"\n17\n" + base64.b64encode(bytes(31)) + b"\n",
        ORIGIN.encode() + b"\n17\n" + ROOT_TEXT + b"\nan extension\n",
        ORIGIN.encode() + b"\n17\n",
        b"\n17\n" + ROOT_TEXT + b"\n",
        ORIGIN.encode() + b"\n0\n" + ROOT_TEXT + b"\n",
    ],
)
def test_a_signed_body_of_another_form_is_refused(body: bytes) -> None:
    refusal_of(signed(body))


@pytest.mark.parametrize("name", [b"", b"\xff"])
def test_a_body_without_a_readable_origin_is_refused(name: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        read_body(name + b"\n17\n" + ROOT_TEXT + b"\n")
    assert refusal.value.code is Code.CHECKPOINT_INVALID


def test_the_empty_tree_has_its_own_root() -> None:
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    assert open_checkpoint(log_checkpoint.sign(empty, SIGNER), origin=ORIGIN, keys=KEYS) == empty


def test_a_checkpoint_of_another_log_is_refused_although_the_key_is_ours() -> None:
    other = replace(CHECKPOINT, origin="other.example/expunge-log/00000000")
    assert isinstance(refusal_of(signed(other.body())), Untrusted)


def test_a_checkpoint_of_another_key_is_refused() -> None:
    refusal_of(log_checkpoint.sign(CHECKPOINT, PrivateKey.from_seed(bytes(32))))


@pytest.mark.parametrize(
    "change", [{"size": -1}, {"root": b"short"}, {"origin": ""}, {"origin": "a\nb"}, {"origin": "a b"}]
)
def test_what_could_not_be_read_back_is_not_signed(change: dict[str, object]) -> None:
    with pytest.raises(Refused):
        log_checkpoint.sign(replace(CHECKPOINT, **change), SIGNER)  # type: ignore[arg-type]


@given(st.integers(min_value=0, max_value=len(NOTE) - 1), st.integers(min_value=1, max_value=255))
def test_any_flipped_byte_refuses_a_checkpoint(position: int, flip: int) -> None:
    altered = bytearray(NOTE)
    altered[position] ^= flip
    refusal_of(bytes(altered))
