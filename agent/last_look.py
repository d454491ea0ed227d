"""The last look at each medium: identity, markers, what an overwrite wrote, layers. It only reads.

Rules: every medium that has a drive is looked at, whatever became of it; what cannot be read is said so and
costs no other medium its look; content is read back only after a pass that reached every byte, because of any
other nothing could be claimed; all read-backs go on at once, since each waits for its own drive; markers that
were not surely written are not read, because they cannot be found unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from agent import layer_steps, markers, overwritten, readback
from agent.errors import Code, DeviceError
from agent.journal_bodies import ContentRead, MarkerRead, ReadbackBody
from agent.readback import ReadBackFacts
from agent.work import Work
from certificate import sampling
from certificate.errors import Refused
from certificate.statements import Seen
from certificate.statements.vocabulary import MarkerReading, OverwritePattern, ReadBackMode


def looks(
    works: Sequence[Work], *, mode: ReadBackMode, order_digest: str, nonce: bytes
) -> Iterator[tuple[Work, Callable[[], ReadbackBody]]]:
    """Each medium that has a drive, and the look at it. `nonce`: the markers'."""
    seen = [work for work in works if work.found.drive is not None]
    with ThreadPoolExecutor(max_workers=max(1, len(seen)), thread_name_prefix="look") as pool:
        contents: dict[str, Future[ReadBackFacts]] = {}
        for work in seen:
            pattern = overwritten.pattern_of(work.technique)
            if work.is_overwritten and work.is_held and pattern is not None:
                seed = sampling.seed(order_digest=order_digest, nonce=nonce, commitment=work.commitment)
                contents[work.commitment] = pool.submit(_compare, work, pattern, mode, seed)
        for work in seen:
            yield work, partial(_look, work, contents.get(work.commitment))


def _compare(work: Work, pattern: OverwritePattern, mode: ReadBackMode, seed: str) -> ReadBackFacts:
    return readback.read_back(
        work.drive.blocks, work.aim.layout, key=work.aim.key, pattern=pattern, mode=mode, seed=seed
    )


def _look(work: Work, content: Future[ReadBackFacts] | None) -> ReadbackBody:
    """What is seen of the medium now. Waits for its read-back, which ends by its own deadline."""
    codes: list[str] = []
    facts = _content(content, codes)
    same = _same_identity(work, codes)
    reads = _marker_reads(work)
    is_readable = Seen.NOT_OBSERVED
    if reads:
        is_readable = Seen.that(all(read.reading != MarkerReading.UNREADABLE.value for read in reads))
    return ReadbackBody(
        medium=work.commitment,
        same_identity=same.value,
        is_readable=is_readable.value,
        markers=reads,
        layers=layer_steps.look(work),
        content=facts,
        codes=",".join(dict.fromkeys(codes)),
    )


def _content(content: Future[ReadBackFacts] | None, codes: list[str]) -> ContentRead | None:
    if content is None:
        return None
    try:
        facts = content.result()
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
