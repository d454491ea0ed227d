"""The last look at each medium: identity, markers, what an overwrite wrote, layers. It only reads.

Rules: every medium that has a drive is looked at, whatever became of it; what cannot be read is said so and
costs no other medium its look; content is read back only after a pass that reached every byte, because of any
other nothing could be claimed; all read-backs go on at once, since each waits for its own drive; markers that
were not surely written are not read, because they cannot be found unchanged; of a medium begun unmarked the
same places are read, and what no erase leaves there is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from functools import partial

from agent import layer_steps, markers, overwritten, readback
from agent.errors import Code, DeviceError
from agent.journal_bodies import ContentRead, MarkerRead, ReadbackBody
from agent.readback import ReadBackFacts
from agent.techniques.overwrite import MANY_DRIVES, WORKERS_AMONG_MANY
from agent.techniques.technique import Report
from agent.work import Work
from certificate import sampling
from certificate.errors import Refused
from certificate.statements import Seen
from certificate.statements.vocabulary import MarkerReading, OverwritePattern, ReadBackMode

#: Looks, telling meanwhile how far a read-back is.
Look = Callable[[Report], ReadbackBody]
#: How often somebody who waits for a read-back is told how far it is.
REPORT_SECONDS = 1.0


class Reading:
    """One read-back under way. `done_65536ths`: how far it is."""

    def __init__(
        self,
        pool: Executor,
        work: Work,
        pattern: OverwritePattern,
        *,
        mode: ReadBackMode,
        seed: str,
        workers: int,
    ) -> None:
        self.done_65536ths = 0
        self._facts: Future[ReadBackFacts] = pool.submit(
            readback.read_back,
            work.drive.blocks,
            work.aim.layout,
            key=work.aim.key,
            pattern=pattern,
            mode=mode,
            seed=seed,
            workers=workers,
            report=self._note,
        )

    def _note(self, done_65536ths: int) -> None:
        self.done_65536ths = done_65536ths

    def facts(self, report: Report) -> ReadBackFacts:
        """Waits for the end, which comes by the read-back's own deadline. Raises what it raised."""
        while not wait((self._facts,), timeout=REPORT_SECONDS).done:
            report(self.done_65536ths)
        return self._facts.result()


def looks(
    works: Sequence[Work], *, mode: ReadBackMode, order_digest: str, nonce: bytes
) -> Iterator[tuple[Work, Look]]:
    """Each medium that has a drive, and the look at it. `nonce`: the markers'."""
    seen = [work for work in works if work.found.drive is not None]
    with ThreadPoolExecutor(max_workers=max(1, len(seen)), thread_name_prefix="look") as pool:
        readings: dict[str, Reading] = {}
        whole = [work for work in seen if work.is_overwritten and work.is_held]
        workers = readback.WORKERS if len(whole) < MANY_DRIVES else WORKERS_AMONG_MANY
        for work in whole:
            if (pattern := overwritten.pattern_of(work.technique)) is not None:
                seed = sampling.seed(order_digest=order_digest, nonce=nonce, commitment=work.commitment)
                readings[work.commitment] = Reading(
                    pool, work, pattern, mode=mode, seed=seed, workers=workers
                )
        for work in seen:
            yield work, partial(_look, work, readings.get(work.commitment))


def _look(work: Work, reading: Reading | None, report: Report) -> ReadbackBody:
    """What is seen of the medium now."""
    codes: list[str] = []
    content = _content(reading, codes, report)
    same = _same_identity(work, codes)
    reads = _marker_reads(work)
    readings = {MarkerReading(read.reading) for read in reads} | _unmarked_reads(work)
    if work.unmarked and MarkerReading.UNCHANGED in readings:
        codes.append(Code.CONTENT_LEFT.value)
    is_readable = Seen.that(MarkerReading.UNREADABLE not in readings) if readings else Seen.NOT_OBSERVED
    return ReadbackBody(
        medium=work.commitment,
        same_identity=same.value,
        is_readable=is_readable.value,
        markers=reads,
        layers=layer_steps.look(work),
        content=content,
        codes=",".join(dict.fromkeys(codes)),
    )


def _content(reading: Reading | None, codes: list[str], report: Report) -> ContentRead | None:
    if reading is None:
        return None
    try:
        facts = reading.facts(report)
    except (Refused, DeviceError) as error:
        codes.append(error.code.value)
        return None
    except OSError:
        codes.append(Code.DEVICE_UNANSWERED.value)
        return None
    return ContentRead(
        mode=facts.mode.value,
        seed=facts.seed,
        extents_planned=facts.extents_planned,
        extents_read=facts.extents_read,
        bytes_read=facts.bytes_read,
        bytes_mismatched=facts.bytes_mismatched,
        bytes_unreadable=facts.bytes_unreadable,
    )


def _same_identity(work: Work, codes: list[str]) -> Seen:
    try:
        same = Seen.that(work.drive.identity() == work.identity)
    except (Refused, DeviceError) as error:
        codes.append(error.code.value)
        return Seen.NOT_OBSERVED
    except OSError:
        codes.append(Code.DEVICE_UNANSWERED.value)
        return Seen.NOT_OBSERVED
    if same is Seen.NO:
        codes.append(Code.IDENTITY_CHANGED.value)
    return same


def _unmarked_reads(work: Work) -> set[MarkerReading]:
    """How the places read where nothing could be written: worth no claim, and some of it a doubt."""
    if not work.is_held:
        return set()
    content = overwritten.content_after(work.technique, work.aim)
    return {markers.read_unmarked(work.drive.blocks, place, content) for place in work.unmarked}


def _marker_reads(work: Work) -> tuple[MarkerRead, ...]:
    if not (work.is_held and work.is_marked):
        return ()
    content = overwritten.content_after(work.technique, work.aim)
    readings = [(marker, markers.read_after(work.drive.blocks, marker, content)) for marker in work.placed]
    return tuple(
        MarkerRead(
            nsid=marker.nsid,
            offset_bytes=marker.offset_bytes,
            reading=reading.reading.value,
            changed_65536ths=reading.changed_65536ths,
        )
        for marker, reading in readings
    )
