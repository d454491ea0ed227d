"""Which machine this is, so that a database carried to another one is noticed (DESIGN.md, rule 7).

Rules: systemd's machine-id where there is one, else the host name, which a restored disk usually does not
bring along; hashed for us, because a machine-id must not be shown to strangers (machine-id(5)).

KNOWN GAP: a whole machine restored from an image keeps both; then only the anchor on another disk tells.
"""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def machine_id(files: tuple[Path, ...] = MACHINE_ID_FILES) -> str:
    """64 hexadecimal digits: the same on this machine, another elsewhere."""
    for path in files:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return _digest(f"machine-id {text}")
    return _digest(f"host-name {socket.gethostname()}")


def _digest(text: str) -> str:
    return hashlib.sha256(f"expunge-machine/v1\n{text}".encode()).hexdigest()
