"""A host behind a real OpenSSH server on the loopback, and a provider who reaches it over the real channel.

    world = OpenSshWorld.found(folder)          # as `tests.world.World`, which it is
    world.machine.sshd.cut(); .stop(); .start(host_key)
    world.machine.lose_power(); .power_up()     # a new boot, new keys

The boot is `expunge-agent boot`, and its sessions are processes that sshd starts by the forced command that
this boot wrote into authorized_keys; an execution is what such a session starts. The host has a simulated
NVMe drive, which takes some seconds for its sanitize, and a drive that is a file and is overwritten. Needs
root, because sshd separates privileges; everything it reads lies in the world's folder.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent import wiring
from agent.devices.simulated import SimulatedNvme
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, DriveId, HostId
from certificate.keys import PrivateKey
from certificate.messages import Execute, Follow, JournalEnd, JournalLine, Line
from certificate.statements.vocabulary import Grade, MediaKind, Method, Technique
from controller.channels import Channel
from controller.channels.ssh import Endpoint, Patience, SshIntroduction, SshRoute
from controller.dispatch.lease import Heart
from controller.dispatch.working import take_step
from controller.errors import LostRace
from controller.store import deprovisions, hosts
from controller.store.hosts import DriveBasis
from tests.world import DRIVE_BYTES, HOST, TENANT_TEXT, Machine, World

SSHD = "/usr/sbin/sshd"
SSHD_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {host_key}
AuthorizedKeysFile {authorized_keys}
PermitRootLogin forced-commands-only
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
StrictModes no
UsePAM no
PrintMotd no
PidFile none
LogLevel DEBUG1
"""
START_SECONDS = 20
NVME_SERIAL, IMAGE_SERIAL = "SABOTAGE1", "IMAGE1"
IMAGE_BYTES = 24 << 20
#: The agent looks at a sanitize once a second: it lasts longer than a connection needs to come back.
SANITIZE_POLLS = 4
#: One try: the world's clock jumps where a real controller would wait for the next.
PATIENCE = Patience(connect_seconds=20, connect_attempts=1, answer_seconds=60, quiet_seconds=60)


class Sshd:
    """One sshd, on a port that stays its own. Whatever was started is ended by its process id."""

    def __init__(self, folder: Path, *, authorized_keys: Path) -> None:
        folder.mkdir()
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._folder = folder
        self._authorized_keys = authorized_keys
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]

    def start(self, host_key: Path) -> None:
        """Listens with this host key; the log begins anew."""
        configuration = self._folder / "sshd_config"
        configuration.write_text(
            SSHD_CONFIGURATION.format(
                port=self.port, host_key=host_key, authorized_keys=self._authorized_keys
            )
        )
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(configuration)], stderr=log)
        until = time.monotonic() + START_SECONDS
        while "listening on" not in self.log():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.01)

    def stop(self) -> None:
        """The one that listens, and those that serve a connection."""
        if self._process is None:
            return
        serving = self.connections()
        self._process.terminate()
        self._process.wait(timeout=START_SECONDS)
        self._process = None
        for pid in serving:
            _kill(pid)

    def cut(self) -> None:
        """Ends every connection and goes on listening."""
        serving = self.connections()
        assert serving, "there was no connection to cut"
        for pid in serving:
            _kill(pid)

    def connections(self) -> list[int]:
        """The processes that serve one connection each: children of the one that listens."""
        listening = None if self._process is None else self._process.pid
        return [pid for pid, parent in _parents() if parent == listening]

    def log(self) -> str:
        return self._log_file.read_text()

    @property
    def _log_file(self) -> Path:
        return self._folder / "log"


