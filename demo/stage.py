"""The stage: a provider's world around the real programs, with two operators and seven hosts.

`set_up` plants the tenants' texts, founds the home, and starts switch, machines and `expunge serve`.
`expunge` runs the real command; what it says is read, never assumed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from agent.devices.simulated.faults import Fault
from certificate.keys import PrivateKey
from demo.billing import Billing
from demo.disks import Disk, ImageDisk, NvmeDisk
from demo.lab import Failed, Lab, wait_until
from demo.server import Server
from demo.ways import steps, strayed

DRIVE_BYTES = 16 * 1024 * 1024
#: A LUKS2 container needs 16 MiB for itself.
IMAGE_BYTES = 24 * 1024 * 1024
PYTHON = sys.executable
EXPUNGE = (PYTHON, "-m", "certificate.cli")
#: Of one answer of `serve`; it reads its database only.
STATUS_SECONDS = 10.0
#: Customers of the provider on machines that are none of ours.
OTHERS = 80
#: Host -> the subscription under which it is let; host-3 was never let.
CONTRACTS = {f"host-{number}": f"sub-100{number}" for number in (1, 2, 4, 5, 6, 7)}
SPARE, CLEARED, LIAR, HALF_DEAD = "host-3", "host-5", "host-6", "host-7"
TEXTS = {
    "host-1": "Patient file 4711: what the customer of host 1 left behind",
    "host-2": "Ledger 2026: what the customer of host 2 still needs",
    "host-3": "Burn-in log: what our own engineers left on host 3",
    "host-4": "Thesis, chapter 9: what the customer of host 4 still needs",
    "host-5": "Minutes of the board: what the customer of host 5 left behind",
    "host-6": "Salaries in March: what the customer of host 6 left behind",
    "host-7": "Source code: what the customer of host 7 left behind",
}
#: Whose texts must still be there at the end: who stays, and whose drive lied (there but for what our own
#: markers were written over).
STAYS = {host: host in {"host-2", "host-4", LIAR} for host in TEXTS}
#: Who gets certificates. Host 6 gets the record of a failure.
CERTIFIED = ("host-1", SPARE, CLEARED, HALF_DEAD)
#: Data that this provider may also clear; everything else is purged.
PUBLIC_DATA = "public"
#: Seconds that a host's port takes to be read back. Between its order and its dispatch host 4 is read back
#: once more, so its customer has that long to renew; below the ten seconds after which we ask again.
SLOW = {"host-4": "6"}

CONFIGURATION = """\
# Written by the demonstration. Grace, dwell and their floors are configuration, so seconds do here what days
# do for a provider.
[provider]
domain = "demo.example"

[lifecycle]
grace_floor = "PT1S"
dwell_floor = "PT1S"
grace = "PT8S"
dwell = "PT1S"

[limits]
per_hour = 20
fleet_percent_per_day = 100

[breaker]
census_every = "PT2S"

[source]
kind = "sql_view"
url = "{billing}"

[notice]
command = [{python}, "-m", "demo.postman", "--mailbox", "{folder}/notices", "{{kind}}", "{{host}}"]

[alarm]
command = [{python}, "-m", "demo.postman", "--mailbox", "{folder}/alarms", "{{kind}}", "{{sentence}}"]

[quarantine]
isolate = [{python}, "-m", "demo.switch", "isolate", "--control", "{control}", "{{host}}"]
read_back = [
    {python}, "-m", "demo.switch", "read-back", "--front", "{{front}}", "--management", "{{bmc}}",
    "--slow", "{{slow}}",
]
restore = [{python}, "-m", "demo.switch", "restore", "--control", "{control}", "{{host}}"]

