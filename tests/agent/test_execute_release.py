"""What a system built on the drives is let go before anything else, and told by kind alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agent import inventory
from agent.errors import Code
from agent.journal_bodies import without_names
from agent.medium_evidence import MAX_RELEASED
from agent.permit import Permit
from agent.teardown import Released
from certificate.errors import Refused
from certificate.messages import StackedReport
from certificate.statements import Seen
from certificate.statements.vocabulary import StackedKind


@dataclass
class FakeTeardown:
    """A machine's teardown. `stood`: by serial; `refuses`: what it says instead, when asked or at once."""

    stood: Released = field(default_factory=dict)
    refuses: Exception | None = None
    refuses_to_release: Exception | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    released: list[tuple[str, ...]] = field(default_factory=list)

    def require_possible(self, serials: Sequence[str]) -> None:
        self.asked.append(tuple(serials))
        if self.refuses is not None:
            raise self.refuses

    def release(self, serials: Sequence[str]) -> Released:
        self.released.append(tuple(serials))
        if self.refuses_to_release is not None:
            raise self.refuses_to_release
        return {serial: self.stood.get(serial, ()) for serial in serials}


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTeardown]:
    """`stand(stood, ...)`: the teardown that every process of this test finds."""

    def build(**fields: Any) -> FakeTeardown:
        fake = FakeTeardown(**fields)
        monkeypatch.setattr(inventory, "teardown", lambda storage, reports, **_: fake)
        return fake

    return build


def released(lab: Any, order: Any, at: int = 0) -> list[tuple[str, str]]:
    return [(each.kind.value, each.is_released.value) for each in lab.evidence(order).media[at].released]


def test_what_stands_on_a_drive_is_let_go_after_the_order_was_accepted_and_before_it_is_opened(
    make_lab: Any, stand: Any
) -> None:
    fake = stand(stood={"SN-1": ((StackedKind.MOUNT, Seen.YES), (StackedKind.CRYPT, Seen.YES))})
    lab = make_lab("SN-1")
    order = lab.accept()
    assert (fake.asked, fake.released) == ([("SN-1",)], [])
    seen: list[int] = []
    lab.run(order, after=lambda line: seen.append(len(fake.released)) if line.kind == "opened" else None)
    assert seen == [1]
    assert fake.released == [("SN-1",)]
    assert released(lab, order) == [("mount", "yes"), ("crypt", "yes")]
    assert lab.claim(order, "SN-1").result == "erased"


def test_each_drive_is_told_what_stood_on_it_and_no_other(make_lab: Any, stand: Any) -> None:
    stand(stood={"SN-2": ((StackedKind.SWAP, Seen.YES),)})
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.run(order)
    assert (released(lab, order, 0), released(lab, order, 1)) == ([], [("swap", "yes")])


def test_letting_go_needs_no_acknowledgement(make_lab: Any, stand: Any) -> None:
    stand()
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    (line,) = [line for line in lab.journal(order) if line.kind == "released"]
    assert not line.needs_ack


@pytest.mark.parametrize("seen", [Seen.NO, Seen.NOT_OBSERVED])
def test_what_held_on_leaves_no_claim(make_lab: Any, stand: Any, seen: Seen) -> None:
    stand(stood={"SN-1": ((StackedKind.RAID, seen),)})
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    assert released(lab, order) == [("raid", seen.value)]
    assert lab.claim(order, "SN-1").result != "erased"


def test_an_order_whose_drives_cannot_be_let_go_is_refused_before_anything(make_lab: Any, stand: Any) -> None:
    fake = stand(refuses=Refused(Code.TEARDOWN_SHARED, "it also lies on another drive"))
    lab = make_lab("SN-1")
    order = lab.order()
    assert lab.ask(lab.request(order)).code == "TEARDOWN_SHARED"
    assert fake.released == []
    assert lab.status(order.token, finalise=True).state == "absent"


def test_what_came_to_stand_there_since_stops_every_medium_and_is_told(make_lab: Any, stand: Any) -> None:
    stand(refuses_to_release=Refused(Code.TEARDOWN_SHARED, "it also lies on another drive"))
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.run(order)
    assert not {"markers_committed", "layer_start", "start"} & set(lab.kinds(order))
    assert [each.errors for each in lab.evidence(order).media] == [("TEARDOWN_SHARED",)] * 2
    assert {lab.drives[at].state().sanitize.status for at in range(2)} == {"never"}


def test_a_fault_of_ours_in_letting_go_stops_every_medium_and_ends_in_evidence(
    make_lab: Any, stand: Any
) -> None:
    stand(refuses_to_release=ZeroDivisionError())
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    assert lab.evidence(order).media[0].errors == ("AGENT_FAILED",)
    assert "start" not in lab.kinds(order)


def test_an_observer_lets_nothing_go(make_lab: Any, stand: Any) -> None:
    fake = stand()
    lab = make_lab("SN-1")
    order = lab.accept()

    class Died(BaseException):
        pass

    def die(line: Any) -> None:
        if line.kind == "opened":
            raise Died

    with pytest.raises(Died):
        lab.run(order, after=die)
    lab.run(order, is_attached=True)
    assert len(fake.released) == 1
    assert lab.evidence(order).was_attached is Seen.YES


def test_a_token_given_up_lets_nothing_go(make_lab: Any, stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = stand()
    lab = make_lab("SN-1")
    order = lab.accept()
    # Between the process's start, when it was still good, and its first act.
    monkeypatch.setattr(Permit, "is_given_up", lambda self: True)
    lab.run(order)
    assert fake.released == []
    assert "released" not in lab.kinds(order)


def test_of_too_many_things_the_worst_of_each_kind_is_told(make_lab: Any, stand: Any) -> None:
    """So that evidence stays bounded, and nothing that held on is lost in the crowd."""
    many = [(StackedKind.MOUNT, Seen.YES)] * MAX_RELEASED + [
        (StackedKind.MOUNT, Seen.NO),
        (StackedKind.LOOP, Seen.YES),
        (StackedKind.LVM, Seen.NOT_OBSERVED),
        (StackedKind.LVM, Seen.YES),
    ]
    stand(stood={"SN-1": tuple(many)})
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    assert released(lab, order) == [("mount", "no"), ("loop", "yes"), ("lvm", "not_observed")]


def test_a_journal_keeps_no_name_that_a_tenant_chose(make_lab: Any) -> None:
    """A mount point or a volume group names people and their business."""
    report = make_lab("SN-1").inventory().drives[0]
    standing = StackedReport(kind="mount", node="/home/a-tenant", on="a-tenants-volume")
    kept = without_names(replace(report, stack=(standing,)))
    assert "a-tenant" not in str(kept)
    assert "SN-1" not in str(kept)
