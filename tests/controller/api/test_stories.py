"""Certificates as files, asked for by medium: also where no deprovision ever named the drive."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.errors import Refused
from controller.api import stories
from controller.states import State
from controller.store import hosts, outcomes

OUT = {
    "host": "host-1",
    "old": "SABOTAGE1",
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "4711",
    "place": "safe 2",
}
GONE = {
    "medium": "SABOTAGE1",
    "method": "shred",
    "by": "Shredders and Sons",
    "witness": "Grace Hopper",
    "place": "their yard",
    "document_digest": "d0" * 32,
}


def files_of(crew: Any, named: str, **asked: bool) -> set[str]:
    with crew.program.store.snapshot() as tx:
        files = crew.program.documents.signed_files
        told = stories.certificate_of_medium(tx, named, files, **({"with_annex": False} | asked))
    assert told.deprovision is None
    return {file.name for file in told.files}


def medium(crew: Any) -> str:
    with crew.program.store.snapshot() as tx:
        return str(tx.execute(hosts.drive.select()).one().commitment)


@pytest.fixture
def destroyed(crew: Any) -> Any:
    """A drive that left and was destroyed before its host was ever deprovisioned."""
    about = GONE | {"destroyed_on": crew.world.now().date().isoformat()}
    for kind, told in (("remove", OUT), ("destroy", about)):
        for operator in (crew.alice, crew.bob):
            crew.people.decide(kind, told, by=operator)
    return crew


@pytest.mark.parametrize("digits", [8, 64])
def test_a_drive_destroyed_under_no_deprovision_has_its_certificate_by_its_commitment(
    destroyed: Any, digits: int
) -> None:
    with destroyed.program.store.snapshot() as tx:
        (attested,) = outcomes.of_drive(tx, medium(destroyed))
    assert attested.deprovision is None
    names = {f"{attested.id}.bundle.json", f"{attested.id}.dsse.json"}
    assert files_of(destroyed, medium(destroyed)[:digits]) == names
    assert names == {path.name for path in destroyed.program.certificates_folder.iterdir()}


def test_a_medium_without_an_outcome_has_none(destroyed: Any) -> None:
    other = "0" * 64 if medium(destroyed)[0] != "0" else "1" * 64
    for named in (other, other[:8]):
        with pytest.raises(Refused, match="CERTIFICATE_NOT_READY"):
            files_of(destroyed, named)


def test_an_erased_drive_has_the_same_files_by_medium_as_by_deprovision(crew: Any) -> None:
    crew.world.end_subscription()
    crew.world.run()
    assert crew.world.state is State.RELEASED
    with crew.program.store.snapshot() as tx:
        files = crew.program.documents.signed_files
        told = stories.certificate(tx, crew.world.key, files, with_annex=True)
    assert files_of(crew, medium(crew), with_annex=True) == {file.name for file in told.files}


def test_a_failure_is_handed_out_by_medium_only_where_it_is_asked_for(found_world: Any, signing: Any) -> None:
    world = found_world(faults=["lies"])
    alice, bob = world.operators
    crew = signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)
    world.end_subscription()
    world.run()
    with pytest.raises(Refused, match="CERTIFICATE_NOT_READY"):
        files_of(crew, medium(crew))
    assert len(files_of(crew, medium(crew), with_failures=True)) == 3