[boot]
command = [
    {python}, "-m", "demo.machine", "boot", "--folder", "{{folder}}", "--config", "{{config}}",
    "--secret", "{{secret}}",
]
stop = [{python}, "-m", "demo.machine", "off", "--folder", "{{folder}}"]
trust = "virtual_media"
"""


class Stage:
    """Everything that stands before the first chapter begins."""

    def __init__(self, *, out: Path) -> None:
        self.out = out
        self.lab = Lab()
        self.home = self.lab.folder / "home"
        self.billing = Billing(path=self.lab.folder / "billing.sqlite")
        self.control = self.lab.folder / "switch.sock"
        self.servers = {
            name: Server(self.lab, name, text=text, disks=_disks(name)) for name, text in TEXTS.items()
        }
        self.planted: dict[str, int] = {}
        #: The controller's id of a host -> our name for it.
        self.names: dict[str, str] = {}
        #: Host -> its deprovision, and host -> its states so far.
        self.deprovisions: dict[str, str] = {}
        self.ways: dict[str, tuple[str, ...]] = {}
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def expunge(self, *arguments: str, expect: int = 0) -> str:
        return self.lab.run(*EXPUNGE, *arguments, expect=expect)

    def ask(self, *arguments: str) -> Any:
        return json.loads(self.expunge(*arguments, "--home", str(self.home), "--json"))

    def act(self, operator: str, *arguments: str, expect: int = 0) -> str:
        """A command that `operator` signs with a key of its own."""
        return self.expunge(*arguments, *self._signed_by(operator), expect=expect)

    def refused(self, operator: str, *arguments: str) -> str:
        """The code with which such a command is refused."""
        return self.lab.refused(*EXPUNGE, *arguments, *self._signed_by(operator), "--json")

    def _signed_by(self, operator: str) -> tuple[str, ...]:
        return ("--key", str(self.key_of(operator)), "--home", str(self.home))

    def key_of(self, operator: str) -> Path:
        return self.lab.folder / f"operator-{operator}"

    # --- before the story -----------------------------------------------------------------------------------

    def set_up(self) -> None:
        """A provider's world, `expunge init`, a class of data of its own, `expunge serve`, and the hosts."""
        self.billing.create(CONTRACTS, others=OTHERS)
        for server in self.servers.values():
            on_each = " and ".join(server.build())
            self.planted[server.name] = server.occurrences()
            self.say(f"{server.name}: {on_each}; its tenant's text {self.planted[server.name]} times")
        self._found()
        self._decide_on_public_data()
        self._configure()
        self._start()
        for server in self.servers.values():
            self._add(server)

    def _found(self) -> None:
        """`expunge init`, with two operators whose private keys stay with them."""
        for operator in ("anna", "ben"):
            key = PrivateKey.generate()
            self.key_of(operator).write_bytes(key.to_openssh(passphrase=None))
            self.key_of(operator).with_suffix(".pub").write_text(key.public.ssh_line + "\n")
        public = (str(self.key_of(operator).with_suffix(".pub")) for operator in ("anna", "ben"))
        told = self.lab.run(
            *(*EXPUNGE, "init", "--home", str(self.home), "--domain", "demo.example", "--demonstration"),
            *(argument for path in public for argument in ("--operator", path)),
            "--json",
            with_passphrase=True,
        )
        founded = json.loads(told)
        self.say(f"init: {founded['purpose']}, log {founded['origin']}, trust root {founded['fingerprint']}")

    def _decide_on_public_data(self) -> None:
        """`expunge policy`: public data may be cleared by an overwrite that is read back whole."""
        draft = self.lab.folder / "draft.json"
        self.expunge("policy", "draft", str(draft), "--home", str(self.home))
        table = json.loads(draft.read_text())
        table["rules"].append({**table["rules"][0], "data_class": PUBLIC_DATA, "floor": "clear"})
        table["rows"].append(
            {
                "data_class": PUBLIC_DATA,
                "media": "plain",
                "technique": "overwrite_keystream",
                "grade": "marker-proven",
                "decision": "accept",
            }
        )
        draft.write_text(json.dumps(table))
        # What a provider's own check asks of a certificate is a file of its own, and a looser one now.
        own = self.home / "policy" / "verify.json"
        own.write_text(json.dumps({**json.loads(own.read_text()), "minimum_method": "clear"}))
        words = (*EXPUNGE, "policy", "sign", str(draft), "--home", str(self.home), "--json")
        signed = json.loads(self.lab.run(*words, with_passphrase=True))
        self.say(f"policy: table {signed['version']} is signed; data called public may be cleared")

    def _configure(self) -> None:
        text = CONFIGURATION.format(
            billing=self.billing.url,
            control=self.control,
            folder=self.lab.folder,
            python=json.dumps(PYTHON),
        )
        (self.home / "expunge.toml").write_text(text)

    def _start(self) -> None:
        ports = (
            f"{name}={server.tenant_front}:{server.tenant_back}" for name, server in self.servers.items()
        )
        self.lab.start(
            "switch",
            *(PYTHON, "-m", "demo.switch", "serve", "--control", str(self.control)),
            *(argument for port in ports for argument in ("--port", port)),
        )
        for server in self.servers.values():
            server.start(self.lab, trust_root=self.home / "trust" / "root.json")
        self.lab.start("serve", *EXPUNGE, "serve", "--home", str(self.home), with_passphrase=True)
        wait_until("`expunge serve` answers", (self.home / "run" / "serve.sock").exists)

    def _add(self, server: Server) -> None:
        is_let = server.name in CONTRACTS
        facts = (
            argument for kind, value in server.facts.items() for argument in ("--fact", f"{kind}={value}")
        )
        parameters = {
            "front": str(server.tenant_front),
            "bmc": str(server.folder / "bmc.sock"),
            "folder": str(server.folder),
            "slow": SLOW.get(server.name, "0"),
        }
        added = self.ask(
            *("hosts", "add", server.name, "--site", "demo-site", "--rack", "r1"),
            *("--data-class", PUBLIC_DATA if server.name == CLEARED else "default"),
            *(("--customer", server.customer) if is_let else ()),
            *("--disposition", "rented" if is_let else "unknown"),
            *(word for disk in server.disks for word in ("--drive", _on_record(disk))),
            *("--address", f"127.0.0.1:{server.ssh_port}"),
            *(item for name, value in parameters.items() for item in ("--parameter", f"{name}={value}")),
            *facts,
        )
        self.names[added["host"]] = server.name
        self.say(
            f"{added['asset_tag']}: on record as {added['disposition']}, drives: {added['drive_count']}, "
            f"agent at {added['address']}"
        )

    # --- looking --------------------------------------------------------------------------------------------

    def billing_says(self, contract: str, state: str, *, hint: str) -> None:
        self.billing.set_state(contract, state)
        self.say(f"billing: {contract} is {self.billing.state(contract)}")
        self.expunge("hook", hint, contract, "--home", str(self.home))

    def look(self) -> dict[str, tuple[str, ...]]:
        """Says each state that the ledger has gained since the last look; answers with all so far."""
        told = sum(len(way) for way in self.ways.values())
        for step in steps(self.expunge("ledger", "export", "--home", str(self.home)))[told:]:
            host = self.names[step.host]
            self.deprovisions[host] = step.deprovision
            self.ways[host] = (*self.ways.get(host, ()), step.state)
            self.say(f"{host}: {step.at} {step.state}")
        if strayed(self.ways):
            raise Failed(f"{strayed(self.ways)} went another way: {json.dumps(self.ask('status'), indent=1)}")
        return self.ways

    def await_state(self, host: str, state: str) -> None:
        """Asks `serve` itself, ten times a second: starting a command takes longer than some states last."""
        transport = httpx.HTTPTransport(uds=str(self.home / "run" / "serve.sock"))
        with httpx.Client(transport=transport, base_url="http://expunge", timeout=STATUS_SECONDS) as serve:

            def is_there() -> bool:
                rows = serve.get("/v1/status").raise_for_status().json()["deprovisions"]
                return any(row["host"] == host and row["state"] == state for row in rows)

            wait_until(f"{host} is {state}", is_there, every_seconds=0.1)


def _disks(host: str) -> tuple[Disk, ...]:
    """What is in each server: one sound drive, but for three."""
    match host:
        case _ if host == CLEARED:
            return (ImageDisk(capacity_bytes=IMAGE_BYTES),)
        case _ if host == LIAR:
            return (NvmeDisk(capacity_bytes=DRIVE_BYTES, faults=(Fault.LIES,)),)
        case _ if host == HALF_DEAD:
            dead = NvmeDisk(capacity_bytes=DRIVE_BYTES, slot="nvme1", faults=(Fault.SILENT,))
            return (NvmeDisk(capacity_bytes=DRIVE_BYTES), dead)
        case _:
            return (NvmeDisk(capacity_bytes=DRIVE_BYTES),)


def _on_record(disk: Disk) -> str:
    return f"serial={disk.serial},model={disk.model},capacity_bytes={disk.capacity_bytes}"
