"""What a worker holds while it works on one deprovision, and what keeps it held.

Rules (DESIGN.md, rule 4):
- The claim takes a lease and a new fence in the transaction that decides (`advance`).
- While a step runs, a thread beside it (`Heart`) renews the lease every RENEW_EVERY, less than a third of its
  life: an effect may take as long as a drive does, and two renewals may fail before the lease ends.
- Only a holder issues. Each transaction of an effect renews the lease or is refused (`holding`), and
  `require_held` stands immediately before whatever leaves for good: an order, an acknowledgement, a command
  to a switch or a management controller.
- A renewal that fails, lost or merely late, ends the issuing at once. What runs on a device is never ended:
  whoever claims next follows it.
- How long it is held is counted on CLOCK_BOOTTIME from before the claim, so that a process that was stopped
  knows when it wakes that its time is over, whatever became of the wall clock.

Between the last look and the first byte nobody can look: there the agent's fence, token and boot refuse
(`agent.acceptance`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from certificate.identifiers import DeprovisionId
from controller.errors import LostRace
from controller.program import Program
from controller.store import deprovisions
from controller.store.engine import Store

#: How long a dead worker's deprovision waits for another one.
LEASE = timedelta(seconds=30)
#: With the ten seconds that a busy database may take, a renewal still comes before the lease ends.
RENEW_EVERY = timedelta(seconds=7)

logger = structlog.get_logger(__name__)


def uptime_seconds() -> float:
    """CLOCK_BOOTTIME: goes on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """One deprovision under one fence, for as long as it is renewed. Threads may share it."""

    def __init__(self, program: Program, key: DeprovisionId, *, fence: int, since_seconds: float) -> None:
        """`since_seconds`: the uptime before the claim's transaction began."""
        self.key = key
        self.fence = fence
        self._store = program.store
        self._clock = program.clock
        self._held_until = since_seconds + LEASE.total_seconds()
        self._is_lost = threading.Event()

    @property
    def is_held(self) -> bool:
        """As far as this process knows: nobody told it otherwise, and its time is not over."""
        return not self._is_lost.is_set() and uptime_seconds() < self._held_until

    def require_held(self) -> None:
        """Silent when the store and the clock both say that it is held now. Raises LostRace, and whatever a
        database says that cannot be asked.
        """
        self._require_known()
        since = uptime_seconds()
        with self._store.transaction() as tx:
            self.confirm(tx)
        self.renewed(since)
        # The transaction may have waited, and the process may have been stopped in it.
        self._require_known()

    def confirm(self, tx: Connection) -> None:
        """Renews it in `tx`. Raises LostRace once somebody else claimed the row or the lease ran out."""
        try:
            deprovisions.heartbeat(tx, self.key, fence=self.fence, now=self._clock(), lease=LEASE)
        except LostRace:
            self.lose()
            raise

    def renewed(self, since_seconds: float) -> None:
        """A renewal that began at this uptime is committed."""
        self._held_until = since_seconds + LEASE.total_seconds()

    def doubt(self) -> None:
        """It could not be renewed: nothing is issued until it is."""
        self._held_until = 0.0

    def lose(self) -> None:
        """Somebody else has it, or may: nothing is issued under this fence any more."""
        self._is_lost.set()

    def _require_known(self) -> None:
        if not self.is_held:
            raise LostRace(self.key, "leased", self.fence)


def holding(program: Program, lease: Lease) -> Program:
    """The same parts for an effect: each of its transactions renews the lease or is refused."""
    return replace(program, store=program.store.checked(lease.confirm))


class Heart:
    """Renews every lease of this process, all in one transaction, from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()

    @contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        """Renews `lease` for as long as the block runs."""
        with self._lock:
            self._leases.add(lease)
        try:
            yield
        finally:
            with self._lock:
                self._leases.discard(lease)

    def run(self, over: threading.Event) -> None:
        """Beats until `over` is set."""
        while not over.wait(RENEW_EVERY.total_seconds()):
            self.beat()

    def beat(self) -> None:
        """One renewal of all. Whoever loses is told; if nothing can be renewed, all are."""
        with self._lock:
            leases = tuple(self._leases)
        if not leases:
            return
        since = uptime_seconds()
        try:
            with self._store.transaction() as tx:
                kept = [lease for lease in leases if _is_kept(tx, lease)]
        except Exception:
            logger.exception("leases could not be renewed; nothing is issued until they are")
            for lease in leases:
                lease.doubt()
            return
        for lease in kept:
            lease.renewed(since)


def _is_kept(tx: Connection, lease: Lease) -> bool:
    try:
        lease.confirm(tx)
    except LostRace as lost:
        logger.warning("lost a lease", deprovision=lease.key, reason=lost.reason)
        return False
    return True
