"""A whole provider in one folder, without network: the real controller, the real agent, a simulated drive.

    world = World.found(tmp_path)
    world.end_subscription()
    world.run()                     # steps until nothing moves by itself
    world.state, world.drive_text_count()

Everything that outlives a process is a file, so a fork of the test can be killed anywhere and another one
carries on (`run_in_fork`). Time is the machine's own plus a shift, kept in a file: where the controller would
sleep until its next due instant, the shift jumps there instead.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent import boot as agent_boot
from agent import executor, following, session
from agent.devices.simulated import SimulatedNvme, occurrences
from agent.run_directory import RunDirectory
from certificate import envelope as dsse
from certificate import messages, trust
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, DriveId, HostId
from certificate.keys import PrivateKey
from certificate.messages import Follow, JournalEnd, JournalLine, Line
from certificate.policy import Policy
from certificate.statements import Purpose
from certificate.statements.vocabulary import BootTrust
from controller import census, checkpointing, founding, intake, serving, tables
from controller.boot import StartRequest, Target
from controller.channels.simulated import SimulatedRoute
from controller.configuration import parse_configuration
from controller.dispatch import telling
from controller.dispatch.working import take_step
from controller.errors import Code, LostRace, Unreachable
from controller.facts import Disposition
from controller.keyring import Keyring
from controller.machine import machine_id
from controller.order import OrderId
from controller.program import Documents, Program
from controller.pseudonyms import Pseudonyms
from controller.quarantine import IsolationAnswer, Known
from controller.sources.billing_database import BillingDatabase
from controller.sources.sql_view import SqlViewSource
from controller.spool import HintEvent
from controller.states import State
from controller.store import deprovisions, hints, hosts, identity, log_rows, observations
from controller.store.anchor import AnchorKeeper
from controller.store.deprovisions import Deprovision
from controller.store.engine import create_store, open_store
from controller.store.head import read_head
from controller.store.hosts import DriveBasis, Host, HostFact
from demo.billing import Billing

TENANT_TEXT = b"what the tenant left behind"
DRIVE_BYTES = 1024 * 1024
CONTRACT, HOST = "sub-1", "host-1"
FACTS = {"chassis_serial": "CH1", "board_serial": "BD1", "dmi_uuid": "a1" * 16}
#: Far more rounds than any story takes; a test that needs more hangs instead of waiting.
MAX_ROUNDS = 2000

CONFIGURATION = """
[provider]
domain = "sabotage.example"
[lifecycle]
grace_floor = "PT0S"
dwell_floor = "PT0S"
grace = "PT0S"
dwell = "PT0S"
[source]
kind = "sql_view"
url = "sqlite:///{billing}"
[quarantine]
isolate = ["true"]
read_back = ["true"]
restore = ["true"]
[boot]
command = ["true", "{{config}}", "{{secret}}"]
stop = ["true"]
trust = "virtual_media"
[notice]
waiver = "there is nobody to tell in this world"
"""


class Switch:
    """A `Quarantine` whose one port is a file: there means cut."""

    def __init__(self, folder: Path) -> None:
        self._cut = folder / "tenant-port-is-cut"

    def isolate(self, target: Target) -> None:
        self._cut.touch()

    def restore(self, target: Target) -> None:
        self._cut.unlink(missing_ok=True)

    def read_back(self, target: Target) -> IsolationAnswer:
        cut = self._cut.exists()
        raw = json.dumps({"tenant_side": "cut" if cut else "open"}).encode()
        return IsolationAnswer(
            tenant_side_cut=Known.YES if cut else Known.NO, our_side_reachable=Known.YES, raw=raw, doubt=""
        )

    @property
    def is_cut(self) -> bool:
        return self._cut.exists()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The rented server: its drives, its run directory, and what boots it."""

    folder: Path
    trust_root: Path

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.folder / "run")

    @property
    def boot_trust(self) -> BootTrust:
        return BootTrust.VIRTUAL_MEDIA

    def start(self, request: StartRequest) -> None:
        """What virtual media do: `expunge-agent boot` with the configuration and the secret."""
        config, secret = request.directory / "config", request.directory / "secret"
        config.write_bytes(request.configuration)
        secret.write_bytes(request.secret)
        self.restart_agent(config, secret)

    def restart_agent(self, config: Path, secret: Path) -> None:
        files = agent_boot.BootFiles(
            config=config,
            secret=secret,
            trust_root=self.trust_root,
            only_images=self.folder / "drives",
            host_facts=self.folder / "facts.json",
        )
        agent_boot.boot(self.run, files, now=datetime.now(UTC), session=("expunge-agent", "session"))

    def stop(self, target: Target) -> None:
        return


