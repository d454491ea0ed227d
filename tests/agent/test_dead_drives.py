"""A drive that dies: whenever it does, it costs the others nothing, and its own entry says what was seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.devices.image_file import ImageFileDrive
from agent.devices.simulated import Fault, SimulatedPlain, occurrences
from certificate.statements import Seen
from tests.lab import Lab

SECRET_TEXT = b"a tenant's secret"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is killed here and no power lost: each of many runs would wait a hundred times for a sync."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def run_dying(lab: Any, order: Any, dies: Any, *, at: int) -> int:
    """Runs, and after the journal's `at`-th line `dies()`. Says how many lines there were."""
    count = [0]

    def after(line: Any) -> None:
        count[0] += 1
        if count[0] == at:
            dies()

    lab.run(order, after=after)
    return count[0]


def require_the_other_is_whole(lab: Any, order: Any, serial: str, case: str) -> None:
    entry = next(
        each for each in lab.evidence(order).media if each.medium.commitment == lab.commitment(serial)
    )
    assert entry.errors == (), case
    assert entry.same_identity_after is Seen.YES, case
    claim = lab.claim(order, serial)
    assert claim.result == "erased", f"{case}: {claim.reasons}"


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.SILENT])
def test_an_nvme_drive_may_die_after_any_line_and_the_other_is_erased_and_proven(
    make_lab: Any, fault: Fault
) -> None:
    for at in range(1, 60):
        lab = make_lab("SN-1", "SN-2")
        order = lab.accept()
        drive = lab.drives[0]
        count = run_dying(lab, order, lambda: drive.set_faults([fault]), at=at)  # noqa: B023
        case = f"dead after line {at}"
        require_the_other_is_whole(lab, order, "SN-2", case)
        assert len(lab.evidence(order).media) == 2, case
        if lab.claim(order, "SN-1").result == "erased":
            assert occurrences(drive.folder, SECRET_TEXT) == 0, case
        if at > count:
            return
    pytest.fail("an execution of two drives has fewer than 60 lines")


def plain_labs(tmp_path: Path) -> Iterator[tuple[int, Lab, SimulatedPlain]]:
    """As many machines as one asks for, each with two plain drives, and the first of them."""
    for at in range(1, 80):
        folder = tmp_path / f"at-{at}"
        folder.mkdir()
        lab = Lab(folder, floor="clear")
        drive = lab.add_plain("PL-1")
        lab.add_plain("PL-2")
        lab.boot()
        yield at, lab, drive
        lab.close()
    pytest.fail("an execution of two drives has fewer than 80 lines")


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.SILENT, Fault.BAD_BLOCKS])
def test_a_plain_drive_may_die_after_any_line_and_the_other_is_overwritten_and_proven(
    tmp_path: Path, fault: Fault
) -> None:
    for at, lab, drive in plain_labs(tmp_path):
        order = lab.accept()
        count = run_dying(lab, order, lambda: drive.set_faults([fault]), at=at)  # noqa: B023
        case = f"{fault.value} after line {at}"
        require_the_other_is_whole(lab, order, "PL-2", case)
        if lab.claim(order, "PL-1").result == "erased":
            assert occurrences(drive.folder, SECRET_TEXT) == 0, case
        if at > count:
            return


def test_the_dead_drives_entry_says_what_it_was_and_what_went_wrong(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.run(
        order, after=lambda line: lab.drives[0].set_faults([Fault.SILENT]) if line.kind == "marked" else None
    )
    entry = lab.evidence(order).media[0]
    assert entry.medium.model == "SIM NVME 1"
    assert entry.was_present is Seen.YES
    assert "DEVICE_UNANSWERED" in entry.errors
    assert entry.commands == ()
    assert entry.same_identity_after is Seen.NOT_OBSERVED
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_a_drive_dead_before_it_was_opened_is_named_and_not_touched(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.drives[0].set_faults([Fault.SILENT])
    lab.run(order)
    entry = lab.evidence(order).media[0]
    assert entry.was_present is Seen.NOT_OBSERVED, "it may be the one that does not say its name"
    assert entry.commands == ()
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_a_drive_that_dies_amid_its_pass_is_counted_as_far_as_it_took_the_bytes(plain_lab: Any) -> None:
    lab = plain_lab
    drive = lab.add_plain("PL-1", capacity_bytes=4 << 20)
    lab.add_plain("PL-2")
    order = lab.accept()
    original, count = SimulatedPlain.write, [0]

    def write(self: Any, nsid: int, offset_bytes: int, data: bytes) -> None:
        if self.folder == drive.folder and len(data) > 4096:
            count[0] += 1
            if count[0] == 2:
                drive.set_faults([Fault.DEAD])
        original(self, nsid, offset_bytes, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedPlain, "write", write)
        lab.run(order)
    written = lab.evidence(order).media[0].commands[0].overwrite
    assert written.bytes_failed > 0
    assert written.bytes_written + written.bytes_failed == 4 << 20
    assert written.was_flushed is Seen.NO
    assert lab.evidence(order).media[0].read_back == "not_observed"
    assert lab.claim(order, "PL-1").result == "inconclusive"
    require_the_other_is_whole(lab, order, "PL-2", "amid the pass")


def test_a_drive_that_dies_amid_its_read_back_says_how_much_was_not_read(plain_lab: Any) -> None:
    lab = plain_lab
    drive = lab.add_plain("PL-1")
    lab.add_plain("PL-2")
    order = lab.accept()

    def dies(line: Any) -> None:
        if line.kind == "ended" and line.body["medium"] == lab.commitment("PL-2"):
            drive.set_faults([Fault.DEAD])

    lab.run(order, after=dies)
    medium = lab.evidence(order).media[0]
    assert medium.read_back.bytes_unreadable == medium.medium.capacity_bytes
    assert medium.read_back.bytes_read == 0
    assert lab.claim(order, "PL-1").result == "inconclusive"
    require_the_other_is_whole(lab, order, "PL-2", "amid the read-back")


def test_a_drive_that_cannot_even_be_let_go_costs_nobody_the_end(
    plain_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = plain_lab
    lab.add_image("IMG-1")
    order = lab.accept()
    blocks = type(ImageFileDrive(lab.images / "IMG-1.img").blocks)

    def close(self: Any) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(blocks, "close", close)
    lab.run(order)
    assert lab.kinds(order)[-1] == "finished"
    assert lab.claim(order, "IMG-1").result == "erased"


def test_a_failing_drive_is_not_waited_for_before_the_next_is_started(make_lab: Any) -> None:
    """Its next technique is asked for while somebody is there to acknowledge it."""
    lab = make_lab("SN-1", faults=("refuses",))
    lab.add_drive("SN-2")
    order = lab.accept()
    lab.run(order)
    name = lab.commitment("SN-1")
    kinds = [(line.kind, line.body.get("medium") == name) for line in lab.journal(order)]
    last_of_first = max(at for at, each in enumerate(kinds) if each == ("start", True))
    assert last_of_first < kinds.index(("sent", False))
