"""Blocks, claims and the folder: what every simulated drive does."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices.simulated import Namespace, SimulatedNvme, occurrences

Make = Callable[..., SimulatedNvme]
PLANTED = b"a tenant's payroll, planted text"
PAGE = PLANTED * (4096 // len(PLANTED))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@pytest.fixture
def planted(make_drive: Make) -> SimulatedNvme:
    drive = make_drive()
    for block in (0, 7, 255):
        drive.write(1, block * 4096, PAGE)
    return drive


def test_what_is_written_is_read(planted: SimulatedNvme) -> None:
    assert planted.read(1, 7 * 4096, 4096) == PAGE
    assert planted.read(1, 6 * 4096, 3 * 4096) == bytes(4096) + PAGE + bytes(4096)


def test_data_rests_only_as_ciphertext(planted: SimulatedNvme) -> None:
    assert occurrences(planted.folder, PLANTED) == 3 * (4096 // len(PLANTED))
    assert PLANTED not in everything_in(planted.folder)


def test_equal_blocks_are_different_ciphertext(planted: SimulatedNvme) -> None:
    cells = (planted.folder / "media.bin").read_bytes()
    assert len({cells[block * 4096 : block * 4096 + 16] for block in (0, 7, 255)}) == 3


def test_a_drive_survives_being_opened_again(planted: SimulatedNvme) -> None:
    planted.write(1, 4096, PAGE)
    reopened = SimulatedNvme.open(planted.folder)
    assert reopened.read(1, 4096, 4096) == PAGE
    assert reopened.state() == planted.state()


def test_another_process_sees_the_same_drive(planted: SimulatedNvme) -> None:
    code = (
        "import sys, pathlib; from agent.devices.simulated import SimulatedNvme;"
        "drive = SimulatedNvme.open(pathlib.Path(sys.argv[1]));"
        "sys.stdout.buffer.write(drive.read(1, 7 * 4096, 4096)); print(drive.claim())"
    )
    assert planted.claim()
    run = subprocess.run(
        [sys.executable, "-c", code, str(planted.folder)], capture_output=True, check=True, timeout=60
    )
    assert run.stdout == PAGE + b"False\n"


def test_a_claim_excludes_others_until_it_is_released(planted: SimulatedNvme) -> None:
    other = SimulatedNvme.open(planted.folder)
    assert planted.claim()
    assert planted.claim()
    assert not other.claim()
    planted.release()
    planted.release()
    assert other.claim()
    other.release()


@pytest.mark.parametrize(
    ("offset", "length"), [(1, 4096), (0, 100), (256 * 4096, 4096), (255 * 4096, 8192), (0, 0), (-4096, 4096)]
)
def test_only_whole_blocks_of_the_namespace_can_be_read(
    planted: SimulatedNvme, offset: int, length: int
) -> None:
    with pytest.raises(OSError, match="no blocks of namespace 1") as refusal:
        planted.read(1, offset, length)
    assert refusal.value.errno == errno.EINVAL


def test_namespaces_do_not_share_blocks(make_drive: Make) -> None:
    drive = make_drive(namespaces=(Namespace(nsid=1, blocks=4), Namespace(nsid=3, blocks=4)))
    drive.write(3, 0, PAGE)
    assert drive.read(1, 0, 4 * 4096) == bytes(4 * 4096)
    assert drive.read(3, 0, 4096) == PAGE
    with pytest.raises(OSError, match="no namespace 2"):
        drive.read(2, 0, 4096)


def test_a_namespace_that_is_not_attached_cannot_be_read(reference_drive: SimulatedNvme) -> None:
    with pytest.raises(OSError, match="no blocks of namespace 2"):
        reference_drive.read(2, 0, 4096)


def test_a_write_protected_namespace_refuses_writes(make_drive: Make) -> None:
    drive = make_drive(namespaces=(Namespace(nsid=1, blocks=4, is_write_protected=True),))
    with pytest.raises(OSError, match="write protected"):
        drive.write(1, 0, PAGE)


def test_blocks_of_512_bytes_are_encrypted_one_by_one(make_drive: Make) -> None:
    drive = make_drive(block_bytes=512)
    drive.write(1, 512, b"x" * 1024)
    cells = (drive.folder / "media.bin").read_bytes()
    assert cells[512:1024] != cells[1024:1536]
    assert drive.read(1, 0, 2048) == bytes(512) + b"x" * 1024 + bytes(512)
