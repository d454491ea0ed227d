"""What no stranger may read of a host: all that the store knows of it, and nothing that names nobody."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.vocabulary import HostFactKind
from controller import intake
from controller.errors import Code
from controller.people import private_texts
from controller.store import hosts, private, sightings, tenancies
from controller.store.hosts import HostFact, HostField
from controller.store.sightings import Provenance

CUSTOMER = "Lovelace Analytical Ltd"


@pytest.fixture
def known(crew: Any) -> Any:
    """A host that a customer has, with a tenancy that the source told of."""
    world, program = crew.world, crew.program
    world._beat()
    intake.learn(program)
    with program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        ref = program.pseudonyms.customer(CUSTOMER)
        hosts.change(tx, host.id, HostField.CUSTOMER, old=host.customer_ref, new=ref, now=program.clock())
        private.write(
            tx,
            subject_ref=ref,
            kind=private.CUSTOMER_TEXT,
            text=CUSTOMER,
            master_key=program.keyring.private_text_key,
            random_bytes=secrets.token_bytes,
            now=program.clock(),
        )
    return crew


def said(crew: Any) -> dict[str, str]:
    """Text -> what it is."""
    with crew.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        return {each.text: each.what for each in private_texts.of_host(tx, crew.program, host)}


def test_all_that_names_the_host_or_its_customer_is_private(known: Any) -> None:
    with known.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        (tenancy,) = tenancies.of_host(tx, host.id)
    found = said(known)
    expected = {
        "host-1": "the host's asset tag",
        host.address: "the host's address",
        host.id: "the host's id",
        "CH1": "the host's chassis_serial",
        "a1" * 16: "the host's dmi_uuid",
        "SABOTAGE1": "the serial number of a drive",
        tenancy.id: "the id of a tenancy",
        "sub-1": "the id of a subscription",
        CUSTOMER: "a customer's name",
    }
    assert expected.items() <= found.items()


def test_a_drive_that_left_and_one_that_was_only_seen_stay_private(known: Any) -> None:
    with known.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        (drive,) = hosts.drives_of(tx, host.id)
        hosts.drive_leaves(tx, drive.id, now=known.program.clock())
        sightings.record(
            tx,
            host.id,
            provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
            facts=(HostFact(kind=HostFactKind.NIC_MACS, value="02:00:00:00:00:01,02:00:00:00:00:02"),),
            drives=("STRANGER7",),
            now=known.program.clock(),
        )
    found = said(known)
    assert {"SABOTAGE1", "STRANGER7", "02:00:00:00:00:01", "02:00:00:00:00:02"} <= found.keys()


def test_what_a_board_maker_prints_on_every_board_names_nobody(known: Any) -> None:
    with known.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        hosts.change_fact(
            tx,
            host.id,
            HostFactKind.CHASSIS_SERIAL,
            old="CH1",
            new="Default string",
            now=known.program.clock(),
        )
    assert "Default string" not in said(known)


def test_a_shredded_name_is_known_no_more_and_an_unreadable_one_refuses(known: Any) -> None:
    with known.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        other = replace(known.program.keyring, private_text_key=b"x" * 32)
        with pytest.raises(Refused) as refused:
            private_texts.of_host(tx, replace(known.program, keyring=other), host)
    assert refused.value.code is Code.PRIVATE_UNREADABLE
    with known.program.store.transaction() as tx:
        private.shred(tx, subject_ref=host.customer_ref or "", now=known.program.clock())
    assert CUSTOMER not in said(known)
