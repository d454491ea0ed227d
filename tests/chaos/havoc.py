"""Two controllers on one store, killed and stopped while customers leave and come back.

    report = Havoc(Fleet.found(folder, host_count=40), seed=7, kills_wanted=25).run()

What is done to whom, in which order and after which pause, follows from the seed; what the processes do
meanwhile does not. Only processes that were started here are ended, by their ids. A kill counts as *in
flight* if an irreversible step of one and the same order had been permitted, and no evidence of it was in,
both before and after the kill.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

#: Hosts that are on their way at the same time.
AT_ONCE = 6
#: Share of customers who come back, and within how many seconds of leaving: an order is under way by then.
RENEWS, RETURNS_WITHIN = 0.3, 18.0
#: Short, so that what a dead controller held is taken over within the run.
LEASE_SECONDS = 6.0
#: Beside the time that each host takes: an agent waits a minute for an acknowledgement that died.
SETTLE_SECONDS = 240.0
#: Three times what a host takes here while everything around it is killed.
HOST_SECONDS = 30.0
LOOK_SECONDS = 0.25

IN_FLIGHT = """
SELECT id FROM erase_order WHERE state = 'dispatched'
AND EXISTS (SELECT 1 FROM acknowledgement WHERE acknowledgement.erase_order = erase_order.id)
AND NOT EXISTS (SELECT 1 FROM evidence WHERE evidence.erase_order = erase_order.id)
"""
STATES = """
SELECT host.asset_tag AS name, deprovision.state AS state, deprovision.next_due_at AS due
FROM host LEFT JOIN deprovision ON deprovision.host = host.id
"""
OVER = {"released", "cancelled", "destroyed", "closed", "needs_operator"}


@dataclass
class Deeds:
    """What was done, for the report."""

    kills: int = 0
    kills_in_flight: int = 0
    #: The orders that such kills met.
    orders_met: set[str] = field(default_factory=set)
    executor_kills: int = 0
    stops: int = 0
    executor_stops: int = 0
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """When a customer was back at the source, for good."""

    name: str
    since: datetime
    was_told: bool


class Controllers:
    """The two, through their nursery (`serve_beside`)."""

    def __init__(self, fleet: Any, passphrase: bytes) -> None:
        reader, writer = os.pipe()
        os.write(writer, passphrase)
        os.close(writer)
        script = Path(__file__).with_name("serve_beside.py")
        self._log = (fleet.folder / "nursery.log").open("ab")
        self._nursery = subprocess.Popen(
            [
                *(sys.executable, str(script), "--home", str(fleet.home.path)),
                *("--passphrase-fd", str(reader), "--lease", str(LEASE_SECONDS)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            pass_fds=[reader],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        os.close(reader)
        self.pids: dict[str, int] = {}
        self.ended: list[str] = []
        self._pending = b""
        self._await("ready")

    def start(self, name: str) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(f"start {name}\n".encode())
        self._nursery.stdin.flush()
        self._await(f"started {name}")

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pids[name], number)

    def look(self, seconds: float = 0.0) -> None:
        """Takes in what the nursery told."""
        for line in self._lines(seconds):
            self._take(line)

    def _take(self, line: str) -> None:
        match line.split():
            case ["started", name, pid]:
                self.pids[name] = int(pid)
            case ["ended", name, pid, status]:
                if self.pids.get(name) == int(pid):
                    del self.pids[name]
                if not os.WIFSIGNALED(int(status)) and int(status):
                    self.ended.append(f"{name} ended by itself with status {status}")

    def _await(self, what: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for line in self._lines(0.5):
                self._take(line)
                if line.startswith(what):
                    return
            if self._nursery.poll() is not None:
                raise AssertionError(f"the nursery ended with {self._nursery.returncode}")
        raise AssertionError(f"waited in vain for {what!r}")

    def _lines(self, seconds: float) -> list[str]:
        assert self._nursery.stdout is not None
        descriptor = self._nursery.stdout.fileno()
        if select.select([descriptor], [], [], seconds)[0]:
            self._pending += os.read(descriptor, 65536)
        whole, _, self._pending = self._pending.rpartition(b"\n")
        return whole.decode().splitlines()

    def stop(self) -> None:
        """SIGTERM to each, and the end of the nursery, which kills whoever does not obey."""
        for name in list(self.pids):
            self.signal(name, signal.SIGCONT)
            self.signal(name, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while self.pids and time.monotonic() < deadline:
            self.look(0.2)
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(timeout=30)
        self._log.close()


class Havoc:
    """One run: customers leave, some come back, controllers and executors die, stop and go on."""

    def __init__(
        self, fleet: Any, *, passphrase: bytes, names: tuple[str, ...], seed: int, kills: int
    ) -> None:
        self.fleet = fleet
        self.names = names
        self.kills_wanted = kills
        self.deeds = Deeds()
        self.renewals: dict[str, Renewal] = {}
        self._deed_chance = random.Random(f"{seed} deeds")
        self._customer_chance = random.Random(f"{seed} customers")
        names_of_all = [host.name for host in fleet.rented]
        self._returning = set(self._customer_chance.sample(names_of_all, round(RENEWS * len(names_of_all))))
        self._passphrase = passphrase
        self._began = time.monotonic()
        self._over = threading.Event()
        #: Name -> when it goes on or is started again.
        self._resumes: dict[str, float] = {}
        self._restarts: dict[str, float] = {}
        self._executors_resume: dict[int, float] = {}
        #: Host -> when it comes back, and who is told.
        self._returns: dict[str, tuple[float, str | None]] = {}
        self._left: set[str] = set()

    def run(self) -> float:
        """Until every host is settled. Returns the seconds it took. Raises AssertionError when it hangs."""
        beat = threading.Thread(target=self._beat, name="billing")
        beat.start()
        self.controllers = Controllers(self.fleet, self._passphrase)
        try:
            for name in self.names:
                self.controllers.start(name)
            self._go()
        finally:
            self.resume_everything()
            self.controllers.stop()
            self._over.set()
            beat.join()
        return time.monotonic() - self._began

    def _go(self) -> None:
        waiting = list(self.fleet.rented)
        next_kill = next_deed = time.monotonic() + self._pause()
        deadline = time.monotonic() + SETTLE_SECONDS + HOST_SECONDS * len(waiting)
        while True:
            self.controllers.look(LOOK_SECONDS)
            now = time.monotonic()
            self._resume_due(now)
            self._return_due(now)
            settled = self.settled()
            while waiting and len(self._left) < self._may_have_left(settled):
                self._leave(waiting.pop(0), now)
            has_deeds = self.deeds.kills_in_flight < self.kills_wanted
            if has_deeds and self._is_short(len(waiting)) and now >= next_kill and self.in_flight():
                self._kill(self._deed_chance.choice(self.names), now + 1.0)
                next_kill = now + 1.5
            elif now >= next_deed and has_deeds and self._left - settled:
                self._deed(now)
                next_deed = now + self._pause()
            if not waiting and not self._returns and len(settled) == len(self.fleet.rented):
                return
            assert now < deadline, f"not settled: {self.unsettled(settled)}"

    def _may_have_left(self, settled: set[str]) -> int:
        """As the kills go on, so that the last one meets an erase and some hosts are left for the calm after
        it; but never fewer than one at a time, or nothing would be in flight.
        """
        share = 0.75 * (self.deeds.kills_in_flight + 1) / self.kills_wanted
        if self.deeds.kills_in_flight >= self.kills_wanted:
            share = 1.0
        count = len(self.fleet.rented)
        by_kills = AT_ONCE // 2 + round((count - AT_ONCE // 2) * share)
        return min(len(settled) + AT_ONCE, max(len(settled) + 1, by_kills))

    def _is_short(self, waiting: int) -> bool:
        """Whether fewer hosts are left to leave than kills are wanted: no erase passes without one any more,
        however fast this machine is.
        """
        return waiting <= self.kills_wanted - self.deeds.kills_in_flight

    def _pause(self) -> float:
        return self._deed_chance.uniform(1.0, 4.0)

    def say(self, text: str) -> None:
        self.deeds.said.append(f"[{time.monotonic() - self._began:6.1f} s] {text}")

    # --- customers ------------------------------------------------------------------------------------------

    def _leave(self, host: Any, now: float) -> None:
        chance = self._customer_chance
        self.fleet.leave(host, told_to=chance.choice(self.names))
        self._left.add(host.name)
        if host.name in self._returning:
            told_to = chance.choice((*self.names, None))
            self._returns[host.name] = (now + chance.uniform(0.0, RETURNS_WITHIN), told_to)

    def _return_due(self, now: float) -> None:
        for host in self.fleet.rented:
            at, told_to = self._returns.get(host.name, (now + 1, None))
            if at <= now:
                del self._returns[host.name]
                since = self.fleet.renew(host, told_to=told_to)
                self.renewals[host.name] = Renewal(name=host.name, since=since, was_told=told_to is not None)
                self.say(f"{host.name} came back")

    def _beat(self) -> None:
        while not self._over.wait(1.0):
            self.fleet.billing.beat()

    # --- deeds ----------------------------------------------------------------------------------------------

    def _deed(self, now: float) -> None:
        chance = self._deed_chance
        kind = chance.random()
        name = chance.choice(self.names)
        seconds = chance.uniform(0.5, 14.0)
        which = chance.random()
        if kind < 0.6 and (which < 0.2 or self.in_flight()):
            self._kill(name, now + min(seconds, 2.0))
        elif kind < 0.75:
            self._stop(name, now + seconds)
        elif kind < 0.9:
            self._to_executor(signal.SIGKILL, which, now)
        else:
            self._to_executor(signal.SIGSTOP, which, now + min(seconds, 5.0))

    def _kill(self, name: str, restart_at: float) -> None:
        if name not in self.controllers.pids:
            return
        before = self.in_flight()
        self.controllers.signal(name, signal.SIGKILL)
        both = before & self.in_flight()
        self.deeds.kills += 1
        self.deeds.kills_in_flight += bool(both)
        self.deeds.orders_met |= both
        self._resumes.pop(name, None)
        self._restarts[name] = restart_at
        self.say(f"killed {name} with {len(both)} in flight")

    def _stop(self, name: str, resume_at: float) -> None:
        if name not in self.controllers.pids or name in self._resumes:
            return
        self.controllers.signal(name, signal.SIGSTOP)
        self.deeds.stops += 1
        self._resumes[name] = resume_at
        self.say(f"stopped {name} for {resume_at - time.monotonic():.1f} s")

    def _to_executor(self, number: signal.Signals, which: float, resume_at: float) -> None:
        pids = executors(self.fleet.folder)
        if not pids:
            return
        pid = pids[int(which * len(pids))]
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if number is signal.SIGSTOP:
            self.deeds.executor_stops += 1
            self._executors_resume[pid] = resume_at
        else:
            self.deeds.executor_kills += 1
        self.say(f"{number.name} to an executor")

    def _resume_due(self, now: float) -> None:
        for name, at in list(self._resumes.items()):
            if at <= now:
                del self._resumes[name]
                if name in self.controllers.pids:
                    self.controllers.signal(name, signal.SIGCONT)
        for pid, at in list(self._executors_resume.items()):
            if at <= now:
                del self._executors_resume[pid]
                _go_on(pid, self.fleet.folder)
        for name in self.names:
            if name not in self.controllers.pids and self._restarts.get(name, 0.0) <= now:
                self.controllers.start(name)

    def resume_everything(self) -> None:
        for pid in self._executors_resume:
            _go_on(pid, self.fleet.folder)

    # --- looking --------------------------------------------------------------------------------------------

    def in_flight(self) -> set[str]:
        """Orders that were dispatched and whose evidence is not in."""
        return {row["id"] for row in self.fleet.query(IN_FLIGHT)}

    def settled(self) -> set[str]:
        """Hosts that are over, with a person, or whose customer is back before anything began."""
        states: dict[str, set[str]] = {}
        for row in self.fleet.query(STATES):
            states.setdefault(row["name"], set()).add(row["state"])
        settled = set()
        for name in self._left:
            is_back = name in self.renewals
            found = states.get(name, {None})
            if all(state in OVER or (state is None and is_back) for state in found):
                settled.add(name)
        return settled - self._returns.keys()

    def unsettled(self, settled: set[str]) -> list[str]:
        return [
            f"{row['name']}: {row['state']}" for row in self.fleet.query(STATES) if row["name"] not in settled
        ]


def executors(folder: Path) -> list[int]:
    """Executing processes of this folder's hosts."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"agent.cli" in words and b"execute" in words and any(os.fsencode(folder) in w for w in words):
            found.append(int(entry.name))
    return sorted(found)


def _go_on(pid: int, folder: Path) -> None:
    if pid in executors(folder):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return


def summary(states: list[str]) -> str:
    return ", ".join(f"{state} {count}" for state, count in sorted(Counter(states).items()))
