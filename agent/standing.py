"""What became of a token: `done | running | absent | unknown`, and the final `absent` that is signed.

Rules: an absence is final only when asked for, and what may have begun never gets one. Until the first
acknowledgement of an irreversible step stands, asking wins, even while the execution runs (DESIGN, rule 4):
1. Within one settling section: if neither an acknowledgement nor evidence stands, the token is poisoned,
   durably. From here on nothing of it can begin, because an acknowledgement is refused under the same lock;
   and no evidence is written, so that it never contradicts the absence.
2. The execution sees the poison where it waits for its permission and ends, having touched no drive. That is
   waited for, at most `STOP_SECONDS`; when it takes longer the answer is `running`, and asking again waits
   again. The token stays poisoned: giving up is not taken back.
3. Only when the execution lock is free, and the journal shows that nothing began, the absence is signed and
   kept; asking again gives the same one. Killed between 1 and 3, the next asking goes on at 2.

Until 3 the state is not `absent` by the poison: it is what the journal and the lock say, and no new order is
accepted. A token that this boot never accepted has no execution to wait for: it is poisoned and its absence
signed at once, so that an order which is still on its way finds it so.
"""

from __future__ import annotations

import hashlib
import os

from agent import durable, tokens, wiring
from agent.run_directory import RunDirectory
from agent.tokens import PoisonRecord, TokenFolder
from agent.world import World
from certificate import envelope
from certificate.messages import AskStatus, StatusAnswer, TokenState
from certificate.statements import Purpose, make, subject
from certificate.statements.host_records import Absence

NEVER_ACCEPTED, NOT_BEGUN = "ORDER_NEVER_ACCEPTED", "ORDER_NOT_BEGUN"

#: An execution sees the poison within one pause of its waiting (`permit`), or after the drive in its hand has
#: said what it is. Below the patience of a controller, which waits 30 s for an answer.
STOP_SECONDS = 10
STOP_PAUSE_SECONDS = 0.02
STOP_LOOKS = round(STOP_SECONDS / STOP_PAUSE_SECONDS)


def status(run: RunDirectory, ask: AskStatus, *, world: World) -> StatusAnswer:
    """The answer to `ask`. Raises Refused: TOKEN_UNKNOWN for what is no token, NOT_BOOTED, JOURNAL_BROKEN."""
    boot = run.boot()
    folder = tokens.folder(run, ask.token)
    state = _finalise(run, folder, world) if ask.finalise else _state(run, folder)
    is_final = state is TokenState.ABSENT and folder.absence_file.exists()
    return StatusAnswer(
        token=ask.token,
        boot_id=boot.boot_id,
        state=state.value,
        journal_lines=len(folder.journal().lines),
        absence=folder.absence_file.read_text() if is_final else None,
    )


def _state(run: RunDirectory, folder: TokenFolder) -> TokenState:
    # The lock is looked at first: a journal that grew since then can only say more.
    is_executing = run.is_executing()
    return folder.state(is_executing=is_executing)


def _finalise(run: RunDirectory, folder: TokenFolder, world: World) -> TokenState:
    with run.settling():
        _give_up(folder)
        if folder.poison() is None:
            return _state(run, folder)
        if folder.record() is None:
            _sign(run, folder, world)
        if folder.absence_file.exists():
            return TokenState.ABSENT
    if (lock := _await_end(run, world)) is None:
        return folder.state(is_executing=True)
    try:
        with run.settling():
            state = folder.state(is_executing=False)
            if state is TokenState.ABSENT:
                _sign(run, folder, world)
            return state
    finally:
        os.close(lock)


def _give_up(folder: TokenFolder) -> None:
    """Poisons the token, unless that was done, or something may have begun, or the evidence says all."""
    if folder.poison() is not None:
        return
    record = folder.record()
    if record is None:
        _poison(folder, order="not_applicable", reason=NEVER_ACCEPTED)
        return
    journal = folder.journal()
    if not journal.has_evidence and not folder.may_have_begun(journal):
        _poison(folder, order=record.order, reason=NOT_BEGUN)


def _await_end(run: RunDirectory, world: World) -> int | None:
    """The execution lock as soon as nobody holds it, None when that takes too long."""
    for _ in range(STOP_LOOKS):
        if not run.is_executing():
            return run.take_lock()
        world.pause(STOP_PAUSE_SECONDS)
    return None


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
