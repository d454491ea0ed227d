"""Rule 4: the medium itself, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.reasons import Reason
from certificate.statements.evidence import MediumEvidence
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED, Seen

#: What an agent records of a technique that the drive refused or failed, before it sends the plan's next.
FALLBACK_ERRORS: Final = frozenset({"DEVICE_STATUS", "SANITIZE_FAILED"})


def as_planned(planned: PlannedMedium, entry: MediumEvidence) -> Iterator[Reason]:
    compared = (
        (planned.transport, entry.medium.transport),
        (planned.capacity_bytes, entry.medium.capacity_bytes),
        (planned.firmware, entry.medium.firmware),
    )
    if any(plan != NOT_OBSERVED and plan != found for plan, found in compared):
        yield Reason.MEDIUM_DIFFERS


def facts(entry: MediumEvidence) -> Iterator[Reason]:
    needed = (
        (entry.was_present, Seen.YES, Reason.NOT_PRESENT),
        (entry.opened_exclusively, Seen.YES, Reason.NOT_EXCLUSIVE),
        (entry.same_identity_after, Seen.YES, Reason.IDENTITY_CHANGED),
        (entry.is_readable_after, Seen.YES, Reason.NOT_READABLE),
        (entry.is_write_protected, Seen.NO, Reason.WRITE_PROTECTED),
    )
    yield from (reason for fact, wanted, reason in needed if fact is not wanted)
    if any(namespace.is_covered is not Seen.YES for namespace in entry.namespaces):
        yield Reason.NAMESPACE_NOT_COVERED
    if not _is_whole_capacity(entry):
        yield Reason.CAPACITY_UNACCOUNTED
    if entry.read_back != "not_applicable":
        yield Reason.READ_BACK_DIFFERS
    explained = FALLBACK_ERRORS if len(entry.commands) > 1 else frozenset()
    if set(entry.errors) - explained:
        yield Reason.ERRORS_SEEN


def _is_whole_capacity(entry: MediumEvidence) -> bool:
    parts = [namespace.capacity_bytes for namespace in entry.namespaces]
    parts.append(entry.unallocated_capacity_bytes)
    counted = [part for part in parts if isinstance(part, int)]
    return len(counted) == len(parts) and sum(counted) == entry.medium.capacity_bytes
