"""`expunge ledger check`: the ledger alone must tell what the rows say.

Rules: the chain computes; every state and attempt folded from the ledger is the row's, and no row is without
events; the log's entries, numbered from 0, have each their event with the same leaf hash, no event names an
entry that is not there; every checkpoint has the root of this log. The first difference is LEDGER_BROKEN.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from certificate.errors import Malformed, Refused
from certificate.log import merkle
from controller.errors import Code
from controller.store import deprovisions, ledger, log_rows
from controller.store.events import LogEntryAdded


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was compared and found to agree."""

    events: int
    deprovisions: int
    log_entries: int
    checkpoints: int


def check(tx: Connection) -> Audit:
    """Compares everything, in one snapshot. Raises Refused(LEDGER_BROKEN)."""
    events = ledger.check(tx)
    return Audit(
        events=events,
        deprovisions=_check_states(tx),
        log_entries=_check_log(tx),
        checkpoints=_check_checkpoints(tx),
    )


def _check_states(tx: Connection) -> int:
    told = ledger.fold(ledger.events(tx))
    rows = {row.id: row for row in deprovisions.all_deprovisions(tx)}
    for key in sorted(told.keys() | rows.keys()):
        if key not in rows or key not in told:
            raise Refused(
                Code.LEDGER_BROKEN, f"{key} stands in {'the ledger' if key in told else 'a row'} only"
            )
        row = rows[key]
        if (told[key].state, told[key].attempt) != (row.state, row.attempt):
            raise Refused(
                Code.LEDGER_BROKEN,
                f"{key} is {row.state} in attempt {row.attempt}, but the ledger tells of {told[key].state} in"
                f" {told[key].attempt}",
            )
    return len(rows)


def _check_log(tx: Connection) -> int:
    told = {event.body["log_seq"]: event for event in ledger.events(tx) if event.kind == LogEntryAdded.kind}
    try:
        entries = log_rows.entries(tx)
    except (Malformed, ValueError) as error:
        raise Refused(Code.LEDGER_BROKEN, f"an entry of the log cannot be read: {error}") from None
    for expected, entry in enumerate(entries):
        event = told.pop(entry.seq, None)
        if entry.seq != expected or event is None or event.seq != entry.ledger_seq:
            raise Refused(Code.LEDGER_BROKEN, f"log entry {entry.seq} and its ledger event do not agree")
        if not merkle.leaf_hash(entry.entry).hex() == entry.leaf_hash == event.body["leaf_hash"]:
            raise Refused(Code.LEDGER_BROKEN, f"log entry {entry.seq} was altered")
    if told:
        raise Refused(Code.LEDGER_BROKEN, f"log entry {min(told)} is missing")
    return len(entries)


def _check_checkpoints(tx: Connection) -> int:
    sizes = tuple(tx.scalars(select(log_rows.log_checkpoint.c.size).order_by(log_rows.log_checkpoint.c.size)))
    for size in sizes:
        stored = log_rows.load_checkpoint(tx, size)
        if size > log_rows.size(tx) or log_rows.root(tx, tree_size=size).hex() != stored.root:
            raise Refused(Code.LEDGER_BROKEN, f"the checkpoint of {size} entries is not of this log")
    return len(sizes)
