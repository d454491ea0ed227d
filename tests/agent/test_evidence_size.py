"""Evidence is never larger than admission expected: else it would fit no line, and be lost after an erase."""

from __future__ import annotations

from typing import Any

import pytest

from agent import admission, inventory
from agent.devices.simulated import Namespace
from agent.medium_evidence import MAX_RELEASED
from certificate import messages
from certificate.messages import DriveReport
from certificate.statements import Seen
from certificate.statements.vocabulary import StackedKind
from tests import luks_image

MIB = 1 << 20
#: A cryptographic secure erase (bit 2), of the namespace named alone.
CRYPTO_ONE_BY_ONE = 0b100


def require_bounded(lab: Any, drive: DriveReport, order: Any) -> int:
    """How many bytes the evidence of one drive has."""
    expected = admission.evidence_bytes(drive, order.plan.media[0].techniques)
    line = next(line for line in lab.journal(order) if line.kind == "evidence")
    assert len(line.write()) < expected
    return len(line.write())


@pytest.mark.parametrize("namespace_count", [1, 4, 64])
@pytest.mark.parametrize("faults", [(), ("refuses",)])
def test_of_any_number_of_namespaces(make_lab: Any, namespace_count: int, faults: tuple[str, ...]) -> None:
    namespaces = tuple(Namespace(nsid=number + 1, blocks=128) for number in range(namespace_count))
    lab = make_lab("SN-1", namespaces=namespaces, faults=faults)
    drive = lab.inventory().drives[0]
    order = lab.accept()
    lab.run(order)
    require_bounded(lab, drive, order)
    assert admission.EVIDENCE_BYTES < messages.MAX_LINE_BYTES


def test_with_a_command_for_each_of_many_namespaces(make_lab: Any) -> None:
    spaces = tuple(Namespace(nsid=number + 1, blocks=128) for number in range(60))
    lab = make_lab(
        "SN-1",
        namespaces=spaces,
        has_crypto_erase=False,
        has_block_erase=False,
        format_attributes=CRYPTO_ONE_BY_ONE,
    )
    lab.floor = "clear"
    drive, order = lab.inventory().drives[0], lab.accept()
    lab.run(order)
    assert len(lab.evidence(order).media[0].commands) == 60
    require_bounded(lab, drive, order)


def test_with_everything_that_can_stand_on_a_drive_and_every_layer(
    plain_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crowded:
        def require_possible(self, serials: Any) -> None:
            return

        def release(self, serials: Any) -> Any:
            return {
                serial: ((StackedKind.PARTITION, Seen.NOT_OBSERVED),) * MAX_RELEASED for serial in serials
            }

    monkeypatch.setattr(inventory, "teardown", lambda storage, reports, **_: Crowded())
    image = bytearray(64 * MIB)
    for at in range(4):
        start = (1 + 8 * at) * MIB
        luks_image.write_luks2(image, at=start, data_offset=MIB, keyslots_bytes=MIB - 32 * 1024)
        entry = (
            bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (start // 512).to_bytes(4, "little") + bytes([0, 8, 0, 0])
        )
        image[446 + 16 * at : 462 + 16 * at] = entry
    image[510:512] = b"\x55\xaa"
    lab = plain_lab
    lab.add_image("IMG-1", bytes(image))
    drive, order = lab.inventory().drives[0], lab.accept()
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert (len(medium.layers), len(medium.released)) == (4, MAX_RELEASED)
    size = require_bounded(lab, drive, order)
    assert size > admission.evidence_bytes(drive, order.plan.media[0].techniques) // 2
