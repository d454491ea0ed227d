"""A billing database as a customer of ours would offer it: three tables and the three agreed views over them.

The views are those of FORMATS.md, "The provider's side". The heartbeat is written in the same transaction as
the change it vouches for, with the counts that a reader must find.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
CREATE TABLE contract (number TEXT PRIMARY KEY, status TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE placement (server TEXT NOT NULL, contract TEXT NOT NULL REFERENCES contract, since TEXT NOT NULL,
                        until TEXT);
CREATE TABLE pulse (at TEXT NOT NULL);
CREATE VIEW expunge_subscription AS SELECT number AS id, status AS state, updated AS changed_at FROM contract;
CREATE VIEW expunge_tenancy AS
    SELECT server AS host, contract AS subscription, since AS starts_at, until AS ends_at FROM placement;
CREATE VIEW expunge_heartbeat AS SELECT at, (SELECT count(*) FROM contract) AS subscriptions,
    (SELECT count(*) FROM placement) AS tenancies FROM pulse;
"""

#: How the contracts of customers elsewhere begin.
OTHERS = "sub-9"


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Billing:
    """The provider's database in one SQLite file."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def create(self, placements: dict[str, str], *, others: int = 0) -> None:
        """`placements`: server -> contract, each contract active for a year. `others`: customers on servers
        that are none of ours; without them one ending in four would look like a disaster.
        """
        elsewhere = {f"elsewhere-{number}": f"{OTHERS}{number}" for number in range(others)}
        with sqlite3.connect(self.path) as database:
            database.executescript(SCHEMA)
            for server, contract in (placements | elsewhere).items():
                database.execute("INSERT INTO contract VALUES (?, 'active', ?)", (contract, now_text()))
                database.execute(
                    "INSERT INTO placement VALUES (?, ?, '2025-11-01T00:00:00Z', NULL)", (server, contract)
                )
            database.execute("INSERT INTO pulse VALUES (?)", (now_text(),))
        database.close()

    def end_others(self, count: int) -> None:
        """What a bad import does: so many customers at once have ended."""
        with sqlite3.connect(self.path, timeout=10) as database:
            database.execute(
                "UPDATE contract SET status = 'ended', updated = ? WHERE number IN"
                " (SELECT number FROM contract WHERE number LIKE ? AND status = 'active' LIMIT ?)",
                (now_text(), f"{OTHERS}%", count),
            )
            database.execute("UPDATE pulse SET at = ?", (now_text(),))
        database.close()

    def set_state(self, contract: str, state: str) -> None:
        """What the billing system does when a customer leaves (`ended`) or pays after all (`active`)."""
        with sqlite3.connect(self.path, timeout=10) as database:
            database.execute(
                "UPDATE contract SET status = ?, updated = ? WHERE number = ?", (state, now_text(), contract)
            )
            database.execute("UPDATE pulse SET at = ?", (now_text(),))
        database.close()

    def state(self, contract: str) -> str:
        """What the agreed view answers to whoever reads it now."""
        with sqlite3.connect(self.path, timeout=10) as database:
            (state,) = database.execute(
                "SELECT state FROM expunge_subscription WHERE id = ?", (contract,)
            ).fetchone()
        database.close()
        return str(state)

    def beat(self) -> None:
        """The billing system's own sign of life."""
        with sqlite3.connect(self.path, timeout=10) as database:
            database.execute("UPDATE pulse SET at = ?", (now_text(),))
        database.close()


class Heartbeat:
    """Beats once a second while the demonstration runs, as the provider's cron job would."""

    def __init__(self, billing: Billing) -> None:
        self._billing = billing
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="billing-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1):
            self._billing.beat()
