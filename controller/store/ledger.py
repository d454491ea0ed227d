"""The ledger: every fact that mattered, in order, each event sealed to the one before.

Rules: append only (triggers refuse the rest); an event's digest is SHA-256 over RFC 8785 of its sequence
number, time, kind, deprovision, body and the digest before it, so that whoever alters, drops or inserts one
breaks every later one; the first stands on 64 zeros; numbers run from 1 without gaps. An event is appended in
the transaction that does what it tells. What may stand in a body: `events`. On a database with several
writers the primary key makes the slower of two lose.

KNOWN GAP: a ledger whose end was cut off is whole in itself; only the anchor knows that it was longer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Row,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError

from certificate import strict_json
from certificate.errors import Malformed, Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Code, LostRace
from controller.states import State
from controller.store.append_only import refuse_changes
from controller.store.columns import (
    IDENTIFIER_CHARACTERS,
    MAX_JSON_BYTES,
    METADATA,
    digest_column,
)
from controller.store.events import (
    DeprovisionScheduled,
    Event,
    StateMoved,
    ValidationTableTaken,
    time_text,
)

#: What the first event stands on.
NOTHING_BEFORE = "0" * 64
_STATES = {state.value: state for state in State}
#: Events read at once while checking or exporting; bounds memory.
_BATCH = 1000

ledger_event = Table(
    "ledger_event",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("deprovision", String(IDENTIFIER_CHARACTERS), nullable=True),
    Column("body", Text, nullable=False),
    digest_column("previous"),
    digest_column("digest", unique=True),
    Index("ix_ledger_event_deprovision", "deprovision", "seq"),
)
#: Every plan and dispatch asks which table is the newest; there are as many of these as tables.
_IS_A_TABLE = text(f"kind = '{ValidationTableTaken.kind}'")
Index(
    "ix_ledger_event_validation_table",
    ledger_event.c.seq,
    sqlite_where=_IS_A_TABLE,
    postgresql_where=_IS_A_TABLE,
)
refuse_changes(ledger_event)

# Every act of the controller runs these two: built once, because building one takes as long as running it.
_INSERT = insert(ledger_event)
_HEAD = select(ledger_event.c.seq, ledger_event.c.digest).order_by(ledger_event.c.seq.desc()).limit(1)


@dataclass(frozen=True, kw_only=True)
class LedgerEvent:
    """One event as it is stored."""

    #: From 1, without gaps.
    seq: int
    #: YYYY-MM-DDTHH:MM:SS.ffffffZ, by the controller's clock.
    at: str
    #: The name of a class of `events`.
    kind: str
    deprovision: str | None
    #: Canonical JSON of the body, exactly as it was sealed.
    body_text: str
    previous: str
    digest: str

    @property
    def body(self) -> dict[str, Any]:
        return strict_json.load_object(
            self.body_text.encode(), max_bytes=MAX_JSON_BYTES, what=f"ledger event {self.seq}"
        )

    @property
    def is_sealed(self) -> bool:
        """Whether the digest is that of these very fields, and the body's text the canonical one."""
        try:
            body = self.body
        except Malformed:
            return False
        seal = _seal(
            seq=self.seq,
            at=self.at,
            kind=self.kind,
            deprovision=self.deprovision,
            body=body,
            previous=self.previous,
        )
        return seal == self.digest and rfc8785.dumps(body).decode() == self.body_text

    def line(self) -> str:
        """The event as one line of `ledger.jsonl`, without line feed; its digest can be computed from it."""
        fields = {
            "seq": self.seq,
            "at": self.at,
            "kind": self.kind,
            "deprovision": self.deprovision,
            "body": self.body,
            "previous": self.previous,
            "digest": self.digest,
        }
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, kw_only=True)
class Folded:
    """What the ledger alone says of one deprovision."""

    state: State
    attempt: int


def append(tx: Connection, event: Event, *, now: datetime) -> LedgerEvent:
    """Adds `event`. Raises Refused(LEDGER_TEXT_REFUSED) for a body that holds what must not be here, LostRace
    when another writer's event came first: then the whole transaction is done again.
    """
    return append_all(tx, (event,), now=now)[0]


def append_all(tx: Connection, events: Sequence[Event], *, now: datetime) -> tuple[LedgerEvent, ...]:
    """Adds `events` in this order, as `append` does one after the other; no events add nothing."""
    seq, previous = head(tx)
    at = time_text(now)
    appended: list[LedgerEvent] = []
    for event in events:
        told = _sealed(event, seq=seq + 1, at=at, previous=previous)
        seq, previous = told.seq, told.digest
        appended.append(told)
    if not appended:
        return ()
    try:
        tx.execute(_INSERT, [_values(told) for told in appended])
    except IntegrityError:
        raise LostRace("ledger", str(appended[0].seq - 1), 0) from None
    return tuple(appended)


