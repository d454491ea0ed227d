"""Random acts on the real store: real transactions, observations, facts, guards, effects and agent processes.

As `test_lifecycle_model.py`, with everything real but the time, the network and the drive, and so much
shorter: workers and crashes, renewals and re-lets, hints lost, doubled and out of order, steps of the clock,
holds, freezes and those who lift them, commands, backups. What is checked is read from what the other side of
the provider saw (store_record.py) after every commit. A crash is an exception out of a commit, before its
anchor is written. EXPUNGE_SEED=N repeats the acts of a run.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agent import permit
from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller import census, intake
from controller.dispatch import telling
from controller.dispatch.working import take_step
from controller.errors import Code, LostRace
from controller.facts import Exit, Question
from controller.spool import HintEvent
from controller.states import State
from controller.store import deprovisions, hints, observations, stops
from controller.store.head import read_head
from controller.store.stops import StopKind

SECOND = timedelta(seconds=1)
WORLDS = 8
#: Until everything in SEEN has happened, which a few more worlds make sure of.
MAX_WORLDS = 24
#: Few, so that something is left to forget, or to go wrong.
ACTS_AT_FIRST = 5
ACTS_AFTERWARDS = 20
#: An act is a step; the long run of the model takes the 20,000.
MIN_STEPS = 250
#: What a run has to have seen, or it showed nothing.
SEEN = (
    "dispatched",
    "granted",
    "killed",
    "freeze set",
    "freeze lifted",
    "dispatched after a freeze was lifted",
    "hold set",
    "hold lifted",
    "dispatched after a hold was lifted",
    "let again",
    "hints mixed up",
    "hint lost",
    "clock stepped",
    "restore commanded",
    "retry commanded",
    "rolled back",
)
FIRST, OTHER = "sub-1", "sub-2"
HOLD = {"matter": "a court asked", "review": "P1D"}
LIFTING = {StopKind.FREEZE: DecisionKind.THAW, StopKind.HOLD: DecisionKind.RELEASE_HOLD}


@dataclass(frozen=True)
class Told:
    """A hint that is on its way to us."""

    subscription: str
    event: HintEvent
    event_id: str


class Run:
    """One provider and what chance does to it."""

    def __init__(self, world: Any, people: Any, records: ModuleType, chance: random.Random) -> None:
        self.world, self.people, self.records, self.chance = world, people, records, chance
        self.record = records.Record(world)
        #: How far the controller's clock is off.
        self.skew = timedelta()
        self.hints: list[Told] = []
        self.said = "active"
        self.has_come_back = False
        world.count_commit = self.record.committed
        world.on_journal_line = self.record.journal_line
        self._open, self._agent = world._open, world._agent
        self._read_back = world.switch.read_back
        world._open, world._agent, world.switch.read_back = self.opened, self.agent, self.read_back

    def clock(self) -> Any:
        return self.world.now() + self.skew

    def opened(self) -> Any:
        """The controller reads a clock that chance sets; the source keeps the true time."""
        program = self._open()
        source = self.records.Watched(replace(program.source, clock=self.clock), self.record)
        return replace(program, source=source, clock=self.clock)

    def read_back(self, target: Any) -> Any:
        note = self.record.looking("isolation")
        seen = self._read_back(target)
        note(seen.tenant_side_cut)
        return seen

    def agent(self, request: Any) -> Any:
        self.record.request(request)
        return self._agent(request)

    # --- the controller ---------------------------------------------------------------------------------

    def work(self, owner: str = "one", steps: int = 6) -> None:
        world = self.world
        world._beat()
        for round_of in (census.take, intake.learn, intake.take_hints, telling.take_round):
            round_of(world.program)
        with world.program.store.snapshot() as tx:
            due = deprovisions.due(tx, now=self.clock(), limit=10)
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

    def work_until_the_dispatch(self) -> None:
        """The order is committed as sent; not a byte of it leaves."""
        self.record.dies_at_dispatch = True
        self.work(steps=12)
        self.record.dies_at_dispatch = False

    def start_again(self) -> None:
        self.record.dies_in, self.record.dies_at_dispatch = None, False
        self.end_process()
        self.world.start()

    def end_process(self) -> None:
        """What a process forgets; the agent's processes live on."""
        if self.world._program is not None:
            self.world._program.store.close()
            self.world._program = None

    def poll(self) -> None:
        self.world._beat()
        intake.poll(self.world.program)

    def time_passes(self) -> None:
        seconds = self.chance.choice([1, 5, 5, 20, 31, 61, 950])
        self.world._skip_to(self.world.now() + seconds * SECOND)

    def the_clock_is_stepped(self) -> None:
        """Back, forth, or right again. 400 s are more than the source's clock lets pass."""
        skew = self.chance.choice([-31, -9, 0, 0, 9, 31, 400]) * SECOND
        self.record.counts["clock stepped"] += skew != self.skew
        self._set_clock(skew)

    def _set_clock(self, skew: timedelta) -> None:
        self.record.stepped += abs(skew - self.skew)
        self.skew = skew

    # --- the source and its hints -----------------------------------------------------------------------

    def bill(self, *statements: tuple[str, tuple[str, ...]]) -> None:
        """The billing system changes; nobody told us."""
        with sqlite3.connect(self.world.billing.path, timeout=10) as database:
            for statement, values in statements:
                database.execute(statement, values)
            database.execute("UPDATE pulse SET at = ?", (self.now_text(),))
        database.close()

    def now_text(self) -> str:
        return str(self.world.now().strftime("%Y-%m-%dT%H:%M:%SZ"))

    def say(self, subscription: str, status: str) -> None:
        change = "UPDATE contract SET status = ?, updated = ? WHERE number = ?"
        self.bill((change, (status, self.now_text(), subscription)))
        if subscription == FIRST:
            self.said = status
        self.has_come_back |= status == "active"
        event = HintEvent.ENDED if status == "ended" else HintEvent.RENEWED
        self.hints.append(Told(subscription, event, f"{len(self.hints)}-{self.record.next_place()}"))

    def tell(self, told: Told, *, is_known: bool = False) -> None:
        """A hint arrives. One that is known already is one hint."""
        with self.world.program.store.transaction() as tx:
            stored = hints.receive(
                tx,
                source="test",
                event_id=told.event_id,
                event=told.event,
                subscription_ref=self.world.program.pseudonyms.subscription(told.subscription),
                now=self.clock(),
            )
            assert (stored is None) == is_known
            if not is_known:
                self.record.hinted[told.subscription] = self.record.next_place()
                if told.event is HintEvent.RENEWED:
                    self.record.renewed_at[told.subscription] = self.world.now()

    def the_customer_renews(self) -> None:
        self.say(FIRST, "active")
        self.tell(self.hints.pop())

    def the_customer_renews_silently(self) -> None:
        self.say(FIRST, "active")

    def everybody_leaves(self) -> None:
        for subscription in (FIRST, OTHER):
            self.say(subscription, "ended")
            self.tell(self.hints.pop())

    def the_customer_leaves_silently(self) -> None:
        self.say(FIRST, "ended")

    def the_host_is_let_again(self) -> None:
        begun = self.now_text()
        self.bill(
            ("INSERT OR IGNORE INTO contract VALUES (?, 'active', ?)", (OTHER, begun)),
            (
                "INSERT INTO placement SELECT 'host-1', ?, ?, NULL"
                " WHERE NOT EXISTS (SELECT * FROM placement WHERE contract = ?)",
                (OTHER, begun, OTHER),
            ),
        )
        self.record.counts["let again"] += 1

    def a_hint_arrives(self) -> None:
        if self.hints:
            self.tell(self.hints.pop(self.chance.randrange(len(self.hints))))

    def hints_arrive_mixed_up(self) -> None:
        """The newest before the oldest, and then once more. What is so is said again until there are two."""
        while len(self.hints) < 2:
            self.say(FIRST, self.said)
        newest, oldest = self.hints.pop(), self.hints.pop(0)
        self.tell(newest)
        self.tell(oldest)
        self.tell(newest, is_known=True)
        self.record.counts["hints mixed up"] += 1

    def a_hint_is_lost(self) -> None:
        if not self.hints:
            self.say(FIRST, self.said)
        self.hints.pop()
        self.record.counts["hint lost"] += 1

    def a_question_is_sent_and_nobody_waits(self) -> None:
        if self.world.deprovision is not None:
            with self.world.program.store.transaction() as tx:
                for tenancy in cases.load(tx, self.world.key).tenancies:
                    observations.ask(tx, Question.SUBSCRIPTION, tenancy.id, now=self.clock())

    def the_isolation_is_undone(self) -> None:
        (self.world.folder / "tenant-port-is-cut").unlink(missing_ok=True)

    # --- people -----------------------------------------------------------------------------------------

    @contextmanager
    def deciding(self) -> Any:
        """What only goes on is refused, every time, by a store that may have forgotten something."""
        if not self.record.is_rolled_back:
            yield
            return
        with pytest.raises(Refused) as refused:
            yield
        assert refused.value.code is Code.STORE_NOT_CURRENT

    def somebody_freezes(self) -> None:
        self._stop(StopKind.FREEZE, DecisionKind.FREEZE)

    def somebody_holds(self) -> None:
        scope = self.chance.choice(["host=host-1", "everything"])
        self._stop(StopKind.HOLD, DecisionKind.HOLD, scope=scope, **HOLD)

    def _stop(self, kind: StopKind, decision: DecisionKind, **about: str) -> None:
        if self.record.is_standing(kind):
            return
        taken = self.people.decide(self.world, self.world.operators[0], decision, **about)
        (number,) = re.findall(r"(?:hold|number) (\d+)", taken.done)
        self.record.stops[int(number)] = kind
        self.record.counts[f"{kind} set"] += 1

    def two_thaw(self) -> None:
        self._lift(StopKind.FREEZE)

    def two_release(self) -> None:
        self._lift(StopKind.HOLD)

    def _lift(self, kind: StopKind) -> None:
        """The first one's word alone lifts nothing: after its commit the stop still stands in the record."""
        for number in [number for number, standing in self.record.stops.items() if standing is kind]:
            one, another = self.world.operators
            with self.deciding():
                self.people.decide(self.world, one, LIFTING[kind], number=str(number))
                del self.record.stops[number]
                self.people.decide(self.world, another, LIFTING[kind], number=str(number))
                self.record.lifted.add(kind)
                self.record.counts[f"{kind} lifted"] += 1

    def an_operator_commands_restore(self) -> None:
        self._command(Exit.RESTORE)

    def an_operator_begins_anew(self) -> None:
        self._command(Exit.RETRY)

    def an_operator_commands(self) -> None:
        if self.world.state is State.NEEDS_OPERATOR:
            self._command(self.chance.choice([Exit.RETRY, Exit.RETRY, Exit.RETRY, Exit.REPROBE, Exit.CLOSE]))

    def _command(self, exit: Exit) -> None:
        row = self.world.deprovision
        if row is None or row.state.is_terminal:
            return
        try:
            with self.deciding():
                self.people.leave(self.world, self.world.operators[0], exit.value)
        except Refused as refused:
            if refused.code is Code.EXIT_NOT_OPEN and self._may_be_closed(exit, row.id):
                return
            raise
        if self.record.is_rolled_back:
            return
        self.record.counts[f"{exit} commanded"] += 1
        self.record.retries += exit is Exit.RETRY
        if exit is Exit.RESTORE:
            self.record.called_back.add((row.id, row.attempt))
            self.the_host_is_held()

    def _may_be_closed(self, exit: Exit, deprovision: str) -> bool:
        """No way out at all: to ask about an order that ended, to give back what may have begun, and to take
        again whoever came back.
        """
        was_sent = any(sent == deprovision for sent, _ in self.record.dispatched.values())
        return {
            Exit.REPROBE: True,
            Exit.RESTORE: was_sent,
            Exit.RETRY: self.has_come_back,
        }.get(exit, False)

    def the_host_is_held(self) -> None:
        """Whoever was called back is not taken again for the same end."""
        with self.world.program.store.snapshot() as tx:
            held = [stop for stop in stops.all_standing(tx) if stop.scope.host is not None]
        assert len(held) == 1
        self.record.stops[held[0].number] = StopKind.HOLD

    # --- backups ----------------------------------------------------------------------------------------

    def a_backup_comes_back(self) -> None:
        """Everything since it was made is forgotten, but not by the anchor."""
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
        self.record.counts["rolled back"] += self.record.is_rolled_back
        with self.world.program.store.snapshot() as tx:
            self.record.states = {row.id: row.state for row in deprovisions.all_deprovisions(tx)}

    def ledger_length(self) -> int:
        with self.world.program.store.snapshot() as tx:
            return read_head(tx).ledger_seq

    ACTS = (
        *[work] * 10,
        *[another_works] * 3,
        *[work_and_die] * 4,
        work_until_the_dispatch,
        *[time_passes] * 4,
        poll,
        the_customer_renews,
        the_customer_renews_silently,
        *[everybody_leaves] * 2,
        the_customer_leaves_silently,
        the_host_is_let_again,
        *[a_hint_arrives] * 2,
        *[hints_arrive_mixed_up] * 2,
        a_hint_is_lost,
        *[the_clock_is_stepped] * 2,
        a_question_is_sent_and_nobody_waits,
        the_isolation_is_undone,
        an_operator_commands_restore,
        *[an_operator_commands] * 3,
        somebody_freezes,
        *[two_thaw] * 3,
        somebody_holds,
        *[two_release] * 3,
    )

    #: What a world begins with: every fourth the same, or some of it would be seen seldom.
    BEGINNINGS = (somebody_freezes, work, somebody_holds, work_until_the_dispatch)

    def calm(self) -> None:
        """For a while nothing goes wrong, and people do what is asked of them."""
        self._set_clock(timedelta())
        for act in (Run.two_thaw, Run.two_release, *[Run.work] * 4, Run.time_goes_on, *[Run.work] * 4):
            self.do(act)
            if self.world.state is State.NEEDS_OPERATOR:
                self.do(Run.an_operator_begins_anew)

    def time_goes_on(self) -> None:
        self.world._skip_to(self.world.now() + 61 * SECOND)

    def do_some(self, number: int) -> None:
        for _ in range(number):
            self.do(self.chance.choice(self.ACTS))

    def do(self, act: Callable[[Run], None]) -> None:
        self.record.counts["steps"] += 1
        try:
            act(self)
        except self.records.Killed:
            self.record.counts["killed"] += 1
            self.start_again()


