"""The loop of a controller in one process.

Rules: whatever is due is advanced, each deprovision by one thread at a time under its own lease; after a
decision its effect is performed and its questions are asked, then it is advanced again, until there is
nothing left to do before its next due instant. An effect that fails is logged and nothing else: what it did
or did not do, the next question tells. The order is sent by the step that moved to `erasing` and by no other.
Work that runs when the loop is stopped is left to the agents and the drives; a restart asks them.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import assert_never

import structlog

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller import case as cases
from controller import checkpointing, intake
from controller.advance import Step, advance
from controller.case import Case
from controller.effects import (
    boot,
    certify,
    collect,
    dispatch_order,
    inspect,
    isolate,
    judge,
    make_plan,
    notify,
    restore,
    withdraw_order,
)
from controller.errors import LostRace, Unanswered
from controller.facts import Effect
from controller.observe import questioning
from controller.program import Program
from controller.store import deprovisions

#: Deprovisions worked on at the same time. Most of a worker's time is spent waiting for a host.
WORKERS = 16
#: The longest the loop sleeps: bounds how late a due instant set by another process is noticed.
SLEEP_SECONDS = 5.0
#: After work ended the loop looks again at once, but not more often than this.
BREATH_SECONDS = 0.02
#: Steps of one deprovision in a row before others get their turn.
STEPS_IN_A_ROW = 200

logger = structlog.get_logger(__name__)


class Embedded:
    """One process, a few threads."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._awake = threading.Event()
        self._busy: dict[DeprovisionId, Future[None]] = {}
        self._run_id = program.nonce()
        self._polled_at: datetime | None = None

    def wake(self) -> None:
        """Something is due. Returns at once; any thread may call it."""
        self._awake.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; returns when nothing of its own runs any more."""
        with self._program.store.transaction() as tx:
            deprovisions.end_all_leases(tx)
        checkpointing.sign_due(self._program)
        with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="deprovision") as pool:
            while not stop.is_set():
                self._awake.clear()
                self._take_in()
                self._start_due(pool, stop)
                self._sleep(stop)

    def _take_in(self) -> None:
        """New hosts, hints, and now and then a poll; what the source does must not stop the loop."""
        try:
            intake.learn(self._program)
            intake.take_hints(self._program)
            now = self._program.clock()
            if self._polled_at is None or now - self._polled_at >= intake.POLL_EVERY:
                self._polled_at = now
                intake.poll(self._program)
        except (Refused, Unanswered) as refusal:
            logger.warning("intake refused", code=refusal.code.value, reason=refusal.reason)

    def _start_due(self, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        for key in [key for key, future in self._busy.items() if future.done()]:
            self._busy.pop(key).result()
        with self._program.store.snapshot() as tx:
            due = deprovisions.due(tx, now=self._program.clock(), limit=WORKERS)
        for key in due:
            if key not in self._busy and len(self._busy) < WORKERS:
                self._busy[key] = pool.submit(self._work, key, stop)

    def _sleep(self, stop: threading.Event) -> None:
        with self._program.store.snapshot() as tx:
            due_at = deprovisions.next_due_at(tx)
        seconds = SLEEP_SECONDS
        if due_at is not None:
            seconds = min(seconds, (due_at - self._program.clock()).total_seconds())
        deadline = max(seconds, BREATH_SECONDS)
        step = 0.1
        while deadline > 0 and not stop.is_set():
            if self._awake.wait(min(step, deadline)):
                stop.wait(BREATH_SECONDS)
                return
            deadline -= step

    def _work(self, key: DeprovisionId, stop: threading.Event) -> None:
        """Steps of one deprovision, until it rests."""
        owner = f"{self._run_id}-{threading.get_ident()}"
        try:
            for _ in range(STEPS_IN_A_ROW):
                if stop.is_set():
                    return
                try:
                    step = advance(self._program, key, owner=owner)
                except LostRace as lost:
                    logger.info("lost a race", deprovision=key, reason=lost.reason)
                    return
                if self._finish(step):
                    return
        except Refused as refusal:
            logger.warning("refused", deprovision=key, code=refusal.code.value, reason=refusal.reason)
        finally:
            self._give_back(key, owner)
            self._awake.set()

    def _finish(self, step: Step) -> bool:
        """Does what the decision leaves to do; whether the deprovision rests now."""
        log = logger.bind(deprovision=step.case.id, state=step.case.deprovision.state.value)
        log.info("decided", decision=type(step.decision).__name__, effect=step.effect and step.effect.value)
        if step.effect is not None:
            with self._program.store.snapshot() as tx:
                case = cases.load(tx, step.case.id)
            try:
                perform(self._program, case, step.effect, fence=step.fence)
            except (Refused, Unanswered) as failure:
                log.warning(
                    "effect failed", effect=step.effect.value, code=failure.code.value, reason=failure.reason
                )
        if step.questions:
            questioning.ask_all(self._program, step.case, step.questions)
        return step.is_rest

    def _give_back(self, key: DeprovisionId, owner: str) -> None:
        with self._program.store.transaction() as tx:
            row = deprovisions.load(tx, key)
            if row.lease_owner == owner:
                deprovisions.release_lease(tx, key, fence=row.fence)


def perform(program: Program, case: Case, effect: Effect, *, fence: int) -> None:
    """The act behind an effect's name. Raises Refused or Unanswered."""
    match effect:
        case Effect.ISOLATE:
            isolate.perform(program, case)
        case Effect.BOOT:
            boot.perform(program, case)
        case Effect.INSPECT:
            inspect.perform(program, case)
        case Effect.MAKE_PLAN:
            make_plan.perform(program, case)
        case Effect.WITHDRAW_ORDER:
            withdraw_order.perform(program, case)
        case Effect.DISPATCH:
            dispatch_order.perform(program, case)
        case Effect.COLLECT:
            collect.perform(program, case, fence=fence)
        case Effect.JUDGE:
            judge.perform(program, case)
        case Effect.CERTIFY:
            certify.perform(program, case)
        case Effect.RESTORE:
            restore.perform(program, case)
        case Effect.NOTIFY:
            notify.perform(program, case)
        case _:
            assert_never(effect)