@dataclass(kw_only=True)
class World:
    """See the module. `keys` and `documents` are made once; forks inherit them."""

    folder: Path
    keys: Keyring
    documents: Documents
    #: The trust root's two, each with the private half that only the person has.
    operators: tuple[PrivateKey, PrivateKey]
    root_key: PrivateKey
    billing: Billing
    machine: Machine
    switch: Switch
    #: Called with each journal line before the controller sees it.
    on_journal_line: Callable[[JournalLine], None] = lambda line: None
    #: The n-th journal record after which an executing process kills itself; None for never.
    executor_dies_after: int | None = None
    executors: list[int] = field(default_factory=list)
    #: Every request line that reached the agent.
    requests: list[Line] = field(default_factory=list)
    count_commit: Callable[[int], None] | None = None
    _program: Program | None = None

    # --- how it begins --------------------------------------------------------------------------------------

    @classmethod
    def found(cls, folder: Path, *, faults: Iterable[str] = ()) -> World:
        """One host with one self-encrypting drive, let to one active subscription."""
        keys = Keyring(
            **{name: PrivateKey.generate() for name in ("order", "log", "issuer", "boot", "ssh")},
            pseudonym_key=secrets.token_bytes(32),
            private_text_key=secrets.token_bytes(32),
        )
        root_key = PrivateKey.generate()
        operators = (PrivateKey.generate(), PrivateKey.generate())
        documents = _documents(keys, root_key, operators)
        machine_folder = folder / "machine"
        (machine_folder / "drives").mkdir(parents=True)
        (machine_folder / "facts.json").write_text(json.dumps(FACTS))
        trust_root = folder / "root.json"
        trust_root.write_bytes(documents.trust_file)
        world = cls(
            folder=folder,
            keys=keys,
            documents=documents,
            operators=operators,
            root_key=root_key,
            billing=Billing(path=folder / "billing.sqlite"),
            machine=Machine(folder=machine_folder, trust_root=trust_root),
            switch=Switch(folder),
        )
        world._plant(faults)
        world.billing.create({HOST: CONTRACT})
        world._create_store()
        return world

    def _plant(self, faults: Iterable[str]) -> None:
        drive = SimulatedNvme.create(
            self.drive_folder,
            serial="SABOTAGE1",
            model="EXPUNGE TEST NVME",
            firmware="1.0",
            capacity_bytes=DRIVE_BYTES,
            random=secrets.token_bytes,
            faults=tuple(faults),
        )
        for place in range(8):
            drive.write(1, place * DRIVE_BYTES // 8, TENANT_TEXT.ljust(4096, b"."))

    def _create_store(self) -> None:
        keeper = AnchorKeeper(self.folder / "anchor.json", machine_id=machine_id())
        store = create_store(self.folder / "expunge.db")
        now = self.now()
        with store.transaction() as tx:
            identity.create(tx, store_id=secrets.token_hex(32), machine_id=machine_id(), now=now)
            root = dsse.read(self.documents.trust_file, payload_type=dsse.TRUST_ROOT_PAYLOAD_TYPE)
            log_rows.append_entry(tx, envelope=root, kind=log_rows.LogKind.GENESIS, now=now)
            self._register(tx, now)
            keeper.place(read_head(tx))
        store.close()

    def _register(self, tx: Any, now: datetime) -> None:
        host = Host(
            id=HostId.from_random(secrets.token_bytes(16)),
            asset_tag=HOST,
            site="s",
            rack="r",
            data_class=founding.DEFAULT_DATA_CLASS,
            disposition=Disposition.RENTED,
            customer_ref=None,
            salt=secrets.token_bytes(32),
            address="127.0.0.1",
            port=1,
            boot_parameters={},
            quarantine_parameters={},
            registered_at=now,
        )
        facts = tuple(HostFact(kind=kind, value=value) for kind, value in FACTS.items())
        hosts.register(tx, host, facts=facts, now=now)
        hosts.record_drive(
            tx,
            id=DriveId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            serial="SABOTAGE1",
            salt=secrets.token_bytes(32),
            basis=DriveBasis.DECLARED,
            model=None,
            capacity_bytes=None,
            now=now,
        )

    # --- what the world may do ------------------------------------------------------------------------------

    def end_subscription(self) -> None:
        self._set_state("ended", HintEvent.ENDED)

    def renew(self) -> None:
        """The customer pays after all; the billing system tells us, too."""
        self._set_state("active", HintEvent.RENEWED)

    def renew_silently(self) -> None:
        """As `renew`, but no hint reaches us: only asking the source shows it."""
        self._beat("active")

    def _set_state(self, state: str, event: HintEvent) -> None:
        self._beat(state)
        program = self.program
        with program.store.transaction() as tx:
            hints.receive(
                tx,
                source="test",
                event_id=secrets.token_hex(8),
                event=event,
                subscription_ref=program.pseudonyms.subscription(CONTRACT),
                now=self.now(),
            )

    def _beat(self, state: str | None = None) -> None:
        """The billing system's sign of life, by the world's clock."""
        import sqlite3

        at = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        with sqlite3.connect(self.billing.path, timeout=10) as database:
            if state is not None:
                database.execute("UPDATE contract SET status = ?, updated = ?", (state, at))
            database.execute("UPDATE pulse SET at = ?", (at,))
        database.close()

    # --- time -----------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + self._shift()

    def _shift(self) -> timedelta:
        path = self.folder / "shift"
        return timedelta(seconds=float(path.read_text())) if path.exists() else timedelta()

    def _skip_to(self, instant: datetime) -> None:
        """Sleeping, without the waiting. What really runs (an agent's process) gets a moment of real time."""
        ahead = (instant - self.now()).total_seconds()
        if ahead > 0:
            beside = self.folder / "shift.new"
            beside.write_text(str(self._shift().total_seconds() + ahead + 0.001))
            beside.replace(self.folder / "shift")
        time.sleep(0.01)

    # --- the controller -------------------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        if self._program is None:
            self._program = self._open()
        return self._program

    def _open(self) -> Program:
        keeper = AnchorKeeper(self.folder / "anchor.json", machine_id=machine_id())
        configuration = parse_configuration(CONFIGURATION.format(billing=self.billing.path).encode())
        route = SimulatedRoute(agent=self._agent, host_key_blob=b"")
        return Program(
            store=open_store(self.folder / "expunge.db", anchoring=keeper, count_commit=self.count_commit),
            keeper=keeper,
            configuration=configuration,
            documents=self.documents,
            keyring=self.keys,
            pseudonyms=Pseudonyms(self.keys.pseudonym_key),
            source=SqlViewSource(
                database=BillingDatabase(url=configuration.source.url, timeout_seconds=5), clock=self.now
            ),
            quarantine=self.switch,
            boot=self.machine,
            notice=None,
            route=lambda host: self._route(route),
            boot_folder=self.folder / "boot",
            certificates_folder=self.folder / "certificates",
            failures_folder=self.folder / "failures",
            clock=self.now,
            random_bytes=secrets.token_bytes,
            version="test",
        )

    def _route(self, route: SimulatedRoute) -> SimulatedRoute:
        if not self.machine.run.path.exists():
            raise Unreachable(Code.HOST_UNREACHABLE, "the machine is not up")
        return replace(route, host_key_blob=bytes.fromhex(self.machine.run.boot().ssh_host_key_blob))

    def sign_table(self, **changes: Any) -> None:
        """The next validation table, taken up as `serve` does at its start; the present one is kept."""
        present = self.documents.present_table
        fields = {
            "version": present.table.version + 1,
            "nonce": secrets.token_hex(16),
            "issued_at": self.now().replace(microsecond=0),
        }
        dumped = present.table.model_dump(by_alias=True)
        table = founding.ValidationTable.model_validate(dumped | fields | changes)
        fingerprint = founding.subject("trust-root", self.documents.fingerprint)
        file = dsse.sign(founding.make(table, (fingerprint,)).payload(), self.root_key).write()
        opened = tables.open_table(self.documents.trust, file)
        self.documents = replace(
            self.documents,
            table=opened.table,
            table_file=opened.file,
            table_digest=opened.digest,
            earlier_tables=(present, *self.documents.earlier_tables),
        )
        self.close()
        serving.take_up_table(self.program)

    def start(self) -> None:
        """What `serve` does first: whoever held a lease is dead."""
        with self.program.store.transaction() as tx:
            deprovisions.end_all_leases(tx)
            observations.abandon(tx, now=self.now())
        checkpointing.sign_due(self.program)

    def step(self, until: Callable[[World], bool]) -> bool:
        """One round: intake, then one step of everything due. Whether anything was due."""
        self._beat()
        census.take(self.program)
        intake.learn(self.program)
        intake.take_hints(self.program)
        telling.take_round(self.program)
        with self.program.store.snapshot() as tx:
            due = deprovisions.due(tx, now=self.now(), limit=10)
        for key in due:
            self._work(key, until)
        return bool(due)

    def _work(self, key: DeprovisionId, until: Callable[[World], bool]) -> None:
        """Steps of one deprovision until it rests, as a worker of `dispatch.embedded` takes them."""
        try:
            while not until(self) and not take_step(self.program, key, owner="test").is_rest:
                continue
        except LostRace:
            return
        finally:
            with self.program.store.transaction() as tx:
                row = deprovisions.load(tx, key)
                if row.lease_owner is not None:
                    deprovisions.release_lease(tx, key, fence=row.fence)

    def run(self, *, until: Callable[[World], bool] = lambda world: False) -> None:
        """Until nothing moves by itself, or `until` holds between two steps."""
        self.start()
        idle_rounds = 0
        for _ in range(MAX_ROUNDS):
            if until(self) or self.is_settled:
                return
            if not self.step(until):
                with self.program.store.snapshot() as tx:
                    due_at = deprovisions.next_due_at(tx, after=self.now())
                idle_rounds += 1
                if self.deprovision is None and idle_rounds > 10:
                    return
                self._skip_to(due_at or self.now() + timedelta(seconds=15))
        raise AssertionError(f"still {self.state} after {MAX_ROUNDS} rounds: {self.deprovision}")

    @property
    def deprovision(self) -> Deprovision | None:
        with self.program.store.snapshot() as tx:
            found = deprovisions.all_deprovisions(tx)
        return found[-1] if found else None

    @property
    def key(self) -> DeprovisionId:
        assert self.deprovision is not None
        return self.deprovision.id

    @property
    def state(self) -> State | None:
        row = self.deprovision
        return None if row is None else row.state

    @property
    def is_settled(self) -> bool:
        """Over, or with a person, everything signed that is to be signed."""
        row = self.deprovision
        if row is None:
            return False
        if row.state is State.NEEDS_OPERATOR:
            return row.next_due_at is None or row.next_due_at > self.now() + timedelta(minutes=1)
        return row.state.is_terminal

    def close(self) -> None:
        if self._program is not None:
            self._program.store.close()
            self._program = None
        for pid in self.executors:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue

    # --- the agent's end of the wire ------------------------------------------------------------------------

    def _agent(self, request: Line) -> Iterator[Line]:
        self.requests.append(request)
        if isinstance(request, Follow):
            yield from self._follow(request)
            return
        answers = io.BytesIO()
        session.serve(
            self.machine.run, request=io.BytesIO(request.write()), answers=answers, launcher=self._launch
        )
        for line in answers.getvalue().splitlines():
            yield messages.read_answer(line)

    def _follow(self, request: Follow) -> Iterator[JournalLine | JournalEnd]:
        lines = following.follow(
            self.machine.run,
            request,
            attach=lambda folder, lock: self._launch(self.machine.run, request.token, lock, True),
            pause=lambda seconds: time.sleep(0.01),
        )
        for line in lines:
            if isinstance(line, JournalLine):
                self.on_journal_line(line)
            yield line

    def _launch(self, run: RunDirectory, token: str, lock: int, is_attached: bool) -> None:
        """An executing process: a fork that outlives whoever started it, as a session's child does."""
        middle = os.fork()
        if middle:
            os.waitpid(middle, 0)
            return
        os.setsid()
        if os.fork():
            os._exit(0)
        written = [0]

        def after_append(line: JournalLine) -> None:
            written[0] += 1
            if self.executor_dies_after is not None and written[0] == self.executor_dies_after:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            executor.execute(
                run,
                token,
                lock=lock,
                is_attached=is_attached,
                after_append=None if is_attached else after_append,
            )
        except Refused:
            os._exit(3)
        finally:
            os._exit(0)

    # --- what is left ---------------------------------------------------------------------------------------

    @property
    def drive_folder(self) -> Path:
        return self.machine.folder / "drives" / "nvme0"

    def drive_text_count(self) -> int:
        """How often the tenant's text stands in what the drive shows."""
        return occurrences(self.drive_folder, TENANT_TEXT)

    # --- forks ----------------------------------------------------------------------------------------------

    def run_in_fork(self, *, die_at_commit: int | None = None) -> int:
        """Runs in a child process. Returns how many transactions it committed, or -1 if it was killed."""
        self.close()
        counter = self.folder / "commits"
        child = os.fork()
        if child == 0:
            try:
                self.count_commit = _counting(counter, die_at_commit)
                self.run()
                os._exit(0)
            except BaseException as error:
                (self.folder / "fork-error").write_text(f"{type(error).__name__}: {error}")
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return -1
        if os.WEXITSTATUS(status):
            raise AssertionError((self.folder / "fork-error").read_text())
        return int(counter.read_text())


def _counting(counter: Path, die_at: int | None) -> Callable[[int], None]:
    def count(number: int) -> None:
        if number == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        counter.write_text(str(number))

    return count


def _documents(keys: Keyring, root_key: PrivateKey, operators: tuple[PrivateKey, PrivateKey]) -> Documents:
    """What `expunge init` signs, for a demonstration, without the slow key files."""
    now = datetime.now(UTC).replace(microsecond=0)
    decided = founding.Founding(
        domain="sabotage.example",
        purpose=Purpose.DEMONSTRATION,
        operators=(operators[0].public, operators[1].public),
    )
    root = founding._trust_root(decided, root_key, keys, now, secrets.token_bytes(16))
    signed = trust.sign(root, root_key)
    payload = founding._validation_table(
        Purpose.DEMONSTRATION, now, secrets.token_bytes(16), signed.payload_digest
    )
    table_file = dsse.sign(payload, root_key).write()
    opened, digest = root.open_statement(table_file, founding.ValidationTable)
    return Documents(
        trust=root,
        trust_file=signed.write(),
        fingerprint=signed.payload_digest,
        table=opened.predicate,
        table_file=table_file,
        table_digest=digest,
        policy=founding._verify_policy(Purpose.DEMONSTRATION),
    )


__all__ = ["CONTRACT", "HOST", "TENANT_TEXT", "OrderId", "Policy", "World"]
