"""One SQLite database, opened so that a commit is a promise.

Rules: WAL; `synchronous=FULL`, because a lost commit is a lost intent; foreign keys on; deleted text is
overwritten; the driver's own transactions are off and each of ours begins IMMEDIATE, so that what a
transaction read cannot change before it writes; a snapshot reads one state and cannot write. A database of
another release is refused, and nobody migrates by opening. After each commit the anchor outside is brought
along before the caller hears that it is done (DESIGN.md, rules 6 and 7).

KNOWN GAP: local disks only. On a network file system neither WAL nor fsync keep what is promised here.
"""

from __future__ import annotations

import copy
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DatabaseError

from certificate.errors import Refused
from controller.errors import Code
from controller.store import migration
from controller.store.head import Head

#: Longer than the longest transaction of ours by far, shorter than a person's patience.
BUSY_TIMEOUT_MILLISECONDS = 10_000
#: The database holds serials and sealed text; nobody else on the machine reads it.
DATABASE_MODE = 0o600
#: Beyond the pool's five: every thread of a dispatcher may wait for a busy database at once, and the one that
#: renews the leases must not wait for them.
SPARE_CONNECTIONS = 40
_BEGIN = "expunge_begin"
#: The execution option under which a snapshot carries what its anchor said before it was taken.
LOOKED = "expunge_anchor_looked"


class Anchoring(Protocol):
    """Who keeps the copy outside (`anchor.AnchorKeeper`)."""

    def look(self) -> bytes | None:
        """The copy as it is now."""
        ...

    def before_commit(self, tx: Connection) -> Head | None:
        """What the copy should say once this transaction is durable; None to leave it as it is."""
        ...

    def after_commit(self, head: Head) -> None:
        """Makes it say so, durably."""
        ...


class Store:
    """An open database. Threads may share it; each transaction has its own connection."""

    def __init__(
        self,
        engine: Engine,
        *,
        is_read_only: bool,
        anchoring: Anchoring | None,
        count_commit: Callable[[int], None] | None,
    ) -> None:
        self.engine = engine
        self._is_read_only = is_read_only
        self._anchoring = anchoring
        self._count_commit = count_commit
        self._commits = itertools.count(1)
        self._check: Callable[[Connection], None] | None = None

    def checked(self, check: Callable[[Connection], None]) -> Store:
        """The same database; each transaction begins with `check`, which refuses it by raising."""
        checked = copy.copy(self)
        checked._check = check
        return checked

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that may write: committed when the block ends, rolled back when it raises.

        Other writers wait. When this returns the commit and the anchor are on disk. If writing the anchor
        fails, the error is raised although the commit stands: what it recorded is there, and nobody may be
        answered as if all were well. Raises Refused(STORE_READ_ONLY).
        """
        if self._is_read_only:
            raise Refused(Code.STORE_READ_ONLY, "the database was opened for reading")
        with self.engine.connect() as connection:
            with connection.begin():
                if self._check is not None:
                    self._check(connection)
                yield connection
                head = self._anchoring.before_commit(connection) if self._anchoring else None
            self._committed(head)

    def _committed(self, head: Head | None) -> None:
        if self._count_commit is not None:
            self._count_commit(next(self._commits))
        if self._anchoring is not None and head is not None:
            self._anchoring.after_commit(head)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it from one state, and holds up nobody."""
        with self.engine.connect() as connection:
            looked = {} if self._anchoring is None else {LOOKED: self._anchoring.look()}
            connection = connection.execution_options(**{_BEGIN: "DEFERRED"}, **looked)
            connection.exec_driver_sql("PRAGMA query_only = ON")
            try:
                yield connection
            finally:
                connection.rollback()
                connection.exec_driver_sql("PRAGMA query_only = OFF")
                connection.rollback()

    def close(self) -> None:
        """Closes every connection. Transactions under way in other threads fail."""
        self.engine.dispose()


def create_store(
    path: Path, *, anchoring: Anchoring | None = None, count_commit: Callable[[int], None] | None = None
) -> Store:
    """A new database at this release's schema, still without identity. Raises Refused(STORE_EXISTS)."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, DATABASE_MODE))
    except FileExistsError:
        raise Refused(Code.STORE_EXISTS, f"{path} is there already") from None
    store = _store(path, is_read_only=False, anchoring=anchoring, count_commit=count_commit)
    with store.engine.begin() as tx:
        migration.upgrade(tx)
    return store


def open_store(
    path: Path,
    *,
    is_read_only: bool = False,
    anchoring: Anchoring | None = None,
    count_commit: Callable[[int], None] | None = None,
) -> Store:
    """The database at `path`. `count_commit` is told how many transactions were committed, before the anchor
    is written: a place for a crash test to die.

    Raises Refused: STORE_MISSING, or STORE_FOREIGN for another release's schema.
    """
    if not path.is_file():
        raise Refused(Code.STORE_MISSING, f"there is no database at {path}")
    store = _store(path, is_read_only=is_read_only, anchoring=anchoring, count_commit=count_commit)
    try:
        with store.snapshot() as tx:
            migration.check_head(tx)
    except DatabaseError as error:
        store.close()
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise Refused(Code.STORE_FOREIGN, f"{path} is not a database") from None
        raise
    except BaseException:
        store.close()
        raise
    return store


def _store(
    path: Path,
    *,
    is_read_only: bool,
    anchoring: Anchoring | None,
    count_commit: Callable[[int], None] | None,
) -> Store:
    mode = "ro" if is_read_only else "rw"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(address, uri=True, check_same_thread=False),
        poolclass=QueuePool,
        max_overflow=SPARE_CONNECTIONS,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver would begin transactions of its own, deferred, and commit before schema changes.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        # Otherwise REPLACE would delete a row without asking the triggers of append-only tables.
        connection.execute("PRAGMA recursive_triggers = ON")
        if not is_read_only:
            connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get(_BEGIN, "DEFERRED" if is_read_only else "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return Store(engine, is_read_only=is_read_only, anchoring=anchoring, count_commit=count_commit)
