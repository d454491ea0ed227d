"""Drives: a list that an inspection found becomes what the host is expected to hold. Two operators.

Rules: nothing that a machine shows is accepted by itself; what is shown is the newest inspection of a proven
boot, with who took it and when, and it is bound by its digest; it has to be this host's (as many signs as an
order asks, and none against it); drives on record that it misses are named and stay; none is accepted while
an order for the host may still act. What is accepted carries its basis: found while the host was let, or at
its intake.
Source: DESIGN.md, "One deprovision"; FORMATS.md, "The provider's side".
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.commitment import SALT_BYTES
from certificate.errors import Refused
from certificate.identifiers import DriveId
from certificate.messages import DriveReport
from certificate.statements.medium import MIN_HOST_FACTS
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.case import known_host
from controller.errors import Code
from controller.guards import TWO_PEOPLE
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.plan import compare
from controller.program import NONCE_BYTES, Program
from controller.records import custody, inspection, returning
from controller.records.inspection import Inspection
from controller.store import deprovisions, hosts
from controller.store.hosts import Host


class AcceptDrives:
    """`host`: asset tag."""

    kind: ClassVar[DecisionKind] = DecisionKind.DRIVES

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        host, found = _found(tx, program, about)
        known = {drive.serial for drive in hosts.drives_of(tx, host.id)}
        new = _new(tx, host, found)
        return Matter(
            kind=self.kind,
            choice="accept",
            facts={
                "host": host.asset_tag,
                "id": host.id,
                "inspected_at": time_text(found.taken_at),
                "inspected_in": found.deprovision,
                "boot": found.boot_id,
                "boot_trust": found.boot_trust.value,
                "host_facts_that_agree": _identity(tx, host, found),
                "drives": [_shown(drive, is_new=drive in new) for drive in found.drives],
                "on_record_but_not_found": sorted(known - {drive.serial for drive in found.drives}),
                "basis": custody.basis_of_a_find(tx, host.id).value,
            },
            consequences=(
                f"{len(new)} drives become what {host.asset_tag} is expected to hold.",
                "A wipe of this host destroys what is on them.",
                *returning.warnings(tx, [drive.serial for drive in new]),
            ),
            people_needed=TWO_PEOPLE,
            words=f"{host.asset_tag} {len(new)} drives",
            document_digest=found.line_digest,
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        host, found = _found(tx, program, about)
        now, basis = program.clock(), custody.basis_of_a_find(tx, host.id)
        new = _new(tx, host, found)
        for drive in new:
            hosts.record_drive(
                tx,
                id=DriveId.from_random(program.random_bytes(NONCE_BYTES)),
                host_id=host.id,
                serial=drive.serial,
                salt=program.random_bytes(SALT_BYTES),
                basis=basis,
                model=drive.model or None,
                capacity_bytes=drive.capacity_bytes,
                now=now,
            )
        live = deprovisions.live_of_host(tx, host.id)
        if live is not None:
            deprovisions.wake(tx, live.id, now=now)
        return f"{len(new)} drives of {host.asset_tag} are on record as {basis}"


def _found(tx: Connection, program: Program, about: About) -> tuple[Host, Inspection]:
    (asset_tag,) = asking.fields(about, ("host",))
    host = asking.host(tx, asset_tag)
    custody.require_no_order(tx, host.id, now=program.clock())
    found = inspection.newest(tx, host)
    if found is None:
        raise Refused(Code.INVENTORY_MISSING, f"no proven boot has listed the drives of {asset_tag}")
    _identity(tx, host, found)
    return host, found


def _identity(tx: Connection, host: Host, found: Inspection) -> int:
    """How many signs agree. Raises Refused where this may be another machine."""
    compared = compare(found.line, known_host(tx, host, data_class=host.data_class))
    if compared.contradicting_facts:
        raise Refused(
            Code.IDENTITY_CONTRADICTED, f"{compared.contradicting_facts} host facts name another host"
        )
    if compared.agreeing_facts < MIN_HOST_FACTS:
        raise Refused(
            Code.IDENTITY_UNPROVEN,
            f"{compared.agreeing_facts} host facts agree, {MIN_HOST_FACTS} are needed",
        )
    return compared.agreeing_facts


def _new(tx: Connection, host: Host, found: Inspection) -> tuple[DriveReport, ...]:
    serials = [drive.serial for drive in found.drives]
    if len(set(serials)) != len(serials) or not all(serial.strip() for serial in serials):
        raise Refused(Code.DRIVES_DIFFER, "two drives show one serial, or one shows none")
    known = {drive.serial for drive in hosts.drives_of(tx, host.id)}
    new = tuple(drive for drive in found.drives if drive.serial not in known)
    if not new:
        raise Refused(Code.DRIVES_KNOWN, f"all {len(serials)} drives found in {host.asset_tag} are on record")
    return new


def _shown(drive: DriveReport, *, is_new: bool) -> dict[str, Any]:
    return {
        "serial": drive.serial,
        "model": drive.model,
        "capacity_bytes": drive.capacity_bytes,
        "transport": drive.transport,
        "on_record": "no" if is_new else "yes",
        "agent_refuses_it": drive.refused or "no",
    }
