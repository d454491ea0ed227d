"""Driver and simulator meet here for the first time; each was held to wire/ alone before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.devices import nvme_commands
from agent.devices.emulated import emulated_drive
from agent.devices.nvme import SanitizeState
from agent.devices.nvme_commands import SanitizeAction
from agent.devices.simulated import SimulatedNvme
from agent.errors import CommandFailed
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import DeviceClass

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
