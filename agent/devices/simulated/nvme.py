"""A simulated NVMe controller: 64-byte admin commands in, status and bytes out.

Answers Identify (CNS 00h, 01h, 02h, 10h, 11h), Get Log Page (02h, 81h), Format NVM and Sanitize as a
controller of NVM Express Base 2.0 would, and everything else with Invalid Command Opcode. It shares neither
code nor constants with the driver: each is checked on its own against the same byte fixtures. Sections are
cited from memory; positions follow erasure.md, 2.2 to 2.4.

Not simulated: queues, interrupts, data pointers, I/O commands (blocks are read and written directly),
namespace management commands although OACS may announce them, Format to another block size.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from agent.devices.simulated.core import BLOCK, CRYPTO, DriveCore, Verdict, open_media
from agent.devices.simulated.faults import Fault, read_faults
from agent.devices.simulated.media import Media, Namespace, Random, Sanitize, State

#: Status codes (Base 2.0, 3.3.3.2.1, figures of generic and command specific values): type 10:8, code 7:0.
SUCCESS: Final = 0x000
INVALID_OPCODE: Final = 0x001
INVALID_FIELD: Final = 0x002
INTERNAL_ERROR: Final = 0x006
INVALID_NAMESPACE: Final = 0x00B
SANITIZE_FAILED: Final = 0x01C
SANITIZE_IN_PROGRESS: Final = 0x01D
WRITE_PROTECTED: Final = 0x020
INVALID_LOG_PAGE: Final = 0x109
INVALID_FORMAT: Final = 0x10A
#: "Do not retry": set where the same command would fail the same way.
DO_NOT_RETRY: Final = 0x4000

STATUS_OF: Final = {
    Verdict.DONE: SUCCESS,
    Verdict.INVALID_FIELD: INVALID_FIELD | DO_NOT_RETRY,
    Verdict.INTERNAL_ERROR: INTERNAL_ERROR,
    Verdict.SANITIZE_RUNNING: SANITIZE_IN_PROGRESS,
    Verdict.SANITIZE_FAILED: SANITIZE_FAILED,
    Verdict.WRITE_PROTECTED: WRITE_PROTECTED,
}
#: SSTAT 2:0.
SANITIZE_STATUS: Final = {"never": 0, "success": 1, "running": 2, "failed": 3, "success_deallocated": 4}
#: PCI-SIG gives FFFFh to nobody: no vendor's name is borrowed.
NO_VENDOR: Final = 0xFFFF
EVERY_NAMESPACE: Final = 0xFFFFFFFF
PAGE: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A completion: status field without the phase bit, dword 0, and what was transferred."""

    status: int
    result: int = 0
    data: bytes = b""


