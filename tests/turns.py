"""Turns of a story: the customer stays, the host is given back, the order is sent, a step asks leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from certificate.messages import TokenState
from certificate.statements.statement import Seen
from controller.decision import Decision, Move
from controller.facts import Answer, Effect, Facts
from controller.lifecycle import may_acknowledge
from controller.states import State

REVERSIBLE = [state for state in State if state.is_reversible]


def renewed(story: Any, facts: Facts, answer: Answer = Answer.ACTIVE) -> Facts:
    """The source says, a second ago, that the customer stays."""
    latest = story.subscription(answer, changed_at=story.T0 - 3 * story.SECOND)
    tenancy = story.tenancy(latest=latest, last_change_at=latest.answered_at)
    return replace(facts, tenancies=(tenancy,))


def restored(story: Any, facts: Facts) -> Facts:
    """The quarantine was undone four seconds ago and the switch says so since."""
    begun = story.begun(Effect.RESTORE, ago=4 * story.SECOND)
    isolated = story.begun(Effect.ISOLATE, ago=4 * story.HOUR)
    return replace(facts, effects_begun=(isolated, begun), isolation=story.isolation(Seen.NO))


def erasing(story: Any, *, agent: TokenState | None = None, **order: Any) -> Facts:
    told = {"dispatched_at": story.T0 - 10 * story.SECOND, **order}
    seen = None if agent is None else story.agent(agent)
    return story.facts(State.ERASING, order=story.order(**told), agent=seen)


def moved_to(decision: Decision) -> State:
    assert isinstance(decision, Move), decision
    return decision.to


def acknowledge(story: Any, facts: Facts, **changes: Any) -> None:
    request = {
        "token": story.TOKEN,
        "boot_id": story.BOOT,
        "step": f"start:{story.MEDIUM}:nvme_sanitize_crypto",
        "is_irreversible": True,
        **changes,
    }
    may_acknowledge(facts, story.T0, **request)
