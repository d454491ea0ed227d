from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.devices import nvme, nvme_commands
from agent.devices.drive import DriveIdentity
from agent.devices.nvme import (
    Completion,
    HealthLog,
    IdentifyController,
    IdentifyNamespace,
    NvmeDrive,
    SanitizeLog,
    SanitizeState,
)
from agent.devices.nvme_commands import Command, NamespaceFormat, SanitizeAction, SecureErase, format_nvm
from agent.errors import Code, CommandFailed, TransportError
from certificate.errors import Malformed
from certificate.statements.vocabulary import DeviceClass

Wire = Callable[[str], bytes]

PLAIN_FORMAT = NamespaceFormat(lba_format=0, has_extended_metadata=False, protection_type=0, is_first=False)
PROTECTED_FORMAT = NamespaceFormat(
    lba_format=16, has_extended_metadata=True, protection_type=1, is_first=True
)
COMMANDS: list[tuple[str, Command]] = [
    ("identify_controller", nvme_commands.IDENTIFY_CONTROLLER),
    ("identify_namespace_1", nvme_commands.identify("", cns=0x00, nsid=1)),
    ("active_namespaces", nvme_commands.identify("", cns=0x02)),
    ("allocated_namespaces", nvme_commands.identify("", cns=0x10)),
    ("identify_allocated_2", nvme_commands.identify("", cns=0x11, nsid=2)),
    ("get_sanitize_log", nvme_commands.GET_SANITIZE_LOG),
    ("get_health_log", nvme_commands.GET_HEALTH_LOG),
    (
        "sanitize_crypto_no_deallocate",
        nvme_commands.sanitize(SanitizeAction.CRYPTO_ERASE, no_deallocate=True),
    ),
    ("sanitize_crypto", nvme_commands.sanitize(SanitizeAction.CRYPTO_ERASE, no_deallocate=False)),
    ("sanitize_block_no_deallocate", nvme_commands.sanitize(SanitizeAction.BLOCK_ERASE, no_deallocate=True)),
    ("sanitize_block", nvme_commands.sanitize(SanitizeAction.BLOCK_ERASE, no_deallocate=False)),
    (
        "sanitize_overwrite_no_deallocate",
        nvme_commands.sanitize(SanitizeAction.OVERWRITE, no_deallocate=True, pattern=0x0123_4567),
    ),
    ("format_crypto", format_nvm(SecureErase.CRYPTOGRAPHIC, PLAIN_FORMAT, nsid=0xFFFF_FFFF)),
    ("format_user_data", format_nvm(SecureErase.USER_DATA, PLAIN_FORMAT, nsid=1)),
    ("format_user_data_2", format_nvm(SecureErase.USER_DATA, PLAIN_FORMAT, nsid=2)),
    ("format_crypto_protected", format_nvm(SecureErase.CRYPTOGRAPHIC, PROTECTED_FORMAT, nsid=1)),
]


def success(data: bytes) -> Completion:
    return Completion(status=0, result=0, data=data)


