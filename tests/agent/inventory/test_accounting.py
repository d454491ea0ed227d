"""A drive whose namespaces nobody can tell from one controller's list."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import inventory
from agent.devices.emulated import EmulatedBlockIo
from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.simulated import Namespace, SimulatedNvme
from agent.errors import Code, TransportError
from certificate.statements.vocabulary import DeviceClass

#: Places in Identify Controller and the bits there (NVM Express Base 2.0, 5.17.2.1).
CMIC, SEVERAL_CONTROLLERS = 76, 1 << 1
OACS, NAMESPACE_MANAGEMENT = 256, 1 << 3
TNVMCAP = slice(280, 296)

DriveOf = Callable[..., NvmeDrive]


class Listing:
    """One controller of a drive. It lists `active`, and is silent where that is None."""

    device_class = DeviceClass.PHYSICAL

    def __init__(
        self,
        device: SimulatedNvme,
        active: tuple[int, ...] | None,
        *,
        has_total: bool = True,
        has_management: bool = False,
        is_one_of_several: bool = False,
    ) -> None:
        self.device, self.active = device, active
        self.has_total, self.has_management = has_total, has_management
        self.is_one_of_several = is_one_of_several

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        if self.active is None:
            raise TransportError("no answer")
        answer = self.device.submit(sqe, data)
        page = bytearray(answer.data)
        if (sqe[0], sqe[40]) == (0x06, 0x01):
            page[TNVMCAP] = page[TNVMCAP] if self.has_total else bytes(16)
            page[OACS] = page[OACS] & ~NAMESPACE_MANAGEMENT | (self.has_management << 3)
            page[CMIC] = SEVERAL_CONTROLLERS if self.is_one_of_several else 0
        if (sqe[0], sqe[40]) == (0x06, 0x02):
            page = bytearray(b"".join(nsid.to_bytes(4, "little") for nsid in self.active).ljust(4096, b"\0"))
        return Completion(status=answer.status, result=answer.result, data=bytes(page))


@pytest.fixture
def drive_of(tmp_path: Path) -> DriveOf:
    """A drive of two namespaces, driven through the first controller, which lists `active`."""
    device = SimulatedNvme.create(
        tmp_path / "drive",
        serial="S",
        model="M",
        firmware="1",
        capacity_bytes=64 * 4096,
        namespaces=(Namespace(nsid=1, blocks=256), Namespace(nsid=2, blocks=256)),
        random=random.Random(1).randbytes,
    )

    def build(
        active: tuple[int, ...],
        *others: tuple[int, ...] | None,
        shown: tuple[int, ...] = (),
        **said: bool,
    ) -> NvmeDrive:
        return NvmeDrive(
            name="nvme0",
            transport=Listing(device, active, **said),
            blocks=EmulatedBlockIo(device),
            others=tuple(Listing(device, other) for other in others),
            shown=frozenset(shown),
        )

    return build


def refused(drive: NvmeDrive) -> str | None:
    return inventory.report(drive).refused


def test_a_namespace_that_only_another_controller_lists_refuses_the_drive(drive_of: DriveOf) -> None:
    assert refused(drive_of((1,), (2,))) == Code.NAMESPACES_UNACCOUNTED.value
    assert refused(drive_of((1,), (1,), (1, 2))) == Code.NAMESPACES_UNACCOUNTED.value


def test_a_namespace_that_only_the_kernel_shows_refuses_the_drive(drive_of: DriveOf) -> None:
    assert refused(drive_of((1,), shown=(1, 2))) == Code.NAMESPACES_UNACCOUNTED.value


def test_another_controller_that_does_not_answer_may_list_anything(drive_of: DriveOf) -> None:
    assert refused(drive_of((1, 2), None)) == Code.NAMESPACES_UNACCOUNTED.value


@pytest.mark.parametrize("others", [(), ((1, 2),), ((1,),), ((), (2,))])
def test_a_drive_that_lists_all_that_anybody_lists_is_not_refused(
    drive_of: DriveOf, others: tuple[tuple[int, ...], ...]
) -> None:
    assert refused(drive_of((1, 2), *others, shown=(1, 2))) is None


@pytest.mark.parametrize("is_one_of_several", [True, False])
@pytest.mark.parametrize("has_total", [True, False])
@pytest.mark.parametrize("has_management", [True, False])
def test_a_drive_that_may_have_unseen_controllers_must_tell_otherwise_what_it_holds(
    drive_of: DriveOf, has_management: bool, has_total: bool, is_one_of_several: bool
) -> None:
    drive = drive_of(
        (1, 2), has_management=has_management, has_total=has_total, is_one_of_several=is_one_of_several
    )
    cannot_be_known = is_one_of_several and not has_total and not has_management
    assert refused(drive) == (Code.NAMESPACES_UNACCOUNTED.value if cannot_be_known else None)
