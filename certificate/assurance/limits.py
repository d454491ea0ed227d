"""Limits: what a claim does not prove, in sentences for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.assurance import namespaces
from certificate.assurance.case import CRYPTOGRAPHIC, HOST_OVERWRITES, Case
from certificate.statements.evidence import Evidence, MediumEvidence, ReadBack
from certificate.statements.order import Order
from certificate.statements.statement import NOT_OBSERVED, NotObserved, Seen
from certificate.statements.vocabulary import DeviceClass, Escrow, Grade, ReadBackMode, Technique

_FORMATS: Final = frozenset({Technique.NVME_FORMAT_CRYPTO, Technique.NVME_FORMAT_USER_DATA})

#: What no evidence of this release can show, so every claim says it.
CELLS_LIMIT: Final = "Markers show that the logical content changed, not that every cell of the medium did."
FIRMWARE_LIMIT: Final = "The drive's firmware is trusted to have done what its status reports."
START_LIMIT: Final = (
    "How the machine was started is as the provider declares it; the machine itself has not vouched for it."
)
REPORTED_LIMIT: Final = (
    "The drive's own report is the ground; no markers show a changed key in all of the medium."
)
KEY_LIMIT: Final = (
    "Strength, origin and module validation of the media key, and that nothing was stored before it existed, "
    "were not observed."
)
COPIES_LIMIT: Final = (
    "Copies outside this medium are not covered: backups, replicas, snapshots, and copies of keys or of"
    " encryption headers."
)
ESCROW_LIMIT: Final = "It is not known whether a copy of the media key exists outside the drive."
UNALLOCATED_LIMIT: Final = "Capacity in no namespace holds no marker: of it only the drive's word is known."
UNLISTED_LIMIT: Final = (
    "The drive may have several controllers: a namespace that this one does not list holds no marker, and of"
    " it only the drive's word is known."
)
ATTACHED_LIMIT: Final = "The agent was restarted during the erase and observed its end only."
KNOWN_COPY_LIMIT: Final = "A copy of a key is known to exist elsewhere."
LAYERS_LIMIT: Final = (
    "Encryption layers lay on the medium, and their keys were to be destroyed first; a copy of a header, kept"
    " elsewhere or in cells that no address reaches, would still open a copy of what they held."
)
COMPLETION_LIMIT: Final = (
    "A format has no status log: that the drive answered with success is all it says of it."
)
FLASH_LIMIT: Final = (
    "On flash an overwrite is at most clear: older copies may remain in cells that no address reaches."
)
SPARE_LIMIT: Final = (
    "What the host writes never reaches spare, retired or hidden areas of the medium, nor metadata beside its"
    " blocks."
)
ZERO_LIMIT: Final = (
    "Zeros read back exactly as unmapped blocks do: a read-back cannot tell an overwrite from an unmapping"
    " that left the data in the cells."
)
CACHE_LIMIT: Final = (
    "A read-back may be answered from the drive's own cache instead of the medium, although the overwrite was"
    " flushed first."
)
UNSEEN_LIMIT: Final = (
    "Nobody here saw what became of the medium after the order was sent: all of its data may still be there."
)
NATIVE_LIMIT: Final = "Whether the medium has more capacity than it shows was not observed."


def of(grade: Grade, *, order: Order, evidence: Evidence | None, case: Case | None) -> Iterator[str]:
    """Every sentence that stands beside a claim of this grade. `evidence` is None where none came."""
    technique = None if case is None else case.technique
    yield CELLS_LIMIT
    yield FIRMWARE_LIMIT
    yield START_LIMIT
    yield COPIES_LIMIT
    if grade is Grade.DEVICE_REPORTED:
        yield REPORTED_LIMIT
    yield from _of_keys(technique, order, case)
    if technique in _FORMATS:
        yield COMPLETION_LIMIT
    if technique in HOST_OVERWRITES:
        yield FLASH_LIMIT
        yield SPARE_LIMIT
        yield CACHE_LIMIT
    if technique is Technique.OVERWRITE_ZERO:
        yield ZERO_LIMIT
    if evidence is None:
        yield UNSEEN_LIMIT
    elif evidence.was_attached is not Seen.NO:
        yield ATTACHED_LIMIT
    if case is not None:
        if namespaces.may_be_unlisted(case):
            yield UNLISTED_LIMIT
        yield from _of_medium(case.entry)


def _of_keys(technique: Technique | None, order: Order, case: Case | None) -> Iterator[str]:
    has_layers = case is not None and bool(case.planned.layers or case.entry.layers)
    if technique in CRYPTOGRAPHIC:
        yield KEY_LIMIT
    if order.escrow is Escrow.KNOWN:
        yield KNOWN_COPY_LIMIT
    elif order.escrow is not Escrow.NONE and (technique in CRYPTOGRAPHIC or has_layers):
        yield ESCROW_LIMIT
    if has_layers:
        yield LAYERS_LIMIT


def _of_medium(entry: MediumEvidence) -> Iterator[str]:
    if entry.medium.device_class is not DeviceClass.PHYSICAL:
        yield f"The medium is of class {entry.medium.device_class.value}: nothing is shown of a real drive."
    if entry.medium.native_capacity_bytes == NOT_OBSERVED:
        yield NATIVE_LIMIT
    if entry.unallocated_capacity_bytes != 0:
        yield UNALLOCATED_LIMIT
    if isinstance(entry.read_back, ReadBack) and entry.read_back.mode is ReadBackMode.SAMPLED:
        yield _share(entry.read_back.bytes_read, entry.medium.capacity_bytes)
    for area in entry.unaddressed_areas:
        yield f"No command of this order reaches: {area}."


def _share(read: int | NotObserved, whole: int | NotObserved) -> str:
    """How much of the medium a sample compared; the rest was not looked at."""
    if read == NOT_OBSERVED or whole == NOT_OBSERVED or whole == 0:
        return "The medium was read back in samples; how much of it was not observed."
    hundredths = read * 10_000 // whole
    percent = f"{hundredths // 100}.{hundredths % 100:02}"
    return f"The medium was read back in samples: {read} of {whole} bytes ({percent} %), the rest was not."
