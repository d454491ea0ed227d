"""The simulated controller against the driver's hand-written bytes; the two never meet here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.devices.simulated import Namespace, SimulatedNvme, occurrences

Wire = Callable[[str], bytes]
Make = Callable[..., SimulatedNvme]

INVALID_OPCODE, INVALID_FIELD, INVALID_NAMESPACE = 0x4001, 0x4002, 0x400B
INTERNAL_ERROR, SANITIZE_FAILED, SANITIZE_IN_PROGRESS = 0x006, 0x01C, 0x01D
WRITE_PROTECTED, INVALID_LOG_PAGE, INVALID_FORMAT = 0x020, 0x4109, 0x410A


@pytest.mark.parametrize(
    "name",
    [
        "identify_controller",
        "identify_namespace_1",
        "identify_allocated_2",
        "active_namespaces",
        "allocated_namespaces",
    ],
)
def test_identify_answers_the_standards_bytes(reference_drive: SimulatedNvme, wire: Wire, name: str) -> None:
    answer = reference_drive.submit(wire(f"{name}.command"), 4096)
    assert answer.status == 0
    assert answer.data == wire(f"{name}.answer")


def test_the_log_of_a_new_drive_says_never_sanitized_and_never_written(
    reference_drive: SimulatedNvme, wire: Wire
) -> None:
    answer = reference_drive.submit(wire("get_sanitize_log.command"), 512)
    assert answer.data == wire("sanitize_log_never.answer")


def test_a_users_write_ends_global_data_erased(reference_drive: SimulatedNvme, wire: Wire) -> None:
    reference_drive.write(1, 0, bytes(4096))
    answer = reference_drive.submit(wire("get_sanitize_log.command"), 512)
    assert answer.data == wire("sanitize_log_written.answer")


def test_a_crypto_erase_shows_progress_at_each_poll_and_then_success(
    reference_drive: SimulatedNvme, wire: Wire
) -> None:
    started = reference_drive.submit(wire("sanitize_crypto_no_deallocate.command"), 0)
    assert (started.status, started.data) == (0, b"")
    logs = [reference_drive.submit(wire("get_sanitize_log.command"), 512).data for _ in range(5)]
    assert logs[0] == wire("sanitize_log_running.answer")
    assert logs[1] == wire("sanitize_log_running_later.answer")
    assert logs[2][0:4] == bytes.fromhex("00800200")
    assert logs[3] == logs[4] == wire("sanitize_log_success.answer")


def test_a_block_erase_deallocates_although_asked_not_to_and_says_so(
    reference_drive: SimulatedNvme, wire: Wire
) -> None:
    reference_drive.submit(wire("sanitize_block_no_deallocate.command"), 0)
    logs = [reference_drive.submit(wire("get_sanitize_log.command"), 512).data for _ in range(4)]
    assert logs[3] == wire("sanitize_log_forced.answer")


def test_a_failed_sanitize_says_so(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(faults=("fails",), sanitize_polls=3)
    drive.write(1, 0, bytes(4096))
    drive.submit(wire("sanitize_crypto_no_deallocate.command"), 0)
    logs = [drive.submit(wire("get_sanitize_log.command"), 512).data for _ in range(3)]
    assert logs[0] == wire("sanitize_log_running.answer")
    assert logs[1] == logs[2] == wire("sanitize_log_failed.answer")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("firmware_commit", INVALID_OPCODE),
        ("sanitize_overwrite", INVALID_FIELD),
        ("format_other_size", INVALID_FORMAT),
    ],
)
def test_what_it_cannot_do_it_refuses_as_a_real_one_would(
    reference_drive: SimulatedNvme, wire: Wire, name: str, status: int
) -> None:
    assert reference_drive.submit(wire(f"{name}.command"), 0).status == status


@pytest.mark.parametrize("action", ["crypto", "block"])
def test_an_action_that_is_not_announced_is_refused(make_drive: Make, wire: Wire, action: str) -> None:
    drive = make_drive(**{f"has_{action}_erase": False})
    assert drive.submit(wire(f"sanitize_{action}.command"), 0).status == INVALID_FIELD
    sanicap = drive.submit(wire("identify_controller.command"), 4096).data[328]
    assert sanicap == {"crypto": 0b10, "block": 0b01}[action]


def test_a_drive_that_inhibits_no_deallocate_announces_and_refuses_it(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(inhibits_no_deallocate=True)
    assert drive.submit(wire("identify_controller.command"), 4096).data[331] >> 5 & 1 == 1
    assert drive.submit(wire("sanitize_crypto_no_deallocate.command"), 0).status == INVALID_FIELD
    assert drive.submit(wire("sanitize_crypto.command"), 0).status == 0


def test_a_write_protected_namespace_refuses_a_sanitize(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(namespaces=(Namespace(nsid=1, blocks=8, is_write_protected=True),))
    assert drive.submit(wire("sanitize_crypto.command"), 0).status == WRITE_PROTECTED
    assert drive.submit(wire("identify_namespace_1.command"), 4096).data[99] == 1


@pytest.mark.parametrize("name", ["sanitize_crypto", "sanitize_exit_failure", "format_crypto"])
def test_while_a_sanitize_runs_nothing_else_begins(make_drive: Make, wire: Wire, name: str) -> None:
    drive = make_drive()
    drive.submit(wire("sanitize_crypto.command"), 0)
    assert drive.submit(wire(f"{name}.command"), 0).status == SANITIZE_IN_PROGRESS
    assert drive.submit(wire("identify_controller.command"), 4096).status == 0


def test_a_drive_that_failed_takes_only_another_sanitize(make_drive: Make, wire: Wire) -> None:
    drive = failed(make_drive, wire, "sanitize_crypto")
    assert drive.submit(wire("format_crypto.command"), 0).status == SANITIZE_FAILED
    assert drive.submit(wire("sanitize_exit_failure.command"), 0).status == SANITIZE_FAILED
    assert drive.submit(wire("sanitize_crypto.command"), 0).status == 0


def test_only_an_unrestricted_failure_can_be_left(make_drive: Make, wire: Wire) -> None:
    drive = failed(make_drive, wire, "sanitize_crypto_unrestricted")
    assert drive.submit(wire("sanitize_exit_failure.command"), 0).status == 0
    assert drive.read(1, 0, 4096) == b"k" * 4096


def failed(make_drive: Make, wire: Wire, command: str) -> SimulatedNvme:
    drive = make_drive(faults=("fails",))
    drive.write(1, 0, b"k" * 4096)
    drive.submit(wire(f"{command}.command"), 0)
    for _ in range(3):
        drive.submit(wire("get_sanitize_log.command"), 512)
    return drive


def test_the_health_log_counts_power_cycles(reference_drive: SimulatedNvme, wire: Wire) -> None:
    for _ in range(3):
        reference_drive.power_cycle()
    answer = reference_drive.submit(wire("get_health_log.command"), 512)
    assert answer.data == wire("health_log_cycled.answer")


def test_another_log_page_is_refused(reference_drive: SimulatedNvme, wire: Wire) -> None:
    command = bytearray(wire("get_sanitize_log.command"))
    command[40] = 0x80
    assert reference_drive.submit(bytes(command), 512).status == INVALID_LOG_PAGE


@pytest.mark.parametrize("nsid", [0, 3, 0xFFFFFFFF])
def test_a_namespace_out_of_range_is_refused(reference_drive: SimulatedNvme, wire: Wire, nsid: int) -> None:
    command = bytearray(wire("identify_namespace_1.command"))
    command[4:8] = nsid.to_bytes(4, "little")
    assert reference_drive.submit(bytes(command), 4096).status == INVALID_NAMESPACE


def test_a_namespace_that_is_not_attached_identifies_as_zeros(
    reference_drive: SimulatedNvme, wire: Wire
) -> None:
    command = bytearray(wire("identify_namespace_1.command"))
    command[4] = 2
    assert reference_drive.submit(bytes(command), 4096).data == bytes(4096)


def test_a_drive_with_one_whole_namespace_does_not_manage_namespaces(make_drive: Make, wire: Wire) -> None:
    drive = make_drive()
    assert drive.submit(wire("allocated_namespaces.command"), 4096).status == INVALID_FIELD
    assert drive.submit(wire("identify_controller.command"), 4096).data[256] == 0b0010


def test_no_more_is_transferred_than_there_is_room_for(reference_drive: SimulatedNvme, wire: Wire) -> None:
    assert len(reference_drive.submit(wire("identify_controller.command"), 100).data) == 100


@pytest.mark.parametrize("name", ["format_crypto", "format_user_data", "format_no_erase"])
def test_a_format_deallocates(make_drive: Make, wire: Wire, name: str) -> None:
    drive = make_drive()
    drive.write(1, 0, b"k" * 4096)
    assert drive.submit(wire(f"{name}.command"), 0).status == 0
    assert drive.read(1, 0, 4096) == bytes(4096)


def test_a_format_without_erase_destroys_no_key(make_drive: Make, wire: Wire) -> None:
    drive = make_drive()
    key = (drive.folder / "media.key").read_bytes()
    drive.submit(wire("format_no_erase.command"), 0)
    assert (drive.folder / "media.key").read_bytes() == key
    drive.submit(wire("format_crypto.command"), 0)
    assert (drive.folder / "media.key").read_bytes() != key


def test_a_cryptographic_format_needs_the_capability(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(has_crypto_erase=False)
    assert drive.submit(wire("format_crypto.command"), 0).status == INVALID_FIELD
    assert drive.submit(wire("identify_controller.command"), 4096).data[524] & 0b100 == 0


def test_a_drive_that_refuses_announces_the_capability_all_the_same(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(faults=("refuses",))
    assert drive.submit(wire("identify_controller.command"), 4096).data[328] & 1
    assert drive.submit(wire("sanitize_crypto.command"), 0).status == INTERNAL_ERROR
    assert drive.submit(wire("format_crypto.command"), 0).status == INTERNAL_ERROR


def test_a_command_has_64_bytes(reference_drive: SimulatedNvme) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        reference_drive.submit(bytes(63), 0)


@pytest.mark.parametrize("given", [{"capacity_bytes": 5000}, {"capacity_bytes": 0}, {"block_bytes": 1024}])
def test_a_drive_has_whole_blocks(make_drive: Make, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        make_drive(**given)


# --- overwriting itself -------------------------------------------------------------------------------------


def test_an_overwrite_says_how_many_passes_it_made(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(has_overwrite=True, sanitize_polls=1)
    assert drive.submit(wire("identify_controller.command"), 4096).data[328] == 0b111
    assert drive.submit(wire("sanitize_overwrite_no_deallocate.command"), 0).status == 0
    logs = [drive.submit(wire("get_sanitize_log.command"), 512).data for _ in range(3)]
    assert logs[0][2:4] == bytes.fromhex("0200")
    assert logs[2] == wire("sanitize_log_overwritten.answer")
    assert drive.read(1, 0, 4096) == bytes.fromhex("67452301") * 1024


@pytest.mark.parametrize(
    ("name", "passes", "word"),
    [("sanitize_overwrite_inverted", 2, "98badcfe"), ("sanitize_overwrite", 16, "00000000")],
)
def test_the_number_of_passes_is_the_commands_and_0_means_16(
    make_drive: Make, wire: Wire, name: str, passes: int, word: str
) -> None:
    drive = make_drive(has_overwrite=True, sanitize_polls=0, deallocates=False)
    drive.submit(wire(f"{name}.command"), 0)
    page = drive.submit(wire("get_sanitize_log.command"), 512).data
    assert (page[2] & 0b111, page[2] >> 3) == (1, passes)
    assert drive.read(1, 0, 4096) == bytes.fromhex(word) * 1024


# --- Format by namespace ------------------------------------------------------------------------------------

TWO = (Namespace(nsid=1, blocks=4), Namespace(nsid=2, blocks=4))
#: FNA: cryptographic 4, formats all 1, erases all 2, no broadcast 8.
ALONE, FORMATS_ALL, ERASES_ALL, NO_BROADCAST = 0b0100, 0b0101, 0b0110, 0b1100


def written(make_drive: Make, **given: Any) -> SimulatedNvme:
    drive = make_drive(**({"namespaces": TWO} | given))
    for nsid in (1, 2):
        drive.write(nsid, 0, b"k" * 4096)
    return drive


def kept(drive: SimulatedNvme) -> tuple[bool, bool]:
    """Whether each namespace still reads as it did."""
    first, second = (drive.read(nsid, 0, 4096) == b"k" * 4096 for nsid in (1, 2))
    return first, second


@pytest.mark.parametrize(
    ("attributes", "name", "is_kept"),
    [
        (ALONE, "format_user_data", (False, True)),
        (ALONE, "format_user_data_2", (True, False)),
        (ALONE, "format_user_data_all", (False, False)),
        (ALONE, "format_no_erase", (False, True)),
        (FORMATS_ALL, "format_user_data", (False, True)),
        (FORMATS_ALL, "format_no_erase", (False, False)),
        (ERASES_ALL, "format_user_data", (False, False)),
        (ERASES_ALL, "format_no_erase", (False, True)),
    ],
)
def test_how_far_a_format_reaches_is_said_by_fna(
    make_drive: Make, wire: Wire, attributes: int, name: str, is_kept: tuple[bool, bool]
) -> None:
    drive = written(make_drive, format_attributes=attributes)
    assert drive.submit(wire("identify_controller.command"), 4096).data[524] == attributes
    assert drive.submit(wire(f"{name}.command"), 0).status == 0
    assert kept(drive) == is_kept


def test_a_drive_may_refuse_to_format_all_namespaces_at_once(make_drive: Make, wire: Wire) -> None:
    drive = written(make_drive, format_attributes=NO_BROADCAST)
    assert drive.submit(wire("format_user_data_all.command"), 0).status == INVALID_NAMESPACE
    assert drive.submit(wire("format_user_data.command"), 0).status == 0
    assert kept(drive) == (False, True)


@pytest.mark.parametrize("attributes", [ALONE, ERASES_ALL])
def test_a_detached_namespace_keeps_its_data_as_with_qemu(
    make_drive: Make, wire: Wire, attributes: int
) -> None:
    apart = (Namespace(nsid=1, blocks=4), Namespace(nsid=2, blocks=4, is_attached=False))
    drive = make_drive(namespaces=apart, format_attributes=attributes)
    drive._media.write_blocks(drive.state(), 4, b"k" * 4096)
    assert drive.submit(wire("format_user_data_all.command"), 0).status == 0
    assert drive.submit(wire("format_crypto.command"), 0).status == 0
    assert drive.submit(wire("format_user_data_2.command"), 0).status == INVALID_FIELD
    assert occurrences(drive.folder, b"k" * 4096) == 1


def test_a_format_repeats_the_format_or_changes_it(make_drive: Make, wire: Wire) -> None:
    protected = Namespace(nsid=1, blocks=256, lba_format=16, has_extended_metadata=True, protection=0b1001)
    drive = make_drive(namespaces=(protected,))
    assert drive.submit(wire("identify_namespace_1.command"), 4096).data == wire(
        "identify_namespace_protected.answer"
    )
    assert drive.submit(wire("format_crypto_protected.command"), 0).status == 0
    assert drive.state().namespaces == (protected,)
    assert drive.submit(wire("format_user_data.command"), 0).status == 0
    page = drive.submit(wire("identify_namespace_1.command"), 4096).data
    assert (page[26], page[29]) == (0, 0)
    assert drive.state().formats_begun == 2


def test_a_format_of_all_gives_all_the_same_format(make_drive: Make, wire: Wire) -> None:
    drive = written(make_drive, format_attributes=FORMATS_ALL)
    assert drive.submit(wire("format_crypto_protected.command"), 0).status == 0
    assert {each.lba_format for each in drive.state().namespaces} == {16}


@pytest.mark.parametrize("name", ["format_other_size", "format_protected_without_metadata"])
def test_a_format_that_this_drive_does_not_have_is_refused(make_drive: Make, wire: Wire, name: str) -> None:
    assert make_drive().submit(wire(f"{name}.command"), 0).status == INVALID_FORMAT


def test_a_drive_without_format_does_not_know_the_command(make_drive: Make, wire: Wire) -> None:
    drive = make_drive(has_format=False)
    assert drive.submit(wire("identify_controller.command"), 4096).data[256] & 0b10 == 0
    assert drive.submit(wire("format_user_data.command"), 0).status == INVALID_OPCODE


def test_a_cryptographic_format_leaves_noise_where_the_drive_does_not_deallocate(
    make_drive: Make, wire: Wire
) -> None:
    drive = make_drive(deallocates=False)
    drive.write(1, 0, b"k" * 4096)
    drive.submit(wire("format_crypto.command"), 0)
    assert drive.read(1, 0, 4096) not in (b"k" * 4096, bytes(4096))
