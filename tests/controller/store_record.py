"""What really happened around the controller's store, in one order, and what must never follow from it.

Kept beside the store, so that it outlives a crash and a backup that comes back: which questions reached the
billing database and what it said, when a hint was stored, what people said, which bytes reached the agent and
what the drive did. After every commit of the controller what that brought is compared with it. Time is the
world's true time, whatever the controller's clock shows. Loaded by the fixture `record_of`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from certificate import envelope as dsse
from certificate.messages import Execute, JournalLine, Line
from certificate.statements import Order
from certificate.statements import statement as statements
from controller.facts import MAX_AGE
from controller.quarantine import Known
from controller.sources import SubscriptionState
from controller.states import State
from controller.store import deprovisions, journal, log_rows, orders, stops, tenancies
from controller.store.orders import StoredOrder
from controller.store.stops import StopKind

SECOND = timedelta(seconds=1)


class Killed(BaseException):
    """The controller's process ended here. No rule of ours catches it."""


@dataclass(frozen=True)
class Look:
    """A question that reached the other side, with its place in the order of all that happened."""

    place: int
    asked_at: datetime
    #: How far the controller's clock had been stepped altogether.
    stepped: timedelta
    answer: Any
    #: When the source says that it changed.
    changed_at: datetime | None = None


class Watched:
    """The billing source, and a note of every question that reached it."""

    def __init__(self, source: Any, record: Record) -> None:
        self._source, self._record = source, record

    def subscription(self, subscription_id: str) -> Any:
        note = self._record.looking(("subscription", subscription_id))
        said = self._source.subscription(subscription_id)
        note(said.state, said.changed_at)
        return said

    def tenancies(self, host: str) -> Any:
        note = self._record.looking("tenancies")
        said = self._source.tenancies(host)
        note(said.entries if said.is_complete else None)
        return said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@dataclass
