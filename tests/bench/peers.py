"""The peers of the disk benchmarks: fio, which is the limit, and nwipe, which does the same work.

fio's rate is its own (JSON); nwipe's is taken from the device's counters, because it says none. Both get only
devices that `loop_device` made.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loop_device import Counters, LoopDevice

#: fio's queue depth: our workers on RAM, twice that on a disk (performance.md, 1a).
RAM_DEPTH, DISK_DEPTH = 4, 8
NWIPE_SECONDS = 3600


def require_fio() -> str:
    """Its version. Ends the program where it is not installed."""
    if shutil.which("fio") is None:
        raise SystemExit("fio is missing: install the package fio")
    return subprocess.run(["fio", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def fio(device: LoopDevice, *, depth: int, does: str, buffers: str = "") -> float:
    """Bytes a second. `does`: write or read; `buffers`: zero_buffers or refill_buffers."""
    command = [
        "fio",
        "--name=bench",
        f"--filename={device.node}",
        f"--rw={does}",
        "--bs=1M",
        "--ioengine=io_uring",
        f"--iodepth={depth}",
        "--direct=1",
        "--output-format=json",
    ]
    command += [f"--{buffers}", "--end_fsync=1"] if does == "write" else []
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (job,) = json.loads(answer[answer.index("{") :])["jobs"]
    return float(job[does]["bw_bytes"])


@dataclass(frozen=True)
class Nwipe:
    """One nwipe. Its own name for its version is not its release: Debian's 0.34 prints 0.33."""

    path: str

    @property
    def version(self) -> str:
        said = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False)
        return (said.stdout + said.stderr).strip()

    def run(self, device: LoopDevice, *, method: str, verify: str, log: Path) -> Counters:
        """One wipe of that device and no other. Raises SystemExit when it fails."""
        if not device.node.name.startswith("loop"):
            raise SystemExit(f"{device.node} is no device of this benchmark")
        command = [
            str(Path(self.path).resolve()),
            "--autonuke",
            "--nogui",
            "--noblank",
            "--nowait",
            f"--method={method}",
            f"--verify={verify}",
            "--rounds=1",
            f"--logfile={log}",
            str(device.node),
        ]
        counters = Counters(device)
        with counters.watching():
            # Newer ones leave a report in the folder where they run.
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=NWIPE_SECONDS,
                check=False,
                cwd=log.parent,
            )
        if done.returncode != 0:
            raise SystemExit(f"{self.path} failed with {done.returncode}: {done.stdout[-500:]}{done.stderr}")
        return counters


def distribution_nwipe() -> Nwipe | None:
    """The one on the PATH, if it is installed."""
    found = shutil.which("nwipe")
    return None if found is None else Nwipe(found)
