"""The forms of a host's names and addresses, wherever one enters: a command, a file, a question."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

#: A name that also stands in command lines and file names of the provider's.
AssetTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,119}$")]
#: `127.0.0.1:22`, `[::1]:22`, `host-1.example:22`.
AgentAddress = Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


def split_address(address: str) -> tuple[str, int]:
    """Host without brackets, and port, of an `AgentAddress`."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    """As `AgentAddress` writes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
