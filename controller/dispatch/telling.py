"""Telling people, on a thread of its own: alarms first, then the outbox of notices.

Rules: a command of the provider's may take its whole time limit, so nothing else waits for this thread; what
fails in a way that nobody foresaw is logged and tried again in the next round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from controller import outbox, watch
from controller.program import Program

#: Between two rounds: how late a notice or an alarm may be beyond its own instant.
ROUND_SECONDS = 1.0

logger = structlog.get_logger(__name__)


def run(program: Program, stop: threading.Event, wake: Callable[[], None]) -> None:
    """Until `stop` is set. `wake` is told when a deprovision may go on, because its notices are settled."""
    looked_at = None
    while not stop.is_set():
        now = program.clock()
        is_due = looked_at is None or not looked_at <= now < looked_at + watch.LOOK_EVERY
        if is_due:
            looked_at = now
        if take_round(program, does_look=is_due):
            wake()
        stop.wait(ROUND_SECONDS)


def take_round(program: Program, *, does_look: bool = True) -> bool:
    """Everything that is due now, once; looking through the whole store only where `does_look`. Whether a
    notice was settled.
    """
    is_settled = False
    for work in (watch.look, watch.call, outbox.work) if does_look else (watch.call, outbox.work):
        try:
            is_settled = bool(work(program)) or is_settled
        except Exception:
            logger.exception("telling failed; it is tried again")
    return is_settled
