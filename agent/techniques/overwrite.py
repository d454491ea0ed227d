"""Overwriting a medium from the host: one pass of zeros or of a keystream over everything it can address.

Rules: a pass writes each unit of the medium's stream (`devices.layout`) once, in whatever order its workers
come to it, because `certificate.keystream` says what belongs there; a unit that could not be written whole is
counted as failed and the pass goes on, since the rest is better erased than not; a worker that did not come
back counts for nothing; the last worker flushes, after every write has ended; a pass of another process is
never continued. Nothing is read here: `readback` does that, and `assurance` judges both.

How many workers a drive gets is the constructor's argument: whoever makes the techniques of an execution
knows how many drives it has (`overwrites`). Design and numbers: performance.md, 1 and "Design that reached
the limit": each worker fills its own page-aligned buffer and makes one positional write, so that the queue is
as deep as there are workers and nothing is handed over.
"""

from __future__ import annotations

import logging
import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.devices.block import BlockIo
from agent.devices.drive import Drive, Protectable
from agent.devices.layout import Layout
from agent.devices.nvme import NvmeDrive
from agent.errors import Code, DeviceError
from agent.techniques.technique import Aim, Facts, OverwriteFacts, Prepared, Report, Started, Watched
from certificate import keystream
from certificate.errors import Code as DocumentCode
from certificate.errors import Refused
from certificate.keystream import UNIT_BYTES
from certificate.statements import Seen
from certificate.statements.vocabulary import OverwritePattern, Technique

LOG = logging.getLogger("agent.overwrite")

