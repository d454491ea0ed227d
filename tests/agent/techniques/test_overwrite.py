from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.devices.image_file import open_drive
from agent.errors import Code
from agent.techniques import overwrite
from agent.techniques.overwrite import OVERWRITES, Deadlines, Overwrite, overwrites
from agent.techniques.technique import Aim, Facts, Started, Watched
from certificate import keystream
from certificate.errors import Code as DocumentCode
from certificate.errors import Refused
from certificate.statements import Seen
from certificate.statements.vocabulary import OverwritePattern, Technique
from tests.memory_drive import SECRET, MemoryDrive

MIB = 1 << 20
KEY = hashlib.shake_256(b"a key for tests").digest(keystream.KEY_BYTES)
KEYSTREAM = OVERWRITES[Technique.OVERWRITE_KEYSTREAM]
ZERO = OVERWRITES[Technique.OVERWRITE_ZERO]
#: For a drive that hangs: a few looks, and over.
SOON = Deadlines(no_progress_seconds=3, total_seconds=1000)


class FakeTime:
    """A clock that moves when somebody waits, and remembers for how long."""

    def __init__(self) -> None:
        self.ms = 5_000
        self.pauses: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.ms += int(seconds * 1000)


def real_ms() -> int:
    return int(time.monotonic() * 1000)


def aim_at(drive: MemoryDrive, key: bytes = KEY) -> Aim:
    return Aim(key=key, layout=drive.layout)


def run(technique: Overwrite, drive: MemoryDrive) -> tuple[Watched, Facts, list[int]]:
    """From the first look to the facts."""
    reports: list[int] = []
    clock = FakeTime()
    prepared = technique.prepare(drive, aim_at(drive), step="")
    started = technique.start(drive, prepared)
    watched = technique.watch(
        drive, prepared, started, now_ms=clock.now_ms, pause=clock.pause, report=reports.append
    )
    return watched, technique.conclude(drive, prepared, started, watched), reports


def stream_of(drive: MemoryDrive, key: bytes = KEY) -> bytes:
    capacity = drive.capacity_bytes
    return keystream.read(key, capacity_bytes=capacity, offset_bytes=0, length_bytes=capacity)


def written(facts: Facts) -> tuple[int, int, Seen]:
    assert facts.overwrite is not None
    return facts.overwrite.bytes_written, facts.overwrite.bytes_failed, facts.overwrite.was_flushed


# --- a pass that goes well ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes", [(MIB,), (3 * MIB + 512,), (4096,), (512,), (MIB + 4096, 4096, 2 * MIB + 512)]
)
def test_every_addressable_byte_is_the_keystreams(sizes: tuple[int, ...]) -> None:
    drive = MemoryDrive(*sizes)
    watched, facts, _ = run(KEYSTREAM, drive)
    assert (watched.has_ended, watched.timed_out, watched.seen_in_progress) == (True, Seen.NO, Seen.YES)
    assert drive.stream == stream_of(drive)
    assert written(facts) == (sum(sizes), 0, Seen.YES)
    assert (facts.errors, facts.has_failed, facts.status_after) == ((), False, None)


@pytest.mark.parametrize("sizes", [(3 * MIB + 512,), (MIB + 4096, 4096)])
def test_every_addressable_byte_is_zero(sizes: tuple[int, ...]) -> None:
    drive = MemoryDrive(*sizes)
    _, facts, _ = run(ZERO, drive)
    assert not any(drive.stream)
    assert written(facts) == (sum(sizes), 0, Seen.YES)
    assert facts.overwrite is not None
    assert facts.overwrite.pattern is OverwritePattern.ZERO


@settings(max_examples=15, deadline=None)
@given(
    sizes=some.lists(some.integers(1, 700).map(lambda blocks: blocks * 4096), min_size=1, max_size=4),
    workers=some.integers(1, 6),
)
def test_each_byte_is_written_once_whatever_the_namespaces(sizes: list[int], workers: int) -> None:
    drive = MemoryDrive(*sizes)
    run(Overwrite(OverwritePattern.KEYSTREAM, workers=workers), drive)
    assert drive.stream == stream_of(drive)
    assert sum(length for _, _, length in drive.blocks.written) == sum(sizes)
    assert len(set(drive.blocks.written)) == len(drive.blocks.written)


def test_a_flush_comes_after_the_last_write_and_only_then() -> None:
    drive = MemoryDrive(9 * MIB)
    run(KEYSTREAM, drive)
    assert drive.blocks.flushed_after == [9]


