"""A host as the provider's own systems know it: what a switch or a management controller is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Target:
    """`parameters` come from the host's record, by name (switch port, BMC address)."""

    host: str
    site: str
    rack: str
    parameters: Mapping[str, str]

    @property
    def values(self) -> dict[str, str]:
        """What placeholders of a command may name. A parameter never replaces the host's own fields."""
        return {**self.parameters, "host": self.host, "site": self.site, "rack": self.rack}
