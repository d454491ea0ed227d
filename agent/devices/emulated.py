"""The driver of simulated drives: carries to `simulated`, and calls what it opens emulated.

Rules: the device class is this driver's word, so nothing behind it can ever be taken for a physical drive; a
drive is claimed by a lock on its folder, so that two executions never work on one; no other file is opened. A
command that gets no answer is a TransportError, as it is on a real bus.
"""

from __future__ import annotations

from pathlib import Path

from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.plain import PlainDescription, PlainDrive
from agent.devices.simulated import NVME, SimulatedNvme, SimulatedPlain, Unanswered, kind_of
from agent.errors import TransportError
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

#: What a simulated plain drive says of its maker.
MANUFACTURER = "Simulated"


class EmulatedTransport:
    """Admin commands to a simulated controller."""

    device_class = DeviceClass.EMULATED

    def __init__(self, device: SimulatedNvme) -> None:
        self._device = device

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        try:
            answer = self._device.submit(sqe, data)
        except Unanswered as error:
            raise TransportError(error.strerror or "no answer", errno=error.errno or 0) from error
        return Completion(status=answer.status, result=answer.result, data=answer.data)


class EmulatedBlockIo:
    """Logical blocks of a simulated drive."""

    def __init__(self, device: SimulatedNvme | SimulatedPlain) -> None:
        self._device = device

    def open_exclusively(self) -> Seen:
        return Seen.that(self._device.claim())

    def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        return self._device.read(nsid, offset_bytes, length_bytes)

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        self._device.write(nsid, offset_bytes, data)

    def read_into(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        buffer[:] = self._device.read(nsid, offset_bytes, len(buffer))

    def write_from(self, nsid: int, offset_bytes: int, buffer: memoryview) -> None:
        self._device.write(nsid, offset_bytes, bytes(buffer))

    def peek(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        return self._device.read(nsid, offset_bytes, length_bytes)

    def flush(self) -> None:
        self._device.flush()

    def close(self) -> None:
        self._device.release()


def emulated_drive(device: SimulatedNvme, *, name: str) -> NvmeDrive:
    """A simulated NVMe drive as the agent sees it."""
    return NvmeDrive(
        name=name,
        transport=EmulatedTransport(device),
        blocks=EmulatedBlockIo(device),
        attachment=Attachment(device.state().attachment),
    )


def emulated_plain_drive(device: SimulatedPlain, *, name: str) -> PlainDrive:
    """A simulated plain drive as the agent sees it: like a disk of a virtual machine."""

    def describe() -> PlainDescription:
        try:
            state = device.describe()
        except Unanswered as error:
            raise TransportError(error.strerror or "no answer", errno=error.errno or 0) from error
        return PlainDescription(
            serial_number=state.serial,
            manufacturer=MANUFACTURER,
            model_number=state.model,
            firmware=state.firmware,
            capacity_bytes=state.capacity_bytes,
            logical_block_bytes=state.block_bytes,
            is_write_protected=any(state.has_protected(each) for each in state.namespaces),
        )

    return PlainDrive(
        name=name,
        transport_name=Transport.VIRTIO,
        attachment=Attachment(device.state().attachment),
        device_class=DeviceClass.EMULATED,
        blocks=EmulatedBlockIo(device),
        describe=describe,
    )


def open_drive(folder: Path) -> NvmeDrive | PlainDrive:
    """The simulated drive in that folder, whatever its kind; its name is the folder's.

    Raises Malformed(IMAGE_INVALID) when the folder holds none.
    """
    if kind_of(folder) == NVME:
        return emulated_drive(SimulatedNvme.open(folder), name=folder.name)
    return emulated_plain_drive(SimulatedPlain.open(folder), name=folder.name)
