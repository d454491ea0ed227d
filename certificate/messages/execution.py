"""Obey this order, and how far is it: the lines that carry an order and ask about its token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from certificate.messages.line import Line


@dataclass(frozen=True, kw_only=True)
class SaltedMedium(Line):
    """The salt of a commitment that the order names. Both hexadecimal."""

    name = "salted_medium"
    commitment: str
    salt: str


@dataclass(frozen=True, kw_only=True)
class DeliveryLine(Line):
    """The files of a delivery as text (`certificate.delivery`). Proof hashes in hexadecimal, leaf to root."""

    name = "delivery"
    order: str
    log_entry: str
    proof: tuple[str, ...]
    checkpoint: str
    validation: str
    approvals: tuple[str, ...]
    enrolments: tuple[str, ...]
    decisions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Execute(Line):
    """Obey this order. Salts travel beside it and are never logged."""

    name = "execute"
    delivery: DeliveryLine
    host_salt: str
    media_salts: tuple[SaltedMedium, ...]


@dataclass(frozen=True, kw_only=True)
class Accepted(Line):
    """The order is obeyed; its journal begins."""

    name = "accepted"
    token: str


@dataclass(frozen=True, kw_only=True)
class AskStatus(Line):
    """How far is this token? With `finalise`, an order that was not begun is refused for ever (signed
    absence).
    """

    name = "status"
    token: str
    finalise: bool


class TokenState(StrEnum):
    DONE = "done"
    RUNNING = "running"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class StatusAnswer(Line):
    """`absence` is a signed envelope where the answer is a final `absent`, else None."""

    name = "status_answer"
    token: str
    boot_id: str
    state: str
    journal_lines: int
    absence: str | None
