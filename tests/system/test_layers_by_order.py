"""Whole orders over drives on which the real cryptsetup made layers, and what may be claimed of them.

The layer's own data were encrypted with the volume key that cryptsetup told, since without device-mapper no
mapping can be opened; so "the data can be read" is shown and not inferred.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.world import World
from certificate.messages import JournalLine
from certificate.statements import Evidence, Seen
from certificate.statements.evidence import Layer
from certificate.statements.outcome import Claim
from tests.cryptsetup import format_luks, must, opens, volume_key
from tests.lab import FakeTime, Lab, quick_world

pytestmark = pytest.mark.system

MIB = 1 << 20
SIZE = 24 * MIB
SERIAL = "IMG-0001"
SECRET = b"a tenant's own words".ljust(512, b".")
#: Behind all that is destroyed of either kind of layer.
SECRET_AT = 18 * MIB


@dataclass
class Bench:
    """A machine with one image drive, whose layer holds a secret; `backup`: of its header, kept elsewhere."""

    lab: Lab
    path: Path
    backup: Path
    data_offset: int

    def encrypted(self, key: bytes) -> Cipher[modes.XTS]:
        """As dm-crypt does that sector of its data (aes-xts-plain64)."""
        sector = (SECRET_AT - self.data_offset) // 512
        return Cipher(algorithms.AES(key), modes.XTS(sector.to_bytes(16, "little")))

    def plant(self) -> None:
        key = volume_key(self.path, self.backup.with_suffix(".key"))
        assert key is not None
        with self.path.open("r+b") as file:
            file.seek(SECRET_AT)
            file.write(self.encrypted(key).encryptor().update(SECRET))

    def read(self) -> bytes | None:
        """The secret's place, decrypted; None where the passphrase opens nothing."""
        key = volume_key(self.path, self.backup.with_suffix(".key"))
        if key is None:
            return None
        with self.path.open("rb") as file:
            file.seek(SECRET_AT)
            return self.encrypted(key).decryptor().update(file.read(512))

    def restore(self) -> None:
        must("luksHeaderRestore", str(self.path), "--header-backup-file", str(self.backup))

    def obey(
        self,
        *,
        after: Callable[[JournalLine], None] | None = None,
        may_ack: Callable[[JournalLine], bool] = lambda line: True,
        world: World | None = None,
    ) -> tuple[Layer, Evidence, Claim]:
        """An order for all of the machine; what was seen of its layer, and what may be claimed."""
        order = self.lab.accept()
        self.lab.run(order, after=after, may_ack=may_ack, world=world or quick_world())
        evidence = self.lab.evidence(order)
        (entry,) = evidence.media
        (layer,) = entry.layers
        return layer, evidence, self.lab.claim(order, SERIAL)


@pytest.fixture(params=["luks1", "luks2"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = tmp_path / "lab"
    folder.mkdir()
    lab = Lab(folder)
    lab.floor = "clear"
    path = lab.add_image(SERIAL, os.urandom(SIZE))
    format_luks(path, *(("--sector-size", "512") if request.param == "luks2" else ()), kind=request.param)
    backup = tmp_path / "header.backup"
    must("luksHeaderBackup", str(path), "--header-backup-file", str(backup))
    found = Bench(lab, path, backup, data_offset=2 * MIB if request.param == "luks1" else 16 * MIB)
    found.plant()
    assert found.read() == SECRET
    lab.boot()
    yield found
    lab.close()


def test_a_layer_is_destroyed_and_the_drive_beneath_overwritten_and_read_back(bench: Bench) -> None:
    layer, _, claim = bench.obey()
    assert layer.every_copy_differs is layer.was_flushed is Seen.YES
    assert layer.is_found_after is Seen.NO
    assert (claim.result.value, claim.method.value, claim.grade.value) == (
        "erased",
        "clear",
        "marker-proven",
    )
    assert not opens(bench.path)
    bench.restore()
    assert opens(bench.path), "the backup is what it was; no certificate said otherwise"
    assert bench.read() != SECRET, "and nothing is left for it to open"


def test_a_drive_of_which_only_the_layer_was_destroyed_is_not_erased_because_a_backup_opens_it(
    bench: Bench,
) -> None:
    time = FakeTime()
    world = World(clock=time.clock, now=lambda: datetime.now(UTC), pause=time.pause, random_bytes=os.urandom)
    layer, evidence, claim = bench.obey(may_ack=lambda line: line.step.startswith("layer:"), world=world)
    assert layer.every_copy_differs is layer.was_flushed is Seen.YES
    assert layer.is_found_after is Seen.NO
    assert evidence.media[0].commands == ()
    assert not opens(bench.path)
    assert claim.result.value != "erased"
    bench.restore()
    assert bench.read() == SECRET


def test_a_header_that_comes_back_before_the_last_look_is_seen(bench: Bench) -> None:
    """As of a drive that keeps what it was told to forget. cryptsetup would wait for the agent's lock."""

    def after(line: JournalLine) -> None:
        if line.kind == "ended":
            with bench.path.open("r+b") as file:
                file.write(bench.backup.read_bytes())
                os.fsync(file.fileno())

    layer, _, claim = bench.obey(after=after)
    assert layer.every_copy_differs is Seen.YES
    assert layer.is_found_after is Seen.YES
    assert opens(bench.path)
    assert claim.result.value != "erased"
