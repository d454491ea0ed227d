"""What must hold before a deprovision moves: one sentence a guard, silent when it holds, `Refused` when not.

Rules this package holds:
- A guard that loops refuses the empty list first: over nothing, every loop passes.
- Three-valued facts are compared with `is`; what was not observed refuses.
- Each guard names the questions whose answers could make it pass: so who is refused knows what to ask.

    leave       may we act at all: present memory, no freeze, no hold, no call back
    customer    has the customer left, and is who says so to be believed
    machine     is it the machine, out of the tenant's reach, with exactly its drives
    approval    is exactly this plan approved, within the limits, and announced
    order       may this order be made, or sent
    lists       which of them stand before which step
"""

from __future__ import annotations

from controller.guards.approval import (
    TWO_PEOPLE,
    ApprovalsSuffice,
    NoticesSettled,
    PlanIsOfThisBoot,
    WithinLimits,
    people,
)
from controller.guards.customer import (
    ClockIsTrusted,
    CustomerNeverCameBack,
    DispositionAllowsIt,
    EveryTenancyEnded,
    IntakeIsOpen,
    NoOrderElsewhere,
    NoOtherTenancyTouchesTheHost,
    TenancyListIsCompleteAndFresh,
)
from controller.guards.guard import Guard, failing, require
from controller.guards.leave import NotCalledBack, NotFrozen, NotHeld, StoreIsCurrent
from controller.guards.lists import (
    GUARDS_TO_ACKNOWLEDGE,
    GUARDS_TO_APPROVE,
    GUARDS_TO_CONCLUDE,
    GUARDS_TO_DISPATCH,
    GUARDS_TO_INTEND,
    GUARDS_TO_ISOLATE,
    GUARDS_TO_PLAN,
    GUARDS_TO_QUARANTINE,
    GUARDS_TO_STAGE,
)
from controller.guards.machine import (
    BootIsProven,
    DrivesAreOfNoOtherHost,
    DrivesAreTheExpectedOnes,
    HostIsIsolated,
    IdentityAgrees,
    InventoryIsOfThisBoot,
)
from controller.guards.order import (
    MAX_INTENDED_AGE,
    AgentGreetedForTheOrder,
    OrderIsAlive,
    is_of_an_earlier_epoch,
    order_staleness,
)

__all__ = [
    "GUARDS_TO_ACKNOWLEDGE",
    "GUARDS_TO_APPROVE",
    "GUARDS_TO_CONCLUDE",
    "GUARDS_TO_DISPATCH",
    "GUARDS_TO_INTEND",
    "GUARDS_TO_ISOLATE",
    "GUARDS_TO_PLAN",
    "GUARDS_TO_QUARANTINE",
    "GUARDS_TO_STAGE",
    "MAX_INTENDED_AGE",
    "TWO_PEOPLE",
    "AgentGreetedForTheOrder",
    "ApprovalsSuffice",
    "BootIsProven",
    "ClockIsTrusted",
    "CustomerNeverCameBack",
    "DispositionAllowsIt",
    "DrivesAreOfNoOtherHost",
    "DrivesAreTheExpectedOnes",
    "EveryTenancyEnded",
    "Guard",
    "HostIsIsolated",
    "IdentityAgrees",
    "IntakeIsOpen",
    "InventoryIsOfThisBoot",
    "NoOrderElsewhere",
    "NoOtherTenancyTouchesTheHost",
    "NotCalledBack",
    "NotFrozen",
    "NotHeld",
    "NoticesSettled",
    "OrderIsAlive",
    "PlanIsOfThisBoot",
    "StoreIsCurrent",
    "TenancyListIsCompleteAndFresh",
    "WithinLimits",
    "failing",
    "is_of_an_earlier_epoch",
    "order_staleness",
    "people",
    "require",
]