#: Workers a drive, alone and among many: more than two each only wait for the processor (performance.md, 1e).
WORKERS: Final = 4
WORKERS_AMONG_MANY: Final = 2
MANY_DRIVES: Final = 4
#: A write that is merely slow ends in the kernel's own time-outs, tens of seconds; this is many of them.
NO_PROGRESS_SECONDS: Final = 900
#: Nothing that stores data in a server is slower for a whole pass; below it a drive is as good as dead.
SLOWEST_BYTES_PER_SECOND: Final = 10_000_000
LEAST_TOTAL_SECONDS: Final = 3600
#: How long workers that were told to stop are waited for: longer than any write that still makes progress.
STOP_SECONDS: Final = 10.0
#: A look at the pass is a wait for its end; between looks the caller's `pause` grows up to a second.
LOOK_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
#: `update_into` wants room for one block less a byte beyond what it fills; a page keeps it whole.
_ROOM_BYTES: Final = UNIT_BYTES + mmap.PAGESIZE
_ALL_65536THS: Final = 65_535


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a pass may take, in seconds of the clock handed in."""

    no_progress_seconds: int
    total_seconds: int


def deadlines(capacity_bytes: int) -> Deadlines:
    """For a medium of that size."""
    total = LEAST_TOTAL_SECONDS + capacity_bytes // SLOWEST_BYTES_PER_SECOND
    return Deadlines(no_progress_seconds=NO_PROGRESS_SECONDS, total_seconds=total)


@dataclass(frozen=True)
class Tally:
    """How far a pass is: bytes the medium took, bytes whose writing failed, the codes of what went wrong."""

    bytes_written: int
    bytes_failed: int
    was_flushed: Seen
    errors: tuple[str, ...]


class Pass:
    """One pass over one medium, by threads of this process. `key` is None for zeros."""

    def __init__(self, blocks: BlockIo, layout: Layout, *, key: bytes | None) -> None:
        self._blocks = blocks
        self._layout = layout
        self._key = key
        self._zeros = memoryview(bytes(UNIT_BYTES))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._next_unit = 0
        self._working = 0
        self._tally = Tally(0, 0, Seen.NOT_OBSERVED, ())

    @property
    def capacity_bytes(self) -> int:
        return self._layout.capacity_bytes

    def begin(self, workers: int) -> int:
        """Starts up to that many threads and says how many there are. They never keep the process alive."""
        # Nobody is the last worker before all have begun.
        self._working = 1
        begun = 0
        for number in range(workers):
            thread = threading.Thread(target=self._work, name=f"overwrite-{number}", daemon=True)
            with self._lock:
                self._working += 1
            try:
                thread.start()
            except RuntimeError:
                LOG.warning("thread %d of %d could not be started", number + 1, workers)
                with self._lock:
                    self._working -= 1
                break
            begun += 1
        if begun:
            self._leave()
        return begun

    def wait(self, seconds: float) -> bool:
        """Whether the pass has ended, with all that it will ever write, after at most that long."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """No worker takes another unit, and those that can come back have."""
        self._stop.set()
        self._ended.wait(STOP_SECONDS)

    def tally(self) -> Tally:
        """As of now."""
        with self._lock:
            return self._tally

    # --- in a worker ----------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            buffer = memoryview(mmap.mmap(-1, _ROOM_BYTES))
            while not self._stop.is_set() and (unit := self._take()) is not None:
                self._write(unit, buffer)
        except Exception:
            # A fault of ours: the pass lacks what this worker had in hand, and says so.
            LOG.exception("a worker ended early")
            self._note(error=Code.AGENT_FAILED)
        finally:
            self._leave()

    def _take(self) -> int | None:
        with self._lock:
            unit = self._next_unit
            if unit * UNIT_BYTES >= self.capacity_bytes:
                return None
            self._next_unit += 1
            return unit

    def _write(self, unit: int, buffer: memoryview) -> None:
        offset = unit * UNIT_BYTES
        length = min(UNIT_BYTES, self.capacity_bytes - offset)
        if self._key is not None:
            keystream.unit_encryptor(self._key, unit).update_into(self._zeros[:length], buffer)
        for piece in self._layout.pieces(offset, length):
            size = piece.end - piece.start
            try:
                self._blocks.write_from(piece.nsid, piece.offset_bytes, buffer[piece.start : piece.end])
            except (OSError, DeviceError):
                self._note(failed=size, error=Code.WRITE_FAILED)
            else:
                self._note(written=size)

    def _leave(self) -> None:
        with self._lock:
            self._working -= 1
            is_last = self._working == 0
        if is_last:
            try:
                self._blocks.flush()
            except (OSError, DeviceError):
                self._note(error=Code.FLUSH_FAILED, was_flushed=Seen.NO)
            else:
                self._note(was_flushed=Seen.YES)
            finally:
                self._ended.set()

    def _note(
        self, *, written: int = 0, failed: int = 0, error: Code | None = None, was_flushed: Seen | None = None
    ) -> None:
        with self._lock:
            old = self._tally
            is_new = error is not None and error.value not in old.errors
            self._tally = Tally(
                old.bytes_written + written,
                old.bytes_failed + failed,
                old.was_flushed if was_flushed is None else was_flushed,
                (*old.errors, error.value) if error is not None and is_new else old.errors,
            )


@dataclass(frozen=True, kw_only=True)
class _Intent:
    """What `prepare` settled for `start`."""

    layout: Layout
    key: bytes | None


class Overwrite:
    """One technique: a pass of one pattern. `workers`: threads a drive. `deadlines_of`: by capacity."""

    def __init__(
        self,
        pattern: OverwritePattern,
        *,
        workers: int = WORKERS,
        deadlines_of: Callable[[int], Deadlines] = deadlines,
    ) -> None:
        self.pattern = pattern
        self.workers = workers
        self._deadlines_of = deadlines_of

    @property
    def technique(self) -> Technique:
        return {
            OverwritePattern.KEYSTREAM: Technique.OVERWRITE_KEYSTREAM,
            OverwritePattern.ZERO: Technique.OVERWRITE_ZERO,
        }[self.pattern]

    def steps(self, drive: Drive, aim: Aim) -> tuple[str, ...]:
        """One: the pass covers every namespace."""
        return ("",)

    def prepare(self, drive: Drive, aim: Aim, *, step: str) -> Prepared:
        """Reads only. Raises Refused: DRIVE_WRITE_PROTECTED, or TECHNIQUE_UNAVAILABLE where the layout is no
        stream of whole blocks; DeviceError or Malformed when the drive does not answer as it should.
        """
        try:
            layout = Layout(aim.layout)
        except ValueError as error:
            raise Refused(DocumentCode.TECHNIQUE_UNAVAILABLE, str(error)) from None
        if self.pattern is OverwritePattern.KEYSTREAM and len(aim.key) != keystream.KEY_BYTES:
            raise Refused(DocumentCode.TECHNIQUE_UNAVAILABLE, "there is no key to make the keystream of")
        _refuse_protected(drive)
        key = aim.key if self.pattern is OverwritePattern.KEYSTREAM else None
        return Prepared(
            identity=drive.identity(),
            submission=None,
            status_before=None,
            counters={},
            details=_Intent(layout=layout, key=key),
        )

    def start(self, drive: Drive, prepared: Prepared) -> Started:
        """Starts the workers and returns; the first write may have happened by then. Irreversible."""
        intent: _Intent = prepared.details
        run = Pass(drive.blocks, intent.layout, key=intent.key)
        if run.begin(self.workers) == 0:
            return Started(
                was_accepted=Seen.NO, completion=None, errors=(Code.AGENT_FAILED.value,), handle=None
            )
        return Started(was_accepted=Seen.YES, completion=None, errors=(), handle=run)

    def watch(
        self,
        drive: Drive,
        prepared: Prepared,
        started: Started,
        *,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
        report: Report,
    ) -> Watched:
        """Until the pass ended, wrote nothing for too long, or takes too long; then no worker writes any
        more, but for one that the operating system does not give back. A pass of another process cannot be
        seen from here: there was none to look at.
        """
        if not isinstance(started.handle, Pass):
            return _watched(has_ended=False, seen=Seen.NOT_OBSERVED, timed_out=Seen.NOT_OBSERVED)
        run = started.handle
        limits = self._deadlines_of(run.capacity_bytes)
        began_ms = moved_ms = now_ms()
        written, wait_seconds = 0, LOOK_SECONDS
        while not run.wait(LOOK_SECONDS):
            tally = run.tally()
            if tally.bytes_written > written:
                written, moved_ms = tally.bytes_written, now_ms()
            _report(report, run, tally)
            is_stalled = now_ms() - moved_ms >= limits.no_progress_seconds * 1000
            if is_stalled or now_ms() - began_ms >= limits.total_seconds * 1000:
                run.stop()
                return _watched(has_ended=False, seen=_seen(run), timed_out=Seen.YES)
            pause(wait_seconds)
            wait_seconds = min(LONGEST_PAUSE_SECONDS, 2 * wait_seconds)
        _report(report, run, run.tally())
        return _watched(has_ended=True, seen=_seen(run), timed_out=Seen.NO)

    def conclude(self, drive: Drive, prepared: Prepared, started: Started, watched: Watched) -> Facts:
        """What the pass wrote and what not. `has_failed` is never said: it opens the way to the plan's next
        technique, and after an overwrite there is none.
        """
        errors = [*started.errors, *watched.errors]
        facts = None
        if isinstance(started.handle, Pass):
            tally = started.handle.tally()
            errors.extend(tally.errors)
            facts = OverwriteFacts(
                pattern=self.pattern,
                bytes_written=tally.bytes_written,
                bytes_failed=tally.bytes_failed,
                was_flushed=tally.was_flushed,
            )
        if watched.timed_out is Seen.YES:
            errors.append(Code.COMMAND_TIMED_OUT.value)
        return Facts(
            status_after=None,
            seen_in_progress=watched.seen_in_progress,
            timed_out=watched.timed_out,
            has_failed=False,
            overwrite=facts,
            errors=tuple(dict.fromkeys(errors)),
        )


def workers_for(drive_count: int) -> int:
    """Threads for each of that many drives that are written, or read back, at once."""
    return WORKERS if drive_count < MANY_DRIVES else WORKERS_AMONG_MANY


def overwrites(drive_count: int) -> dict[Technique, Overwrite]:
    """Both overwrites, for an execution that overwrites that many drives at once."""
    workers = workers_for(drive_count)
    both = (Overwrite(pattern, workers=workers) for pattern in OverwritePattern)
    return {each.technique: each for each in both}


#: For one drive, or a few.
OVERWRITES: Final = overwrites(1)


def _refuse_protected(drive: Drive) -> None:
    if isinstance(drive, NvmeDrive):
        for nsid in drive.active_namespaces():
            if drive.identify_namespace(nsid).is_write_protected:
                raise Refused(Code.DRIVE_WRITE_PROTECTED, f"namespace {nsid} is write-protected")
    if isinstance(drive, Protectable) and drive.is_write_protected():
        raise Refused(Code.DRIVE_WRITE_PROTECTED, "it is write-protected")


def _report(report: Report, run: Pass, tally: Tally) -> None:
    done = tally.bytes_written + tally.bytes_failed
    report(min(_ALL_65536THS, done * 65_536 // run.capacity_bytes))


def _seen(run: Pass) -> Seen:
    return Seen.that(run.tally().bytes_written > 0)


def _watched(*, has_ended: bool, seen: Seen, timed_out: Seen) -> Watched:
    return Watched(status=None, has_ended=has_ended, seen_in_progress=seen, timed_out=timed_out, errors=())
