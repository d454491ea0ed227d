"""The main job from end to end: one billing database, two hosts, real processes.

Host 1's subscription ends: quarantined, staged, planned, approved by rule, ordered, its self-encrypting drive
cryptographically erased, verified, validated, certified, released. Host 2's customer renews during grace:
untouched. Then a stranger checks the certificate. Everything printed was read from a process or a file a
moment before; what the demonstration promises and does not see ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from certificate.keys import PrivateKey
from demo.billing import Billing, Heartbeat
from demo.lab import Failed, Lab, Server, wait_until

DRIVE_BYTES = 16 * 1024 * 1024
PYTHON = sys.executable
EXPUNGE = (PYTHON, "-m", "certificate.cli")

CONFIGURATION = """\
# Written by the demonstration. Grace and dwell are configuration, so seconds do here what days do for a
# provider.
[provider]
domain = "demo.example"

[lifecycle]
grace = "PT6S"
dwell = "PT1S"

[source]
kind = "sql_view"
url = "{billing}"

[quarantine]
isolate = [{python}, "-m", "demo.switch", "isolate", "--control", "{control}", "{{host}}"]
read_back = [{python}, "-m", "demo.switch", "read-back", "--front", "{{front}}", "--management", "{{bmc}}"]
restore = [{python}, "-m", "demo.switch", "restore", "--control", "{control}", "{{host}}"]

