"""Signed notes: the specification's own example, foreign lines, and bytes that are no note."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Code, Malformed, Refused, Untrusted
from certificate.keys import PrivateKey, PublicKey
from certificate.log import note
from certificate.log.note import Ed25519NoteKey, Note, NoteSignature

#: The example of Go's golang.org/x/mod/sumdb/note, whose format C2SP signed-note describes.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

SIGNER = PrivateKey.from_seed(bytes(range(32)))
OTHER = PrivateKey.from_seed(bytes(range(1, 33)))
KEY = Ed25519NoteKey(name="log.example", public=SIGNER.public)
TEXT = b"first line\nsecond line\n"
NOTE = note.sign(TEXT, name="log.example", signer=SIGNER)


def peter() -> Ed25519NoteKey:
    raw = base64.b64decode(PETER_VKEY.split("+", 2)[2])[1:]
    return Ed25519NoteKey(name="PeterNeumann", public=PublicKey(raw))


def foreign(name: str = "witness.example", length: int = 2424) -> bytes:
    """A line of a key and an algorithm that we do not know (as long as ML-DSA-44 cosignatures are)."""
    return NoteSignature(name=name, key_id=b"\x01\x02\x03\x04", signature=bytes(length)).write()


def refusal_of(data: bytes, *keys: Ed25519NoteKey) -> Refused:
    with pytest.raises(Refused) as refusal:
        note.open_note(data, keys or (KEY,))
    assert refusal.value.code is Code.CHECKPOINT_INVALID
    return refusal.value


def test_the_published_example_verifies() -> None:
    assert peter().vkey == PETER_VKEY
    assert note.open_note(PETER_NOTE, [peter()]) == PETER_NOTE.split(b"\n\n")[0] + b"\n"


def test_a_note_is_read_as_it_is_written() -> None:
    assert note.read(NOTE).write() == NOTE
    assert note.read(PETER_NOTE).write() == PETER_NOTE
    assert note.open_note(NOTE, [KEY]) == TEXT


def test_signing_again_gives_the_same_note() -> None:
    assert note.sign(TEXT, name="log.example", signer=SIGNER) == NOTE


def test_lines_of_unknown_keys_are_ignored_wherever_they_stand() -> None:
    head, line = NOTE.split(b"\n\n")
    crowded = head + b"\n\n" + foreign() + line + foreign("another.example", 5)
    assert note.open_note(crowded, [KEY]) == TEXT


def test_sixteen_signatures_and_more_are_accepted() -> None:
    crowded = NOTE + b"".join(foreign(f"witness-{number}") for number in range(40))
    assert note.open_note(crowded, [KEY]) == TEXT


def test_a_note_without_a_known_signature_is_refused() -> None:
    other = Ed25519NoteKey(name="log.example", public=OTHER.public)
    assert isinstance(refusal_of(NOTE, other), Untrusted)
    renamed = Ed25519NoteKey(name="other.example", public=SIGNER.public)
    assert isinstance(refusal_of(NOTE, renamed), Untrusted)
    assert isinstance(refusal_of(TEXT + b"\n" + foreign()), Untrusted)


def test_no_keys_verify_nothing() -> None:
    with pytest.raises(Untrusted):
        note.open_note(NOTE, [])


def test_a_known_key_that_fails_refuses_the_note_although_another_verifies() -> None:
    second = Ed25519NoteKey(name="log.example", public=OTHER.public)
    false = NoteSignature(name="log.example", key_id=second.key_id, signature=bytes(64)).write()
    assert note.open_note(NOTE + false, [KEY]) == TEXT
    assert "does not verify" in refusal_of(NOTE + false, KEY, second).reason
    doubled = NOTE + NoteSignature(name="log.example", key_id=KEY.key_id, signature=bytes(64)).write()
    assert "does not verify" in refusal_of(doubled).reason


def test_text_and_signatures_part_at_the_last_empty_line() -> None:
    text = b"a\n\n" + "— nobody AAAAAAAA\n".encode() + b"b\n"
    signed = note.sign(text, name="log.example", signer=SIGNER)
    assert note.open_note(signed, [KEY]) == text


def test_other_line_ends_do_not_part_a_text() -> None:
    text = "a\u2028b\u0085c\u2029\n".encode()
    assert note.open_note(note.sign(text, name="log.example", signer=SIGNER), [KEY]) == text


def test_a_signature_over_nothing_vouches_for_nothing() -> None:
    line = note.signature_of(b"", name="log.example", signer=SIGNER).write()
    for head in (b"", b"x", b"\n", b"\n\n"):
        assert isinstance(refusal_of(head + line), Refused)


@pytest.mark.parametrize(
    "altered",
    [
        b"",
        TEXT,
        NOTE[:-1],
        NOTE + b"\n",
        NOTE + b"x\n",
        TEXT + b"\n",
        NOTE.replace("—".encode(), b"-"),
        NOTE.replace("— ".encode(), "—".encode()),
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace(b"first", b"fir\tt"),
        NOTE.replace(b"first", b"fir\xfft"),
        NOTE.replace(b"log.example", b"log+example"),
        NOTE.replace(b"log.example", "log\u00a0example".encode()),
        NOTE.replace(b"log.example ", b"log.example  "),
        NOTE[:-2] + b"!\n",
        TEXT + b"\n" + "— log.example AAAAAA==\n".encode(),
        NOTE + foreign(length=1) * 100,
        TEXT * 50_000 + NOTE,
    ],
)
def test_bytes_that_are_no_note_are_refused(altered: bytes) -> None:
    assert isinstance(refusal_of(altered), Malformed)


@given(st.integers(min_value=0, max_value=len(NOTE) - 1), st.integers(min_value=1, max_value=255))
def test_any_flipped_byte_refuses_a_note(position: int, flip: int) -> None:
    altered = bytearray(NOTE)
    altered[position] ^= flip
    refusal_of(bytes(altered))


@pytest.mark.parametrize("text", ["no line feed", "", "a\x00b\n", "a\n\n— name AAAAAAAA"])
def test_what_could_not_be_read_back_is_not_signed(text: str) -> None:
    with pytest.raises(Malformed):
        note.sign(text.encode(), name="log.example", signer=SIGNER)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\n"])
def test_a_name_that_would_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        Ed25519NoteKey(name=name, public=SIGNER.public)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        note.read(b"\x00" + data)
    try:
        found = note.read(data)
    except Malformed:
        return
    assert isinstance(found, Note)
    assert found.write() == data
