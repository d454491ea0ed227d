"""Block devices to measure on: loop devices past the cache over filled files, on RAM (tmpfs) or on a disk.

Rules: nothing is measured on a device that this module did not make; a file is filled before and never
punched, because whoever writes first would pay for its allocation (performance.md, 7); a device whose loop
driver goes through the page cache after all is refused, since it would measure memory.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
SECTOR_BYTES = 512
#: A fast device is written in half a second; each look costs about 50 microseconds.
SAMPLE_SECONDS = 0.005


@dataclass(frozen=True)
class LoopDevice:
    """One loop device. `backing`: its file."""

    node: Path
    backing: Path
    size_bytes: int

    def sectors(self) -> tuple[int, int]:
        """Read and written so far, as the kernel counts (Documentation/block/stat, fields 3 and 7)."""
        fields = Path(f"/sys/block/{self.node.name}/stat").read_text(encoding="ascii").split()
        return int(fields[2]), int(fields[6])


@contextmanager
def loop_device(folder: Path, name: str, size_bytes: int) -> Iterator[LoopDevice]:
    """A device over a new file of that size; both are gone afterwards. Needs root."""
    backing = folder / f"expunge-bench-{os.getpid()}-{name}"
    try:
        _fill(backing, size_bytes)
        attach = ["losetup", "--find", "--show", "--direct-io=on", str(backing)]
        node = Path(subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip())
        try:
            if Path(f"/sys/block/{node.name}/loop/dio").read_text(encoding="ascii").strip() != "1":
                raise SystemExit(f"{node} goes through the page cache: {folder} has no direct I/O")
            yield LoopDevice(node, backing, size_bytes)
        finally:
            subprocess.run(["losetup", "--detach", str(node)], check=True)
    finally:
        backing.unlink(missing_ok=True)


def _fill(path: Path, size_bytes: int) -> None:
    noise = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(noise)
        os.fsync(file.fileno())


@dataclass
class Counters:
    """Samples of a device's counters while something works on it, and the rates that follow from them.

    A rate is taken between 2 % and 98 % of the device: a tool's own preparations read a little, and its end
    is not its last write.
    """

    device: LoopDevice
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _sample(self) -> None:
        first_read, first_written = self.device.sectors()
        is_over = False
        while True:
            read, written = self.device.sectors()
            self.samples.append((time.perf_counter(), read - first_read, written - first_written))
            if is_over:
                return
            # One look more after the end, or the last of the work would be missed.
            is_over = self._stop.wait(SAMPLE_SECONDS)

    def read_rate(self) -> float:
        """Bytes a second, 0 where the device was not read once."""
        return self._rate([(at, read) for at, read, _ in self.samples])

    def write_rate(self) -> float:
        return self._rate([(at, written) for at, _, written in self.samples])

    def _rate(self, counts: list[tuple[float, int]]) -> float:
        total = self.device.size_bytes // SECTOR_BYTES
        low = next(((at, count) for at, count in counts if count >= 0.02 * total), None)
        high = next(((at, count) for at, count in counts if count >= 0.98 * total), None)
        if low is None or high is None or high[0] <= low[0]:
            return 0.0
        return (high[1] - low[1]) * SECTOR_BYTES / (high[0] - low[0])
