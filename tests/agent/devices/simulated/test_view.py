from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices.simulated import SimulatedNvme, hidden_occurrences, logical_view, occurrences
from certificate.errors import Malformed

Make = Callable[..., SimulatedNvme]


def test_the_view_is_every_block_in_order(make_drive: Make) -> None:
    drive = make_drive(capacity_bytes=600 * 4096)
    drive.write(1, 599 * 4096, b"z" * 4096)
    view = b"".join(logical_view(drive.folder))
    assert view == bytes(599 * 4096) + b"z" * 4096


def test_text_is_found_across_chunks_and_counted_once(make_drive: Make) -> None:
    drive = make_drive(capacity_bytes=600 * 4096)
    page = bytearray(8192)
    page[4090:4102] = b"planted text"
    drive.write(1, 255 * 4096, bytes(page))
    assert occurrences(drive.folder, b"planted text") == 1


def test_the_view_looks_past_a_sanitize_that_runs(make_drive: Make) -> None:
    drive = make_drive()
    drive.write(1, 0, b"z" * 4096)
    drive.start_sanitize("crypto", command_dword=4, is_no_deallocate=True, may_exit_failure=False)
    assert occurrences(drive.folder, b"z" * 4096) == 1


def test_nothing_to_look_for_is_refused(make_drive: Make) -> None:
    with pytest.raises(ValueError, match="nothing to look for"):
        occurrences(make_drive().folder, b"")


def test_hidden_cells_are_looked_at_apart(make_drive: Make) -> None:
    drive = make_drive(faults=("keeps_hidden",))
    drive.write(1, 0, b"z" * 4096)
    assert hidden_occurrences(drive.folder, b"z" * 4096) == 0
    drive.write(1, 0, b"y" * 4096)
    assert hidden_occurrences(drive.folder, b"z" * 4096) == 1
    assert occurrences(drive.folder, b"z" * 4096) == 0
    with pytest.raises(ValueError, match="nothing to look for"):
        hidden_occurrences(drive.folder, b"")


def test_a_folder_without_a_drive_has_no_view(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        next(iter(logical_view(tmp_path)))


def test_a_full_drive_of_32_mebibytes_is_read_in_seconds(make_drive: Make) -> None:
    drive = make_drive(capacity_bytes=32 << 20)
    for start in range(0, 32 << 20, 1 << 20):
        drive.write(1, start, b"f" * (1 << 20))
    began = time.monotonic()
    assert sum(len(chunk) for chunk in logical_view(drive.folder)) == 32 << 20
    assert time.monotonic() - began < 10  # about 0.4 s here; a loaded machine may take longer
