"""Random acts on the real store: real transactions, observations, facts, guards, effects and agent processes.

As `test_lifecycle_model.py`, with everything real but the time, the network and the drive, and so much
shorter. What is checked is read from what the other side of the provider saw: which questions reached the
billing database, when, and what it said; when a hint was stored; which bytes reached the agent; what the
drive did. After every commit of the controller it is compared with what that brought. A crash is an exception
out of a commit, before its anchor is written. EXPUNGE_SEED=N repeats the acts of a run.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from agent import permit
from certificate.errors import Refused
from certificate.messages import Execute, JournalLine, Line
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller import census, intake
from controller.dispatch import telling
from controller.dispatch.working import take_step
from controller.errors import LostRace, Unanswered
from controller.facts import MAX_AGE, Question
from controller.quarantine import Known
from controller.sources import SubscriptionState
from controller.states import State
from controller.store import deprovisions, journal, log_rows, observations, orders
from controller.store.head import read_head
from controller.store.orders import StoredOrder

WORLDS = 8
ACTS_A_WORLD = 28
#: Little, so that something is left to forget.
ACTS_BEFORE_A_COPY = 4
#: An act is a step; the long run of the model takes the 20,000.
MIN_STEPS = 200


class Killed(BaseException):
    """The controller's process ended here. No rule of ours catches it."""


@dataclass(frozen=True)
class Look:
    """A question that reached the other side: its place in the order of all that happened, and the answer."""

    place: int
    asked_at: datetime
    answer: Any


class Watched:
    """The billing source, and a note of every question that reached it."""

    def __init__(self, source: Any, note: Callable[[str, int, datetime, Any], None], place: Any) -> None:
        self._source, self._note, self._place = source, note, place

    def subscription(self, subscription_id: str) -> Any:
        place, asked_at = self._place()
        said = self._source.subscription(subscription_id)
        self._note("subscription", place, asked_at, said.state)
        return said

    def tenancies(self, host: str) -> Any:
        place, asked_at = self._place()
        said = self._source.tenancies(host)
        self._note("tenancies", place, asked_at, tuple(entry.subscription for entry in said.entries))
        return said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@dataclass
class Record:
    """What happened outside the controller, in one order, and what its commits brought."""

    world: Any
    place: int = 0
    looks: dict[str, Look] = field(default_factory=dict)
    hinted: int = -1
    asked_leave: dict[tuple[str, int], int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    dispatched: dict[str, tuple[str, int]] = field(default_factory=dict)
    granted: set[tuple[str, int]] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)
    retries: int = 0
    is_held: bool = False
    is_frozen: bool = False
    is_rolled_back: bool = False
    dies_in: int | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def next_place(self) -> tuple[int, datetime]:
        self.place += 1
        return self.place, self.world.now()

    def note(self, kind: str, place: int, asked_at: datetime, answer: Any) -> None:
        self.looks[kind] = Look(place, asked_at, answer)

    # --- what reached the machine -----------------------------------------------------------------------

    def request(self, line: Line) -> None:
        if isinstance(line, Execute):
            tokens = set(self.dispatched) - set(self.sent)
            assert len(tokens) == 1, "bytes of an order left that was not dispatched, or left twice"
            self.sent.append(tokens.pop())

    def journal_line(self, line: JournalLine) -> None:
        if line.needs_ack:
            self.asked_leave[line.token, line.seq] = self.next_place()[0]

    # --- what a commit brought --------------------------------------------------------------------------

    def committed(self, number: int) -> None:
        self.place += 1
        with self.world.program.store.snapshot() as tx:
            for row in deprovisions.all_deprovisions(tx):
                for order in orders.of_deprovision(tx, row.id):
                    self.saw_order(tx, order, row)
                self.saw_state(row)
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.dies_in = None
                raise Killed

    def saw_order(self, tx: Any, order: StoredOrder, row: Any) -> None:
        self.made.setdefault(order.token, self.place)
        if order.dispatched_at is not None and order.token not in self.dispatched:
            self.the_customer_left(since=self.made[order.token])
            self.the_order_is_logged_and_new(tx, order)
            self.dispatched[order.token] = (order.deprovision, order.attempt)
            self.counts["dispatched"] += 1
        for ack in journal.acknowledgements(tx, order.id):
            if (order.token, ack.seq) not in self.granted:
                self.granted.add((order.token, ack.seq))
                self.the_customer_left(since=self.asked_leave[order.token, ack.seq])
                assert row.state is State.ERASING
                assert order.token in self.dispatched
                assert order.answered_at is None, "a token that was given up for ever"
                self.counts["granted"] += 1

    def the_customer_left(self, *, since: int) -> None:
        """DESIGN, rules 2 and 7: asked after `since` and after every hint, young, and nobody said stop."""
        assert not self.is_rolled_back, "a restored backup went on"
        assert not self.is_held
        assert not self.is_frozen
        seen, listed = self.looks["subscription"], self.looks["tenancies"]
        for look in (seen, listed):
            assert look.place > since, "asked before the order, or the request"
            assert look.place > self.hinted, "a hint was stored since"
            assert self.world.now() - look.asked_at < MAX_AGE + timedelta(seconds=1)
        assert seen.answer is SubscriptionState.ENDED, f"the source said {seen.answer}"
        assert len(listed.answer) == 1
        read_back = self.looks["isolation"]
        assert read_back.place > since
        assert read_back.answer is Known.YES, "the tenant's side was not read back as cut"

    def the_order_is_logged_and_new(self, tx: Any, order: StoredOrder) -> None:
        """DESIGN, rules 3 and 4."""
        assert order.withdrawn_at is None
        assert log_rows.covering_checkpoint(tx, order.log_seq) is not None
        assert (order.deprovision, order.attempt) not in self.dispatched.values()
        assert order.attempt <= 1 + self.retries

    def saw_state(self, row: Any) -> None:
        before = self.states.get(row.id, State.SCHEDULED)
        self.states[row.id] = row.state
        if before is row.state:
            return
        self.counts[f"moved to {row.state}"] += 1
        if row.state in {State.CANCELLED, State.RELEASED, State.CLOSED, State.DESTROYED}:
            assert not self.is_rolled_back, "a restored backup concluded"
        began = {token for token, _ in self.granted if self.dispatched[token][0] == row.id}
        if row.state is State.CANCELLED:
            assert not began, "a host is given back on which something was begun"
            assert not self.world.switch.is_cut
        if row.state is State.RELEASED:
            assert began
            assert self.world.drive_text_count() == 0


