"""The main job from end to end: one billing database, two hosts, real processes.

Host 1's subscription ends: quarantined, staged, planned, approved by rule, ordered, its self-encrypting drive
cryptographically erased, verified, validated, certified, released. Host 2's customer renews during grace:
untouched. Then a stranger checks the certificate. Everything printed was read from a process or a file a
moment before; what the demonstration promises and does not see ends it with exit code 1. An output folder
that holds anything but an earlier demonstration is refused with exit code 2, because it is emptied.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from certificate.keys import PrivateKey
from demo.billing import Billing, Heartbeat
from demo.lab import Failed, Lab, Server, wait_until
from demo.ways import WAYS, steps, strayed

DRIVE_BYTES = 16 * 1024 * 1024
PYTHON = sys.executable
EXPUNGE = (PYTHON, "-m", "certificate.cli")
#: Six times what both stories took on an idle machine of two cores.
STORY_SECONDS = 120.0
#: The shell's number for an end by SIGTERM.
EXIT_TERMINATED = 128 + signal.SIGTERM
#: Host -> the subscription under which it is let.
CONTRACTS = {"host-1": "sub-1001", "host-2": "sub-1002"}
#: By this file an output folder is known as one of ours.
POLICY_FILE = "demo-policy.json"

CONFIGURATION = """\
# Written by the demonstration. Grace and dwell are configuration, so seconds do here what days do for a
# provider.
[provider]
domain = "demo.example"

[lifecycle]
grace_floor = "PT1S"
dwell_floor = "PT1S"
grace = "PT6S"
dwell = "PT1S"

[limits]
fleet_percent_per_day = 100

