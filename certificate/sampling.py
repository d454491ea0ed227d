"""Which parts of an overwritten medium are read back: all of it, or stratified extents from a recorded seed.

Rules: positions follow from (seed, capacity) alone, so that whoever holds the evidence can say which bytes
were compared; the seed follows from order, nonce and medium and is new for every run; the first and the last
addressable place are always among them.

A sample divides the medium into equal subsections of 20 MiB or a little more and takes two extents of 1 MiB
from each, one from either half, and besides them the first and the last of the medium: never less than a
tenth of all extents. A medium of 21 GB or more has a thousand subsections, as the sampling rule of NIST
SP 800-88r1, section 4.7, asks (from memory; r2 leaves the choice to the organisation, 4.5.1). A medium of
20 MiB or less is read whole. What a sample cannot show is said by `assurance` in a limit.

Offsets count in the medium's stream (`keystream`), so that each extent is one unit of it; the capacity is the
stream's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from certificate.statements.vocabulary import ReadBackMode

EXTENT_BYTES: Final = 1 << 20
SUBSECTION_EXTENTS: Final = 20
_DOMAIN: Final = b"expunge-sample/v1"


@dataclass(frozen=True, slots=True)
class Extent:
    """One piece that is read: at most 1 MiB, shorter only where the medium ends."""

    offset_bytes: int
    length_bytes: int


def seed(*, order_digest: str, nonce: bytes, commitment: str) -> str:
    """64 hexadecimal digits. Digests are hexadecimal, `nonce` is the markers' nonce in `Evidence`."""
    material = _DOMAIN + bytes.fromhex(order_digest) + nonce + bytes.fromhex(commitment)
    return hashlib.sha256(material).hexdigest()


def extents(mode: ReadBackMode, *, seed: str, capacity_bytes: int) -> Iterator[Extent]:
    """Every extent to read, ascending and apart from each other. For `full` they cover the medium."""
    total = -(-capacity_bytes // EXTENT_BYTES)
    indices = range(total) if mode is ReadBackMode.FULL else _sampled(bytes.fromhex(seed), total)
    for index in indices:
        offset = index * EXTENT_BYTES
        yield Extent(offset, min(EXTENT_BYTES, capacity_bytes - offset))


def extent_count(mode: ReadBackMode, *, capacity_bytes: int) -> int:
    """How many extents `extents` gives, whatever the seed."""
    total = -(-capacity_bytes // EXTENT_BYTES)
    if mode is ReadBackMode.FULL or total <= SUBSECTION_EXTENTS:
        return total
    return _halves(total) + 2


def byte_count(mode: ReadBackMode, *, capacity_bytes: int) -> int:
    """How many bytes those extents have together. All are whole but the last, which ends with the medium."""
    count = extent_count(mode, capacity_bytes=capacity_bytes)
    return count * EXTENT_BYTES - -capacity_bytes % EXTENT_BYTES


def _halves(total: int) -> int:
    """Of how many subsections a sample takes one extent from either half."""
    return 2 * (total // SUBSECTION_EXTENTS)


def _sampled(seed: bytes, total: int) -> Iterator[int]:
    """Ascending, each once. Constant memory: the medium may have millions of extents."""
    if total <= SUBSECTION_EXTENTS:
        yield from range(total)
        return
    halves = _halves(total)
    yield 0
    for half in range(halves):
        # The medium's own first and last are read anyway, and are chosen from no half.
        low, high = max(1, half * total // halves), min(total - 1, (half + 1) * total // halves)
        number = int.from_bytes(hashlib.sha256(seed + half.to_bytes(8, "big")).digest()[:16], "big")
        yield low + number % (high - low)
    yield total - 1
