"""An NVMe drive: its admin commands sent once, their answers read through declared fields.

Rules: a command is sent once, and a lost answer is the caller's to report, never sent again here; a reading
command answered with a status other than success raises; every answer's raw bytes are kept beside what was
read from them. Nothing here judges, waits or chooses. The commands themselves are `nvme_commands`.

Section numbers are those of NVM Express Base 2.0 and NVM Command Set 1.0; the texts were not at hand, so they
are from memory. Positions are from erasure.md, 2.2 to 2.4, which were checked against libnvme's structures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, Self

from agent.devices.block import BlockIo
from agent.devices.drive import DriveIdentity
from agent.devices.fields import Field, ascii_padded, little_endian, raw_word, read_fields, zero_terminated
from agent.devices.nvme_commands import (
    GET_HEALTH_LOG,
    GET_SANITIZE_LOG,
    HEALTH_LOG_BYTES,
    IDENTIFY_BYTES,
    IDENTIFY_CONTROLLER,
    SANITIZE_LOG_BYTES,
    Command,
    NamespaceFormat,
    identify,
)
from agent.errors import CommandFailed
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

#: Base 2.0, 3.3.3.2.1: status code 7:0, status code type 10:8, more 13, do not retry 14 (phase bit removed).
STATUS_MASK = 0x7FF


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A command's answer. `status`: status field without the phase bit, 0 is success. `result`: dword 0."""

    status: int
    result: int
    data: bytes

    @property
    def is_success(self) -> bool:
        return self.status & STATUS_MASK == 0

    @property
    def raw_status(self) -> bytes:
        """The status field as evidence keeps it: two bytes, big-endian."""
        return self.status.to_bytes(2, "big")


class NvmeTransport(Protocol):
    """Carries one admin command. `device_class` is the transport's own word for what it opens."""

    @property
    def device_class(self) -> DeviceClass: ...

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        """Sends 64 bytes once, with `data` (bytes to send, or how many to receive).

        Raises TransportError when no answer came.
        """
        ...


CONTROLLER_FIELDS: Final = (  # offset, width, name, reader, field
    Field(0, 2, "pci_vendor", little_endian, "VID"),
    Field(4, 20, "serial_number", ascii_padded, "SN"),
    Field(24, 40, "model_number", ascii_padded, "MN"),
    Field(64, 8, "firmware_revision", ascii_padded, "FR"),
    Field(76, 1, "multi_path_capabilities", little_endian, "CMIC"),
    Field(78, 2, "controller_id", little_endian, "CNTLID"),
    Field(80, 4, "version", little_endian, "VER"),
    Field(256, 2, "optional_admin_commands", little_endian, "OACS"),
    Field(280, 16, "total_capacity_bytes", little_endian, "TNVMCAP"),
    Field(296, 16, "unallocated_capacity_bytes", little_endian, "UNVMCAP"),
    Field(312, 4, "replay_protected_memory", little_endian, "RPMBS"),
    Field(328, 4, "sanitize_capabilities", little_endian, "SANICAP"),
    Field(516, 4, "namespace_count", little_endian, "NN"),
    Field(520, 2, "optional_nvm_commands", little_endian, "ONCS"),
    Field(524, 1, "format_attributes", little_endian, "FNA"),
    Field(768, 256, "subsystem_name", zero_terminated, "SUBNQN"),
)
#: Reported exactly as sent, whatever this release understands of them.
REPORTED_WORDS: Final = ("SANICAP", "OACS", "FNA", "ONCS", "CMIC", "TNVMCAP", "UNVMCAP", "RPMBS", "NN", "VER")


