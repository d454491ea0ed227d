"""Carries a 64-byte NVMe admin command to a controller through the Linux passthrough ioctl.

Rules: what is sent is the submission queue entry it was handed, field by field; a positive return is the
device's own status and always handed on; a negative one is no answer, and no answer is never a refusal by the
device. The controller's character device is opened, never a namespace's. Nothing is sent twice.
Source: linux/nvme_ioctl.h, struct nvme_passthru_cmd (72 bytes), as computed in erasure.md, 2.1.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

from agent.devices.nvme import Completion
from agent.devices.nvme_commands import SQE_BYTES, Opcode
from agent.errors import TransportError
from certificate.statements.vocabulary import DeviceClass

NVME_IOCTL_ADMIN_CMD = 0xC0484E41
#: opcode, flags, reserved, nsid, cdw2, cdw3, metadata, addr, metadata_len, data_len, cdw10..15, timeout_ms,
#: result.
PASSTHROUGH = struct.Struct("<BBHIIIQQIIIIIIIIII")
#: Of the submission queue entry: opcode, flags, command identifier (the kernel's), nsid, cdw2, cdw3, MPTR,
#: PRP1 and PRP2 (the kernel's), CDW10..15. NVM Express Base 2.0, 3.3.3.1, figure "Common Command Format".
ENTRY = struct.Struct("<BBHIIIQQQIIIIII")
#: How long the kernel waits; 0 would mean its 60 s, too short for a Format. nvme-cli uses 600 s for one
#: (erasure.md, 2.1).
TIMEOUT_MS = 600_000
#: A Format blocks until every block is erased, and when the kernel gives up it resets the controller in the
#: middle of it: so it is given the time in which a large drive overwrites itself, not ten minutes.
FORMAT_TIMEOUT_MS = 4 * 3_600_000

OpenPath = Callable[[Path, int], int]
#: (descriptor, request, buffer) -> the ioctl's return value; raises OSError for -1.
Ioctl = Callable[[int, int, bytearray], int]


def kernel_ioctl(descriptor: int, request: int, buffer: bytearray) -> int:
    """The real ioctl; `buffer` is changed in place."""
    answer: int = fcntl.ioctl(descriptor, request, buffer, True)
    return answer


class IoctlTransport:
    """One controller's character device.

    Everything behind this driver is `physical` to it; `inventory` lowers that by the vendor id that the
    controller names (`vendors`).

    KNOWN GAP: an emulated controller under the id of a vendor of real drives stays `physical` (an older QEMU,
    or one told to use Intel's id). Such a drive would be claimed as real; only the host's identity and the
    provider's own records can tell.
    """

    device_class = DeviceClass.PHYSICAL

    def __init__(
        self,
        path: Path,
        *,
        open_path: OpenPath = os.open,
        ioctl: Ioctl = kernel_ioctl,
        timeout_ms: int = TIMEOUT_MS,
        format_timeout_ms: int = FORMAT_TIMEOUT_MS,
    ) -> None:
        self._path = path
        self._open_path = open_path
        self._ioctl = ioctl
        self._timeout_ms = timeout_ms
        self._format_timeout_ms = format_timeout_ms

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        """Sends `sqe` once. `data`: bytes to send, or how many to receive (0: none).

        Raises TransportError when no answer came: the command may or may not have been carried out.
        """
        if len(sqe) != SQE_BYTES:
            raise ValueError(f"a submission queue entry has {SQE_BYTES} bytes, this one {len(sqe)}")
        payload = ctypes.create_string_buffer(data, len(data)) if isinstance(data, bytes) else _room(data)
        length_bytes = len(payload) if payload is not None else 0
        address = ctypes.addressof(payload) if payload is not None else 0
        buffer = self._passed_through(sqe, address=address, length_bytes=length_bytes)
        try:
            descriptor = self._open_path(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _unanswered(self._path, error) from error
        try:
            status = self._ioctl(descriptor, NVME_IOCTL_ADMIN_CMD, buffer)
        except OSError as error:
            raise _unanswered(self._path, error) from error
        finally:
            os.close(descriptor)
        if status < 0:
            raise TransportError(f"{self._path.name} returned {status}")
        received = payload.raw if payload is not None and isinstance(data, int) else b""
        return Completion(status=status, result=PASSTHROUGH.unpack(buffer)[-1], data=received)

    def _passed_through(self, sqe: bytes, *, address: int, length_bytes: int) -> bytearray:
        """The kernel's form of `sqe`, with the data at `address`, and room for the result."""
        opcode, flags, _, nsid, cdw2, cdw3, metadata, _, _, *dwords = ENTRY.unpack(sqe)
        timeout_ms = self._format_timeout_ms if opcode == Opcode.FORMAT_NVM else self._timeout_ms
        words = (opcode, flags, 0, nsid, cdw2, cdw3, metadata, address, 0, length_bytes, *dwords)
        return bytearray(PASSTHROUGH.pack(*words, timeout_ms, 0))


def _room(length_bytes: int) -> ctypes.Array[ctypes.c_char] | None:
    return ctypes.create_string_buffer(length_bytes) if length_bytes else None


def _unanswered(path: Path, error: OSError) -> TransportError:
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    return TransportError(f"{path.name} gave no answer: {name}", errno=error.errno or 0)
