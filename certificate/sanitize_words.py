"""The raw words of an NVMe sanitize, decoded again by whoever judges: what was sent, and what the drive said.

Evidence keeps the words as they went over the wire; nobody has to believe the agent's reading of them. A
word that is short or long is an error, never a smaller number.
Source: NVM Express Base 2.0: submission queue entry (figure "Common Command Format"), Sanitize (opcode 84h,
CDW10 and CDW11), log page 81h "Sanitize Status"; erasure.md, 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

SUBMISSION_BYTES = 64
COMPLETION_STATUS_BYTES = 2
#: Evidence keeps the first 64 bytes of log page 81h; all fields read here lie within.
STATUS_LOG_BYTES = 64
OPCODE_SANITIZE = 0x84


class SanitizeAction(IntEnum):
    """SANACT, CDW10 bits 2:0. Other values are other actions and erase nothing that is claimed here."""

    BLOCK_ERASE = 2
    OVERWRITE = 3
    CRYPTO_ERASE = 4


class SanitizeState(IntEnum):
    """SSTAT, bits 2:0 of bytes 3:2."""

    NEVER_STARTED = 0
    SUCCEEDED = 1
    IN_PROGRESS = 2
    FAILED = 3
    SUCCEEDED_WITH_DEALLOCATION = 4


class Unreadable(ValueError):
    """The words are not of the length or form the standard gives them, or nobody saw them."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A 64-byte submission queue entry, as far as a sanitize uses it."""

    opcode: int
    dword10: int
    dword11: int

    @property
    def action(self) -> int:
        return self.dword10 & 0b111

    @property
    def overwrite_passes(self) -> int:
        """OWPASS, CDW10 bits 7:4; 0 means 16."""
        return self.dword10 >> 4 & 0b1111 or 16

    @property
    def is_inverted_between_passes(self) -> bool:
        """OIPBP, CDW10 bit 8: the last pass may leave the complement of the pattern."""
        return bool(self.dword10 >> 8 & 1)

    @property
    def overwrite_pattern(self) -> int:
        """OVRPAT: all of CDW11."""
        return self.dword11

    @classmethod
    def parse(cls, raw_hex: str) -> Self:
        """Raises Unreadable unless `raw_hex` is 64 bytes."""
        raw = exactly(raw_hex, SUBMISSION_BYTES)
        return cls(
            opcode=raw[0],
            dword10=int.from_bytes(raw[40:44], "little"),
            dword11=int.from_bytes(raw[44:48], "little"),
        )


@dataclass(frozen=True, kw_only=True)
class SanitizeStatus:
    """Log page 81h: how the most recent sanitize of this NVM subsystem stands."""

    state: int
    #: Of an overwrite that ended; 0 for everything else.
    overwrite_passes_done: int
    is_global_data_erased: bool
    #: CDW10 of the sanitize command that the state belongs to.
    dword10: int

    @property
    def has_succeeded(self) -> bool:
        return self.state in (SanitizeState.SUCCEEDED, SanitizeState.SUCCEEDED_WITH_DEALLOCATION)

    @classmethod
    def parse(cls, raw_hex: str) -> Self:
        """Raises Unreadable unless `raw_hex` is 64 bytes."""
        raw = exactly(raw_hex, STATUS_LOG_BYTES)
        status = int.from_bytes(raw[2:4], "little")  # SSTAT
        return cls(
            state=status & 0b111,
            overwrite_passes_done=status >> 3 & 0b11111,
            is_global_data_erased=bool(status >> 8 & 1),  # GDE
            dword10=int.from_bytes(raw[4:8], "little"),  # SCDW10
        )


def completion_status(raw_hex: str) -> int:
    """The status field of a completion, phase bit removed; 0 is success. Raises Unreadable unless 2 bytes."""
    return int.from_bytes(exactly(raw_hex, COMPLETION_STATUS_BYTES), "big")


def exactly(raw_hex: str, length_bytes: int) -> bytes:
    """The bytes, `length_bytes` of them. Raises Unreadable for anything else."""
    try:
        raw = bytes.fromhex(raw_hex)
    except ValueError:
        raise Unreadable(f"{raw_hex[:20]!r} is not hexadecimal") from None
    if len(raw) != length_bytes:
        raise Unreadable(f"{len(raw)} bytes where the standard has {length_bytes}")
    return raw
