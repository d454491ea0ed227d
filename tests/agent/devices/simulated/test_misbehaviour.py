"""Each fault by its sentence: what a reader would find, and what the drive says of it."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.devices.simulated import (
    Fault,
    Namespace,
    SimulatedNvme,
    SimulatedPlain,
    Unanswered,
    hidden_occurrences,
    logical_view,
    occurrences,
)
from agent.devices.simulated.core import Verdict
from agent.devices.simulated.erasing import BLOCK, CRYPTO, OVERWRITE, Layout
from agent.devices.simulated.state import SLOWNESS

Wire = Callable[[str], bytes]
Make = Callable[..., SimulatedNvme]
MakePlain = Callable[..., SimulatedPlain]
BLOCKS = 32
TEXT = b"a tenant's payroll, planted text"
PAGE = TEXT * (4096 // len(TEXT))
A_PAGE = len(PAGE) // len(TEXT)
PLAIN_LAYOUT = Layout(lba_format=0, has_extended_metadata=False, protection=0)


def full(drive: SimulatedNvme | SimulatedPlain, *faults: Fault) -> Any:
    """Every block holds the text, and then the drive begins to misbehave."""
    drive.write(1, 0, PAGE * BLOCKS)
    drive.set_faults(faults)
    return drive


def sanitize(drive: SimulatedNvme, action: str = CRYPTO, *, polls: int = 20) -> str:
    verdict = drive.start_sanitize(
        action, command_dword=0x204, is_no_deallocate=True, may_exit_failure=False, pattern=1, passes=1
    )
    assert verdict is Verdict.DONE, verdict
    return next(filter(lambda status: status != "running", statuses(drive, polls)), "running")


def statuses(drive: SimulatedNvme, polls: int) -> Any:
    return (drive.poll().sanitize.status for _ in range(polls))


def format_one(drive: SimulatedNvme, erase: str | None = CRYPTO) -> Verdict:
    return drive.format(erased=[1], formatted=[1], erase=erase, layout=PLAIN_LAYOUT)


def overwrite(drive: SimulatedPlain, step: int) -> None:
    """One pass of zeros, so many blocks at a time."""
    for block in range(0, BLOCKS, step):
        drive.write(1, block * 4096, bytes(min(step, BLOCKS - block) * 4096))


def left(drive: SimulatedNvme | SimulatedPlain) -> int:
    """How many blocks still read as they did."""
    return occurrences(drive.folder, TEXT) // A_PAGE


@pytest.fixture
def make_nvme(make_drive: Make) -> Make:
    return lambda **given: make_drive(**({"capacity_bytes": BLOCKS * 4096, "has_overwrite": True} | given))


@pytest.fixture
def make_plain(tmp_path: Path) -> MakePlain:
    def make(**given: Any) -> SimulatedPlain:
        wanted: dict[str, Any] = {
            "serial": "PLAIN-1",
            "model": "Simulated disk",
            "firmware": "1.0",
            "capacity_bytes": BLOCKS * 4096,
            "block_bytes": 4096,
            "random": random.Random(5).randbytes,
            **given,
        }
        return SimulatedPlain.create(tmp_path / "plain", **wanted)

    return make


def test_every_fault_has_a_test_here() -> None:
    tree = ast.parse(Path(__file__).read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Fault"
    }
    assert used == {fault.name for fault in Fault}


# --- what an erase does -------------------------------------------------------------------------------------

ACTIONS = pytest.mark.parametrize("action", [CRYPTO, BLOCK, OVERWRITE])


@ACTIONS
def test_without_a_fault_nothing_is_left(make_nvme: Make, action: str) -> None:
    drive = full(make_nvme())
    assert sanitize(drive, action).startswith("success")
    assert (left(drive), hidden_occurrences(drive.folder, TEXT)) == (0, 0)


@ACTIONS
def test_a_drive_that_lies_keeps_everything(make_nvme: Make, action: str) -> None:
    drive = full(make_nvme(), Fault.LIES)
    assert sanitize(drive, action) == "success"
    assert left(drive) == BLOCKS
    assert format_one(drive) is Verdict.DONE
    assert left(drive) == BLOCKS


@ACTIONS
def test_a_drive_that_only_deallocates_reads_zero_and_could_be_read_with_its_key(
    make_nvme: Make, action: str
) -> None:
    drive = full(make_nvme(), Fault.DEALLOCATES_ONLY)
    key = (drive.folder / "media.key").read_bytes()
    assert sanitize(drive, action).startswith("success")
    assert set(b"".join(logical_view(drive.folder))) == {0}
    assert (drive.folder / "media.key").read_bytes() == key
    (drive.folder / "mapped.bin").write_bytes(b"\x01" * BLOCKS)
    assert left(drive) == BLOCKS


@ACTIONS
def test_a_drive_that_erases_part_keeps_its_second_half(make_nvme: Make, action: str) -> None:
    drive = full(make_nvme(), Fault.ERASES_PART)
    assert sanitize(drive, action).startswith("success")
    assert left(drive) == BLOCKS // 2
    assert drive.read(1, BLOCKS // 2 * 4096, BLOCKS // 2 * 4096) == PAGE * (BLOCKS // 2)


@pytest.mark.parametrize("erase", [CRYPTO, BLOCK])
def test_a_format_that_erases_part_keeps_the_second_half_of_its_namespace(
    make_nvme: Make, erase: str
) -> None:
    drive = full(make_nvme(), Fault.ERASES_PART)
    assert format_one(drive, erase) is Verdict.DONE
    assert left(drive) == BLOCKS // 2


@ACTIONS
def test_hidden_cells_keep_what_no_command_reaches(make_nvme: Make, action: str) -> None:
    drive = full(make_nvme(), Fault.KEEPS_HIDDEN)
    assert sanitize(drive, action).startswith("success")
    assert left(drive) == 0
    assert hidden_occurrences(drive.folder, TEXT) > 0
    assert TEXT not in b"".join(path.read_bytes() for path in drive.folder.iterdir())


def test_hidden_cells_are_seen_through_no_interface(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.KEEPS_HIDDEN)
    sanitize(drive)
    assert TEXT not in drive.read(1, 0, BLOCKS * 4096)


def test_an_erase_without_the_fault_reaches_hidden_cells_too(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.KEEPS_HIDDEN)
    drive.write(1, 0, bytes(4096))
    assert hidden_occurrences(drive.folder, TEXT) == A_PAGE
    drive.set_faults(())
    sanitize(drive)
    assert hidden_occurrences(drive.folder, TEXT) == 0


def test_hidden_cells_have_an_end(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.KEEPS_HIDDEN)
    for _ in range(3):
        drive.write(1, 0, PAGE * BLOCKS)
    assert hidden_occurrences(drive.folder, TEXT) == 16 * A_PAGE


def test_a_plain_drive_keeps_in_hidden_cells_what_a_pass_wrote_over(make_plain: MakePlain) -> None:
    drive = full(make_plain(), Fault.KEEPS_HIDDEN)
    drive.write(1, 0, bytes(BLOCKS * 4096))
    assert left(drive) == 0
    assert hidden_occurrences(drive.folder, TEXT) == 16 * A_PAGE


def test_a_plain_drive_that_erases_part_keeps_its_second_half(make_plain: MakePlain) -> None:
    drive = full(make_plain(), Fault.ERASES_PART)
    drive.write(1, 0, bytes(BLOCKS * 4096))
    assert left(drive) == BLOCKS // 2
    drive.write(1, (BLOCKS - 1) * 4096, bytes(4096))
    assert left(drive) == BLOCKS // 2


@ACTIONS
def test_a_drive_that_fails_destroys_nothing(make_nvme: Make, action: str) -> None:
    drive = full(make_nvme(), Fault.FAILS)
    assert sanitize(drive, action) == "failed"
    assert left(drive) == BLOCKS


def test_a_drive_that_hangs_never_ends_and_never_answers_a_format(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.HANGS)
    with pytest.raises(Unanswered):
        format_one(drive)
    assert sanitize(drive) == "running"
    assert left(drive) == BLOCKS


def test_a_slow_drive_moves_on_and_ends(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(sanitize_polls=2), Fault.SLOW)
    drive.submit(wire("sanitize_crypto.command"), 0)
    progress = []
    for _ in range(2 * SLOWNESS):
        page = drive.submit(wire("get_sanitize_log.command"), 512).data
        assert page[2] == 2
        progress.append(int.from_bytes(page[0:2], "little"))
    assert progress == sorted(set(progress))
    assert int.from_bytes(page[16:20], "little") == 1
    assert sanitize_ended(drive)
    assert left(drive) == 0


def sanitize_ended(drive: SimulatedNvme) -> bool:
    return drive.poll().sanitize.status == "success"


# --- power --------------------------------------------------------------------------------------------------


def test_power_lost_amid_a_sanitize_loses_answers_and_not_the_sanitize(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(sanitize_polls=4), Fault.POWER_LOST)
    with pytest.raises(Unanswered, match="lost its power"):
        sanitize(drive)
    for access in (
        lambda: drive.submit(wire("identify_controller.command"), 4096),
        lambda: drive.read(1, 0, 4096),
        lambda: drive.write(1, 0, PAGE),
        drive.flush,
        drive.poll,
    ):
        with pytest.raises(Unanswered, match="no power"):
            access()
    assert drive.state().sanitize.status == "running"
    drive.power_cycle()
    assert "success" in list(statuses(drive, 10))
    assert left(drive) == 0
    health = drive.submit(wire("get_health_log.command"), 512).data
    assert (health[112], health[144]) == (1, 1)


def test_power_lost_amid_a_format_leaves_half(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.POWER_LOST)
    with pytest.raises(Unanswered):
        format_one(drive)
    assert left(drive) == BLOCKS // 2
    drive.power_cycle()
    assert format_one(drive) is Verdict.DONE
    assert left(drive) == 0


@pytest.mark.parametrize("step", [1, 3, BLOCKS])
def test_power_lost_amid_a_pass_leaves_half_written(make_plain: MakePlain, step: int) -> None:
    drive = full(make_plain(), Fault.POWER_LOST)
    assert drive.claim()
    with pytest.raises(Unanswered, match="lost its power"):
        overwrite(drive, step)
    assert left(drive) == BLOCKS // 2
    with pytest.raises(Unanswered, match="no power"):
        drive.describe()
    drive.power_cycle()
    assert drive.describe().serial == "PLAIN-1"
    drive.write(1, 0, bytes(BLOCKS * 4096))
    assert left(drive) == 0
    drive.release()


def test_only_a_pass_of_whoever_claimed_the_drive_loses_the_power(make_plain: MakePlain) -> None:
    drive = make_plain(faults=("power_lost",))
    drive.write(1, 0, PAGE * BLOCKS)
    assert left(drive) == BLOCKS


# --- names --------------------------------------------------------------------------------------------------


@ACTIONS
def test_a_drive_gives_another_name_once_it_was_sanitized(make_nvme: Make, wire: Wire, action: str) -> None:
    drive = full(make_nvme(), Fault.IDENTITY_CHANGES)
    before = drive.submit(wire("identify_controller.command"), 4096).data[4:24]
    sanitize(drive, action)
    after = drive.submit(wire("identify_controller.command"), 4096).data[4:24]
    assert (before.strip(), after.strip()) == (b"SIM-0001", b"SIM-000X")


def test_a_drive_gives_another_name_once_it_was_formatted(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.IDENTITY_CHANGES)
    format_one(drive)
    assert drive.state().serial == "SIM-000X"


def test_a_plain_drive_gives_another_name_once_a_pass_ended(make_plain: MakePlain) -> None:
    drive = full(make_plain(serial="PLAIN-X"), Fault.IDENTITY_CHANGES)
    drive.claim()
    drive.write(1, 0, bytes((BLOCKS - 1) * 4096))
    assert drive.describe().serial == "PLAIN-X"
    drive.write(1, (BLOCKS - 1) * 4096, bytes(4096))
    assert drive.describe().serial == "PLAIN-Y"
    drive.release()


# --- what it says and accepts -------------------------------------------------------------------------------


def test_a_drive_that_refuses_destroys_nothing(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.REFUSES)
    for name in ("sanitize_crypto", "sanitize_block", "sanitize_overwrite", "format_crypto"):
        assert drive.submit(wire(f"{name}.command"), 0).status == 0x006
    assert left(drive) == BLOCKS


def test_a_capability_that_is_missing_is_there_all_the_same(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.CAPABILITY_MISSING)
    page = drive.submit(wire("identify_controller.command"), 4096).data
    assert (page[328] & 0b111, page[256] & 0b10, page[524] & 0b100) == (0, 0, 0)
    assert drive.submit(wire("sanitize_crypto.command"), 0).status == 0
    assert "success" in list(statuses(drive, 10))
    assert left(drive) == 0


@pytest.mark.parametrize("has", [True, False])
def test_a_capability_that_is_wrong_is_refused_when_used(make_nvme: Make, wire: Wire, has: bool) -> None:
    given = {"has_crypto_erase": has, "has_block_erase": has, "has_overwrite": has, "has_format": has}
    drive = full(make_nvme(**given), Fault.CAPABILITY_WRONG)
    page = drive.submit(wire("identify_controller.command"), 4096).data
    assert (page[328] & 0b111, page[256] & 0b10, page[524] & 0b100) == (0b111, 0b10, 0b100)
    for name in ("sanitize_crypto", "sanitize_block", "sanitize_overwrite", "format_crypto"):
        assert drive.submit(wire(f"{name}.command"), 0).status == 0x4002
    assert left(drive) == BLOCKS


def test_a_restricted_failure_is_left_by_a_sanitize_alone(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.RESTRICTED_FAILURE)
    assert drive.submit(wire("get_sanitize_log.command"), 512).data[2] == 3
    for access in (lambda: drive.read(1, 0, 4096), lambda: drive.write(1, 0, PAGE), drive.flush):
        with pytest.raises(OSError, match="sanitize failed"):
            access()
    assert drive.submit(wire("sanitize_exit_failure.command"), 0).status == 0x01C
    assert drive.submit(wire("format_crypto.command"), 0).status == 0x01C
    assert sanitize(drive) == "success"
    assert drive.read(1, 0, 4096) != PAGE


def test_an_unrestricted_failure_may_be_left_with_its_data(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.UNRESTRICTED_FAILURE)
    with pytest.raises(OSError, match="sanitize failed"):
        drive.read(1, 0, 4096)
    assert drive.submit(wire("sanitize_exit_failure.command"), 0).status == 0
    assert drive.read(1, 0, 4096) == PAGE


def test_a_failure_that_was_left_is_still_told_and_refuses_nothing(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.FAILURE_LEFT)
    assert drive.submit(wire("get_sanitize_log.command"), 512).data[2] == 3
    assert drive.read(1, 0, 4096) == PAGE
    drive.write(1, 0, bytes(4096))
    assert drive.submit(wire("format_crypto.command"), 0).status == 0


@pytest.mark.parametrize("fault", [Fault.RESTRICTED_FAILURE, Fault.UNRESTRICTED_FAILURE, Fault.FAILURE_LEFT])
def test_a_plain_drive_has_no_sanitize_that_could_have_failed(make_plain: MakePlain, fault: Fault) -> None:
    drive = full(make_plain(), fault)
    assert drive.read(1, 0, 4096) == PAGE


def test_a_write_protected_drive_says_so_and_refuses(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.WRITE_PROTECTED)
    assert drive.submit(wire("identify_namespace_1.command"), 4096).data[99] == 1
    for name in ("sanitize_crypto", "sanitize_overwrite", "format_crypto"):
        assert drive.submit(wire(f"{name}.command"), 0).status == 0x020
    with pytest.raises(OSError, match="write protected"):
        drive.write(1, 0, bytes(4096))
    assert left(drive) == BLOCKS


def test_a_write_protected_plain_drive_refuses(make_plain: MakePlain) -> None:
    drive = full(make_plain(), Fault.WRITE_PROTECTED)
    with pytest.raises(OSError, match="write protected"):
        drive.write(1, 0, bytes(4096))
    assert left(drive) == BLOCKS


# --- blocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nvme", "plain"])
def test_a_drive_that_drops_writes_acknowledges_them(
    make_nvme: Make, make_plain: MakePlain, kind: str
) -> None:
    drive = full(make_nvme() if kind == "nvme" else make_plain(), Fault.DROPS_WRITES)
    drive.write(1, 0, bytes(BLOCKS * 4096))
    drive.flush()
    assert left(drive) == BLOCKS


@pytest.mark.parametrize("kind", ["nvme", "plain"])
def test_bad_blocks_are_neither_read_nor_written(make_nvme: Make, make_plain: MakePlain, kind: str) -> None:
    drive = full(make_nvme() if kind == "nvme" else make_plain(), Fault.BAD_BLOCKS)
    bad = []
    for block in range(BLOCKS):
        try:
            drive.write(1, block * 4096, bytes(4096))
            assert drive.read(1, block * 4096, 4096) == bytes(4096)
        except OSError:
            bad.append(block)
            with pytest.raises(OSError, match="internal error"):
                drive.read(1, block * 4096, 4096)
    assert bad == [BLOCKS // 3, BLOCKS * 3 // 4]
    assert left(drive) == 2


def test_what_lies_before_a_bad_block_is_written(make_plain: MakePlain) -> None:
    drive = full(make_plain(), Fault.BAD_BLOCKS)
    with pytest.raises(OSError, match="internal error"):
        drive.write(1, 0, bytes(BLOCKS * 4096))
    assert left(drive) == BLOCKS - BLOCKS // 3


# --- whether it answers -------------------------------------------------------------------------------------


def test_a_dead_drive_says_who_it_is_and_nothing_else(make_nvme: Make, wire: Wire) -> None:
    drive = full(make_nvme(), Fault.DEAD)
    for name in ("identify_controller", "identify_namespace_1", "active_namespaces"):
        assert drive.submit(wire(f"{name}.command"), 4096).status == 0
    for name in ("get_sanitize_log", "get_health_log", "sanitize_crypto", "format_crypto"):
        assert drive.submit(wire(f"{name}.command"), 512).status == 0x006
    for access in (lambda: drive.read(1, 0, 4096), lambda: drive.write(1, 0, PAGE), drive.flush):
        with pytest.raises(OSError, match="internal error"):
            access()
    assert drive.state().sanitizes_begun == 0


def test_a_dead_plain_drive_says_who_it_is_and_nothing_else(make_plain: MakePlain) -> None:
    drive = full(make_plain(), Fault.DEAD)
    assert drive.describe().serial == "PLAIN-1"
    for access in (lambda: drive.read(1, 0, 4096), lambda: drive.write(1, 0, PAGE), drive.flush):
        with pytest.raises(OSError, match="internal error"):
            access()


def test_a_silent_drive_answers_nothing(make_nvme: Make, make_plain: MakePlain, wire: Wire) -> None:
    nvme, plain = full(make_nvme(), Fault.SILENT), full(make_plain(), Fault.SILENT)
    for access in (
        lambda: nvme.submit(wire("identify_controller.command"), 4096),
        lambda: nvme.read(1, 0, 4096),
        plain.describe,
        lambda: plain.read(1, 0, 4096),
        lambda: plain.write(1, 0, PAGE),
        plain.flush,
    ):
        with pytest.raises(Unanswered, match="silent"):
            access()


def test_faults_outlive_a_power_cycle_and_are_seen_by_whoever_opens_the_folder(make_nvme: Make) -> None:
    drive = full(make_nvme(), Fault.LIES, Fault.SLOW)
    drive.power_cycle()
    assert SimulatedNvme.open(drive.folder).state().faults == {Fault.LIES, Fault.SLOW}


def test_a_drive_may_be_made_with_its_faults(make_nvme: Make) -> None:
    drive = make_nvme(faults=("restricted_failure", "lies"))
    assert drive.poll().sanitize.status == "failed"
    assert drive.state().faults == {Fault.RESTRICTED_FAILURE, Fault.LIES}


def test_a_format_of_one_namespace_leaves_the_others(make_nvme: Make) -> None:
    """The second half of `erases_part` and a partial format share how the key of the rest survives."""
    drive = make_nvme(namespaces=(Namespace(nsid=1, blocks=16), Namespace(nsid=2, blocks=16)))
    drive.write(1, 0, PAGE * 16)
    drive.write(2, 0, PAGE * 16)
    key = (drive.folder / "media.key").read_bytes()
    assert format_one(drive) is Verdict.DONE
    assert left(drive) == 16
    assert (drive.folder / "media.key").read_bytes() != key
    assert drive.read(2, 0, 16 * 4096) == PAGE * 16
