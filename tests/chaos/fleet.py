"""A provider with many hosts in one folder, for two controllers to share.

    fleet = Fleet.found(folder, host_count=40)
    fleet.leave(host); fleet.renew(host)
    fleet.text_count(host), fleet.sanitizes_begun(host)

Everything is the product's own but the channel (`process_route`): billing is a database read through the
agreed views, quarantine and boot are commands, drives are simulated ones that take some seconds to erase.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.devices.simulated import SimulatedNvme, occurrences
from agent.devices.simulated.core import DriveCore, open_media
from certificate import messages
from certificate.identifiers import DriveId, HostId
from certificate.keys import PrivateKey
from certificate.messages import JournalLine
from certificate.statements import Purpose
from controller import founding
from controller.facts import Disposition
from controller.home import Home
from controller.machine import machine_id
from controller.spool import Spool, make_hint
from controller.store import hosts
from controller.store.anchor import AnchorKeeper
from controller.store.engine import Store, open_store
from controller.store.hosts import DriveBasis, Host, HostFact
from demo.billing import Billing

PASSPHRASE = b"a passphrase of the chaos"
DRIVE_BYTES = 256 * 1024
PLACES = 8
#: Each poll takes a second (agent.techniques), so an erase takes about this many.
ERASE_POLLS = 5
CONTROLLERS = ("north", "south")

CONFIGURATION = """
[provider]
domain = "chaos.example"
[lifecycle]
grace_floor = "PT0S"
dwell_floor = "PT0S"
grace = "PT0S"
dwell = "PT0S"
[limits]
per_hour = 10000
per_day = 10000
concurrent = 10000
per_site_per_day = 10000
per_rack_per_day = 10000
per_customer_per_day = 10000
fleet_percent_per_day = 100
[breaker]
endings_factor = 100
usual_at_least = 10000
active_fall_percent = 100
[source]
kind = "sql_view"
url = "sqlite:///{billing}"
[quarantine]
isolate = ["touch", "{{folder}}/cut"]
read_back = ["sh", "{read_back}", "{{folder}}"]
restore = ["rm", "-f", "{{folder}}/cut"]
[boot]
command = [
    {python}, "-P", "-m", "agent.cli", "boot", "--run-dir", "{{folder}}/run", "--config", "{{config}}",
    "--secret-file", "{{secret}}", "--trust-root", "{root}", "--only-images", "{{folder}}/drives",
    "--host-facts", "{{folder}}/facts.json",
]
stop = ["rm", "-f", "{{folder}}/run/boot.json"]
trust = "virtual_media"
timeout = "PT20S"
[notice]
waiver = "a test tells nobody"
"""


READ_BACK = """
if test -e "$1/cut"; then side=cut; else side=open; fi
printf '{"tenant_side":"%s","our_side":"reachable"}\\n' "$side"
"""


@dataclass(frozen=True, kw_only=True)
class Rented:
    """One host of the fleet."""

    name: str
    contract: str
    folder: Path
    text: bytes

    @property
    def drive(self) -> Path:
        return self.folder / "drives" / "nvme0"

    @property
    def is_cut(self) -> bool:
        return (self.folder / "cut").exists()

    def text_count(self) -> int:
        """How often the tenant's text stands in what the drive shows."""
        return occurrences(self.drive, self.text)

    def sanitizes_begun(self) -> int:
        """By the drive's own count."""
        return DriveCore(open_media(self.drive, random=os.urandom)).state().sanitizes_begun

    def journals(self) -> Iterator[list[JournalLine]]:
        """Those of every token that this host's agent accepted, in any boot."""
        for path in (self.folder / "run").glob("**/journal.jsonl"):
            whole = path.read_bytes().rpartition(b"\n")[0]
            lines = [messages.read_answer(line) for line in whole.splitlines(keepends=True) if line.strip()]
            yield [line for line in lines if isinstance(line, JournalLine)]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Home, billing and hosts."""

    folder: Path
    home: Home
    billing: Billing
    rented: tuple[Rented, ...]

    @classmethod
    def found(cls, folder: Path, *, host_count: int) -> Fleet:
        home, billing = Home(folder / "home"), Billing(path=folder / "billing.sqlite")
        home.path.mkdir()
        read_back = folder / "read-back.sh"
        read_back.write_text(READ_BACK)
        home.configuration.write_text(
            CONFIGURATION.format(
                billing=billing.path,
                python=json.dumps(sys.executable),
                root=home.trust_root,
                read_back=read_back,
            )
        )
        first, second = PrivateKey.generate().public, PrivateKey.generate().public
        founding.found(
            home,
            founding.Founding(
                domain="chaos.example", purpose=Purpose.DEMONSTRATION, operators=(first, second)
            ),
            passphrase=PASSPHRASE,
            now=datetime.now(UTC),
            randomness=secrets.token_bytes,
        )
        for name in CONTROLLERS:
            (home.path / f"spool-{name}").mkdir()
        rented = tuple(_build(folder / "hosts", number) for number in range(host_count))
        billing.create({host.name: host.contract for host in rented}, others=10 * host_count)
        with closing(sqlite3.connect(billing.path)) as database:
            # Otherwise a controller that is stopped while it reads would stop the provider's billing, too.
            database.execute("PRAGMA journal_mode = WAL")
        fleet = cls(folder=folder, home=home, billing=billing, rented=rented)
        with closing(fleet.open_store()) as store, store.transaction() as tx:
            for host in rented:
                _register(tx, host)
        return fleet

    def open_store(self, *, is_read_only: bool = False) -> Store:
        keeper = AnchorKeeper(self.home.anchor, machine_id=machine_id())
        return open_store(self.home.database, is_read_only=is_read_only, anchoring=keeper)

    def leave(self, host: Rented, *, told_to: str) -> None:
        self.billing.set_state(host.contract, "ended")
        self._tell("ended", host, told_to)

    def renew(self, host: Rented, *, told_to: str | None) -> datetime:
        """The customer pays after all; with `told_to` None nobody tells us. When the source had it."""
        self.billing.set_state(host.contract, "active")
        since = datetime.now(UTC)
        if told_to is not None:
            self._tell("renewed", host, told_to)
        return since

    def _tell(self, event: str, host: Rented, told_to: str) -> None:
        now = datetime.now(UTC)
        hint = make_hint(
            event=event, subscription=host.contract, now=now, random_16_bytes=secrets.token_bytes(16)
        )
        Spool(self.home.path / f"spool-{told_to}").write(hint, now=now)

    def query(self, statement: str) -> list[sqlite3.Row]:
        """Reads the controllers' database beside them."""
        with closing(sqlite3.connect(f"{self.home.database.as_uri()}?mode=ro", uri=True, timeout=20)) as db:
            db.row_factory = sqlite3.Row
            return db.execute(statement).fetchall()


