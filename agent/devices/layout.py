"""The byte stream of a medium: its namespaces one after the other, ascending by nsid.

Rules: an overwrite writes this stream, a read-back reads it, `certificate.keystream` says what stands at each
place of it; a piece never crosses from one namespace into the next. Each namespace but the last ends on a
multiple of 4096 bytes, or what follows would not lie on blocks of its own namespace: other media are refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

#: No namespace has smaller logical blocks.
SECTOR_BYTES = 512
#: The largest logical block that drives have.
BLOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one namespace. `start` and `end`: where they lie in the asked-for stretch of the stream."""

    nsid: int
    #: From the start of the namespace.
    offset_bytes: int
    start: int
    end: int


class Layout:
    """For each namespace its nsid and its bytes; a drive that knows no namespaces has one (`drive.WHOLE`)."""

    def __init__(self, namespaces: tuple[tuple[int, int], ...]) -> None:
        """Raises ValueError for a layout that is no medium: none, not ascending, or not of whole blocks."""
        if not namespaces:
            raise ValueError("there is no namespace")
        for (nsid, length_bytes), (following, _) in pairwise(namespaces):
            if nsid >= following:
                raise ValueError(f"namespace {following} comes after {nsid}")
            if length_bytes % BLOCK_BYTES:
                raise ValueError(f"namespace {nsid} ends at {length_bytes} bytes, amid a block of the next")
        for nsid, length_bytes in namespaces:
            if length_bytes <= 0 or length_bytes % SECTOR_BYTES:
                raise ValueError(f"namespace {nsid} has {length_bytes} bytes")
        self._namespaces = namespaces
        self._ends = tuple(accumulate(length_bytes for _, length_bytes in namespaces))

    def __eq__(self, other: object) -> bool:
        """The same namespaces: two looks at one drive are compared before it is written to."""
        return isinstance(other, Layout) and self._namespaces == other._namespaces

    def __hash__(self) -> int:
        return hash(self._namespaces)

    @property
    def capacity_bytes(self) -> int:
        """All that can be addressed."""
        return self._ends[-1]

    def pieces(self, offset_bytes: int, length_bytes: int) -> Iterator[Piece]:
        """What of which namespace makes up that stretch of the stream. Raises ValueError outside of it."""
        end = offset_bytes + length_bytes
        if not 0 <= offset_bytes < end <= self.capacity_bytes:
            raise ValueError(f"{length_bytes} bytes at {offset_bytes} do not lie in {self.capacity_bytes}")
        position = offset_bytes
        for place in range(bisect_right(self._ends, offset_bytes), len(self._ends)):
            nsid, size_bytes = self._namespaces[place]
            stop = min(end, self._ends[place])
            yield Piece(
                nsid,
                position - (self._ends[place] - size_bytes),
                position - offset_bytes,
                stop - offset_bytes,
            )
            position = stop
            if position == end:
                return

    def offset_of(self, nsid: int, offset_bytes: int) -> int:
        """Where a place of a namespace lies in the stream. Raises ValueError where there is none."""
        for (known, size_bytes), end in zip(self._namespaces, self._ends, strict=True):
            if known == nsid and 0 <= offset_bytes < size_bytes:
                return end - size_bytes + offset_bytes
        raise ValueError(f"there is no byte {offset_bytes} in namespace {nsid}")
