"""What comes between reading a case and fixing what it leaves (`closing`): never a word too many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.statements import Outcome
from certificate.statements import statement as statements
from certificate.statements.vocabulary import Result
from controller import closing
from controller.facts import Exit
from controller.people import acceptance
from controller.states import State
from controller.store import outcomes

ACCEPT = {"host": "host-1", "choice": "accept"}
REJECT = {"host": "host-1", "choice": "reject"}


@pytest.fixture
def escalated(found_world: Callable[..., Any], signing: Any) -> Any:
    """A drive that only unmaps: erased by its own word, which the table leaves to a person."""
    world = found_world(faults=["deallocates_only"])
    alice, bob = world.operators
    world.end_subscription()
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    return signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)


def results(crew: Any) -> list[Result]:
    with crew.program.store.snapshot() as tx:
        told = outcomes.of_deprovision(tx, crew.world.key)
    return [statements.read(each.payload, Outcome).predicate.claim.result for each in told]


def revoked(crew: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    crew.people.decide("revoke", {"keyid": crew.bob.public.keyid}, by=crew.alice)


def rejected(crew: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as blind:  # asked in the moment before the acceptance stood
        blind.setattr(acceptance, "standing", lambda *given, **named: None)
        crew.people.decide("validate", REJECT, by=crew.alice)


@pytest.mark.parametrize("loses_it", [revoked, rejected])
def test_an_acceptance_lost_between_reading_and_fixing_leaves_nothing_erased(
    escalated: Any, monkeypatch: pytest.MonkeyPatch, loses_it: Callable[..., None]
) -> None:
    """Verdicts are read before the transaction that fixes the bytes; within it is asked what still counts."""
    read, seen = closing._begun, []

    def accepted_and_lost(program: Any, case: Any) -> Any:
        if seen:
            return read(program, case)
        escalated.people.decide("validate", ACCEPT, by=escalated.bob)
        begun = read(program, case)
        loses_it(escalated, monkeypatch)
        seen.extend((*begun.record.verdicts, results(escalated)))
        return begun

    monkeypatch.setattr(closing, "_begun", accepted_and_lost)
    escalated.people.decide("exit", {"exit": Exit.CLOSE.value, "host": "host-1"}, by=escalated.alice)
    escalated.world.run()
    assert escalated.world.state is State.CLOSED
    verdict, told_before = seen
    assert (verdict.is_accepted, told_before) == (True, [])
    assert results(escalated) == [Result.INCONCLUSIVE]
    assert not list(escalated.program.certificates_folder.glob("*.bundle.json"))
