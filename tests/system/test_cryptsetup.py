"""Layers that the real cryptsetup made, on image drives: found, destroyed, refused, and back with a backup.

What needs the kernel's device-mapper is not here, because the machines that run these tests have none: no
mapping is opened, so that a mapping that stays readable until it is closed is not seen, and neither is data
written through one. In its place the volume key is asked for (`luksDump --dump-volume-key`), with which
anybody can read the data; one test does.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.devices import image_file
from agent.devices.block import BlockIo
from agent.techniques import luks
from agent.techniques.luks import FoundLayer
from certificate.messages import NamespaceReport
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import LayerKind
from tests.cryptsetup import PASSPHRASE, STIRRED, format_luks, must, opens, volume_key

pytestmark = pytest.mark.system

MIB = 1 << 20
SIZE = 48 * MIB
OTHER = b"battery staple"


@dataclass
class Image:
    """An image drive with a layer on it."""

    path: Path
    blocks: BlockIo

    @property
    def layout(self) -> tuple[NamespaceReport, ...]:
        return (
            NamespaceReport(
                nsid=1,
                capacity_bytes=self.path.stat().st_size,
                logical_block_bytes=512,
                is_attached=True,
            ),
        )

    def layer(self) -> FoundLayer:
        (found,) = luks.find(self.blocks, self.layout)
        return found

    def opens(self, passphrase: bytes = PASSPHRASE, *, data: Path | None = None) -> bool:
        return opens(self.path, passphrase, data=data)

    def destroy(self) -> tuple[Seen, Seen]:
        """As the agent does it; whether every copy differs, and whether a header is found again."""
        layer = self.layer()
        assert self.blocks.open_exclusively() is Seen.YES
        try:
            remembered = luks.remember(self.blocks, layer)
            luks.destroy(self.blocks, layer, random_bytes=os.urandom)
            compared = luks.compare(self.blocks, layer, remembered)
            return compared, luks.is_found(self.blocks, layer, self.layout)
        finally:
            self.blocks.close()


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "disk.img"
    path.touch(mode=0o600)
    os.truncate(path, SIZE)
    path.with_suffix(".json").write_text(json.dumps({"serial": "IMG-0001", "model": "An image"}))
    return Image(path, image_file.open_drive(path).blocks)


def add_key(image: Image, tmp_path: Path, new: bytes, *, kind: str = "luks2") -> None:
    new_file = tmp_path / "new.key"
    new_file.write_bytes(new)
    must("luksAddKey", *STIRRED[kind], "--key-file", "-", str(image.path), str(new_file))


def metadata(image: Image) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(must("luksDump", "--dump-json-metadata", str(image.path)))
    return said


def test_a_luks2_layer_reads_as_luksdump_says(image: Image, tmp_path: Path) -> None:
    format_luks(image.path)
    add_key(image, tmp_path, OTHER)
    add_key(image, tmp_path, b"a third")
    must("luksKillSlot", str(image.path), "1", "--key-file", "-")
    must("token", "add", "--key-description", "expunge:test", str(image.path))
    token = tmp_path / "token.json"
    token.write_text(json.dumps({"type": "test", "keyslots": ["0"], "nested": {"list": [1, "two", None]}}))
    must("token", "import", "--json-file", str(token), str(image.path))
    said = metadata(image)
    layer = image.layer()
    assert layer.kind is LayerKind.LUKS2
    assert (layer.key_slots, layer.tokens) == (len(said["keyslots"]), len(said["tokens"])) == (2, 2)
    assert layer.area_bytes == int(said["segments"]["0"]["offset"])
    areas = [slot["area"] for slot in said["keyslots"].values()]
    expected = {(int(area["offset"]), int(area["size"])) for area in areas}
    assert {(each.offset_bytes, each.length_bytes) for each in layer.stretches[:-1]} == expected
    assert layer.header_copies == 2
    assert not layer.is_detached


@pytest.mark.parametrize("size_kib", [16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
def test_both_headers_are_found_whatever_their_size(image: Image, size_kib: int) -> None:
    format_luks(
        image.path,
        "--luks2-metadata-size",
        f"{size_kib}k",
        "--luks2-keyslots-size",
        "4m",
        "--offset",
        "65536",
    )
    layer = image.layer()
    assert (layer.header_copies, layer.key_slots, layer.area_bytes) == (2, 1, 32 * MIB)


def test_a_luks1_layer_reads_as_luksdump_says(image: Image, tmp_path: Path) -> None:
    format_luks(image.path, kind="luks1")
    add_key(image, tmp_path, OTHER, kind="luks1")
    said = must("luksDump", str(image.path))
    layer = image.layer()
    assert layer.kind is LayerKind.LUKS1
    assert layer.key_slots == said.count("ENABLED") == 2
    payload = re.search(r"Payload offset:\s+(\d+)", said)
    assert payload
    assert layer.area_bytes == int(payload[1]) * 512
    places = {int(place) * 512 for place in re.findall(r"Key material offset:\s+(\d+)", said)}
    assert places <= {each.offset_bytes for each in layer.stretches}
    assert len(layer.stretches) == 8 + 1


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_after_its_keys_are_destroyed_no_right_passphrase_opens_a_layer(
    image: Image, tmp_path: Path, kind: str
) -> None:
    format_luks(image.path, kind=kind)
    add_key(image, tmp_path, OTHER, kind=kind)
    assert image.opens(PASSPHRASE)
    assert image.opens(OTHER)
    assert not image.opens(b"wrong")
    assert image.destroy() == (Seen.YES, Seen.NO)
    assert not image.opens(PASSPHRASE)
    assert not image.opens(OTHER)
    assert luks.find(image.blocks, image.layout) == ()


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_a_backup_of_the_header_opens_a_destroyed_layer_and_it_is_found_again(
    image: Image, tmp_path: Path, kind: str
) -> None:
    """Why destroying a layer's keys makes no medium erased: what is on the medium cannot tell of a backup."""
    format_luks(image.path, kind=kind)
    layer = image.layer()
    backup = tmp_path / "header.backup"
    must("luksHeaderBackup", str(image.path), "--header-backup-file", str(backup))
    remembered = luks.remember(image.blocks, layer)
    assert image.destroy() == (Seen.YES, Seen.NO)
    assert not image.opens()
    must("luksHeaderRestore", str(image.path), "--header-backup-file", str(backup))
    assert image.opens()
    assert luks.is_found(image.blocks, layer, image.layout) is Seen.YES
    assert luks.compare(image.blocks, layer, remembered) is Seen.NO


