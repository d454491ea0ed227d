"""The journal of one execution: what was done, durable before anybody is told.

Rules: append-only; each line names the SHA-256 of the one before; a line is synced before `append` returns
and again before it is sent; a torn last line (no line feed: the writer was killed) was never sent and is
dropped when the file is opened again; a line that does not follow its predecessor makes the whole journal
refuse. What a line *allows* is not decided here (`permit`).

Kinds, in the order of a run: accepted; for each medium released, opened; for each of its layers layer_start
(needs_ack), layer_ended; markers_committed (needs_ack), marked; for each command start (needs_ack), sent,
progress, ended; readback; then evidence, finished. `unmarked` says why a commitment to no marker follows,
`not_begun` and `failed` why a step of a medium stopped; `attached` stands where a second process took over to
observe.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

from agent import durable
from agent.errors import Code
from certificate import messages
from certificate.errors import Refused
from certificate.messages import JournalLine

FIRST_PREVIOUS = "0" * 64


class Kind(StrEnum):
    ACCEPTED = "accepted"
    RELEASED = "released"
    OPENED = "opened"
    LAYER_START = "layer_start"
    LAYER_ENDED = "layer_ended"
    MARKERS_COMMITTED = "markers_committed"
    UNMARKED = "unmarked"
    MARKED = "marked"
    START = "start"
    SENT = "sent"
    PROGRESS = "progress"
    ENDED = "ended"
    READBACK = "readback"
    NOT_BEGUN = "not_begun"
    FAILED = "failed"
    ATTACHED = "attached"
    EVIDENCE = "evidence"
    FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The whole lines of one journal, in order, their chain checked."""

    lines: tuple[JournalLine, ...]
    #: SHA-256 of the last line, or 64 zeros.
    head: str
    #: Bytes of the file that are whole lines; what follows them is torn.
    whole_bytes: int

    @property
    def has_evidence(self) -> bool:
        """Evidence in the journal is the end of an execution; `finished` only says so once more."""
        return any(line.kind == Kind.EVIDENCE for line in self.lines)

    def last(self, kind: Kind, step: str) -> JournalLine | None:
        """The newest line of this kind and step."""
        return next((line for line in reversed(self.lines) if (line.kind, line.step) == (kind, step)), None)


def read(path: Path) -> Journal:
    """The journal in `path`, empty where there is none. Raises Refused(JOURNAL_BROKEN)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Journal(lines=(), head=FIRST_PREVIOUS, whole_bytes=0)
    with os.fdopen(descriptor, "rb") as file:
        # A reader may meet a line that its writer has not synced yet; nothing unsynced leaves this machine.
        os.fsync(file.fileno())
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    lines: list[JournalLine] = []
    head = FIRST_PREVIOUS
    for seq, raw in enumerate(whole.splitlines(keepends=True)):
        line = _line(raw, seq)
        if line.previous != head or line.seq != seq:
            raise Refused(Code.JOURNAL_BROKEN, f"line {seq} does not follow the one before")
        lines.append(line)
        head = hashlib.sha256(raw).hexdigest()
    return Journal(lines=tuple(lines), head=head, whole_bytes=len(whole))


def _line(raw: bytes, seq: int) -> JournalLine:
    try:
        line = messages.read_answer(raw)
    except Refused as refusal:
        raise Refused(Code.JOURNAL_BROKEN, f"line {seq}: {refusal.reason}") from None
    if not isinstance(line, JournalLine):
        raise Refused(Code.JOURNAL_BROKEN, f"line {seq} is a {line.name}")
    return line


class JournalWriter:
    """Appends to one journal. One writer at a time: whoever holds the execution lock.

    `after_append` is called when a line is durable; nothing else happens between the two.
    """

    def __init__(
        self,
        path: Path,
        *,
        token: str,
        clock: Callable[[], int],
        after_append: Callable[[JournalLine], None] | None = None,
    ) -> None:
        """Opens the file and drops a torn end. `clock`: CLOCK_BOOTTIME in milliseconds.

        Raises Refused(JOURNAL_BROKEN).
        """
        found = read(path)
        self._path = path
        self._token = token
        self._clock = clock
        self._after_append = after_append
        self.lines = list(found.lines)
        self.head = found.head
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, durable.OWNER_ONLY)
        os.ftruncate(descriptor, found.whole_bytes)
        os.fsync(descriptor)
        durable.sync_folder(path.parent)
        self._file = os.fdopen(descriptor, "ab", buffering=0)

    def append(self, kind: Kind, *, step: str, body: dict[str, str], needs_ack: bool = False) -> JournalLine:
        """The next line, durable. Raises Malformed(LIMIT_EXCEEDED) for more than a session line holds."""
        line = JournalLine(
            token=self._token,
            seq=len(self.lines),
            kind=kind.value,
            step=step,
            needs_ack=needs_ack,
            at_ms=self._clock(),
            previous=self.head,
            body=body,
        )
        raw = line.write()
        self._write(raw)
        self.lines.append(line)
        self.head = hashlib.sha256(raw).hexdigest()
        if self._after_append is not None:
            self._after_append(line)
        return line

    def _write(self, raw: bytes) -> None:
        rest = memoryview(raw)
        while rest:
            rest = rest[cast(int, self._file.write(rest)) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
