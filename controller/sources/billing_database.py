"""Reading the agreed views of a provider's database: one connection, one snapshot, read only.

Rules: nothing is ever written (SQLite is opened `mode=ro`; PostgreSQL and MySQL in a read-only transaction);
what one question needs comes from one snapshot, so that counts and rows belong together; every wait ends.
A connection serves one question, because a billing database may be replaced under us. Values come back as the
driver gives them and are judged by `sql_view`. Names are compared without case and white space *in order to
find what is nearly the same*; whoever asks refuses what is not exactly so.

KNOWN GAP: a statement's time limit exists for SQLite, PostgreSQL and MySQL; elsewhere the driver's own
connection time-outs are the only limit. Only SQLite is tested here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    Connection,
    Engine,
    String,
    cast,
    column,
    create_engine,
    event,
    func,
    literal,
    select,
    table,
)
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import ColumnElement

from certificate.errors import Refused
from controller.errors import Code

SUBSCRIPTION = table("expunge_subscription", column("id"), column("state"), column("changed_at"))
TENANCY = table(
    "expunge_tenancy", column("host"), column("subscription"), column("starts_at"), column("ends_at")
)
HEARTBEAT = table("expunge_heartbeat", column("at"), column("subscriptions"), column("tenancies"))

#: A host has few tenancies, a subscription one row: a view that answers with more is broken.
MAX_ROWS = 1000
#: A poll reads every subscription. Beyond this a provider needs another driver than one view.
MAX_POLLED_ROWS = 1_000_000
#: How many steps of SQLite's machine pass between two looks at the clock.
SQLITE_STEPS = 10_000

#: What creeps into names by export and import.
WHITE_SPACE = (" ", "\t", "\r", "\n", "\u00a0")

Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many rows the views show now, and how many of them name nothing."""

    subscriptions: int
    tenancies: int
    nameless_tenancies: int


class Snapshot:
    """What one question reads. All of it belongs to one instant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def heartbeats(self) -> list[Row]:
        """Rows (at, subscriptions, tenancies); two at most, because more than one is already too many."""
        return self._rows(select(HEARTBEAT).limit(2))

    def counts(self) -> Counts:
        subscriptions = self._rows(select(func.count()).select_from(SUBSCRIPTION))[0][0]
        named = func.count(func.nullif(_bare(TENANCY.c.host), ""))
        tenancies, with_host = self._rows(select(func.count(), named).select_from(TENANCY))[0]
        return Counts(
            subscriptions=subscriptions, tenancies=tenancies, nameless_tenancies=tenancies - with_host
        )

    def subscriptions_like(self, subscription_id: str) -> list[Row]:
        """Rows (id, state, changed_at) whose id is nearly this one."""
        shown = select(cast(SUBSCRIPTION.c.id, String(255)), SUBSCRIPTION.c.state, SUBSCRIPTION.c.changed_at)
        return self._rows(
            shown.where(_bare(SUBSCRIPTION.c.id) == _bare(literal(subscription_id))).limit(MAX_ROWS + 1)
        )

    def tenancies_like(self, host: str) -> list[Row]:
        """Rows (host, subscription, starts_at, ends_at) whose host is nearly this one."""
        shown = select(
            cast(TENANCY.c.host, String(255)),
            cast(TENANCY.c.subscription, String(255)),
            TENANCY.c.starts_at,
            TENANCY.c.ends_at,
        )
        return self._rows(shown.where(_bare(TENANCY.c.host) == _bare(literal(host))).limit(MAX_ROWS + 1))

    def subscription_states(self) -> list[Row]:
        """Rows (id, state) of every subscription."""
        shown = select(cast(SUBSCRIPTION.c.id, String(255)), SUBSCRIPTION.c.state)
        return self._rows(shown.limit(MAX_POLLED_ROWS + 1))

    def state_counts(self) -> list[Row]:
        """Rows (state, how many subscriptions), whatever words the states are."""
        shown = select(SUBSCRIPTION.c.state, func.count()).group_by(SUBSCRIPTION.c.state)
        return self._rows(shown.limit(MAX_ROWS + 1))

    def _rows(self, statement: Any) -> list[Row]:
        return [tuple(row) for row in self._connection.execute(statement)]


class BillingDatabase:
    """A provider's database with the agreed views. Raises Refused(CONFIGURATION_INVALID) for a bad URL."""

    def __init__(self, *, url: str, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        try:
            self._engine = _engine(url, timeout_seconds)
        except Exception as error:  # SQLAlchemy and the drivers it loads raise many kinds here
            raise Refused(
                Code.CONFIGURATION_INVALID, f"source.url cannot be used: {type(error).__name__}"
            ) from None

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One read-only transaction. Raises whatever SQLAlchemy and its driver raise."""
        with self._engine.connect() as connection:
            _limit_statements(connection, self._timeout_seconds)
            yield Snapshot(connection)
            connection.rollback()


def _bare(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A name without case and white space, computed by the database on both sides of a comparison."""
    bare: ColumnElement[str] = cast(value, String(255))
    for space in WHITE_SPACE:
        bare = func.replace(bare, space, "")
    return func.lower(bare)


def _engine(url: str, timeout_seconds: float) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise ValueError("a SQLite source is a file, named without options")
        engine = create_engine(
            "sqlite://", creator=_sqlite(Path(parsed.database), timeout_seconds), poolclass=NullPool
        )
        # Python's sqlite3 begins a transaction for writes only; the snapshot needs one for reads.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    is_known = parsed.get_backend_name() in ("postgresql", "mysql", "mariadb")
    return create_engine(
        parsed,
        poolclass=NullPool,
        # Where REPEATABLE READ is no snapshot, only SERIALIZABLE keeps counts and rows together.
        isolation_level="REPEATABLE READ" if is_known else "SERIALIZABLE",
        connect_args={"connect_timeout": max(1, int(timeout_seconds))} if is_known else {},
    )


def _sqlite(path: Path, timeout_seconds: float) -> Callable[[], sqlite3.Connection]:
    # `mode=ro` neither creates nor writes: a file that is not there is an error, not an empty database.
    address = f"file:{quote(str(path.absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, timeout=timeout_seconds, isolation_level=None)
        give_up_at = time.monotonic() + timeout_seconds
        connection.set_progress_handler(lambda: int(time.monotonic() > give_up_at), SQLITE_STEPS)
        return connection

    return connect


def _limit_statements(connection: Connection, timeout_seconds: float) -> None:
    milliseconds = int(timeout_seconds * 1000)
    match connection.dialect.name:
        case "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        case "mysql":
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET SESSION max_execution_time = {milliseconds}")
        case _:
            pass
