"""Checking the ledger: is the chain whole, and does it alone tell what the tables say?

Rules: the chain is computed again from its first event; every deprovision's state and attempt must equal the
fold of its events, none missing and none too many; every log entry must be told by an event, with the same
leaf, and the newest checkpoint must have the root of this tree. The first difference is a refusal.
"""

from __future__ import annotations

from sqlalchemy import Connection

from certificate.errors import Refused
from controller.api.documents import LedgerChecked
from controller.errors import Code
from controller.home import Home
from controller.store import deprovisions, ledger, log_rows
from controller.store.engine import open_store
from controller.store.events import LogEntryAdded


def check_ledger(home: Home) -> LedgerChecked:
    """`checked` over this home's database, opened for reading. The caller holds the home's lock."""
    store = open_store(home.database, is_read_only=True)
    try:
        with store.snapshot() as tx:
            return checked(tx)
    finally:
        store.close()


def checked(tx: Connection) -> LedgerChecked:
    """What was recomputed. Raises Refused(LEDGER_BROKEN)."""
    count = ledger.check(tx)
    deprovision_count = _check_states(tx)
    log_size = _check_log(tx)
    seq, head = ledger.head(tx)
    if seq != count:
        raise Refused(Code.LEDGER_BROKEN, f"{count} events, but the newest is {seq}")
    return LedgerChecked(events=count, deprovisions=deprovision_count, log_size=log_size, head=head)


def _check_states(tx: Connection) -> int:
    told = ledger.fold(ledger.events(tx))
    stored = {
        row.id: ledger.Folded(state=row.state, attempt=row.attempt)
        for row in deprovisions.all_deprovisions(tx)
    }
    for key in sorted(told.keys() | stored.keys()):
        if told.get(key) != stored.get(key):
            raise Refused(
                Code.LEDGER_BROKEN,
                f"{key}: the ledger tells {_shown(told.get(key))}, the table holds {_shown(stored.get(key))}",
            )
    return len(stored)


def _check_log(tx: Connection) -> int:
    told = [event.body for event in ledger.events(tx) if event.kind == LogEntryAdded.kind]
    stored = log_rows.entries(tx)
    if len(told) != len(stored):
        raise Refused(Code.LEDGER_BROKEN, f"the ledger tells {len(told)} log entries of {len(stored)}")
    for body, entry in zip(told, stored, strict=True):
        if (body["log_seq"], body["leaf_hash"]) != (entry.seq, entry.leaf_hash):
            raise Refused(Code.LEDGER_BROKEN, f"log entry {entry.seq} is not the one that the ledger tells")
    newest = log_rows.latest_checkpoint(tx)
    if newest is not None and log_rows.root(tx, tree_size=newest.size).hex() != newest.root:
        raise Refused(Code.LEDGER_BROKEN, f"the checkpoint of {newest.size} entries has another root")
    return len(stored)


def _shown(folded: ledger.Folded | None) -> str:
    return "nothing" if folded is None else f"{folded.state}, attempt {folded.attempt}"
