"""The driver of simulated drives: carries to `simulated`, and calls what it opens emulated.

Rules: the device class is this driver's word, so nothing behind it can ever be taken for a physical drive; a
drive is claimed by a lock on its folder, so that two executions never work on one; no other file is opened.
"""

from __future__ import annotations

from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.simulated import SimulatedNvme
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import DeviceClass


class EmulatedTransport:
    """Admin commands to a simulated controller."""

    device_class = DeviceClass.EMULATED

    def __init__(self, device: SimulatedNvme) -> None:
        self._device = device

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        answer = self._device.submit(sqe, data)
        return Completion(status=answer.status, result=answer.result, data=answer.data)


class EmulatedBlockIo:
    """Logical blocks of a simulated drive."""

    def __init__(self, device: SimulatedNvme) -> None:
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
    """A simulated drive as the agent sees it."""
    return NvmeDrive(name=name, transport=EmulatedTransport(device), blocks=EmulatedBlockIo(device))