def test_the_data_are_as_readable_after_a_backup_comes_back_as_before(image: Image, tmp_path: Path) -> None:
    format_luks(image.path, "--sector-size", "512")
    data_offset = image.layer().area_bytes
    key = volume_key(image.path, tmp_path / "volume.key")
    assert key is not None
    secret = b"a tenant's own words".ljust(512, b".")
    first_sector = Cipher(algorithms.AES(key), modes.XTS(bytes(16)))
    with image.path.open("r+b") as file:
        file.seek(data_offset)
        file.write(first_sector.encryptor().update(secret))
    backup = tmp_path / "header.backup"
    must("luksHeaderBackup", str(image.path), "--header-backup-file", str(backup))
    assert image.destroy() == (Seen.YES, Seen.NO)
    assert volume_key(image.path, tmp_path / "volume.key") is None
    must("luksHeaderRestore", str(image.path), "--header-backup-file", str(backup))
    again = volume_key(image.path, tmp_path / "volume.key")
    assert again == key
    with image.path.open("rb") as file:
        file.seek(data_offset)
        found = file.read(512)
    assert Cipher(algorithms.AES(again), modes.XTS(bytes(16))).decryptor().update(found) == secret


def test_a_layer_whose_first_header_is_damaged_is_found_and_destroyed(image: Image) -> None:
    format_luks(image.path)
    with image.path.open("r+b") as file:
        file.write(bytes(4096))
    layer = image.layer()
    assert (layer.offset_bytes, layer.header_copies, layer.key_slots) == (0, 1, 1)
    kept = image.path.read_bytes()
    assert image.opens(), "cryptsetup mends the first header from the second"
    image.path.write_bytes(kept)
    assert image.destroy() == (Seen.YES, Seen.NO)
    assert not image.opens()


def test_a_second_header_alone_would_open_a_layer_whose_first_one_was_wiped(image: Image) -> None:
    """What is lost where only the first header is destroyed, and what `is_found` is for."""
    format_luks(image.path)
    layer = image.layer()
    with image.path.open("r+b") as file:
        file.write(os.urandom(0x4000))
    assert luks.is_found(image.blocks, layer, image.layout) is Seen.YES
    assert image.opens()


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_a_header_that_lies_apart_from_its_data_is_marked_and_destroyed(
    image: Image, tmp_path: Path, kind: str
) -> None:
    data = tmp_path / "data"
    data.touch()
    os.truncate(data, SIZE)
    header = str(image.path)
    must("luksFormat", "--type", kind, *STIRRED[kind], "--header", header, str(data), "--key-file", "-")
    layer = image.layer()
    assert layer.is_detached
    assert layer.key_slots == 1
    assert image.opens(data=data)
    assert image.destroy() == (Seen.YES, Seen.NO)
    assert not image.opens(data=data)


def test_cryptsetups_own_erase_leaves_a_layer_that_is_still_named(image: Image) -> None:
    format_luks(image.path)
    must("luksErase", str(image.path))
    layer = image.layer()
    assert (layer.header_copies, layer.key_slots, layer.area_bytes) == (2, 0, 16 * MIB)
    assert image.destroy() == (Seen.YES, Seen.NO)


def test_a_layer_in_the_middle_of_being_reencrypted_is_destroyed_with_all_its_slots(image: Image) -> None:
    format_luks(image.path, "--sector-size", "512")
    must("reencrypt", "--init-only", *STIRRED["luks2"], "--key-file", "-", str(image.path))
    said = metadata(image)
    layer = image.layer()
    assert layer.key_slots == len(said["keyslots"]) >= 3
    assert image.destroy() == (Seen.YES, Seen.NO)
    assert not image.opens()
