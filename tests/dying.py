"""Executing processes that die: forks that end by SIGKILL, holding the lock and half an execution.

The test is the controller: it follows, acknowledges, and asks what became of the token.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agent import executor, following
from certificate.messages import Follow, JournalEnd, JournalLine


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Processes:
    """Starts executing processes as forks; the n-th one dies where `deaths[n]` says."""

    def __init__(self, lab: Any, world: Any, *deaths: Callable[[int, JournalLine], bool] | None) -> None:
        self.lab = lab
        self.world = world
        self.deaths = list(deaths)
        self.pids: list[int] = []

    def launch(self, run: Any, token: str, lock: int, is_attached: bool) -> None:
        death = self.deaths.pop(0) if self.deaths else None
        pid = os.fork()
        if pid:
            self.pids.append(pid)
            return
        count = [0]

        def after_append(line: JournalLine) -> None:
            count[0] += 1
            if death is not None and death(count[0], line):
                die()

        try:
            executor.execute(
                run, token, lock=lock, is_attached=is_attached, world=self.world, after_append=after_append
            )
        finally:
            os._exit(0)

    def reap(self) -> None:
        for pid in self.pids:
            os.waitpid(pid, 0)
        self.pids.clear()


@contextmanager
def processes(lab: Any, world: Any, *deaths: Any) -> Iterator[Processes]:
    started = Processes(lab, world, *deaths)
    try:
        yield started
    finally:
        started.reap()


def settle(lab: Any, order: Any, started: Processes) -> JournalEnd:
    """Follows and acknowledges until the journal ends, as a controller does; at most four times."""
    end = None
    for _ in range(4):
        ask = Follow(token=order.token, from_seq=0)
        attach = lambda folder, lock: started.launch(lab.run_directory, order.token, lock, True)  # noqa: E731
        lines = following.follow(
            lab.run_directory, ask, attach=attach, pause=lambda seconds: time.sleep(0.002)
        )
        for line in lines:
            if isinstance(line, JournalEnd):
                end = line
            elif line.needs_ack:
                lab.ack(order, line)
        if end is not None and end.is_complete:
            break
    assert end is not None
    started.reap()
    return end


def accept(lab: Any, started: Processes) -> Any:
    """An accepted order, whose execution was started."""
    order = lab.order()
    lab.ask(lab.request(order), launcher=started.launch)
    return order
