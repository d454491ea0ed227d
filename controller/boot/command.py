"""Starting the erase environment by a command of the provider's.

Rules: the configuration and the secret travel as files, 0600, named by the placeholders {config} and
{secret}, because arguments can be read by every process of the machine; both must be in the start command,
neither in the stop command; the command must have read them before it ends, because the secret's file is
deleted then, whatever the outcome. The boot trust is configured beside the command by whoever knows what it
does; unless it really delivers by virtual media, the secret proves less, and the claim is capped accordingly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificate.errors import Refused
from certificate.statements.vocabulary import BootTrust
from controller.boot import StartRequest
from controller.boot.configuration import SECRET_BYTES
from controller.command_template import CommandTemplate
from controller.errors import Code
from controller.target import Target

HANDED_OVER = frozenset({"config", "secret"})


@dataclass(frozen=True, kw_only=True)
class CommandBoot:
    """A `BootDriver` whose two acts are commands. Raises Refused(TEMPLATE_INVALID)."""

    start_command: CommandTemplate
    stop_command: CommandTemplate
    boot_trust: BootTrust

    def __post_init__(self) -> None:
        if missing := HANDED_OVER - self.start_command.placeholders:
            raise Refused(Code.TEMPLATE_INVALID, f"the boot command does not name {sorted(missing)}")
        if present := HANDED_OVER & self.stop_command.placeholders:
            raise Refused(Code.TEMPLATE_INVALID, f"the stop command names {sorted(present)}")

    def start(self, request: StartRequest) -> None:
        if len(request.secret) != SECRET_BYTES:
            raise ValueError(f"a boot secret has {SECRET_BYTES} bytes")
        config = request.directory / "boot.dsse.json"
        with _private_file(request.directory / "boot.secret", request.secret) as secret:
            _write_private(config, request.configuration)
            self.start_command.run({**request.target.values, "config": str(config), "secret": str(secret)})

    def stop(self, target: Target) -> None:
        self.stop_command.run(target.values)


@contextmanager
def _private_file(path: Path, content: bytes) -> Iterator[Path]:
    _write_private(path, content)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    """A fresh file, 0600: what lay there is removed first, so that no old mode and no link survives."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
