"""Marking: which markers one drive gets, from order to byte.

Rules: positions and content follow from the order, this boot's nonce and the drive, so nobody can choose them
and two runs differ; each namespace gets its first and last block and random ones in between. Whoever judges
derives them again, so that markers elsewhere, or fewer, prove nothing.

    seed      "expunge-markers/v1" || order digest || nonce || commitment, raw bytes
    content   4096 bytes of SHAKE-256(seed || "content" || nsid || offset), 4 and 8 bytes big-endian
    between   page numbers from SHAKE-256(seed || "positions" || nsid), 16 bytes big-endian each

Writing and reading them is the agent's (`agent.markers`), what a reading is worth `assurance`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: One marker: a page, and whole blocks of 512 as of 4096 bytes.
MARKER_BYTES = 4096
#: Besides the first and the last block of a namespace.
RANDOM_POSITIONS = 16
#: Evidence holds at most 64 markers a medium; many namespaces share them, each gets at least one.
MAX_MARKERS = 64
NONCE_BYTES = 32


class Unmarkable(ValueError):
    """No namespace, too many, or one without room for a marker."""


@dataclass(frozen=True, kw_only=True)
class NamespaceRoom:
    """A namespace that markers are placed in."""

    nsid: int
    capacity_bytes: int


@dataclass(frozen=True, kw_only=True)
class PlacedMarker:
    """One marker: where (from the start of its namespace) and what."""

    nsid: int
    offset_bytes: int
    content: bytes

    @property
    def content_sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def derive(
    *, order_digest: str, nonce: bytes, commitment: str, namespaces: Sequence[NamespaceRoom]
) -> tuple[PlacedMarker, ...]:
    """The markers of one drive. Same inputs, same markers. Digests are hexadecimal, `nonce` 32 bytes.

    Raises Unmarkable for no namespace, too many, or one without room for a marker.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a marker nonce has {NONCE_BYTES} bytes, this one {len(nonce)}")
    if not 1 <= len(namespaces) <= MAX_MARKERS:
        raise Unmarkable(f"{len(namespaces)} namespaces, 1 to {MAX_MARKERS} can be marked")
    seed = b"expunge-markers/v1" + bytes.fromhex(order_digest) + nonce + bytes.fromhex(commitment)
    share = min(RANDOM_POSITIONS + 2, MAX_MARKERS // len(namespaces))
    return tuple(
        PlacedMarker(nsid=room.nsid, offset_bytes=offset, content=_content(seed, room.nsid, offset))
        for room in namespaces
        for offset in _offsets(seed, room, share)
    )


def _offsets(seed: bytes, room: NamespaceRoom, count: int) -> list[int]:
    """At most `count` offsets, ascending: first block, last block, one page in each equal part between.

    The last marker ends where the namespace ends; none overlaps another. A namespace with fewer pages is
    marked on all of them, one with less than two on its first.
    """
    last = room.capacity_bytes - MARKER_BYTES
    if last < 0:
        raise Unmarkable(f"namespace {room.nsid} has {room.capacity_bytes} bytes")
    pages_before_last = last // MARKER_BYTES
    if count == 1 or pages_before_last == 0:
        return [0]
    if pages_before_last < count:
        return [*(page * MARKER_BYTES for page in range(pages_before_last)), last]
    numbers = _numbers(seed + b"positions" + room.nsid.to_bytes(4, "big"))
    parts, between = count - 2, pages_before_last - 1
    chosen = [0]
    for part in range(parts):
        low, high = 1 + part * between // parts, 1 + (part + 1) * between // parts
        chosen.append(low + next(numbers) % (high - low))
    return [*(page * MARKER_BYTES for page in chosen), last]


def _numbers(seed: bytes) -> Iterator[int]:
    """128-bit numbers from SHAKE-256; the bias of a remainder below 2^50 pages is under 2^-78."""
    stream = hashlib.shake_256(seed).digest(16 * MAX_MARKERS)
    return (int.from_bytes(stream[at : at + 16], "big") for at in range(0, len(stream), 16))


def _content(seed: bytes, nsid: int, offset_bytes: int) -> bytes:
    place = nsid.to_bytes(4, "big") + offset_bytes.to_bytes(8, "big")
    return hashlib.shake_256(seed + b"content" + place).digest(MARKER_BYTES)