class SimulatedNvme(DriveCore):
    """One NVMe drive in a folder; any number of processes may open it."""

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        serial: str,
        model: str,
        firmware: str,
        capacity_bytes: int,
        random: Random,
        faults: Iterable[Fault | str] = (),
        block_bytes: int = 4096,
        namespaces: tuple[Namespace, ...] = (),
        unallocated_bytes: int = 0,
        has_crypto_erase: bool = True,
        has_block_erase: bool = True,
        inhibits_no_deallocate: bool = False,
        deallocates: bool = True,
        sanitize_polls: int = 2,
    ) -> Self:
        """A new drive with one namespace over `capacity_bytes`, or the `namespaces` given instead."""
        blocks, remainder = divmod(capacity_bytes, block_bytes)
        if block_bytes not in (512, 4096) or remainder or (blocks < 1 and not namespaces):
            raise ValueError("a drive has whole blocks of 512 or 4096 bytes")
        state = State(
            serial=serial,
            model=model,
            firmware=firmware,
            block_bytes=block_bytes,
            namespaces=namespaces or (Namespace(nsid=1, blocks=blocks),),
            unallocated_bytes=unallocated_bytes,
            has_crypto_erase=has_crypto_erase,
            has_block_erase=has_block_erase,
            inhibits_no_deallocate=inhibits_no_deallocate,
            deallocates=deallocates,
            sanitize_polls=sanitize_polls,
            sanitize=Sanitize(),
            sanitizes_begun=0,
            is_global_data_erased=True,
            power_cycles=0,
            faults=read_faults(faults),
        )
        return cls(Media.create(folder, state, random=random))

    @classmethod
    def open(cls, folder: Path, *, random: Random = os.urandom) -> Self:
        """Raises Malformed(IMAGE_INVALID) when the folder holds no simulated drive."""
        return cls(open_media(folder, random=random))

    def submit(self, sqe: bytes, data: bytes | int) -> Answer:
        """Carries out one admin command. `data`: bytes sent with it, or how many the host has room for."""
        if len(sqe) != 64:
            raise ValueError("a submission queue entry has 64 bytes")
        room = data if isinstance(data, int) else 0
        nsid = int.from_bytes(sqe[4:8], "little")
        dword10 = int.from_bytes(sqe[40:44], "little")
        match sqe[0]:
            case 0x02:
                return self._get_log_page(dword10, room)
            case 0x06:
                return self._identify(dword10, nsid, room)
            case 0x80:
                return self._format(dword10, nsid)
            case 0x84:
                return self._sanitize(dword10)
            case _:
                return Answer(status=INVALID_OPCODE | DO_NOT_RETRY)

    # --- reading: allowed while a sanitize runs and after it failed (Base 2.0, 8.21) ------------------------

    def _identify(self, dword10: int, nsid: int, room: int) -> Answer:
        state = self.state()
        match dword10 & 0xFF:
            case 0x00:
                if nsid == 0 or nsid > max(each.nsid for each in state.namespaces):
                    return Answer(status=INVALID_NAMESPACE | DO_NOT_RETRY)
                page = _namespace_page(state, nsid, is_attached_only=True)
            case 0x01:
                page = _controller_page(state)
            case 0x02:
                page = _id_list(
                    each.nsid for each in state.namespaces if each.is_attached and each.nsid > nsid
                )
            case 0x10 if _manages_namespaces(state):
                page = _id_list(each.nsid for each in state.namespaces if each.nsid > nsid)
            case 0x11 if _manages_namespaces(state):
                page = _namespace_page(state, nsid, is_attached_only=False)
            case _:
                return Answer(status=INVALID_FIELD | DO_NOT_RETRY)
        return Answer(status=SUCCESS, data=page[:room])

    def _get_log_page(self, dword10: int, room: int) -> Answer:
        match dword10 & 0xFF:
            case 0x02:
                page = _health_page(self.state())
            case 0x81:
                page = _sanitize_page(self.poll())
            case _:
                return Answer(status=INVALID_LOG_PAGE | DO_NOT_RETRY)
        length = ((dword10 >> 16) + 1) * 4
        return Answer(status=SUCCESS, data=page[: min(length, room)])

    # --- erasing --------------------------------------------------------------------------------------------

    def _sanitize(self, dword10: int) -> Answer:
        """Base 2.0, 5.24. SANACT 001b exit failure, 010b block, 011b overwrite, 100b crypto."""
        match dword10 & 0b111:
            case 0b001:
                return Answer(status=STATUS_OF[self.exit_failure()])
            case 0b010:
                action = BLOCK
            case 0b100:
                action = CRYPTO
            case _:
                return Answer(status=INVALID_FIELD | DO_NOT_RETRY)
        verdict = self.start_sanitize(
            action,
            command_dword=dword10,
            is_no_deallocate=bool(dword10 >> 9 & 1),
            may_exit_failure=bool(dword10 >> 3 & 1),
        )
        return Answer(status=STATUS_OF[verdict])

    def _format(self, dword10: int, nsid: int) -> Answer:
        """Base 2.0, 5.14. LBAF 3:0 and 13:12, MSET 4, PI 7:5, PIL 8, SES 11:9."""
        state = self.state()
        known = [each.nsid for each in state.namespaces]
        if nsid not in (*known, EVERY_NAMESPACE):
            return Answer(status=INVALID_NAMESPACE | DO_NOT_RETRY)
        if dword10 & 0b11_000_1_111_1_1111:
            return Answer(status=INVALID_FORMAT | DO_NOT_RETRY)
        nsids = known if nsid == EVERY_NAMESPACE else [nsid]
        match dword10 >> 9 & 0b111:
            case 0:
                return Answer(status=STATUS_OF[self.format(nsids, None)])
            case 1 if state.has_block_erase:
                return Answer(status=STATUS_OF[self.format(nsids, BLOCK)])
            case 2 if state.has_crypto_erase:
                return Answer(status=STATUS_OF[self.format(nsids, CRYPTO)])
            case _:
                return Answer(status=INVALID_FIELD | DO_NOT_RETRY)


