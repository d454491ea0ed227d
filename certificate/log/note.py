"""Signed notes: a text and the signature lines below it, as bytes.

    <text, each line ended by LF>
    <empty line>
    — <name> <base64 of a 4-byte key id and the signature>

Rules: UTF-8, no control character but LF; text and signatures part at the *last* empty line; a signature line
that is not one refuses the note. Lines of unknown keys are ignored, so that witnesses and other algorithms
come without migration; a line that bears a known key's name and id must verify, or the note is refused; at
least one known key must have signed. Never decoded into lines by anything that knows more line ends than LF.
Source: C2SP signed-note (certificates.md, 2.3).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature

from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PublicKey, Signer
from certificate.log import lines

#: U+2014 and a space begin a signature line.
_DASH = "— ".encode()
#: Type byte of a plain Ed25519 signature (C2SP signed-note, "Signature types").
ED25519 = 0x01
KEY_ID_BYTES = 4
#: C2SP asks for at least 16. A hundred ML-DSA-87 lines stay below the byte limit; stops work without end.
MAX_SIGNATURES = 100
MAX_NOTE_BYTES = 1_000_000


class NoteKey(Protocol):
    """A key that a note may be signed with: its name, its id, and the verification of one algorithm."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def verify(self, signature: bytes, text: bytes) -> None:
        """Raises cryptography's InvalidSignature unless this key signed `text`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ed25519NoteKey:
    """A plain Ed25519 key under a name, which for a log is its origin."""

    name: str
    public: PublicKey

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise Malformed(Code.KEY_INVALID, "the name of a note's key has no space and no plus sign")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name LF type key), the first four bytes."""
        digest = hashlib.sha256(self.name.encode() + b"\n" + bytes([ED25519]) + self.public.raw)
        return digest.digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as other tools of this family take it: name+hex(key id)+base64(type key)."""
        body = base64.b64encode(bytes([ED25519]) + self.public.raw).decode()
        return f"{self.name}+{self.key_id.hex()}+{body}"

    def verify(self, signature: bytes, text: bytes) -> None:
        self.public.verify(signature, text)


@dataclass(frozen=True, kw_only=True)
class NoteSignature:
    """One signature line: who claims to have signed, and what is claimed."""

    name: str
    key_id: bytes
    signature: bytes

    def write(self) -> bytes:
        body = base64.b64encode(self.key_id + self.signature)
        return _DASH + self.name.encode() + b" " + body + b"\n"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A well-formed note, nothing of it verified. `text` ends in LF."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def write(self) -> bytes:
        return self.text + b"\n" + b"".join(signature.write() for signature in self.signatures)


def signature_of(text: bytes, *, name: str, signer: Signer) -> NoteSignature:
    """The Ed25519 signature of `text` under this name. Deterministic."""
    key = Ed25519NoteKey(name=name, public=signer.public)
    return NoteSignature(name=name, key_id=key.key_id, signature=signer.sign(text))


def sign(text: bytes, *, name: str, signer: Signer) -> bytes:
    """A note with one signature. Raises Malformed(CHECKPOINT_INVALID) for a text that no note can hold."""
    written = Note(text=text, signatures=(signature_of(text, name=name, signer=signer),)).write()
    if read(written).text != text:
        raise Malformed(Code.CHECKPOINT_INVALID, "this text cannot stand in a note")
    return written


def read(data: bytes) -> Note:
    """The note in `data`, unverified. Raises Malformed(CHECKPOINT_INVALID)."""
    if len(data) > MAX_NOTE_BYTES:
        raise _malformed(f"a note of {len(data)} bytes")
    try:
        characters = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise _malformed(f"a note is UTF-8, byte {error.start} is not") from None
    if any(character < " " and character != "\n" for character in characters):
        raise _malformed("a note holds no control characters")
    split = data.rfind(b"\n\n")
    if split < 0:
        raise _malformed("no empty line parts text and signatures")
    text, below = data[: split + 1], lines.split_lines(data[split + 2 :])
    if below is None:
        raise _malformed("a note ends with a signature line and its line feed")
    if len(below) > MAX_SIGNATURES:
        raise _malformed(f"a note of {len(below)} signatures")
    return Note(text=text, signatures=tuple(_signature_line(line) for line in below))


def open_note(data: bytes, keys: Sequence[NoteKey]) -> bytes:
    """The text of the note, if one of `keys` signed it and none of them is contradicted.

    Raises Malformed or Untrusted, both with CHECKPOINT_INVALID.
    """
    note = read(data)
    known = {(key.name, key.key_id): key for key in keys}
    verified = 0
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        try:
            key.verify(signature.signature, note.text)
        except InvalidSignature:
            raise Untrusted(Code.CHECKPOINT_INVALID, f"the signature of {key.name} does not verify") from None
        verified += 1
    if not verified:
        raise Untrusted(Code.CHECKPOINT_INVALID, "no trusted key signed this note")
    return note.text


def _signature_line(line: bytes) -> NoteSignature:
    name, space, body = line.removeprefix(_DASH).partition(b" ")
    decoded = lines.read_base64(body)
    if not line.startswith(_DASH) or not space or not _is_name(name.decode("utf-8")):
        raise _malformed("a line below the text is not a signature line")
    if decoded is None or len(decoded) <= KEY_ID_BYTES:
        raise _malformed("a signature line is not base64 of a key id and a signature")
    return NoteSignature(
        name=name.decode("utf-8"), key_id=decoded[:KEY_ID_BYTES], signature=decoded[KEY_ID_BYTES:]
    )


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def _malformed(reason: str) -> Malformed:
    return Malformed(Code.CHECKPOINT_INVALID, reason)
