"""Markers: blocks of ours, committed to before an erase and read afterwards.

Rules: positions and content are those that `certificate.marking` derives and whoever judges derives again;
what is read back is compared and forgotten, never kept; exactly what an overwrite of this medium wrote there
is `as_overwritten`, and nothing less is; a reading that fits nothing known is `unchanged`, because a claim
must not rise from what we cannot name; a marker that still shows even in part is `unchanged`.

Markers prove that the logical content changed, not that cells did. What a reading is worth, and that the
commitment was acknowledged before anything began, is enforced elsewhere (`assurance`, `execute`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.devices.block import BlockIo
from agent.errors import Code, DeviceError
from agent.overwritten import Content
from certificate import commitment as commitments
from certificate import marking
from certificate.errors import Refused
from certificate.marking import (
    MARKER_BYTES,
    MAX_MARKERS,
    RANDOM_POSITIONS,
    NamespaceRoom,
    PlacedMarker,
    Unmarkable,
)
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import MarkerReading

__all__ = [
    "MARKER_BYTES",
    "MAX_MARKERS",
    "RANDOM_POSITIONS",
    "NamespaceRoom",
    "PlacedMarker",
    "Reading",
    "classify",
    "derive",
    "digest",
    "is_readable",
    "read_after",
    "read_back_before",
    "read_unmarked",
    "write",
]

#: Of 32768 bits against a random page, the number changed is binomial (mean 16384, deviation 90.5). Six
#: deviations either side, in 65536ths: an honest drive falls outside once in 5 * 10^8 readings.
CHANGED_65536THS = range(32768 - 1086, 32768 + 1086 + 1)
#: Chi-square of the byte histogram, 255 degrees of freedom (mean 255, deviation 22.6), at six deviations by
#: Wilson and Hilferty: an honest drive falls outside about once in 10^9; text or a page half zero gives
#: thousands.
CHI_SQUARE = (141, 416)
#: Eight bytes of the marker left in place are no chance: 512 places a marker, 2^-64 each (3 * 10^-17).
REMNANT_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a marker reads afterwards. `changed_65536ths` is None where nothing could be read."""

    reading: MarkerReading
    changed_65536ths: int | None


def derive(
    *, order_digest: str, boot_nonce: bytes, commitment: str, namespaces: Sequence[NamespaceRoom]
) -> tuple[PlacedMarker, ...]:
    """The markers of one drive, as whoever judges derives them again.

    Raises Refused(MARKERS_IMPOSSIBLE) for no namespace, too many, or one without room for a marker.
    """
    try:
        return marking.derive(
            order_digest=order_digest, nonce=boot_nonce, commitment=commitment, namespaces=namespaces
        )
    except Unmarkable as error:
        raise Refused(Code.MARKERS_IMPOSSIBLE, str(error)) from None


def digest(markers: Iterable[PlacedMarker], *, boot_nonce: bytes) -> str:
    """What is committed to before the erase and opened by the evidence (`certificate.commitment`)."""
    listed = ((each.nsid, each.offset_bytes, len(each.content), each.content_sha256) for each in markers)
    return commitments.markers_digest(nonce=boot_nonce, markers=listed)


def write(blocks: BlockIo, markers: Iterable[PlacedMarker]) -> None:
    """Writes every marker and flushes. Irreversible. Raises OSError at the first that cannot be written."""
    for marker in markers:
        blocks.write(marker.nsid, marker.offset_bytes, marker.content)
    blocks.flush()


def read_back_before(blocks: BlockIo, marker: PlacedMarker) -> Seen:
    """Whether the marker reads as it was written; one that cannot be read was not observed."""
    try:
        return Seen.that(blocks.read(marker.nsid, marker.offset_bytes, len(marker.content)) == marker.content)
    except OSError:
        return Seen.NOT_OBSERVED


def is_readable(blocks: BlockIo, marker: PlacedMarker) -> bool:
    """Whether anything can be read at the marker's place; what, is forgotten."""
    try:
        return len(blocks.read(marker.nsid, marker.offset_bytes, len(marker.content))) == len(marker.content)
    except (OSError, DeviceError):
        return False


def read_after(blocks: BlockIo, marker: PlacedMarker, content: Content | None) -> Reading:
    """How the marker reads now. `content`: of the overwrite that went over it, None without one. What was
    read is gone when this returns.
    """
    place = (marker.nsid, marker.offset_bytes, len(marker.content))
    try:
        found = blocks.read(*place)
    except (OSError, DeviceError):
        return Reading(reading=MarkerReading.UNREADABLE, changed_65536ths=None)
    return classify(marker.content, found, expected=None if content is None else content(*place))


def read_unmarked(blocks: BlockIo, place: PlacedMarker, content: Content | None) -> MarkerReading:
    """How the place of a marker that was never written reads; `unchanged` where neither an erase nor the
    overwrite leaves such bytes, so that what stood there before may still stand there. They are gone when
    this returns.
    """
    at = (place.nsid, place.offset_bytes, len(place.content))
    try:
        found = blocks.read(*at)
    except (OSError, DeviceError):
        return MarkerReading.UNREADABLE
    if len(found) != len(place.content):
        return MarkerReading.UNREADABLE
    if content is not None and found == content(*at):
        return MarkerReading.AS_OVERWRITTEN
    if found == found[:1] * len(found):
        return MarkerReading.CONSTANT if found.strip(b"\x00") else MarkerReading.ZERO
    return MarkerReading.PSEUDORANDOM if _looks_random(found) else MarkerReading.UNCHANGED


def classify(written: bytes, found: bytes, *, expected: bytes | None) -> Reading:
    """What a page that held `written` reads as, `expected` being what an overwrite wrote there after that.

    A short read is unreadable, what fits nothing unchanged.
    """
    if len(found) != len(written) or not written:
        return Reading(reading=MarkerReading.UNREADABLE, changed_65536ths=None)
    difference = int.from_bytes(written, "big") ^ int.from_bytes(found, "big")
    changed = difference.bit_count() * 65536 // (len(written) * 8)
    if found == expected and found != written:
        return Reading(reading=MarkerReading.AS_OVERWRITTEN, changed_65536ths=changed)
    return Reading(reading=_reading(written, found, changed), changed_65536ths=changed)


def _reading(written: bytes, found: bytes, changed_65536ths: int) -> MarkerReading:
    if not found.strip(b"\x00"):
        return MarkerReading.ZERO
    if found == found[:1] * len(found):
        return MarkerReading.CONSTANT
    if _has_remnant(written, found) or changed_65536ths not in CHANGED_65536THS:
        return MarkerReading.UNCHANGED
    return MarkerReading.PSEUDORANDOM if _looks_random(found) else MarkerReading.UNCHANGED


def _has_remnant(written: bytes, found: bytes) -> bool:
    places = range(0, len(written), REMNANT_BYTES)
    return any(written[at : at + REMNANT_BYTES] == found[at : at + REMNANT_BYTES] for at in places)


def _looks_random(page: bytes) -> bool:
    """Whether every byte value comes about equally often (chi-square, also refusing what is too even)."""
    expected = len(page) / 256
    histogram = Counter(page)
    chi_square = sum((histogram[value] - expected) ** 2 for value in range(256)) / expected
    low, high = CHI_SQUARE
    return low <= chi_square <= high
