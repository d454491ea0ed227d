"""What was seen of a host stands beside its record and never in its place."""

from __future__ import annotations

from typing import Any

from certificate.statements.vocabulary import HostFactKind
from controller.store import hosts, ledger, sightings
from controller.store.hosts import HostFact
from controller.store.sightings import Provenance

TRUSTED = Provenance.SEEN_IN_TRUSTED_BOOT


def see(scene: Any, host: Any, at: float, *, provenance: Provenance = TRUSTED, serial: str = "S1") -> None:
    with scene.store.transaction() as tx:
        fact = HostFact(kind=HostFactKind.DMI_UUID, value=f"uuid of {serial}")
        sightings.record(
            tx, host, provenance=provenance, facts=(fact,), drives=(serial, serial), now=scene.at(at)
        )


def kinds(scene: Any) -> list[str]:
    with scene.store.snapshot() as tx:
        return [event.kind for event in ledger.events(tx)]


def test_the_newest_look_is_the_one_that_stands(scene: Any) -> None:
    host = scene.host()
    see(scene, host, 1, serial="S1")
    see(scene, host, 2, serial="S2")
    with scene.store.snapshot() as tx:
        seen = sightings.seen_in_trusted_boot(tx, host)
    assert seen is not None
    assert (seen.at, seen.drives) == (scene.at(2), ("S2",))
    assert [fact.value for fact in seen.facts] == ["uuid of S2"]


def test_a_repetition_is_no_news(scene: Any) -> None:
    host = scene.host()
    for at in (1, 2, 3):
        see(scene, host, at)
    assert kinds(scene).count("host-sighted") == 1
    with scene.store.snapshot() as tx:
        seen = sightings.seen_in_trusted_boot(tx, host)
        assert not any("S1" in event.line() for event in ledger.events(tx))
    assert seen is not None
    assert seen.at == scene.at(3)


def test_what_a_management_controller_says_is_no_trusted_boot(scene: Any) -> None:
    host = scene.host()
    see(scene, host, 1, provenance=Provenance.SEEN_BY_BMC)
    with scene.store.snapshot() as tx:
        assert sightings.seen_in_trusted_boot(tx, host) is None


def test_a_sighting_leaves_the_record_as_it_is(scene: Any) -> None:
    host = scene.host()
    with scene.store.snapshot() as tx:
        before = hosts.facts_of(tx, host), hosts.drives_of(tx, host), hosts.load(tx, host)
    see(scene, host, 1, serial="another")
    with scene.store.snapshot() as tx:
        assert (hosts.facts_of(tx, host), hosts.drives_of(tx, host), hosts.load(tx, host)) == before


def test_a_field_remembers_who_asserted_it_last(scene: Any) -> None:
    host = scene.host()
    for at, what in ((1, "first"), (2, "second")):
        with scene.store.transaction() as tx:
            fields = ("site", "rack") if at == 1 else ("rack",)
            digest = scene.digest(what)
            sightings.assert_fields(tx, host, fields, source_digest=digest, now=scene.at(at))
    with scene.store.snapshot() as tx:
        found = {each.field: each for each in sightings.provenance_of(tx, host)}
    assert found["site"].source_digest == scene.digest("first")
    assert (found["rack"].source_digest, found["rack"].at) == (scene.digest("second"), scene.at(2))
    assert {each.provenance for each in found.values()} == {Provenance.ASSERTED}
