"""Expunge's own overwrite and read-back as contenders: the agent's modules, on a device given by name.

    python ours.py write PATTERN NODE     writes when told to on standard input, and says how it went

A run is timed from the start of the pass to its end with the flush in it. Waiting is for the end itself and
not by looking once a second, as an execution does beside hours of work.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.devices.block import KernelBlockIo
from agent.devices.drive import WHOLE, DriveIdentity
from agent.readback import ReadBackFacts, read_back
from agent.techniques.overwrite import Overwrite, overwrites
from agent.techniques.technique import Aim, Prepared, Started
from certificate import keystream
from certificate.statements import Seen
from certificate.statements.vocabulary import (
    Attachment,
    DeviceClass,
    OverwritePattern,
    ReadBackMode,
    Transport,
)

KEY = hashlib.shake_256(b"a key for benchmarks").digest(keystream.KEY_BYTES)
SEED = hashlib.sha256(b"a seed for benchmarks").hexdigest()


@dataclass(frozen=True)
class Run:
    """How fast (bytes a second, wall seconds) and at what cost (processor seconds, user and system)."""

    rate: float
    seconds: float
    cpu_seconds: float
    size_bytes: int

    @property
    def cpu_seconds_a_gib(self) -> float:
        return self.cpu_seconds * (1 << 30) / self.size_bytes


class PlainDrive:
    """A block device as the agent holds it."""

    name = "bench"
    transport_name = Transport.VIRTIO
    attachment = Attachment.INTERNAL
    device_class = DeviceClass.EMULATED

    def __init__(self, node: Path) -> None:
        self.blocks = KernelBlockIo({WHOLE: node})
        with node.open("rb") as file:
            self.size_bytes = file.seek(0, os.SEEK_END)

    @property
    def layout(self) -> tuple[tuple[int, int], ...]:
        return ((WHOLE, self.size_bytes),)

    def identity(self) -> DriveIdentity:
        return DriveIdentity(serial_number="BENCH", model_number="loop", capacity_bytes=self.size_bytes)


@contextmanager
def held(node: Path) -> Iterator[PlainDrive]:
    """The device, claimed, as before every overwrite."""
    drive = PlainDrive(node)
    if drive.blocks.open_exclusively() is not Seen.YES:
        raise SystemExit(f"{node} is held by something else")
    try:
        yield drive
    finally:
        drive.blocks.close()


def write(node: Path, pattern: OverwritePattern) -> Run:
    """One pass."""
    with held(node) as drive:
        (run,) = write_all([drive], pattern)
    return run


def write_all(drives: list[PlainDrive], pattern: OverwritePattern) -> list[Run]:
    """One pass over each, at the same time, in this process. Every run's seconds are those of all."""
    technique = next(each for each in overwrites(len(drives)).values() if each.pattern is pattern)
    prepared = [technique.prepare(drive, Aim(key=KEY, layout=drive.layout), step="") for drive in drives]
    began, cpu = time.perf_counter(), time.process_time()
    started = [technique.start(drive, before) for drive, before in zip(drives, prepared, strict=True)]
    for drive, before, run in zip(drives, prepared, started, strict=True):
        _finish(technique, drive, before, run)
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    return [Run(each.size_bytes / seconds, seconds, spent / len(drives), each.size_bytes) for each in drives]


def _finish(technique: Overwrite, drive: PlainDrive, prepared: Prepared, started: Started) -> None:
    watched = technique.watch(
        drive,
        prepared,
        started,
        now_ms=lambda: int(time.monotonic() * 1000),
        pause=lambda _: None,
        report=lambda _: None,
    )
    facts = technique.conclude(drive, prepared, started, watched)
    wrote = facts.overwrite
    if wrote is None or wrote.bytes_written != drive.size_bytes or wrote.was_flushed is not Seen.YES:
        raise SystemExit(f"the pass failed: {facts}")


def verify(
    node: Path, pattern: OverwritePattern, mode: ReadBackMode = ReadBackMode.FULL
) -> tuple[Run, ReadBackFacts]:
    """One read-back. What it found is the caller's to look at."""
    with held(node) as drive:
        began, cpu = time.perf_counter(), time.process_time()
        facts = read_back(drive.blocks, drive.layout, key=KEY, pattern=pattern, mode=mode, seed=SEED)
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    return Run(facts.bytes_read / seconds, seconds, spent, facts.bytes_read), facts


def flip(node: Path, place: int) -> None:
    """One bit of one byte of the device."""
    block = place - place % 4096
    with held(node) as drive:
        data = bytearray(drive.blocks.read(WHOLE, block, 4096))
        data[place - block] ^= 0x10
        drive.blocks.write(WHOLE, block, bytes(data))
        drive.blocks.flush()


def main() -> None:
    """One drive in a process of its own. Says `ready`, waits for a line, works, says `done`."""
    _, what, pattern, node = sys.argv
    if what != "write":
        raise SystemExit(__doc__)
    with held(Path(node)) as drive:
        print("ready", flush=True)
        sys.stdin.readline()
        write_all([drive], OverwritePattern(pattern))
        print("done", flush=True)


if __name__ == "__main__":
    main()