@dataclass(frozen=True, kw_only=True)
class IdentifyController:
    """What a controller says of itself: the 4096 bytes that answer Identify, CNS 01h."""

    raw: bytes
    pci_vendor: int
    serial_number: str
    model_number: str
    firmware_revision: str
    multi_path_capabilities: int
    controller_id: int
    version: int
    optional_admin_commands: int
    total_capacity_bytes: int
    unallocated_capacity_bytes: int
    replay_protected_memory: int
    sanitize_capabilities: int
    namespace_count: int
    optional_nvm_commands: int
    format_attributes: int
    subsystem_name: str

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises Malformed(DEVICE_ANSWER_MALFORMED) on any other length. Source: Base 2.0, 5.17.2.1."""
        what = "Identify Controller"
        return cls(raw=data, **read_fields(CONTROLLER_FIELDS, data, length_bytes=IDENTIFY_BYTES, what=what))

    def word(self, standard_name: str) -> bytes:
        """One field exactly as sent, by the standard's name."""
        return raw_word(CONTROLLER_FIELDS, self.raw, standard_name)

    @property
    def has_crypto_erase(self) -> bool:
        """SANICAP bit 0 (CES)."""
        return bool(self.sanitize_capabilities & 1 << 0)

    @property
    def has_block_erase(self) -> bool:
        """SANICAP bit 1 (BES)."""
        return bool(self.sanitize_capabilities & 1 << 1)

    @property
    def has_overwrite(self) -> bool:
        """SANICAP bit 2 (OWS)."""
        return bool(self.sanitize_capabilities & 1 << 2)

    @property
    def has_sanitize(self) -> bool:
        """Any sanitize at all: only then is log page 81h there to be asked."""
        return self.has_crypto_erase or self.has_block_erase or self.has_overwrite

    @property
    def inhibits_no_deallocate(self) -> bool:
        """SANICAP bit 29 (NDI): asking for no deallocation is refused or not honoured."""
        return bool(self.sanitize_capabilities & 1 << 29)

    @property
    def has_format(self) -> bool:
        """OACS bit 1."""
        return bool(self.optional_admin_commands & 1 << 1)

    @property
    def formats_every_namespace(self) -> bool:
        """FNA bit 0: whatever format one namespace gets, all get."""
        return bool(self.format_attributes & 1 << 0)

    @property
    def erases_every_namespace(self) -> bool:
        """FNA bit 1: a secure erase of one namespace reaches all."""
        return bool(self.format_attributes & 1 << 1)

    @property
    def has_cryptographic_format(self) -> bool:
        """FNA bit 2. QEMU accepts such a Format without the bit and destroys no key (test-rig.md, 2)."""
        return bool(self.format_attributes & 1 << 2)

    @property
    def refuses_broadcast_format(self) -> bool:
        """FNA bit 3: a Format must name its namespace; FFFFFFFFh is refused."""
        return bool(self.format_attributes & 1 << 3)

    @property
    def may_be_one_of_several(self) -> bool:
        """CMIC bit 1: the drive may have other controllers, each with namespaces of its own."""
        return bool(self.multi_path_capabilities & 1 << 1)

    @property
    def has_namespace_management(self) -> bool:
        """OACS bit 3."""
        return bool(self.optional_admin_commands & 1 << 3)


NAMESPACE_FIELDS: Final = (
    Field(0, 8, "size_blocks", little_endian, "NSZE"),
    Field(8, 8, "capacity_blocks", little_endian, "NCAP"),
    Field(16, 8, "used_blocks", little_endian, "NUSE"),
    Field(26, 1, "formatted_lba_size", little_endian, "FLBAS"),
    Field(27, 1, "metadata_capabilities", little_endian, "MC"),
    Field(29, 1, "protection_settings", little_endian, "DPS"),
    Field(99, 1, "attributes", little_endian, "NSATTR"),
)
NAMESPACE_WORDS: Final = ("NSZE", "NCAP", "FLBAS", "MC", "DPS", "NSATTR")


