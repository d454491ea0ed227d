"""How the simulated store is kept: clocks, the order of stored things, its anchor, backups, dying workers.

Rules: the anchor follows every commit before anybody is told of it, along its own chain only; a question
is stored before it is asked; a rollback is what loses something that was answered for, whoever notices.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from expunge_lifecycle_world.machine import Machine, Request
from expunge_lifecycle_world.record import Record
from expunge_lifecycle_world.stored import FENCES_AN_EPOCH, RECONCILE_AFTER, START, Asked, Stored

from controller.facts import Question


@dataclass
class Kept:
    stored: Stored
    true: datetime = START
    wall: datetime = START
    #: The controller's clock from the start, and what it gains in each second.
    offset: timedelta = timedelta()
    drift: float = 0.0
    #: How far clocks moved against each other, in all: whatever rests on an age rests on this too.
    moved: timedelta = timedelta()
    machine: Machine = field(default_factory=Machine)
    record: Record = field(default_factory=Record)
    #: Work a living worker still holds: effects begun and questions asked, each with what it needs.
    queues: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))
    #: The step each worker was asked to acknowledge, and when it began to look.
    looking: list[tuple[Request, datetime, int] | None] = field(default_factory=lambda: [None, None])
    anchor: tuple[int, int, int] | None = None
    #: The newest thing of whose storing anybody was told.
    answered: tuple[int, int] = (0, 0)
    is_anchor_late: bool = False
    marks: int = 0
    backup: Stored | None = None

    # --- time and the store -----------------------------------------------------------------------------

    def tick(self, passed: timedelta) -> None:
        self.true += passed
        self.wall += passed * (1 + self.drift)
        self.machine.passes(passed)
        self.moved += abs(passed * self.drift) + abs(passed * (self.machine.rate - 1))

    def step_clock(self, by: timedelta) -> None:
        self.wall += by
        self.moved += abs(by)

    @property
    def is_store_current(self) -> bool:
        """As the anchor's keeper compares: not behind, and the anchor's head in our own chain."""
        if self.anchor is None:
            return False
        epoch, index, mark = self.anchor
        here = self.stored
        return epoch == here.epoch and index <= here.index and here.chain[index] == mark

    def _store(self) -> None:
        """One more thing is stored; the anchor follows before anybody is told, unless it lags or froze."""
        is_current = self.is_store_current
        self.marks += 1
        self.stored.index += 1
        self.stored.chain.append(self.marks)
        if self.is_anchor_late:
            return
        self.answered = (self.stored.index, self.marks)
        if is_current:
            self.anchor = (self.stored.epoch, self.stored.index, self.marks)

    def stamp(self) -> datetime:
        """The instant of something stored that voids an answer, as the real store makes it: never earlier
        than the newest question was asked.
        """
        self._store()
        return max(self.wall, self.stored.newest)

    def ask(self, question: Question) -> list[Asked]:
        about = sorted(self.stored.known) if question is Question.SUBSCRIPTION else [None]
        asked = []
        for tenancy in about:
            self._store()
            self.stored.newest = max(self.stored.newest, self.wall)
            row = Asked(
                sequence=len(self.stored.rows) + 1,
                question=question,
                about=tenancy,
                asked_at=self.wall,
                asked_index=self.stored.index,
                truly_asked_at=self.true,
                moved=self.moved,
            )
            self.stored.rows.append(row)
            asked.append(row)
        return asked

    # --- backups and the anchor -------------------------------------------------------------------------

    def back_up(self) -> None:
        self.backup = copy.deepcopy(self.stored)

    def restore_backup(self, *, is_restarted: bool) -> None:
        """The database becomes the copy: with a restart, or under the workers as a failover does it."""
        if self.backup is None:
            return
        self.stored = copy.deepcopy(self.backup)
        index, mark = self.answered
        if index > self.stored.index or self.stored.chain[index] != mark:
            self.record.is_rolled_back = True
            self.record.rolled_back_at = self.true
        if is_restarted:
            self.workers_die()

    def workers_die(self) -> None:
        for queue in self.queues:
            queue.clear()
        self.looking = [None, None]

    def reconcile(self) -> None:
        """Two operators, once nothing from before can be alive: a new epoch, fences above all earlier."""
        since = self.record.rolled_back_at
        if self.is_store_current or (since is not None and self.true < since + RECONCILE_AFTER):
            return
        self.workers_die()
        here = self.stored
        here.epoch = (here.epoch if self.anchor is None else max(self.anchor[0], here.epoch)) + 1
        here.fence = here.epoch * FENCES_AN_EPOCH
        self.record.from_before.update(order.token for order in here.orders)
        self.anchor = (here.epoch, here.index, here.chain[here.index])
        self.stamp()
        self.record.reconciled(here.attempt)
        if here.order is not None and here.order.dispatched_at is not None:
            self.record.dispatched.append((here.attempt, here.order.token))
