"""Rule 7: the markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from certificate import marking
from certificate.assurance.case import Case
from certificate.commitment import markers_digest
from certificate.marking import NamespaceRoom, Unmarkable
from certificate.reasons import Reason
from certificate.statements.evidence import Marker, Markers, MediumEvidence
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import MarkerReading, Technique

#: Namespace, offset and length in bytes, SHA-256 of the content.
_Place = tuple[int, int, int, str]
#: Room for the first block, the last and one between.
MIN_MARKERS_PER_NAMESPACE = 3
#: Half of the bits, give or take one sixteenth: 8 standard deviations of 4096 bits, and a marker has more.
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
    if committed.committed_count != len(committed.markers):
        yield Reason.MARKERS_INCOMPLETE
    if not committed.markers:
        yield Reason.NO_MARKERS
    else:
        if sorted(_listed(committed)) != _derived(case):
            yield Reason.MARKERS_NOT_DERIVED
        if _is_sparse(entry, MIN_MARKERS_PER_NAMESPACE):
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


def _listed(committed: Markers) -> Iterator[_Place]:
    for marker in committed.markers:
        yield marker.nsid, marker.offset_bytes, marker.length_bytes, marker.content_sha256


def _derived(case: Case) -> list[_Place] | None:
    """The markers that order, nonce, medium and attached namespaces give, sorted; None where they give none.

    One of no size holds nothing: the agent marks no drive that has one attached, but leaving it out must not
    pay.
    """
    attached = [each for each in case.entry.namespaces if each.is_attached is Seen.YES]
    rooms = [
        NamespaceRoom(nsid=each.nsid, capacity_bytes=each.capacity_bytes)
        for each in attached
        if isinstance(each.capacity_bytes, int) and each.capacity_bytes > 0
    ]
    if case.nonce is None:
        return None
    try:
        placed = marking.derive(
            order_digest=case.evidence.order_digest,
            nonce=case.nonce,
            commitment=case.planned.commitment,
            namespaces=rooms,
        )
    except Unmarkable:
        return None
    return sorted((each.nsid, each.offset_bytes, len(each.content), each.content_sha256) for each in placed)


def _is_opened(committed: Markers) -> bool:
    if committed.nonce == NOT_OBSERVED or committed.committed_digest == NOT_OBSERVED:
        return False
    opened = markers_digest(nonce=bytes.fromhex(committed.nonce), markers=_listed(committed))
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
    return isinstance(changed, int) and abs(changed - HALF_65536THS) <= HALF_TOLERANCE_65536THS


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
