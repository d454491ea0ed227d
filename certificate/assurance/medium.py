"""Rule 4: the medium itself, before and after, and how much of it a technique can reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.assurance import explanations, namespaces
from certificate.assurance.case import NOT_APPLICABLE, Case
from certificate.assurance.namespaces import CAPACITY_WORD_BYTES
from certificate.reasons import Reason
from certificate.selection import PLAIN_TRANSPORTS, SANICAP_CRYPTO_ERASE
from certificate.statements.evidence import MediumEvidence
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import DeviceClass, MediaKind, Transport

#: Identify Controller: capacity in no namespace, 16 bytes.
UNALLOCATED_WORD: Final = "UNVMCAP"


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
        if namespaces.total(case) is None or namespaces.may_be_unlisted(case):
            yield Reason.CAPACITY_UNACCOUNTED
    if not is_none_left:
        yield Reason.UNALLOCATED_NOT_REACHED
    if any(namespace.is_attached is not Seen.YES for namespace in case.entry.namespaces):
        yield Reason.NAMESPACE_NOT_REACHED


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