@pytest.fixture
def chosen_seed() -> int:
    number = int(os.environ.get("EXPUNGE_SEED") or secrets.randbits(32))
    print(f"EXPUNGE_SEED={number}")
    return number


@pytest.fixture(scope="session")
def records(loaded: Callable[[str, Path], ModuleType]) -> ModuleType:
    return loaded("expunge_store_record", Path(__file__).with_name("store_record.py"))


def live(run: Run, number: int) -> None:
    """The acts of one world, from the end of its subscription on."""
    # Older than any step of its clock: before its founding nobody counts as an operator.
    run.world._skip_to(run.world.now() + timedelta(hours=1))
    run.say(FIRST, "ended")
    run.tell(run.hints.pop())
    run.world.run(until=lambda world: world.state is State.INTENDED)
    run.do(Run.BEGINNINGS[number % len(Run.BEGINNINGS)])
    run.do_some(ACTS_AT_FIRST)
    if number % len(Run.BEGINNINGS) == 1:
        run.do(Run.a_backup_comes_back)
    else:
        run.calm()
    run.do_some(ACTS_AFTERWARDS)


def test_no_run_on_the_real_store_breaks_a_promise(
    chosen_seed: int,
    found_world: Callable[..., Any],
    people: Any,
    records: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # An agent whose step is not permitted waits this long by its own clock, which no test can skip.
    monkeypatch.setattr(permit, "ACK_LIFE_MS", 2000)
    chance = random.Random(chosen_seed)
    counts: Counter[str] = Counter()
    for number in range(MAX_WORLDS):
        run = Run(found_world(), people, records, chance)
        live(run, number)
        counts.update(run.record.counts)
        assert len({token for token, _ in run.record.granted}) <= 1 + run.record.retries
        run.world.close()
        if number + 1 >= WORLDS and all(counts[seen] for seen in SEEN):
            break
    print(dict(counts))
    assert counts["steps"] >= MIN_STEPS
    assert [seen for seen in SEEN if not counts[seen]] == []
