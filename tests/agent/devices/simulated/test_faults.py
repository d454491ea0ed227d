from __future__ import annotations

import pytest

from agent.devices.simulated.faults import Fault, read_faults
from agent.errors import Code
from certificate.errors import Malformed


def test_every_fault_says_what_then_happens() -> None:
    assert all(fault.sentence.endswith(".") for fault in Fault)


def test_faults_are_read_by_name() -> None:
    assert read_faults(["lies", Fault.FAILS]) == {Fault.LIES, Fault.FAILS}


@pytest.mark.parametrize("name", ["lie", "", 7, None])
def test_a_misspelt_fault_is_refused(name: object) -> None:
    with pytest.raises(Malformed) as refusal:
        read_faults([name])
    assert refusal.value.code is Code.IMAGE_INVALID
