"""What became of a token: `done | running | absent | unknown`, and the final `absent` that is signed.

Rules: an absence is final only when asked for; its poison is durable before it is signed, and the signed
answer is kept, so that asking again gives the same one; nothing is finalised while its execution runs, and
nothing that may have begun ever is. A token that this boot never saw can be finalised too: it is poisoned,
so that an order which is still on its way finds it so.
"""

from __future__ import annotations

import hashlib
import os

from agent import durable, tokens, wiring
from agent.execute import World
from agent.run_directory import RunDirectory
from agent.tokens import PoisonRecord, TokenFolder
from certificate import envelope
from certificate.messages import AskStatus, StatusAnswer, TokenState
from certificate.statements import Purpose, make, subject
from certificate.statements.host_records import Absence

NEVER_ACCEPTED, NOT_BEGUN = "ORDER_NEVER_ACCEPTED", "ORDER_NOT_BEGUN"


def status(run: RunDirectory, ask: AskStatus, *, world: World) -> StatusAnswer:
    """The answer to `ask`. Raises Refused: TOKEN_UNKNOWN for what is no token, NOT_BOOTED, JOURNAL_BROKEN."""
    boot = run.boot()
    folder = tokens.folder(run, ask.token)
    if ask.finalise:
        state = _finalise(run, folder, world)
    else:
        # The lock is looked at first: a journal that grew since then can only say more.
        is_executing = run.is_executing()
        state = folder.state(is_executing=is_executing)
    absence = None
    if folder.poison() is not None:
        absence = folder.absence_file.read_text() if folder.absence_file.exists() else None
    return StatusAnswer(
        token=ask.token,
        boot_id=boot.boot_id,
        state=state.value,
        journal_lines=len(folder.journal().lines),
        absence=absence,
    )


def _finalise(run: RunDirectory, folder: TokenFolder, world: World) -> TokenState:
    with run.settling():
        if folder.poison() is None and folder.record() is None:
            _poison(folder, order="not_applicable", reason=NEVER_ACCEPTED)
        elif folder.poison() is None and (state := _poison_if_absent(run, folder)) is not TokenState.ABSENT:
            return state
        _sign(run, folder, world)
        return TokenState.ABSENT


def _poison_if_absent(run: RunDirectory, folder: TokenFolder) -> TokenState:
    """Under the execution lock, so that nothing begins between the look and the poison."""
    lock = run.take_lock()
    if lock is None:
        return folder.state(is_executing=True)
    try:
        record, state = folder.record(), folder.state(is_executing=False)
        if state is TokenState.ABSENT and record is not None:
            _poison(folder, order=record.order, reason=NOT_BEGUN)
        return state
    finally:
        os.close(lock)


def _poison(folder: TokenFolder, *, order: str, reason: str) -> None:
    folder.put_poison(PoisonRecord(token=folder.token, order=order, reason=reason))


def _sign(run: RunDirectory, folder: TokenFolder, world: World) -> None:
    """The signed absence, made once."""
    poison = folder.poison()
    if poison is None or folder.absence_file.exists():
        return
    key, boot = wiring.evidence_key(run), run.boot()
    absence = Absence.model_validate(
        {
            "schema": 1,
            "purpose": Purpose(boot.purpose),
            "nonce": world.random_bytes(16).hex(),
            "issued_at": world.now().replace(microsecond=0),
            "order": poison.order,
            "token": poison.token,
            "boot_id": boot.boot_id,
            "agent_key": key.public.raw.hex(),
            "is_final": True,
            "reason": poison.reason,
        }
    )
    statement = make(absence, (subject("token", hashlib.sha256(poison.token.encode()).hexdigest()),))
    durable.write_whole(folder.absence_file, envelope.sign(statement.payload(), key).write())
