"""Who may accept a result: the rule taken out, and the person who then passes what they wanted themselves.

docs/threat-model.md keeps the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.errors import Refused
from controller.people.acts import validate
from controller.states import State
from tests.signing import People


def accepts_what_they_commanded(make_world: Callable[..., Any]) -> bool:
    """Whether one person commands a second attempt and accepts its doubtful result."""
    world = make_world(faults=["deallocates_only"])
    people, (alice, _) = People(program=world.program), world.operators
    world.end_subscription()
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    people.decide("exit", {"exit": "retry", "host": "host-1"}, by=alice)
    world.run(until=lambda world: world.state is State.SCHEDULED)
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert world.deprovision.attempt == 2, "the story did not come to its second attempt"
    try:
        people.decide("validate", {"host": "host-1", "choice": "accept"}, by=alice)
    except Refused:
        return False
    return True


def test_who_commanded_an_attempt_accepts_nothing_of_it(found_world: Callable[..., Any]) -> None:
    assert not accepts_what_they_commanded(found_world)


def test_without_the_rule_one_person_begins_an_erase_and_passes_it(
    found_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "_commanders", lambda tx, case: set())
    assert accepts_what_they_commanded(found_world)
