"""One rented server of the laboratory: what identifies it, its drives, its ports, its machine."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from demo.disks import Disk
from demo.lab import Lab, free_port


class Server:
    """A server and its drives, filled with its tenant's text by `build`."""

    def __init__(self, lab: Lab, name: str, *, text: str, disks: Sequence[Disk]) -> None:
        self.name = name
        self.folder = lab.folder / name
        self.customer = f"customer of {name}"
        self.disks = tuple(disks)
        self.tenant_front, self.tenant_back, self.ssh_port = free_port(), free_port(), free_port()
        self.text = text.encode()
        self.drives, self.shelf = self.folder / "drives", self.folder / "shelf"
        self.drives.mkdir(parents=True)
        self.shelf.mkdir()
        self.facts = {
            "chassis_serial": f"CH{secrets.token_hex(5).upper()}",
            "board_serial": f"BD{secrets.token_hex(5).upper()}",
            "dmi_uuid": secrets.token_hex(16),
            "bmc_mac": "02:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(5)),
        }

    def build(self) -> tuple[str, ...]:
        """Makes the drives; says what is on each."""
        (self.folder / "facts.json").write_text(json.dumps(self.facts))
        return tuple(disk.build(self.drives, self.text) for disk in self.disks)

    def occurrences(self) -> int:
        """How often the tenant's text stands on the drives that are in the server."""
        inside = [disk for disk in self.disks if disk.is_in(self.drives)]
        return sum(disk.occurrences(self.drives, self.text) for disk in inside)

    def start(self, lab: Lab, *, trust_root: Path) -> None:
        lab.start(
            f"machine-{self.name}",
            *(sys.executable, "-m", "demo.machine", "serve", "--folder", str(self.folder)),
            *("--tenant-port", str(self.tenant_back), "--ssh-port", str(self.ssh_port)),
            *("--trust-root", str(trust_root)),
        )
