"""The second inventory, when the work is over: is the storage of this machine still what was erased?

Rules: a drive that no medium of the order is counts as unexpected, whenever it appeared; a medium whose
namespaces or unallocated capacity are not what they were when it was first opened has a code in its evidence,
because what is new was never erased; a drive that no longer says its name is the medium that was opened under
the same name of the system, so that a drive that died costs no other its claim. It only reads, and when it
cannot be taken nobody looked.

KNOWN GAP: where the kernel drops the controller of a dead drive altogether, what remains is a storage
controller without a driver, which counts as unexpected and costs the other media of the host their claim.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.admission import find_drive
from agent.errors import Code
from agent.found_media import FoundMedium
from agent.inventory import Storage
from agent.journal import Kind
from agent.journal_bodies import OpenedBody, read_body
from certificate.messages import DriveReport, InventoryAnswer, JournalLine

LOG = logging.getLogger("agent.recount")

#: All storage of this machine as it is now. Raises what drivers raise.
TakeInventory = Callable[[], tuple[Storage, InventoryAnswer]]


@dataclass(frozen=True, kw_only=True)
class Recount:
    """`unexpected_count`: drives that stand in no order, None where nobody looked. `changes`: what is not as
    it was, by the medium's commitment.
    """

    unexpected_count: int | None
    changes: Mapping[str, Code]


def recount(
    media: Sequence[FoundMedium], lines: Sequence[JournalLine], *, take_inventory: TakeInventory
) -> Recount:
    """Compares what is here now with the order and with what the journal's `lines` say was opened."""
    try:
        storage, seen = take_inventory()
    except Exception:
        # Whatever it is, it may not cost the media their evidence.
        LOG.exception("the second inventory")
        return Recount(unexpected_count=None, changes={})
    known: set[int] = set()
    changes: dict[str, Code] = {}
    for medium in media:
        commitment = medium.planned.commitment
        index = find_drive(medium.planned, medium.salt, seen.drives)
        now = None if index is None else seen.drives[index]
        if index is None:
            index = _silent(medium, storage, seen.drives)
        if index is not None:
            known.add(index)
        before = _first_opened(commitment, lines)
        if before is not None and (code := _change(before, now, is_there=index is not None)) is not None:
            changes[commitment] = code
    return Recount(unexpected_count=len(seen.drives) - len(known), changes=changes)


def worst(*counts: int | None) -> int | None:
    """The larger of what was counted, None where one of them was not."""
    seen = [count for count in counts if count is not None]
    return max(seen) if len(seen) == len(counts) else None


def _silent(medium: FoundMedium, storage: Storage, reports: Sequence[DriveReport]) -> int | None:
    """The position of the drive that answers nothing where this medium was."""
    for index, (drive, report) in enumerate(zip(storage.drives, reports, strict=False)):
        is_silent = report.refused == Code.DRIVE_UNREADABLE.value
        if is_silent and medium.drive is not None and drive.name == medium.drive.name:
            return index
    return None


def _first_opened(commitment: str, lines: Sequence[JournalLine]) -> DriveReport | None:
    """As an execution found it that was taken over later, too: what it erased is what it saw."""
    for line in lines:
        if line.kind == Kind.OPENED and line.body.get("medium") == commitment:
            return read_body(line, OpenedBody).report
    return None


def _change(before: DriveReport, now: DriveReport | None, *, is_there: bool) -> Code | None:
    if now is None:
        return Code.DRIVE_UNREADABLE if is_there else Code.DRIVE_MISSING
    if now.refused == Code.NAMESPACES_UNACCOUNTED.value:
        return Code.NAMESPACES_UNACCOUNTED
    is_same = set(before.namespaces) == set(now.namespaces)
    if not is_same or before.unallocated_capacity_bytes != now.unallocated_capacity_bytes:
        return Code.NAMESPACES_CHANGED
    return None
