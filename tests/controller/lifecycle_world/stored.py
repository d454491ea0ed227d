"""What the simulated store holds: all of it, and nothing else, comes back with a backup.

Rules: everything stored has its place in one order (`index`) and a mark in a chain, as the ledger has, so
that a store that went on from an old copy is told from the one its anchor knows; the instant of anything that
voids an answer is never earlier than the newest question was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from certificate.identifiers import TenancyId
from controller.facts import (
    ApprovalFacts,
    CommandFacts,
    DeclarationFacts,
    Disposition,
    Effect,
    OrderFacts,
    PlanFacts,
    Question,
)
from controller.states import State

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MEDIUM = "e" * 64
OWN = TenancyId("ten_" + "1" * 32)
#: A tenancy of the same host from before, long ended; its customer may upgrade in place and come back.
EARLIER = TenancyId("ten_" + "0" * 32)
#: Somebody to whom the host is let later.
LATER = TenancyId("ten_" + "2" * 32)

#: FORMATS, "Order": a fence is epoch x 2^32 + counter.
FENCES_AN_EPOCH = 1 << 32
#: An order's life here: as the agent counts it from its hello.
ORDER_LIFE = 600 * SECOND
#: After this no order, permission or worker from before a rollback is alive (rule 7).
RECONCILE_AFTER = 700 * SECOND


@dataclass
class Asked:
    """A question, where it stands in the order of all stored things, and its answer where one came."""

    sequence: int
    question: Question
    about: TenancyId | None
    asked_at: datetime
    asked_index: int
    #: Of the world, not of the store: when it was really asked, and how far clocks had moved by then.
    truly_asked_at: datetime
    moved: timedelta
    answered_at: datetime | None = None
    answer: Any = None


@dataclass
class Tenancy:
    """What our store knows of a tenancy."""

    starts_at: datetime
    last_hint_at: datetime | None = None
    last_renewal_hint_at: datetime | None = None
    last_change_at: datetime | None = None
    #: Where in the order of stored things the newest contrary fact stands, and the newest of any kind.
    contrary_index: int = -1
    touched_index: int = -1


@dataclass
class Stored:
    """One deprovision and everything around it, as a database would hold it."""

    own: TenancyId | None
    created_at: datetime
    entered_at: datetime
    #: When the own tenancy ended, as the source dated the ending this deprovision rests on.
    own_ended_at: datetime
    newest: datetime
    index: int = 0
    #: One mark for each stored thing, never the same in two histories.
    chain: list[int] = field(default_factory=lambda: [0])
    epoch: int = 1
    state: State = State.SCHEDULED
    attempt: int = 1
    fence: int = FENCES_AN_EPOCH
    known: dict[TenancyId, Tenancy] = field(default_factory=dict)
    rows: list[Asked] = field(default_factory=list)
    begun: list[tuple[Effect, datetime, int]] = field(default_factory=list)
    disposition: Disposition = Disposition.RENTED
    declaration: DeclarationFacts | None = None
    proven_boot: str | None = None
    inventory_boot: str | None = None
    plan: PlanFacts | None = None
    approvals: list[ApprovalFacts] = field(default_factory=list)
    order: OrderFacts | None = None
    order_index: int = -1
    past_orders: list[OrderFacts] = field(default_factory=list)
    last_acknowledged_at: datetime | None = None
    is_evidence_in: bool = False
    is_judged: bool = False
    is_erased: bool = False
    is_certified: bool = False
    #: Token of the order that the one summary of this deprovision names.
    summary_token: str | None = None
    #: A closing left its records: what was not erased is so for good.
    is_recorded: bool = False
    are_notices_settled: bool = False
    is_held: bool = False
    is_frozen: bool = False
    is_intake_open: bool = True
    is_limit_reached: bool = False
    has_order_elsewhere: bool = False
    is_drive_elsewhere: bool = False
    command: CommandFacts | None = None

    def forget_attempt(self) -> None:
        """A new attempt begins: new plan, new approvals, new order."""
        self.past_orders.extend([] if self.order is None else [self.order])
        self.order = self.plan = self.proven_boot = self.inventory_boot = None
        self.is_evidence_in = self.is_judged = self.is_erased = self.is_certified = False
        self.approvals.clear()
        self.command = None
        kept = {Effect.ISOLATE, Effect.RESTORE}
        self.begun = [entry for entry in self.begun if entry[0] in kept]
        self.attempt += 1

    def newest_row(self, question: Question, about: TenancyId | None = None) -> Asked | None:
        """By asking; a status and a final absence are one kind."""
        status = {Question.AGENT_STATUS, Question.FINAL_ABSENCE}
        kinds = status if question in status else {question}
        return next((r for r in reversed(self.rows) if r.question in kinds and r.about == about), None)

    @property
    def orders(self) -> list[OrderFacts]:
        return [*self.past_orders, *([] if self.order is None else [self.order])]
