"""What `expunge reconcile` prints with --json. Rules: as `api.documents`."""

from __future__ import annotations

from certificate.statements.statement import Count, Digest, KeyId, UtcSeconds
from controller.api.documents import Document


class HeadShown(Document):
    """A store's head: six fields, as `anchor.json` has them."""

    store_id: Digest
    epoch: Count
    machine_id: str
    ledger_seq: Count
    head: Digest
    log_size: Count


class OrderStanding(Document):
    """An order that may be out."""

    order: str
    host: str
    was: str
    is_answered: bool
    stands_until: UtcSeconds


class StoreStanding(Document):
    """How the store stands to its anchor, and what stands in the way of reconciling it."""

    standing: str
    because: str | None
    here: HeadShown
    #: Null where it is missing or damaged.
    anchor: HeadShown | None
    this_machine: str
    orders: tuple[OrderStanding, ...]
    #: Null where the store can be reconciled or needs not be.
    refused: dict[str, str] | None
    #: Who signed what would be signed now.
    signed: tuple[KeyId, ...]
    #: The earliest instant for the second signature; null before the first.
    not_before: UtcSeconds | None
