"""Overwriting and reading back a block device of the kernel: a loop device on a file of the test's own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.devices.block import KernelBlockIo
from agent.devices.drive import WHOLE, DriveIdentity
from agent.readback import ReadBackFacts, read_back
from agent.techniques.overwrite import Overwrite
from agent.techniques.technique import Aim, Facts
from certificate import keystream
from certificate.statements import Seen
from certificate.statements.vocabulary import (
    Attachment,
    DeviceClass,
    OverwritePattern,
    ReadBackMode,
    Transport,
)

pytestmark = pytest.mark.system

MIB = 1 << 20
#: Not whole mebibytes: the last unit is short.
SIZE_BYTES = 100 * MIB + 3 * 512
SECRET = b"a tenant's secret, planted before the overwrite;"
KEY = hashlib.shake_256(b"a key for tests").digest(keystream.KEY_BYTES)
SEED = "5e" * 32
patterns = pytest.mark.parametrize("pattern", list(OverwritePattern))
modes = pytest.mark.parametrize("mode", list(ReadBackMode))


@dataclass
class LoopDrive:
    """A plain drive of the kernel's."""

    node: Path
    name: str = "loop"
    transport_name: Transport = Transport.VIRTIO
    attachment: Attachment = Attachment.INTERNAL
    device_class: DeviceClass = DeviceClass.EMULATED

    def __post_init__(self) -> None:
        self.blocks = KernelBlockIo({WHOLE: self.node})

    def identity(self) -> DriveIdentity:
        return DriveIdentity(serial_number="LOOP", model_number="loop", capacity_bytes=SIZE_BYTES)


def program(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def backing(tmp_path: Path) -> Path:
    path = tmp_path / "backing"
    path.write_bytes((SECRET * (SIZE_BYTES // len(SECRET) + 1))[:SIZE_BYTES])
    return path


@pytest.fixture
def drive(backing: Path) -> Iterator[LoopDrive]:
    node = program("losetup", "--find", "--show", "--direct-io=on", str(backing))
    drive = LoopDrive(Path(node))
    try:
        assert drive.blocks.open_exclusively() is Seen.YES
        yield drive
    finally:
        drive.blocks.close()
        program("losetup", "--detach", node)


def overwrite(drive: LoopDrive, pattern: OverwritePattern, size: int = SIZE_BYTES) -> Facts:
    technique = Overwrite(pattern)
    prepared = technique.prepare(drive, Aim(key=KEY, layout=((WHOLE, size),)), step="")
    started = technique.start(drive, prepared)
    watched = technique.watch(
        drive,
        prepared,
        started,
        now_ms=lambda: int(time.monotonic() * 1000),
        pause=time.sleep,
        report=lambda _: None,
    )
    return technique.conclude(drive, prepared, started, watched)


def look(drive: LoopDrive, pattern: OverwritePattern, mode: ReadBackMode) -> ReadBackFacts:
    return read_back(drive.blocks, ((WHOLE, SIZE_BYTES),), key=KEY, pattern=pattern, mode=mode, seed=SEED)


@patterns
def test_a_full_pass_leaves_nothing_and_both_read_backs_find_no_difference(
    drive: LoopDrive, backing: Path, pattern: OverwritePattern
) -> None:
    assert SECRET in backing.read_bytes()
    facts = overwrite(drive, pattern)
    assert facts.overwrite is not None
    assert (facts.overwrite.bytes_written, facts.overwrite.bytes_failed) == (SIZE_BYTES, 0)
    assert (facts.overwrite.was_flushed, facts.errors) == (Seen.YES, ())
    full = look(drive, pattern, ReadBackMode.FULL)
    assert (full.bytes_read, full.bytes_mismatched, full.bytes_unreadable) == (SIZE_BYTES, 0, 0)
    sampled = look(drive, pattern, ReadBackMode.SAMPLED)
    assert (sampled.extents_read, sampled.bytes_mismatched, sampled.bytes_unreadable) == (12, 0, 0)
    assert SECRET not in backing.read_bytes()


@patterns
def test_one_flipped_byte_in_the_medium_is_found(
    drive: LoopDrive, backing: Path, pattern: OverwritePattern
) -> None:
    overwrite(drive, pattern)
    place = 57 * MIB + 12_345
    with backing.open("r+b") as file:
        os.lseek(file.fileno(), place, os.SEEK_SET)
        byte = os.pread(file.fileno(), 1, place)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 0x10]), place)
        os.fsync(file.fileno())
    assert look(drive, pattern, ReadBackMode.FULL).bytes_mismatched == 1


@patterns
@modes
def test_a_pass_over_23_percent_is_found_out(
    drive: LoopDrive, backing: Path, pattern: OverwritePattern, mode: ReadBackMode
) -> None:
    overwrite(drive, pattern, size=23 * MIB)
    facts = look(drive, pattern, mode)
    assert facts.bytes_unreadable == 0
    assert facts.bytes_mismatched > 0.5 * facts.bytes_read
    assert SECRET in backing.read_bytes()


def test_the_stream_on_the_medium_is_the_one_a_stranger_computes(drive: LoopDrive, backing: Path) -> None:
    overwrite(drive, OverwritePattern.KEYSTREAM)
    found = backing.read_bytes()
    for offset, length in ((0, 4096), (MIB - 8, 16), (50 * MIB + 7, 1000), (SIZE_BYTES - 512, 512)):
        made = keystream.read(KEY, capacity_bytes=SIZE_BYTES, offset_bytes=offset, length_bytes=length)
        assert found[offset : offset + length] == made


def test_a_device_that_is_too_small_is_no_success(drive: LoopDrive) -> None:
    facts = overwrite(drive, OverwritePattern.KEYSTREAM, size=SIZE_BYTES + 5 * MIB)
    assert facts.overwrite is not None
    # The unit across the end is a short write, and what lies behind it is refused: neither counts.
    assert facts.overwrite.bytes_written == 100 * MIB
    assert facts.overwrite.bytes_failed == 5 * MIB + 3 * 512
    assert "WRITE_FAILED" in facts.errors


def test_a_device_that_is_in_use_is_not_taken(drive: LoopDrive) -> None:
    other = LoopDrive(drive.node)
    assert other.blocks.open_exclusively() is Seen.NO