class Run:
    """One provider and what chance does to it."""

    def __init__(self, world: Any, people: Any, chance: random.Random) -> None:
        self.world, self.people, self.chance = world, people, chance
        self.record = Record(world)
        world.count_commit = self.record.committed
        world.on_journal_line = self.record.journal_line
        self._open, self._agent = world._open, world._agent
        self._read_back = world.switch.read_back
        world._open, world._agent, world.switch.read_back = self.opened, self.agent, self.read_back

    def opened(self) -> Any:
        program = self._open()
        return replace(program, source=Watched(program.source, self.record.note, self.record.next_place))

    def read_back(self, target: Any) -> Any:
        place, asked_at = self.record.next_place()
        seen = self._read_back(target)
        self.record.note("isolation", place, asked_at, seen.tenant_side_cut)
        return seen

    def agent(self, request: Line) -> Any:
        self.record.request(request)
        return self._agent(request)

    # --- acts -------------------------------------------------------------------------------------------

    def work(self, owner: str = "one", steps: int = 6) -> None:
        world = self.world
        world._beat()
        for round_of in (census.take, intake.learn, intake.take_hints, telling.take_round):
            round_of(world.program)
        with world.program.store.snapshot() as tx:
            due = deprovisions.due(tx, now=world.now(), limit=10)
        for key in due:
            for _ in range(steps):
                try:
                    if take_step(world.program, key, owner=owner).is_rest:
                        break
                except LostRace:
                    break

    def another_works(self) -> None:
        self.work("another")

    def work_and_die(self) -> None:
        """At one of the next commits, wherever that is; then somebody starts it again."""
        self.record.dies_in = self.chance.randint(1, 12)
        self.work()
        self.record.dies_in = None

    def start_again(self) -> None:
        self.record.dies_in = None
        self.end_process()
        self.world.start()

    def end_process(self) -> None:
        """What a process forgets; the agent's processes live on."""
        if self.world._program is not None:
            self.world._program.store.close()
            self.world._program = None

    def time_passes(self) -> None:
        seconds = self.chance.choice([1, 5, 5, 20, 31, 61, 950])
        self.world._skip_to(self.world.now() + timedelta(seconds=seconds))

    def the_customer_renews(self) -> None:
        self.record.hinted = self.record.next_place()[0]
        self.world.renew()

    def the_customer_renews_silently(self) -> None:
        self.world.renew_silently()

    def the_subscription_ends(self) -> None:
        self.record.hinted = self.record.next_place()[0]
        self.world.end_subscription()

    def a_question_is_sent_and_nobody_waits(self) -> None:
        if self.world.deprovision is not None:
            with self.world.program.store.transaction() as tx:
                for tenancy in cases.load(tx, self.world.key).tenancies:
                    observations.ask(tx, Question.SUBSCRIPTION, tenancy.id, now=self.world.now())

    def the_isolation_is_undone(self) -> None:
        (self.world.folder / "tenant-port-is-cut").unlink(missing_ok=True)

    def an_operator_commands(self) -> None:
        if self.world.deprovision is None or self.world.state.is_terminal:
            return
        exit = "restore" if self.world.state.is_reversible else self.chance.choice(["retry", "reprobe"])
        if not self.world.state.is_reversible and self.world.state is not State.NEEDS_OPERATOR:
            return
        self.people.leave(self.world, self.world.operators[0], exit)
        self.record.retries += exit == "retry"

    def somebody_freezes(self) -> None:
        if not self.record.is_frozen:
            self.people.decide(self.world, self.world.operators[0], DecisionKind.FREEZE)
            self.record.is_frozen = True

    def two_thaw(self) -> None:
        if self.record.is_frozen:
            self.people.both(self.world, DecisionKind.THAW)
            self.record.is_frozen = False

    def a_backup_comes_back(self) -> None:
        """Everything since it was made is forgotten, but not by the anchor."""
        if self.record.is_rolled_back:
            return
        self.end_process()
        kept = {
            name: (self.world.folder / name).read_bytes()
            for name in ("expunge.db", "expunge.db-wal", "expunge.db-shm")
            if (self.world.folder / name).exists()
        }
        for _ in range(3):
            self.work()
            self.time_passes()
        length = self.ledger_length()
        self.end_process()
        for path in self.world.folder.glob("expunge.db*"):
            path.unlink()
        for name, data in kept.items():
            (self.world.folder / name).write_bytes(data)
        self.record.is_rolled_back = self.ledger_length() < length
        with self.world.program.store.snapshot() as tx:
            self.record.states = {row.id: row.state for row in deprovisions.all_deprovisions(tx)}

    def ledger_length(self) -> int:
        with self.world.program.store.snapshot() as tx:
            return read_head(tx).ledger_seq

    ACTS = (
        *[work] * 8,
        *[another_works] * 3,
        *[work_and_die] * 4,
        *[time_passes] * 4,
        the_customer_renews,
        the_customer_renews_silently,
        *[the_subscription_ends] * 2,
        a_question_is_sent_and_nobody_waits,
        the_isolation_is_undone,
        *[an_operator_commands] * 2,
        somebody_freezes,
        *[two_thaw] * 2,
    )

    def do_some(self, number: int) -> None:
        for _ in range(number):
            self.do(self.chance.choice(self.ACTS))

    def do(self, act: Callable[[Run], None]) -> None:
        self.record.counts["steps"] += 1
        try:
            act(self)
        except Killed:
            self.record.counts["killed"] += 1
            self.start_again()
        except (Refused, Unanswered):
            self.record.counts["refused"] += 1


