"""The loop of a controller in one process, alone on its store or beside others.

Rules: whatever is due is advanced, each deprovision by one thread at a time under its own lease, which a
thread of its own keeps (`lease`); each piece of work is an owner of its own, so that no lease outlives it
unnoticed; after a decision its effect is performed and its questions are asked, then it is advanced again,
until there is nothing left to do before its next due instant. An effect that fails is logged and nothing
else: what it did or did not do, the next question tells. The order is sent by the step that moved to
`erasing` and by no other.
Hosts, hints and polls are taken in by a thread of its own, because a source may be slow. Work that runs when
the loop is stopped is left to the agents and the drives; a restart asks them. Only who is alone (the home's
lock says so) ends the leases and open questions it finds at its start; beside others they end by their age.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller import census, checkpointing, copies, destroying, intake
from controller.dispatch import telling
from controller.dispatch.lease import Heart
from controller.dispatch.working import take_step
from controller.errors import LostRace, Unanswered
from controller.program import Program
from controller.store import deprovisions, observations

#: Deprovisions worked on at the same time. Most of a worker's time is spent waiting for a host.
WORKERS = 16
#: The longest the loop sleeps: bounds how late a due instant set by another process is noticed.
SLEEP_SECONDS = 5.0
#: After work ended the loop looks again at once, but not more often than this.
BREATH_SECONDS = 0.02
#: How soon a stop is noticed while the loop sleeps.
LOOK_SECONDS = 0.1
#: Looking through all hosts for what nobody asked about yet is cheap, but not free.
LEARN_SECONDS = 1.0
#: A deprovision whose step failed in a way that nobody foresaw rests this long.
AFTER_A_FAULT = timedelta(seconds=30)
#: Steps of one deprovision in a row before others get their turn.
STEPS_IN_A_ROW = 200

logger = structlog.get_logger(__name__)


class Embedded:
    """One process, a few threads. `is_alone`: no other process works on this store."""

    def __init__(self, program: Program, *, is_alone: bool = True) -> None:
        self._program = program
        self._is_alone = is_alone
        self._heart = Heart(program.store)
        self._works = itertools.count()
        self._awake = threading.Event()
        self._is_told = threading.Event()
        self._busy: dict[DeprovisionId, Future[None]] = {}
        self._run_id = program.nonce()
        self._polled_at: datetime | None = None

    def wake(self) -> None:
        """Something is due, or somebody told us something. Returns at once; any thread may call it."""
        self._is_told.set()
        self._awake.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; returns when nothing of its own runs any more."""
        if self._is_alone:
            with self._program.store.transaction() as tx:
                deprovisions.end_all_leases(tx)
                observations.abandon(tx, now=self._program.clock())
        checkpointing.sign_due(self._program)
        destroying.issue_due(self._program)
        copies.write_missing(self._program)
        over = threading.Event()
        heart_thread = threading.Thread(target=self._heart.run, args=(over,), name="leases")
        intake_thread = threading.Thread(target=self._take_in, args=(stop,), name="intake")
        telling_thread = threading.Thread(
            target=telling.run, args=(self._program, stop, self._awake.set), name="telling"
        )
        heart_thread.start()
        intake_thread.start()
        telling_thread.start()
        try:
            with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="deprovision") as pool:
                while not stop.is_set():
                    self._awake.clear()
                    self._start_due(pool, stop)
                    self._sleep(stop)
        finally:
            stop.set()
            intake_thread.join()
            telling_thread.join()
            # Last, because what still runs keeps its leases until it ends.
            over.set()
            heart_thread.join()

    def _take_in(self, stop: threading.Event) -> None:
        """New hosts, hints, and now and then a poll. A source that is slow or fails holds up nothing else."""
        while not stop.is_set():
            self._is_told.clear()
            try:
                self._take_in_once()
            except (Refused, Unanswered) as refusal:
                logger.warning("intake refused", code=refusal.code.value, reason=refusal.reason)
            except Exception:
                logger.exception("intake failed; it is tried again")
            self._awake.set()
            deadline = time.monotonic() + LEARN_SECONDS
            while time.monotonic() < deadline and not stop.is_set():
                if self._is_told.wait(LOOK_SECONDS):
                    break

    def _take_in_once(self) -> None:
        census.take(self._program)
        intake.learn(self._program)
        intake.take_hints(self._program)
        now = self._program.clock()
        if self._polled_at is None or now - self._polled_at >= intake.POLL_EVERY:
            self._polled_at = now
            intake.poll(self._program)

    def _start_due(self, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        for key in [key for key, future in self._busy.items() if future.done()]:
            self._busy.pop(key).result()
        with self._program.store.snapshot() as tx:
            due = deprovisions.due(tx, now=self._program.clock(), limit=WORKERS)
        for key in due:
            if key not in self._busy and len(self._busy) < WORKERS:
                self._busy[key] = pool.submit(self._work, key, stop)

    def _sleep(self, stop: threading.Event) -> None:
        """Until something falls due, somebody wakes us, or SLEEP_SECONDS are over."""
        now = self._program.clock()
        with self._program.store.snapshot() as tx:
            overdue = [key for key in deprovisions.due(tx, now=now, limit=WORKERS) if key not in self._busy]
            upcoming = deprovisions.next_due_at(tx, after=now)
        seconds = SLEEP_SECONDS if upcoming is None else (upcoming - now).total_seconds()
        deadline = time.monotonic() + (BREATH_SECONDS if overdue else min(seconds, SLEEP_SECONDS))
        while (left := deadline - time.monotonic()) > 0 and not stop.is_set():
            if self._awake.wait(min(left, LOOK_SECONDS)):
                stop.wait(BREATH_SECONDS)
                return

    def _work(self, key: DeprovisionId, stop: threading.Event) -> None:
        """Steps of one deprovision, until it rests."""
        owner = f"{self._run_id}-{next(self._works)}"
        try:
            for _ in range(STEPS_IN_A_ROW):
                if stop.is_set():
                    return
                if take_step(self._program, key, owner=owner, heart=self._heart).is_rest:
                    return
        except LostRace as lost:
            logger.info("lost a race", deprovision=key, reason=lost.reason)
        except Refused as refusal:
            logger.warning("refused", deprovision=key, code=refusal.code.value, reason=refusal.reason)
            self._settle(self._put_off, key, owner, f"{refusal.code.value}: {refusal.reason}")
        except Exception:
            logger.exception("a fault of ours", deprovision=key)
            self._settle(self._put_off, key, owner, "a fault of ours; see the log of serve")
        finally:
            self._settle(self._give_back, key, owner)
            self._awake.set()

    def _settle(self, write: Callable[..., None], key: DeprovisionId, *arguments: str) -> None:
        """What a store that is busy or full does not take now is left to the lease's end."""
        try:
            write(key, *arguments)
        except Exception:
            logger.exception("not written; the lease runs out instead", deprovision=key)

    def _put_off(self, key: DeprovisionId, owner: str, reason: str) -> None:
        """What failed is tried again, but not at once; also where its claim was rolled back with it."""
        with self._program.store.transaction() as tx:
            now = self._program.clock()
            try:
                row = deprovisions.claim(tx, key, owner=owner, now=now, lease=AFTER_A_FAULT)
            except LostRace:
                # Somebody else works on it by now, and says when it is due.
                return
            later = None if row.state.is_terminal else now + AFTER_A_FAULT
            deprovisions.wait(tx, key, state=row.state, fence=row.fence, reason=reason, next_due_at=later)

    def _give_back(self, key: DeprovisionId, owner: str) -> None:
        with self._program.store.transaction() as tx:
            row = deprovisions.load(tx, key)
            if row.lease_owner == owner:
                deprovisions.release_lease(tx, key, fence=row.fence)
