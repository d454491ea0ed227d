"""Proof files: from one entry, over its path, to one checkpoint.

    c2sp.org/tlog-proof@v1
    extra <base64>            at most once; ours carries the entry's text as a convenience
    index <leaf index>
    <base64 of a hash>        leaf to root, any number
    <empty line>
    <the checkpoint, verbatim>

Rules: one spelling, so that a proof read is the proof written; `extra` is authenticated by nothing and
believed by nothing: `check` takes the entry from elsewhere. The index must be the entry's own `seq`.
Source: C2SP tlog-proof (certificates.md, 2.3).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Protocol

from certificate.errors import Code, Malformed, Untrusted
from certificate.log import entry as log_entry
from certificate.log import lines, merkle
from certificate.log.checkpoint import Checkpoint
from certificate.log.note import MAX_NOTE_BYTES

HEADER = b"c2sp.org/tlog-proof@v1"
#: The largest checkpoint, 64 hashes and an entry: stops memory exhaustion.
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 10_000


class OpensCheckpoints(Protocol):
    """Whoever knows the trusted log's keys: `certificate.trust.TrustRoot`."""

    def open_checkpoint(self, data: bytes) -> Checkpoint:
        """Raises Malformed or Untrusted with CHECKPOINT_INVALID."""
        ...


@dataclass(frozen=True, kw_only=True)
class Proof:
    """That the leaf `index` stands under a checkpoint: raw hashes leaf to root, and the note as it came."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    def write(self) -> bytes:
        """The `.tlog-proof` file."""
        head = [HEADER]
        if self.extra is not None:
            head.append(b"extra " + base64.b64encode(self.extra))
        head.append(b"index %d" % self.index)
        head.extend(base64.b64encode(node) for node in self.hashes)
        return b"\n".join(head) + b"\n\n" + self.checkpoint_note


def read(data: bytes) -> Proof:
    """The proof in `data`, unverified. Raises Malformed(PROOF_INVALID)."""
    if len(data) > MAX_PROOF_BYTES:
        raise _malformed(f"a proof of {len(data)} bytes")
    head, separator, note = data.partition(b"\n\n")
    if not separator:
        raise _malformed("no empty line parts proof and checkpoint")
    found = head.split(b"\n")
    if found[0] != HEADER:
        raise _malformed("the first line names another format")
    rest = found[1:]
    extra: bytes | None = None
    if rest and rest[0].startswith(b"extra "):
        extra = _base64(rest.pop(0).removeprefix(b"extra "))
    if not rest or not rest[0].startswith(b"index "):
        raise _malformed("no line says the index")
    index = lines.read_decimal(rest[0].removeprefix(b"index "))
    if index is None:
        raise _malformed("the index would be written otherwise")
    if len(rest) - 1 > merkle.MAX_PROOF_HASHES:
        raise _malformed(f"a proof of {len(rest) - 1} hashes")
    hashes = tuple(_base64(line) for line in rest[1:])
    if any(len(node) != merkle.HASH_BYTES for node in hashes):
        raise _malformed("a hash has 32 bytes")
    return Proof(index=index, hashes=hashes, checkpoint_note=note, extra=extra)


def check(entry: bytes, proof: Proof, trust: OpensCheckpoints) -> Checkpoint:
    """The trusted checkpoint under which `entry` stands.

    1. The entry follows the grammar, and the proof speaks of its place.
    2. The checkpoint is the trusted log's.
    3. The path leads from this entry to that root.

    Raises Malformed(ENTRY_INVALID, CHECKPOINT_INVALID) or Untrusted(PROOF_INVALID, CHECKPOINT_INVALID).
    """
    # 1.
    seq = log_entry.read(entry).seq
    if seq != proof.index:
        raise Untrusted(Code.PROOF_INVALID, f"the proof speaks of leaf {proof.index}, the entry of {seq}")
    # 2.
    checkpoint = trust.open_checkpoint(proof.checkpoint_note)
    # 3.
    merkle.verify_inclusion(seq, checkpoint.size, merkle.leaf_hash(entry), proof.hashes, checkpoint.root)
    return checkpoint


def _base64(text: bytes) -> bytes:
    data = lines.read_base64(text)
    if data is None:
        raise _malformed("a line is not canonical base64")
    return data


def _malformed(reason: str) -> Malformed:
    return Malformed(Code.PROOF_INVALID, reason)