def _build(folder: Path, number: int) -> Rented:
    name = f"host-{number:02}"
    host = Rented(
        name=name,
        contract=f"sub-{number:02}",
        folder=folder / name,
        text=f"what the customer of {name} keeps here".encode(),
    )
    (host.folder / "drives").mkdir(parents=True)
    facts = {"chassis_serial": f"CH-{name}", "board_serial": f"BD-{name}", "dmi_uuid": secrets.token_hex(16)}
    (host.folder / "facts.json").write_text(json.dumps(facts))
    drive = SimulatedNvme.create(
        host.drive,
        serial=f"SN{number:06}",
        model="EXPUNGE CHAOS NVME",
        firmware="1.0",
        capacity_bytes=DRIVE_BYTES,
        random=secrets.token_bytes,
        sanitize_polls=ERASE_POLLS,
    )
    for place in range(PLACES):
        drive.write(1, place * DRIVE_BYTES // PLACES, host.text.ljust(4096, b"."))
    return host


def _register(tx: object, rented: Rented) -> None:
    now = datetime.now(UTC)
    host = Host(
        id=HostId.from_random(secrets.token_bytes(16)),
        asset_tag=rented.name,
        site="s",
        rack="r",
        data_class=founding.DEFAULT_DATA_CLASS,
        disposition=Disposition.RENTED,
        customer_ref=None,
        salt=secrets.token_bytes(32),
        address="127.0.0.1",
        port=1,
        boot_parameters={"folder": str(rented.folder)},
        quarantine_parameters={},
        registered_at=now,
    )
    facts = json.loads((rented.folder / "facts.json").read_text())
    told = tuple(HostFact(kind=kind, value=value) for kind, value in facts.items())
    hosts.register(tx, host, facts=told, now=now)
    hosts.record_drive(
        tx,
        id=DriveId.from_random(secrets.token_bytes(16)),
        host_id=host.id,
        serial=f"SN{int(rented.name.removeprefix('host-')):06}",
        salt=secrets.token_bytes(32),
        basis=DriveBasis.DECLARED,
        model=None,
        capacity_bytes=None,
        now=now,
    )
