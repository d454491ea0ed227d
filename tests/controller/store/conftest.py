"""A store on disk with enough in it to lead one deprovision through its states."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, DriveId, HostId, Identifier, OrderId, OutcomeId, TenancyId
from certificate.keys import PrivateKey
from certificate.log.entry import LogKind
from certificate.messages import JournalLine
from certificate.statements.vocabulary import BootTrust, HostFactKind, Result, Trigger
from controller.errors import Code
from controller.facts import Disposition
from controller.states import State
from controller.store import (
    AnchorKeeper,
    Store,
    boots,
    create_store,
    deprovisions,
    hosts,
    identity,
    journal,
    log_rows,
    open_store,
    orders,
    outcomes,
    plans,
    read_head,
    tenancies,
)

T0 = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
MACHINE = "4d" * 16
IdentifierT = TypeVar("IdentifierT", bound=Identifier)
#: The ordinary way up to the order.
WAY_TO_APPROVED = (
    State.SCHEDULED,
    State.QUARANTINED,
    State.STAGED,
    State.PLANNED,
    State.APPROVED,
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Scene:
    """One store and the means to put things into it; every id and instant is its own."""

    path: Path
    store: Store
    keeper: AnchorKeeper
    signer: PrivateKey = field(default_factory=lambda: PrivateKey.from_seed(b"s" * 32))
    drawn: int = 0
    digest = staticmethod(digest)

    def random(self, count: int) -> bytes:
        """Never the same bytes twice."""
        self.drawn += 1
        return (hashlib.sha256(str(self.drawn).encode()).digest() * 2)[:count]

    def new(self, kind: type[IdentifierT]) -> IdentifierT:
        return kind.from_random(self.random(16))

    def at(self, seconds: float = 0) -> datetime:
        return T0 + timedelta(seconds=seconds)

    def signed(self, text: str) -> Envelope:
        return dsse.sign(text.encode(), self.signer)

    def rolled_back(self, act: Callable[[Connection], object]) -> None:
        """Performs `act` in a transaction that then fails."""
        with suppress(ZeroDivisionError), self.store.transaction() as tx:
            act(tx)
            raise ZeroDivisionError

    def host(self, **changes: Any) -> HostId:
        fields: dict[str, Any] = {
            "id": self.new(HostId),
            "asset_tag": f"srv-{self.drawn}",
            "site": "fsn1",
            "rack": "r7",
            "data_class": "default",
            "disposition": Disposition.RENTED,
            "customer_ref": None,
            "salt": self.random(32),
            "address": "127.0.0.1",
            "port": 2222,
            "boot_parameters": {"bmc": "10.0.0.7"},
            "quarantine_parameters": {"port": 4},
            "registered_at": T0,
        }
        host = hosts.Host(**(fields | changes))
        with self.store.transaction() as tx:
            fact = hosts.HostFact(kind=HostFactKind.DMI_UUID, value=f"uuid-{self.drawn}")
            hosts.register(tx, host, facts=(fact,), now=T0)
        return host.id

    def drive(self, host: HostId, serial: str = "S4EVNX0R123456") -> hosts.Drive:
        with self.store.transaction() as tx:
            return hosts.record_drive(
                tx,
                id=self.new(DriveId),
                host_id=host,
                serial=serial,
                salt=self.random(32),
                basis=hosts.DriveBasis.DECLARED,
                model="MODEL 1",
                capacity_bytes=1_000_204_886_016,
                now=T0,
            )

    def tenancy(self, host: HostId, subscription: str = "sub-1", **changes: Any) -> TenancyId:
        key = self.new(TenancyId)
        fields: dict[str, Any] = {
            "id": key,
            "host": host,
            "subscription_ref": digest(subscription),
            "tenancy_ref": digest(key),
            "tenant_ref": None,
            "data_class": "default",
            "starts_at": self.at(-86_400),
            "ends_at": self.at(-10),
            "asserted_by": "billing",
            "recorded_at": T0,
            "changed_at": T0,
        }
        with self.store.transaction() as tx:
            tenancies.record(tx, tenancies.Tenancy(**(fields | changes)), now=T0)
        return key

    def deprovision(self, host: HostId | None = None, **changes: Any) -> DeprovisionId:
        fields: dict[str, Any] = {
            "id": self.new(DeprovisionId),
            "host_id": self.host() if host is None else host,
            "tenancy_id": None,
            "trigger": Trigger.ENDED,
            "data_class": "default",
            "policy_version": 1,
            "policy_digest": digest("policy"),
            "grace_until": self.at(5),
            "dwell_seconds": 3,
            "now": T0,
        }
        with self.store.transaction() as tx:
            return deprovisions.schedule(tx, **(fields | changes)).id

    def claim(self, key: DeprovisionId, owner: str = "worker-1", seconds: float = 0) -> int:
        """The fence."""
        with self.store.transaction() as tx:
            lease = timedelta(seconds=60)
            return deprovisions.claim(tx, key, owner=owner, now=self.at(seconds), lease=lease).fence

    def move(self, key: DeprovisionId, old: State, new: State, fence: int, **changes: Any) -> None:
        move = deprovisions.Move(new=new, next_due_at=T0, **changes)
        with self.store.transaction() as tx:
            deprovisions.move(tx, key, old=old, fence=fence, move=move, now=T0)

    def approved(self) -> tuple[DeprovisionId, int]:
        """A claimed deprovision in `approved`, and its fence."""
        key = self.deprovision()
        fence = self.claim(key)
        for old, new in pairwise(WAY_TO_APPROVED):
            self.move(key, old, new, fence)
        return key, fence

    def boot(self, key: DeprovisionId, *, attempt: int = 1) -> boots.StoredBoot:
        with self.store.transaction() as tx:
            return boots.prepare(
                tx,
                key,
                attempt=attempt,
                config_envelope=f"configuration {self.drawn}".encode(),
                sealed_secret=b"sealed",
                boot_trust=BootTrust.VIRTUAL_MEDIA,
                now=T0,
            )

    def genesis(self) -> None:
        with self.store.transaction() as tx:
            if log_rows.size(tx) == 0:
                envelope = self.signed("trust root")
                log_rows.append_entry(tx, envelope=envelope, kind=LogKind.GENESIS, now=T0)

    def new_order(self, key: DeprovisionId, attempt: int = 1, **changes: Any) -> orders.NewOrder:
        with self.store.transaction() as tx:
            fence = identity.next_fence(tx)
        fields: dict[str, Any] = {
            "id": self.new(OrderId),
            "deprovision": key,
            "attempt": attempt,
            "token": self.random(16).hex(),
            "fence": fence,
            "plan_digest": digest("plan"),
            "boot_id": digest("boot"),
            "hello_nonce": "0f" * 16,
            "expires_at": self.at(900),
        }
        return orders.NewOrder(**(fields | changes))

    def intended(self, key: DeprovisionId | None = None, attempt: int = 1) -> orders.StoredOrder:
        """A logged order; of a new deprovision in `intended` unless one is named."""
        self.genesis()
        fence = None
        if key is None:
            key, fence = self.approved()
        new = self.new_order(key, attempt)
        with self.store.transaction() as tx:
            stored = orders.intend(tx, new, envelope=self.signed(f"order {new.id}"), now=T0)
        if fence is not None:
            self.move(key, State.APPROVED, State.INTENDED, fence)
        return stored

    def erasing(self) -> tuple[orders.StoredOrder, int]:
        """A dispatched order, its deprovision in `erasing`, and the fence of its lease."""
        order = self.intended()
        with self.store.transaction() as tx:
            fence = deprovisions.load(tx, order.deprovision).fence
            orders.dispatch(tx, order.id, now=T0)
            move = deprovisions.Move(new=State.ERASING, next_due_at=T0)
            deprovisions.move(tx, order.deprovision, old=State.INTENDED, fence=fence, move=move, now=T0)
            return orders.load(tx, order.id), fence

    def line(
        self, order: orders.StoredOrder, seq: int, step: str = "", previous: str = "0" * 64
    ) -> JournalLine:
        return JournalLine(
            token=order.token,
            seq=seq,
            kind="start" if step else "progress",
            step=step,
            needs_ack=bool(step),
            at_ms=1_000 + seq,
            previous=previous,
            body={},
        )

    def store_lines(self, order: orders.StoredOrder, *steps: str) -> None:
        """One line a step; an empty step asks for no acknowledgement."""
        previous = "0" * 64
        for seq, step in enumerate(steps):
            read = self.line(order, seq, step, previous)
            with self.store.transaction() as tx:
                stored = journal.store_line(tx, order.id, read=read, line=read.write(), now=T0)
            previous = stored.line_digest

    def plan(self, key: DeprovisionId, text: str = "plan", attempt: int = 1) -> plans.StoredPlan:
        with self.store.transaction() as tx:
            return plans.record(tx, key, attempt=attempt, text=text.encode(), boot_id=digest("boot"), now=T0)

    def draft(self, key: DeprovisionId, medium: str = "m1", attempt: int = 1) -> outcomes.StoredOutcome:
        with self.store.transaction() as tx:
            return outcomes.draft(
                tx,
                id=self.new(OutcomeId),
                deprovision=key,
                attempt=attempt,
                medium=digest(medium),
                issuer_seq=outcomes.next_issuer_seq(tx),
                result=Result.ERASED,
                payload=f"outcome of {medium} in {attempt} of {key}".encode(),
                now=T0,
            )

    def needs_operator(self, key: DeprovisionId, old: State, fence: int) -> None:
        because = Refused(Code.ORDER_STALE, "the order is stale")
        self.move(key, old, State.NEEDS_OPERATOR, fence, because=because)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "expunge.db"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once for all tests: each copies it."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    create_store(path).close()
    return path


@pytest.fixture
def scene(tmp_path: Path, database: Path, empty_database: Path) -> Iterator[Scene]:
    shutil.copy(empty_database, database)
    keeper = AnchorKeeper(tmp_path / "anchor.json", machine_id=MACHINE)
    store = open_store(database, anchoring=keeper)
    with store.transaction() as tx:
        identity.create(tx, store_id=digest("store"), machine_id=MACHINE, now=T0)
        head = read_head(tx)
    keeper.place(head)
    yield Scene(path=database, store=store, keeper=keeper)
    store.close()
