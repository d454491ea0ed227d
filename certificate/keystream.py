"""The keystream of an overwrite: what stands at each place of a medium after a pass, from order to byte.

Rules: a pure function of (key, place, capacity), so that any worker, a read-back, another process or a
stranger with order, evidence and drive makes the same bytes again; the key follows from order, nonce and
medium, so that nobody chooses it and two passes differ. The bytes are noise and no secret: nothing is hidden
under this key.

    stream  the addressable bytes of the medium: its namespaces one after the other, ascending by nsid; where
            one ends the next goes on, in the middle of a unit if need be. A drive that knows no namespaces is
            one. The capacity is the sum of the namespaces' and leaves out what is in none of them
    key     64 bytes of SHAKE-256("expunge-overwrite/v1" || order digest || nonce || commitment), raw bytes
    unit i  the stream's bytes from i * 1 MiB on: zeros, encrypted by XTS-AES-256 with the tweak i (16 bytes,
            little-endian); the last unit of a medium is shorter

A stranger who has byte n of namespace k in hand adds the namespaces below k to n and asks `read`.

XTS over zeros costs half of what counter mode costs (measured: performance.md, 1a and 1d), and a data unit
may have up to 16 MiB. Source: IEEE 1619-2018, 5.1 and 5.3; from memory.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

UNIT_BYTES: Final = 1 << 20
KEY_BYTES: Final = 64
#: Of one AES block: XTS has no shorter unit.
MIN_UNIT_BYTES: Final = 16
#: Of the pattern that a drive repeats in its own overwrite (NVM Express Base 2.0, 5.24, CDW11).
PATTERN_BYTES: Final = 4
_DOMAIN: Final = b"expunge-overwrite/v1"
_PATTERN_DOMAIN: Final = b"expunge-sanitize-pattern/v1"


def key(*, order_digest: str, nonce: bytes, commitment: str) -> bytes:
    """The 64 bytes under which one medium is overwritten by one order. Digests are hexadecimal, `nonce` is
    the markers' nonce in `Evidence`.
    """
    seed = _DOMAIN + bytes.fromhex(order_digest) + nonce + bytes.fromhex(commitment)
    return hashlib.shake_256(seed).digest(KEY_BYTES)


def sanitize_pattern(key: bytes) -> int:
    """The 32 bits of a Sanitize that overwrites: the first 4 bytes, little-endian, of SHAKE-256(
    "expunge-sanitize-pattern/v1" || key), 1 instead of 0. Never zero, so that blocks which read so were not
    merely deallocated.
    """
    made = hashlib.shake_256(_PATTERN_DOMAIN + key).digest(PATTERN_BYTES)
    return int.from_bytes(made, "little") or 1


def unit_encryptor(key: bytes, index: int) -> CipherContext:
    """Encrypts the zeros of unit `index`: one `update` or `update_into` call, then it is spent."""
    tweak = index.to_bytes(16, "little")
    return Cipher(algorithms.AES(key), modes.XTS(tweak)).encryptor()


def unit(key: bytes, index: int, length_bytes: int) -> bytes:
    """Unit `index`, or its first `length_bytes` where the medium ends in it."""
    if not MIN_UNIT_BYTES <= length_bytes <= UNIT_BYTES:
        raise ValueError(f"a unit has {MIN_UNIT_BYTES} to {UNIT_BYTES} bytes, not {length_bytes}")
    return unit_encryptor(key, index).update(bytes(length_bytes))


def read(key: bytes, *, capacity_bytes: int, offset_bytes: int, length_bytes: int) -> bytes:
    """The bytes that stand at `offset_bytes` of a medium of `capacity_bytes`. For small pieces: each touched
    unit is made whole, because a shorter last unit is not the beginning of a longer one in its last block.
    """
    end = offset_bytes + length_bytes
    if not 0 <= offset_bytes < end <= capacity_bytes:
        raise ValueError(f"{length_bytes} bytes at {offset_bytes} do not lie in {capacity_bytes}")
    first, last = offset_bytes // UNIT_BYTES, (end - 1) // UNIT_BYTES
    made = b"".join(
        unit(key, index, min(UNIT_BYTES, capacity_bytes - index * UNIT_BYTES))
        for index in range(first, last + 1)
    )
    start = offset_bytes - first * UNIT_BYTES
    return made[start : start + length_bytes]
