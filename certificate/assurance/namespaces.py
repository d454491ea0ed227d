"""Rules 4 and 7: whether what the drive lists is every namespace that the subsystem has."""

from __future__ import annotations

from typing import Final

from certificate.assurance.case import Case
from certificate.statements.vocabulary import Transport

#: Identify Controller: capacity of the whole drive, 16 bytes.
TOTAL_WORD: Final = "TNVMCAP"
CAPACITY_WORD_BYTES: Final = 16
#: Identify Controller: the subsystem has two or more controllers (byte 76); it manages namespaces (257:256).
CMIC_CONTROLLERS: Final = 1 << 1
OACS_NAMESPACE_MANAGEMENT: Final = 1 << 3


def may_be_unlisted(case: Case) -> bool:
    """Namespaces may exist that are not listed: the drive counts more or less than it lists; or another
    controller may have them, and nothing counts them.

    What TNVMCAP counts is what this controller reaches, and without namespace management there is no list of
    all that are allocated. A total other than the medium's capacity, which the namespaces and the unallocated
    capacity make, counts something that is not here.
    """
    if case.entry.medium.transport is not Transport.NVME:
        return False
    counted = total(case)
    if counted and counted != case.entry.medium.capacity_bytes:
        return True
    sharing = case.word("CMIC", width_bytes=1)
    if sharing is not None and not sharing & CMIC_CONTROLLERS:
        return False
    highest = case.word("NN", width_bytes=4)
    is_managed = bool((case.word("OACS", width_bytes=2) or 0) & OACS_NAMESPACE_MANAGEMENT)
    are_all_listed = highest is not None and highest <= len(case.entry.namespaces)
    return not counted or not (is_managed or are_all_listed)


def total(case: Case) -> int | None:
    """Bytes, as the drive itself says; None where it did not. Without namespace management it may say 0."""
    return case.word(TOTAL_WORD, width_bytes=CAPACITY_WORD_BYTES)
