"""A simulated NVMe controller: 64-byte admin commands in, status and bytes out.

Answers Identify (CNS 00h, 01h, 02h, 10h, 11h), Get Log Page (02h, 81h), Format NVM and Sanitize as a
controller of NVM Express Base 2.0 would, and everything else with Invalid Command Opcode. It shares neither
code nor constants with the driver: each is checked on its own against the same byte fixtures. Sections are
cited from memory; positions follow erasure.md, 2.2 to 2.4. The pages are `nvme_pages`.

Not simulated: queues, interrupts, data pointers, I/O commands (blocks are read and written directly, without
their metadata), namespace management commands although OACS may announce them, Format to another block size,
media verification.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from agent.devices.simulated import nvme_pages as pages
from agent.devices.simulated.core import Verdict, open_media
from agent.devices.simulated.erasing import BLOCK, CRYPTO, OVERWRITE, ErasingCore, Layout
from agent.devices.simulated.faults import Fault, read_faults
from agent.devices.simulated.media import Media, Random
from agent.devices.simulated.state import NVME, Namespace, Sanitize, State
from agent.errors import Code
from certificate.errors import Malformed

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
    Verdict.INVALID_FORMAT: INVALID_FORMAT | DO_NOT_RETRY,
    Verdict.INVALID_NAMESPACE: INVALID_NAMESPACE | DO_NOT_RETRY,
    Verdict.INTERNAL_ERROR: INTERNAL_ERROR,
    Verdict.SANITIZE_RUNNING: SANITIZE_IN_PROGRESS,
    Verdict.SANITIZE_FAILED: SANITIZE_FAILED,
    Verdict.WRITE_PROTECTED: WRITE_PROTECTED,
}
EVERY_NAMESPACE: Final = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A completion: status field without the phase bit, dword 0, and what was transferred."""

    status: int
    result: int = 0
    data: bytes = b""


