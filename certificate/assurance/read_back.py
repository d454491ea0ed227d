"""Rule 7 for what was read back: all of an overwritten medium, or the sample that nobody chose.

A byte that reads otherwise than it was written contradicts the overwrite: the medium did not keep it, and
what stands there instead may be the tenant's. For other techniques a read-back proves nothing, and one that
shows something adverse still lowers the claim.
"""

from __future__ import annotations

from collections.abc import Iterator

from certificate import sampling
from certificate.assurance.case import HOST_OVERWRITES, NOT_APPLICABLE, Case
from certificate.reasons import Reason
from certificate.statements.evidence import ReadBack
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import ReadBackMode


def reasons(case: Case) -> Iterator[Reason]:
    """What lowers the claim by what was read back, or was not."""
    found = case.entry.read_back
    if case.technique not in HOST_OVERWRITES:
        if found != NOT_APPLICABLE and (found == NOT_OBSERVED or not _is_harmless(found)):
            yield Reason.READ_BACK_DIFFERS
        return
    if isinstance(found, ReadBack):
        yield from _of_overwrite(case, found)
    else:
        yield Reason.READ_BACK_MISSING


def _is_harmless(found: ReadBack) -> bool:
    return (found.bytes_mismatched, found.bytes_unreadable) == (0, 0)


def _of_overwrite(case: Case, found: ReadBack) -> Iterator[Reason]:
    capacity = case.entry.medium.capacity_bytes
    strength = list(ReadBackMode)
    is_enough = strength.index(found.mode) >= strength.index(case.order.plan.read_back)
    if not is_enough or found.seed != _seed(case) or capacity == NOT_OBSERVED:
        yield Reason.READ_BACK_NOT_AS_PLANNED
    if capacity != NOT_OBSERVED:
        count = sampling.extent_count(found.mode, capacity_bytes=capacity)
        length_bytes = sampling.byte_count(found.mode, capacity_bytes=capacity)
        if found.extents_planned != count:
            yield Reason.READ_BACK_NOT_AS_PLANNED
        if (found.extents_read, found.bytes_read) != (count, length_bytes):
            yield Reason.READ_BACK_INCOMPLETE
    if found.bytes_unreadable != 0 or found.bytes_mismatched == NOT_OBSERVED:
        yield Reason.READ_BACK_INCOMPLETE
    if found.bytes_mismatched not in (0, NOT_OBSERVED):
        yield Reason.READ_BACK_MISMATCH


def _seed(case: Case) -> str | None:
    if case.nonce is None:
        return None
    return sampling.seed(
        order_digest=case.evidence.order_digest,
        nonce=case.nonce,
        commitment=case.planned.commitment,
    )
