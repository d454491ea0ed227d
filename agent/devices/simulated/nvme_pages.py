"""The pages that a simulated NVMe controller answers with, byte by byte.

It shares neither code nor constants with the driver: each is checked on its own against the same byte
fixtures. Sections are cited from memory; positions follow erasure.md, 2.2 to 2.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.devices.simulated.faults import Fault
from agent.devices.simulated.state import Namespace, State

PAGE: Final = 4096
#: PCI-SIG gives FFFFh to nobody: no vendor's name is borrowed.
NO_VENDOR: Final = 0xFFFF
#: SSTAT 2:0.
SANITIZE_STATUS: Final = {"never": 0, "success": 1, "running": 2, "failed": 3, "success_deallocated": 4}
NO_ESTIMATE: Final = 0xFFFFFFFF
#: Estimates in seconds, the same whether blocks stay mapped or not.
CRYPTO_SECONDS, BLOCK_SECONDS, OVERWRITE_SECONDS = 1, 2, 4
OACS_FORMAT, OACS_NAMESPACES = 0b0010, 0b1000
FNA_FORMATS_ALL, FNA_ERASES_ALL, FNA_CRYPTO, FNA_NO_BROADCAST = 0b0001, 0b0010, 0b0100, 0b1000


@dataclass(frozen=True)
class LbaFormat:
    """One LBA format: bytes of data and of metadata a block."""

    data_bytes: int
    metadata_bytes: int


#: By index; what is missing between them is announced as not available (LBADS 0). The last two need the upper
#: bits of an index.
LBA_FORMATS: Final = {
    0: LbaFormat(4096, 0),
    1: LbaFormat(512, 0),
    2: LbaFormat(4096, 8),
    3: LbaFormat(512, 8),
    16: LbaFormat(4096, 64),
    17: LbaFormat(512, 64),
}


def plain_format(block_bytes: int) -> int:
    """The index of the format with such blocks and no metadata."""
    return next(index for index, each in LBA_FORMATS.items() if each == LbaFormat(block_bytes, 0))


def manages_namespaces(state: State) -> bool:
    return len(state.namespaces) > 1 or state.unallocated_bytes > 0


def controller_page(state: State) -> bytes:
    """Base 2.0, 5.17.2.1, figure "Identify Controller Data Structure"."""
    page = bytearray(PAGE)
    _put(page, 0, 2, NO_VENDOR)
    page[4:24] = state.serial.encode("ascii").ljust(20)[:20]
    page[24:64] = state.model.encode("ascii").ljust(40)[:40]
    page[64:72] = state.firmware.encode("ascii").ljust(8)[:8]
    _put(page, 78, 2, 1)  # controller identifier
    _put(page, 80, 4, 0x0002_0000)  # version 2.0.0
    _put(page, 256, 2, _admin_commands(state))
    _put(page, 280, 16, state.capacity_bytes)
    _put(page, 296, 16, state.unallocated_bytes)
    _put(page, 328, 4, _sanitize_capabilities(state))
    page[512], page[513] = 0x66, 0x44  # entries of 64 and 16 bytes
    _put(page, 516, 4, max(each.nsid for each in state.namespaces))
    page[524] = _format_attributes(state)
    name = f"nqn.2026-01.example.simulated:{state.serial}".encode()
    page[768 : 768 + len(name)] = name
    return bytes(page)


def namespace_page(state: State, nsid: int, *, is_attached_only: bool) -> bytes:
    """NVM Command Set 1.0, 4.1.5.1, figure "Identify Namespace Data Structure"; zero where there is none."""
    page = bytearray(PAGE)
    for namespace in state.namespaces:
        if namespace.nsid == nsid and (namespace.is_attached or not is_attached_only):
            _fill_namespace(page, state, namespace)
    return bytes(page)


def _fill_namespace(page: bytearray, state: State, namespace: Namespace) -> None:
    for offset in (0, 8, 16):  # size, capacity, utilization
        _put(page, offset, 8, namespace.blocks)
    index = namespace.lba_format or 0
    page[25] = max(LBA_FORMATS)  # number of formats, 0's based
    page[26] = index & 0xF | namespace.has_extended_metadata << 4 | (index >> 4) << 5
    page[27] = 0b11  # metadata in line with the data, or apart
    page[28] = 0b1_1111  # protection of types 1 to 3, first or last in the metadata
    page[29] = namespace.protection
    page[99] = 1 if state.has_protected(namespace) else 0
    for number, each in LBA_FORMATS.items():
        _put(page, 128 + 4 * number, 2, each.metadata_bytes)
        page[128 + 4 * number + 2] = each.data_bytes.bit_length() - 1


def id_list(nsids: Iterable[int]) -> bytes:
    page = b"".join(nsid.to_bytes(4, "little") for nsid in sorted(nsids)[:1024])
    return page.ljust(PAGE, b"\x00")


def health_page(state: State) -> bytes:
    """Base 2.0, 5.16.1.3, figure "SMART / Health Information Log Page". Only power is counted."""
    page = bytearray(512)
    _put(page, 112, 16, state.power_cycles)
    _put(page, 144, 16, state.power_losses)
    return bytes(page)


def sanitize_page(state: State) -> bytes:
    """Base 2.0, 5.16.1.25, figure "Sanitize Status Log Page"."""
    page = bytearray(512)
    sanitize = state.sanitize
    is_running = sanitize.status == "running"
    done, needed = sanitize.polls_done, state.polls_needed + 1
    erased = 1 << 8 if state.is_global_data_erased and not is_running else 0
    passes = sanitize.passes * done // needed if is_running else sanitize.passes
    completed = 0 if sanitize.status == "failed" else passes
    _put(page, 0, 2, min(done * 65536 // needed if is_running else 0xFFFF, 0xFFFF))
    _put(page, 2, 2, SANITIZE_STATUS[sanitize.status] | (completed & 0x1F) << 3 | erased)
    _put(page, 4, 4, sanitize.command_dword)
    overwrite = OVERWRITE_SECONDS if state.has_overwrite else NO_ESTIMATE
    for offset, seconds in zip(
        (8, 12, 16, 20, 24, 28), (overwrite, BLOCK_SECONDS, CRYPTO_SECONDS) * 2, strict=True
    ):
        _put(page, offset, 4, seconds)
    return bytes(page)


def _admin_commands(state: State) -> int:
    """OACS."""
    has_format = state.has_format and Fault.CAPABILITY_MISSING not in state.faults
    if Fault.CAPABILITY_WRONG in state.faults:
        has_format = True
    return (OACS_FORMAT if has_format else 0) | (OACS_NAMESPACES if manages_namespaces(state) else 0)


def _sanitize_capabilities(state: State) -> int:
    """Crypto bit 0, block 1, overwrite 2, NDI 29; NODMMAS 31:30 = 01b, media are not modified afterwards."""
    actions = state.has_crypto_erase << 0 | state.has_block_erase << 1 | state.has_overwrite << 2
    if Fault.CAPABILITY_MISSING in state.faults:
        actions = 0
    if Fault.CAPABILITY_WRONG in state.faults:
        actions = 0b111
    return actions | state.inhibits_no_deallocate << 29 | 0b01 << 30


def _format_attributes(state: State) -> int:
    if Fault.CAPABILITY_MISSING in state.faults:
        return state.format_attributes & ~FNA_CRYPTO
    return state.format_attributes | (FNA_CRYPTO if Fault.CAPABILITY_WRONG in state.faults else 0)


def _put(page: bytearray, offset: int, width: int, value: int) -> None:
    page[offset : offset + width] = value.to_bytes(width, "little")
