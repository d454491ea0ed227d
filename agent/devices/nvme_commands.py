"""NVMe admin commands as bytes: what is sent, and nothing about when.

Rules: a command is 64 bytes built from a table of positions; whatever is not named stays zero; nothing here
sends. Sanitize never allows an unrestricted exit and never asks to leave a failure (`sanitize`).

Section numbers are those of NVM Express Base 2.0; the text was not at hand, so they are from memory.
Positions are from erasure.md, 2.2 to 2.4, which were checked against libnvme's structures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

SQE_BYTES = 64
IDENTIFY_BYTES = 4096
SANITIZE_LOG_BYTES = 512
HEALTH_LOG_BYTES = 512
ALL_NAMESPACES = 0xFFFFFFFF


class Opcode(IntEnum):
    """Base 2.0, figure "Opcodes for Admin Commands"."""

    GET_LOG_PAGE = 0x02
    IDENTIFY = 0x06
    FORMAT_NVM = 0x80
    SANITIZE = 0x84


@dataclass(frozen=True, kw_only=True)
class Command:
    """One admin command. Base 2.0, 3.3.3.1: opcode byte 0, NSID bytes 7:4, CDW10 bytes 43:40, CDW11 47:44."""

    name: str
    opcode: Opcode
    nsid: int
    dword10: int
    dword11: int = 0
    #: How many bytes the device is to send.
    receive_bytes: int = 0

    @classmethod
    def of(cls, name: str, sqe: bytes) -> Self:
        """The command that these 64 bytes are, as prepared earlier. Raises ValueError if it is another."""
        opcode, nsid = struct.unpack_from("<B3xI", sqe)
        dword10, dword11 = struct.unpack_from("<2I", sqe, 40)
        command = cls(name=name, opcode=Opcode(opcode), nsid=nsid, dword10=dword10, dword11=dword11)
        if command.sqe != sqe:
            raise ValueError("a field is set that no command of ours sets")
        return command

    @property
    def sqe(self) -> bytes:
        """The submission queue entry: identifier and data pointers are the transport's and stay zero."""
        head = struct.pack("<B3xI", self.opcode, self.nsid)
        return head + bytes(32) + struct.pack("<6I", self.dword10, self.dword11, 0, 0, 0, 0)


def identify(name: str, *, cns: int, nsid: int = 0) -> Command:
    """Identify (06h). Base 2.0, 5.17: CDW10 7:0 is CNS; the answer has 4096 bytes."""
    return Command(name=name, opcode=Opcode.IDENTIFY, nsid=nsid, dword10=cns, receive_bytes=IDENTIFY_BYTES)


IDENTIFY_CONTROLLER: Final = identify("Identify Controller", cns=0x01)
#: Base 2.0, 5.16: CDW10 7:0 LID 81h, 15 RAE, 31:16 number of dwords - 1 (512 bytes = 007Fh).
GET_SANITIZE_LOG: Final = Command(
    name="Get Log Page 81h",
    opcode=Opcode.GET_LOG_PAGE,
    nsid=ALL_NAMESPACES,
    dword10=0x007F_0081,
    receive_bytes=SANITIZE_LOG_BYTES,
)
#: Base 2.0, 5.16.1.3: the counters of the whole subsystem, 512 bytes.
GET_HEALTH_LOG: Final = Command(
    name="Get Log Page 02h",
    opcode=Opcode.GET_LOG_PAGE,
    nsid=ALL_NAMESPACES,
    dword10=0x007F_0002,
    receive_bytes=HEALTH_LOG_BYTES,
)


class SanitizeAction(IntEnum):
    """SANACT, Base 2.0, 5.24, CDW10 2:0. Exit failure (1) and exit media verification (5) are never sent, so
    they have no member: the one needs AUSE, which stays 0, the other EMVS, which is not asked for.
    """

    BLOCK_ERASE = 2
    OVERWRITE = 3
    CRYPTO_ERASE = 4


#: OWPASS, CDW10 7:4: one pass is enough (SP 800-88r2; erasure.md, 2.11). 0 would mean 16.
ONE_PASS: Final = 1 << 4
NO_DEALLOCATE_AFTER_SANITIZE: Final = 1 << 9
ALLOW_UNRESTRICTED_EXIT: Final = 1 << 3


def sanitize(action: SanitizeAction, *, no_deallocate: bool, pattern: int = 0) -> Command:
    """Sanitize (84h), whole NVM subsystem. Base 2.0, 5.24; CDW10: SANACT 2:0, AUSE 3, OWPASS 7:4, OIPBP 8,
    NDAS 9; CDW11: the pattern of an overwrite, which takes one pass and is not inverted.

    AUSE stays 0: a drive whose sanitize failed then refuses all access until one succeeds, so a failed drive
    cannot be put back into service with its data readable. The price: it may be lost to us for good.
    """
    is_overwrite = action is SanitizeAction.OVERWRITE
    if is_overwrite != bool(pattern):
        raise ValueError("an overwrite has a pattern that is not zero, and nothing else has one")
    dword10 = int(action) | (ONE_PASS if is_overwrite else 0)
    return Command(
        name=f"Sanitize ({action.name.lower()})",
        opcode=Opcode.SANITIZE,
        nsid=0,
        dword10=dword10 | (NO_DEALLOCATE_AFTER_SANITIZE if no_deallocate else 0),
        dword11=pattern,
    )


class SecureErase(IntEnum):
    """SES, Base 2.0, 5.14, CDW10 11:9. 0 erases nothing by contract (fos#125) and has no member."""

    USER_DATA = 1
    CRYPTOGRAPHIC = 2


@dataclass(frozen=True, kw_only=True)
class NamespaceFormat:
    """How a namespace is formatted: what a Format must repeat to leave it as it is. Zeros would change it.

    `lba_format`: index of 6 bits; `has_extended_metadata`: MSET; `protection_type`: 0 to 3; `is_first`: the
    protection information lies in the first bytes of the metadata.
    """

    lba_format: int
    has_extended_metadata: bool
    protection_type: int
    is_first: bool


def format_nvm(erase: SecureErase, layout: NamespaceFormat, *, nsid: int) -> Command:
    """Format NVM (80h) of one namespace, or of all (FFFFFFFFh). Base 2.0, 5.14; CDW10: LBAF 3:0, MSET 4,
    PI 7:5, PIL 8, SES 11:9, upper bits of LBAF 13:12. It blocks until it is over.
    """
    dword10 = (
        layout.lba_format & 0xF
        | layout.has_extended_metadata << 4
        | layout.protection_type << 5
        | layout.is_first << 8
        | erase << 9
        | (layout.lba_format >> 4) << 12
    )
    name = f"Format NVM ({erase.name.lower()})"
    return Command(name=name, opcode=Opcode.FORMAT_NVM, nsid=nsid, dword10=dword10)