@dataclass(frozen=True, kw_only=True)
class IdentifyNamespace:
    """What a namespace says of itself: the 4096 bytes that answer Identify, CNS 00h (NVM Command Set 1.0,
    4.1.5.1). All zero for a namespace that is not attached to the controller.
    """

    raw: bytes
    size_blocks: int
    capacity_blocks: int
    used_blocks: int
    formatted_lba_size: int
    metadata_capabilities: int
    protection_settings: int
    attributes: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises Malformed(DEVICE_ANSWER_MALFORMED) on any other length."""
        what = "Identify Namespace"
        return cls(raw=data, **read_fields(NAMESPACE_FIELDS, data, length_bytes=IDENTIFY_BYTES, what=what))

    def word(self, standard_name: str) -> bytes:
        return raw_word(NAMESPACE_FIELDS, self.raw, standard_name)

    @property
    def layout(self) -> NamespaceFormat:
        """The format in use: FLBAS 3:0 and 6:5 its index, 4 metadata in line; DPS 2:0 type of protection, 3
        its place.
        """
        return NamespaceFormat(
            lba_format=self.formatted_lba_size & 0xF | (self.formatted_lba_size >> 5 & 0b11) << 4,
            has_extended_metadata=bool(self.formatted_lba_size & 1 << 4),
            protection_type=self.protection_settings & 0b111,
            is_first=bool(self.protection_settings & 1 << 3),
        )

    @property
    def logical_block_bytes(self) -> int:
        """2^LBADS of the format in use; LBAF n is 4 bytes at 128 + 4n, LBADS its third."""
        exponent = self.raw[128 + 4 * self.layout.lba_format + 2]
        return 1 << exponent if exponent else 0

    @property
    def capacity_bytes(self) -> int:
        return self.size_blocks * self.logical_block_bytes

    @property
    def is_write_protected(self) -> bool:
        """NSATTR bit 0: currently write protected."""
        return bool(self.attributes & 1)


class SanitizeState(IntEnum):
    """SSTAT 2:0. Base 2.0, 5.16.1.25. `UNKNOWN`: a value without a name; the log keeps it raw."""

    NEVER = 0
    SUCCESS = 1
    RUNNING = 2
    FAILED = 3
    SUCCESS_DEALLOCATED = 4
    UNKNOWN = -1


SANITIZE_LOG_FIELDS: Final = (
    Field(0, 2, "progress_65536ths", little_endian, "SPROG"),
    Field(2, 2, "status", little_endian, "SSTAT"),
    Field(4, 4, "dword10", little_endian, "SCDW10"),
    Field(8, 4, "overwrite_seconds", little_endian, "ETO"),
    Field(12, 4, "block_erase_seconds", little_endian, "ETBE"),
    Field(16, 4, "crypto_erase_seconds", little_endian, "ETCE"),
    Field(20, 4, "overwrite_no_deallocate_seconds", little_endian, "ETOND"),
    Field(24, 4, "block_erase_no_deallocate_seconds", little_endian, "ETBEND"),
    Field(28, 4, "crypto_erase_no_deallocate_seconds", little_endian, "ETCEND"),
    #: NVM Express Base 2.1; zero on older drives.
    Field(36, 1, "state_information", little_endian, "SSI"),
)
#: SSI 3:0: 1 restricted and 3 unrestricted processing, 5 media verification, 6 deallocation after it.
BUSY_STATES: Final = frozenset({1, 3, 5, 6})
#: SSI 3:0: idle; older drives know nothing else. A number that stands nowhere here is neither busy nor over.
IDLE_STATE: Final = 0
#: Where a failure may be found: 2 restricted, 4 unrestricted, and 0 of an older drive.
FAILURE_STATES: Final = frozenset({0, 2, 4})
#: An estimate of FFFFFFFFh says that the drive gives none.
NO_ESTIMATE: Final = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class SanitizeLog:
    """Log page 81h, 512 bytes: the drive's own word on its latest sanitize. Estimates in seconds.

    `progress_65536ths` is FFFFh when none is running. A success here may be an older command's.
    """

    raw: bytes
    progress_65536ths: int
    status: int
    dword10: int
    overwrite_seconds: int
    block_erase_seconds: int
    crypto_erase_seconds: int
    overwrite_no_deallocate_seconds: int
    block_erase_no_deallocate_seconds: int
    crypto_erase_no_deallocate_seconds: int
    state_information: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises Malformed(DEVICE_ANSWER_MALFORMED) on any other length. Source: Base 2.0, 5.16.1.25."""
        what = "Sanitize Status log"
        return cls(
            raw=data, **read_fields(SANITIZE_LOG_FIELDS, data, length_bytes=SANITIZE_LOG_BYTES, what=what)
        )

    @property
    def head(self) -> bytes:
        """The first 64 bytes, as evidence keeps them; the rest is reserved."""
        return self.raw[:64]

    @property
    def state(self) -> SanitizeState:
        try:
            return SanitizeState(self.status & 0b111)
        except ValueError:
            return SanitizeState.UNKNOWN

    @property
    def machine_state(self) -> int:
        """SSI 3:0, the sanitize state machine; 0 also where the drive is too old to tell."""
        return self.state_information & 0xF

    @property
    def is_running(self) -> bool:
        """Processing, or in the states that follow it while the drive still waits for a command."""
        return self.state is SanitizeState.RUNNING or self.machine_state in BUSY_STATES

    @property
    def has_ended(self) -> bool:
        """A sanitize ended, well or badly: not that it was ours. A state machine elsewhere is no end."""
        if self.state is SanitizeState.FAILED:
            return self.machine_state in FAILURE_STATES
        is_over = self.state in (SanitizeState.SUCCESS, SanitizeState.SUCCESS_DEALLOCATED)
        return is_over and self.machine_state == IDLE_STATE

    @property
    def has_failed(self) -> bool:
        return self.has_ended and self.state is SanitizeState.FAILED

    @property
    def is_global_data_erased(self) -> bool:
        """SSTAT bit 8 (GDE); the drive clears it at the next write."""
        return bool(self.status & 1 << 8)


HEALTH_LOG_FIELDS: Final = (
    Field(48, 16, "data_units_written", little_endian, "DUW"),
    Field(112, 16, "power_cycles", little_endian, "PWRC"),
    Field(144, 16, "unexpected_power_losses", little_endian, "UPL"),
)
COUNTER_NAMES = tuple(field.standard_name for field in HEALTH_LOG_FIELDS)