def drive_over(transport: Any) -> NvmeDrive:
    return NvmeDrive(name="nvme0", transport=transport, blocks=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_is_the_standards_64_bytes(wire: Wire, name: str, command: Command) -> None:
    assert command.sqe == wire(f"{name}.command")


def test_no_sanitize_command_allows_a_failed_drive_back_into_service(wire: Wire) -> None:
    unrestricted = wire("sanitize_crypto_unrestricted.command")
    allow = int.from_bytes(unrestricted[40:44], "little") & ~0b111
    for action in SanitizeAction:
        pattern = 7 if action is SanitizeAction.OVERWRITE else 0
        for no_deallocate in (True, False):
            command = nvme_commands.sanitize(action, no_deallocate=no_deallocate, pattern=pattern)
            assert command.dword10 & allow == 0


def test_no_command_leaves_a_failure_or_a_media_verification() -> None:
    assert {int(action) for action in SanitizeAction} == {2, 3, 4}


def test_no_format_erases_nothing() -> None:
    """--ses 0 is what the field failure of fos#125 sent for two years."""
    assert {int(erase) for erase in SecureErase} == {1, 2}


@pytest.mark.parametrize(
    ("action", "pattern"), [(SanitizeAction.OVERWRITE, 0), (SanitizeAction.CRYPTO_ERASE, 7)]
)
def test_an_overwrite_has_a_pattern_that_is_not_zero_and_nothing_else_has_one(
    action: SanitizeAction, pattern: int
) -> None:
    with pytest.raises(ValueError, match="pattern"):
        nvme_commands.sanitize(action, no_deallocate=True, pattern=pattern)


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_is_found_again_in_its_bytes(name: str, command: Command) -> None:
    assert Command.of(command.name, command.sqe).sqe == command.sqe


def test_bytes_that_are_no_command_of_ours_are_none(wire: Wire) -> None:
    with pytest.raises(ValueError, match="16 is not a valid Opcode"):
        Command.of("", wire("firmware_commit.command"))
    with pytest.raises(ValueError, match="no command of ours"):
        Command.of("", wire("sanitize_block.command")[:48] + bytes([1]) + bytes(15))


def test_the_format_in_use_is_read_with_its_upper_bits_metadata_and_protection(wire: Wire) -> None:
    assert IdentifyNamespace.parse(wire("identify_namespace_1.answer")).layout == PLAIN_FORMAT
    page = IdentifyNamespace.parse(wire("identify_namespace_protected.answer"))
    assert page.layout == PROTECTED_FORMAT
    assert page.logical_block_bytes == 4096


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (0b0001, "formats_every_namespace"),
        (0b0010, "erases_every_namespace"),
        (0b0100, "has_cryptographic_format"),
        (0b1000, "refuses_broadcast_format"),
    ],
)
def test_format_attributes_are_single_bits(wire: Wire, word: int, name: str) -> None:
    names = (
        "formats_every_namespace",
        "erases_every_namespace",
        "has_cryptographic_format",
        "refuses_broadcast_format",
    )
    page = bytearray(wire("identify_controller.answer"))
    page[524] = word
    read = IdentifyController.parse(bytes(page))
    assert [each for each in names if getattr(read, each)] == [name]


def test_format_nvm_is_bit_1_of_oacs(wire: Wire) -> None:
    page = bytearray(wire("identify_controller.answer"))
    for word, expected in ((0b0010, True), (0b1101, False)):
        page[256] = word
        assert IdentifyController.parse(bytes(page)).has_format is expected


def test_identify_controller_is_read_at_the_standards_offsets(wire: Wire) -> None:
    page = IdentifyController.parse(wire("identify_controller.answer"))
    assert (page.serial_number, page.model_number, page.firmware_revision) == (
        "SIM-0001",
        "Simulated SED",
        "1.0",
    )
    assert (page.pci_vendor, page.controller_id, page.version) == (0xFFFF, 1, 0x20000)
    assert (page.total_capacity_bytes, page.unallocated_capacity_bytes) == (2 * 1024**2, 512 * 1024)
    assert (page.optional_admin_commands, page.format_attributes) == (0x000A, 0x06)
    assert (page.sanitize_capabilities, page.namespace_count) == (0x40000003, 2)
    assert page.subsystem_name == "nqn.2026-01.example.simulated:SIM-0001"
    assert page.has_crypto_erase
    assert page.has_block_erase
    assert page.has_namespace_management
    assert not page.inhibits_no_deallocate


def test_capability_words_are_kept_exactly_as_sent(wire: Wire) -> None:
    raw = wire("identify_controller.answer")
    page = IdentifyController.parse(raw)
    assert page.raw == raw
    assert page.word("SANICAP") == bytes.fromhex("03000040")
    assert page.word("OACS") == bytes.fromhex("0a00")
    assert page.word("FNA") == bytes.fromhex("06")
    assert len(page.word("UNVMCAP")) == 16


def test_sanitize_capabilities_are_single_bits(wire: Wire) -> None:
    page = bytearray(wire("identify_controller.answer"))
    for word, expected in (
        (1 << 0, (1, 0, 0)),
        (1 << 1, (0, 1, 0)),
        (1 << 29, (0, 0, 1)),
        (1 << 2, (0, 0, 0)),
    ):
        page[328:332] = word.to_bytes(4, "little")
        read = IdentifyController.parse(bytes(page))
        assert (read.has_overwrite, read.has_sanitize) == (word == 1 << 2, word != 1 << 29)
        assert (read.has_crypto_erase, read.has_block_erase, read.inhibits_no_deallocate) == expected


def test_a_namespace_has_its_size_in_its_own_blocks(wire: Wire) -> None:
    page = IdentifyNamespace.parse(wire("identify_namespace_1.answer"))
    assert (page.size_blocks, page.logical_block_bytes, page.capacity_bytes) == (256, 4096, 1024**2)
    assert not page.is_write_protected


