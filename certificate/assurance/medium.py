"""Rule 4: the medium itself, before and after, and how much of it a technique can reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.assurance import explanations
from certificate.assurance.case import NOT_APPLICABLE, Case
from certificate.reasons import Reason
from certificate.selection import PLAIN_TRANSPORTS, SANICAP_CRYPTO_ERASE
from certificate.statements.evidence import MediumEvidence
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import DeviceClass, MediaKind, Transport

#: Identify Controller: capacity of the whole drive and of what is in no namespace, 16 bytes each.
TOTAL_WORD: Final = "TNVMCAP"
UNALLOCATED_WORD: Final = "UNVMCAP"
CAPACITY_WORD_BYTES: Final = 16
#: Identify Controller: the subsystem has two or more controllers (byte 76); it manages namespaces (257:256).
CMIC_CONTROLLERS: Final = 1 << 1
OACS_NAMESPACE_MANAGEMENT: Final = 1 << 3


def reasons(case: Case) -> Iterator[Reason]:
    """What lowers a claim whatever the technique."""
    entry = case.entry
    if _is_unlike_planned(case):
        yield Reason.MEDIUM_DIFFERS
    yield from _facts(entry)
    if entry.medium.device_class is DeviceClass.NOT_OPENED:
        yield Reason.NOT_EXCLUSIVE
    if any(held.is_released is not Seen.YES for held in entry.released):
        yield Reason.NOT_RELEASED
    if any(namespace.is_covered is not Seen.YES for namespace in entry.namespaces):
        yield Reason.NAMESPACE_NOT_COVERED
    if not _is_whole_capacity(entry):
        yield Reason.CAPACITY_UNACCOUNTED
    if _may_hide_capacity(entry):
        yield Reason.HIDDEN_CAPACITY
    if set(entry.errors) - explanations.codes(case):
        yield Reason.ERRORS_SEEN


def addressable(case: Case) -> Iterator[Reason]:
    """What a technique leaves that reaches the blocks of attached namespaces and nothing else."""
    is_none_left = case.entry.unallocated_capacity_bytes == 0
    if case.entry.medium.transport is Transport.NVME:
        is_none_left = is_none_left and case.word(UNALLOCATED_WORD, width_bytes=CAPACITY_WORD_BYTES) == 0
        # A drive without namespace management may say 0 of its total.
        total = case.word(TOTAL_WORD, width_bytes=CAPACITY_WORD_BYTES)
        is_told = total is not None and total in (0, case.entry.medium.capacity_bytes)
        if not is_told or _may_hide_namespaces(case, total):
            yield Reason.CAPACITY_UNACCOUNTED
    if not is_none_left:
        yield Reason.UNALLOCATED_NOT_REACHED
    if any(namespace.is_attached is not Seen.YES for namespace in case.entry.namespaces):
        yield Reason.NAMESPACE_NOT_REACHED


def _may_hide_namespaces(case: Case, total: int | None) -> bool:
    """Namespaces of another controller may exist that this one does not list, and nothing counts them.

    What TNVMCAP counts is what this controller reaches, and without namespace management there is no list of
    all that are allocated.
    """
    sharing = case.word("CMIC", width_bytes=1)
    if sharing is not None and not sharing & CMIC_CONTROLLERS:
        return False
    highest = case.word("NN", width_bytes=4)
    is_managed = bool((case.word("OACS", width_bytes=2) or 0) & OACS_NAMESPACE_MANAGEMENT)
    are_all_listed = highest is not None and highest <= len(case.entry.namespaces)
    return total == 0 or not (is_managed or are_all_listed)


def _is_unlike_planned(case: Case) -> bool:
    planned, entry = case.planned, case.entry
    compared = (
        (planned.transport, entry.medium.transport),
        (planned.attachment, entry.attachment),
        (planned.capacity_bytes, entry.medium.capacity_bytes),
        (planned.firmware, entry.medium.firmware),
    )
    is_unlike = any(plan != NOT_OBSERVED and plan != found for plan, found in compared)
    return is_unlike or planned.kind is not _kind(case)


def _kind(case: Case) -> MediaKind | None:
    """What the validation table distinguishes, from the drive's own word; None where it said none."""
    if case.entry.medium.transport in PLAIN_TRANSPORTS:
        return MediaKind.PLAIN
    word = case.sanitize_word
    if word is None:
        return None
    return MediaKind.SELF_ENCRYPTING_NVME if word & SANICAP_CRYPTO_ERASE else MediaKind.NVME


def _facts(entry: MediumEvidence) -> Iterator[Reason]:
    needed = (
        (entry.was_present, Seen.YES, Reason.NOT_PRESENT),
        (entry.opened_exclusively, Seen.YES, Reason.NOT_EXCLUSIVE),
        (entry.same_identity_after, Seen.YES, Reason.IDENTITY_CHANGED),
        (entry.is_readable_after, Seen.YES, Reason.NOT_READABLE),
        (entry.is_write_protected, Seen.NO, Reason.WRITE_PROTECTED),
    )
    yield from (reason for fact, wanted, reason in needed if fact is not wanted)


def _is_whole_capacity(entry: MediumEvidence) -> bool:
    """Namespaces and unallocated capacity are all of it, and it is not nothing."""
    parts = [namespace.capacity_bytes for namespace in entry.namespaces]
    parts.append(entry.unallocated_capacity_bytes)
    counted = [part for part in parts if isinstance(part, int)]
    return len(counted) == len(parts) and sum(counted) == entry.medium.capacity_bytes != 0


def _may_hide_capacity(entry: MediumEvidence) -> bool:
    """More than it shows, or nobody looked: else not to look would pay."""
    native, shown = entry.medium.native_capacity_bytes, entry.medium.capacity_bytes
    if native == NOT_APPLICABLE:
        return False
    return native == NOT_OBSERVED or shown == NOT_OBSERVED or native > shown