def test_another_key_writes_another_stream() -> None:
    one, other = MemoryDrive(MIB), MemoryDrive(MIB)
    prepared = KEYSTREAM.prepare(other, aim_at(other, bytes(range(64))), step="")
    assert KEYSTREAM.start(other, prepared).handle.wait(20)
    run(KEYSTREAM, one)
    assert one.stream != other.stream
    assert other.stream == stream_of(other, bytes(range(64)))


def test_start_returns_while_the_drive_still_writes_and_watch_tells_how_far_it_is() -> None:
    drive = MemoryDrive(8 * MIB)
    drive.blocks.hangs = lambda _, offset, __: offset >= 4 * MIB
    prepared = KEYSTREAM.prepare(drive, aim_at(drive), step="")
    started = KEYSTREAM.start(drive, prepared)
    assert (started.was_accepted, started.completion, started.errors) == (Seen.YES, None, ())
    reports: list[int] = []

    def pause(seconds: float) -> None:
        if reports[-1] == 32_768:
            drive.blocks.may_go_on.set()

    watched = KEYSTREAM.watch(drive, prepared, started, now_ms=real_ms, pause=pause, report=reports.append)
    assert watched.has_ended
    assert reports == sorted(reports)
    assert 32_768 in reports
    assert reports[-1] == 65_535


def test_the_wait_between_looks_grows_to_a_second() -> None:
    drive = MemoryDrive(MIB)
    drive.blocks.hangs = lambda *_: True
    clock = FakeTime()
    technique = Overwrite(OverwritePattern.ZERO, deadlines_of=lambda _: SOON)
    prepared = technique.prepare(drive, aim_at(drive), step="")
    started = technique.start(drive, prepared)

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if clock.ms > 7_500:
            drive.blocks.may_go_on.set()

    technique.watch(drive, prepared, started, now_ms=clock.now_ms, pause=pause, report=lambda _: None)
    assert clock.pauses[:4] == [0.05, 0.1, 0.2, 0.4]
    assert max(clock.pauses) == 1.0


# --- a drive that does not do as it should ------------------------------------------------------------------


def test_after_a_write_error_the_rest_is_erased_and_the_failure_is_counted() -> None:
    drive = MemoryDrive(9 * MIB)
    drive.blocks.fails_to_write = lambda _, offset, __: offset == 4 * MIB
    watched, facts, _ = run(KEYSTREAM, drive)
    assert watched.has_ended
    assert written(facts) == (8 * MIB, MIB, Seen.YES)
    assert facts.errors == (Code.WRITE_FAILED.value,)
    expected = stream_of(drive)
    assert drive.stream[: 4 * MIB] == expected[: 4 * MIB]
    assert drive.stream[5 * MIB :] == expected[5 * MIB :]
    assert SECRET in drive.stream[4 * MIB : 5 * MIB]


def test_a_failure_of_one_namespace_leaves_the_piece_of_the_next_written() -> None:
    drive = MemoryDrive(4096, MIB - 4096)
    drive.blocks.fails_to_write = lambda nsid, *_: nsid == 1
    _, facts, _ = run(KEYSTREAM, drive)
    assert written(facts) == (MIB - 4096, 4096, Seen.YES)
    assert drive.stream[4096:] == stream_of(drive)[4096:]


def test_a_drive_that_dies_ends_the_pass_with_everything_accounted_for() -> None:
    drive = MemoryDrive(16 * MIB)
    drive.blocks.dies_after = 5
    watched, facts, _ = run(KEYSTREAM, drive)
    assert watched.has_ended
    assert written(facts) == (5 * MIB, 11 * MIB, Seen.NO)
    assert set(facts.errors) == {Code.WRITE_FAILED.value, Code.FLUSH_FAILED.value}
    assert not facts.has_failed


def test_a_drive_that_refuses_every_write_was_not_seen_being_overwritten() -> None:
    drive = MemoryDrive(2 * MIB)
    drive.blocks.fails_to_write = lambda *_: True
    watched, facts, _ = run(ZERO, drive)
    assert written(facts) == (0, 2 * MIB, Seen.YES)
    assert watched.seen_in_progress is Seen.NO
    assert not facts.has_failed


