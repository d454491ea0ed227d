from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.devices.block import BLKFLSBUF, KernelBlockIo
from certificate.statements.statement import Seen


class FakeKernel:
    """Plain files instead of block devices: remembers flags, leaves O_DIRECT to real devices."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.opened: list[tuple[str, int]] = []
        self.ioctls: list[int] = []
        self.descriptors: list[int] = []

    def open_path(self, path: Path, flags: int) -> int:
        self.opened.append((path.name, flags))
        if self.error and len(self.opened) > 1:
            raise OSError(self.error, os.strerror(self.error))
        self.descriptors.append(os.open(path, flags & ~(os.O_DIRECT | os.O_EXCL)))
        return self.descriptors[-1]

    def ioctl(self, descriptor: int, request: int, argument: int) -> None:
        assert descriptor in self.descriptors
        self.ioctls.append(request)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def nodes(tmp_path: Path) -> dict[int, Path]:
    for name in ("nvme0n1", "nvme0n2"):
        (tmp_path / name).write_bytes(bytes(8 * 4096))
    return {1: tmp_path / "nvme0n1", 2: tmp_path / "nvme0n2"}


def blocks_over(nodes: dict[int, Path], kernel: FakeKernel) -> KernelBlockIo:
    return KernelBlockIo(nodes, open_path=kernel.open_path, ioctl=kernel.ioctl)


def test_every_namespace_is_opened_exclusively_and_past_the_cache(nodes: dict[int, Path]) -> None:
    kernel = FakeKernel()
    blocks = blocks_over(nodes, kernel)
    assert blocks.open_exclusively() is Seen.YES
    assert [name for name, _ in kernel.opened] == ["nvme0n1", "nvme0n2"]
    for _, flags in kernel.opened:
        assert flags & os.O_EXCL
        assert flags & os.O_DIRECT
        assert flags & os.O_ACCMODE == os.O_RDWR
    blocks.close()


def test_claiming_twice_opens_once(nodes: dict[int, Path]) -> None:
    kernel = FakeKernel()
    blocks = blocks_over(nodes, kernel)
    assert (blocks.open_exclusively(), blocks.open_exclusively()) == (Seen.YES, Seen.YES)
    assert len(kernel.opened) == 2
    blocks.close()


@pytest.mark.parametrize(
    ("error", "seen"),
    [(errno.EBUSY, Seen.NO), (errno.EIO, Seen.NOT_OBSERVED), (errno.ENXIO, Seen.NOT_OBSERVED)],
)
def test_one_namespace_in_use_lets_every_other_go(nodes: dict[int, Path], error: int, seen: Seen) -> None:
    kernel = FakeKernel(error=error)
    assert blocks_over(nodes, kernel).open_exclusively() is seen
    assert not any(is_open(descriptor) for descriptor in kernel.descriptors)


def test_no_namespace_is_no_claim() -> None:
    assert KernelBlockIo({}).open_exclusively() is Seen.NOT_OBSERVED


def test_what_is_written_is_read_in_its_own_namespace(nodes: dict[int, Path]) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    blocks.write(2, 4096, b"m" * 4096)
    blocks.flush()
    assert blocks.read(2, 0, 3 * 4096) == bytes(4096) + b"m" * 4096 + bytes(4096)
    assert blocks.read(1, 4096, 4096) == bytes(4096)
    blocks.close()
    assert nodes[2].read_bytes()[4096:8192] == b"m" * 4096


def test_a_flush_throws_the_cached_pages_of_every_namespace_away(nodes: dict[int, Path]) -> None:
    kernel = FakeKernel()
    blocks = blocks_over(nodes, kernel)
    blocks.open_exclusively()
    blocks.flush()
    assert kernel.ioctls == [BLKFLSBUF, BLKFLSBUF] == [0x1261, 0x1261]
    blocks.close()


def test_a_short_read_is_an_error(nodes: dict[int, Path]) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    with pytest.raises(OSError, match="0 of 4096 bytes read"):
        blocks.read(1, 8 * 4096, 4096)
    blocks.close()


def test_a_namespace_that_is_not_claimed_is_never_touched(nodes: dict[int, Path]) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    with pytest.raises(OSError, match="namespace 1 is not open"):
        blocks.write(1, 0, bytes(4096))
    blocks.open_exclusively()
    blocks.close()
    with pytest.raises(OSError, match="namespace 1 is not open"):
        blocks.read(1, 0, 4096)
    blocks.close()
