"""A demonstration's look at a simulated drive from outside: what would a reader find there?

Read-only, past every status and fault of the drive, and whatever kind of drive it is. Of all this the agent
uses only `kind_of`, to know which driver opens a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agent.devices.simulated.core import DriveCore, open_media


def logical_view(folder: Path) -> Iterator[bytes]:
    """All blocks as they would read now, in order, in chunks of whole blocks. 32 MiB takes about 0.3 s.

    Raises Malformed(IMAGE_INVALID) when the folder holds no simulated drive.
    """
    yield from DriveCore(open_media(folder, random=os.urandom)).logical_view()


def kind_of(folder: Path) -> str:
    """`state.NVME` or `state.PLAIN`. Raises Malformed(IMAGE_INVALID) as `logical_view`."""
    return DriveCore(open_media(folder, random=os.urandom)).state().kind


def hidden_occurrences(folder: Path, text: bytes) -> int:
    """How often `text` is found in cells that no command addresses. Raises as `logical_view`."""
    if not text:
        raise ValueError("nothing to look for")
    return DriveCore(open_media(folder, random=os.urandom)).hidden_view().count(text)


def occurrences(folder: Path, text: bytes) -> int:
    """How often `text` is found in the logical view, also across chunks."""
    if not text:
        raise ValueError("nothing to look for")
    found, tail = 0, b""
    for chunk in logical_view(folder):
        window = tail + chunk
        found += window.count(text)
        tail = window[-(len(text) - 1) :] if len(text) > 1 else b""
    return found
