"""The host, tenancy and rows that one act or question is about, read once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import HostFactKind
from controller.host_signs import identifies
from controller.plan import KnownDrive, KnownHost
from controller.store import boots, deprovisions, hosts, orders, plans, tenancies
from controller.store.boots import StoredBoot, StoredInventory
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Host
from controller.store.orders import StoredOrder
from controller.store.plans import StoredPlan
from controller.store.tenancies import Tenancy


@dataclass(frozen=True, kw_only=True)
class Case:
    """One deprovision with everything that stands around it, as one transaction saw it."""

    deprovision: Deprovision
    host: Host
    known: KnownHost
    #: Every tenancy of the host, oldest first.
    tenancies: tuple[Tenancy, ...]
    #: The newest boot and inventory of this attempt: `retry` starts the host and reads it again.
    boot: StoredBoot | None
    inventory: StoredInventory | None
    plan: StoredPlan | None
    #: The newest order of this attempt.
    order: StoredOrder | None
    #: An erase environment was started in this or an earlier attempt, and may still run.
    was_booted: bool

    @property
    def id(self) -> DeprovisionId:
        return self.deprovision.id

    @property
    def own_tenancy(self) -> Tenancy | None:
        return next((each for each in self.tenancies if each.id == self.deprovision.tenancy), None)

    @property
    def proven_inventory(self) -> StoredInventory | None:
        """The inventory, if it is the proven present boot's."""
        if self.boot is None or self.inventory is None or self.inventory.boot_id != self.boot.boot_id:
            return None
        return self.inventory


def load(tx: Connection, key: DeprovisionId) -> Case:
    """Raises Refused(NOT_IN_STORE)."""
    return around(tx, deprovisions.load(tx, key))


def around(tx: Connection, deprovision: Deprovision) -> Case:
    """What stands around this row; it need not be stored, then nothing was done under it."""
    key, host = deprovision.id, hosts.load(tx, deprovision.host)
    return Case(
        deprovision=deprovision,
        host=host,
        known=known_host(tx, host, data_class=deprovision.data_class),
        tenancies=tenancies.of_host(tx, host.id),
        boot=boots.latest(tx, key, attempt=deprovision.attempt),
        inventory=boots.latest_inventory(tx, key, attempt=deprovision.attempt),
        plan=plans.current(tx, key, attempt=deprovision.attempt),
        order=orders.latest(tx, key, attempt=deprovision.attempt),
        was_booted=boots.newest_number(tx, key) > 0,
    )


def known_host(tx: Connection, host: Host, *, data_class: str) -> KnownHost:
    """Placeholders, and facts that another host claims as well, identify nobody: they are left out (DESIGN,
    "On the machine").
    """
    facts = [
        (HostFactKind(fact.kind).value, fact.value)
        for fact in hosts.facts_of(tx, host.id)
        if identifies(fact.value, claimed_by=len(hosts.hosts_with_fact(tx, fact)))
    ]
    drives = tuple(KnownDrive(serial=each.serial, salt=each.salt) for each in hosts.drives_of(tx, host.id))
    return KnownHost(salt=host.salt, facts=tuple(facts), drives=drives, data_class=data_class)
