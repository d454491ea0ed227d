"""What evidence is made of: the journal of one execution and what stands beside it.

Rules: nothing else is looked at when evidence is written; what was not handed in was not observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.journal import Kind
from agent.journal_bodies import BodyT, read_body
from agent.markers import PlacedMarker
from agent.tokens import TokenRecord
from certificate.keys import PublicKey
from certificate.messages import JournalLine
from certificate.statements import Order, Seen


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that evidence is made of. `acknowledged`: the lines whose acknowledgement stands.

    `placed`: the markers of each medium by its commitment, derived again. `unexpected_count`: drives that
    stand in no order, found at the start or at the end (`recount`), None where nobody looked at one of them.
    """

    order: Order
    order_digest: str
    record: TokenRecord
    agent_key: PublicKey
    has_secret: Seen
    lines: Sequence[JournalLine]
    head: str
    acknowledged: frozenset[int]
    placed: Mapping[str, tuple[PlacedMarker, ...]]
    marker_nonce: bytes
    unexpected_count: int | None
    was_attached: bool
    annex_digest: str
    finished_at_ms: int


def last(lines: Sequence[JournalLine], kind: Kind, body: type[BodyT]) -> BodyT | None:
    """The newest body of this kind. Raises Refused(JOURNAL_BROKEN)."""
    found = next((line for line in reversed(lines) if line.kind == kind), None)
    return None if found is None else read_body(found, body)