def test_the_block_size_is_that_of_the_format_in_use(wire: Wire) -> None:
    page = bytearray(wire("identify_namespace_1.answer"))
    page[26] = 0b0010_0011  # format 19: bits 3:0 = 3, bits 6:5 = 1
    page[128 + 4 * 19 + 2] = 9
    assert IdentifyNamespace.parse(bytes(page)).logical_block_bytes == 512


def test_a_namespace_that_is_not_there_has_no_capacity() -> None:
    assert IdentifyNamespace.parse(bytes(4096)).capacity_bytes == 0


def test_write_protection_is_bit_0_of_nsattr(wire: Wire) -> None:
    page = bytearray(wire("identify_namespace_1.answer"))
    page[99] = 1
    assert IdentifyNamespace.parse(bytes(page)).is_write_protected


@pytest.mark.parametrize(
    ("name", "state", "has_ended", "is_running", "erased", "dword10"),
    [
        ("never", SanitizeState.NEVER, False, False, True, 0),
        ("written", SanitizeState.NEVER, False, False, False, 0),
        ("running", SanitizeState.RUNNING, False, True, False, 0x204),
        ("success", SanitizeState.SUCCESS, True, False, True, 0x204),
        ("failed", SanitizeState.FAILED, True, False, False, 0x204),
        ("forced", SanitizeState.SUCCESS_DEALLOCATED, True, False, True, 0x202),
        ("overwritten", SanitizeState.SUCCESS, True, False, True, 0x213),
        ("media_verification", SanitizeState.SUCCESS, False, True, False, 0x604),
    ],
)
def test_the_sanitize_log_says_what_became_of_the_latest_sanitize(
    wire: Wire, name: str, state: SanitizeState, has_ended: bool, is_running: bool, erased: bool, dword10: int
) -> None:
    log = SanitizeLog.parse(wire(f"sanitize_log_{name}.answer"))
    assert (log.state, log.has_ended, log.is_running) == (state, has_ended, is_running)
    assert (log.is_global_data_erased, log.dword10) == (erased, dword10)
    assert log.has_failed is (name == "failed")
    assert log.head == wire(f"sanitize_log_{name}.answer")[:64]


def test_the_estimates_are_read_at_the_standards_offsets(wire: Wire) -> None:
    log = SanitizeLog.parse(wire("sanitize_log_running.answer"))
    assert log.overwrite_seconds == log.overwrite_no_deallocate_seconds == nvme.NO_ESTIMATE
    page = bytearray(wire("sanitize_log_running.answer"))
    for number, offset in enumerate(range(8, 32, 4), start=1):
        page[offset : offset + 4] = number.to_bytes(4, "little")
    log = SanitizeLog.parse(bytes(page))
    assert (log.overwrite_seconds, log.block_erase_seconds, log.crypto_erase_seconds) == (1, 2, 3)
    assert log.overwrite_no_deallocate_seconds == 4
    assert (log.block_erase_no_deallocate_seconds, log.crypto_erase_no_deallocate_seconds) == (5, 6)


@pytest.mark.parametrize(
    ("status", "machine", "is_running", "has_ended"),
    [
        (1, 0, False, True),  # idle after success
        (1, 1, True, False),  # success of an earlier one, another in restricted processing
        (1, 3, True, False),
        (1, 5, True, False),  # media verification
        (1, 6, True, False),  # deallocation after it
        (1, 2, False, False),  # success and failure at once say nothing
        (4, 4, False, False),
        (3, 0, False, True),  # an older drive's failure
        (3, 2, False, True),
        (3, 4, False, True),
        (3, 5, True, False),
        (1, 9, False, False),  # a state without a name
        (3, 15, False, False),
        (2, 0, True, False),
        (0, 0, False, False),
    ],
)
def test_a_sanitize_has_ended_only_where_the_state_machine_agrees(
    status: int, machine: int, is_running: bool, has_ended: bool
) -> None:
    page = bytearray(512)
    page[2], page[36] = status, machine
    log = SanitizeLog.parse(bytes(page))
    assert (log.is_running, log.has_ended) == (is_running, has_ended)


