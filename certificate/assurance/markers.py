"""Rule 7: the markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from certificate.commitment import markers_digest
from certificate.reasons import Reason
from certificate.statements.evidence import Marker, Markers, MediumEvidence
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import MarkerReading

#: One logical block. Shorter markers could agree with anything by chance.
MIN_MARKER_BYTES = 512
#: Room for the first block, the last and one between.
MIN_MARKERS_PER_NAMESPACE = 3
#: Half of the bits, give or take one sixteenth: 8 standard deviations for the shortest marker (4096 bits).
HALF_65536THS = 32_768
HALF_TOLERANCE_65536THS = 4_096

_CHANGED: Final = (MarkerReading.PSEUDORANDOM, MarkerReading.ZERO, MarkerReading.CONSTANT)


def reasons(entry: MediumEvidence) -> Iterator[Reason]:
    committed = entry.markers
    if not _is_opened(committed) or committed.was_acknowledged is not Seen.YES:
        yield Reason.MARKERS_NOT_COMMITTED
    namespaces = {namespace.nsid for namespace in entry.namespaces}
    places = {(marker.nsid, marker.offset_bytes) for marker in committed.markers}
    is_counted = committed.committed_count == len(committed.markers) == len(places)
    if not is_counted or {nsid for nsid, _ in places} - namespaces:
        yield Reason.MARKERS_INCOMPLETE
    if not committed.markers:
        yield Reason.NO_MARKERS
    elif _is_sparse(entry, MIN_MARKERS_PER_NAMESPACE):
        yield Reason.MARKERS_TOO_FEW
    found = {reason for marker in committed.markers for reason in _reasons_of(marker)}
    yield from (reason for reason in Reason if reason in found)


def _is_sparse(entry: MediumEvidence, wanted_count: int) -> bool:
    """A listed namespace holds fewer markers at different offsets, or is listed twice and hides another."""
    # One of no size holds nothing; counting it would make leaving it out pay.
    listed = [namespace.nsid for namespace in entry.namespaces if namespace.capacity_bytes != 0]
    places = {(marker.nsid, marker.offset_bytes) for marker in entry.markers.markers}
    held = Counter(nsid for nsid, _ in places)
    return len(set(listed)) < len(listed) or any(held[nsid] < wanted_count for nsid in listed)


def _is_opened(committed: Markers) -> bool:
    if committed.nonce == NOT_OBSERVED or committed.committed_digest == NOT_OBSERVED:
        return False
    opened = markers_digest(
        nonce=bytes.fromhex(committed.nonce),
        markers=(
            (marker.nsid, marker.offset_bytes, marker.length_bytes, marker.content_sha256)
            for marker in committed.markers
        ),
    )
    return opened == committed.committed_digest


def _reasons_of(marker: Marker) -> Iterator[Reason]:
    if marker.read_back_before is not Seen.YES:
        yield Reason.MARKER_NOT_READ_BACK
    match marker.reading_after:
        case MarkerReading.UNCHANGED:
            yield Reason.MARKER_UNCHANGED
        case MarkerReading.PSEUDORANDOM | MarkerReading.ZERO | MarkerReading.CONSTANT:
            if not _is_plausible(marker):
                yield Reason.MARKER_IMPLAUSIBLE
            if marker.reading_after is not MarkerReading.PSEUDORANDOM:
                yield Reason.MARKER_READS_CONSTANT
        case _:
            yield Reason.MARKER_NOT_READ


def _is_plausible(marker: Marker) -> bool:
    """About half of the bits of a random marker differ from any content made without it."""
    changed = marker.changed_65536ths
    is_half = isinstance(changed, int) and abs(changed - HALF_65536THS) <= HALF_TOLERANCE_65536THS
    return is_half and marker.length_bytes >= MIN_MARKER_BYTES


def show_change(entry: MediumEvidence) -> bool:
    markers = entry.markers.markers
    have_all_changed = all(
        marker.read_back_before is Seen.YES and marker.reading_after in _CHANGED and _is_plausible(marker)
        for marker in markers
    )
    return bool(markers) and have_all_changed and not _is_sparse(entry, 1)
