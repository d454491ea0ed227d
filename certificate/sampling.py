"""Which parts of an overwritten medium are read back: all of it, or stratified extents from a recorded seed.

Rules: positions follow from (seed, capacity) alone, so that whoever holds the evidence can say which bytes
were compared; the seed follows from order, nonce and medium and is new for every run; the first and the last
addressable place are always among them.

A sample divides the medium into equal subsections of about 20 MiB and takes two extents of 1 MiB from each,
one from either half: each extent is at least a twentieth of its subsection, and a medium of 20 GB or more
has a thousand subsections, as the sampling rule of NIST SP 800-88r1, section 4.7, asks (from memory; r2 leaves
the choice to the organisation, 4.5.1). A medium below 20 MiB is read whole. What a sample cannot show is said by
`assurance` in a limit.
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
    """How many extents `extents` gives at least: all of a full read-back, two a subsection of a sample. First
    and last may come on top of those of a sample.
    """
    total = -(-capacity_bytes // EXTENT_BYTES)
    if mode is ReadBackMode.FULL or total <= SUBSECTION_EXTENTS:
        return total
    return 2 * (total // SUBSECTION_EXTENTS)


def _sampled(seed: bytes, total: int) -> Iterator[int]:
    """Ascending, each once. Constant memory: the medium may have millions of extents."""
    if total <= SUBSECTION_EXTENTS:
        yield from range(total)
        return
    parts = 2 * (total // SUBSECTION_EXTENTS)
    yield 0
    for part in range(parts):
        low, high = part * total // parts, (part + 1) * total // parts
        number = int.from_bytes(hashlib.sha256(seed + part.to_bytes(8, "big")).digest()[:16], "big")
        chosen = low + number % (high - low)
        if chosen not in (0, total - 1):
            yield chosen
    yield total - 1
