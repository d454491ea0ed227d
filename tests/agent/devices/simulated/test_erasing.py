"""Sanitize, as every interface starts it; how a drive misbehaves is test_misbehaviour."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices.simulated import Fault, Namespace, SimulatedNvme, logical_view, occurrences
from agent.devices.simulated.core import Verdict
from agent.devices.simulated.erasing import BLOCK, CRYPTO, OVERWRITE

Make = Callable[..., SimulatedNvme]
PLANTED = b"a tenant's payroll, planted text"
PAGE = PLANTED * (4096 // len(PLANTED))


def start(drive: SimulatedNvme, action: str = CRYPTO, *, keep: bool = True) -> Verdict:
    return drive.start_sanitize(action, command_dword=0x204, is_no_deallocate=keep, may_exit_failure=False)


def finish(drive: SimulatedNvme) -> str:
    for _ in range(20):
        if (status := drive.poll().sanitize.status) != "running":
            return status
    return "running"


def erase(drive: SimulatedNvme, action: str = CRYPTO, *, keep: bool = True) -> str:
    assert start(drive, action, keep=keep) is Verdict.DONE
    return finish(drive)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@pytest.fixture
def planted(make_drive: Make) -> SimulatedNvme:
    drive = make_drive()
    for block in (0, 7, 255):
        drive.write(1, block * 4096, PAGE)
    return drive


def test_a_crypto_erase_leaves_nothing_to_be_read(planted: SimulatedNvme) -> None:
    cells = (planted.folder / "media.bin").read_bytes()
    assert erase(planted) == "success"
    assert occurrences(planted.folder, PLANTED) == 0
    assert (planted.folder / "media.bin").read_bytes() == cells  # only the key went
    assert planted.read(1, 0, 4096) not in (PAGE, bytes(4096))


def test_after_a_crypto_erase_the_old_key_is_nowhere_in_the_folder(planted: SimulatedNvme) -> None:
    key = (planted.folder / "media.key").read_bytes()
    erase(planted)
    for half in (key[:32], key[32:]):
        assert half not in everything_in(planted.folder)
    assert {path.name for path in planted.folder.iterdir()} == {
        "state.json",
        "media.bin",
        "media.key",
        "mapped.bin",
        "hidden.bin",
        "hidden.key",
        "lock",
        "claim",
    }


def test_the_key_file_is_overwritten_before_it_is_replaced(planted: SimulatedNvme, tmp_path: Path) -> None:
    kept = tmp_path / "second-name-of-the-key"
    os.link(planted.folder / "media.key", kept)
    key = kept.read_bytes()
    erase(planted)
    assert kept.read_bytes() != key
    assert kept.read_bytes() != (planted.folder / "media.key").read_bytes()


def test_where_deallocation_is_allowed_blocks_read_zero(planted: SimulatedNvme) -> None:
    assert erase(planted, keep=False) == "success"
    assert set(b"".join(logical_view(planted.folder))) == {0}


def test_a_model_that_does_not_deallocate_keeps_blocks_mapped(make_drive: Make) -> None:
    drive = make_drive(deallocates=False)
    drive.write(1, 0, PAGE)
    erase(drive, keep=False)
    assert drive.read(1, 0, 4096) not in (PAGE, bytes(4096))


def test_a_block_erase_leaves_no_ciphertext(planted: SimulatedNvme) -> None:
    assert erase(planted, BLOCK, keep=False) == "success"
    assert set((planted.folder / "media.bin").read_bytes()) == {0xFF}
    assert set(b"".join(logical_view(planted.folder))) == {0}


def test_a_drive_that_lies_reports_success_and_keeps_everything(make_drive: Make) -> None:
    drive = make_drive(faults=("lies",))
    drive.write(1, 0, PAGE)
    key = (drive.folder / "media.key").read_bytes()
    assert erase(drive) == "success"
    assert drive.poll().is_global_data_erased
    assert (drive.folder / "media.key").read_bytes() == key
    assert drive.read(1, 0, 4096) == PAGE


def test_a_drive_that_only_deallocates_reports_success_and_keeps_its_key(make_drive: Make) -> None:
    drive = make_drive(faults=("deallocates_only",))
    drive.write(1, 0, PAGE)
    key = (drive.folder / "media.key").read_bytes()
    assert erase(drive) == "success"
    assert drive.read(1, 0, 4096) == bytes(4096)
    assert (drive.folder / "media.key").read_bytes() == key


def test_a_drive_that_fails_makes_some_progress_and_destroys_nothing(make_drive: Make) -> None:
    drive = make_drive(faults=("fails",), sanitize_polls=4)
    drive.write(1, 0, PAGE)
    start(drive)
    assert drive.poll().sanitize.status == "running"
    assert finish(drive) == "failed"
    assert occurrences(drive.folder, PLANTED) > 0
    assert not drive.poll().is_global_data_erased


def test_after_a_failure_blocks_are_refused_until_a_sanitize_succeeds(make_drive: Make) -> None:
    drive = make_drive(faults=("fails",))
    drive.write(1, 0, PAGE)
    erase(drive)
    for access in (lambda: drive.read(1, 0, 4096), lambda: drive.write(1, 0, PAGE), drive.flush):
        with pytest.raises(OSError, match="sanitize failed") as refusal:
            access()
        assert refusal.value.errno == errno.EIO
    drive.set_faults(())
    assert erase(drive) == "success"
    assert drive.read(1, 0, 4096) != PAGE


def test_a_drive_that_hangs_runs_for_ever(make_drive: Make) -> None:
    drive = make_drive(faults=(Fault.HANGS,))
    start(drive)
    assert {drive.poll().sanitize.polls_done for _ in range(50)} == {0}
    assert drive.poll().sanitize.status == "running"


def test_while_a_sanitize_runs_blocks_are_refused(planted: SimulatedNvme) -> None:
    start(planted)
    with pytest.raises(OSError, match="sanitize running"):
        planted.read(1, 0, 4096)
    with pytest.raises(OSError, match="sanitize running"):
        planted.write(1, 0, PAGE)


def test_a_running_sanitize_goes_on_after_a_power_cycle(planted: SimulatedNvme) -> None:
    start(planted)
    before = planted.poll()
    planted.power_cycle()
    reopened = SimulatedNvme.open(planted.folder)
    assert reopened.state().sanitize.status == "running"
    assert reopened.state().sanitize.polls_done == before.sanitize.polls_done + 1
    assert reopened.state().power_cycles == 1
    assert finish(reopened) == "success"
    assert occurrences(planted.folder, PLANTED) == 0


def test_nothing_moves_a_sanitize_on_but_being_asked(planted: SimulatedNvme) -> None:
    start(planted)
    planted.power_cycle()
    assert planted.state() == SimulatedNvme.open(planted.folder).state()
    assert planted.state().sanitize.polls_done == 0


def test_power_lost_between_destroying_and_saying_so_is_repaired_by_the_next_poll(
    planted: SimulatedNvme, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(planted)
    while planted.state().sanitize.polls_done < planted.state().sanitize_polls:
        planted.poll()

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agent.devices.simulated.media.Media.save", cut)
        with pytest.raises(KeyboardInterrupt):
            planted.poll()
    assert SimulatedNvme.open(planted.folder).state().sanitize.status == "running"
    assert finish(planted) == "success"
    assert occurrences(planted.folder, PLANTED) == 0


def test_a_second_sanitize_is_refused_while_one_runs(planted: SimulatedNvme) -> None:
    start(planted)
    assert start(planted) is Verdict.SANITIZE_RUNNING


def test_a_crypto_erase_reaches_namespaces_that_are_not_attached(make_drive: Make) -> None:
    drive = make_drive(namespaces=(Namespace(nsid=1, blocks=4), Namespace(nsid=2, blocks=4)))
    drive.write(2, 0, PAGE)
    erase(drive)
    assert occurrences(drive.folder, PLANTED) == 0


# --- overwriting itself -------------------------------------------------------------------------------------


def overwrite(drive: SimulatedNvme, *, passes: int = 1, is_inverted: bool = False, keep: bool = True) -> str:
    verdict = drive.start_sanitize(
        OVERWRITE,
        command_dword=0x213,
        is_no_deallocate=keep,
        may_exit_failure=False,
        pattern=0x0123_4567,
        passes=passes,
        is_inverted=is_inverted,
    )
    assert verdict is Verdict.DONE
    return finish(drive)


@pytest.mark.parametrize(
    ("passes", "is_inverted", "word"),
    [(1, False, "67452301"), (2, False, "67452301"), (1, True, "67452301"), (2, True, "98badcfe")],
)
def test_an_overwrite_leaves_the_pattern_of_its_last_pass(
    make_drive: Make, passes: int, is_inverted: bool, word: str
) -> None:
    drive = make_drive(has_overwrite=True)
    drive.write(1, 0, PAGE)
    assert overwrite(drive, passes=passes, is_inverted=is_inverted) == "success"
    assert b"".join(logical_view(drive.folder)) == bytes.fromhex(word) * (256 * 1024)


def test_where_deallocation_is_allowed_an_overwritten_drive_reads_zero(make_drive: Make) -> None:
    drive = make_drive(has_overwrite=True)
    assert overwrite(drive, keep=False) == "success"
    assert set(b"".join(logical_view(drive.folder))) == {0}
    drive = make_drive(has_overwrite=True, deallocates=False)
    assert overwrite(drive, keep=False) == "success"
    assert drive.read(1, 0, 4096) == bytes.fromhex("67452301") * 1024


def test_an_overwrite_reaches_namespaces_that_are_not_attached(make_drive: Make) -> None:
    drive = make_drive(
        has_overwrite=True, namespaces=(Namespace(nsid=1, blocks=4), Namespace(nsid=2, blocks=4))
    )
    drive.write(2, 0, PAGE)
    overwrite(drive)
    assert occurrences(drive.folder, PLANTED) == 0


def test_a_drive_that_cannot_overwrite_refuses_it(make_drive: Make) -> None:
    drive = make_drive()
    verdict = drive.start_sanitize(
        OVERWRITE, command_dword=0x213, is_no_deallocate=True, may_exit_failure=False, pattern=1, passes=1
    )
    assert verdict is Verdict.INVALID_FIELD
