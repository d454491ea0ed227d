"""Storage that appears, or changes, while an execution is at work: it is found at the end and told."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent import recount, wiring
from agent.devices.simulated import Fault, SimulatedNvme
from agent.errors import Code
from agent.inventory import Storage
from certificate.messages import DriveReport, InventoryAnswer, NamespaceReport

Change = Callable[[tuple[DriveReport, ...]], tuple[DriveReport, ...]]


class Killed(BaseException):
    """The executing process ends here."""


def at(kind: str, act: Callable[[], object]) -> Callable[[Any], None]:
    """Acts once, after the first line of that kind."""
    done: list[str] = []

    def after(line: Any) -> None:
        if line.kind == kind and not done:
            done.append(line.kind)
            act()

    return after


def add_late(lab: Any, serial: str = "LATE") -> None:
    """A drive of which nobody told the laboratory's controller."""
    SimulatedNvme.create(
        lab.images / "late", serial=serial, model="M", firmware="1", capacity_bytes=1 << 19, random=os.urandom
    )


@pytest.fixture
def seen_at_the_end(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Every inventory but an execution's first one shows the drives changed so."""
    real, count = wiring.take_inventory, [0]

    def changed(change: Change) -> None:
        def take(boot: Any) -> tuple[Storage, InventoryAnswer]:
            storage, seen = real(boot)
            count[0] += 1
            return storage, seen if count[0] == 1 else replace(seen, drives=change(seen.drives))

        monkeypatch.setattr(wiring, "take_inventory", take)

    return changed


def codes(lab: Any, order: Any) -> list[tuple[str, ...]]:
    return [medium.errors for medium in lab.evidence(order).media]


def test_an_order_of_all_that_is_there_finds_nothing_else_at_the_end(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.run(order)
    assert (lab.evidence(order).unexpected_media_count, codes(lab, order)) == (0, [(), ()])


@pytest.mark.parametrize("kind", ["opened", "sent", "readback"])
@pytest.mark.parametrize("serial", ["LATE", "SN-1"])
def test_a_drive_that_appears_after_the_start_is_told_and_nothing_is_erased(
    make_lab: Any, kind: str, serial: str
) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order, after=at(kind, lambda: add_late(lab, serial)))
    assert lab.evidence(order).unexpected_media_count == 1
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_storage_that_no_driver_opens_and_appears_after_the_start_is_told(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order, after=at("sent", (lab.images / "late").mkdir))
    assert lab.evidence(order).unexpected_media_count == 1


def test_a_drive_found_at_the_start_and_gone_at_the_end_still_counts(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    folder = lab.images / "early"
    folder.mkdir()
    lab.run(order, after=at("sent", folder.rmdir))
    assert lab.evidence(order).unexpected_media_count == 1


def test_a_drive_that_died_meanwhile_is_not_another_one(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.run(order, after=at("readback", lambda: lab.drives[0].set_faults([Fault.SILENT])))
    assert lab.evidence(order).unexpected_media_count == 0
    assert codes(lab, order) == [("DRIVE_UNREADABLE",), ()]
    assert lab.claim(order, "SN-2").result == "erased"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"unallocated_capacity_bytes": 4096}, Code.NAMESPACES_CHANGED),
        ({"namespaces": ()}, Code.NAMESPACES_CHANGED),
        ({"refused": Code.NAMESPACES_UNACCOUNTED.value}, Code.NAMESPACES_UNACCOUNTED),
        ({"serial": "SN-9"}, Code.DRIVE_MISSING),
    ],
)
def test_a_drive_that_holds_something_else_at_the_end_is_not_erased(
    make_lab: Any, seen_at_the_end: Any, changes: dict[str, Any], code: Code
) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    seen_at_the_end(lambda drives: tuple(replace(drive, **changes) for drive in drives))
    lab.run(order)
    assert codes(lab, order) == [(code.value,)]
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_another_process_compares_with_what_the_first_one_opened(make_lab: Any, seen_at_the_end: Any) -> None:
    """Its own first look shows the new namespace already, which nobody erased."""
    lab = make_lab("SN-1")
    order = lab.accept()
    new = NamespaceReport(nsid=2, capacity_bytes=4096, logical_block_bytes=4096, is_attached=True)
    seen_at_the_end(lambda drives: tuple(replace(d, namespaces=(*d.namespaces, new)) for d in drives))

    def killed() -> None:
        raise Killed

    with pytest.raises(Killed):
        lab.run(order, after=at("sent", killed))
    lab.run(order, is_attached=True)
    assert "NAMESPACES_CHANGED" in codes(lab, order)[0]
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_a_second_inventory_that_fails_means_that_nobody_looked(make_lab: Any, seen_at_the_end: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()

    def broken(drives: tuple[DriveReport, ...]) -> tuple[DriveReport, ...]:
        raise OSError("input/output error")

    seen_at_the_end(broken)
    lab.run(order)
    assert lab.evidence(order).unexpected_media_count == "not_observed"
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_of_two_counts_the_larger_stands_and_none_where_one_is_missing() -> None:
    assert (recount.worst(0, 0), recount.worst(1, 0), recount.worst(0, 2)) == (0, 1, 2)
    assert (recount.worst(None, 0), recount.worst(1, None)) == (None, None)
