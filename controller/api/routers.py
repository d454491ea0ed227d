"""Which rooms answer on the socket beside the desk: one router a topic, made over the running program."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from controller.api import attention, wipes
from controller.program import Program


def routers(program: Program, *, wake: Callable[[], None]) -> tuple[APIRouter, ...]:
    """`wake` tells the dispatcher that something is due; it returns at once."""
    return (wipes.router(program, wake=wake), attention.router(program, wake=wake))
