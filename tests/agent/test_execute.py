"""The whole way on one machine: from a signed delivery to signed evidence."""

from __future__ import annotations

from typing import Any

from agent.devices.simulated import occurrences
from certificate.statements import Seen
from certificate.statements.vocabulary import DeviceClass, MarkerReading

MakeLab = Any


def test_an_honest_drive_is_erased_and_the_evidence_proves_it(make_lab: MakeLab) -> None:
    lab = make_lab("SN-1")
    assert occurrences(lab.drives[0].folder, b"a tenant's secret") > 0
    order = lab.accept()
    lab.run(order)
    assert occurrences(lab.drives[0].folder, b"a tenant's secret") == 0
    claim = lab.claim(order, "SN-1")
    assert (claim.result, claim.method, claim.grade, claim.reasons) == (
        "erased",
        "purge",
        "marker-proven",
        (),
    )
