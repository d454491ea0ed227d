"""The raw words of an NVMe Format, decoded again by whoever judges: what was sent, and what it had to keep.

Evidence keeps the words as they went over the wire; nobody has to believe the agent's reading of them. A
Format has no status log: its completion (`sanitize_words.completion_status`) is all the drive says.
Source: NVM Express Base 2.0, Format NVM (opcode 80h, CDW10); NVM Command Set 1.0, figure "Identify
Namespace" (FLBAS byte 26, DPS byte 29); both from memory; erasure.md, 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from certificate.sanitize_words import SUBMISSION_BYTES, exactly

OPCODE_FORMAT = 0x80
#: As NSID of a Format: every namespace that is attached to the controller.
ALL_NAMESPACES = 0xFFFFFFFF


class SecureErase(IntEnum):
    """SES, CDW10 bits 11:9. 0 erases nothing by contract (fos#125), other values are reserved."""

    USER_DATA = 1
    CRYPTOGRAPHIC = 2


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a namespace is formatted: what a Format has to repeat, or it changes it silently."""

    #: Index of the LBA format, 6 bits.
    lba_format: int
    #: Metadata lies in line with the data.
    is_extended: bool
    protection_type: int
    #: Protection information lies in the first bytes of the metadata.
    is_protection_first: bool

    @classmethod
    def of_namespace(cls, *, flbas: int, dps: int) -> Self:
        """From FLBAS (format 3:0 and 6:5, metadata in line 4) and DPS (type 2:0, first bytes 3)."""
        return cls(
            lba_format=flbas & 0b1111 | (flbas >> 5 & 0b11) << 4,
            is_extended=bool(flbas >> 4 & 1),
            protection_type=dps & 0b111,
            is_protection_first=bool(dps >> 3 & 1),
        )


@dataclass(frozen=True, kw_only=True)
class FormatSubmission:
    """A 64-byte submission queue entry, as far as a Format uses it."""

    opcode: int
    nsid: int
    dword10: int

    @property
    def secure_erase(self) -> int:
        return self.dword10 >> 9 & 0b111

    @property
    def layout(self) -> Layout:
        """LBAF 3:0 and 13:12, MSET 4, PI 7:5, PIL 8."""
        word = self.dword10
        return Layout(
            lba_format=word & 0b1111 | (word >> 12 & 0b11) << 4,
            is_extended=bool(word >> 4 & 1),
            protection_type=word >> 5 & 0b111,
            is_protection_first=bool(word >> 8 & 1),
        )

    @property
    def has_reserved_bits(self) -> bool:
        """Bits 31:14 have no meaning here, so nobody can say what a drive makes of them."""
        return bool(self.dword10 >> 14)

    @classmethod
    def parse(cls, raw_hex: str) -> Self:
        """Raises Unreadable unless `raw_hex` is 64 bytes."""
        raw = exactly(raw_hex, SUBMISSION_BYTES)
        return cls(
            opcode=raw[0],
            nsid=int.from_bytes(raw[4:8], "little"),
            dword10=int.from_bytes(raw[40:44], "little"),
        )
