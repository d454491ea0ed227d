"""Holds and freezes: reasons for waiting that people set, and only people lift.

Rules: a hold covers one host, a freeze everything; one person sets either, lifting names the decision that
two signed (checking it is the caller's); a stop is never deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, String, Table, Text, insert, or_, select, update

from certificate.identifiers import HostId
from controller.errors import LostRace
from controller.store import hosts, ledger
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, counted_key, digest_column
from controller.store.events import StopLifted, Stopped

stop = Table(
    "stop",
    METADATA,
    counted_key("number"),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), nullable=True, index=True),
    Column("author", String(60), nullable=False),
    Column("matter", Text, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("review_at", UtcDateTime, nullable=False),
    Column("lifted_at", UtcDateTime, nullable=True),
    digest_column("lifted_by", nullable=True),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A hold (with a host) or a freeze (without)."""

    number: int
    host: HostId | None
    #: Fingerprint of the operator's key.
    author: str
    #: Why, for people.
    matter: str
    set_at: datetime
    #: When somebody must look at it again; it does not end by itself.
    review_at: datetime
    lifted_at: datetime | None
    #: Digest of the decision that lifted it.
    lifted_by: str | None


def begin(
    tx: Connection,
    *,
    host_id: HostId | None,
    author: str,
    matter: str,
    review_at: datetime,
    now: datetime,
) -> int:
    """Sets a stop and returns its number. `author`: a key's fingerprint."""
    number: int = tx.execute(
        insert(stop)
        .values(host=host_id, author=author, matter=matter, set_at=now, review_at=review_at)
        .returning(stop.c.number)
    ).scalar_one()
    ledger.append(tx, Stopped(number=number, host=host_id, author=author), now=now)
    return number


def lift(tx: Connection, number: int, *, decision_digest: str, now: datetime) -> None:
    """Raises LostRace when it is lifted already or never was."""
    believed = (stop.c.number == number) & stop.c.lifted_at.is_(None)
    lifted = update(stop).where(believed).values(lifted_at=now, lifted_by=decision_digest)
    if tx.execute(lifted).rowcount != 1:
        raise LostRace(f"stop {number}", "set", 0)
    ledger.append(tx, StopLifted(number=number, decision_digest=decision_digest), now=now)


def standing(tx: Connection, host_id: HostId) -> tuple[Stop, ...]:
    """Every stop that covers this host now: its own holds and the freezes, oldest first."""
    covers = or_(stop.c.host == host_id, stop.c.host.is_(None))
    query = select(stop).where(covers, stop.c.lifted_at.is_(None)).order_by(stop.c.number)
    return tuple(Stop(**row._mapping) for row in tx.execute(query))


def freezes(tx: Connection) -> tuple[Stop, ...]:
    """Every freeze that stands."""
    query = select(stop).where(stop.c.host.is_(None), stop.c.lifted_at.is_(None)).order_by(stop.c.number)
    return tuple(Stop(**row._mapping) for row in tx.execute(query))
