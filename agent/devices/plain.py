"""A drive that reads and writes blocks and has no erase command of its own.

Rules: it has one namespace, number 1, over all it can address; what it says of itself is asked anew each
time, so that another drive in its place is found out; the class is the word of whoever opened it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.devices.block import BlockIo
from agent.devices.drive import DriveIdentity
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport


@dataclass(frozen=True, kw_only=True)
class PlainDescription:
    """What the drive, or whatever describes it, says now. `manufacturer`, `model_number` and `firmware` are
    empty where nothing is said.
    """

    serial_number: str
    manufacturer: str
    model_number: str
    firmware: str
    capacity_bytes: int
    logical_block_bytes: int
    is_write_protected: bool


#: Asks now. Raises OSError, Malformed or DeviceError where no answer comes.
Describe = Callable[[], PlainDescription]


@dataclass(frozen=True, kw_only=True)
class PlainDrive:
    """One whole drive of blocks."""

    name: str
    transport_name: Transport
    attachment: Attachment
    device_class: DeviceClass
    blocks: BlockIo
    describe: Describe

    def identity(self) -> DriveIdentity:
        said = self.describe()
        return DriveIdentity(
            serial_number=said.serial_number,
            model_number=said.model_number,
            capacity_bytes=said.capacity_bytes,
        )

    def is_write_protected(self) -> bool:
        return self.describe().is_write_protected
