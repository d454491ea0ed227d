"""Reading lines from a stream whose other end may be hostile.

Rules: a line ends with a line feed and has at most 1 MiB with it, so that an endless one costs no more; every
wait has a deadline, which bytes that drip in do not move; an end inside a line is no line. Time is the
process's monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from certificate.messages import MAX_LINE_BYTES
from controller.errors import Code, Unanswered

CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class Deadline:
    """An instant of the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def remaining_seconds(self) -> float:
        """Never negative."""
        return max(0.0, self.at - time.monotonic())


#: Up to CHUNK_BYTES, empty at the end of the stream. Raises TimeoutError when the deadline passes first.
Receive = Callable[[Deadline], bytes]


@dataclass
class LineReader:
    """Lines out of a stream, one at a time."""

    receive: Receive
    _pending: bytearray = field(default_factory=bytearray)

    def line(self, deadline: Deadline) -> bytes | None:
        """The next line without its line feed, or None at a clean end.

        Raises Unanswered: ANSWER_MISSING when the deadline passes, ANSWER_INVALID for an endless or a cut
        line.
        """
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            if searched >= MAX_LINE_BYTES:
                raise Unanswered(Code.ANSWER_INVALID, f"a line of more than {MAX_LINE_BYTES} bytes")
            data = self._receive(deadline)
            if not data and self._pending:
                raise Unanswered(
                    Code.ANSWER_INVALID, f"the connection ended inside a line of {searched} bytes"
                )
            if not data:
                return None
            self._pending += data
        if end >= MAX_LINE_BYTES:
            raise Unanswered(Code.ANSWER_INVALID, f"a line of more than {MAX_LINE_BYTES} bytes")
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line

    def refuse_more(self, deadline: Deadline) -> None:
        """Returns when the stream ends, or at the deadline; raises Unanswered(ANSWER_INVALID) if anything
        follows.
        """
        try:
            more = bytes(self._pending) or self.receive(deadline)
        except TimeoutError:
            return
        if more:
            raise Unanswered(Code.ANSWER_INVALID, "something follows the last line")

    def _receive(self, deadline: Deadline) -> bytes:
        try:
            return self.receive(deadline)
        except TimeoutError:
            raise Unanswered(Code.ANSWER_MISSING, "no complete line came in time") from None
