"""A simulated plain drive: blocks to read and write, a description, and no erase command at all.

Rules: as `core`; what it says of itself is asked anew each time; a drive that is silent or without power says
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from agent.devices.simulated.core import DriveCore, open_media
from agent.devices.simulated.faults import Fault, read_faults
from agent.devices.simulated.media import Media, Random
from agent.devices.simulated.state import PLAIN, Namespace, Sanitize, State
from agent.errors import Code
from certificate.errors import Malformed


class SimulatedPlain(DriveCore):
    """One plain drive in a folder; any number of processes may open it. Its blocks are namespace 1's."""

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        serial: str,
        model: str,
        firmware: str,
        capacity_bytes: int,
        random: Random,
        faults: Iterable[Fault | str] = (),
        attachment: str = "internal",
        block_bytes: int = 512,
    ) -> Self:
        """A new drive over `capacity_bytes`."""
        blocks, remainder = divmod(capacity_bytes, block_bytes)
        if block_bytes not in (512, 4096) or remainder or blocks < 1:
            raise ValueError("a drive has whole blocks of 512 or 4096 bytes")
        state = State(
            kind=PLAIN,
            serial=serial,
            model=model,
            firmware=firmware,
            attachment=attachment,
            block_bytes=block_bytes,
            namespaces=(Namespace(nsid=1, blocks=blocks, lba_format=0),),
            unallocated_bytes=0,
            has_crypto_erase=False,
            has_block_erase=False,
            has_overwrite=False,
            has_format=False,
            format_attributes=0,
            inhibits_no_deallocate=False,
            deallocates=False,
            sanitize_polls=0,
            sanitize=Sanitize(),
            sanitizes_begun=0,
            formats_begun=0,
            is_global_data_erased=True,
            blocks_written=0,
            is_powered=True,
            power_cycles=0,
            power_losses=0,
            faults=read_faults(faults),
        )
        return cls(Media.create(folder, state, random=random))

    @classmethod
    def open(cls, folder: Path, *, random: Random = os.urandom) -> Self:
        """Raises Malformed(IMAGE_INVALID) when the folder holds no simulated plain drive."""
        opened = cls(open_media(folder, random=random))
        if (kind := opened.state().kind) != PLAIN:
            raise Malformed(Code.IMAGE_INVALID, f"{folder.name} holds a {kind} drive")
        return opened

    def describe(self) -> State:
        """What it says of itself now. Raises Unanswered. A dead one still says who it is."""
        with self._media.locked():
            return self._answering()
