"""Which guards stand before which step: the only place that says so.

Rules this module holds: dispatch runs every guard of the intent again, on new observations, and each
irreversible acknowledgement runs them once more (DESIGN, "Point of no return"). A test removes each guard
from its list and shows what then happens.
"""

from __future__ import annotations

from controller.guards.approval import ApprovalsSuffice, NoticesSettled, PlanIsOfThisBoot, WithinLimits
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
from controller.guards.guard import Guard
from controller.guards.leave import NotCalledBack, NotFrozen, NotHeld, StoreIsCurrent
from controller.guards.machine import (
    BootIsProven,
    DrivesAreOfNoOtherHost,
    DrivesAreTheExpectedOnes,
    HostIsIsolated,
    IdentityAgrees,
    InventoryIsOfThisBoot,
)
from controller.guards.order import AgentGreetedForTheOrder, OrderIsAlive

_MAY_WE: tuple[Guard, ...] = (StoreIsCurrent(), NotFrozen(), NotHeld(), NotCalledBack())

#: The list is asked for after the answers, because a contrary answer is a change that voids an earlier list.
_HAS_THE_CUSTOMER_LEFT: tuple[Guard, ...] = (
    ClockIsTrusted(),
    IntakeIsOpen(),
    DispositionAllowsIt(),
    EveryTenancyEnded(),
    CustomerNeverCameBack(),
    TenancyListIsCompleteAndFresh(),
    NoOtherTenancyTouchesTheHost(),
    NoOrderElsewhere(),
)

_IS_IT_THE_MACHINE: tuple[Guard, ...] = (
    BootIsProven(),
    InventoryIsOfThisBoot(),
    IdentityAgrees(),
    DrivesAreTheExpectedOnes(),
    DrivesAreOfNoOtherHost(),
)

_IS_IT_APPROVED: tuple[Guard, ...] = (PlanIsOfThisBoot(), ApprovalsSuffice(), WithinLimits())

#: Before the isolation is begun: cutting a customer off is reversible, and still an outage that is announced.
GUARDS_TO_ISOLATE: tuple[Guard, ...] = (*_MAY_WE, *_HAS_THE_CUSTOMER_LEFT, NoticesSettled())
GUARDS_TO_QUARANTINE: tuple[Guard, ...] = (*GUARDS_TO_ISOLATE, HostIsIsolated())
#: Before the host is booted: the tenant's running system is gone afterwards, though not its drives.
GUARDS_TO_STAGE: tuple[Guard, ...] = GUARDS_TO_QUARANTINE
GUARDS_TO_PLAN: tuple[Guard, ...] = (*_MAY_WE, *_IS_IT_THE_MACHINE)
GUARDS_TO_APPROVE: tuple[Guard, ...] = (*_MAY_WE, *_IS_IT_APPROVED)

_ALL: tuple[Guard, ...] = (
    *_MAY_WE,
    *_HAS_THE_CUSTOMER_LEFT,
    HostIsIsolated(),
    *_IS_IT_THE_MACHINE,
    *_IS_IT_APPROVED,
    NoticesSettled(),
)

GUARDS_TO_INTEND: tuple[Guard, ...] = (*_ALL, AgentGreetedForTheOrder())
GUARDS_TO_DISPATCH: tuple[Guard, ...] = (*_ALL, OrderIsAlive())
#: Token, boot and step are compared by `lifecycle.may_acknowledge`, which runs these in its transaction.
GUARDS_TO_ACKNOWLEDGE: tuple[Guard, ...] = _ALL
#: To cancel, restore, conclude or release: nothing of the sort while the store may be an old one (rule 7).
GUARDS_TO_CONCLUDE: tuple[Guard, ...] = (StoreIsCurrent(), NotFrozen())
