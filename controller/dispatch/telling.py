"""Telling people, on a thread of its own: alarms first, then the outbox of notices.

Rules: a command of the provider's may take its whole time limit, so nothing else waits for this thread; what
fails in a way that nobody foresaw is logged and tried again in the next round.
"""

from __future__ import annotations

import threading

import structlog

from controller import outbox
from controller.program import Program

#: Between two rounds: how late a notice or an alarm may be beyond its own instant.
ROUND_SECONDS = 1.0

logger = structlog.get_logger(__name__)


def run(program: Program, stop: threading.Event) -> None:
    """Until `stop` is set."""
    while not stop.is_set():
        take_round(program)
        stop.wait(ROUND_SECONDS)


def take_round(program: Program) -> None:
    """Everything that is due now, once."""
    for work in (outbox.work,):
        try:
            work(program)
        except Exception:
            logger.exception("telling failed; it is tried again")
