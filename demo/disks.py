"""The drives of the demonstration's servers, filled by their tenants.

`NvmeDisk` is a simulated self-encrypting drive; where mke2fs is installed its tenant keeps a file system of
files on it, else plain text. `ImageDisk` is a file; where cryptsetup is installed it is a real LUKS2
container that its owner made after writing in the clear for a while, as people do. Both can be looked at from
outside, past the agent: `occurrences` counts the tenant's text in whatever a reader of the drive would find.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from agent.devices.simulated import SimulatedNvme, logical_view
from agent.devices.simulated.faults import Fault

#: How often a tenant writes its text, in the clear or in as many files.
PLACES = 40
PIECE = 1 << 20
BLOCK = 4096
#: Where cryptsetup lets the data of a LUKS2 container begin.
LUKS_HEAD = 16 << 20


class Disk(Protocol):
    """One drive. `serial`, `model`, `capacity_bytes`: as the provider has it on record."""

    serial: str
    model: str
    capacity_bytes: int

    def build(self, drives: Path, text: bytes) -> str:
        """Makes it in the folder `drives`, filled; says with what."""
        ...

    def occurrences(self, drives: Path, text: bytes) -> int: ...

    def is_in(self, drives: Path) -> bool: ...

    def pull_out(self, drives: Path, shelf: Path) -> None:
        """What a technician does: the drive is not in the server any more."""
        ...


class NvmeDisk:
    """A simulated self-encrypting NVMe drive, perhaps with faults."""

    model = "EXPUNGE DEMO NVME"

    def __init__(self, *, capacity_bytes: int, slot: str = "nvme0", faults: Iterable[Fault] = ()) -> None:
        self.serial = f"DEMO{secrets.token_hex(6).upper()}"
        self.capacity_bytes = capacity_bytes
        self._slot, self._faults = slot, tuple(faults)

    def build(self, drives: Path, text: bytes) -> str:
        drive = SimulatedNvme.create(
            drives / self._slot,
            serial=self.serial,
            model=self.model,
            firmware="1.0",
            capacity_bytes=self.capacity_bytes,
            random=secrets.token_bytes,
        )
        system = file_system(text, self.capacity_bytes)
        if system is None:
            for place in range(PLACES):
                offset = place * self.capacity_bytes // PLACES // BLOCK * BLOCK
                drive.write(1, offset, page_of(text))
        else:
            # Only what mke2fs wrote: blocks that were never written are unmapped and read as zeros.
            for offset in range(0, self.capacity_bytes, BLOCK):
                if system[offset : offset + BLOCK].strip(b"\0"):
                    drive.write(1, offset, system[offset : offset + BLOCK])
        drive.set_faults(self._faults)
        return "plain text" if system is None else f"an ext4 file system of {PLACES} files"

    def occurrences(self, drives: Path, text: bytes) -> int:
        return sum(piece.count(text) for piece in logical_view(drives / self._slot))

    def is_in(self, drives: Path) -> bool:
        return (drives / self._slot).exists()

    def pull_out(self, drives: Path, shelf: Path) -> None:
        shutil.move(drives / self._slot, shelf / self._slot)


class ImageDisk:
    """A plain drive that is a file. `passphrase`: of its owner; None where no container could be made."""

    model = "EXPUNGE DEMO IMAGE"

    def __init__(self, *, capacity_bytes: int) -> None:
        self.serial = f"DEMO{secrets.token_hex(6).upper()}"
        self.capacity_bytes = capacity_bytes
        self.passphrase: str | None = None

    def build(self, drives: Path, text: bytes) -> str:
        path = drives / "disk0.img"
        (drives / "disk0.json").write_text(json.dumps({"serial": self.serial, "model": self.model}))
        with path.open("wb") as image:
            image.truncate(self.capacity_bytes)
            for place in range(PLACES):
                room = self.capacity_bytes - LUKS_HEAD
                image.seek(LUKS_HEAD + place * room // PLACES // BLOCK * BLOCK)
                image.write(page_of(text))
        cryptsetup = program("cryptsetup")
        if cryptsetup is None:
            return "plain text"
        self.passphrase = secrets.token_urlsafe(16)
        subprocess.run(
            [
                *(cryptsetup, "luksFormat", "--type", "luks2", "--batch-mode", "--key-file", "-"),
                # What is strong for a person is slow for a demonstration.
                *("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", str(path)),
            ],
            input=self.passphrase.encode(),
            check=True,
            capture_output=True,
        )
        return "plain text under a LUKS2 container that was made later"

    def opens(self, drives: Path) -> bool | None:
        """Whether the owner's passphrase opens the container, by cryptsetup; None where there is none."""
        cryptsetup = program("cryptsetup")
        if cryptsetup is None or self.passphrase is None:
            return None
        command = [cryptsetup, "open", "--test-passphrase", "--key-file", "-", str(drives / "disk0.img")]
        tried = subprocess.run(
            command, input=self.passphrase.encode(), check=False, capture_output=True, timeout=60
        )
        return tried.returncode == 0

    def occurrences(self, drives: Path, text: bytes) -> int:
        found, tail = 0, b""
        with (drives / "disk0.img").open("rb") as image:
            while piece := image.read(PIECE):
                window = tail + piece
                found += window.count(text)
                tail = window[-(len(text) - 1) :]
        return found

    def is_in(self, drives: Path) -> bool:
        return (drives / "disk0.img").exists()

    def pull_out(self, drives: Path, shelf: Path) -> None:
        for name in ("disk0.img", "disk0.json"):
            shutil.move(drives / name, shelf / name)


def page_of(text: bytes) -> bytes:
    """One block of the text, again and again."""
    return ((text + b"\n") * (BLOCK // (len(text) + 1) + 1))[:BLOCK]


def file_system(text: bytes, size_bytes: int) -> bytes | None:
    """An ext4 image of files that hold the text; None where mke2fs is not installed."""
    mke2fs = program("mke2fs")
    if mke2fs is None:
        return None
    with tempfile.TemporaryDirectory(prefix="expunge-demo-files-") as folder:
        files, image = Path(folder, "files"), Path(folder, "image")
        files.mkdir()
        for number in range(PLACES):
            (files / f"letter-{number}.txt").write_bytes(page_of(text))
        command = [mke2fs, "-q", "-t", "ext4", "-d", str(files), str(image), f"{size_bytes // 1024}k"]
        subprocess.run(command, check=True, capture_output=True)
        return image.read_bytes()


def program(name: str) -> str | None:
    """The path of a program of the distribution, also of one that only root has on its path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
