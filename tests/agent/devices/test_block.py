from __future__ import annotations

import errno
import mmap
import os
import threading
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


def page_aligned(length_bytes: int, filled_with: bytes = b"\0") -> memoryview:
    pages = mmap.mmap(-1, length_bytes)
    pages[:] = filled_with * length_bytes
    return memoryview(pages)


def test_a_buffer_is_written_and_read_in_place(nodes: dict[int, Path]) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    blocks.write_from(2, 8192, page_aligned(4096, b"w"))
    found = page_aligned(3 * 4096, b"?")
    blocks.read_into(2, 4096, found)
    assert bytes(found) == bytes(4096) + b"w" * 4096 + bytes(4096)
    blocks.close()


def test_past_the_cache_only_whole_blocks_in_aligned_memory_are_taken(tmp_path: Path) -> None:
    node = tmp_path / "disk"
    node.write_bytes(bytes(8 * 4096))
    blocks = KernelBlockIo({1: node}, ioctl=lambda *_: None)
    if blocks.open_exclusively() is not Seen.YES:
        pytest.fail(f"the file system of {tmp_path} has no O_DIRECT")
    buffer = page_aligned(8192)
    for offset, view in ((1, buffer[:4096]), (0, buffer[:100]), (0, buffer[1:4097])):
        with pytest.raises(OSError, match="Invalid argument") as refused:
            blocks.write_from(1, offset, view)
        assert refused.value.errno == errno.EINVAL
    blocks.close()
    assert node.read_bytes() == bytes(8 * 4096)


def test_a_short_read_into_a_buffer_is_an_error(nodes: dict[int, Path]) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    with pytest.raises(OSError, match="4096 of 8192 bytes read"):
        blocks.read_into(1, 7 * 4096, page_aligned(8192))
    blocks.close()


def test_a_short_write_is_an_error(nodes: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    whole = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, views, at: whole(fd, [views[0][:512]], at))
    with pytest.raises(OSError, match="512 of 4096 bytes written") as short:
        blocks.write_from(1, 0, page_aligned(4096))
    assert short.value.errno == errno.EIO
    with pytest.raises(OSError, match="512 of 4096 bytes written"):
        blocks.write(1, 0, bytes(4096))
    blocks.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_what_the_kernel_refuses_is_raised_with_its_number(
    nodes: dict[int, Path], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    monkeypatch.setattr(os, "pwritev", refuse)
    monkeypatch.setattr(os, "preadv", refuse)
    buffer = page_aligned(4096)
    for act in (
        lambda: blocks.write(1, 0, bytes(4096)),
        lambda: blocks.write_from(1, 0, buffer),
        lambda: blocks.read(1, 0, 4096),
        lambda: blocks.read_into(1, 0, buffer),
    ):
        with pytest.raises(OSError, match=os.strerror(number)) as refused:
            act()
        assert refused.value.errno == number
    blocks.close()


def test_a_full_device_says_so() -> None:
    blocks = KernelBlockIo({1: Path("/dev/full")}, open_path=lambda path, _: os.open(path, os.O_RDWR))
    blocks.open_exclusively()
    with pytest.raises(OSError, match="No space left") as refused:
        blocks.write_from(1, 0, page_aligned(4096))
    assert refused.value.errno == errno.ENOSPC
    blocks.close()


def test_a_flush_of_nothing_is_no_flush(nodes: dict[int, Path]) -> None:
    blocks = blocks_over(nodes, FakeKernel())
    for _ in range(2):
        with pytest.raises(OSError, match="nothing is open"):
            blocks.flush()
        blocks.open_exclusively()
        blocks.close()


def test_a_flush_that_cannot_drop_the_cache_is_an_error(nodes: dict[int, Path]) -> None:
    kernel = FakeKernel()
    blocks = KernelBlockIo(nodes, open_path=kernel.open_path)
    blocks.open_exclusively()
    # A regular file knows no BLKFLSBUF: nobody may believe that its pages were dropped.
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        blocks.flush()
    blocks.close()


def test_what_is_looked_at_unclaimed_is_opened_only_to_read_and_closed_again(nodes: dict[int, Path]) -> None:
    kernel = FakeKernel()
    blocks = blocks_over(nodes, kernel)
    nodes[1].write_bytes(b"p" * 4096)
    assert blocks.peek(1, 0, 4096) == b"p" * 4096
    ((_, flags),) = kernel.opened
    assert flags & os.O_ACCMODE == os.O_RDONLY
    assert flags & os.O_DIRECT
    assert not any(is_open(descriptor) for descriptor in kernel.descriptors)
    with pytest.raises(OSError, match="there is no namespace 3"):
        blocks.peek(3, 0, 4096)
    with pytest.raises(OSError, match="0 of 4096 bytes read"):
        blocks.peek(1, 8 * 4096, 4096)
    assert not any(is_open(descriptor) for descriptor in kernel.descriptors)


def test_what_is_claimed_is_looked_at_through_the_claim(nodes: dict[int, Path]) -> None:
    kernel = FakeKernel()
    blocks = blocks_over(nodes, kernel)
    blocks.open_exclusively()
    assert blocks.peek(2, 0, 4096) == bytes(4096)
    assert len(kernel.opened) == 2
    blocks.close()


def test_many_threads_write_and_read_their_own_blocks(nodes: dict[int, Path]) -> None:
    nodes[1].write_bytes(bytes(64 * 4096))
    blocks = blocks_over(nodes, FakeKernel())
    blocks.open_exclusively()
    wrong: list[int] = []

    def work(number: int) -> None:
        buffer, found = page_aligned(4096, bytes([number])), page_aligned(4096)
        for block in range(number, 64, 8):
            blocks.write_from(1, block * 4096, buffer)
            blocks.read_into(1, block * 4096, found)
            if bytes(found) != bytes(buffer):
                wrong.append(block)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    blocks.close()
    assert wrong == []
    assert nodes[1].read_bytes() == b"".join(bytes([block % 8]) * 4096 for block in range(64))


def test_a_descriptor_in_use_is_closed_only_when_its_thread_is_back(
    nodes: dict[int, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = FakeKernel()
    blocks = blocks_over({1: nodes[1]}, kernel)
    blocks.open_exclusively()
    is_writing, may_go_on = threading.Event(), threading.Event()
    whole = os.pwritev

    def slow(descriptor: int, views: list[memoryview], offset: int) -> int:
        is_writing.set()
        may_go_on.wait(20)
        return whole(descriptor, views, offset)

    monkeypatch.setattr(os, "pwritev", slow)
    worker = threading.Thread(target=blocks.write_from, args=(1, 0, page_aligned(4096, b"n")))
    worker.start()
    assert is_writing.wait(20)
    blocks.close()
    # Were the number free by now, this file would get it, and the noise.
    bystander = tmp_path / "journal"
    other = os.open(bystander, os.O_RDWR | os.O_CREAT)
    may_go_on.set()
    worker.join(20)
    assert os.fstat(other).st_size == 0
    assert not any(is_open(descriptor) for descriptor in kernel.descriptors if descriptor != other)
    os.close(other)
    assert nodes[1].read_bytes()[:4096] == b"n" * 4096
    with pytest.raises(OSError, match="namespace 1 is not open"):
        blocks.write_from(1, 0, page_aligned(4096))
