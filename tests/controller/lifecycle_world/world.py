"""A small world around one deprovision, for the model of `decide`; loaded by the fixture `lifecycle_world`.

A billing source that renews, ends, lets again and moves tenancies, a switch, a machine with an agent and a
clock of its own, a store with its anchor, people, and two workers without any lease between them.

    stored      everything a backup holds          kept        clocks, store, anchor, backups
    record      what the world saw; outlives a backup
    source      who is let what                    promises    what must never happen, read from the record
    machine     switch, agent, drive               acts        what may happen, for the random runs
    answers     what the world says when asked     calm        a while in which nothing goes wrong

    world = ended_world()          # one tenancy, ended a second ago, known to the store
    world.work(0)                  # worker 0 decides, acts and asks; the machine goes on; a second passes
    world.says(OWN, Answer.ACTIVE) # the customer comes back; a hint is in the air
    world.receive(world.source.hints.pop())
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from expunge_lifecycle_world.answers import reply
from expunge_lifecycle_world.calm import calm, people_agree, work_until
from expunge_lifecycle_world.kept import Kept
from expunge_lifecycle_world.knowledge import facts_of
from expunge_lifecycle_world.machine import STEPS, Machine, Request
from expunge_lifecycle_world.record import Command, Grant, Looked, Moment
from expunge_lifecycle_world.source import Hint, Source
from expunge_lifecycle_world.stored import (
    DAY,
    EARLIER,
    LATER,
    MEDIUM,
    ORDER_LIFE,
    OWN,
    SECOND,
    START,
    Asked,
    Stored,
    Tenancy,
)

from certificate.errors import Refused
from certificate.identifiers import OrderId, TenancyId
from certificate.messages import TokenState
from certificate.statements.vocabulary import Trigger
from controller.decision import Move
from controller.exits import leaves_records
from controller.facts import (
    Answer,
    ApprovalFacts,
    CommandFacts,
    DeclarationFacts,
    Disposition,
    Effect,
    Exit,
    OrderFacts,
    PlanFacts,
    Question,
)
from controller.lifecycle import decide, may_acknowledge, questions_to_acknowledge
from controller.states import State, may_move

__all__ = [
    "DAY",
    "EARLIER",
    "LATER",
    "MEDIUM",
    "OWN",
    "SECOND",
    "START",
    "Moment",
    "World",
    "calm",
    "declared_world",
    "ended_world",
    "people_agree",
    "work_until",
]


def _nobody(moment: Moment, world: World) -> None:
    """Without a witness nothing is checked."""


@dataclass
class World(Kept):
    witness: Callable[[Moment, World], None] = _nobody
    trigger: Trigger = Trigger.ENDED
    approvals_required: int = 0
    source: Source = field(default_factory=Source)
    #: What was asked before this place in the store is no *new* observation at a dispatch or a permission.
    basis_index: int = -1
    orders_made: int = 0
    moves: list[State] = field(default_factory=list)

    # --- the source and its hints -----------------------------------------------------------------------

    def says(self, tenancy: TenancyId, answer: Answer) -> None:
        self.source.change(tenancy, answer, self.true)

    def import_tenancy(self, tenancy: TenancyId) -> None:
        stamp = self.stamp()
        known = Tenancy(starts_at=self.source.says[tenancy][1], last_change_at=stamp)
        known.touched_index = self.stored.index
        self.stored.known[tenancy] = known

    def receive(self, hint: Hint) -> None:
        known = self.stored.known.get(hint.tenancy)
        if known is None:
            return
        known.last_hint_at = self.stamp()
        known.touched_index = self.stored.index
        if hint.is_renewal:
            known.last_renewal_hint_at = known.last_hint_at
            known.contrary_index = self.stored.index

    # --- people -----------------------------------------------------------------------------------------

    def command(self, exit: Exit, people: int) -> None:
        """Signed by so many. Stored as the real one is: never before the present state was entered."""
        keyids = frozenset(("anna", "bert", "carl")[:people])
        commanded_at = max(self.stamp(), self.stored.entered_at)
        self.stored.command = CommandFacts(exit=exit, keyids=keyids, commanded_at=commanded_at)
        self.record.commands.append(Command(exit, people))

    def approve(self, *, is_request: bool, keyid: str, life: timedelta = DAY) -> None:
        """A signed yes to the present plan, or the asking for it."""
        plan = self.stored.plan
        if plan is not None:
            expires_at = self.stamp() + life
            self.stored.approvals.append(
                ApprovalFacts(
                    keyid=keyid, is_request=is_request, plan_digest=plan.digest, expires_at=expires_at
                )
            )

    def declare(self, disposition: Disposition, people: int) -> None:
        keyids = frozenset(("anna", "bert")[:people])
        self.stamp()
        self.stored.disposition = disposition
        self.stored.declaration = DeclarationFacts(disposition=disposition, keyids=keyids)

    def reply(self, row: Asked) -> dict[str, Any] | None:
        """What the world says to a question now."""
        return reply(self, row)

    # --- answers ----------------------------------------------------------------------------------------

    def store_answer(self, row: Asked, told: dict[str, Any]) -> None:
        if not any(row is stored for stored in self.stored.rows):
            return
        row.answered_at = self.stamp()
        row.answer = told
        known = None if row.about is None else self.stored.known.get(row.about)
        if known is not None and told["answer"] is not Answer.ENDED:
            known.last_change_at = row.answered_at
            known.contrary_index = known.touched_index = self.stored.index
        order = self.stored.order
        is_final = row.question is Question.FINAL_ABSENCE and told["state"] is TokenState.ABSENT
        if is_final and order is not None and order.token == told["token"]:
            self.stored.order = replace(order, is_absent_final=True)

    # --- workers ----------------------------------------------------------------------------------------

    def advance(self, worker: int) -> None:
        """One transaction: load, decide, commit; the work outside goes to the worker's own queue."""
        decision = decide(facts_of(self), self.wall)
        if isinstance(decision, Move):
            if decision.to is State.INTENDED:
                # Signed outside; the transaction that stores the order decides again.
                self.queues[worker].append("intend")
                return
            self.commit(decision)
        effect = getattr(decision, "effect", None)
        if effect is not None:
            if effect is Effect.RESTORE:
                self.witness(Moment.GIVE_BACK, self)
            at = self.stamp()
            self.stored.begun.append((effect, at, self.stored.index))
            self.queues[worker].append((effect, self.stored.order))
        self.queues[worker].extend(getattr(decision, "ask", ()))
        if "NOTICES_OPEN" in getattr(decision, "codes", ()):
            # The outbox is no part of the lifecycle: it tells the customer beside it.
            self.queues[worker].append("tell the customer")

    def advance_and_die(self, worker: int) -> None:
        """The commit stands; its anchor, and whatever was to follow, do not."""
        self.is_anchor_late = True
        try:
            self.advance(worker)
        finally:
            self.is_anchor_late = False
        self.queues[worker].clear()

    def perform(self, worker: int, *, is_lost: bool = False) -> None:
        """The next piece of the worker's work. A question is stored, sent, and its answer maybe lost."""
        if not self.queues[worker]:
            return
        work = self.queues[worker].pop(0)
        if isinstance(work, Question):
            rows = self.ask(work)
            self.queues[worker][:0] = [(row, self.reply(row)) for row in rows] if not is_lost else []
        elif work == "intend":
            self._intend(worker)
        elif work == "sign the checkpoint":
            self.sign_due()
        elif work == "tell the customer":
            self.stored.are_notices_settled |= not is_lost
        elif isinstance(work, Request):
            # The acknowledgement travels to the agent.
            if not is_lost and work == self.machine.request:
                self.machine.granted = work
        elif isinstance(work[0], Asked):
            row, told = work
            if told is not None and not is_lost and (row.about is None or row.about in self.stored.known):
                self.store_answer(row, told)
        elif not is_lost:
            self.do(*work)

    def _intend(self, worker: int) -> None:
        decision = decide(facts_of(self), self.wall)
        if isinstance(decision, Move) and decision.to is State.INTENDED:
            self.commit(decision)
            self.queues[worker].append("sign the checkpoint")

    def sign_due(self) -> None:
        """A checkpoint of ours covers every entry of the log."""
        order = self.stored.order
        if order is not None and not order.is_logged:
            self.stamp()
            self.stored.order = replace(order, is_logged=True)

    def do(self, effect: Effect, order: OrderFacts | None) -> None:
        here, machine = self.stored, self.machine
        match effect:
            case Effect.ISOLATE | Effect.RESTORE:
                machine.is_cut = effect is Effect.ISOLATE
            case Effect.BOOT:
                machine.reboot()
            case Effect.INSPECT:
                here.proven_boot = here.inventory_boot = machine.boot_id or here.proven_boot
            case Effect.MAKE_PLAN:
                if here.inventory_boot is not None and here.state is State.STAGED:
                    boot = here.inventory_boot
                    here.plan = PlanFacts(digest=boot, boot_id=boot, media=(MEDIUM,))
            case Effect.WITHDRAW_ORDER:
                if here.order is not None and here.order.dispatched_at is None:
                    here.order = replace(here.order, is_withdrawn=True)
            case Effect.DISPATCH:
                assert order is not None
                self.witness(Moment.SEND, self)
                self.record.sent.append(order.token)
                machine.accept(order)
            case Effect.COLLECT:
                current = here.order
                here.is_evidence_in |= current is not None and machine.tokens.get(current.token) == "done"
            case Effect.JUDGE:
                here.is_judged = here.is_evidence_in
                here.is_erased = here.order is not None and here.order.token in machine.erased
            case Effect.CERTIFY if leaves_records(facts_of(self), self.wall):
                here.is_recorded = True
            case Effect.CERTIFY:
                here.is_certified = here.is_judged
                if here.is_erased and here.order is not None and here.summary_token is None:
                    here.summary_token = here.order.token

    # --- acknowledgements -------------------------------------------------------------------------------

    def acknowledge(self, worker: int) -> bool:
        """The agent waits before an irreversible step. The first time this worker sees the request it asks
        the world; then one transaction says yes or no, and the answer is on its way.
        """
        request = self.machine.request
        if request is None or request == self.machine.granted:
            return False
        seen = self.looking[worker]
        if seen is None or seen[0] != request:
            # As `effects.collect` does: no earlier than any question before it, whatever the clock did.
            since = max(self.wall, self.stored.newest)
            seen = self.looking[worker] = (request, since, self.stored.index)
        facts = replace(facts_of(self), basis_since=seen[1])
        kind = STEPS[request.step]
        try:
            may_acknowledge(
                facts,
                self.wall,
                token=request.token,
                boot_id=request.boot_id,
                step=f"{kind}:{MEDIUM}",
                is_irreversible=True,
            )
        except Refused:
            self.queues[worker].extend(questions_to_acknowledge(facts, self.wall))
            return False
        self.basis_index = seen[2]
        self.witness(Moment.GRANT, self)
        assert self.stored.order is not None
        self.record.grants.append(Grant(request.token, self.true, self.moved, self.looks()))
        self.stored.order = replace(self.stored.order, is_acknowledged=True)
        self.stored.last_acknowledged_at = self.stamp()
        self.queues[worker].insert(0, request)
        self.looking[worker] = None
        return True

    def looks(self) -> tuple[Looked, ...]:
        """When the source was last really asked: about each tenancy and for its list."""
        rows = [self.stored.newest_row(Question.SUBSCRIPTION, name) for name in self.stored.known]
        rows.append(self.stored.newest_row(Question.TENANCIES))
        return tuple(Looked(row.about, row.truly_asked_at, row.moved) for row in rows if row is not None)

    def machine_goes_on(self) -> None:
        """The agent asks, begins, or ends; what it begins, it begins whatever happened meanwhile."""
        begun = self.machine.goes_on()
        if begun is not None:
            self.record.begun.append((begun.token, begun.step))
            self.witness(Moment.BEGIN, self)

    # --- moves ------------------------------------------------------------------------------------------

    def commit(self, move: Move) -> None:
        here = self.stored
        assert may_move(here.state, move.to, is_command=move.is_command), f"{here.state} -> {move.to}"
        if move.is_command:
            self.witness(Moment.EXIT, self)
        match move.to:
            case State.INTENDED:
                self._store_order()
            case State.ERASING if not move.is_command:
                self.basis_index = here.order_index
                self.witness(Moment.DISPATCH, self)
                assert here.order is not None
                self.record.dispatched.append((here.attempt, here.order.token))
                here.order = replace(here.order, dispatched_at=self.wall)
            case State.CANCELLED:
                self.witness(Moment.CANCELLED, self)
            case State.RELEASED:
                self.witness(Moment.RELEASED, self)
            case _:
                pass
        if move.is_command:
            self._carried_out(move)
        self.stamp()
        # As the real store keeps it: each state is entered later than the one before.
        here.state, here.entered_at = move.to, max(self.wall, here.entered_at + timedelta(microseconds=1))
        self.moves.append(move.to)

    def _carried_out(self, move: Move) -> None:
        here = self.stored
        if move.to is State.ERASING and here.order is not None:
            self.record.reprobed.add(here.order.token)
        if here.order is not None and move.to is not State.ERASING:
            self.record.left[here.order.token] = self.moved
        if move.begins_attempt:
            self.record.retries += 1
            here.forget_attempt()

    def _store_order(self) -> None:
        here = self.stored
        assert here.plan is not None
        assert here.order is None or here.order.is_withdrawn
        self.orders_made += 1
        here.fence += 1
        stamp = self.stamp()
        here.order_index = here.index
        here.order = OrderFacts(
            order=OrderId(f"ord_{self.orders_made:032x}"),
            token=f"{self.orders_made:032x}",
            fence=here.fence,
            plan_digest=here.plan.digest,
            boot_id=here.plan.boot_id,
            intended_at=stamp,
            expires_at=stamp + ORDER_LIFE,
            is_logged=False,
            dispatched_at=None,
            is_withdrawn=False,
            is_acknowledged=False,
            is_absent_final=False,
        )

    def work(self, worker: int) -> None:
        """One round of a worker to whom nothing happens; the agent goes on by itself."""
        self.sign_due()
        self.machine_goes_on()
        self.acknowledge(worker)
        self.advance(worker)
        while self.queues[worker]:
            self.perform(worker)
        self.tick(SECOND)


