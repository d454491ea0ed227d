"""Holds, freezes and tripped breakers: reasons for waiting that only people lift.

Rules: a hold covers what its scope names, a freeze and a breaker cover everything; one person sets a hold,
anybody freezes, the controller itself trips a breaker; lifting names the matter that two signed (checking it
is the caller's); a stop is never deleted, and none ends by itself: past its review date it still stands.
A hold covers the hosts that its scope named when it was set, by row, and those that it names now: no change
of a host's site, rack or customer takes a hold from it.

A hold on a rack covers racks of that name at every site, because holding too much harms nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Row,
    Select,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from certificate.errors import Refused
from certificate.identifiers import HostId
from controller.errors import Code, LostRace
from controller.store import hosts, ledger, tenancies
from controller.store.append_only import refuse_changes
from controller.store.columns import (
    METADATA,
    IdentifierType,
    UtcDateTime,
    counted_key,
    digest_column,
    one_of,
)
from controller.store.events import StopLifted, Stopped
from controller.store.hosts import Host

#: Who froze without a key: whoever reached the socket.
ANYONE = "anyone"
#: Whom the controller names where it stops by itself.
BREAKER_AUTHOR = "breaker"


class StopKind(StrEnum):
    #: Keeps what it covers from being wiped; two operators release it.
    HOLD = "hold"
    #: Stops everything that is not yet irreversible; two operators thaw.
    FREEZE = "freeze"
    #: The source says so many endings that none is believed; two operators thaw.
    BREAKER = "breaker"


class ScopeKind(StrEnum):
    HOST = "host"
    SITE = "site"
    RACK = "rack"
    CUSTOMER = "customer"
    EVERYTHING = "everything"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a stop covers; exactly the field that its kind names is set."""

    kind: ScopeKind
    host: HostId | None = None
    #: The name of a site or rack.
    place: str | None = None
    #: Keyed pseudonym of a customer.
    customer_ref: str | None = None

    def covers(self, host: Host, customer_refs: frozenset[str]) -> bool:
        """Whether it covers this host. `customer_refs`: of everybody whom the host concerns."""
        match self.kind:
            case ScopeKind.EVERYTHING:
                return True
            case ScopeKind.HOST:
                return self.host == host.id
            case ScopeKind.SITE:
                return self.place == host.site
            case ScopeKind.RACK:
                return self.place == host.rack
            case ScopeKind.CUSTOMER:
                return self.customer_ref in customer_refs


EVERYTHING = Scope(kind=ScopeKind.EVERYTHING)

stop = Table(
    "stop",
    METADATA,
    counted_key("number"),
    Column("kind", one_of(StopKind, "kind"), nullable=False),
    Column("scope", one_of(ScopeKind, "scope"), nullable=False),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), nullable=True, index=True),
    Column("place", String(120), nullable=True),
    digest_column("customer_ref", nullable=True),
    Column("author", String(60), nullable=False),
    Column("matter", Text, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("review_at", UtcDateTime, nullable=False),
    Column("lifted_at", UtcDateTime, nullable=True),
    digest_column("lifted_by", nullable=True),
    sqlite_autoincrement=True,
)

#: What a hold's scope named when it was set. Written once.
hold_host = Table(
    "hold_host",
    METADATA,
    Column(
        "stop", counted_key("stop").type, ForeignKey(stop.c.number), primary_key=True, autoincrement=False
    ),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), primary_key=True, index=True),
)
refuse_changes(hold_host)

