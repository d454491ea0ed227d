"""The anchor: a copy of the store's head outside the database, so that a restored backup cannot wipe.

Rules: written whole, fsynced with its folder, after every commit that moved the head; it shares no snapshot
or backup with the database. Compared at start and in the dispatch and acknowledgement transactions: database
equal to it: current; ahead, with the anchor's head in its chain: an ordinary crash between commit and anchor;
behind, forked, missing, damaged or of another machine: frozen. **The anchor moves only along its own chain**:
a frozen store goes on committing (it observes, it sends running erases to needs_operator) and none of that
touches the anchor, so that the freeze outlives restarts until two operators reconcile (`place`). It never
goes back either: several processes on one store write it in turn, under a lock file beside it.
Source: DESIGN.md, rule 7; FORMATS.md, "Home".
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from certificate import strict_json
from certificate.errors import Malformed, Refused
from controller.errors import Code
from controller.home import write_durably
from controller.store import ledger
from controller.store.engine import LOOKED
from controller.store.head import Head, read_head

#: Six short fields.
MAX_ANCHOR_BYTES = 4096
#: As long as a busy database is waited for. Writing takes milliseconds, unless its process was stopped.
LOCK_SECONDS = 10.0
LOCK_PAUSE_SECONDS = 0.002


class Standing(StrEnum):
    """How the store stands to its copy outside."""

    #: They say the same.
    CURRENT = "current"
    #: The store went on after the anchor was written: an ordinary crash.
    AHEAD = "ahead"
    #: Observing goes on; nothing is wiped, cancelled, restored, released or acknowledged.
    FROZEN = "frozen"


class FrozenBecause(StrEnum):
    ANCHOR_MISSING = "anchor_missing"
    ANCHOR_DAMAGED = "anchor_damaged"
    ANOTHER_STORE = "another_store"
    ANOTHER_MACHINE = "another_machine"
    STORE_BEHIND = "store_behind"
    STORE_FORKED = "store_forked"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of `compare`. `because` is given exactly where the store is frozen."""

    standing: Standing
    because: FrozenBecause | None

    @property
    def is_frozen(self) -> bool:
        return self.standing is Standing.FROZEN


def read(path: Path) -> Head | None:
    """The anchor at `path`; None where there is none. Raises Refused(ANCHOR_INVALID) for a damaged one."""
    data = _content(path)
    return None if data is None else _head(data)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _head(data: bytes) -> Head:
    try:
        fields = strict_json.load_object(data, max_bytes=MAX_ANCHOR_BYTES, what="anchor")
    except Malformed as error:
        raise Refused(Code.ANCHOR_INVALID, error.reason) from None
    expected = {
        "store_id": str,
        "epoch": int,
        "machine_id": str,
        "ledger_seq": int,
        "head": str,
        "log_size": int,
    }
    if {name: type(value) for name, value in fields.items()} != expected:
        raise Refused(Code.ANCHOR_INVALID, "the anchor does not hold its six fields")
    return Head(**fields)


def write(path: Path, head: Head) -> None:
    """Replaces the anchor, durably."""
    write_durably(path, json.dumps(asdict(head), indent=1).encode() + b"\n")


def compare(tx: Connection, anchor: Head | None, *, machine_id: str) -> Comparison:
    """How the store, as `tx` sees it, stands to `anchor`. `machine_id` is the machine we run on now."""
    if anchor is None:
        return _frozen(FrozenBecause.ANCHOR_MISSING)
    here = read_head(tx)
    if anchor.store_id != here.store_id:
        return _frozen(FrozenBecause.ANOTHER_STORE)
    if not anchor.machine_id == here.machine_id == machine_id:
        return _frozen(FrozenBecause.ANOTHER_MACHINE)
    if anchor.epoch > here.epoch or anchor.ledger_seq > here.ledger_seq or anchor.log_size > here.log_size:
        return _frozen(FrozenBecause.STORE_BEHIND)
    if ledger.digest_at(tx, anchor.ledger_seq) != anchor.head:
        return _frozen(FrozenBecause.STORE_FORKED)
    standing = Standing.CURRENT if anchor == here else Standing.AHEAD
    return Comparison(standing=standing, because=None)


class AnchorKeeper:
    """Keeps the file at `path` in step with one store; handed to `open_store` as `anchoring`.

    The file is read anew for each comparison: somebody may have taken it away. For a snapshot it is read
    before the snapshot is taken, or a commit in between would look like a store that fell behind.
    """

    def __init__(self, path: Path, *, machine_id: str) -> None:
        self._path = path
        self._machine_id = machine_id
        self._writing = threading.Lock()

    def compare(self, tx: Connection) -> Comparison:
        """As the function; a damaged anchor is a reason to freeze, not an error.

        Before `tx` wrote anything this says how the store stood when it began.
        """
        options = tx.get_execution_options()
        data = options[LOOKED] if LOOKED in options else self.look()
        try:
            anchor = None if data is None else _head(data)
        except Refused:
            return _frozen(FrozenBecause.ANCHOR_DAMAGED)
        return compare(tx, anchor, machine_id=self._machine_id)

    @property
    def machine_id(self) -> str:
        """The machine we run on."""
        return self._machine_id

    def anchored(self) -> Head | None:
        """What the anchor says now; None where there is none. Raises Refused(ANCHOR_INVALID)."""
        return read(self._path)

    def look(self) -> bytes | None:
        """The anchor's bytes as they are now; None where there is none."""
        return _content(self._path)

    def place(self, head: Head) -> None:
        """Writes `head` whatever stood there: only `init` and `reconcile` may."""
        with self._alone():
            write(self._path, head)

    def before_commit(self, tx: Connection) -> Head | None:
        """The head to write after the commit; None where it did not move or the store is frozen."""
        return read_head(tx) if self.compare(tx).standing is Standing.AHEAD else None

    def after_commit(self, head: Head) -> None:
        """Writes `head` unless a later one is there already: threads and processes commit in one order and
        may arrive here in another. Raises TimeoutError while another process keeps the lock.
        """
        with self._alone():
            there = read(self._path)
            if there is None or (there.epoch, there.ledger_seq) > (head.epoch, head.ledger_seq):
                return
            write(self._path, head)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread and no other process writes meanwhile. The kernel lets go of a dead one's lock."""
        lock_file = self._path.with_name(f".{self._path.name}.lock")
        with self._writing, open(lock_file, "ab", opener=_for_the_owner) as file:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _is_locked(file.fileno()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has kept {lock_file} for {LOCK_SECONDS} s")
                time.sleep(LOCK_PAUSE_SECONDS)
            yield


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _frozen(because: FrozenBecause) -> Comparison:
    return Comparison(standing=Standing.FROZEN, because=because)