def _sealed(event: Event, *, seq: int, at: str, previous: str) -> LedgerEvent:
    body = event.body()
    deprovision = None if event.deprovision is None else str(event.deprovision)
    return LedgerEvent(
        seq=seq,
        at=at,
        kind=event.kind,
        deprovision=deprovision,
        body_text=rfc8785.dumps(body).decode(),
        previous=previous,
        digest=_seal(seq=seq, at=at, kind=event.kind, deprovision=deprovision, body=body, previous=previous),
    )


def _values(told: LedgerEvent) -> dict[str, Any]:
    return {
        "seq": told.seq,
        "at": told.at,
        "kind": told.kind,
        "deprovision": told.deprovision,
        "body": told.body_text,
        "previous": told.previous,
        "digest": told.digest,
    }


def head(tx: Connection) -> tuple[int, str]:
    """Number and digest of the newest event; (0, 64 zeros) while there is none."""
    newest = tx.execute(_HEAD).one_or_none()
    return (0, NOTHING_BEFORE) if newest is None else (newest.seq, newest.digest)


def digest_at(tx: Connection, seq: int) -> str | None:
    """The digest of event `seq`, NOTHING_BEFORE for 0, None for one that is not there."""
    if seq == 0:
        return NOTHING_BEFORE
    found: str | None = tx.scalar(select(ledger_event.c.digest).where(ledger_event.c.seq == seq))
    return found


def events(
    tx: Connection, *, after_seq: int = 0, deprovision: DeprovisionId | None = None
) -> Iterator[LedgerEvent]:
    """Events in order, all or one deprovision's, read in batches."""
    while True:
        query = select(ledger_event).where(ledger_event.c.seq > after_seq)
        if deprovision is not None:
            query = query.where(ledger_event.c.deprovision == str(deprovision))
        batch = tx.execute(query.order_by(ledger_event.c.seq).limit(_BATCH)).all()
        yield from (_event(row) for row in batch)
        if len(batch) < _BATCH:
            return
        after_seq = batch[-1].seq


def newest(tx: Connection, kind: str) -> LedgerEvent | None:
    """The last event of this kind; None where there is none. Quick for those that have an index of their own;
    for any other it reads the whole ledger.
    """
    # Written into the statement, because a database matches an index's condition with no parameter.
    of_this_kind = ledger_event.c.kind == bindparam("kind", kind, literal_execute=True)
    query = select(ledger_event).where(of_this_kind)
    row = tx.execute(query.order_by(ledger_event.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _event(row)


def export(tx: Connection) -> Iterator[str]:
    """The lines of `ledger.jsonl`, each with its line feed."""
    return (f"{event.line()}\n" for event in events(tx))


def check(tx: Connection) -> int:
    """Computes the whole chain again and returns the number of events. Raises Refused(LEDGER_BROKEN), naming
    the first event that does not fit.
    """
    count, previous = 0, NOTHING_BEFORE
    for event in events(tx):
        count += 1
        if event.seq != count:
            raise Refused(Code.LEDGER_BROKEN, f"event {count} is missing, {event.seq} follows")
        if event.previous != previous:
            raise Refused(Code.LEDGER_BROKEN, f"event {event.seq} does not stand on the one before")
        if not event.is_sealed:
            raise Refused(Code.LEDGER_BROKEN, f"event {event.seq} was altered")
        previous = event.digest
    if count != (tx.scalar(select(func.count()).select_from(ledger_event)) or 0):
        raise Refused(Code.LEDGER_BROKEN, "the ledger holds events outside its order")
    return count


def fold(told: Iterable[LedgerEvent]) -> dict[DeprovisionId, Folded]:
    """The state of each deprovision as the ledger alone tells it.

    Raises Refused(LEDGER_BROKEN) for a move from a state in which the deprovision was not.
    """
    states: dict[DeprovisionId, Folded] = {}
    for event in told:
        if event.kind not in (DeprovisionScheduled.kind, StateMoved.kind):
            continue
        key, body = DeprovisionId.parse(event.deprovision or ""), event.body
        if event.kind == DeprovisionScheduled.kind:
            if key in states:
                raise Refused(Code.LEDGER_BROKEN, f"event {event.seq} schedules {key} a second time")
            states[key] = Folded(state=_STATES[body["state"]], attempt=body["attempt"])
            continue
        if key not in states or states[key].state != body["old"]:
            raise Refused(Code.LEDGER_BROKEN, f"event {event.seq} moves {key} from a state it was not in")
        states[key] = Folded(state=_STATES[body["new"]], attempt=body["attempt"])
    return states


def _seal(
    *, seq: int, at: str, kind: str, deprovision: str | None, body: dict[str, Any], previous: str
) -> str:
    sealed: dict[str, Any] = {
        "seq": seq,
        "at": at,
        "kind": kind,
        "deprovision": deprovision,
        "body": body,
        "previous": previous,
    }
    return hashlib.sha256(rfc8785.dumps(sealed)).hexdigest()


def _event(row: Row[Any]) -> LedgerEvent:
    return LedgerEvent(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        deprovision=row.deprovision,
        body_text=row.body,
        previous=row.previous,
        digest=row.digest,
    )
