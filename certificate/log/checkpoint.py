"""Checkpoints: the signed notes in which a log states how large it is and under which root.

    <origin>
    <size>
    <base64 of the root>

Rules: exactly these three lines (an extension line would be covered by no ML-DSA signature and is refused);
the size prints back the same; the origin is the one expected, `<domain>/expunge-log/<first 8 hex of SHA-256
of the log key>`, and is the name under which the log signs; a checkpoint of the empty tree has its root.
Sources: C2SP tlog-checkpoint; FORMATS.md, "Names"; certificates.md, 2.3.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PublicKey, Signer
from certificate.log import lines, merkle, note
from certificate.log.note import NoteKey


def origin(domain: str, log_key: PublicKey) -> str:
    """The name of the log that began under this key. It stays when the key is replaced."""
    return f"{domain}/expunge-log/{hashlib.sha256(log_key.raw).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A log's statement about itself: `root` is the raw root hash over its first `size` entries."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a note with one Ed25519 signature. Raises Malformed(CHECKPOINT_INVALID) for values
    that could not be read back.
    """
    body = checkpoint.body()
    read_body(body)
    return note.sign(body, name=checkpoint.origin, signer=signer)


def open_checkpoint(data: bytes, *, origin: str, keys: Sequence[NoteKey]) -> Checkpoint:
    """The checkpoint in a note that one of `keys` signed, of this origin.

    Raises Malformed or Untrusted, both with CHECKPOINT_INVALID.
    """
    checkpoint = read_body(note.open_note(data, keys))
    if checkpoint.origin != origin:
        raise Untrusted(Code.CHECKPOINT_INVALID, f"a checkpoint of {checkpoint.origin[:80]}, not of {origin}")
    return checkpoint


def read_body(text: bytes) -> Checkpoint:
    """The checkpoint in a note's text, unverified. Raises Malformed(CHECKPOINT_INVALID)."""
    found = lines.split_lines(text)
    if found is None or len(found) != 3:
        raise Malformed(Code.CHECKPOINT_INVALID, "a checkpoint has three lines")
    name, size_text, root_text = found
    size, root = lines.read_decimal(size_text), lines.read_base64(root_text)
    if not name:
        raise Malformed(Code.CHECKPOINT_INVALID, "a checkpoint begins with its origin")
    if size is None:
        raise Malformed(Code.CHECKPOINT_INVALID, "the size of a checkpoint would be written otherwise")
    if root is None or len(root) != merkle.HASH_BYTES:
        raise Malformed(Code.CHECKPOINT_INVALID, "the root of a checkpoint is not base64 of 32 bytes")
    if size == 0 and root != merkle.EMPTY_ROOT:
        raise Malformed(Code.CHECKPOINT_INVALID, "the empty tree has another root")
    try:
        return Checkpoint(origin=name.decode("utf-8"), size=size, root=root)
    except UnicodeDecodeError:
        raise Malformed(Code.CHECKPOINT_INVALID, "the origin is not UTF-8") from None
