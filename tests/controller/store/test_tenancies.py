"""Tenancies: what a source asserted, and when it last changed here."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import HostId, TenancyId
from controller.errors import Code, LostRace
from controller.store import ledger, log_rows, tenancies


def test_tenancies_are_found_by_host_and_by_subscription_oldest_first(scene: Any) -> None:
    first, second = scene.host(), scene.host()
    late = scene.tenancy(first, "sub-1", starts_at=scene.at(-100))
    early = scene.tenancy(first, "sub-2", starts_at=scene.at(-200))
    other = scene.tenancy(second, "sub-1", starts_at=scene.at(-150))
    with scene.store.snapshot() as tx:
        assert [row.id for row in tenancies.of_host(tx, first)] == [early, late]
        assert [row.id for row in tenancies.of_subscription(tx, scene.digest("sub-1"))] == [other, late]
        assert tenancies.of_subscription(tx, scene.digest("sub-9")) == ()
        assert tenancies.load(tx, late).starts_at == scene.at(-100)


def test_the_same_tenancy_is_recorded_once(scene: Any) -> None:
    host = scene.host()
    scene.tenancy(host, starts_at=scene.at(-100))
    with pytest.raises(Refused) as refused:
        scene.tenancy(host, starts_at=scene.at(-100))
    assert refused.value.code is Code.ALREADY_STORED
    scene.tenancy(host, starts_at=scene.at(-50))


def test_a_tenancy_of_an_unknown_host_is_refused(scene: Any) -> None:
    with pytest.raises(Refused):
        scene.tenancy(scene.new(HostId))


def test_another_end_stamps_the_change_that_answers_must_be_younger_than(scene: Any) -> None:
    key = scene.tenancy(scene.host())
    with scene.store.transaction() as tx:
        tenancies.change_end(tx, key, old=scene.at(-10), new=None, now=scene.at(7))
        row = tenancies.load(tx, key)
        assert (row.ends_at, row.changed_at, row.recorded_at) == (None, scene.at(7), scene.at())
        tenancies.change_end(tx, key, old=None, new=scene.at(99), now=scene.at(8))
        assert tenancies.load(tx, key).ends_at == scene.at(99)


@pytest.mark.parametrize("believed", [None, 5.0])
def test_an_end_changed_by_somebody_else_meanwhile_is_a_lost_race(scene: Any, believed: float | None) -> None:
    key = scene.tenancy(scene.host())
    old = None if believed is None else scene.at(believed)
    with pytest.raises(LostRace), scene.store.transaction() as tx:
        tenancies.change_end(tx, key, old=old, new=scene.at(1), now=scene.at())


def test_an_allocation_is_row_event_and_log_entry_once(scene: Any) -> None:
    scene.genesis()
    key = scene.tenancy(scene.host())
    envelope = scene.signed("allocation")
    with scene.store.transaction() as tx:
        issued = tenancies.issue_allocation(tx, key, envelope=envelope, now=scene.at())
    with scene.store.snapshot() as tx:
        assert tenancies.allocation_of(tx, key) == issued
        assert log_rows.load_entry(tx, issued.log_seq).payload_digest == envelope.payload_digest
        assert [event.kind for event in ledger.events(tx)][-2:] == ["log-entry-added", "allocation-issued"]
    with pytest.raises(Refused), scene.store.transaction() as tx:
        tenancies.issue_allocation(tx, key, envelope=envelope, now=scene.at())
    with scene.store.snapshot() as tx:
        assert log_rows.size(tx) == 2
        assert tenancies.allocation_of(tx, scene.new(TenancyId)) is None