[notice]
waiver = "the customers of a demonstration are not people"

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

    def tell(self) -> None:
        self.set_up()
        with Heartbeat(self.billing):
            self.customers_leave()
            self.watch()
            self.collect()
        self.check()

    def set_up(self) -> None:
        """A provider's world, `expunge init`, `expunge serve`, and two hosts."""
        self.billing.create(CONTRACTS)
        for server in (self.leaver, self.stayer):
            server.build(capacity_bytes=DRIVE_BYTES)
            self.planted[server.name] = server.occurrences()
            self.say(
                f"{server.name}: drive of {DRIVE_BYTES >> 20} MiB; its tenant's text stands on it "
                f"{self.planted[server.name]} times"
            )
        self._found()
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

    def _found(self) -> None:
        """`expunge init`, with two operators."""
        operators = (argument for path in self._operators() for argument in ("--operator", str(path)))
        told = self.lab.run(
            *(*EXPUNGE, "init", "--home", str(self.home), "--domain", "demo.example"),
            *("--demonstration", *operators, "--json"),
            with_passphrase=True,
        )
        founded = json.loads(told)
        self.say(f"init: {founded['purpose']}, log {founded['origin']}, trust root {founded['fingerprint']}")

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
        added = self.ask(
            *("hosts", "add", server.name),
            *("--site", "demo-site", "--rack", "r1", "--customer", server.customer),
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
        self.names[added["host"]] = server.name
        self.say(
            f"{added['asset_tag']}: on record as {added['disposition']}, drives: {added['drive_count']}, "
            f"agent at {added['address']}"
        )

    def customers_leave(self) -> None:
        """Both subscriptions end; the customer of host 2 renews during grace."""
        for contract in CONTRACTS.values():
            self._billing_says(contract, "ended")
        wait_until("both hosts are scheduled", lambda: self.look().keys() == WAYS.keys())
        self._billing_says(CONTRACTS[self.stayer.name], "active", hint="renewed")

    def _billing_says(self, contract: str, state: str, *, hint: str = "ended") -> None:
        self.billing.set_state(contract, state)
        self.say(f"billing: {contract} is {self.billing.state(contract)}")
        self.expunge("hook", hint, contract, "--home", str(self.home))

    def watch(self) -> None:
        """Until both stories have ended as promised. Raises Failed at the first step aside."""
        wait_until(
            "host 1 is released and host 2 left alone",
            lambda: self.look() == WAYS,
            patience_seconds=STORY_SECONDS,
            every_seconds=1.0,
        )
        for row in self.ask("status")["deprovisions"]:
            self.say(f"{row['host']}: {row['state']}: {row['sentence']}")

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

    def collect(self) -> None:
        """What the provider hands out, written to the output folder."""
        shutil.rmtree(self.out, ignore_errors=True)
        (self.out / "certificates").mkdir(parents=True)
        shutil.copy(self.home / "policy" / "verify.json", self.out / POLICY_FILE)
        self.expunge(
            *("certificate", self.deprovisions[self.leaver.name]),
            *("--home", str(self.home), "--out", str(self.out / "certificates")),
        )
        (self.out / "ledger.jsonl").write_text(self.expunge("ledger", "export", "--home", str(self.home)))
        shutil.copy(self.home / "trust" / "root.json", self.out / "trust-root.json")
        shutil.copy(self.home / "trust" / "issuer.pem", self.out / "issuer.pem")

    def check(self) -> None:
        """A stranger's look: the drives, what was handed out, the certificate."""
        self.look_at_drives()
        self.look_for_private_words()
        self._verify()

    def look_at_drives(self) -> None:
        """Whether the leaver's text is gone from the drive and the stayer's is not."""
        for server, survives in ((self.leaver, False), (self.stayer, True)):
            before, after = self.planted[server.name], server.occurrences()
            self.say(f"{server.name}: its tenant's text stands on the drive {after} times (before: {before})")
            if not before or after != (before if survives else 0):
                raise Failed(
                    f"{server.name}: the text of its tenant should {'still' if survives else 'not'} be there"
                )

    def look_for_private_words(self) -> None:
        """Whether anything that is handed out names a customer, a subscription, a host or a drive."""
        words = {*CONTRACTS.values()}
        for server in (self.leaver, self.stayer):
            words |= {server.name, server.customer, server.serial, *server.facts.values()}
        files = [path for path in self.out.rglob("*") if path.is_file()]
        found = [
            f"{word} in {path.name}" for path in files for word in words if word.encode() in path.read_bytes()
        ]
        self.say(f"private words: {len(words)} sought in {len(files)} files, found: {len(found)}")
        if not files or found:
            raise Failed("; ".join(["private words in what is handed out", *found]))

    def _verify(self) -> None:
        """Refused under the policy for real machines, accepted under the demonstration's own."""
        bundles = sorted(str(path) for path in (self.out / "certificates").glob("*.bundle.json"))
        if not bundles:
            raise Failed("no certificate was written")
        root, policy = str(self.out / "trust-root.json"), str(self.out / POLICY_FILE)
        refused = json.loads(self.expunge("verify", *bundles, "--trust", root, "--json", expect=1))
        for answer in refused["files"]:
            self.say(f"verify without a policy: exit {refused['exit']}, {answer['code']}: {answer['reason']}")
        print(self.expunge("verify", *bundles, "--trust", root, "--policy", policy), flush=True)


def is_taken(out: Path) -> bool:
    """Whether something lies there that an earlier demonstration did not write."""
    return out.exists() and not (out / POLICY_FILE).exists() and (not out.is_dir() or any(out.iterdir()))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="demo", description="The main job from end to end, as real processes."
    )
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where certificates and ledger go")
    arguments = parser.parse_args(argv)
    if is_taken(arguments.out):
        parser.error(f"{arguments.out} holds something else; name another folder with --out")
    # So that a time limit around the demonstration ends it as an interrupt does, with its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    story = Story(out=arguments.out)
    try:
        try:
            story.tell()
        finally:
            story.lab.stop()
        if running := story.lab.left_running():
            raise Failed("left running: " + "; ".join(running.values()))
    except Failed as failure:
        story.lab.kill_left_running()
        print(f"\nThe demonstration failed: {failure}\n{story.lab.log_tails()}", file=sys.stderr)
        print(f"Everything it was made of is kept in {story.lab.folder}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit):
        story.lab.kill_left_running()
        story.lab.remove()
        raise
    story.lab.remove()
    files = sorted(str(path) for path in arguments.out.rglob("*") if path.is_file())
    print("\n".join(files))
    story.say(
        f"{len(files)} files; processes started: {story.lab.started_count}, left running: {len(running)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
