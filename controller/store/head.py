"""Where a store stands: the six fields that are kept a second time outside the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class Head:
    """FORMATS.md, "Home": the content of `anchor.json`."""

    store_id: str
    epoch: int
    machine_id: str
    #: Number of the newest ledger event.
    ledger_seq: int
    #: Its digest, 64 hexadecimal digits.
    head: str
    #: Entries of the public log.
    log_size: int


def read_head(tx: Connection) -> Head:
    """The head as this transaction sees it, its own changes included. Raises Refused(NOT_IN_STORE)."""
    # Imported here because the engine, which every module of the store stands on, needs only the class.
    from controller.store import identity, ledger, log_rows

    who = identity.load(tx)
    seq, digest = ledger.head(tx)
    return Head(
        store_id=who.store_id,
        epoch=who.epoch,
        machine_id=who.machine_id,
        ledger_seq=seq,
        head=digest,
        log_size=log_rows.size(tx),
    )
