"""Files that outlive a kill: written whole or not at all.

Rules: a file is written beside its name, synced, renamed over it, and its folder synced, so a reader finds
the old text or the new one and never a half; what is written here is for the agent's own user only.
"""

from __future__ import annotations

import os
from pathlib import Path

OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700


def sync_folder(folder: Path) -> None:
    """Returns when the folder's own entries (names, renames, removals) are durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, *, mode: int = OWNER_ONLY) -> None:
    """`path` holds exactly `data` when this returns, after any crash from then on."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """A folder of the agent's own, durable; nothing happens when it is there."""
    folder.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
    sync_folder(folder.parent)
