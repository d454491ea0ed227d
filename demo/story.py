"""The story, chapter by chapter; what a chapter promises and does not see ends it (`Failed`)."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from demo.billing import Heartbeat
from demo.disclosure import texts
from demo.disks import ImageDisk
from demo.lab import Failed, wait_until
from demo.stage import (
    CERTIFIED,
    CLEARED,
    CONTRACTS,
    EXPUNGE,
    HALF_DEAD,
    LIAR,
    OTHERS,
    SPARE,
    STAYS,
    Stage,
)
from demo.ways import WAYS

#: Six times what all stories took on an idle machine of two cores.
STORY_SECONDS = 180.0
#: By this file an output folder is known as one of ours.
POLICY_FILE = "demo-policy.json"
#: More than a fifth of the provider's customers at once.
BURST = OTHERS // 3

__all__ = ["EXPUNGE", "POLICY_FILE", "Story"]


class Story(Stage):
    """Eleven chapters and a stranger's look."""

    def tell(self) -> None:
        self.set_up()
        with Heartbeat(self.billing), ThreadPoolExecutor(max_workers=1) as elsewhere:
            self.hold()
            self.customers_leave()
            last_moment = elsewhere.submit(self.renew_at_the_last_moment)
            self.declare_the_spare()
            self.wipe_by_hand()
            self.release_the_hold()
            self.take_out_the_dead_drive()
            last_moment.result()
            self.watch()
            self.the_lie()
            self.a_burst_of_endings()
            self.collect()
        self.check()

    # --- chapters -------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """One operator suffices to keep a host from being wiped."""
        scope = ("--scope", "host=host-1", "--matter", "claim of a third party", "--review", "P30D")
        self.act("anna", "holds", "set", *scope)
        (stop,) = self.ask("holds", "list")["stops"]
        self.say(f"host-1 is held by {stop['author']}: {stop['matter']}")

    def customers_leave(self) -> None:
        """Six subscriptions end; the customer of host 2 renews during grace."""
        self.owner_tries(when="before")
        stays = "host-2"
        for host in (*(each for each in CONTRACTS if each != stays), stays):
            self.billing_says(CONTRACTS[host], "ended", hint="ended")
        self.await_state(stays, "scheduled")
        self.billing_says(CONTRACTS[stays], "active", hint="renewed")
        wait_until("the hosts are scheduled", lambda: self.look().keys() >= CONTRACTS.keys())

    def declare_the_spare(self) -> None:
        """A host that was never let becomes `stock` when two operators say so over an empty list."""
        words = ("hosts", "declare", SPARE, "stock", "--reason", "spare", "--confirm", f"{SPARE} stock")
        self.act("anna", *words, expect=4)
        self.act("ben", *words)
        (line,) = (line for line in self.ask("hosts", "list")["hosts"] if line["asset_tag"] == SPARE)
        self.say(f"{SPARE}: declared {line['disposition']} by two operators; one was not enough")

    def wipe_by_hand(self) -> None:
        """Requested by one, refused to the same, approved by another."""
        shown = self.ask("wipe", SPARE)
        for sentence in shown["consequences"]:
            self.say(f"wipe {SPARE}, shown only: {sentence}")
        words = ("--confirm", f"{SPARE} {self.servers[SPARE].facts['chassis_serial'][-4:]}")
        self.act(
            "anna",
            *("wipe", SPARE, "--request", "--reason", "back to the shelf", *words, "--wait", "PT60S"),
            expect=4,
        )
        digest = self.ask("wipe", SPARE)["plan"]["digest"]
        self.say(f"{SPARE}: anna requests the plan {digest[:16]}…")
        code = self.refused("anna", "approve", digest, *words)
        self.say(f"{SPARE}: anna approves her own request: exit 3, {code}")
        self.act("ben", "approve", digest, *words)
        self.say(f"{SPARE}: ben approves the plan {digest[:16]}…")

    def release_the_hold(self) -> None:
        """Grace is long over; the hold alone kept host 1. It takes two to release it."""
        (line,) = (line for line in self.ask("status")["deprovisions"] if line["host"] == "host-1")
        if line["state"] != "scheduled" or "HELD" not in str(line["waits_for"]):
            raise Failed(f"host-1 should be held: {json.dumps(line)}")
        self.say(f"host-1 waits: {line['waits_for']}")
        (stop,) = self.ask("holds", "list")["stops"]
        number = str(stop["number"])
        words = ("holds", "release", number, "--reason", "withdrawn", "--confirm", f"hold {number}")
        self.act("anna", *words, expect=4)
        self.act("ben", *words)
        self.say("host-1: the hold is released by two operators; one was not enough")

    def renew_at_the_last_moment(self) -> None:
        """Host 4 has a signed and logged order when its customer renews; meanwhile the others go on."""
        self.await_state("host-4", "intended")
        self.billing_says(CONTRACTS["host-4"], "active", hint="renewed")

    def take_out_the_dead_drive(self) -> None:
        """Host 7 cannot be planned while one of its drives says nothing; two operators take that one out."""
        server = self.servers[HALF_DEAD]
        dead = server.disks[-1]
        wait_until("host-7 waits for a person", lambda: "DRIVE" in self._waits(HALF_DEAD), every_seconds=0.5)
        self.say(f"{HALF_DEAD} waits: {self._waits(HALF_DEAD)}")
        words = (
            *("media", "out", HALF_DEAD, dead.serial, "--by", "a technician", "--why", "it answers nothing"),
            *("--seal", "S-0815", "--place", "safe 2"),
            *("--confirm", f"{HALF_DEAD} {dead.serial[-4:]}"),
        )
        self.act("anna", *words, expect=4)
        dead.pull_out(server.drives, server.shelf)
        self.act("ben", *words)
        (left,) = self.ask("media", "list")["media"]
        self.say(f"{HALF_DEAD}: a drive was taken out by two operators and is {left['standing'].upper()}")

    def _waits(self, host: str) -> str:
        (line,) = (line for line in self.ask("status")["deprovisions"] if line["host"] == host)
        return str(line["waits_for"])

    def the_lie(self) -> None:
        """Host 6's drive reported success. The markers say otherwise: a signed failure, and no release."""
        (line,) = (line for line in self.ask("status")["deprovisions"] if line["host"] == LIAR)
        if line["state"] != "needs_operator":
            raise Failed(f"{LIAR} should wait for a person: {json.dumps(line)}")
        self.say(f"{LIAR}: {line['state']}: {line['waits_for']}")
        if not list((self.home / "failures").glob("*.bundle.json")):
            raise Failed("there is no signed record of the failure")

    def owner_tries(self, *, when: str) -> None:
        """Whether the passphrase of host 5's owner opens the container."""
        (disk,) = self.servers[CLEARED].disks
        opens = disk.opens(self.servers[CLEARED].drives) if isinstance(disk, ImageDisk) else None
        if opens is None:
            self.say(f"{CLEARED}: no cryptsetup here, so there is no container to open")
            return
        self.say(f"{CLEARED}: the owner's passphrase {when}: {'opens' if opens else 'is refused'}")
        if opens is not (when == "before"):
            raise Failed(f"the passphrase should {'open' if when == 'before' else 'be refused'}")

    def watch(self) -> None:
        """Until every story has ended as promised. Raises Failed at the first step aside."""
        wait_until(
            "every host is where it should be",
            lambda: self.look() == WAYS,
            patience_seconds=STORY_SECONDS,
            every_seconds=1.0,
        )
        for row in self.ask("status")["deprovisions"]:
            self.say(f"{row['host']}: {row['state']}: {row['sentence']}")

    def a_burst_of_endings(self) -> None:
        """A bad import ends every third customer, the one on host 2 among them. Nobody believes it."""
        self.billing.end_others(BURST)
        self.say(f"billing: {BURST} customers have ended at once, says a bad import")
        wait_until("the breaker trips", lambda: bool(self._breakers()), every_seconds=0.5)
        (stop,) = self._breakers()
        self.say(f"the breaker tripped: {stop['matter']}")
        self.billing_says(CONTRACTS["host-2"], "ended", hint="ended")
        wait_until("the hint about host 2 was looked at", self._asked_since_the_burst, every_seconds=0.5)
        if self.look() != WAYS:
            raise Failed("a host was scheduled while the breaker stood")
        self.say("host-2: nothing is scheduled while the breaker stands")

    def _breakers(self) -> list[Any]:
        return [stop for stop in self.ask("holds", "list")["stops"] if stop["kind"] == "breaker"]

    def _asked_since_the_burst(self) -> bool:
        """Whether the ledger tells of another answer about the subscription of host 2."""
        events = map(json.loads, self.expunge("ledger", "export", "--home", str(self.home)).splitlines())
        told = [event["kind"] for event in events if event["kind"] in {"stopped", "answer-changed"}]
        return "answer-changed" in told[len(told) - told[::-1].index("stopped") :]

    # --- a stranger's look ----------------------------------------------------------------------------------

    def collect(self) -> None:
        """What the provider hands out, written to the output folder."""
        shutil.rmtree(self.out, ignore_errors=True)
        (self.out / "certificates").mkdir(parents=True)
        shutil.copy(self.home / "policy" / "verify.json", self.out / POLICY_FILE)
        for host in CERTIFIED:
            self.expunge(
                *("certificate", self.deprovisions[host], "--home", str(self.home)),
                *("--out", str(self.out / "certificates")),
            )
        # No certificate: what the provider keeps of a failure, for whoever must know.
        self.expunge(
            *("certificate", self.deprovisions[LIAR], "--failures", "--home", str(self.home)),
            *("--out", str(self.out / "failures")),
        )
        (self.out / "ledger.jsonl").write_text(self.expunge("ledger", "export", "--home", str(self.home)))
        shutil.copy(self.home / "trust" / "root.json", self.out / "trust-root.json")
        shutil.copy(self.home / "trust" / "issuer.pem", self.out / "issuer.pem")

    def check(self) -> None:
        """The drives, what was handed out, the certificates."""
        self.look_at_drives()
        self.owner_tries(when="after")
        self.look_for_private_words()
        self._verify()

    def look_at_drives(self) -> None:
        """Whether the texts of those who left are gone from the drives and the others' are not."""
        for name, server in self.servers.items():
            before, after = self.planted[name], server.occurrences()
            self.say(f"{name}: its tenant's text stands on the drive {after} times (before: {before})")
            least = before // 2 + 1 if name == LIAR else before
            if not before or not (least <= after <= before if STAYS[name] else after == 0):
                raise Failed(
                    f"{name}: the text of its tenant should {'still' if STAYS[name] else 'not'} be there"
                )

    def look_for_private_words(self) -> None:
        """Whether anything that is handed out names a customer, a subscription, a host or a drive, in clear
        or within an envelope.
        """
        words = {*CONTRACTS.values()}
        for server in self.servers.values():
            serials = {disk.serial for disk in server.disks}
            words |= {server.name, server.customer, *serials, *server.facts.values()}
        files = [path for path in self.out.rglob("*") if path.is_file()]
        readable = [(path, "\n".join(texts(path.read_bytes()))) for path in files]
        found = [f"{word} in {path.name}" for path, text in readable for word in words if word in text]
        self.say(f"private words: {len(words)} sought in {len(files)} files, found: {len(found)}")
        if not files or found:
            raise Failed("; ".join(["private words in what is handed out", *found]))

    def _verify(self) -> None:
        """Refused under the policy for real machines, accepted under the demonstration's own; the record of a
        failure by neither.
        """
        bundles = sorted(str(path) for path in (self.out / "certificates").glob("*.bundle.json"))
        if len(bundles) != len(CERTIFIED):
            raise Failed(f"{len(bundles)} certificates were written")
        root, policy = str(self.out / "trust-root.json"), str(self.out / POLICY_FILE)
        refused = json.loads(self.expunge("verify", *bundles, "--trust", root, "--json", expect=1))
        for answer in refused["files"]:
            self.say(f"verify without a policy: exit {refused['exit']}, {answer['code']}: {answer['reason']}")
        print(self.expunge("verify", *bundles, "--trust", root, "--policy", policy), flush=True)
        (failure,) = sorted(str(path) for path in (self.out / "failures").glob("*.bundle.json"))
        print(self.expunge("verify", failure, "--trust", root, "--policy", policy, expect=1), flush=True)
