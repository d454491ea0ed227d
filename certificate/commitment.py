"""Commitments: how a document names a medium, a host or a set of markers without saying what it is.

A digest over a salt of 32 random bytes hides a serial number that could otherwise be guessed by trying;
whoever holds the annex can open it. Formats: FORMATS.md, "Statements". Markers: the list that was committed
to before an erase is opened afterwards in the evidence, and `markers_digest` must come out the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

SALT_BYTES = 32


def _salted(domain: bytes, salt: bytes, value: bytes) -> str:
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, this one {len(salt)}")
    return hashlib.sha256(domain + salt + value).hexdigest()


def medium_commitment(*, salt: bytes, serial: str) -> str:
    """SHA-256("media/v1" || salt || serial), 64 hexadecimal digits."""
    return _salted(b"media/v1", salt, serial.encode())


def host_fact_commitment(*, salt: bytes, kind: str, value: str) -> str:
    """One identifying fact of a host. SHA-256("host/v1" || salt || kind || 0x00 || value)."""
    return _salted(b"host/v1", salt, kind.encode() + b"\x00" + value.encode())


def host_commitment(facts: Iterable[tuple[str, str]]) -> str:
    """A host as the digest of its (kind, fact commitment) pairs, in order of kind and commitment."""
    digest = hashlib.sha256(b"host-set/v1")
    for kind, commitment in sorted(facts):
        digest.update(f"\n{kind} {commitment}".encode())
    return digest.hexdigest()


def markers_digest(*, nonce: bytes, markers: Iterable[tuple[int, int, int, str]]) -> str:
    """What the agent commits to before an erase, opened afterwards in the evidence.

    Each marker is (nsid, offset_bytes, length_bytes, SHA-256 hex of its content); order does not matter.
    """
    digest = hashlib.sha256(b"markers/v1" + nonce)
    for nsid, offset_bytes, length_bytes, content_sha256 in sorted(markers):
        digest.update(f"\n{nsid} {offset_bytes} {length_bytes} {content_sha256}".encode())
    return digest.hexdigest()


def pseudonym(*, key: bytes, domain: str, value: str) -> str:
    """A keyed pseudonym (HMAC-SHA-256, 64 hex digits): destroy the key and nobody can link it again."""
    return hmac.new(key, domain.encode() + b"\x00" + value.encode(), hashlib.sha256).hexdigest()