def ended_world(witness: Callable[[Moment, World], None] = _nobody, **changes: Any) -> World:
    """One host with an earlier tenancy and the own one, both ended and known to the store."""
    world = _world(witness, own=OWN, **changes)
    for tenancy, age in ((EARLIER, 400 * DAY), (OWN, 100 * DAY)):
        world.source.says[tenancy] = (Answer.ENDED, world.true)
        stamp = world.stamp()
        world.stored.known[tenancy] = Tenancy(starts_at=START - age, last_change_at=stamp)
    world.tick(SECOND)
    return world


def declared_world(witness: Callable[[Moment, World], None] = _nobody, **changes: Any) -> World:
    """A host in stock that was never let, declared by two, to be wiped by hand."""
    world = _world(witness, own=None, trigger=Trigger.MANUAL, **changes)
    world.declare(Disposition.STOCK, 2)
    world.tick(SECOND)
    return world


def _world(
    witness: Callable[[Moment, World], None],
    *,
    own: TenancyId | None,
    offset: timedelta = timedelta(),
    rate: float = 1.0,
    **changes: Any,
) -> World:
    wall = START + offset
    stored = Stored(own=own, created_at=wall, entered_at=wall, own_ended_at=START, newest=wall - DAY)
    world = World(
        stored=stored, witness=witness, wall=wall, offset=offset, machine=Machine(rate=rate), **changes
    )
    world.anchor = (stored.epoch, 0, 0)
    return world
