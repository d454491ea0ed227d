"""The process that carries out one accepted order.

Rules: it holds the execution lock from its first moment to its last, by inheritance or by taking it; it
begins only what was just accepted (a journal of exactly that line), never what another process left behind:
that is observed (`attach`); a poisoned or finished token begins nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from agent import attach, tokens, wiring
from agent.errors import Code
from agent.journal import Kind
from agent.run_directory import RunDirectory
from agent.world import World
from certificate.errors import Refused
from certificate.messages import JournalLine


def execute(
    run: RunDirectory,
    token: str,
    *,
    lock: int | None,
    is_attached: bool,
    world: World | None = None,
    after_append: Callable[[JournalLine], None] | None = None,
) -> None:
    """Runs to signed evidence. `lock`: inherited descriptor, None to take the lock here.

    Raises Refused: BUSY, TOKEN_UNKNOWN, TOKEN_POISONED, TOKEN_SPENT, and the codes of `wiring.execution`.
    """
    held = run.take_lock() if lock is None else lock
    if held is None or not run.holds_lock(held):
        raise Refused(Code.BUSY, "another process holds the execution lock")
    try:
        folder = tokens.folder(run, token)
        if folder.record() is None:
            raise Refused(Code.TOKEN_UNKNOWN, "this token was never accepted")
        kinds = [line.kind for line in folder.journal().lines]
        if folder.poison() is not None:
            raise Refused(Code.TOKEN_POISONED, "this token was given up for ever")
        if Kind.EVIDENCE in kinds or (kinds != [Kind.ACCEPTED] and not is_attached):
            raise Refused(Code.TOKEN_SPENT, "this execution was begun before")
        execution = wiring.execution(
            run,
            folder,
            world=world or wiring.real_world(),
            is_attached=is_attached,
            after_append=after_append,
        )
        if is_attached:
            attach.attach(execution)
        else:
            execution.run()
    finally:
        os.close(held)