[boot]
command = [
    {python}, "-m", "demo.machine", "boot", "--folder", "{{folder}}", "--config", "{{config}}",
    "--secret", "{{secret}}",
]
stop = [{python}, "-m", "demo.machine", "off", "--folder", "{{folder}}"]
trust = "virtual_media"
"""


class Story:
    """The demonstration, chapter by chapter."""

    def __init__(self, *, out: Path) -> None:
        self.out = out
        self.lab = Lab()
        self.home = self.lab.folder / "home"
        self.billing = Billing(path=self.lab.folder / "billing.sqlite")
        self.control = self.lab.folder / "switch.sock"
        self.leaver = Server(
            self.lab, "host-1", text="Patient file 4711: what the customer of host 1 left behind"
        )
        self.stayer = Server(self.lab, "host-2", text="Ledger 2026: what the customer of host 2 still needs")
        self.planted: dict[str, int] = {}
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def expunge(self, *arguments: str, expect: int = 0) -> str:
        return self.lab.run(*EXPUNGE, *arguments, expect=expect)

    def ask(self, *arguments: str) -> Any:
        return json.loads(self.expunge(*arguments, "--home", str(self.home), "--json"))

    def tell(self) -> None:
        self.set_up()
        with Heartbeat(self.billing):
            self.customers_leave()
            self.watch()
            self.collect()
        self.check()

    def set_up(self) -> None:
        """A provider's world, `expunge init`, `expunge serve`, and two hosts."""
        self.billing.create({self.leaver.name: "sub-1001", self.stayer.name: "sub-1002"})
        for server in (self.leaver, self.stayer):
            server.build(capacity_bytes=DRIVE_BYTES)
            self.planted[server.name] = server.occurrences()
            self.say(
                f"{server.name}: drive of {DRIVE_BYTES >> 20} MiB; its tenant's text stands on it "
                f"{self.planted[server.name]} times"
            )
        operators = self._operators()
        self.lab.run(
            *EXPUNGE,
            "init",
            "--home",
            str(self.home),
            "--domain",
            "demo.example",
            "--demonstration",
            *(argument for path in operators for argument in ("--operator", str(path))),
            with_passphrase=True,
        )
        (self.home / "expunge.toml").write_text(
            CONFIGURATION.format(billing=self.billing.url, control=self.control, python=json.dumps(PYTHON))
        )
        trust_root = self.home / "trust" / "root.json"
        ports = (
            f"{server.name}={server.tenant_front}:{server.tenant_back}"
            for server in (self.leaver, self.stayer)
        )
        self.lab.start(
            "switch",
            PYTHON,
            "-m",
            "demo.switch",
            "serve",
            "--control",
            str(self.control),
            *(argument for port in ports for argument in ("--port", port)),
        )
        for server in (self.leaver, self.stayer):
            server.start(self.lab, trust_root=trust_root)
        self.lab.start("serve", *EXPUNGE, "serve", "--home", str(self.home), with_passphrase=True)
        wait_until("`expunge serve` answers", (self.home / "run" / "serve.sock").exists)
        for server in (self.leaver, self.stayer):
            self._add(server)
        self.say("expunge: home, keys, trust root, policy; two hosts on record; serving")

    def _operators(self) -> list[Path]:
        paths = []
        for name in ("anna", "ben"):
            path = self.lab.folder / f"operator-{name}.pub"
            path.write_text(PrivateKey.generate().public.ssh_line + "\n")
            paths.append(path)
        return paths

    def _add(self, server: Server) -> None:
        facts = (
            argument for kind, value in server.facts.items() for argument in ("--fact", f"{kind}={value}")
        )
        self.expunge(
            *("hosts", "add", server.name, "--home", str(self.home)),
            *("--site", "demo-site", "--rack", "r1", "--customer", f"customer of {server.name}"),
            *("--data-class", "default", "--disposition", "rented"),
            *("--drive", f"serial={server.serial},model=EXPUNGE DEMO NVME,capacity_bytes={DRIVE_BYTES}"),
            *("--address", f"127.0.0.1:{server.ssh_port}"),
            *(
                "--parameter",
                f"front={server.tenant_front}",
                "--parameter",
                f"bmc={server.folder / 'bmc.sock'}",
            ),
            *("--parameter", f"folder={server.folder}"),
            *facts,
        )

    def customers_leave(self) -> None:
        """Both subscriptions end; the customer of host 2 renews during grace."""
        for contract in ("sub-1001", "sub-1002"):
            self.billing.set_state(contract, "ended")
            self.expunge("hook", "ended", contract, "--home", str(self.home))
        self.say("billing: sub-1001 and sub-1002 have ended")
        wait_until("both hosts are scheduled", lambda: set(self._states()) == {"host-1", "host-2"})
        self.say("expunge: both hosts are scheduled; grace runs")
        self.billing.set_state("sub-1002", "active")
        self.expunge("hook", "renewed", "sub-1002", "--home", str(self.home))
        self.say("billing: the customer of host 2 has renewed")

    def _states(self) -> dict[str, dict[str, str]]:
        return {row["host"]: row for row in self.ask("status")["deprovisions"]}

    def watch(self) -> None:
        """Prints each state as the controller reports it, until both stories have ended."""
        seen: dict[str, str] = {}

        def both_ended() -> bool:
            for host, row in sorted(self._states().items()):
                if seen.get(host) != row["state"]:
                    seen[host] = row["state"]
                    self.say(f"{host}: {row['state']}: {row['sentence']}")
            if "needs_operator" in seen.values():
                raise Failed(f"a host needs an operator: {json.dumps(self.ask('status'), indent=1)}")
            return seen == {"host-1": "released", "host-2": "cancelled"}

        wait_until("host 1 is released and host 2 left alone", both_ended)

    def collect(self) -> None:
        """What the provider hands out, written to the output folder."""
        shutil.rmtree(self.out, ignore_errors=True)
        (self.out / "certificates").mkdir(parents=True)
        deprovision = self._states()["host-1"]["deprovision"]
        self.expunge(
            "certificate", deprovision, "--home", str(self.home), "--out", str(self.out / "certificates")
        )
        (self.out / "ledger.jsonl").write_text(self.expunge("ledger", "export", "--home", str(self.home)))
        shutil.copy(self.home / "trust" / "root.json", self.out / "trust-root.json")
        shutil.copy(self.home / "policy" / "verify.json", self.out / "demo-policy.json")
        shutil.copy(self.home / "trust" / "issuer.pem", self.out / "issuer.pem")

    def check(self) -> None:
        """A stranger's look: the drives, the certificate, the ledger."""
        for server, survives in ((self.leaver, False), (self.stayer, True)):
            before, after = self.planted[server.name], server.occurrences()
            self.say(f"{server.name}: its tenant's text stands on the drive {after} times (before: {before})")
            if not before or after != (before if survives else 0):
                raise Failed(
                    f"{server.name}: the text of its tenant should {'still' if survives else 'not'} be there"
                )
        bundles = sorted(str(path) for path in (self.out / "certificates").glob("*.bundle.json"))
        if not bundles:
            raise Failed("no certificate was written")
        root, policy = str(self.out / "trust-root.json"), str(self.out / "demo-policy.json")
        refused = self.expunge("verify", *bundles, "--trust", root, "--json", expect=1)
        self.say(
            f"verify without the demonstration's policy: exit 1, {json.loads(refused)['files'][0]['code']}"
        )
        print(self.expunge("verify", *bundles, "--trust", root, "--policy", policy), flush=True)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="demo", description="The main job from end to end, as real processes."
    )
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where certificates and ledger go")
    arguments = parser.parse_args(argv)
    story = Story(out=arguments.out)
    try:
        try:
            story.tell()
        finally:
            story.lab.stop()
        if running := story.lab.left_running():
            raise Failed("left running: " + "; ".join(running))
    except Failed as failure:
        print(f"\nThe demonstration failed: {failure}\n{story.lab.log_tails()}", file=sys.stderr)
        return 1
    story.lab.remove()
    story.say(f"nothing left running; certificates, trust root, policy and ledger are in {arguments.out}/")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
