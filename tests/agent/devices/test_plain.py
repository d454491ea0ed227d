from __future__ import annotations

from agent.devices.block import KernelBlockIo
from agent.devices.drive import Drive, Protectable
from agent.devices.plain import PlainDescription, PlainDrive
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport


class Says:
    """Whoever answers for the drive; what it says may change."""

    def __init__(self) -> None:
        self.serial, self.is_protected = "A", False

    def __call__(self) -> PlainDescription:
        return PlainDescription(
            serial_number=self.serial,
            manufacturer="",
            model_number="M",
            firmware="",
            capacity_bytes=4096,
            logical_block_bytes=512,
            is_write_protected=self.is_protected,
        )


def drive_of(says: Says) -> PlainDrive:
    return PlainDrive(
        name="vdb",
        transport_name=Transport.VIRTIO,
        attachment=Attachment.INTERNAL,
        device_class=DeviceClass.EMULATED,
        blocks=KernelBlockIo({}),
        describe=says,
    )


def test_a_plain_drive_is_a_drive_that_can_be_protected() -> None:
    drive: Drive = drive_of(Says())
    assert isinstance(drive, Protectable)


def test_it_is_asked_anew_each_time() -> None:
    says = Says()
    drive = drive_of(says)
    assert (drive.identity().serial_number, drive.is_write_protected()) == ("A", False)
    says.serial, says.is_protected = "B", True
    assert (drive.identity().serial_number, drive.is_write_protected()) == ("B", True)
    assert (drive.identity().model_number, drive.identity().capacity_bytes) == ("M", 4096)
