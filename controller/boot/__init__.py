"""Starting a host in the erase environment, and knowing that what answers is what we started.

The promise of every driver: `start` hands over the configuration and the single-use secret and gives the
order to boot; it returns when the order was given, not when the host is up (that is seen when its agent
proves the secret, `proof`). `stop` ends the erase environment. Both may be repeated. `boot_trust` is how the
machine comes up by this driver and caps what may be claimed (FORMATS.md); it is the driver's property, never
the host's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from certificate.statements.vocabulary import BootTrust
from controller.target import Target


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """One start of one host.

    `configuration` is public and signed; `secret` is 32 bytes that nobody else may see. `directory` is ours
    alone (0700), one for each start; the driver writes there what it must hand over as files.
    """

    target: Target
    configuration: bytes
    secret: bytes
    directory: Path


class BootDriver(Protocol):
    """Virtual media, network boot, or a command of the provider's."""

    @property
    def boot_trust(self) -> BootTrust: ...

    def start(self, request: StartRequest) -> None:
        """Raises Refused (nothing was done) or Unanswered (start again, with a new secret)."""
        ...

    def stop(self, target: Target) -> None:
        """Raises as `start`."""
        ...


__all__ = ["BootDriver", "StartRequest", "Target"]
