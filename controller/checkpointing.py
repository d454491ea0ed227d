"""Signing the log's next checkpoint: read size and root, sign outside any transaction, compare and set.

Whoever loses the race looks again: the other checkpoint may have been read before the entry waited for.

Nothing is signed while the store is not the one its anchor knows: the log of a restored store may have gone
on elsewhere, and a second tree of the same size under the same key would be a lie to whoever holds the first.
"""

from __future__ import annotations

from certificate.log import checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.log.proof import Proof
from controller.errors import LostRace
from controller.program import Program
from controller.store import log_rows

#: Each lost race means that another checkpoint was stored meanwhile, and there are only so many workers.
MAX_RACES = 50


def sign_due(program: Program) -> None:
    """Signs a checkpoint over every entry that has none yet; none while the store is frozen by its anchor.
    Raises LostRace if others were faster every time.
    """
    for _ in range(MAX_RACES - 1):
        try:
            return _sign_once(program)
        except LostRace:
            continue
    return _sign_once(program)


def _sign_once(program: Program) -> None:
    with program.store.snapshot() as tx:
        due = log_rows.unsigned(tx)
        is_frozen = program.keeper.compare(tx).is_frozen
    if due is None or is_frozen:
        return
    note = checkpoint.sign(
        Checkpoint(origin=program.documents.trust.log.origin, size=due.size, root=due.root),
        program.keyring.log,
    )
    with program.store.transaction() as tx:
        if program.keeper.compare(tx).is_frozen:
            return
        log_rows.store_checkpoint(tx, due, note=note, now=program.clock())


def proof_of(program: Program, seq: int) -> Proof | None:
    """The inclusion proof of entry `seq` under the first checkpoint stored that covers it, else None."""
    with program.store.snapshot() as tx:
        covering = log_rows.covering_checkpoint(tx, seq)
        if covering is None:
            return None
        hashes = log_rows.inclusion(tx, seq=seq, tree_size=covering.size)
    return Proof(index=seq, hashes=hashes, checkpoint_note=covering.note)
