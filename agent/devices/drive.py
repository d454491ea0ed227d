"""A drive in the hand, whatever its interface: its identity, its class, its blocks.

Rules: a driver decides nothing; the device class is the driver's own word for what it opens; blocks are
addressed by namespace, and a drive that knows none has one, number 1, over all it can address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agent.devices.block import BlockIo
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

#: The number of the only namespace of a drive that has no namespaces.
WHOLE = 1


@dataclass(frozen=True, kw_only=True)
class DriveIdentity:
    """What must be the same before and after a command."""

    serial_number: str
    model_number: str
    capacity_bytes: int


class Drive(Protocol):
    """One whole drive."""

    @property
    def name(self) -> str:
        """How this machine calls it; stands in no signed document."""
        ...

    @property
    def transport_name(self) -> Transport: ...

    @property
    def attachment(self) -> Attachment: ...

    @property
    def device_class(self) -> DeviceClass: ...

    @property
    def blocks(self) -> BlockIo: ...

    def identity(self) -> DriveIdentity:
        """As the drive says now. Raises DeviceError or Malformed when it does not answer as it should."""
        ...


@runtime_checkable
class Protectable(Protocol):
    """A plain drive that can say whether it may be written to (NVMe says it for each namespace)."""

    def is_write_protected(self) -> bool:
        """As the drive says now. Raises DeviceError when it does not say."""
        ...