@pytest.fixture
def chosen_seed() -> int:
    number = int(os.environ.get("EXPUNGE_SEED") or secrets.randbits(32))
    print(f"EXPUNGE_SEED={number}")
    return number


def test_no_run_on_the_real_store_breaks_a_promise(
    chosen_seed: int, found_world: Callable[..., Any], people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An agent whose step is not permitted waits this long by its own clock, which no test can skip.
    monkeypatch.setattr(permit, "ACK_LIFE_MS", 2000)
    chance = random.Random(chosen_seed)
    counts: Counter[str] = Counter()
    for number in range(WORLDS):
        run = Run(found_world(), people, chance)
        run.world.end_subscription()
        until = chance.choice([State.APPROVED, State.INTENDED, State.INTENDED, State.ERASING])
        run.world.run(until=lambda world, state=until: world.state is state)
        is_copied = bool(number % 2)
        run.do_some(ACTS_BEFORE_A_COPY if is_copied else ACTS_A_WORLD)
        if is_copied:
            run.do(Run.a_backup_comes_back)
            counts["rolled back"] += run.record.is_rolled_back
            run.do_some(ACTS_A_WORLD - ACTS_BEFORE_A_COPY)
        counts.update(run.record.counts)
        begun = run.record.granted
        assert len({token for token, _ in begun}) <= 1 + run.record.retries
        run.world.close()
    print(dict(counts))
    assert counts["steps"] >= MIN_STEPS
    assert counts["dispatched"]
    assert counts["killed"]
