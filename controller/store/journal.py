"""The agent's journal as it reached us, line by line, and the steps that were acknowledged.

Rules: a line is stored as the bytes that came, before anything is answered; the same line again is no news;
another line under the same number is JOURNAL_FORKED and a missing one JOURNAL_GAP, and neither is stored. A
step of an order is acknowledged once: the same request again gets the same grant, another request for that
step gets none. A grant is made only while the deprovision is `erasing` under this fence and the order is
dispatched, in the transaction that says so (DESIGN.md, rule 4); that all guards hold and the store is not
frozen is the caller's to check in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
)

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, OrderId
from certificate.messages import JournalLine
from controller.errors import Code, LostRace
from controller.states import State
from controller.store import deprovisions, ledger, orders
from controller.store.append_only import refuse_changes
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, digest_column, row_values
from controller.store.events import AcknowledgementGranted

#: What the first line stands on.
NOTHING_BEFORE = "0" * 64

journal_line = Table(
    "journal_line",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(orders.order.c.id), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("step", String(200), nullable=False),
    Column("needs_ack", Boolean(name="needs_ack", create_constraint=True), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("line", LargeBinary, nullable=False),
    digest_column("line_digest"),
    Column("received_at", UtcDateTime, nullable=False),
)
refuse_changes(journal_line)

acknowledgement = Table(
    "acknowledgement",
    METADATA,
    Column("erase_order", IdentifierType(OrderId), ForeignKey(orders.order.c.id), primary_key=True),
    Column("step", String(200), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("requested_at_ms", BigInteger, nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    UniqueConstraint("erase_order", "seq"),
)
refuse_changes(acknowledgement)


@dataclass(frozen=True, kw_only=True)
class StoredLine:
    """One journal line."""

    erase_order: OrderId
    seq: int
    kind: str
    #: What an acknowledgement of this line allows.
    step: str
    needs_ack: bool
    #: The agent's CLOCK_BOOTTIME.
    at_ms: int
    #: The bytes that came.
    line: bytes
    line_digest: str
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """A step that may begin; good for 60 s of the agent's clock from the line that asked."""

    erase_order: OrderId
    step: str
    #: The journal line that asked.
    seq: int
    #: That line's time on the agent's clock.
    requested_at_ms: int
    granted_at: datetime


def store_line(tx: Connection, key: OrderId, *, read: JournalLine, line: bytes, now: datetime) -> StoredLine:
    """Keeps `line` (with its line feed), of which `read` is the reading.

    Raises Refused: NOT_THIS_ORDER for another token, JOURNAL_FORKED for a second line under one number,
    JOURNAL_GAP for one that does not stand on the line before.
    """
    if read.token != orders.load(tx, key).token:
        raise Refused(Code.NOT_THIS_ORDER, f"a journal line for {key} names another token")
    known = line_at(tx, key, read.seq)
    if known is not None:
        if known.line != line:
            raise Refused(Code.JOURNAL_FORKED, f"{key} has two journal lines {read.seq}")
        return known
    last = last_line(tx, key)
    expected = (0, NOTHING_BEFORE) if last is None else (last.seq + 1, last.line_digest)
    if (read.seq, read.previous) != expected:
        raise Refused(Code.JOURNAL_GAP, f"line {read.seq} of {key} does not stand on the newest we have")
    new = StoredLine(
        erase_order=key,
        seq=read.seq,
        kind=read.kind,
        step=read.step,
        needs_ack=read.needs_ack,
        at_ms=read.at_ms,
        line=line,
        line_digest=hashlib.sha256(line).hexdigest(),
        received_at=now,
    )
    tx.execute(insert(journal_line).values(row_values(journal_line, new)))
    return new


def line_at(tx: Connection, key: OrderId, seq: int) -> StoredLine | None:
    where = (journal_line.c.erase_order == key) & (journal_line.c.seq == seq)
    row = tx.execute(select(journal_line).where(where)).one_or_none()
    return None if row is None else _line(row)


def last_line(tx: Connection, key: OrderId) -> StoredLine | None:
    """The newest line we have; None before the first."""
    query = select(journal_line).where(journal_line.c.erase_order == key)
    row = tx.execute(query.order_by(journal_line.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _line(row)


def lines(tx: Connection, key: OrderId) -> tuple[StoredLine, ...]:
    """All we have, in order."""
    query = select(journal_line).where(journal_line.c.erase_order == key).order_by(journal_line.c.seq)
    return tuple(_line(row) for row in tx.execute(query))


def grant(tx: Connection, key: OrderId, *, seq: int, fence: int, now: datetime) -> Acknowledgement:
    """Allows the step that journal line `seq` asks for; the same again for the same line.

    Raises LostRace unless the deprovision is `erasing` under `fence` and the order dispatched; Refused:
    NOT_IN_STORE for a line we do not have or that asks for nothing, ALREADY_STORED when another line was
    given that step.
    """
    asked = line_at(tx, key, seq)
    if asked is None or not asked.needs_ack:
        raise Refused(Code.NOT_IN_STORE, f"line {seq} of {key} asks for no acknowledgement")
    owner = orders.load(tx, key)
    deprovisions.confirm(tx, owner.deprovision, state=State.ERASING, fence=fence)
    if owner.state is not orders.OrderState.DISPATCHED:
        raise LostRace(key, orders.OrderState.DISPATCHED, fence)
    if (granted := acknowledged(tx, key, asked.step)) is not None:
        if granted.seq != seq:
            raise Refused(Code.ALREADY_STORED, f"step {asked.step} of {key} was given to line {granted.seq}")
        return granted
    new = Acknowledgement(
        erase_order=key, step=asked.step, seq=seq, requested_at_ms=asked.at_ms, granted_at=now
    )
    tx.execute(insert(acknowledgement).values(row_values(acknowledgement, new)))
    event = AcknowledgementGranted(deprovision=owner.deprovision, order=key, journal_seq=seq, step=asked.step)
    ledger.append(tx, event, now=now)
    return new


def acknowledged(tx: Connection, key: OrderId, step: str) -> Acknowledgement | None:
    where = (acknowledgement.c.erase_order == key) & (acknowledgement.c.step == step)
    row = tx.execute(select(acknowledgement).where(where)).one_or_none()
    return None if row is None else Acknowledgement(**row._mapping)


def acknowledgements(tx: Connection, key: OrderId) -> tuple[Acknowledgement, ...]:
    """Every step granted to this order, in order of the lines that asked."""
    query = select(acknowledgement).where(acknowledgement.c.erase_order == key)
    rows = tx.execute(query.order_by(acknowledgement.c.seq))
    return tuple(Acknowledgement(**row._mapping) for row in rows)


def last_granted_at(tx: Connection, key: DeprovisionId) -> datetime | None:
    """When a step was last acknowledged, in any attempt of this deprovision."""
    query = (
        select(func.max(acknowledgement.c.granted_at))
        .join(orders.order, orders.order.c.id == acknowledgement.c.erase_order)
        .where(orders.order.c.deprovision == key)
    )
    granted_at: datetime | None = tx.scalar(query)
    return granted_at


def _line(row: Row[Any]) -> StoredLine:
    return StoredLine(**row._mapping)
