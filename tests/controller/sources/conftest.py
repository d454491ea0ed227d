"""A billing database that a test can bend, and both sources behind one handle."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.sources import Source
from controller.sources.agreeing import AgreeingSource, NamedSource
from controller.sources.billing_database import BillingDatabase
from controller.sources.simulated import SimulatedBilling
from controller.sources.sql_view import SqlViewSource

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SCHEMA = """
CREATE TABLE expunge_subscription (id, state, changed_at);
CREATE TABLE expunge_tenancy (host, subscription, starts_at, ends_at);
CREATE TABLE expunge_heartbeat (at, subscriptions, tenancies);
"""


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(kw_only=True)
class BillingFile:
    """A SQLite file with the three names of FORMATS.md. `beat` writes a true heartbeat."""

    path: Path
    clock: Clock = field(default_factory=Clock)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def create(self) -> None:
        connection = sqlite3.connect(self.path)
        connection.executescript(SCHEMA)
        connection.close()

    def subscribe(
        self, subscription: Any, state: Any = "active", changed_at: Any = "2026-11-01T00:00:00Z"
    ) -> None:
        self.sql("INSERT INTO expunge_subscription VALUES (?, ?, ?)", subscription, state, changed_at)

    def let(
        self, host: Any, subscription: Any, starts_at: Any = "2026-01-01T00:00:00Z", ends_at: Any = None
    ) -> None:
        self.sql("INSERT INTO expunge_tenancy VALUES (?, ?, ?, ?)", host, subscription, starts_at, ends_at)

    def beat(self, *, at: Any = None, subscriptions: Any = None, tenancies: Any = None) -> None:
        self.sql("DELETE FROM expunge_heartbeat")
        counted = self.sql(
            "SELECT (SELECT count(*) FROM expunge_subscription), (SELECT count(*) FROM expunge_tenancy)"
        )[0]
        self.sql(
            "INSERT INTO expunge_heartbeat VALUES (?, ?, ?)",
            text(self.clock.now) if at is None else at,
            counted[0] if subscriptions is None else subscriptions,
            counted[1] if tenancies is None else tenancies,
        )

    def source(self, **fields: Any) -> SqlViewSource:
        database = BillingDatabase(url=f"sqlite:///{self.path}", timeout_seconds=2.0)
        return SqlViewSource(database=database, clock=self.clock, **fields)


@pytest.fixture
def empty_billing(tmp_path: Path) -> BillingFile:
    """The three views, nothing in them."""
    billing = BillingFile(path=tmp_path / "billing.sqlite")
    billing.create()
    return billing


@pytest.fixture
def billing(empty_billing: BillingFile) -> BillingFile:
    """sub-1 (active) and sub-2 (ended) on host-1 and host-2, and a true heartbeat."""
    empty_billing.subscribe("sub-1")
    empty_billing.subscribe("sub-2", "ended", "2026-11-20T08:00:00Z")
    empty_billing.let("host-1", "sub-1")
    empty_billing.let("host-2", "sub-2", ends_at="2026-11-20T08:00:00Z")
    empty_billing.beat()
    return empty_billing


@dataclass(kw_only=True)
class World:
    """A source, and what a test may do to the billing behind it."""

    source: Source
    clock: Clock
    end: Callable[[str], None]
    renew: Callable[[str], None]
    says: Callable[[str, str], None]
    forget: Callable[[str], None]
    goes_stale: Callable[[], None]
    breaks: Callable[[], None]


@pytest.fixture(params=["sql_view", "simulated", "agreeing"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """host-1 is let to sub-1 and host-2 to sub-2, both active."""
    match request.param:
        case "sql_view":
            return _of_file(tmp_path)
        case "simulated":
            return _simulated()
        case _:
            return _agreeing(tmp_path)


def _agreeing(folder: Path) -> World:
    """A database and a simulated one, to which always the same happens."""
    worlds = (_of_file(folder), _simulated())
    clock = worlds[1].clock

    def both(name: str) -> Callable[..., None]:
        def happen(*arguments: Any) -> None:
            worlds[0].clock.now = clock.now
            for world in worlds:
                getattr(world, name)(*arguments)

        return happen

    def passes(seconds: float) -> None:
        clock.now += timedelta(seconds=seconds)
        worlds[0].clock.now = clock.now

    named = (
        NamedSource(name=name, source=world.source)
        for name, world in zip(("billing", "crm"), worlds, strict=True)
    )
    return World(
        source=AgreeingSource(sources=tuple(named), clock=clock),
        clock=SharedClock(clock, passes),
        **{name: both(name) for name in ("end", "renew", "says", "forget", "goes_stale", "breaks")},
    )


class SharedClock(Clock):
    """One time for two worlds."""

    def __init__(self, shown: Clock, passes: Callable[[float], None]) -> None:
        self._shown = shown
        self._passes = passes

    @property
    def now(self) -> datetime:  # type: ignore[override]
        return self._shown.now

    def passes(self, seconds: float) -> None:
        self._passes(seconds)


def _of_file(folder: Path) -> World:
    billing = BillingFile(path=folder / "billing.sqlite")
    billing.create()
    for number in (1, 2):
        billing.subscribe(f"sub-{number}")
        billing.let(f"host-{number}", f"sub-{number}")
    billing.beat()

    def says(subscription: str, word: str) -> None:
        moment = text(billing.clock.now)
        billing.sql(
            "UPDATE expunge_subscription SET state = ?, changed_at = ? WHERE id = ?",
            word,
            moment,
            subscription,
        )
        billing.beat()

    def forget(subscription: str) -> None:
        billing.sql("DELETE FROM expunge_subscription WHERE id = ?", subscription)
        billing.beat()

    return World(
        source=billing.source(),
        clock=billing.clock,
        end=lambda subscription: says(subscription, "ended"),
        renew=lambda subscription: says(subscription, "active"),
        says=says,
        forget=forget,
        goes_stale=lambda: billing.clock.passes(3600),
        breaks=billing.path.unlink,
    )


def _simulated() -> World:
    clock = Clock()
    billing = SimulatedBilling(clock=clock)
    for number in (1, 2):
        billing.let(f"host-{number}", f"sub-{number}", starts_at=datetime(2026, 1, 1, tzinfo=UTC))
    return World(
        source=billing,
        clock=clock,
        end=billing.end,
        renew=billing.renew,
        says=billing.says,
        forget=billing.forget,
        goes_stale=billing.goes_stale,
        breaks=billing.breaks,
    )
