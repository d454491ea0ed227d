"""A drive of blocks, without a word about erasing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.devices.simulated import (
    NVME,
    PLAIN,
    Fault,
    SimulatedNvme,
    SimulatedPlain,
    kind_of,
    logical_view,
    occurrences,
)
from certificate.errors import Malformed

Make = Callable[..., SimulatedNvme]
BLOCKS = 64


@pytest.fixture
def plain(tmp_path: Path) -> SimulatedPlain:
    return make(tmp_path)


def make(folder: Path, **given: Any) -> SimulatedPlain:
    wanted: dict[str, Any] = {
        "serial": "PLAIN-1",
        "model": "Simulated disk",
        "firmware": "1.0",
        "capacity_bytes": BLOCKS * 512,
        "random": os.urandom,
        **given,
    }
    return SimulatedPlain.create(folder / "plain", **wanted)


def test_it_reads_what_was_written_and_zero_before(plain: SimulatedPlain) -> None:
    plain.write(1, 512, b"x" * 1024)
    assert plain.read(1, 0, 2048) == bytes(512) + b"x" * 1024 + bytes(512)
    assert SimulatedPlain.open(plain.folder).read(1, 512, 1024) == b"x" * 1024


def test_its_blocks_are_those_of_namespace_1(plain: SimulatedPlain) -> None:
    with pytest.raises(OSError, match="no namespace 2"):
        plain.read(2, 0, 512)
    with pytest.raises(OSError, match="no blocks of namespace 1"):
        plain.read(1, BLOCKS * 512, 512)


def test_a_pass_over_it_leaves_nothing(plain: SimulatedPlain) -> None:
    plain.write(1, 0, b"planted!" * 64 * BLOCKS)
    assert occurrences(plain.folder, b"planted!") == 64 * BLOCKS
    plain.write(1, 0, bytes(BLOCKS * 512))
    assert set(b"".join(logical_view(plain.folder))) == {0}


def test_data_rests_only_as_ciphertext(plain: SimulatedPlain) -> None:
    plain.write(1, 0, b"planted!" * 64)
    assert b"planted!" not in b"".join(path.read_bytes() for path in plain.folder.iterdir())


def test_it_says_of_itself_what_it_is(plain: SimulatedPlain) -> None:
    state = plain.describe()
    assert (state.serial, state.model, state.firmware) == ("PLAIN-1", "Simulated disk", "1.0")
    assert (state.capacity_bytes, state.block_bytes) == (BLOCKS * 512, 512)


def test_it_is_one_drive_to_whoever_opens_it(plain: SimulatedPlain) -> None:
    other = SimulatedPlain.open(plain.folder)
    assert plain.claim()
    assert not other.claim()
    other.set_faults((Fault.DROPS_WRITES,))
    plain.write(1, 0, b"x" * 512)
    assert other.read(1, 0, 512) == bytes(512)
    plain.release()


def test_a_folder_knows_its_kind_and_is_opened_as_no_other(plain: SimulatedPlain, make_drive: Make) -> None:
    nvme = make_drive()
    assert (kind_of(plain.folder), kind_of(nvme.folder)) == (PLAIN, NVME)
    with pytest.raises(Malformed, match="holds a plain drive"):
        SimulatedNvme.open(plain.folder)
    with pytest.raises(Malformed, match="holds a nvme drive"):
        SimulatedPlain.open(nvme.folder)


@pytest.mark.parametrize("given", [{"capacity_bytes": 1000}, {"capacity_bytes": 0}, {"block_bytes": 520}])
def test_a_drive_has_whole_blocks(tmp_path: Path, given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        make(tmp_path, **given)