class SimulatedNvme(ErasingCore):
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
        attachment: str = "internal",
        block_bytes: int = 4096,
        namespaces: tuple[Namespace, ...] = (),
        unallocated_bytes: int = 0,
        has_crypto_erase: bool = True,
        has_block_erase: bool = True,
        has_overwrite: bool = False,
        has_format: bool = True,
        format_attributes: int | None = None,
        inhibits_no_deallocate: bool = False,
        deallocates: bool = True,
        sanitize_polls: int = 2,
    ) -> Self:
        """A new drive with one namespace over `capacity_bytes`, or the `namespaces` given instead.

        `format_attributes`: FNA; without it a secure erase reaches every namespace, and there is a
        cryptographic one where there is a cryptographic sanitize.
        """
        blocks, remainder = divmod(capacity_bytes, block_bytes)
        if block_bytes not in (512, 4096) or remainder or (blocks < 1 and not namespaces):
            raise ValueError("a drive has whole blocks of 512 or 4096 bytes")
        usual = pages.FNA_ERASES_ALL | (pages.FNA_CRYPTO if has_crypto_erase else 0)
        plain = pages.plain_format(block_bytes)
        state = State(
            kind=NVME,
            serial=serial,
            model=model,
            firmware=firmware,
            attachment=attachment,
            block_bytes=block_bytes,
            namespaces=tuple(
                each if each.lba_format is not None else replace(each, lba_format=plain)
                for each in namespaces or (Namespace(nsid=1, blocks=blocks),)
            ),
            unallocated_bytes=unallocated_bytes,
            has_crypto_erase=has_crypto_erase,
            has_block_erase=has_block_erase,
            has_overwrite=has_overwrite,
            has_format=has_format,
            format_attributes=usual if format_attributes is None else format_attributes,
            inhibits_no_deallocate=inhibits_no_deallocate,
            deallocates=deallocates,
            sanitize_polls=sanitize_polls,
            sanitize=Sanitize(),
            sanitizes_begun=0,
            formats_begun=0,
            is_global_data_erased=True,
            blocks_written=0,
            is_powered=True,
            power_cycles=0,
            power_losses=0,
            faults=frozenset(),
        )
        return cls(Media.create(folder, state.misbehaving(read_faults(faults)), random=random))

    @classmethod
    def open(cls, folder: Path, *, random: Random = os.urandom) -> Self:
        """Raises Malformed(IMAGE_INVALID) when the folder holds no simulated NVMe drive."""
        opened = cls(open_media(folder, random=random))
        if (kind := opened.state().kind) != NVME:
            raise Malformed(Code.IMAGE_INVALID, f"{folder.name} holds a {kind} drive")
        return opened

    def submit(self, sqe: bytes, data: bytes | int) -> Answer:
        """Carries out one admin command. `data`: bytes sent with it, or how many the host has room for.

        Raises Unanswered when no answer comes.
        """
        if len(sqe) != 64:
            raise ValueError("a submission queue entry has 64 bytes")
        room = data if isinstance(data, int) else 0
        nsid = int.from_bytes(sqe[4:8], "little")
        dword10 = int.from_bytes(sqe[40:44], "little")
        with self._media.locked():
            state = self._answering()
        if Fault.DEAD in state.faults and sqe[0] != 0x06:
            return Answer(status=INTERNAL_ERROR)
        match sqe[0]:
            case 0x02:
                return self._get_log_page(dword10, room)
            case 0x06:
                return self._identify(state, dword10, nsid, room)
            case 0x80 if state.has_format or Fault.CAPABILITY_WRONG in state.faults:
                return self._format(state, dword10, nsid)
            case 0x84:
                return self._sanitize(dword10, pattern=int.from_bytes(sqe[44:48], "little"))
            case _:
                return Answer(status=INVALID_OPCODE | DO_NOT_RETRY)

    # --- reading: allowed while a sanitize runs and after it failed (Base 2.0, 8.21) ------------------------

    def _identify(self, state: State, dword10: int, nsid: int, room: int) -> Answer:
        match dword10 & 0xFF:
            case 0x00:
                if nsid == 0 or nsid > max(each.nsid for each in state.namespaces):
                    return Answer(status=INVALID_NAMESPACE | DO_NOT_RETRY)
                page = pages.namespace_page(state, nsid, is_attached_only=True)
            case 0x01:
                page = pages.controller_page(state)
            case 0x02:
                page = pages.id_list(
                    each.nsid for each in state.namespaces if each.is_attached and each.nsid > nsid
                )
            case 0x10 if pages.manages_namespaces(state):
                page = pages.id_list(each.nsid for each in state.namespaces if each.nsid > nsid)
            case 0x11 if pages.manages_namespaces(state):
                page = pages.namespace_page(state, nsid, is_attached_only=False)
            case _:
                return Answer(status=INVALID_FIELD | DO_NOT_RETRY)
        return Answer(status=SUCCESS, data=page[:room])

    def _get_log_page(self, dword10: int, room: int) -> Answer:
        match dword10 & 0xFF:
            case 0x02:
                page = pages.health_page(self.state())
            case 0x81:
                page = pages.sanitize_page(self.poll())
            case _:
                return Answer(status=INVALID_LOG_PAGE | DO_NOT_RETRY)
        length = ((dword10 >> 16) + 1) * 4
        return Answer(status=SUCCESS, data=page[: min(length, room)])

    # --- erasing --------------------------------------------------------------------------------------------

    def _sanitize(self, dword10: int, *, pattern: int) -> Answer:
        """Base 2.0, 5.24. SANACT 001b exit failure, 010b block, 011b overwrite, 100b crypto; OWPASS 7:4 (0 is
        16), OIPBP 8.
        """
        match dword10 & 0b111:
            case 0b001:
                return Answer(status=STATUS_OF[self.exit_failure()])
            case 0b010:
                action = BLOCK
            case 0b011:
                action = OVERWRITE
            case 0b100:
                action = CRYPTO
            case _:
                return Answer(status=INVALID_FIELD | DO_NOT_RETRY)
        is_overwrite = action == OVERWRITE
        verdict = self.start_sanitize(
            action,
            command_dword=dword10,
            is_no_deallocate=bool(dword10 >> 9 & 1),
            may_exit_failure=bool(dword10 >> 3 & 1),
            pattern=pattern if is_overwrite else 0,
            passes=(dword10 >> 4 & 0xF or 16) if is_overwrite else 0,
            is_inverted=is_overwrite and bool(dword10 >> 8 & 1),
        )
        return Answer(status=STATUS_OF[verdict])

    def _format(self, state: State, dword10: int, nsid: int) -> Answer:
        """Base 2.0, 5.14. LBAF 3:0 and 13:12, MSET 4, PI 7:5, PIL 8, SES 11:9."""
        verdict = _namespace_refusal(state, nsid)
        layout = Layout(
            lba_format=dword10 & 0xF | (dword10 >> 12 & 0b11) << 4,
            has_extended_metadata=bool(dword10 >> 4 & 1),
            protection=dword10 >> 5 & 0b111 | (dword10 >> 8 & 1) << 3,
        )
        verdict = verdict or _layout_refusal(state, layout)
        if verdict is not None:
            return Answer(status=STATUS_OF[verdict])
        match dword10 >> 9 & 0b111:
            case 0:
                erase = None
            case 1:
                erase = BLOCK
            case 2 if state.format_attributes & pages.FNA_CRYPTO or Fault.CAPABILITY_WRONG in state.faults:
                erase = CRYPTO
            case _:
                return Answer(status=INVALID_FIELD | DO_NOT_RETRY)
        attached = [each.nsid for each in state.namespaces if each.is_attached]
        is_formatting_all = bool(state.format_attributes & pages.FNA_FORMATS_ALL)
        is_erasing_all = erase is not None and bool(state.format_attributes & pages.FNA_ERASES_ALL)
        named = attached if nsid == EVERY_NAMESPACE else [nsid]
        formatted = attached if is_formatting_all else named
        erased = attached if is_erasing_all or (erase is None and is_formatting_all) else named
        done = self.format(erased=erased, formatted=formatted, erase=erase, layout=layout)
        return Answer(status=STATUS_OF[done])


def _namespace_refusal(state: State, nsid: int) -> Verdict | None:
    """QEMU refuses a namespace that exists and is not attached with Invalid Field."""
    if nsid == EVERY_NAMESPACE:
        is_refused = state.format_attributes & pages.FNA_NO_BROADCAST
        return Verdict.INVALID_NAMESPACE if is_refused else None
    for namespace in state.namespaces:
        if namespace.nsid == nsid:
            return None if namespace.is_attached else Verdict.INVALID_FIELD
    return Verdict.INVALID_NAMESPACE


def _layout_refusal(state: State, layout: Layout) -> Verdict | None:
    """Another block size is not simulated; protection needs metadata to lie in."""
    chosen = pages.LBA_FORMATS.get(layout.lba_format)
    if chosen is None or chosen.data_bytes != state.block_bytes:
        return Verdict.INVALID_FORMAT
    is_protected = layout.protection & 0b111
    if is_protected > 3 or (is_protected and not chosen.metadata_bytes):
        return Verdict.INVALID_FORMAT
    return None
