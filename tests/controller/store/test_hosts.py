"""Hosts and drives are known by what is on record, and a change names what was there."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.commitment import medium_commitment
from certificate.errors import Refused
from certificate.identifiers import HostId
from certificate.statements.vocabulary import HostFactKind
from controller.errors import Code, LostRace
from controller.facts import Disposition
from controller.store import hosts, ledger


def test_a_host_comes_back_as_it_was_registered(scene: Any) -> None:
    key = scene.host(asset_tag="srv-1", boot_parameters={"b": 1, "a": [None, "x"]})
    with scene.store.snapshot() as tx:
        host = hosts.load(tx, key)
        assert hosts.by_asset_tag(tx, "srv-1") == host
        assert hosts.all_hosts(tx) == (host,)
        assert hosts.by_asset_tag(tx, "srv-2") is None
        (fact,) = hosts.facts_of(tx, key)
    assert (host.boot_parameters, host.registered_at) == ({"b": 1, "a": [None, "x"]}, scene.at())
    assert (type(host.id), len(host.salt), fact.kind) == (HostId, 32, HostFactKind.DMI_UUID)


def test_an_asset_tag_names_one_host(scene: Any) -> None:
    scene.host(asset_tag="srv-1")
    with pytest.raises(Refused) as refused:
        scene.host(asset_tag="srv-1")
    assert refused.value.code is Code.ALREADY_STORED
    with scene.store.snapshot() as tx:
        assert [event.kind for event in ledger.events(tx)].count("host-registered") == 1


def test_an_unknown_host_is_a_refusal(scene: Any) -> None:
    with pytest.raises(Refused) as refused, scene.store.snapshot() as tx:
        hosts.load(tx, scene.new(HostId))
    assert refused.value.code is Code.NOT_IN_STORE


def test_a_drive_is_named_by_its_salted_commitment(scene: Any) -> None:
    key = scene.host()
    drive = scene.drive(key, "SERIAL-1")
    assert drive.commitment == medium_commitment(salt=drive.salt, serial="SERIAL-1")
    with scene.store.snapshot() as tx:
        assert hosts.drives_of(tx, key) == (drive,)
        newest = list(ledger.events(tx))[-1]
    assert newest.body["commitment"] == drive.commitment
    assert "SERIAL-1" not in newest.line()


def test_a_serial_is_recorded_once_a_host_but_may_stand_in_two(scene: Any) -> None:
    first, second = scene.host(), scene.host()
    scene.drive(first, "SERIAL-1")
    scene.drive(second, "SERIAL-1")
    with pytest.raises(Refused) as refused:
        scene.drive(first, "SERIAL-1")
    assert refused.value.code is Code.ALREADY_STORED


def test_a_drive_of_an_unknown_host_is_refused(scene: Any) -> None:
    with pytest.raises(Refused):
        scene.drive(scene.new(HostId))


def test_a_fact_seen_on_two_hosts_is_known_to_be(scene: Any) -> None:
    fact = hosts.HostFact(kind=HostFactKind.DMI_UUID, value="00000000-0000-0000-0000-000000000000")
    first, second = scene.host(), scene.host()
    with scene.store.transaction() as tx:
        for key in (first, second):
            tx.execute(hosts.host_fact.delete().where(hosts.host_fact.c.host == key))
            tx.execute(hosts.host_fact.insert().values(host=key, kind=fact.kind, value=fact.value))
        assert hosts.hosts_with_fact(tx, fact) == tuple(sorted((first, second)))
        other = hosts.HostFact(kind=HostFactKind.BOARD_SERIAL, value=fact.value)
        assert hosts.hosts_with_fact(tx, other) == ()


def test_a_disposition_is_changed_by_naming_the_old_one(scene: Any) -> None:
    key = scene.host(disposition=Disposition.UNKNOWN)
    with scene.store.transaction() as tx:
        hosts.declare_disposition(tx, key, old=Disposition.UNKNOWN, new=Disposition.STOCK, now=scene.at())
        assert hosts.load(tx, key).disposition is Disposition.STOCK
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        hosts.declare_disposition(tx, key, old=Disposition.UNKNOWN, new=Disposition.INTERNAL, now=scene.at())