def test_the_health_log_is_read_at_the_standards_offsets(wire: Wire) -> None:
    log = HealthLog.parse(wire("health_log_cycled.answer"))
    assert (log.power_cycles, log.unexpected_power_losses, log.data_units_written) == (3, 0, 0)
    page = bytearray(512)
    page[48], page[144] = 7, 9
    log = HealthLog.parse(bytes(page))
    assert (log.data_units_written, log.unexpected_power_losses) == (7, 9)
    assert log.counters["UPL"] == "09" + "00" * 15


def test_a_status_the_standard_does_not_name_is_neither_running_nor_ended(wire: Wire) -> None:
    page = bytearray(wire("sanitize_log_success.answer"))
    page[2] = 0b101
    log = SanitizeLog.parse(bytes(page))
    assert log.state is SanitizeState.UNKNOWN
    assert not log.has_ended
    assert not log.is_running
    assert log.raw == bytes(page)


@pytest.mark.parametrize("kind", [IdentifyController, IdentifyNamespace, SanitizeLog, HealthLog])
@pytest.mark.parametrize("length", [0, 511, 513, 4095, 4097])
def test_an_answer_of_another_length_is_refused(kind: Any, length: int) -> None:
    with pytest.raises(Malformed) as refusal:
        kind.parse(bytes(length))
    assert refusal.value.code is Code.DEVICE_ANSWER_MALFORMED


def test_the_drive_asks_for_whole_pages(scripted: Any, wire: Wire) -> None:
    transport = scripted(
        [
            success(wire("identify_controller.answer")),
            success(wire("active_namespaces.answer")),
            success(wire("allocated_namespaces.answer")),
            success(wire("identify_allocated_2.answer")),
            success(wire("sanitize_log_never.answer")),
        ]
    )
    drive = drive_over(transport)
    drive.identify_controller()
    assert drive.active_namespaces() == (1,)
    assert drive.allocated_namespaces() == (1, 2)
    assert drive.identify_allocated(2).size_blocks == 128
    drive.sanitize_log()
    names = ["identify_controller", "active_namespaces", "allocated_namespaces", "identify_allocated_2"]
    assert transport.sent == [
        *((wire(f"{name}.command"), 4096) for name in names),
        (wire("get_sanitize_log.command"), 512),
    ]


def test_a_full_list_of_1024_namespaces_has_no_end_mark(scripted: Any) -> None:
    page = b"".join(number.to_bytes(4, "little") for number in range(1, 1025))
    assert len(drive_over(scripted([success(page)])).active_namespaces()) == 1024


def test_a_reading_command_that_fails_says_its_status(scripted: Any) -> None:
    drive = drive_over(scripted([Completion(status=0x4109, result=0, data=b"")]))
    with pytest.raises(CommandFailed) as failure:
        drive.sanitize_log()
    assert failure.value.status == 0x4109
    assert failure.value.code is Code.DEVICE_STATUS


def test_do_not_retry_alone_is_no_failure() -> None:
    assert Completion(status=0x4000, result=0, data=b"").is_success
    assert not Completion(status=0x0100, result=0, data=b"").is_success


def test_a_lost_answer_is_never_sent_again(scripted: Any) -> None:
    transport = scripted([TransportError("gone"), success(b"")])
    with pytest.raises(TransportError):
        drive_over(transport).submit_once(
            nvme_commands.sanitize(SanitizeAction.CRYPTO_ERASE, no_deallocate=True)
        )
    assert len(transport.sent) == 1


def test_a_refusal_by_the_device_is_handed_on_and_not_raised(scripted: Any) -> None:
    transport = scripted([Completion(status=0x401D, result=7, data=b"")])
    answer = drive_over(transport).submit_once(
        nvme_commands.sanitize(SanitizeAction.CRYPTO_ERASE, no_deallocate=True)
    )
    assert answer.raw_status == b"\x40\x1d"
    assert answer.result == 7


def test_identity_counts_namespaces_where_the_drive_reports_no_total(scripted: Any, wire: Wire) -> None:
    page = bytearray(wire("identify_controller.answer"))
    page[280:296] = bytes(16)
    answers = [
        success(bytes(page)),
        success(wire("active_namespaces.answer")),
        success(wire("identify_namespace_1.answer")),
    ]
    identity = drive_over(scripted(answers)).identity()
    assert identity == DriveIdentity(
        serial_number="SIM-0001", model_number="Simulated SED", capacity_bytes=1024**2
    )


def test_the_device_class_is_the_transports_word(scripted: Any) -> None:
    assert drive_over(scripted([])).device_class is DeviceClass.EMULATED