class Record:
    """See the module."""

    world: Any
    place: int = 0
    stepped: timedelta = timedelta()
    looks: dict[Any, Look] = field(default_factory=dict)
    #: The place at which the newest hint about a subscription was stored.
    hinted: dict[str, int] = field(default_factory=dict)
    #: When a renewal of it was last announced to us.
    renewed_at: dict[str, datetime] = field(default_factory=dict)
    asked_leave: dict[tuple[str, int], int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    dispatched: dict[str, tuple[str, int]] = field(default_factory=dict)
    granted: set[tuple[str, int]] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)
    #: What people set and nobody began to lift, by number.
    stops: dict[int, StopKind] = field(default_factory=dict)
    #: Attempts that an operator commanded to give back.
    called_back: set[tuple[str, int]] = field(default_factory=set)
    retries: int = 0
    lifted: set[StopKind] = field(default_factory=set)
    is_rolled_back: bool = False
    #: How many commits the process still lives; and whether it ends with the next dispatch.
    dies_in: int | None = None
    dies_at_dispatch: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def next_place(self) -> int:
        self.place += 1
        return self.place

    def looking(self, kind: Any) -> Callable[..., None]:
        """Notes a question that leaves now; what is returned notes its answer."""
        place, asked_at, stepped = self.next_place(), self.world.now(), self.stepped

        def note(answer: Any, changed_at: datetime | None = None) -> None:
            self.looks[kind] = Look(place, asked_at, stepped, answer, changed_at)

        return note

    def is_standing(self, kind: StopKind) -> bool:
        return kind in self.stops.values()

    # --- what reached the machine -----------------------------------------------------------------------

    def request(self, line: Line) -> None:
        if isinstance(line, Execute):
            order = dsse.read(line.delivery.order.encode())
            token = statements.read(order.payload, Order).predicate.token
            assert token in self.dispatched, "bytes of an order left that was not dispatched"
            assert token not in self.sent, "bytes of an order left twice"
            self.sent.append(token)

    def journal_line(self, line: JournalLine) -> None:
        if line.needs_ack:
            self.asked_leave[line.token, line.seq] = self.next_place()

    # --- what a commit brought --------------------------------------------------------------------------

    def committed(self, number: int) -> None:
        self.place += 1
        with self.world.program.store.snapshot() as tx:
            if not self.is_rolled_back:
                standing = {stop.number for stop in stops.all_standing(tx)}
                assert standing.issuperset(self.stops), "a stop ended although nobody lifted it"
            for row in deprovisions.all_deprovisions(tx):
                for order in orders.of_deprovision(tx, row.id):
                    self.saw_order(tx, order, row)
                self.saw_state(row)
        self._may_die()

    def _may_die(self) -> None:
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.dies_in = None
                raise Killed

    def saw_order(self, tx: Any, order: StoredOrder, row: Any) -> None:
        self.made.setdefault(order.token, self.place)
        if order.dispatched_at is not None and order.token not in self.dispatched:
            self.nobody_said_stop(order)
            self.the_customer_left(tx, row, since=self.made[order.token])
            self.the_order_is_logged_and_new(tx, order)
            self.dispatched[order.token] = (order.deprovision, order.attempt)
            self.counts["dispatched"] += 1
            self.dies_in = 1 if self.dies_at_dispatch else self.dies_in
            self.counts.update(f"dispatched after a {kind} was lifted" for kind in self.lifted)
        for ack in journal.acknowledgements(tx, order.id):
            if (order.token, ack.seq) not in self.granted:
                self.granted.add((order.token, ack.seq))
                self.nobody_said_stop(order)
                self.the_customer_left(tx, row, since=self.asked_leave[order.token, ack.seq])
                assert row.state is State.ERASING
                assert order.token in self.dispatched
                assert order.answered_at is None, "a token that was given up for ever"
                self.counts["granted"] += 1

    def nobody_said_stop(self, order: StoredOrder) -> None:
        """DESIGN, rule 7, and the decisions of people."""
        assert not self.is_rolled_back, "a restored backup went on"
        assert not self.is_standing(StopKind.HOLD), "held"
        assert not self.is_standing(StopKind.FREEZE), "frozen"
        assert (order.deprovision, order.attempt) not in self.called_back, "commanded to be given back"

    def the_customer_left(self, tx: Any, row: Any, *, since: int) -> None:
        """DESIGN, rules 2 and 7: asked after `since` and after every hint, young, of everybody."""
        listed = self._asked_in_time("tenancies", since)
        assert listed.answer, "the source's list is not complete, or empty"
        own_ref = tenancies.load(tx, row.tenancy).subscription_ref
        named = {
            self.world.program.pseudonyms.subscription(each.subscription): each for each in listed.answer
        }
        assert own_ref in named, "the tenancy has left the host"
        for entry in listed.answer:
            assert entry.starts_at <= named[own_ref].starts_at, "the host was let again"
            assert listed.place > self.hinted.get(entry.subscription, -1), "a hint was stored since"
            seen = self._asked_in_time(("subscription", entry.subscription), since)
            assert seen.place > self.hinted.get(entry.subscription, -1), "a hint was stored since"
            assert seen.answer is SubscriptionState.ENDED, f"the source said {seen.answer}"
            renewed_at = self.renewed_at.get(entry.subscription)
            assert renewed_at is None or seen.changed_at > renewed_at, "it ended before it was renewed"
        read_back = self._asked_in_time("isolation", since)
        assert read_back.answer is Known.YES, "the tenant's side was not read back as cut"

    def _asked_in_time(self, kind: Any, since: int) -> Look:
        """A clock that was stepped may stretch the age by as much, and the five minutes bound that."""
        look = self.looks[kind]
        assert look.place > since, f"{kind}: asked before the order, or the request"
        allowed = MAX_AGE + SECOND + self.stepped - look.stepped
        assert self.world.now() - look.asked_at < allowed, f"{kind}: asked at {look.asked_at}"
        return look

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
            assert not self.is_standing(StopKind.FREEZE), "concluded while frozen"
        began = {token for token, _ in self.granted if self.dispatched[token][0] == row.id}
        if row.state is State.CANCELLED:
            assert not began, "a host is given back on which something was begun"
            # A host that was closed stays cut off, whatever is scheduled and cancelled for it later.
            assert not self.world.switch.is_cut or State.CLOSED in self.states.values()
        if row.state is State.RELEASED:
            assert began
            assert self.world.drive_text_count() == 0
