"""Carrying lines to a host's agent and back.

The promise of every driver: a `Route` is one way to one host. `meet` connects to a host whose key nobody
knows yet, and what it returns can say `hello` and nothing else: there is no method to send anything more.
`open` connects only to the host whose key is pinned. One verb travels in one channel; a connection carries
several at a time (an acknowledgement while a journal is followed).

What goes wrong has three names. `Unreachable`: nothing was sent. `AgentRefused`: the agent said no, nothing
was done. `Unanswered`: something was sent and no valid answer came, so what happened is unknown, and nothing
is sent again before the agent was asked for its status. A driver never repeats a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from certificate.messages import Follow, Hello, HelloAnswer, JournalEnd, JournalLine, Line


class Closing(Protocol):
    """A connection: it presents a host key, and it ends."""

    @property
    def host_key_blob(self) -> bytes:
        """The key that this connection's host proved to hold, in SSH's wire format (51 bytes)."""
        ...

    def close(self) -> None:
        """Ends the connection and whatever runs over it. May be repeated; never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class Introduction(Closing, Protocol):
    """A connection to a host that nobody knows yet. Its answer is believed only after `boot.proof`."""

    def hello(self, line: Hello) -> HelloAnswer:
        """Raises AgentRefused or Unanswered."""
        ...


class Channel(Closing, Protocol):
    """A connection to the host whose key is pinned."""

    def ask(self, line: Line) -> Line:
        """The one answer to a request. Raises AgentRefused, Unanswered, or Unreachable (not sent)."""
        ...

    def follow(self, line: Follow) -> Iterator[JournalLine | JournalEnd]:
        """The lines of a journal as they come; the last one is a JournalEnd.

        Nothing is sent before the first line is asked for. Raises as `ask`; after Unanswered the caller may
        follow again from the line it misses. Closing the iterator ends the channel.
        """
        ...


class Route(Protocol):
    """One way to one host."""

    def meet(self) -> Introduction:
        """A connection for hello only, whatever key the host has. Raises Unreachable or Refused."""
        ...

    def open(self, *, host_key_blob: bytes) -> Channel:
        """A connection to the host that holds this key. Raises Unreachable; Refused(HOST_KEY_CHANGED)."""
        ...


__all__ = ["Channel", "Closing", "Introduction", "Route"]
