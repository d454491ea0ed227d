"""A sanitize on a simulated drive, question by question, over a wire that may lose answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agent.devices.emulated import EmulatedBlockIo, EmulatedTransport
from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.simulated import SimulatedNvme
from agent.devices.simulated.faults import read_faults
from agent.errors import TransportError
from agent.techniques.nvme_sanitize import CRYPTO, Deadlines, NvmeSanitize
from agent.techniques.technique import Aim, Facts, Prepared, Started, Watched
from certificate.statements.vocabulary import DeviceClass

PLANTED = b"planted text" * 341
PAGE = PLANTED.ljust(4096, b".")
LIMITS = Deadlines(no_progress_seconds=5, total_seconds=60)
QUICK_CRYPTO = NvmeSanitize(CRYPTO.technique, CRYPTO.action, default=LIMITS)
AIM = Aim(key=bytes(range(64)), layout=((1, 64 * 4096),))
Make = Callable[..., SimulatedNvme]


class Wire:
    """Between driver and drive: remembers commands, and loses the answers of the ones it is told to."""

    device_class = DeviceClass.EMULATED

    def __init__(self, device: SimulatedNvme, *, lose: Iterable[int] = (), drop: Iterable[int] = ()) -> None:
        self.through = EmulatedTransport(device)
        self.lose, self.drop = set(lose), set(drop)
        self.sent: list[int] = []

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        self.sent.append(sqe[0])
        if sqe[0] in self.drop:
            raise TransportError("the command never arrived")
        answer = self.through.submit(sqe, data)
        if sqe[0] in self.lose:
            raise TransportError("the answer was lost")
        return answer


class Clock:
    """Moves only when somebody waits."""

    def __init__(self) -> None:
        self.ms = 0
        self.pauses: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.ms += int(seconds * 1000)


class Run:
    """One run of a technique, question by question."""

    def __init__(
        self, device: SimulatedNvme, technique: NvmeSanitize = QUICK_CRYPTO, *, wire: Wire | None = None
    ) -> None:
        self.wire = wire or Wire(device)
        self.drive = NvmeDrive(name="d", transport=self.wire, blocks=EmulatedBlockIo(device))
        self.technique = technique
        self.clock = Clock()
        self.reports: list[int] = []

    def prepare(self) -> Prepared:
        return self.technique.prepare(self.drive, AIM, step="")

    def watch(self, prepared: Prepared, started: Started) -> Watched:
        return self.technique.watch(
            self.drive,
            prepared,
            started,
            now_ms=self.clock.now_ms,
            pause=self.clock.pause,
            report=self.reports.append,
        )

    def facts(self) -> Facts:
        """From the first question to the last fact."""
        self.prepared = self.prepare()
        self.started = self.technique.start(self.drive, self.prepared)
        return self.end(self.started)

    def end(self, started: Started) -> Facts:
        watched = self.watch(self.prepared, started)
        return self.technique.conclude(self.drive, self.prepared, started, watched)


def sanitizable(folder: Path, *, faults: Iterable[str] = (), **given: Any) -> SimulatedNvme:
    """A small drive with something planted on it, misbehaving as `faults` say."""
    wanted: dict[str, Any] = {
        "serial": "S",
        "model": "M",
        "firmware": "1",
        "capacity_bytes": 64 * 4096,
        "random": random.Random(3).randbytes,
        **given,
    }
    device = SimulatedNvme.create(folder, **wanted)
    device.write(1, 0, PAGE)
    device.set_faults(read_faults(faults))
    return device
