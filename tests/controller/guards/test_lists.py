"""Which guards stand before which step: one that is deleted, from a list or from all, is missed by name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.statement import Seen
from controller import guards
from controller.decision import Move
from controller.errors import Code
from controller.facts import Effect, Facts
from controller.guards import (
    AgentGreetedForTheOrder,
    ApprovalsSuffice,
    BootIsProven,
    ClockIsTrusted,
    CustomerNeverCameBack,
    DispositionAllowsIt,
    DrivesAreOfNoOtherHost,
    DrivesAreTheExpectedOnes,
    EveryTenancyEnded,
    HostIsIsolated,
    IdentityAgrees,
    IntakeIsOpen,
    InventoryIsOfThisBoot,
    NoOrderElsewhere,
    NoOtherTenancyTouchesTheHost,
    NotCalledBack,
    NotFrozen,
    NotHeld,
    NoticesSettled,
    OrderIsAlive,
    PlanIsOfThisBoot,
    StoreIsCurrent,
    TenancyListIsCompleteAndFresh,
    WithinLimits,
)
from controller.lifecycle import decide, may_acknowledge
from controller.states import State

MAY_WE = {StoreIsCurrent, NotFrozen, NotHeld, NotCalledBack}
THE_CUSTOMER_LEFT = {
    ClockIsTrusted,
    IntakeIsOpen,
    DispositionAllowsIt,
    EveryTenancyEnded,
    CustomerNeverCameBack,
    TenancyListIsCompleteAndFresh,
    NoOtherTenancyTouchesTheHost,
    NoOrderElsewhere,
}
IT_IS_THE_MACHINE = {
    BootIsProven,
    InventoryIsOfThisBoot,
    IdentityAgrees,
    DrivesAreTheExpectedOnes,
    DrivesAreOfNoOtherHost,
}
IT_IS_APPROVED = {PlanIsOfThisBoot, ApprovalsSuffice, WithinLimits}
BEFORE_THE_TENANT_IS_CUT_OFF = MAY_WE | THE_CUSTOMER_LEFT | {NoticesSettled}
ALL = BEFORE_THE_TENANT_IS_CUT_OFF | IT_IS_THE_MACHINE | IT_IS_APPROVED | {HostIsIsolated}

LISTS: dict[str, set[Any]] = {
    "GUARDS_TO_ISOLATE": BEFORE_THE_TENANT_IS_CUT_OFF,
    "GUARDS_TO_QUARANTINE": BEFORE_THE_TENANT_IS_CUT_OFF | {HostIsIsolated},
    "GUARDS_TO_STAGE": BEFORE_THE_TENANT_IS_CUT_OFF | {HostIsIsolated},
    "GUARDS_TO_PLAN": MAY_WE | IT_IS_THE_MACHINE,
    "GUARDS_TO_APPROVE": MAY_WE | IT_IS_APPROVED,
    "GUARDS_TO_INTEND": ALL | {AgentGreetedForTheOrder},
    "GUARDS_TO_DISPATCH": ALL | {OrderIsAlive},
    "GUARDS_TO_ACKNOWLEDGE": ALL,
    "GUARDS_TO_CONCLUDE": {StoreIsCurrent, NotFrozen},
}
#: The state whose next step each list stands before.
STEPS = {
    State.SCHEDULED: "GUARDS_TO_QUARANTINE",
    State.QUARANTINED: "GUARDS_TO_STAGE",
    State.STAGED: "GUARDS_TO_PLAN",
    State.PLANNED: "GUARDS_TO_APPROVE",
    State.APPROVED: "GUARDS_TO_INTEND",
    State.INTENDED: "GUARDS_TO_DISPATCH",
    State.CERTIFIED: "GUARDS_TO_CONCLUDE",
}
PAIRS = [
    (state, guard)
    for state, name in STEPS.items()
    for guard in sorted(LISTS[name], key=lambda guard: guard.__name__)
]


def named(value: Any) -> str:
    return str(getattr(value, "__name__", value))


def refuse(self: Any, facts: Facts, now: datetime) -> None:
    raise Refused(Code.HELD, "this guard alone says no")


def ready(story: Any, state: State) -> Facts:
    """Everything is there for the next step of this state."""
    facts: Facts = story.facts(state)
    if state is State.SCHEDULED:
        return story.facts(state, effects_begun=(story.begun(Effect.ISOLATE, ago=story.HOUR),))
    if state is State.QUARANTINED:
        staged = story.facts(State.STAGED)
        return story.facts(state, boot=staged.boot, inventory=staged.inventory)
    if state is State.STAGED:
        return story.facts(state, plan=story.facts(State.PLANNED).plan)
    if state is State.CERTIFIED:
        restored = (*facts.effects_begun, story.begun(Effect.RESTORE, ago=story.HOUR))
        return story.facts(state, effects_begun=restored, isolation=story.isolation(Seen.NO))
    return facts


@pytest.mark.parametrize("name", LISTS)
def test_each_step_has_its_guards(name: str) -> None:
    assert {type(guard) for guard in getattr(guards, name)} == LISTS[name]


def test_every_list_of_guards_is_named_here() -> None:
    assert {name for name in guards.__all__ if name.startswith("GUARDS_TO_")} == set(LISTS)


def test_every_guard_stands_before_some_step() -> None:
    stands = {guard for expected in LISTS.values() for guard in expected}
    classes = {value for name in guards.__all__ if hasattr(value := getattr(guards, name), "check")}
    assert stands == classes - {guards.Guard}


@pytest.mark.parametrize("state", STEPS, ids=named)
def test_where_no_guard_refuses_the_step_is_made(story: Any, state: State) -> None:
    assert isinstance(decide(ready(story, state), story.T0), Move)


@pytest.mark.parametrize(("state", "guard"), PAIRS, ids=named)
def test_one_guard_alone_holds_the_step_back(
    story: Any, state: State, guard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "check", refuse)
    assert not isinstance(decide(ready(story, state), story.T0), Move)


@pytest.mark.parametrize("guard", sorted(ALL, key=named), ids=named)
def test_one_guard_alone_holds_an_irreversible_step_back(
    story: Any, guard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acknowledge() -> None:
        may_acknowledge(
            story.facts(State.ERASING),
            story.T0,
            token=story.TOKEN,
            boot_id=story.BOOT,
            step=f"markers:{story.MEDIUM}",
            is_irreversible=True,
        )

    acknowledge()
    monkeypatch.setattr(guard, "check", refuse)
    with pytest.raises(Refused, match="alone says no"):
        acknowledge()
