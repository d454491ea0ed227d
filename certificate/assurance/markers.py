"""Rule 7: the markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from certificate.assurance.case import Case
from certificate.commitment import markers_digest
from certificate.reasons import Reason
from certificate.statements.evidence import Marker, Markers, MediumEvidence
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import MarkerReading, Technique

#: One logical block. Shorter markers could agree with anything by chance.
MIN_MARKER_BYTES = 512
#: Room for the first block, the last and one between.
MIN_MARKERS_PER_NAMESPACE = 3
#: Half of the bits, give or take one sixteenth: 8 standard deviations for the shortest marker (4096 bits).
HALF_65536THS = 32_768
HALF_TOLERANCE_65536THS = 4_096

_NOISE: Final = frozenset({MarkerReading.PSEUDORANDOM})
#: What a drive gives for blocks that it has unmapped.
_UNMAPPED: Final = frozenset({MarkerReading.ZERO, MarkerReading.CONSTANT})
_WRITTEN: Final = frozenset({MarkerReading.AS_OVERWRITTEN})
#: How a marker may read after each technique. Whatever else it reads, something else happened to it.
_FITTING: Final = {
    Technique.NVME_SANITIZE_CRYPTO: _NOISE | _UNMAPPED,
    Technique.NVME_SANITIZE_BLOCK: _NOISE | _UNMAPPED,
    Technique.NVME_SANITIZE_OVERWRITE: _WRITTEN | _UNMAPPED,
    Technique.NVME_FORMAT_CRYPTO: _NOISE | _UNMAPPED,
    Technique.NVME_FORMAT_USER_DATA: _NOISE | _UNMAPPED,
    Technique.OVERWRITE_KEYSTREAM: _WRITTEN,
    Technique.OVERWRITE_ZERO: _WRITTEN,
}

#: Of these, what a drive cannot show that did nothing and gives unmapped blocks as zeros.
_PROVING: Final = {
    Technique.NVME_SANITIZE_CRYPTO: _NOISE,
    Technique.NVME_SANITIZE_OVERWRITE: _WRITTEN,
}


def reasons(case: Case) -> Iterator[Reason]:
    """What lowers the claim by the markers, or by their absence."""
    entry, committed = case.entry, case.entry.markers
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
    found = {reason for marker in committed.markers for reason in _of_one(marker, _fitting(case))}
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


def _of_one(marker: Marker, fitting: frozenset[MarkerReading]) -> Iterator[Reason]:
    if marker.read_back_before is not Seen.YES:
        yield Reason.MARKER_NOT_READ_BACK
    match marker.reading_after:
        case MarkerReading.UNCHANGED:
            yield Reason.MARKER_UNCHANGED
        case MarkerReading.UNREADABLE | MarkerReading.NOT_APPLICABLE | MarkerReading.NOT_OBSERVED:
            yield Reason.MARKER_NOT_READ
        case changed:
            if changed not in fitting:
                yield Reason.MARKER_DOES_NOT_FIT
            if changed in _UNMAPPED:
                yield Reason.MARKER_READS_CONSTANT
            if not _is_plausible(marker):
                yield Reason.MARKER_IMPLAUSIBLE


def _proving(case: Case) -> frozenset[MarkerReading]:
    """What unmapping does not show, and this technique leaves. A block erase leaves nothing of that kind."""
    return frozenset() if case.technique is None else _PROVING.get(case.technique, frozenset())


def _fitting(case: Case) -> frozenset[MarkerReading]:
    """Anything but the marker itself where no command was sent: there is none that it could fit."""
    anything = _NOISE | _UNMAPPED | _WRITTEN
    return anything if case.technique is None else _FITTING.get(case.technique, anything)


def _is_plausible(marker: Marker) -> bool:
    """About half of the bits of a random marker differ from any content made without it."""
    changed = marker.changed_65536ths
    is_half = isinstance(changed, int) and abs(changed - HALF_65536THS) <= HALF_TOLERANCE_65536THS
    return is_half and marker.length_bytes >= MIN_MARKER_BYTES


def show_change(case: Case) -> bool:
    """Every listed namespace holds a marker, and every marker that was seen before reads as only this
    technique leaves it: what unmapping shows as well is no change that was made by erasing.
    """
    have_all_changed = all(
        marker.read_back_before is Seen.YES
        and marker.reading_after in _proving(case)
        and _is_plausible(marker)
        for marker in case.entry.markers.markers
    )
    return bool(case.entry.markers.markers) and have_all_changed and not _is_sparse(case.entry, 1)
