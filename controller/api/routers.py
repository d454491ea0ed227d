"""Which rooms answer on the socket beside the desk: one router a topic, made over the running program."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from controller.api import approvals, attention, decisions, host_records, notices, wipes
from controller.program import Program

#: One line a room.
ROOMS = (
    host_records.router,
    decisions.router,
    approvals.router,
    wipes.router,
    attention.router,
    notices.router,
)


def routers(program: Program, *, wake: Callable[[], None]) -> tuple[APIRouter, ...]:
    """`wake` tells the dispatcher that something is due; it returns at once."""
    return tuple(room(program, wake=wake) for room in ROOMS)
