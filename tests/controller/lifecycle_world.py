"""A small world around one deprovision, for the model of `decide`; loaded by the fixture `lifecycle_world`.

A billing source that renews, ends and lets again, a switch, a machine with an agent, a store, and two workers
without any lease between them. It keeps its own record of what was stored in which order, so that a witness
can check a promise from that record, and not from the guards, at the moment it could break.

    world = ended_world()          # one tenancy, ended a second ago, known to the store
    world.work(0)                  # worker 0 decides, acts and asks; the machine goes on; a second passes
    world.says(OWN, Answer.ACTIVE) # the customer comes back; a hint is in the air
    world.receive(world.hints.pop())
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId, OrderId, TenancyId
from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import BootTrust, Result, Trigger, ValidationDecision
from controller.decision import Move
from controller.facts import (
    AgentObservation,
    Answer,
    BootFacts,
    ClockObservation,
    Disposition,
    Effect,
    EffectBegun,
    Facts,
    HelloObservation,
    HoldFacts,
    InventoryFacts,
    IsolationObservation,
    OrderFacts,
    PlanFacts,
    Question,
    SubscriptionObservation,
    TenancyFacts,
    TenancyListObservation,
    VerdictFacts,
)
from controller.lifecycle import decide, may_acknowledge, questions_to_acknowledge
from controller.states import State, may_move

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MEDIUM = "e" * 64
OWN = TenancyId("ten_" + "1" * 32)
#: A tenancy of the same host from before, long ended; its customer may upgrade in place and come back.
EARLIER = TenancyId("ten_" + "0" * 32)


@dataclass
class Asked:
    """A row of the store: a question, and where it stands in the order of all stored things."""

    sequence: int
    question: Question
    about: TenancyId | None
    asked_at: datetime
    asked_index: int
    answered_at: datetime | None = None
    answer: Any = None
    changed_at: datetime | None = None


@dataclass
class Hint:
    tenancy: TenancyId
    is_renewal: bool


@dataclass
class Tenancy:
    """What our store knows of a tenancy."""

    starts_at: datetime
    last_hint_at: datetime | None = None
    last_renewal_hint_at: datetime | None = None
    last_change_at: datetime | None = None
    #: Where in the order of stored things the newest contrary fact stands.
    contrary_index: int = -1


class Moment(Enum):
    """When a promise could break: a dispatch, an irreversible acknowledgement or a cancelling commits."""

    NO_RETURN = auto()
    CANCELLED = auto()


def _nobody(moment: Moment, world: World) -> None:
    """Without a witness nothing is checked."""


@dataclass
class World:
    #: Called inside the transaction, before it commits.
    witness: Callable[[Moment, World], None] = _nobody
    #: The tenancy of this deprovision.
    own: TenancyId = OWN
    wall: datetime = START
    true: datetime = START
    index: int = 0
    newest: datetime = START - 100 * DAY
    state: State = State.SCHEDULED
    attempt: int = 1
    entered_at: datetime = START
    source: dict[TenancyId, tuple[Answer, datetime]] = field(default_factory=dict)
    is_source_down: bool = False
    known: dict[TenancyId, Tenancy] = field(default_factory=dict)
    hints: list[Hint] = field(default_factory=list)
    rows: list[Asked] = field(default_factory=list)
    #: Work a living worker still holds: effects begun and questions asked, each with what it needs.
    queues: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))
    begun: list[tuple[Effect, datetime, int]] = field(default_factory=list)
    is_cut: bool = False
    machine_boot: str | None = None
    boots: int = 0
    proven_boot: str | None = None
    inventory_boot: str | None = None
    plan: PlanFacts | None = None
    order: OrderFacts | None = None
    tokens: int = 0
    dispatches: list[tuple[int, str]] = field(default_factory=list)
    past_orders: list[OrderFacts] = field(default_factory=list)
    last_acknowledged_at: datetime | None = None
    agent: dict[str, str] = field(default_factory=dict)
    begun_tokens: list[str] = field(default_factory=list)
    is_evidence_in: bool = False
    is_judged: bool = False
    is_certified: bool = False
    is_held: bool = False
    is_frozen: bool = False
    moves: list[State] = field(default_factory=list)

    # --- time and the store -----------------------------------------------------------------------------

    def tick(self, passed: timedelta) -> None:
        self.wall += passed
        self.true += passed

    def stamp(self) -> datetime:
        """The instant of something stored that voids an answer: never earlier than anything stored before."""
        self.index += 1
        self.newest = max(self.wall, self.newest + timedelta(microseconds=1))
        return self.newest

    def ask(self, question: Question) -> list[Asked]:
        about = sorted(self.known) if question is Question.SUBSCRIPTION else [None]
        asked = []
        for tenancy in about:
            self.index += 1
            self.newest = max(self.newest, self.wall)
            row = Asked(len(self.rows) + 1, question, tenancy, self.wall, self.index)
            self.rows.append(row)
            asked.append(row)
        return asked

    def newest_row(self, question: Question, about: TenancyId | None = None) -> Asked | None:
        """By asking; a status and a final absence are one kind."""
        status = {Question.AGENT_STATUS, Question.FINAL_ABSENCE}
        kinds = status if question in status else {question}
        return next((r for r in reversed(self.rows) if r.question in kinds and r.about == about), None)

    def observed(self, kind: type, question: Question, about: TenancyId | None = None, **empty: Any) -> Any:
        row = self.newest_row(question, about)
        if row is None:
            return None
        told = row.answer if row.answered_at is not None else empty
        return kind(sequence=row.sequence, asked_at=row.asked_at, answered_at=row.answered_at, **told)

    def facts(self) -> Facts:
        order, plan = self.order, self.plan
        return Facts(
            deprovision=DeprovisionId("dep_" + "2" * 32),
            host=HostId("hst_" + "3" * 32),
            tenancy=OWN,
            state=self.state,
            attempt=self.attempt,
            fence=len(self.moves),
            entered_at=self.entered_at,
            deadline_at=None,
            trigger=Trigger.ENDED,
            disposition=Disposition.RENTED,
            declaration=None,
            data_class="default",
            grace_until=START + 10 * SECOND,
            dwell=5 * SECOND,
            boot_takes=20 * SECOND,
            tenancies=tuple(self._tenancy(name) for name in sorted(self.known)),
            tenancy_list=self.observed(
                TenancyListObservation, Question.TENANCIES, is_complete=Seen.NOT_OBSERVED, names=()
            ),
            clock=self.observed(ClockObservation, Question.CLOCK, difference_seconds=None),
            newest_signed_at=None if order is None else order.intended_at,
            isolation=self.observed(
                IsolationObservation,
                Question.ISOLATION,
                tenant_side_cut=Seen.NOT_OBSERVED,
                our_side_reachable=Seen.NOT_OBSERVED,
            ),
            boot=None
            if self.proven_boot is None
            else BootFacts(boot_id=self.proven_boot, is_proven=True, boot_trust=BootTrust.VIRTUAL_MEDIA),
            inventory=None
            if self.inventory_boot is None
            else InventoryFacts(
                boot_id=self.inventory_boot,
                agreeing_host_facts=3,
                contradicting_host_facts=0,
                expected_drives=1,
                missing_drives=0,
                unexpected_drives=0,
                refused=(),
            ),
            hello=self.observed(HelloObservation, Question.ORDER_HELLO, boot_id=None),
            plan=plan,
            approvals_required=0,
            approvals=(),
            order=order,
            has_open_earlier_order=any(
                past.dispatched_at is not None and not past.is_absent_final for past in self.past_orders
            ),
            last_acknowledged_at=self.last_acknowledged_at,
            agent=self.observed(AgentObservation, Question.AGENT_STATUS, token="", state=TokenState.UNKNOWN),
            is_evidence_in=self.is_evidence_in,
            verdicts=(VerdictFacts(medium=MEDIUM, result=Result.ERASED, decision=ValidationDecision.ACCEPT),)
            if self.is_judged
            else (),
            are_outcomes_logged=self.is_certified,
            is_summary_logged=self.is_certified,
            does_bundle_verify=self.is_certified,
            holds=(HoldFacts(author="counsel", matter="case 7", review_at=START + 9 * DAY),)
            if self.is_held
            else (),
            is_frozen=self.is_frozen,
            is_intake_open=True,
            command=None,
            limits_reached=(),
            is_store_current=True,
            are_notices_settled=True,
            has_live_order_elsewhere=False,
            basis_since=None if order is None or order.is_withdrawn else order.intended_at,
            effects_begun=tuple(EffectBegun(effect=e, begun_at=at) for e, at, _ in self.begun),
        )

    def _tenancy(self, name: TenancyId) -> TenancyFacts:
        known = self.known[name]
        return TenancyFacts(
            tenancy=name,
            starts_at=known.starts_at,
            ends_at=None,
            last_hint_at=known.last_hint_at,
            last_renewal_hint_at=known.last_renewal_hint_at,
            last_change_at=known.last_change_at,
            latest=self.observed(
                SubscriptionObservation,
                Question.SUBSCRIPTION,
                name,
                answer=Answer.UNKNOWN,
                changed_at=None,
            ),
        )

    # --- the source and its hints -----------------------------------------------------------------------

    def says(self, tenancy: TenancyId, answer: Answer) -> None:
        self.source[tenancy] = (answer, self.true)
        self.hints.append(Hint(tenancy, is_renewal=answer is not Answer.ENDED))

    def import_tenancy(self, tenancy: TenancyId) -> None:
        stamp = self.stamp()
        self.known[tenancy] = Tenancy(starts_at=self.source[tenancy][1], last_change_at=stamp)

    def announce_renewal(self) -> None:
        """A hint about the own tenancy, whatever the source says."""
        self.receive(Hint(self.own, is_renewal=True))

    def receive(self, hint: Hint) -> None:
        known = self.known.get(hint.tenancy)
        if known is None:
            return
        known.last_hint_at = self.stamp()
        if hint.is_renewal:
            known.last_renewal_hint_at = known.last_hint_at
            known.contrary_index = self.index

    # --- answers ----------------------------------------------------------------------------------------

    def reply(self, row: Asked) -> dict[str, Any] | None:
        """What the world says to a question now; None where it stays silent."""
        match row.question:
            case Question.SUBSCRIPTION:
                if self.is_source_down or row.about not in self.source:
                    return {"answer": Answer.UNKNOWN, "changed_at": None}
                answer, changed_at = self.source[row.about]
                return {"answer": answer, "changed_at": changed_at}
            case Question.TENANCIES:
                is_complete = Seen.NO if self.is_source_down else Seen.YES
                return {"is_complete": is_complete, "names": tuple(sorted(self.source))}
            case Question.CLOCK:
                return {"difference_seconds": (self.wall - self.true).total_seconds()}
            case Question.ISOLATION:
                return {"tenant_side_cut": Seen.that(self.is_cut), "our_side_reachable": Seen.YES}
            case Question.ORDER_HELLO:
                return None if self.machine_boot is None else {"boot_id": self.machine_boot}
            case Question.AGENT_STATUS | Question.FINAL_ABSENCE:
                return self._status(row.question)

    def _status(self, question: Question) -> dict[str, Any] | None:
        order = self.order
        if order is None or self.machine_boot is None:
            return None
        if order.boot_id != self.machine_boot:
            return {"token": order.token, "state": TokenState.UNKNOWN}
        known = self.agent.get(order.token)
        if known is None and question is Question.FINAL_ABSENCE:
            self.agent[order.token] = known = "poisoned"
        states = {None: TokenState.ABSENT, "poisoned": TokenState.ABSENT, "done": TokenState.DONE}
        return {"token": order.token, "state": states.get(known, TokenState.RUNNING)}

    def store_answer(self, row: Asked, told: dict[str, Any]) -> None:
        row.answered_at = self.stamp()
        row.answer = told
        if row.question is Question.SUBSCRIPTION and told["answer"] is not Answer.ENDED:
            known = self.known[row.about]
            known.last_change_at, known.contrary_index = row.answered_at, self.index
        order = self.order
        is_final = row.question is Question.FINAL_ABSENCE and told["state"] is TokenState.ABSENT
        if is_final and order is not None and order.token == told["token"]:
            self.order = replace(order, is_absent_final=True)

    # --- workers ----------------------------------------------------------------------------------------

    def advance(self, worker: int) -> None:
        """One transaction: load, decide, commit; the work outside goes to the worker's own queue."""
        decision = decide(self.facts(), self.wall)
        if isinstance(decision, Move):
            self.commit(decision)
        effect = getattr(decision, "effect", None)
        if effect is not None:
            at = self.stamp()
            self.begun.append((effect, at, self.index))
            self.queues[worker].append((effect, self.order))
        self.queues[worker].extend(getattr(decision, "ask", ()))

    def perform(self, worker: int, *, is_lost: bool = False) -> None:
        """The next piece of the worker's work. A question is stored, sent, and its answer maybe lost."""
        if not self.queues[worker]:
            return
        work = self.queues[worker].pop(0)
        if isinstance(work, Question):
            rows = self.ask(work)
            self.queues[worker][:0] = [(row, self.reply(row)) for row in rows] if not is_lost else []
        elif isinstance(work[0], Asked):
            row, told = work
            if told is not None and not is_lost and (row.about is None or row.about in self.known):
                self.store_answer(row, told)
        elif not is_lost:
            self.do(*work)

    def do(self, effect: Effect, order: OrderFacts | None) -> None:
        match effect:
            case Effect.ISOLATE | Effect.RESTORE:
                self.is_cut = effect is Effect.ISOLATE
            case Effect.BOOT:
                self.reboot()
            case Effect.INSPECT:
                self.proven_boot = self.inventory_boot = self.machine_boot or self.proven_boot
            case Effect.MAKE_PLAN:
                if self.inventory_boot is not None:
                    boot = self.inventory_boot
                    self.plan = PlanFacts(digest=boot, boot_id=boot, media=(MEDIUM,))
            case Effect.WITHDRAW_ORDER:
                if self.order is not None and self.order.dispatched_at is None:
                    self.order = replace(self.order, is_withdrawn=True)
            case Effect.DISPATCH:
                self.deliver(order)
            case Effect.COLLECT:
                self.is_evidence_in |= self.order is not None and self.agent.get(self.order.token) == "done"
            case Effect.JUDGE:
                self.is_judged = self.is_evidence_in
            case Effect.CERTIFY:
                self.is_certified = self.is_judged
            case Effect.NOTIFY:
                pass

    def reboot(self) -> None:
        self.boots += 1
        self.machine_boot = f"{self.boots:064d}"
        self.agent.clear()

    def deliver(self, order: OrderFacts | None) -> None:
        """The agent obeys an order of this boot, once, unless it answered for ever that it will not."""
        is_here = order is not None and order.boot_id == self.machine_boot
        if is_here and order is not None and order.token not in self.agent:
            self.agent[order.token] = "accepted"

    def acknowledge(self, worker: int) -> bool:
        """The agent waits before its first irreversible step; one transaction says yes or no."""
        waiting = [token for token, known in self.agent.items() if known == "accepted"]
        if not waiting or self.machine_boot is None:
            return False
        facts = self.facts()
        try:
            may_acknowledge(
                facts,
                self.wall,
                token=waiting[0],
                boot_id=self.machine_boot,
                step=f"markers:{MEDIUM}",
                is_irreversible=True,
            )
        except Refused:
            self.queues[worker].extend(questions_to_acknowledge(facts, self.wall))
            return False
        self.witness(Moment.NO_RETURN, self)
        assert self.order is not None
        assert not self.order.is_absent_final
        self.order = replace(self.order, is_acknowledged=True)
        self.last_acknowledged_at = self.stamp()
        self.agent[waiting[0]] = "begun"
        self.begun_tokens.append(waiting[0])
        return True

    def commit(self, move: Move) -> None:
        assert may_move(self.state, move.to), f"{self.state} -> {move.to}"
        match move.to:
            case State.INTENDED:
                self.tokens += 1
                assert self.plan is not None
                assert self.order is None or self.order.is_withdrawn
                stamp = self.stamp()
                self.order = OrderFacts(
                    order=OrderId(f"ord_{self.tokens:032x}"),
                    token=f"{self.tokens:032x}",
                    fence=self.tokens,
                    plan_digest=self.plan.digest,
                    boot_id=self.plan.boot_id,
                    intended_at=stamp,
                    expires_at=stamp + 600 * SECOND,
                    is_logged=True,
                    dispatched_at=None,
                    is_withdrawn=False,
                    is_acknowledged=False,
                    is_absent_final=False,
                )
            case State.ERASING:
                self.witness(Moment.NO_RETURN, self)
                assert self.order is not None
                assert not self.order.is_withdrawn
                self.dispatches.append((self.attempt, self.order.token))
                self.order = replace(self.order, dispatched_at=self.stamp())
            case State.CANCELLED:
                self.witness(Moment.CANCELLED, self)
            case State.RELEASED:
                assert self.is_certified
                assert self.begun_tokens
            case _:
                pass
        self.state, self.entered_at = move.to, self.wall
        self.moves.append(move.to)

    def retry(self) -> None:
        """An operator's command, open when nothing acknowledged can begin any more."""
        if self.last_acknowledged_at is not None and self.wall < self.last_acknowledged_at + 65 * SECOND:
            return
        self.past_orders.extend([] if self.order is None else [self.order])
        self.order = self.plan = self.proven_boot = self.inventory_boot = None
        self.is_evidence_in = self.is_judged = self.is_certified = False
        kept = {Effect.ISOLATE, Effect.RESTORE}
        self.begun = [entry for entry in self.begun if entry[0] in kept]
        self.state, self.entered_at, self.attempt = State.SCHEDULED, self.wall, self.attempt + 1

    # --- an undisturbed controller ----------------------------------------------------------------------

    def calm(self) -> None:
        """Everybody left, everything answers, all clocks agree, and what was stored lies in the past."""
        self.is_source_down = self.is_held = self.is_frozen = False
        for tenancy in set(self.source) - {OWN, EARLIER}:
            del self.source[tenancy]
            self.known.pop(tenancy, None)
        self.wall = self.true
        self.tick(max(self.newest - self.wall, timedelta()) + SECOND)
        for tenancy in (EARLIER, OWN):
            answer, changed_at = self.source[tenancy]
            hinted_at = self.known[tenancy].last_renewal_hint_at
            if answer is not Answer.ENDED or (hinted_at is not None and hinted_at > changed_at):
                self.says(tenancy, Answer.ENDED)
        if self.state is State.NEEDS_OPERATOR:
            self.retry()

    def work_until(self, worker: int, state: State) -> None:
        """As long as it takes, or until it shows that it takes too long."""
        for _ in range(60):
            if self.state is state or self.state.is_terminal or self.state is State.NEEDS_OPERATOR:
                return
            self.work(worker)

    def work(self, worker: int) -> None:
        """One round of a worker to whom nothing happens; the agent goes on by itself."""
        for token in [token for token, known in self.agent.items() if known == "begun"]:
            self.agent[token] = "done"
        self.acknowledge(worker)
        self.advance(worker)
        while self.queues[worker]:
            self.perform(worker)
        self.tick(SECOND)


def ended_world(witness: Callable[[Moment, World], None] = _nobody) -> World:
    """One host with an earlier tenancy and the own one, both ended and known to the store."""
    world = World(witness=witness)
    for tenancy, age in ((EARLIER, 400 * DAY), (OWN, 100 * DAY)):
        world.source[tenancy] = (Answer.ENDED, world.true)
        world.known[tenancy] = Tenancy(starts_at=START - age, last_change_at=world.stamp())
    world.tick(SECOND)
    return world
