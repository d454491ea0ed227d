from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.devices.simulated import SimulatedNvme
from agent.devices.simulated.state import State
from agent.errors import Code
from certificate.errors import Malformed

Make = Callable[..., SimulatedNvme]


def test_ciphertext_is_xts_aes_256_with_the_block_number_as_tweak(make_drive: Make) -> None:
    drive = make_drive()
    drive.write(1, 5 * 4096, b"p" * 4096)
    key = (drive.folder / "media.key").read_bytes()
    assert len(key) == 64
    cells = (drive.folder / "media.bin").read_bytes()
    cipher = Cipher(algorithms.AES(key), modes.XTS(bytes([5]) + bytes(15)))
    assert cipher.decryptor().update(cells[5 * 4096 : 6 * 4096]) == b"p" * 4096


def test_ieee_1619_vector_10_stands_in_the_cells(make_drive: Make) -> None:
    """XTS-AES-256 of the bytes 00h to FFh twice, data unit FFh: IEEE Std 1619-2007, annex B, vector 10."""
    drive = make_drive(block_bytes=512, capacity_bytes=256 * 512)
    (drive.folder / "media.key").write_bytes(
        bytes.fromhex(
            "2718281828459045235360287471352662497757247093699959574966967627"
            "3141592653589793238462643383279502884197169399375105820974944592"
        )
    )
    drive.write(1, 255 * 512, bytes(range(256)) * 2)
    cells = (drive.folder / "media.bin").read_bytes()
    assert cells[255 * 512 :][:16] == bytes.fromhex("1c3b3a102f770386e4836c99e370cf9b")


def test_a_state_reads_back_as_it_was_written(make_drive: Make) -> None:
    state = make_drive(faults=("lies", "hangs"), unallocated_bytes=4096).state()
    assert State.read(state.write()) == state


@pytest.mark.parametrize(
    "change",
    [
        {"format": "expunge-simulated-drive/1"},
        {"faults": ["lys"]},
        {"kind": "tape"},
        {"serial": None, "surprise": 1},
        {"namespaces": [{"nsid": 1}]},
        {"sanitize": {"status": "never", "surprise": 1}},
        {"namespaces": None},
    ],
)
def test_a_state_that_is_not_ours_is_refused(make_drive: Make, change: dict[str, Any]) -> None:
    raw = json.loads(make_drive().state().write()) | change
    with pytest.raises(Malformed) as refusal:
        State.read(json.dumps(raw).encode())
    assert refusal.value.code is Code.IMAGE_INVALID


@pytest.mark.parametrize(
    "name",
    [
        "state.json",
        "media.bin",
        "media.key",
        "mapped.bin",
        "hidden.bin",
        "hidden.key",
        "lock",
        "claim",
    ],
)
def test_a_folder_that_lacks_a_file_is_no_drive(make_drive: Make, name: str) -> None:
    folder = make_drive().folder
    (folder / name).unlink()
    with pytest.raises(Malformed) as refusal:
        SimulatedNvme.open(folder)
    assert refusal.value.code is Code.IMAGE_INVALID
    assert name in refusal.value.reason


@pytest.mark.parametrize("name", ["media.bin", "media.key", "lock", "claim"])
def test_a_link_to_something_else_is_no_drive(make_drive: Make, tmp_path: Path, name: str) -> None:
    folder = make_drive().folder
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(Malformed, match="not a plain file"):
        SimulatedNvme.open(folder)


def test_a_key_of_another_length_is_refused(make_drive: Make) -> None:
    drive = make_drive()
    (drive.folder / "media.key").write_bytes(bytes(32))
    with pytest.raises(Malformed, match="32 bytes"):
        drive.read(1, 0, 4096)


def test_a_media_file_cut_short_is_a_read_error(make_drive: Make) -> None:
    drive = make_drive()
    with (drive.folder / "media.bin").open("r+b") as cells:
        cells.truncate(4096)
    with pytest.raises(OSError, match="ends here"):
        drive.read(1, 4096, 4096)


def test_a_drive_is_never_made_over_another(make_drive: Make) -> None:
    drive = make_drive()
    with pytest.raises(FileExistsError):
        SimulatedNvme.create(
            drive.folder, serial="S", model="M", firmware="1", capacity_bytes=4096, random=os.urandom
        )