@dataclass(frozen=True, kw_only=True)
class HealthLog:
    """Log page 02h, 512 bytes: counters that only rise, so a later look can be paired with an earlier one.

    `data_units_written` counts 1000 blocks of 512 bytes; 0 where the drive does not report it.
    """

    raw: bytes
    data_units_written: int
    power_cycles: int
    unexpected_power_losses: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises Malformed(DEVICE_ANSWER_MALFORMED) on any other length. Source: Base 2.0, 5.16.1.3."""
        fields = read_fields(HEALTH_LOG_FIELDS, data, length_bytes=HEALTH_LOG_BYTES, what="SMART log")
        return cls(raw=data, **fields)

    @property
    def counters(self) -> dict[str, str]:
        """Each counter exactly as sent, hexadecimal, under the standard's name."""
        return {name: raw_word(HEALTH_LOG_FIELDS, self.raw, name).hex() for name in COUNTER_NAMES}


ACTIVE_LIST: Final = identify("Active Namespace ID list", cns=0x02)


class NvmeDrive:
    """One NVMe subsystem through one controller: its commands, and its logical blocks beside them.

    `others`: its other controllers, which are only asked what they list. `shown`: the namespaces of which the
    system has a block device, through whichever controller.
    """

    transport_name = Transport.NVME

    def __init__(
        self,
        *,
        name: str,
        transport: NvmeTransport,
        blocks: BlockIo,
        attachment: Attachment = Attachment.INTERNAL,
        others: tuple[NvmeTransport, ...] = (),
        shown: frozenset[int] = frozenset(),
    ) -> None:
        self.name = name
        self.transport = transport
        self.blocks = blocks
        self.attachment = attachment
        self.shown = shown
        self._others = others

    @property
    def device_class(self) -> DeviceClass:
        """The transport's own word for what it opens."""
        return self.transport.device_class

    def identify_controller(self) -> IdentifyController:
        return IdentifyController.parse(self._receive(IDENTIFY_CONTROLLER))

    def identify_namespace(self, nsid: int) -> IdentifyNamespace:
        return IdentifyNamespace.parse(self._receive(identify("Identify Namespace", cns=0x00, nsid=nsid)))

    def identify_allocated(self, nsid: int) -> IdentifyNamespace:
        """A namespace that exists but need not be attached (CNS 11h). Only where OACS bit 3 is set."""
        command = identify("Identify Allocated Namespace", cns=0x11, nsid=nsid)
        return IdentifyNamespace.parse(self._receive(command))

    def active_namespaces(self) -> tuple[int, ...]:
        """Namespaces attached to this controller, at most 1024. Base 2.0, 5.17.2.2 (CNS 02h)."""
        return _namespace_list(self._receive(ACTIVE_LIST))

    def active_namespaces_elsewhere(self) -> tuple[tuple[int, ...], ...]:
        """The same list of each other controller of the drive."""
        return tuple(_namespace_list(_receive(other, ACTIVE_LIST)) for other in self._others)

    def allocated_namespaces(self) -> tuple[int, ...]:
        """Namespaces that exist, attached or not (CNS 10h). Only where OACS bit 3 is set."""
        return _namespace_list(self._receive(identify("Allocated Namespace ID list", cns=0x10)))

    def sanitize_log(self) -> SanitizeLog:
        return SanitizeLog.parse(self._receive(GET_SANITIZE_LOG))

    def health_log(self) -> HealthLog:
        return HealthLog.parse(self._receive(GET_HEALTH_LOG))

    def identity(self) -> DriveIdentity:
        controller = self.identify_controller()
        return DriveIdentity(
            serial_number=controller.serial_number,
            model_number=controller.model_number,
            capacity_bytes=controller.total_capacity_bytes or self.namespace_bytes(),
        )

    def namespace_bytes(self) -> int:
        """What the attached namespaces hold together; for drives that report no total (TNVMCAP 0)."""
        return sum(self.identify_namespace(nsid).capacity_bytes for nsid in self.active_namespaces())

    def submit_once(self, command: Command) -> Completion:
        """Sends `command` once and hands back whatever the device said. Raises TransportError: no answer."""
        return self.transport.submit(command.sqe, command.receive_bytes)

    def _receive(self, command: Command) -> bytes:
        return _receive(self.transport, command)


def _receive(transport: NvmeTransport, command: Command) -> bytes:
    answer = transport.submit(command.sqe, command.receive_bytes)
    if not answer.is_success:
        raise CommandFailed(command.name, status=answer.status)
    return answer.data


def _namespace_list(data: bytes) -> tuple[int, ...]:
    """Up to 1024 ids of 4 bytes, ascending, ended by zero. Base 2.0, 4.3.4."""
    field = Field(0, IDENTIFY_BYTES, "ids", bytes, "Namespace List")
    raw: bytes = read_fields((field,), data, length_bytes=IDENTIFY_BYTES, what="Namespace List")["ids"]
    ids = struct.unpack("<1024I", raw)
    return ids[: ids.index(0)] if 0 in ids else ids
