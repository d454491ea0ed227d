"""Greet whoever answers as the erase environment, pin its keys once it proved itself, read its inventory.

What the inventory shows of the host is kept beside its record, where the tenant could not shape the boot; the
record itself is not touched.
"""

from __future__ import annotations

from certificate.errors import Refused
from certificate.messages import AskInventory, HelloPurpose, InventoryAnswer
from certificate.statements.vocabulary import BootTrust, HostFactKind
from controller.case import Case
from controller.errors import Code
from controller.observe.host import greet
from controller.program import Program
from controller.store import boots, hosts, sightings
from controller.store.boots import StoredBoot
from controller.store.hosts import HostFact
from controller.store.sightings import Provenance

#: FORMATS, "boot_trust": from the network anybody may have started something, and a tenant's own system says
#: what the tenant likes.
TRUSTED_BOOTS = frozenset({BootTrust.VIRTUAL_MEDIA, BootTrust.INSTALLED})


def perform(program: Program, case: Case) -> None:
    """Raises Refused, Unreachable while the host is still coming up, or Unanswered."""
    if case.boot is None:
        raise Refused(Code.BOOT_UNPROVEN, "nothing was started yet")
    boot = case.boot if case.boot.is_proven else _pin(program, case, case.boot)
    if boot.host_key_blob is None or boot.boot_id is None:
        raise Refused(Code.BOOT_UNPROVEN, "the boot has no pinned key")
    with program.route(case.host).open(host_key_blob=bytes.fromhex(boot.host_key_blob)) as channel:
        answer = channel.ask(AskInventory())
    if not isinstance(answer, InventoryAnswer) or answer.boot_id != boot.boot_id:
        raise Refused(Code.ANSWER_INVALID, "the inventory is of another boot")
    now = program.clock()
    with program.store.transaction() as tx:
        boots.record_inventory(
            tx,
            case.id,
            boot_id=boot.boot_id,
            line=answer.write(),
            changed_at=hosts.drive_left_at(tx, case.host.id),
            now=now,
        )
        if boot.boot_trust in TRUSTED_BOOTS:
            sightings.record(
                tx,
                case.host.id,
                provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
                facts=_facts(answer),
                drives=tuple(drive.serial for drive in answer.drives),
                now=now,
            )


def _facts(answer: InventoryAnswer) -> tuple[HostFact, ...]:
    """A kind that this release does not know is no fact of ours."""
    known = set(HostFactKind)
    return tuple(
        HostFact(kind=HostFactKind(fact.kind), value=fact.value)
        for fact in answer.host_facts
        if fact.kind in known
    )


def _pin(program: Program, case: Case, boot: StoredBoot) -> StoredBoot:
    proven = greet(program, case.host, boot, HelloPurpose.PIN)
    with program.store.transaction() as tx:
        return boots.prove(
            tx,
            case.id,
            boot.number,
            boot_id=proven.boot_id,
            evidence_key=proven.evidence_key.raw.hex(),
            host_key_blob=proven.host_key_blob.hex(),
            now=program.clock(),
        )
