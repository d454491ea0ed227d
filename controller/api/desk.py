"""The desk: what a running controller answers to its commands. It stores and reads; it decides nothing.

Rules: each question is one transaction or one snapshot; a hint is stored before it is answered and then the
dispatcher is woken; nothing here asks the world, signs, or moves a deprovision; plain names go to the private
tables and never back into an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from certificate.commitment import SALT_BYTES
from certificate.identifiers import DeprovisionId, DriveId, HostId
from controller.api.documents import (
    CertificateFiles,
    HintTold,
    HostLine,
    HostList,
    LedgerChecked,
    LedgerPage,
    NewHost,
    Status,
    Story,
)
from controller.api.lines import alarm_line, deprovision_line, host_line, whole_seconds
from controller.api.stories import certificate, certificate_of_medium, story
from controller.bundles import SignedFiles
from controller.facts import Disposition
from controller.ledger_check import checked
from controller.pseudonyms import Pseudonyms
from controller.records import returning
from controller.records.names import split_address
from controller.spool import Hint, HintEvent
from controller.store import alarms, deprovisions, hints, hosts, ledger, log_rows, private, sightings
from controller.store.anchor import Comparison
from controller.store.engine import Store
from controller.store.hosts import DriveBasis, Host, HostFact

#: Who told a hint that came by `expunge hook`.
HOOK = "hook"
#: Ledger lines in one answer; bounds memory on both sides of the socket.
PAGE_LINES = 1000


class Anchor(Protocol):
    """Says how the store stands to its copy outside (`store.anchor.AnchorKeeper`)."""

    def compare(self, tx: Connection) -> Comparison: ...


@dataclass(frozen=True, kw_only=True)
class Desk:
    """`wake` tells the dispatcher that something is due; it returns at once."""

    store: Store
    anchor: Anchor
    pseudonyms: Pseudonyms
    private_text_key: bytes = field(repr=False)
    signed_files: SignedFiles = field(repr=False)
    #: The name of the source of subscriptions.
    source: str
    #: As it is configured now (`Configuration.policy`).
    policy: Mapping[str, Any]
    release: str
    clock: Callable[[], datetime]
    randomness: Callable[[int], bytes]
    wake: Callable[[], None]

    def tell(self, hint: Hint) -> HintTold:
        """Stores a hint of `hook`; one told twice is stored once."""
        self.receive(source=HOOK, event_id=hint.id, event=hint.event, subscription=hint.subscription)
        return HintTold(event=hint.event, subscription=hint.subscription, to="serve")

    def receive(self, *, source: str, event_id: str, event: HintEvent, subscription: str) -> bool:
        """Whether the hint is new. Stored when this returns."""
        with self.store.transaction() as tx:
            stored = hints.receive(
                tx,
                source=source,
                event_id=event_id,
                event=event,
                subscription_ref=self.pseudonyms.subscription(subscription),
                now=self.clock(),
            )
        self.wake()
        return stored is not None

    def add_host(self, new: NewHost) -> HostLine:
        """A host with its facts and declared drives. Raises Refused: ALREADY_STORED, DRIVE_LEFT_BEFORE,
        DRIVE_ON_TWO_HOSTS."""
        now = self.clock()
        host_id = HostId.from_random(self.randomness(16))
        with self.store.transaction() as tx:
            hosts.register(tx, self._host(new, host_id, now), facts=_facts(new), now=now)
            returning.refuse(tx, {drive.serial for drive in new.drives})
            for drive in new.drives:
                hosts.record_drive(
                    tx,
                    id=DriveId.from_random(self.randomness(16)),
                    host_id=host_id,
                    serial=drive.serial,
                    salt=self.randomness(SALT_BYTES),
                    basis=DriveBasis(drive.basis),
                    model=drive.model,
                    capacity_bytes=drive.capacity_bytes,
                    now=now,
                )
            if new.customer is not None:
                private.write(
                    tx,
                    subject_ref=self.pseudonyms.customer(new.customer),
                    kind=private.CUSTOMER_TEXT,
                    text=new.customer,
                    master_key=self.private_text_key,
                    random_bytes=self.randomness,
                    now=now,
                )
            sightings.assert_fields(tx, host_id, _asserted(new), source_digest=_digest(new), now=now)
            line = host_line(tx, hosts.load(tx, host_id))
        self.wake()
        return line

    def _host(self, new: NewHost, host_id: HostId, now: datetime) -> Host:
        address, port = split_address(new.address)
        return Host(
            id=host_id,
            asset_tag=new.asset_tag,
            site=new.site,
            rack=new.rack,
            data_class=new.data_class,
            disposition=Disposition(new.disposition),
            customer_ref=None if new.customer is None else self.pseudonyms.customer(new.customer),
            salt=self.randomness(SALT_BYTES),
            address=address,
            port=port,
            boot_parameters=new.parameters,
            quarantine_parameters=new.parameters,
            registered_at=now,
        )

    def hosts(self) -> HostList:
        with self.store.snapshot() as tx:
            return HostList(hosts=tuple(host_line(tx, host) for host in hosts.all_hosts(tx)))

    def status(self) -> Status:
        """What alarms, and every deprovision, newest first."""
        with self.store.snapshot() as tx:
            names = {host.id: host.asset_tag for host in hosts.all_hosts(tx)}
            rows = deprovisions.all_deprovisions(tx)
            lines = [deprovision_line(tx, row, names[row.host]) for row in rows]
            now = self.clock()
            return Status(
                release=self.release,
                now=whole_seconds(now),
                is_frozen=self.anchor.compare(tx).is_frozen,
                ledger_seq=ledger.head(tx)[0],
                log_size=log_rows.size(tx),
                alarms=tuple(alarm_line(each, now=now) for each in alarms.standing(tx)),
                deprovisions=tuple(reversed(lines)),
            )

    def story(self, key: DeprovisionId) -> Story:
        """Raises Refused(NOT_IN_STORE)."""
        with self.store.snapshot() as tx:
            return story(tx, key, source=self.source, policy=self.policy)

    def certificate(
        self, key: DeprovisionId, *, with_annex: bool, with_failures: bool = False
    ) -> CertificateFiles:
        """Raises Refused: NOT_IN_STORE, CERTIFICATE_NOT_READY."""
        with self.store.snapshot() as tx:
            return certificate(tx, key, self.signed_files, with_annex=with_annex, with_failures=with_failures)

    def certificate_of_medium(
        self, named: str, *, with_annex: bool, with_failures: bool = False
    ) -> CertificateFiles:
        """`named`: a commitment, or its first digits. Raises Refused(CERTIFICATE_NOT_READY)."""
        with self.store.snapshot() as tx:
            return certificate_of_medium(
                tx, named, self.signed_files, with_annex=with_annex, with_failures=with_failures
            )

    def ledger_page(self, *, from_seq: int) -> LedgerPage:
        """At most PAGE_LINES lines of the ledger, from event `from_seq` on."""
        lines: list[str] = []
        with self.store.snapshot() as tx:
            for event in ledger.events(tx, after_seq=from_seq - 1):
                if len(lines) == PAGE_LINES:
                    return LedgerPage(lines=tuple(lines), next_seq=event.seq)
                lines.append(event.line())
        return LedgerPage(lines=tuple(lines), next_seq=None)

    def check_ledger(self) -> LedgerChecked:
        """Raises Refused(LEDGER_BROKEN)."""
        with self.store.snapshot() as tx:
            return checked(tx)


def _facts(new: NewHost) -> tuple[HostFact, ...]:
    return tuple(HostFact(kind=fact.kind, value=fact.value) for fact in new.facts)


def _asserted(new: NewHost) -> tuple[str, ...]:
    """What an operator said of the host, under the names an import has for it."""
    plain = ("site", "rack", "data_class", "disposition", "address")
    named = [f"parameter.{name}" for name in new.parameters] + [f"fact.{fact.kind}" for fact in new.facts]
    return (*plain, *(("customer",) if new.customer is not None else ()), *named)


def _digest(new: NewHost) -> str:
    """Names the entry as it was made. SHA-256 hex."""
    return hashlib.sha256(new.model_dump_json().encode()).hexdigest()
