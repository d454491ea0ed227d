from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices.nvme_ioctl import PASSTHROUGH, IoctlTransport
from agent.errors import Code, TransportError
from certificate.statements.vocabulary import DeviceClass

Wire = Callable[[str], bytes]

#: linux/nvme_ioctl.h, struct nvme_passthru_cmd: what must stand in it for Get Log Page 81h with 512 bytes and
#: a timeout of 10 minutes (927C0h ms). `aa` is where the kernel finds our buffer's address.
GET_SANITIZE_LOG_STRUCT = (
    "02 00 0000  ffffffff 00000000 00000000  0000000000000000  aaaaaaaaaaaaaaaa  00000000 00020000"
    "81007f00 00000000 00000000 00000000 00000000 00000000  c0270900 00000000"
)


class FakeKernel:
    """Takes the place of open and ioctl; answers with `status` and `data`."""

    def __init__(self, *, status: int = 0, result: int = 0, data: bytes = b"", error: int = 0) -> None:
        self.status, self.result, self.data, self.error = status, result, data, error
        self.opened: list[tuple[Path, int]] = []
        self.calls: list[tuple[int, bytes]] = []
        self.received: bytes = b""
        self.descriptor = -1

    def open_path(self, path: Path, flags: int) -> int:
        self.opened.append((path, flags))
        self.descriptor = os.open(os.devnull, os.O_RDONLY)
        return self.descriptor

    def ioctl(self, descriptor: int, request: int, buffer: bytearray) -> int:
        assert descriptor == self.descriptor
        self.calls.append((request, bytes(buffer)))
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        address = int.from_bytes(buffer[24:32], "little")
        length = int.from_bytes(buffer[36:40], "little")
        if self.data:
            ctypes.memmove(address, self.data, len(self.data))
        elif length:
            self.received = ctypes.string_at(address, length)
        buffer[68:72] = self.result.to_bytes(4, "little")
        return self.status

    def transport(self) -> IoctlTransport:
        return IoctlTransport(Path("/dev/nvme7"), open_path=self.open_path, ioctl=self.ioctl)


def test_the_kernels_structure_has_72_bytes_in_its_own_order(wire: Wire) -> None:
    kernel = FakeKernel(data=b"x" * 512)
    kernel.transport().submit(wire("get_sanitize_log.command"), 512)
    ((request, sent),) = kernel.calls
    expected = bytes.fromhex(GET_SANITIZE_LOG_STRUCT)
    assert request == 0xC0484E41
    assert len(sent) == PASSTHROUGH.size == 72
    assert sent[:24] + sent[32:] == expected[:24] + expected[32:]
    assert sent[24:32] != bytes(8)


@pytest.mark.parametrize("name", ["format_crypto", "format_user_data_2"])
def test_a_format_is_waited_for_until_a_large_drive_is_through(wire: Wire, name: str) -> None:
    """When the kernel gives up it resets the controller, in the middle of the Format."""
    kernel = FakeKernel()
    kernel.transport().submit(wire(f"{name}.command"), 0)
    kernel.transport().submit(wire("sanitize_overwrite_no_deallocate.command"), 0)
    of_format, of_sanitize = (sent for _, sent in kernel.calls)
    assert int.from_bytes(of_format[64:68], "little") == 4 * 3_600_000
    assert int.from_bytes(of_sanitize[64:68], "little") == 600_000
    assert of_sanitize[44:48] == bytes.fromhex("67452301")


def test_a_command_without_data_names_no_buffer(wire: Wire) -> None:
    kernel = FakeKernel()
    kernel.transport().submit(wire("sanitize_crypto_no_deallocate.command"), 0)
    ((_, sent),) = kernel.calls
    assert sent[0] == 0x84
    assert sent[40:44] == bytes.fromhex("04020000")
    assert sent[24:40] == bytes(16)


def test_the_controllers_device_is_opened_and_closed_again(wire: Wire) -> None:
    kernel = FakeKernel(data=bytes(4096))
    kernel.transport().submit(wire("identify_controller.command"), 4096)
    assert [path for path, _ in kernel.opened] == [Path("/dev/nvme7")]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kernel.descriptor)


def test_received_bytes_and_the_result_are_handed_on(wire: Wire) -> None:
    page = bytes(range(256)) * 16
    kernel = FakeKernel(data=page, result=0x01020304)
    answer = kernel.transport().submit(wire("identify_controller.command"), 4096)
    assert (answer.status, answer.result, answer.data) == (0, 0x01020304, page)


def test_bytes_to_send_reach_the_kernel(wire: Wire) -> None:
    kernel = FakeKernel()
    kernel.transport().submit(wire("firmware_commit.command"), b"to the device")
    assert kernel.received == b"to the device"


def test_a_positive_return_is_the_devices_status(wire: Wire) -> None:
    answer = FakeKernel(status=0x401D).transport().submit(wire("sanitize_crypto.command"), 0)
    assert answer.status == 0x401D
    assert not answer.is_success


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.EINTR, errno.ETIMEDOUT])
def test_an_error_of_the_system_is_no_answer_and_nothing_is_sent_again(wire: Wire, number: int) -> None:
    kernel = FakeKernel(error=number)
    with pytest.raises(TransportError) as failure:
        kernel.transport().submit(wire("sanitize_crypto.command"), 0)
    assert failure.value.errno == number
    assert failure.value.code is Code.DEVICE_UNANSWERED
    assert len(kernel.calls) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kernel.descriptor)


def test_a_negative_return_is_no_answer(wire: Wire) -> None:
    with pytest.raises(TransportError):
        FakeKernel(status=-1).transport().submit(wire("sanitize_crypto.command"), 0)


def test_a_device_that_cannot_be_opened_is_no_answer(wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(TransportError) as failure:
        IoctlTransport(tmp_path / "nvme9").submit(wire("identify_controller.command"), 4096)
    assert failure.value.errno == errno.ENOENT


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_command_has_64_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        FakeKernel().transport().submit(bytes(length), 0)


def test_what_the_kernel_drives_is_called_physical() -> None:
    assert FakeKernel().transport().device_class is DeviceClass.PHYSICAL
