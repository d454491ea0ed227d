"""Places besides drives that may hold data, and whether they were looked at.

Rules: every name of the vocabulary has its entry; `checked` means that the place was looked at from here and
is empty or not there, by every sign this system has of it; nothing is cleared here. A card or a firmware
setting that no driver shows is not thereby absent: it stays `not_covered`.
"""

from __future__ import annotations

from pathlib import Path

from agent.devices.topology import text
from certificate.messages import HostFactReport
from certificate.statements.vocabulary import ResidueName, ResidueState


def residue(*, is_images_only: bool, sys_root: Path = Path("/sys")) -> tuple[HostFactReport, ...]:
    """Every place and its state. On images nothing of the machine is looked at."""
    states = dict.fromkeys(ResidueName, ResidueState.NOT_COVERED)
    if not is_images_only:
        if _is_mounted_and_empty(sys_root / "fs/pstore"):
            states[ResidueName.PSTORE] = ResidueState.CHECKED
        if _has_no_nvdimm(sys_root):
            states[ResidueName.NVDIMM] = ResidueState.CHECKED
    return tuple(HostFactReport(kind=name.value, value=state.value) for name, state in states.items())


def _is_mounted_and_empty(folder: Path) -> bool:
    try:
        return folder.is_mount() and not any(folder.iterdir())
    except OSError:
        return False


def _has_no_nvdimm(sys_root: Path) -> bool:
    """Three signs, all of which must be readable: no device on the kernel's bus, no table of the firmware
    (ACPI 6.4, 5.2.25, NFIT), and no range of memory that the firmware calls persistent.
    """
    try:
        is_bus_empty = not any((sys_root / "bus/nd/devices").iterdir())
        tables = {entry.name for entry in (sys_root / "firmware/acpi/tables").iterdir()}
        ranges = [text(entry / "type") for entry in (sys_root / "firmware/memmap").iterdir()]
    except OSError:
        return False
    has_range = any("persistent" in kind.lower() or not kind for kind in ranges)
    has_table = any(name.startswith("NFIT") for name in tables)
    return is_bus_empty and bool(tables) and not has_table and bool(ranges) and not has_range
