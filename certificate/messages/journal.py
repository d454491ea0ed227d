"""The journal on its way to the controller, and the acknowledgements on theirs to the agent."""

from __future__ import annotations

from dataclasses import dataclass

from certificate.messages.line import Line


@dataclass(frozen=True, kw_only=True)
class Follow(Line):
    """The journal of this token from `from_seq` on, as it grows, until it ends."""

    name = "follow"
    token: str
    from_seq: int


@dataclass(frozen=True, kw_only=True)
class JournalLine(Line):
    """One line of the journal: durable on the agent before it is sent.

    `previous` is the SHA-256 of the line before (64 zeros at first); `step` names what an acknowledgement
    allows; `at_ms` is CLOCK_BOOTTIME; `body` is the kind's own flat text-to-text table.
    """

    name = "journal"
    token: str
    seq: int
    kind: str
    step: str
    needs_ack: bool
    at_ms: int
    previous: str
    body: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class JournalEnd(Line):
    """Nothing follows: the execution ended after `lines` lines, or its process is gone (`is_complete` no)."""

    name = "journal_end"
    token: str
    lines: int
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class Ack(Line):
    """The controller has stored the journal line `seq`, and for an irreversible step: it may begin.

    Good for one token, step and boot; the agent counts 60 s of its monotonic clock from the line's own time.
    """

    name = "ack"
    token: str
    boot_id: str
    seq: int
    step: str


@dataclass(frozen=True, kw_only=True)
class AckAnswer(Line):
    name = "ack_answer"
    token: str
    seq: int
