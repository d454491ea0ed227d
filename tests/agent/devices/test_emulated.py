"""Driver and simulator meet here for the first time; each was held to wire/ alone before."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices import emulated, nvme_commands
from agent.devices.drive import DriveIdentity
from agent.devices.emulated import emulated_drive, emulated_plain_drive
from agent.devices.nvme import NvmeDrive, SanitizeState
from agent.devices.nvme_commands import SanitizeAction
from agent.devices.plain import PlainDrive
from agent.devices.simulated import Fault, SimulatedNvme, SimulatedPlain
from agent.errors import CommandFailed, TransportError
from certificate.errors import Malformed
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

Make = Callable[..., SimulatedNvme]


def test_what_this_driver_opens_is_called_emulated(reference_drive: SimulatedNvme) -> None:
    assert emulated_drive(reference_drive, name="d").device_class is DeviceClass.EMULATED


def test_the_driver_reads_the_simulated_drive(reference_drive: SimulatedNvme) -> None:
    drive = emulated_drive(reference_drive, name="d")
    assert drive.identity().serial_number == "SIM-0001"
    assert drive.identity().capacity_bytes == 2 * 1024**2
    assert drive.active_namespaces() == (1,)
    assert drive.allocated_namespaces() == (1, 2)
    assert drive.identify_allocated(2).capacity_bytes == 128 * 4096
    assert drive.sanitize_log().state is SanitizeState.NEVER


def test_the_simulated_drive_obeys_the_driver(make_drive: Make) -> None:
    drive = emulated_drive(make_drive(sanitize_polls=1), name="d")
    drive.blocks.write(1, 0, b"k" * 4096)
    command = nvme_commands.sanitize(SanitizeAction.CRYPTO_ERASE, no_deallocate=True)
    assert drive.submit_once(command).is_success
    assert drive.sanitize_log().is_running
    log = drive.sanitize_log()
    assert (log.state, log.dword10) == (SanitizeState.SUCCESS, command.dword10)
    assert drive.blocks.read(1, 0, 4096) not in (b"k" * 4096, bytes(4096))


def test_a_command_the_drive_does_not_know_fails_with_its_status(make_drive: Make) -> None:
    with pytest.raises(CommandFailed) as failure:
        emulated_drive(make_drive(), name="d").allocated_namespaces()
    assert failure.value.status == 0x4002


def test_two_executions_never_hold_one_drive(make_drive: Make) -> None:
    device = make_drive()
    first = emulated_drive(device, name="d")
    second = emulated_drive(SimulatedNvme.open(device.folder), name="d")
    assert first.blocks.open_exclusively() is Seen.YES
    assert second.blocks.open_exclusively() is Seen.NO
    first.blocks.close()
    assert second.blocks.open_exclusively() is Seen.YES
    second.blocks.close()


# --- plain drives -------------------------------------------------------------------------------------------


@pytest.fixture
def plain(tmp_path: Path) -> SimulatedPlain:
    return SimulatedPlain.create(
        tmp_path / "disk",
        serial="PLAIN-1",
        model="Simulated disk",
        firmware="1.0",
        capacity_bytes=64 * 512,
        random=os.urandom,
        attachment="removable",
    )


def test_a_plain_drive_is_an_emulated_disk_of_a_virtual_machine(plain: SimulatedPlain) -> None:
    drive = emulated_plain_drive(plain, name="d")
    assert (drive.device_class, drive.transport_name) == (DeviceClass.EMULATED, Transport.VIRTIO)
    assert drive.attachment is Attachment.REMOVABLE
    assert drive.identity() == DriveIdentity(
        serial_number="PLAIN-1", model_number="Simulated disk", capacity_bytes=64 * 512
    )
    said = drive.describe()
    assert (said.logical_block_bytes, said.firmware, said.is_write_protected) == (512, "1.0", False)
    plain.set_faults((Fault.WRITE_PROTECTED,))
    assert drive.describe().is_write_protected


def test_a_plain_drive_is_read_and_written_through_the_callers_buffers(plain: SimulatedPlain) -> None:
    blocks = emulated_plain_drive(plain, name="d").blocks
    assert blocks.open_exclusively() is Seen.YES
    with mmap.mmap(-1, 4096) as page:
        page[:512] = b"x" * 512
        blocks.write_from(1, 512, memoryview(page)[:512])
        page[:512] = bytes(512)
        blocks.read_into(1, 512, memoryview(page)[:512])
        assert page[:512] == b"x" * 512
    assert blocks.peek(1, 0, 1024) == bytes(512) + b"x" * 512
    blocks.flush()
    blocks.close()


def test_an_answer_that_does_not_come_is_an_error_of_the_transport(
    plain: SimulatedPlain, make_drive: Make
) -> None:
    nvme = make_drive(faults=("silent",))
    plain.set_faults((Fault.SILENT,))
    for drive in (emulated_drive(nvme, name="d"), emulated_plain_drive(plain, name="d")):
        with pytest.raises(TransportError):
            drive.identity()
        with pytest.raises(OSError, match="silent"):
            drive.blocks.read(1, 0, 4096)


def test_a_folder_is_opened_by_its_kind(plain: SimulatedPlain, make_drive: Make, tmp_path: Path) -> None:
    nvme = make_drive(attachment="remote")
    opened = emulated.open_drive(nvme.folder)
    assert isinstance(opened, NvmeDrive)
    assert (opened.name, opened.attachment) == (nvme.folder.name, Attachment.REMOTE)
    assert isinstance(emulated.open_drive(plain.folder), PlainDrive)
    with pytest.raises(Malformed):
        emulated.open_drive(tmp_path)


def test_an_nvme_drive_is_internal_unless_it_was_found_otherwise(reference_drive: SimulatedNvme) -> None:
    drive = emulated_drive(reference_drive, name="d")
    assert (drive.attachment, drive.transport_name) == (Attachment.INTERNAL, Transport.NVME)
