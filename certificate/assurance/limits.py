"""Limits: what a claim does not prove, in sentences for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.statements.evidence import Evidence, MediumEvidence
from certificate.statements.order import Order
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import DeviceClass, Grade, Technique

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
ATTACHED_LIMIT: Final = "The agent was restarted during the erase and observed its end only."


def of(
    technique: Technique | None, grade: Grade, order: Order, entry: MediumEvidence | None, evidence: Evidence
) -> Iterator[str]:
    yield CELLS_LIMIT
    yield FIRMWARE_LIMIT
    yield START_LIMIT
    yield COPIES_LIMIT
    if grade is Grade.DEVICE_REPORTED:
        yield REPORTED_LIMIT
    if technique is Technique.NVME_SANITIZE_CRYPTO:
        yield KEY_LIMIT
        if order.escrow != "none":
            yield ESCROW_LIMIT
    if evidence.was_attached is not Seen.NO:
        yield ATTACHED_LIMIT
    if entry is None:
        return
    if entry.medium.device_class is not DeviceClass.PHYSICAL:
        yield f"The medium is of class {entry.medium.device_class.value}: nothing is shown of a real drive."
    if entry.unallocated_capacity_bytes != 0:
        yield UNALLOCATED_LIMIT
    for area in entry.unaddressed_areas:
        yield f"No command of this order reaches: {area}."
