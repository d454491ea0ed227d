"""Every way to erase, on drives that misbehave in every way: nothing that still reads is ever called erased.

A fault sets in after the plan was made. Where it shows at once the order is refused, which is as good.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from agent.devices.simulated import Fault, SimulatedNvme, SimulatedPlain, hidden_occurrences, occurrences
from certificate.messages import Accepted
from certificate.statements.vocabulary import Grade, Result

SECRET_TEXT = b"a tenant's secret"
#: What an NVMe drive must be able to do, and nothing more, so that the plan names one technique first.
ALONE: dict[str, dict[str, Any]] = {
    "sanitize_crypto": {"has_block_erase": False},
    "sanitize_block": {"has_crypto_erase": False},
    "sanitize_overwrite": {"has_crypto_erase": False, "has_block_erase": False, "has_overwrite": True},
    "format_crypto": {"has_crypto_erase": False, "has_block_erase": False, "format_attributes": 0b0110},
    "format_user_data": {"has_crypto_erase": False, "has_block_erase": False, "format_attributes": 0b0010},
}
WAYS = (*ALONE, "overwrite")
#: Faults that leave nothing that a reader of the drive could find. `keeps_hidden` leaves what no reader finds
#: through the drive and no evidence shows: the claim's limits say so.
NOT_FOUND = {Fault.KEEPS_HIDDEN, Fault.SLOW, Fault.DEALLOCATES_ONLY}
#: Of the drive's own commands, which a plain drive never gets.
COMMANDS_ONLY = {
    Fault.LIES,
    Fault.DEALLOCATES_ONLY,
    Fault.FAILS,
    Fault.HANGS,
    Fault.REFUSES,
    Fault.CAPABILITY_MISSING,
    Fault.CAPABILITY_WRONG,
    Fault.RESTRICTED_FAILURE,
    Fault.UNRESTRICTED_FAILURE,
    Fault.FAILURE_LEFT,
}
#: What a Format refused leads to: the plan's next technique, and at last the host's own overwrite.
NEXT_FOLLOWS = {Fault.FAILS, Fault.REFUSES}
#: A sanitize is what leads out of a sanitize that failed; it is begun unmarked where nothing can be read.
WAY_OUT = {Fault.RESTRICTED_FAILURE, Fault.UNRESTRICTED_FAILURE, Fault.FAILURE_LEFT}
#: Neither a cryptographic erase (the key is another) nor a block erase asks a bad block.
UNTOUCHED = {Fault.BAD_BLOCKS}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power is lost in the simulation only: each of many runs would wait a hundred times for a sync."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def lab_of(make_lab: Callable[..., Any], plain_lab: Any) -> Callable[[str], Any]:
    """A machine with one drive that is erased in that way."""

    def build(way: str) -> Any:
        if way == "overwrite":
            plain_lab.add_plain("SN-1")
            return plain_lab
        lab = make_lab("SN-1", **ALONE[way])
        lab.floor = "purge" if way.startswith("sanitize") else "clear"
        return lab

    return build


def erase(lab: Any, way: str, world: Any, *faults: Fault) -> Any:
    """The claim after an order on a drive whose faults set in when it was planned; None where the order was
    refused.
    """
    order = lab.order()
    folder = lab.images / "SN-1"
    kind = SimulatedPlain if way == "overwrite" else SimulatedNvme
    kind.open(folder).set_faults(faults)
    if not isinstance(lab.ask(lab.request(order)), Accepted):
        return None
    lab.run(order, world=world)
    return lab.claim(order, "SN-1")


def may_be_erased(way: str, fault: Fault) -> bool:
    """Whether the fault leaves nothing behind that a reader of the drive would find."""
    if way == "overwrite":
        return fault in NOT_FOUND | COMMANDS_ONLY
    if way.startswith("format"):
        return fault in NOT_FOUND | NEXT_FOLLOWS | UNTOUCHED | {Fault.FAILURE_LEFT}
    return fault in NOT_FOUND | UNTOUCHED | WAY_OUT


@pytest.mark.parametrize("way", WAYS)
def test_a_drive_that_behaves_is_erased_in_every_way(lab_of: Any, make_world: Any, way: str) -> None:
    """The control of everything below: without a fault each way ends well."""
    lab = lab_of(way)
    assert occurrences(lab.images / "SN-1", SECRET_TEXT) > 0
    claim = erase(lab, way, make_world())
    assert (claim.result, claim.method.value) == (Result.ERASED, lab.floor)
    assert claim.technique.value.startswith(f"nvme_{way}" if way in ALONE else way)
    is_proven = way in ("sanitize_crypto", "sanitize_overwrite", "overwrite")
    assert claim.grade is (Grade.MARKER_PROVEN if is_proven else Grade.DEVICE_REPORTED)
    assert occurrences(lab.images / "SN-1", SECRET_TEXT) == 0


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: str(fault.value))
@pytest.mark.parametrize("way", WAYS)
def test_a_drive_that_still_reads_is_never_called_erased(
    lab_of: Any, make_world: Any, fake_time: Any, way: str, fault: Fault
) -> None:
    lab = lab_of(way)
    folder = lab.images / "SN-1"
    # Only a sanitize is waited for, and one that stands still for minutes.
    claim = erase(lab, way, make_world(fake_time if way.startswith("sanitize") else None), fault)
    is_erased = claim is not None and claim.result is Result.ERASED
    is_left = occurrences(folder, SECRET_TEXT) > 0
    assert not (is_erased and is_left)
    if not may_be_erased(way, fault):
        assert not is_erased
    elif fault is not Fault.BAD_BLOCKS:
        # Where a bad block lies under a marker, the markers cannot be placed.
        assert is_erased


@pytest.mark.parametrize("way", WAYS)
def test_what_hidden_cells_keep_is_seen_by_nobody_and_said_in_the_limits(
    lab_of: Any, make_world: Any, way: str
) -> None:
    lab = lab_of(way)
    claim = erase(lab, way, make_world(), Fault.KEEPS_HIDDEN)
    assert claim.result is Result.ERASED
    assert hidden_occurrences(lab.images / "SN-1", SECRET_TEXT) > 0
    assert any("not that every cell" in limit for limit in claim.limits)
