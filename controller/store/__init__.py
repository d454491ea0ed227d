"""The controller's memory: rows that change by compare-and-set, a ledger that only grows, a log that is
public.

Promise: what a transaction returned from is on disk; nothing is changed that was not named as it was; no
module here does I/O besides the database (`anchor` writes its one file); times, ids and random bytes are
handed in. One module an aggregate; each function takes an open transaction and returns frozen rows. Raises
`LostRace` when somebody moved first.
"""

from controller.store import (
    alarms,
    anchor,
    audit,
    boots,
    decisions,
    declarations,
    departures,
    deprovisions,
    destructions,
    effects_begun,
    evidence,
    hints,
    hosts,
    identity,
    journal,
    ledger,
    log_rows,
    notices,
    observations,
    orders,
    outcomes,
    plans,
    private,
    revocations,
    sightings,
    stops,
    tenancies,
)
from controller.store.anchor import AnchorKeeper
from controller.store.columns import METADATA
from controller.store.engine import Store, create_store, open_store
from controller.store.head import Head, read_head

__all__ = [
    "METADATA",
    "AnchorKeeper",
    "Head",
    "Store",
    "alarms",
    "anchor",
    "audit",
    "boots",
    "create_store",
    "decisions",
    "declarations",
    "departures",
    "deprovisions",
    "destructions",
    "effects_begun",
    "evidence",
    "hints",
    "hosts",
    "identity",
    "journal",
    "ledger",
    "log_rows",
    "notices",
    "observations",
    "open_store",
    "orders",
    "outcomes",
    "plans",
    "private",
    "read_head",
    "revocations",
    "sightings",
    "stops",
    "tenancies",
]
