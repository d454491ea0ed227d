"""Reading an overwritten medium back and comparing every byte read with what the overwrite wrote there.

Rules: bytes come from the medium itself, past the operating system's cache (`devices.block`); positions come
from `certificate.sampling` and expected bytes from `certificate.keystream`, never from what was remembered of
the writing; a stretch that cannot be read is counted whole and never passed over; what was planned and not
read, for whatever reason, counts as unreadable; nothing that was read is kept, not even a digest of it. What
the numbers are worth is `assurance`'s business.

Design and numbers: performance.md, 1. Each worker reads into one page-aligned buffer, makes the expected unit
in a second one and compares them with the C library's `memcmp`; all three let other threads run. Zeros need
no second buffer: memory that equals itself one step further on, and begins with zeros, is zeros. Before each
read the buffer is spoilt in every sector, so that a read that brought nothing shows no earlier one's bytes.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.devices.block import BlockIo
from agent.devices.layout import SECTOR_BYTES, Layout
from agent.errors import DeviceError
from certificate import keystream, sampling
from certificate.keystream import UNIT_BYTES
from certificate.sampling import Extent
from certificate.statements.vocabulary import OverwritePattern, ReadBackMode

LOG = logging.getLogger("agent.readback")

WORKERS: Final = 4
#: A read that is merely slow ends in the kernel's own time-outs, tens of seconds; this is many of them.
NO_PROGRESS_SECONDS: Final = 900.0
#: How often the caller is told how far it is.
REPORT_SECONDS: Final = 1.0
#: Compared with zeros byte by byte before the rest is compared with itself.
_HEAD_BYTES: Final = 64
_ROOM_BYTES: Final = UNIT_BYTES + mmap.PAGESIZE
_SPOILT: Final = b"\xa5" * (UNIT_BYTES // SECTOR_BYTES)
_ALL_65536THS: Final = 65_535

_memcmp: Final = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_memcmp.restype = ctypes.c_int


@dataclass(frozen=True, kw_only=True)
class ReadBackFacts:
    """What a read-back found. `seed`: 64 hexadecimal digits. Extents that were read only in part are not
    among `extents_read`, and none of their bytes among `bytes_read`.
    """

    mode: ReadBackMode
    seed: str
    extents_planned: int
    extents_read: int
    bytes_read: int
    bytes_mismatched: int
    bytes_unreadable: int


def read_back(
    blocks: BlockIo,
    layout: tuple[tuple[int, int], ...],
    *,
    key: bytes | None,
    pattern: OverwritePattern,
    mode: ReadBackMode,
    seed: str,
    workers: int = WORKERS,
    report: Callable[[int], None] | None = None,
    no_progress_seconds: float = NO_PROGRESS_SECONDS,
) -> ReadBackFacts:
    """Reads and compares; returns when all is read, or when nothing could be read for too long.

    `layout`: as in `techniques.technique.Aim`; `key`: of the keystream, None for zeros; `report` is told how
    far it is, in 1/65536. Raises ValueError for a layout that is no medium, or a keystream without its key.
    """
    if pattern is OverwritePattern.KEYSTREAM and key is None:
        raise ValueError("a keystream is compared with its key")
    comparison = Comparison(
        blocks,
        Layout(layout),
        key=key if pattern is OverwritePattern.KEYSTREAM else None,
        mode=mode,
        seed=seed,
    )
    comparison.run(workers, report=report, no_progress_seconds=no_progress_seconds)
    return comparison.facts()


class Comparison:
    """One read-back under way. `key` is None for zeros."""

    def __init__(
        self, blocks: BlockIo, layout: Layout, *, key: bytes | None, mode: ReadBackMode, seed: str
    ) -> None:
        self._blocks = blocks
        self._layout = layout
        self._key = key
        self._mode = mode
        self._seed = seed
        self._planned = sampling.extent_count(mode, capacity_bytes=layout.capacity_bytes)
        self._extents = self._plan()
        self._changed = threading.Condition()
        self._is_stopped = False
        self._working = 0
        self._tried = self._read = self._bytes_read = self._bytes_mismatched = 0

    def run(self, workers: int, *, report: Callable[[int], None] | None, no_progress_seconds: float) -> None:
        """Reads with that many threads. They never keep the process alive: one that hangs is left behind."""
        for number in range(workers):
            thread = threading.Thread(target=self._work, name=f"readback-{number}", daemon=True)
            with self._changed:
                self._working += 1
            try:
                thread.start()
            except RuntimeError:
                LOG.warning("thread %d of %d could not be started", number + 1, workers)
                with self._changed:
                    self._working -= 1
                break
        idle_seconds, tried = 0.0, -1
        step_seconds = min(REPORT_SECONDS, no_progress_seconds)
        while idle_seconds < no_progress_seconds:
            with self._changed:
                is_over = self._changed.wait_for(lambda: self._working == 0, timeout=step_seconds)
                idle_seconds = 0.0 if self._tried != tried else idle_seconds + step_seconds
                tried = self._tried
            if report is not None:
                report(min(_ALL_65536THS, tried * 65_536 // self._planned))
            if is_over:
                break
        with self._changed:
            self._is_stopped = True

    def facts(self) -> ReadBackFacts:
        """As of now. Everything planned and not read counts as unreadable."""
        planned_bytes = sum(extent.length_bytes for extent in self._plan())
        with self._changed:
            return ReadBackFacts(
                mode=self._mode,
                seed=self._seed,
                extents_planned=self._planned,
                extents_read=self._read,
                bytes_read=self._bytes_read,
                bytes_mismatched=self._bytes_mismatched,
                bytes_unreadable=planned_bytes - self._bytes_read,
            )

    def _plan(self) -> Iterator[Extent]:
        return sampling.extents(self._mode, seed=self._seed, capacity_bytes=self._layout.capacity_bytes)

    # --- in a worker ----------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            found, expected = _Memory(), _Memory()
            zeros = memoryview(bytes(UNIT_BYTES))
            while (extent := self._take()) is not None:
                self._compare(extent, found, expected, zeros)
        except Exception:
            # A fault of ours: what this worker had in hand stays unread, and counts as unreadable.
            LOG.exception("a worker ended early")
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def _take(self) -> Extent | None:
        with self._changed:
            return None if self._is_stopped else next(self._extents, None)

    def _compare(self, extent: Extent, found: _Memory, expected: _Memory, zeros: memoryview) -> None:
        length = extent.length_bytes
        is_read = True
        found.spoil()
        for piece in self._layout.pieces(extent.offset_bytes, length):
            try:
                view = found.view[piece.start : piece.end]
                self._blocks.read_into(piece.nsid, piece.offset_bytes, view)
            except (OSError, DeviceError):
                is_read = False
                break
        mismatched = 0
        if is_read and self._key is None:
            mismatched = 0 if found.is_zero(length) else length - found.bytes(length).count(0)
        elif is_read and self._key is not None:
            unit = extent.offset_bytes // UNIT_BYTES
            keystream.unit_encryptor(self._key, unit).update_into(zeros[:length], expected.view)
            if not found.equals(expected, length):
                mismatched = _differing(found.bytes(length), expected.bytes(length))
        with self._changed:
            self._tried += 1
            # After the end nothing is counted any more: the facts have been stated.
            if is_read and not self._is_stopped:
                self._read += 1
                self._bytes_read += length
                self._bytes_mismatched += mismatched


class _Memory:
    """One unit of page-aligned memory, with its address for the C library."""

    def __init__(self) -> None:
        self._pages = mmap.mmap(-1, _ROOM_BYTES)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        self.view = memoryview(self._pages)

    def spoil(self) -> None:
        """Leaves no sector as it was."""
        self._pages[0:UNIT_BYTES:SECTOR_BYTES] = _SPOILT

    def equals(self, other: _Memory, length_bytes: int) -> bool:
        return bool(_memcmp(self._address, other._address, length_bytes) == 0)

    def is_zero(self, length_bytes: int) -> bool:
        """Whether that many bytes, at least 64, are zeros."""
        if self.bytes(_HEAD_BYTES).count(0) != _HEAD_BYTES:
            return False
        rest = length_bytes - _HEAD_BYTES
        return bool(_memcmp(self._address, self._address + _HEAD_BYTES, rest) == 0)

    def bytes(self, length_bytes: int) -> bytes:
        """A copy, for counting."""
        return bytes(self.view[:length_bytes])


def _differing(one: bytes, other: bytes) -> int:
    """How many bytes of two equally long strings differ."""
    both = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return len(one) - both.to_bytes(len(one), "little").count(0)
