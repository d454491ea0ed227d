"""A host that could not be handed back after certifying: no second attempt goes on the first's papers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Code, Refused
from certificate.verify import verify
from controller import case as cases
from controller import knowledge
from controller.bundles import assemble
from controller.effects import certify
from controller.errors import LostRace
from controller.facts import Exit
from controller.states import State
from controller.store import deprovisions, outcomes


@pytest.fixture
def stuck(world: Any, crew: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Certified, but the switch did nothing for five hours; then it was mended."""
    with monkeypatch.context() as broken:
        broken.setattr(world.switch, "restore", lambda target: None)
        world.end_subscription()
        world.run(until=lambda world: world.state is State.CERTIFIED)
        later(world, timedelta(hours=5))
        world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    return crew


def later(world: Any, by: timedelta) -> None:
    world._skip_to(world.now() + by)


def commanded(crew: Any, exit: Exit) -> None:
    crew.people.decide("exit", {"exit": exit.value, "host": "host-1"}, by=crew.alice)


def facts_of(program: Any, key: Any, **changes: Any) -> Any:
    """The facts, as if the case were another in `changes`."""
    with program.store.snapshot() as tx:
        case = cases.load(tx, key)
        return knowledge.facts_of(tx, program, replace(case, **changes), now=program.clock())


def test_retry_is_closed_and_reprobe_hands_the_host_back_in_the_same_attempt(stuck: Any) -> None:
    world, program = stuck.world, stuck.program
    with pytest.raises(Refused, match="EXIT_NOT_OPEN"):
        commanded(stuck, Exit.RETRY)
    commanded(stuck, Exit.REPROBE)
    world.run(until=lambda world: world.state.is_terminal)
    assert (world.state, world.deprovision.attempt) == (State.RELEASED, 1)
    with program.store.snapshot() as tx:
        (outcome,) = outcomes.of_deprovision(tx, world.key)
        bundle = assemble(tx, outcome, program.documents.signed_files).bundle
    verify(bundle, program.documents.trust, program.documents.policy)


def test_papers_of_an_earlier_attempt_count_for_nothing_in_the_next(stuck: Any) -> None:
    """As a store holds them whose `retry` was carried out before it was closed."""
    program, key = stuck.program, stuck.world.key
    with program.store.snapshot() as tx:
        order = cases.load(tx, key).order
    own = facts_of(program, key)
    assert (own.has_summary, own.is_summary_logged, own.does_bundle_verify) == (True, True, True)
    for other in (replace(order, payload_digest="0" * 64), None):
        told = facts_of(program, key, order=other)
        assert (told.has_summary, told.is_summary_logged, told.does_bundle_verify) == (True, False, False)


def test_the_summary_of_another_order_is_never_certified_on(
    stuck: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = stuck.program
    with program.store.snapshot() as tx:
        case = cases.load(tx, stuck.world.key)
    record = certify.record_of(program, case)
    monkeypatch.setattr(certify, "record_of", lambda *_: replace(record, order_digest="0" * 64))
    with pytest.raises(Refused) as caught:
        certify.perform(program, case)
    assert caught.value.code is Code.SUBJECT_MISMATCH
    assert "another attempt's order" in caught.value.reason


def test_a_worker_of_an_attempt_that_is_over_makes_no_summary(
    stuck: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = stuck.program
    with program.store.snapshot() as tx:
        case = cases.load(tx, stuck.world.key)
    present = replace(case.deprovision, attempt=2)
    monkeypatch.setattr(deprovisions, "load", lambda tx, key: present)
    with pytest.raises(LostRace):
        certify.perform(program, case)