#: What these cover can shift under a hold; the other kinds name one host for ever, or every host.
_SHIFTING = frozenset({ScopeKind.SITE, ScopeKind.RACK, ScopeKind.CUSTOMER})


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A hold, a freeze or a tripped breaker."""

    number: int
    kind: StopKind
    scope: Scope
    #: Fingerprint of the operator's key, ANYONE or BREAKER_AUTHOR.
    author: str
    #: Why, for people.
    matter: str
    set_at: datetime
    #: When somebody must look at it again; it does not end by itself.
    review_at: datetime
    lifted_at: datetime | None
    #: Digest of the matter that people signed to lift it; the decisions are found by it.
    lifted_by: str | None


def begin(
    tx: Connection,
    *,
    kind: StopKind,
    author: str,
    matter: str,
    review_at: datetime,
    now: datetime,
    scope: Scope = EVERYTHING,
) -> int:
    """Sets a stop and returns its number."""
    if scope.kind is not ScopeKind.EVERYTHING and kind is not StopKind.HOLD:
        raise ValueError(f"a {kind} covers everything")
    number: int = tx.execute(
        insert(stop)
        .values(
            kind=kind,
            scope=scope.kind,
            host=scope.host,
            place=scope.place,
            customer_ref=scope.customer_ref,
            author=author,
            matter=matter,
            set_at=now,
            review_at=review_at,
        )
        .returning(stop.c.number)
    ).scalar_one()
    event = Stopped(
        number=number,
        stop=kind,
        scope=scope.kind,
        host=scope.host,
        customer_ref=scope.customer_ref,
        author=author,
    )
    ledger.append(tx, event, now=now)
    if scope.kind in _SHIFTING:
        rows = [{"stop": number, "host": host.id} for host in named(tx, scope)]
        if rows:
            tx.execute(insert(hold_host), rows)
    return number


def lift(tx: Connection, number: int, *, decision_digest: str, now: datetime) -> None:
    """`decision_digest`: of the matter that was signed. Raises LostRace when it is lifted already or never
    was.
    """
    believed = (stop.c.number == number) & stop.c.lifted_at.is_(None)
    lifted = update(stop).where(believed).values(lifted_at=now, lifted_by=decision_digest)
    if tx.execute(lifted).rowcount != 1:
        raise LostRace(f"stop {number}", "set", 0)
    ledger.append(tx, StopLifted(number=number, decision_digest=decision_digest), now=now)


def load(tx: Connection, number: int) -> Stop:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(stop).where(stop.c.number == number)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"no stop has the number {number}")
    return _stop(row)


def all_standing(tx: Connection) -> tuple[Stop, ...]:
    """Every stop that nobody lifted, oldest first."""
    return _found(tx, select(stop).where(stop.c.lifted_at.is_(None)))


def standing(tx: Connection, host_id: HostId) -> tuple[Stop, ...]:
    """Every stop that covers this host, because its scope names it now or did when it was set; oldest first.
    Raises Refused(NOT_IN_STORE).
    """
    host = hosts.load(tx, host_id)
    customers = tenancies.customer_refs(tx, host)
    since = set(tx.scalars(select(hold_host.c.stop).where(hold_host.c.host == host_id)))
    return tuple(
        each for each in all_standing(tx) if each.number in since or each.scope.covers(host, customers)
    )


def named(tx: Connection, scope: Scope) -> tuple[Host, ...]:
    """The hosts on record that the scope names now, by asset tag."""
    return tuple(
        host for host in hosts.all_hosts(tx) if scope.covers(host, tenancies.customer_refs(tx, host))
    )


def covered_count(tx: Connection, found: Stop) -> int:
    """How many hosts on record it covers."""
    since = set(tx.scalars(select(hold_host.c.host).where(hold_host.c.stop == found.number)))
    return len(since | {host.id for host in named(tx, found.scope)})


def freezes(tx: Connection) -> tuple[Stop, ...]:
    """Every freeze that stands."""
    return tuple(each for each in all_standing(tx) if each.kind is StopKind.FREEZE)


def is_intake_open(tx: Connection) -> bool:
    """No breaker stands: what the source says of endings is not in doubt as a whole."""
    return not any(each.kind is StopKind.BREAKER for each in all_standing(tx))


def last_lifted_at(tx: Connection, kind: StopKind) -> datetime | None:
    """When people last lifted one of this kind; None where they never did."""
    newest: datetime | None = tx.scalar(select(func.max(stop.c.lifted_at)).where(stop.c.kind == kind))
    return newest


def _found(tx: Connection, query: Select[Any]) -> tuple[Stop, ...]:
    return tuple(_stop(row) for row in tx.execute(query.order_by(stop.c.number)))


def _stop(row: Row[Any]) -> Stop:
    return Stop(
        number=row.number,
        kind=row.kind,
        scope=Scope(kind=row.scope, host=row.host, place=row.place, customer_ref=row.customer_ref),
        author=row.author,
        matter=row.matter,
        set_at=row.set_at,
        review_at=row.review_at,
        lifted_at=row.lifted_at,
        lifted_by=row.lifted_by,
    )