@dataclass(frozen=True, kw_only=True)
class OpenSshMachine(Machine):
    """The rented server. Its virtual medium stays in it, so that it can boot by itself again."""

    sshd: Sshd

    def restart_agent(self, config: Path, secret: Path) -> None:
        medium = self.folder / "medium"
        medium.mkdir(exist_ok=True)
        (medium / "config").write_bytes(config.read_bytes())
        (medium / "secret").write_bytes(secret.read_bytes())
        config.unlink()
        secret.unlink()
        self.lose_power()
        self.power_up()

    def lose_power(self) -> None:
        """Everything that ran is gone, and what was in memory too; the test keeps it for its counting."""
        self.sshd.stop()
        for pid in self.executions():
            _kill(pid)
        if self.run.path.exists():
            self.run.path.rename(self.folder / f"lost-{len(self.lost)}")

    @property
    def lost(self) -> list[Path]:
        """The run directories of earlier boots."""
        return sorted(self.folder.glob("lost-*"))

    def power_up(self) -> None:
        """`expunge-agent boot` from the medium, then sshd with the host key of that boot."""
        secret = self.folder / "secret"
        secret.write_bytes((self.folder / "medium" / "secret").read_bytes())
        command = [*wiring.own_program(), "boot", "--run-dir", str(self.run.path)]
        command += ["--config", str(self.folder / "medium" / "config"), "--secret-file", str(secret)]
        command += ["--trust-root", str(self.trust_root), "--only-images", str(self.folder / "drives")]
        command += ["--host-facts", str(self.folder / "facts.json")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        self.sshd.start(self.run.ssh_host_key_file)

    def executions(self) -> list[int]:
        """The processes that execute an order on this machine."""
        return [pid for pid, _ in _parents() if {b"execute", os.fsencode(self.run.path)} <= _words(pid)]


@dataclass(kw_only=True)
class OpenSshWorld(World):
    """`World`, but for the way to the agent."""

    #: Who the controller is to the host: its own key, unless a test takes another.
    client_key: PrivateKey | None = None
    #: The codes of all connections that came to nothing; `on_failure` is called after each.
    failures: list[str] = field(default_factory=list)
    on_failure: Callable[[], None] = lambda: None

    @classmethod
    def found(cls, folder: Path, *, faults: Iterable[str] = ()) -> OpenSshWorld:
        world = super().found(folder, faults=faults)
        assert isinstance(world, cls)
        machine = world.machine
        world.machine = OpenSshMachine(
            folder=machine.folder,
            trust_root=machine.trust_root,
            sshd=Sshd(folder / "sshd", authorized_keys=machine.run.authorized_keys_file),
        )
        policy = world.documents.policy.model_dump(by_alias=True) | {"minimum_method": Method.CLEAR}
        world.documents = replace(world.documents, policy=type(world.documents.policy).model_validate(policy))
        world._accept_overwrites()
        return world

    @property
    def host(self) -> OpenSshMachine:
        assert isinstance(self.machine, OpenSshMachine)
        return self.machine

    def _plant(self, faults: Iterable[str]) -> None:
        drive = SimulatedNvme.create(
            self.drive_folder,
            serial=NVME_SERIAL,
            model="EXPUNGE TEST NVME",
            firmware="1.0",
            capacity_bytes=DRIVE_BYTES,
            random=secrets.token_bytes,
            faults=tuple(faults),
            sanitize_polls=SANITIZE_POLLS,
        )
        for place in range(8):
            drive.write(1, place * DRIVE_BYTES // 8, TENANT_TEXT.ljust(4096, b"."))
        self.image.write_bytes(TENANT_TEXT.ljust(4096, b".") * (IMAGE_BYTES // 4096))
        self.image.with_suffix(".json").write_text(
            json.dumps({"serial": IMAGE_SERIAL, "model": "EXPUNGE TEST IMAGE"})
        )

    def _register(self, tx: Any, now: datetime) -> None:
        super()._register(tx, now)
        host = hosts.by_asset_tag(tx, HOST)
        assert host is not None
        hosts.record_drive(
            tx,
            id=DriveId.from_random(secrets.token_bytes(16)),
            host_id=HostId.parse(host.id),
            serial=IMAGE_SERIAL,
            salt=secrets.token_bytes(32),
            basis=DriveBasis.DECLARED,
            model=None,
            capacity_bytes=None,
            now=now,
        )

    def _accept_overwrites(self) -> None:
        """A plain drive has nothing better than an overwrite, so the floor of this provider is clear."""
        (rule,), rows = self.documents.table.rules, self.documents.table.rows
        plain = rows[0].model_dump() | {
            "media": MediaKind.PLAIN,
            "technique": Technique.OVERWRITE_KEYSTREAM,
            "grade": Grade.MARKER_PROVEN,
        }
        floor = rule.model_dump() | {"floor": Method.CLEAR}
        self.sign_table(rules=(floor,), rows=(*(row.model_dump() for row in rows), plain))

    # --- the way to the agent -------------------------------------------------------------------------------

    def _route(self, route: Any) -> HeardRoute:
        return HeardRoute(
            world=self,
            route=SshRoute(
                endpoint=Endpoint(address="127.0.0.1", port=self.host.sshd.port, user="root"),
                identity=self.client_key or self.keys.ssh,
                patience=PATIENCE,
            ),
        )

    def _work(self, key: DeprovisionId, until: Callable[[World], bool]) -> None:
        """As `World`, with a heart: real sessions take real time."""
        heart = Heart(self.program.store)
        over = threading.Event()
        beating = threading.Thread(target=heart.run, args=(over,), daemon=True)
        beating.start()
        try:
            while not until(self) and not take_step(self.program, key, owner="test", heart=heart).is_rest:
                continue
        except LostRace:
            return
        finally:
            over.set()
            beating.join()
            with self.program.store.transaction() as tx:
                row = deprovisions.load(tx, key)
                if row.lease_owner is not None:
                    deprovisions.release_lease(tx, key, fence=row.fence)

    def let_pass(self, span: timedelta) -> None:
        """So much time goes by while nobody looks."""
        self._skip_to(self.now() + span)

    def end(self) -> None:
        """Nothing that this world started runs any more."""
        self.close()
        self.host.lose_power()

    # --- what is left ---------------------------------------------------------------------------------------

    @property
    def image(self) -> Path:
        return self.machine.folder / "drives" / "image0.img"

    def text_count(self) -> int:
        """How often the tenant's text stands on the drives."""
        return self.drive_text_count() + self.image.read_bytes().count(TENANT_TEXT)

    def sanitizes_begun(self) -> int:
        """How many the drive itself ever began."""
        return SimulatedNvme.open(self.drive_folder).state().sanitizes_begun

    def sent(self) -> list[str]:
        """The steps that any boot of the agent ever sent, by its own journals."""
        found = [
            path
            for run in (*self.host.lost, self.host.run.path)
            for path in run.glob("tokens/*/journal.jsonl")
        ]
        lines = [json.loads(line) for path in found for line in path.read_text().splitlines()]
        return [line["step"] for line in lines if line["kind"] == "sent"]

    def allowed(self) -> set[str]:
        """The acknowledgements that arrived at the present boot of the agent."""
        return {str(path) for path in self.host.run.path.glob("tokens/*/ack-*.json")}

    def orders_sent(self) -> int:
        """How often the controller handed an order over, or tried to."""
        return sum(isinstance(request, Execute) for request in self.requests)


@dataclass(frozen=True, kw_only=True)
class HeardRoute:
    """A route whose requests and journal lines the test hears."""

    world: OpenSshWorld
    route: SshRoute

    def meet(self) -> SshIntroduction:
        with self._heard():
            return self.route.meet()

    def open(self, *, host_key_blob: bytes) -> HeardChannel:
        with self._heard():
            return HeardChannel(self.world, self.route.open(host_key_blob=host_key_blob))

    @contextmanager
    def _heard(self) -> Iterator[None]:
        try:
            yield
        except Refused as refusal:
            self.world.failures.append(refusal.code.value)
            self.world.on_failure()
            raise


class HeardChannel:
    """A `Channel`: the real one, and what passes it."""

    def __init__(self, world: OpenSshWorld, channel: Channel) -> None:
        self._world = world
        self._channel = channel

    @property
    def host_key_blob(self) -> bytes:
        return self._channel.host_key_blob

    def ask(self, line: Line) -> Line:
        self._world.requests.append(line)
        return self._channel.ask(line)

    def follow(self, line: Follow) -> Iterator[JournalLine | JournalEnd]:
        self._world.requests.append(line)
        for told in self._channel.follow(line):
            if isinstance(told, JournalLine):
                self._world.on_journal_line(told)
            yield told

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    until = time.monotonic() + START_SECONDS
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        assert time.monotonic() < until, f"process {pid} does not end"
        time.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(stat.parent.name), int(fields[1])


def _words(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    except (FileNotFoundError, ProcessLookupError):
        return set()
