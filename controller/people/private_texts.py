"""What the controller knows as private of one host, read from the store for `people.disclosure`.

Rules: everything that names the host or anybody behind it: its asset tag, address and ids; every identifying
fact and drive, on record or only sighted, in the host or gone; the customers it belongs to, is or was let to,
and their subscriptions, opened from the private texts. Placeholders, and what was shredded, name nobody.
A text that does not open refuses: what cannot be compared is not signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.placeholders import is_placeholder
from certificate.statements.vocabulary import HostFactKind
from controller.errors import Code
from controller.people.disclosure import PrivateText
from controller.program import Program
from controller.store import hosts, private, sightings, tenancies
from controller.store.hosts import Host
from controller.store.private import CUSTOMER_TEXT, SUBSCRIPTION_TEXT


def of_host(tx: Connection, program: Program, host: Host) -> tuple[PrivateText, ...]:
    """Never empty. Raises Refused(PRIVATE_UNREADABLE)."""
    return (
        PrivateText(what="the host's asset tag", text=host.asset_tag),
        PrivateText(what="the host's address", text=host.address),
        PrivateText(what="the host's id", text=host.id),
        *_facts(tx, host),
        *_drives(tx, host),
        *_people(tx, program, host),
    )


def typed_beside(texts: Mapping[str, str]) -> tuple[PrivateText, ...]:
    """What was typed in the same matter for the private tables, by what it is."""
    return tuple(PrivateText(what=f"what was typed as {what}", text=text) for what, text in texts.items())


def _facts(tx: Connection, host: Host) -> Iterator[PrivateText]:
    known = (*hosts.facts_of(tx, host.id), *sightings.facts_of(tx, host.id))
    for kind, value in sorted({(HostFactKind(fact.kind).value, fact.value) for fact in known}):
        # Several addresses stand in one fact, and each of them names the host.
        parts = re.split(r"[,;\s]+", value) if kind == HostFactKind.NIC_MACS else [value]
        for part in parts:
            if not is_placeholder(part):
                yield PrivateText(what=f"the host's {kind}", text=part)


def _drives(tx: Connection, host: Host) -> Iterator[PrivateText]:
    serials = {*hosts.serials_of(tx, host.id), *sightings.serials_of(tx, host.id)}
    for serial in sorted(serials):
        if not is_placeholder(serial):
            yield PrivateText(what="the serial number of a drive", text=serial)


def _people(tx: Connection, program: Program, host: Host) -> Iterator[PrivateText]:
    for tenancy in tenancies.of_host(tx, host.id):
        yield PrivateText(what="the id of a tenancy", text=tenancy.id)
        subscription = _opened(tx, program, tenancy.subscription_ref, SUBSCRIPTION_TEXT)
        if subscription is not None:
            yield PrivateText(what="the id of a subscription", text=subscription)
    for ref in sorted(tenancies.customer_refs(tx, host)):
        customer = _opened(tx, program, ref, CUSTOMER_TEXT)
        if customer is not None:
            yield PrivateText(what="a customer's name", text=customer)


def _opened(tx: Connection, program: Program, subject_ref: str, kind: str) -> str | None:
    try:
        return private.read(
            tx, subject_ref=subject_ref, kind=kind, master_key=program.keyring.private_text_key
        )
    except Refused as refusal:
        if refusal.code is not Code.PRIVATE_SHREDDED:
            raise
        return None
