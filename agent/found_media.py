"""The media of an order, found on this machine: each planned medium with the drive that it is, or none.

Rules: a drive is recognised by the order's salted commitment to its serial and by nothing else; a medium that
is not found is `no` only when every drive of the machine gave its name, else `not_observed`; what identifies
a drive in clear goes into the annex and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent import markers
from agent.admission import find_drive
from agent.devices.drive import Drive, DriveIdentity
from agent.devices.nvme import NvmeDrive
from agent.errors import Code, DeviceError
from agent.inventory import Storage
from agent.journal_bodies import NOT_APPLICABLE
from agent.markers import NamespaceRoom, PlacedMarker
from certificate.errors import Refused
from certificate.messages import DriveReport, InventoryAnswer
from certificate.statements import Order, Seen
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED

ANNEX_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class FoundMedium:
    """One medium of the plan and what was found for it; `drive` and `report` are None when it is absent."""

    planned: PlannedMedium
    salt: bytes
    drive: Drive | None
    report: DriveReport | None
    was_present: Seen
    #: None where the drive did not say.
    identity: DriveIdentity | None
    #: The answer to Identify Controller, for the annex: hexadecimal, not_observed where it was not read,
    #: not_applicable for a drive that has none.
    identify_controller: str


def find(
    order: Order, storage: Storage, inventory: InventoryAnswer, salts: Mapping[str, bytes]
) -> tuple[FoundMedium, ...]:
    """Each medium of the plan, in its order. `inventory` was taken from `storage`; `salts` by commitment."""
    return tuple(
        _find(planned, storage, inventory.drives, salts[planned.commitment]) for planned in order.plan.media
    )


def unexpected_count(media: tuple[FoundMedium, ...], inventory: InventoryAnswer) -> int:
    """How many drives of this machine stand in no order."""
    return len(inventory.drives) - sum(medium.report is not None for medium in media)


def place(found: FoundMedium, *, order_digest: str, nonce: bytes) -> tuple[PlacedMarker, ...]:
    """The markers of this medium. Raises Refused(MARKERS_IMPOSSIBLE), or StepRefused without a drive."""
    namespaces = () if found.report is None else found.report.namespaces
    rooms = [
        NamespaceRoom(nsid=each.nsid, capacity_bytes=each.capacity_bytes)
        for each in namespaces
        if each.is_attached
    ]
    return markers.derive(
        order_digest=order_digest, boot_nonce=nonce, commitment=found.planned.commitment, namespaces=rooms
    )


def self_report(found: FoundMedium) -> str:
    """What the drive said of its capabilities and latest sanitize when it was opened, as one JSON text."""
    report = found.report
    words = {} if report is None else {word.field: word.raw for word in report.capabilities}
    log = NOT_OBSERVED if report is None else report.status_log
    return json.dumps({"capabilities": words, "status_log": log}, separators=(",", ":"), sort_keys=True)


def annex(
    order: Order, media: tuple[FoundMedium, ...], inventory: InventoryAnswer, *, host_salt: str
) -> bytes:
    """Salts, serials, raw Identify pages and host facts: what the evidence commits to and never says."""
    document = {
        "schema": ANNEX_SCHEMA,
        "order": order.order,
        "media": [_annex_entry(found) for found in media],
        "host": {
            "salt": host_salt,
            "facts": [{"kind": fact.kind, "value": fact.value} for fact in inventory.host_facts],
        },
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def annex_digest(data: bytes) -> str:
    """SHA-256 of the annex file's bytes."""
    return hashlib.sha256(data).hexdigest()


def _annex_entry(found: FoundMedium) -> dict[str, str]:
    report = found.report
    return {
        "commitment": found.planned.commitment,
        "salt": found.salt.hex(),
        "serial": NOT_OBSERVED if report is None else report.serial,
        "manufacturer": NOT_OBSERVED if report is None else report.manufacturer,
        "model": NOT_OBSERVED if report is None else report.model,
        "capacity_bytes": NOT_OBSERVED if report is None else str(report.capacity_bytes),
        "identify_controller": found.identify_controller,
    }


def _find(
    planned: PlannedMedium, storage: Storage, reports: tuple[DriveReport, ...], salt: bytes
) -> FoundMedium:
    index = find_drive(planned, salt, reports)
    # The inventory lists the drives in the hand first, in the order of `storage`, and then what was refused.
    drive = storage.drives[index] if index is not None and index < len(storage.drives) else None
    report = None if index is None else reports[index]
    if report is None:
        is_nameless = any(not each.serial or each.refused == Code.DRIVE_UNREADABLE.value for each in reports)
        was_present = Seen.NOT_OBSERVED if is_nameless else Seen.NO
    else:
        was_present = Seen.YES
    identity, page = _identity(drive)
    return FoundMedium(
        planned=planned,
        salt=salt,
        drive=drive,
        report=report,
        was_present=was_present,
        identity=identity,
        identify_controller=page,
    )


def _identity(drive: Drive | None) -> tuple[DriveIdentity | None, str]:
    if drive is None:
        return None, NOT_OBSERVED
    try:
        page = drive.identify_controller().raw.hex() if isinstance(drive, NvmeDrive) else NOT_APPLICABLE
        return drive.identity(), page
    except (DeviceError, Refused, OSError):
        return None, NOT_OBSERVED
