"""Signing the log's next checkpoint: size and root are read, signed outside any transaction, stored by
compare-and-set.

Whoever loses the race needs nothing: another checkpoint covers the same entries or will be signed next time.
"""

from __future__ import annotations

from certificate.log import checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.log.proof import Proof
from controller.errors import LostRace
from controller.program import Program
from controller.store import log_rows


def sign_due(program: Program) -> None:
    """Signs a checkpoint over every entry that has none yet."""
    with program.store.snapshot() as tx:
        due = log_rows.unsigned(tx)
    if due is None:
        return
    note = checkpoint.sign(
        Checkpoint(origin=program.documents.trust.log.origin, size=due.size, root=due.root),
        program.keyring.log,
    )
    try:
        with program.store.transaction() as tx:
            log_rows.store_checkpoint(tx, due, note=note, now=program.clock())
    except LostRace:
        return


def proof_of(program: Program, seq: int) -> Proof | None:
    """The inclusion proof of entry `seq` under the first checkpoint stored that covers it, else None."""
    with program.store.snapshot() as tx:
        covering = log_rows.covering_checkpoint(tx, seq)
        if covering is None:
            return None
        hashes = log_rows.inclusion(tx, seq=seq, tree_size=covering.size)
    return Proof(index=seq, hashes=hashes, checkpoint_note=covering.note)
