from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent import inventory
from certificate.statements.vocabulary import ResidueName


def states(root: Path, *, is_images_only: bool = False) -> dict[str, str]:
    return {each.kind: each.value for each in inventory.residue(is_images_only=is_images_only, sys_root=root)}


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_no_place_is_missing_and_what_nobody_looked_at_is_not_covered(tmp_path: Path) -> None:
    for is_images_only in (True, False):
        seen = states(tmp_path, is_images_only=is_images_only)
        assert set(seen) == {name.value for name in ResidueName}
        assert set(seen.values()) == {"not_covered"}


def test_pstore_is_checked_only_when_it_is_mounted_and_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fs/pstore"
    folder.mkdir(parents=True)
    assert states(tmp_path)["pstore"] == "not_covered"
    monkeypatch.setattr(Path, "is_mount", lambda path: path == folder)
    assert states(tmp_path)["pstore"] == "checked"
    assert states(tmp_path, is_images_only=True)["pstore"] == "not_covered"
    (folder / "dmesg-efi-1").touch()
    assert states(tmp_path)["pstore"] == "not_covered"


@pytest.fixture
def without_nvdimm(tmp_path: Path) -> Path:
    (tmp_path / "bus/nd/devices").mkdir(parents=True)
    put(tmp_path / "firmware/acpi/tables/FACP")
    put(tmp_path / "firmware/memmap/0/type", "System RAM")
    return tmp_path


def test_where_every_sign_says_that_there_is_no_nvdimm_it_is_checked(without_nvdimm: Path) -> None:
    assert states(without_nvdimm)["nvdimm"] == "checked"
    assert states(without_nvdimm, is_images_only=True)["nvdimm"] == "not_covered"


def show_device(root: Path) -> None:
    put(root / "bus/nd/devices/region0")


def show_table(root: Path) -> None:
    put(root / "firmware/acpi/tables/NFIT")


def show_range(root: Path) -> None:
    put(root / "firmware/memmap/1/type", "Persistent Memory (legacy)")


def show_unknown_range(root: Path) -> None:
    put(root / "firmware/memmap/1/type", "")


def hide_bus(root: Path) -> None:
    (root / "bus/nd/devices").rmdir()


def hide_tables(root: Path) -> None:
    (root / "firmware/acpi/tables/FACP").unlink()


def hide_ranges(root: Path) -> None:
    (root / "firmware/memmap").rename(root / "elsewhere")


@pytest.mark.parametrize(
    "change",
    [show_device, show_table, show_range, show_unknown_range, hide_bus, hide_tables, hide_ranges],
)
def test_one_sign_that_differs_or_cannot_be_read_leaves_nvdimm_not_covered(
    without_nvdimm: Path, change: Callable[[Path], None]
) -> None:
    change(without_nvdimm)
    assert states(without_nvdimm)["nvdimm"] == "not_covered"