def _manages_namespaces(state: State) -> bool:
    return len(state.namespaces) > 1 or state.unallocated_bytes > 0


def _controller_page(state: State) -> bytes:
    """Base 2.0, 5.17.2.1, figure "Identify Controller Data Structure"."""
    page = bytearray(PAGE)
    capacity = state.blocks * state.block_bytes + state.unallocated_bytes
    _put(page, 0, 2, NO_VENDOR)
    page[4:24] = state.serial.encode("ascii").ljust(20)[:20]
    page[24:64] = state.model.encode("ascii").ljust(40)[:40]
    page[64:72] = state.firmware.encode("ascii").ljust(8)[:8]
    _put(page, 78, 2, 1)  # controller identifier
    _put(page, 80, 4, 0x0002_0000)  # version 2.0.0
    _put(page, 256, 2, 0b0010 | (0b1000 if _manages_namespaces(state) else 0))
    _put(page, 280, 16, capacity)
    _put(page, 296, 16, state.unallocated_bytes)
    _put(page, 328, 4, _sanitize_capabilities(state))
    page[512], page[513] = 0x66, 0x44  # entries of 64 and 16 bytes
    _put(page, 516, 4, max(each.nsid for each in state.namespaces))
    page[524] = 0b010 | (0b100 if state.has_crypto_erase else 0)  # a secure erase reaches every namespace
    name = f"nqn.2026-01.example.simulated:{state.serial}".encode()
    page[768 : 768 + len(name)] = name
    return bytes(page)


def _sanitize_capabilities(state: State) -> int:
    """Crypto bit 0, block bit 1, NDI bit 29; NODMMAS 31:30 = 01b, media are not modified after a sanitize."""
    return (
        (1 << 0 if state.has_crypto_erase else 0)
        | (1 << 1 if state.has_block_erase else 0)
        | (1 << 29 if state.inhibits_no_deallocate else 0)
        | 0b01 << 30
    )


def _namespace_page(state: State, nsid: int, *, is_attached_only: bool) -> bytes:
    """NVM Command Set 1.0, 4.1.5.1, figure "Identify Namespace Data Structure"; zero where there is none."""
    page = bytearray(PAGE)
    for namespace in state.namespaces:
        if namespace.nsid == nsid and (namespace.is_attached or not is_attached_only):
            for offset in (0, 8, 16):  # size, capacity, utilization
                _put(page, offset, 8, namespace.blocks)
            page[99] = 1 if namespace.is_write_protected else 0
            page[130] = state.block_bytes.bit_length() - 1  # format 0: power of two
    return bytes(page)


def _id_list(nsids: Iterable[int]) -> bytes:
    page = b"".join(nsid.to_bytes(4, "little") for nsid in sorted(nsids)[:1024])
    return page.ljust(PAGE, b"\x00")


def _health_page(state: State) -> bytes:
    """Base 2.0, 5.16.1.3, figure "SMART / Health Information Log Page". Only power cycles are counted."""
    page = bytearray(512)
    _put(page, 112, 16, state.power_cycles)
    return bytes(page)


def _sanitize_page(state: State) -> bytes:
    """Base 2.0, 5.16.1.25, figure "Sanitize Status Log Page". Estimates: 1 s for crypto, 2 s for block."""
    page = bytearray(512)
    sanitize = state.sanitize
    is_running = sanitize.status == "running"
    progress = sanitize.polls_done * 65536 // (state.sanitize_polls + 1) if is_running else 0xFFFF
    erased = 1 << 8 if state.is_global_data_erased and not is_running else 0
    _put(page, 0, 2, min(progress, 0xFFFF))
    _put(page, 2, 2, SANITIZE_STATUS[sanitize.status] | erased)
    _put(page, 4, 4, sanitize.command_dword)
    for offset, seconds in ((8, 0xFFFFFFFF), (12, 2), (16, 1), (20, 0xFFFFFFFF), (24, 2), (28, 1)):
        _put(page, offset, 4, seconds)
    return bytes(page)


def _put(page: bytearray, offset: int, width: int, value: int) -> None:
    page[offset : offset + width] = value.to_bytes(width, "little")
