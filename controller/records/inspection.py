"""The newest inspection of a host, and what of it is not on record.

Rules: only the inventory of a boot that proved its secret is an inspection; an inventory from before a drive
left the host is of another set of drives and is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from certificate.identifiers import DeprovisionId
from certificate.messages import DriveReport, InventoryAnswer
from certificate.statements.vocabulary import BootTrust
from controller.effects.make_plan import inventory_line
from controller.store import boots, deprovisions, hosts
from controller.store.hosts import Host


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What an agent of ours found in a host."""

    deprovision: DeprovisionId
    boot_id: str
    boot_trust: BootTrust
    taken_at: datetime
    #: SHA-256 hex of the agent's answer as it came.
    line_digest: str
    line: InventoryAnswer

    @property
    def drives(self) -> tuple[DriveReport, ...]:
        return self.line.drives


def newest(tx: Connection, host: Host) -> Inspection | None:
    """None where no proven boot ever read the host, or a drive left since."""
    found = [
        inspection for row in deprovisions.of_host(tx, host.id) if (inspection := _of(tx, row.id)) is not None
    ]
    latest = max(found, key=lambda inspection: inspection.taken_at, default=None)
    left_at = hosts.drive_left_at(tx, host.id)
    if latest is None or (left_at is not None and left_at >= latest.taken_at):
        return None
    return latest


def _of(tx: Connection, key: DeprovisionId) -> Inspection | None:
    stored = boots.latest_inventory(tx, key)
    boot = None if stored is None else boots.by_boot_id(tx, stored.boot_id)
    if stored is None or boot is None or not boot.is_proven:
        return None
    return Inspection(
        deprovision=key,
        boot_id=stored.boot_id,
        boot_trust=boot.boot_trust,
        taken_at=stored.taken_at,
        line_digest=stored.line_digest,
        line=inventory_line(stored),
    )
