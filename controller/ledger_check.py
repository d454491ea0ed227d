"""Checking a home's ledger without `serve`: the database is opened for reading, under the home's lock."""

from __future__ import annotations

from sqlalchemy import Connection

from controller.api.documents import LedgerChecked
from controller.home import Home
from controller.store import audit, ledger, open_store


def check_ledger(home: Home) -> LedgerChecked:
    """`checked` over this home's database; the caller holds its lock. Raises Refused(LEDGER_BROKEN)."""
    store = open_store(home.database, is_read_only=True)
    try:
        with store.snapshot() as tx:
            return checked(tx)
    finally:
        store.close()


def checked(tx: Connection) -> LedgerChecked:
    """What `audit` compared, and the head it holds for. Raises Refused(LEDGER_BROKEN)."""
    found = audit.check(tx)
    return LedgerChecked(
        events=found.events,
        deprovisions=found.deprovisions,
        log_entries=found.log_entries,
        checkpoints=found.checkpoints,
        head=ledger.head(tx)[1],
    )