def test_a_flush_that_fails_is_said() -> None:
    drive = MemoryDrive(2 * MIB)
    drive.blocks.fails_to_flush = True
    _, facts, _ = run(KEYSTREAM, drive)
    assert written(facts) == (2 * MIB, 0, Seen.NO)
    assert facts.errors == (Code.FLUSH_FAILED.value,)


def test_a_fault_of_a_worker_is_no_silence() -> None:
    drive = MemoryDrive(4 * MIB)

    def broken(nsid: int, offset: int, length: int) -> bool:
        if offset == MIB:
            raise RuntimeError("a fault of ours")
        return False

    drive.blocks.drops = broken
    watched, facts, _ = run(KEYSTREAM, drive)
    assert watched.has_ended
    assert facts.overwrite is not None
    assert facts.overwrite.bytes_written + facts.overwrite.bytes_failed < 4 * MIB
    assert Code.AGENT_FAILED.value in facts.errors


@pytest.fixture
def quick_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten seconds for a worker that a test lets hang."""
    monkeypatch.setattr(overwrite, "STOP_SECONDS", 0.2)


@pytest.mark.usefixtures("quick_stop")
def test_a_drive_that_hangs_is_given_up_and_what_was_written_is_stated() -> None:
    drive = MemoryDrive(8 * MIB)
    drive.blocks.hangs = lambda _, offset, __: offset >= 3 * MIB
    watched, facts, _ = run(Overwrite(OverwritePattern.KEYSTREAM, deadlines_of=lambda _: SOON), drive)
    assert (watched.has_ended, watched.timed_out) == (False, Seen.YES)
    assert written(facts) == (3 * MIB, 0, Seen.NOT_OBSERVED)
    assert facts.timed_out is Seen.YES
    assert facts.errors == (Code.COMMAND_TIMED_OUT.value,)
    drive.blocks.may_go_on.set()


@pytest.mark.usefixtures("quick_stop")
def test_a_worker_that_comes_back_late_takes_no_further_unit() -> None:
    drive = MemoryDrive(32 * MIB)
    drive.blocks.hangs = lambda *_: True
    run(Overwrite(OverwritePattern.KEYSTREAM, deadlines_of=lambda _: SOON), drive)
    drive.blocks.may_go_on.set()
    for _ in range(200):
        if not any(thread.name.startswith("overwrite-") for thread in threading.enumerate()):
            break
        time.sleep(0.05)
    assert len(drive.blocks.written) <= overwrite.WORKERS


@pytest.mark.usefixtures("quick_stop")
def test_a_drive_that_writes_but_takes_for_ever_is_given_up_too() -> None:
    drive = MemoryDrive(64 * MIB)
    clock = FakeTime()
    drive.blocks.hangs = lambda _, offset, __: bool(clock.pause(100) or time.sleep(0.02))
    limits = Deadlines(no_progress_seconds=10**9, total_seconds=500)
    technique = Overwrite(OverwritePattern.ZERO, workers=1, deadlines_of=lambda _: limits)
    prepared = technique.prepare(drive, aim_at(drive), step="")
    started = technique.start(drive, prepared)
    watched = technique.watch(
        drive, prepared, started, now_ms=clock.now_ms, pause=lambda _: None, report=lambda _: None
    )
    facts = technique.conclude(drive, prepared, started, watched)
    assert (watched.has_ended, watched.timed_out) == (False, Seen.YES)
    assert 0 < written(facts)[0] < 64 * MIB


@pytest.mark.usefixtures("quick_stop")
def test_errors_alone_are_no_progress() -> None:
    drive = MemoryDrive(64 * MIB)
    drive.blocks.fails_to_write = lambda *_: bool(time.sleep(0.1)) or True
    limits = Deadlines(no_progress_seconds=1, total_seconds=10**9)
    technique = Overwrite(OverwritePattern.ZERO, workers=1, deadlines_of=lambda _: limits)
    watched, facts, _ = run(technique, drive)
    assert watched.timed_out is Seen.YES
    assert written(facts)[0] == 0
    assert 0 < written(facts)[1] < 64 * MIB


def test_a_total_deadline_leaves_room_for_the_slowest_believable_drive() -> None:
    limits = overwrite.deadlines(20 * 10**12)
    assert limits.total_seconds >= 20 * 10**12 // overwrite.SLOWEST_BYTES_PER_SECOND
    assert overwrite.deadlines(MIB).total_seconds >= 3600


# --- before, and from another process -----------------------------------------------------------------------


def test_prepare_writes_nothing_and_says_who_the_drive_is() -> None:
    drive = MemoryDrive(MIB)
    prepared = KEYSTREAM.prepare(drive, aim_at(drive), step="")
    assert prepared.identity == drive.identity()
    assert (prepared.submission, prepared.status_before, prepared.counters) == (None, None, {})
    assert drive.blocks.written == []
    assert KEYSTREAM.steps(drive, aim_at(drive)) == ("",)


def test_a_write_protected_medium_is_refused() -> None:
    drive = MemoryDrive(MIB, is_protected=True)
    with pytest.raises(Refused) as error:
        KEYSTREAM.prepare(drive, aim_at(drive), step="")
    assert error.value.code is Code.DRIVE_WRITE_PROTECTED


@pytest.mark.parametrize("layout", [(), ((1, 0),), ((1, 4608), (2, 4096)), ((2, 4096), (1, 4096))])
def test_a_layout_that_is_no_stream_is_refused(layout: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(Refused) as error:
        ZERO.prepare(MemoryDrive(MIB), Aim(key=KEY, layout=layout), step="")
    assert error.value.code is DocumentCode.TECHNIQUE_UNAVAILABLE


def test_a_keystream_without_its_key_is_refused() -> None:
    drive = MemoryDrive(MIB)
    with pytest.raises(Refused) as error:
        KEYSTREAM.prepare(drive, Aim(key=b"", layout=drive.layout), step="")
    assert error.value.code is DocumentCode.TECHNIQUE_UNAVAILABLE


def test_a_pass_of_another_process_is_never_continued() -> None:
    drive = MemoryDrive(MIB)
    prepared = KEYSTREAM.prepare(drive, aim_at(drive), step="")
    started = Started(was_accepted=Seen.NOT_OBSERVED, completion=None, errors=(), handle=None)
    watched = KEYSTREAM.watch(
        drive, prepared, started, now_ms=real_ms, pause=time.sleep, report=lambda _: None
    )
    facts = KEYSTREAM.conclude(drive, prepared, started, watched)
    assert (watched.has_ended, watched.seen_in_progress) == (False, Seen.NOT_OBSERVED)
    assert (watched.timed_out, facts.overwrite) == (Seen.NOT_OBSERVED, None)
    assert drive.blocks.written == []


def test_a_host_that_has_no_thread_left_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    drive = MemoryDrive(MIB)
    prepared = ZERO.prepare(drive, aim_at(drive), step="")
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    started = ZERO.start(drive, prepared)
    assert (started.was_accepted, started.handle) == (Seen.NO, None)
    assert started.errors == (Code.AGENT_FAILED.value,)
    assert drive.blocks.written == []


@pytest.mark.parametrize(("drives", "workers"), [(1, 4), (3, 4), (4, 2), (24, 2)])
def test_many_drives_get_fewer_workers_each(drives: int, workers: int) -> None:
    made = overwrites(drives)
    assert {each.workers for each in made.values()} == {workers} == {overwrite.workers_for(drives)}
    assert {name: each.technique for name, each in made.items()} == {name: name for name in made}


def test_a_drive_gets_no_more_workers_than_it_was_given() -> None:
    drive = MemoryDrive(16 * MIB)
    run(Overwrite(OverwritePattern.ZERO, workers=2), drive)
    assert drive.blocks.threads <= {"overwrite-0", "overwrite-1"}


def test_an_image_file_is_overwritten_past_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "one.img"
    path.write_bytes((SECRET * 80_000)[: 3 * MIB + 512])
    path.with_suffix(".json").write_text(json.dumps({"serial": "S", "model": "M"}))
    drive = open_drive(path)
    assert drive.blocks.open_exclusively() is Seen.YES
    aim = Aim(key=KEY, layout=((1, 3 * MIB + 512),))
    prepared = KEYSTREAM.prepare(drive, aim, step="")
    started = KEYSTREAM.start(drive, prepared)
    watched = KEYSTREAM.watch(
        drive, prepared, started, now_ms=real_ms, pause=time.sleep, report=lambda _: None
    )
    facts = KEYSTREAM.conclude(drive, prepared, started, watched)
    drive.blocks.close()
    assert written(facts) == (3 * MIB + 512, 0, Seen.YES)
    whole = keystream.read(KEY, capacity_bytes=3 * MIB + 512, offset_bytes=0, length_bytes=3 * MIB + 512)
    assert path.read_bytes() == whole
