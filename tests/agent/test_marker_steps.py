"""A drive that is found with a failed sanitize: begun unmarked, claimed by its own word at most."""

from __future__ import annotations

import os
from typing import Any

import pytest

from agent.devices.simulated import Fault, occurrences
from certificate import assurance
from certificate.commitment import markers_digest
from certificate.messages import JournalLine
from certificate.statements import Seen
from tests.dying import accept, processes, settle

SECRET_TEXT = b"a tenant's secret"
KEPT_OUT = [Fault.RESTRICTED_FAILURE, Fault.UNRESTRICTED_FAILURE]
REPORTED = ("erased", "purge", "device-reported")
#: What such a drive can do; each is planned alone and therefore first.
WAYS: dict[str, dict[str, Any]] = {
    "nvme_sanitize_crypto": {"has_block_erase": False},
    "nvme_sanitize_block": {"has_crypto_erase": False},
    "nvme_sanitize_overwrite": {"has_crypto_erase": False, "has_block_erase": False, "has_overwrite": True},
}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def found_failed(make_lab: Any, fault: Fault, *others: Fault, **settings: Any) -> Any:
    """A machine whose drive was found like that when it was planned."""
    lab = make_lab("SN-1", **settings)
    lab.drives[0].set_faults([fault, *others])
    return lab


def erase(lab: Any, **run: Any) -> Any:
    order = lab.accept()
    lab.run(order, **run)
    return order


def said(claim: Any) -> tuple[str, str, str]:
    return claim.result.value, claim.method.value, claim.grade.value


@pytest.mark.parametrize("technique", WAYS)
@pytest.mark.parametrize("fault", KEPT_OUT)
def test_a_drive_that_refuses_all_access_is_sanitized_and_claimed_by_its_own_word(
    make_lab: Any, fault: Fault, technique: str
) -> None:
    lab = found_failed(make_lab, fault, **WAYS[technique])
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) > 0
    claim = lab.claim(erase(lab), "SN-1")
    assert (said(claim), claim.technique.value) == (REPORTED, technique)
    assert "NO_MARKERS" in claim.reasons
    assert assurance.REPORTED_LIMIT in claim.limits
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) == 0


def test_journal_and_evidence_say_why_there_are_no_markers(make_lab: Any) -> None:
    lab = found_failed(make_lab, Fault.RESTRICTED_FAILURE)
    order = erase(lab)
    kinds = lab.kinds(order)
    assert kinds[3:7] == ["unmarked", "markers_committed", "start", "sent"]
    why, committed = lab.journal(order)[3:5]
    assert (why.body["code"], why.needs_ack) == ("ACCESS_REFUSED", False)
    assert (committed.body["count"], committed.needs_ack) == ("0", True)
    entry = lab.evidence(order).media[0]
    assert entry.errors == ("ACCESS_REFUSED",)
    assert (entry.markers.committed_count, entry.markers.markers) == (0, ())
    assert entry.markers.was_acknowledged is Seen.YES
    nonce = bytes.fromhex(entry.markers.nonce)
    assert entry.markers.committed_digest == markers_digest(nonce=nonce, markers=())
    assert (entry.is_readable_after, entry.same_identity_after) == (Seen.YES, Seen.YES)


def test_nothing_is_sent_before_the_commitment_to_no_marker_is_acknowledged(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    lab = found_failed(make_lab, Fault.RESTRICTED_FAILURE)
    order = erase(lab, world=make_world(fake_time), may_ack=lambda line: line.kind != "markers_committed")
    assert lab.drives[0].state().sanitizes_begun == 0
    assert "start" not in lab.kinds(order)


def test_a_wipe_afterwards_is_proven_by_markers(make_lab: Any) -> None:
    lab = found_failed(make_lab, Fault.RESTRICTED_FAILURE)
    erase(lab)
    lab.boot()
    order = erase(lab)
    assert "unmarked" not in lab.kinds(order)
    assert said(lab.claim(order, "SN-1")) == ("erased", "purge", "marker-proven")


def test_a_failure_that_was_left_refuses_nothing_and_the_drive_is_marked(make_lab: Any) -> None:
    """The log alone is no reason: only a drive that lets nothing be read is begun unmarked."""
    lab = found_failed(make_lab, Fault.FAILURE_LEFT)
    order = erase(lab)
    assert "unmarked" not in lab.kinds(order)
    assert said(lab.claim(order, "SN-1")) == ("erased", "purge", "marker-proven")


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.SILENT])
def test_a_drive_that_refuses_without_saying_why_is_never_begun_unmarked(make_lab: Any, fault: Fault) -> None:
    lab = make_lab("SN-1")
    drive = lab.drives[0]
    order = erase(lab, after=lambda line: drive.set_faults([fault]) if line.kind == "opened" else None)
    assert not {"unmarked", "start"} & set(lab.kinds(order))
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_a_drive_that_can_only_be_overwritten_by_the_host_is_not_begun_unmarked(make_lab: Any) -> None:
    lab = make_lab("SN-1", has_crypto_erase=False, has_block_erase=False, has_format=False, is_booted=False)
    lab.floor = "clear"
    lab.boot()
    lab.drives[0].set_faults([Fault.RESTRICTED_FAILURE])
    order = erase(lab)
    assert not {"unmarked", "start"} & set(lab.kinds(order))


def test_what_follows_a_failed_way_out_is_another_way_out_and_nothing_else(make_lab: Any) -> None:
    lab = make_lab("SN-1", is_booted=False, has_overwrite=True)
    lab.floor = "clear"
    lab.boot()
    lab.drives[0].set_faults([Fault.RESTRICTED_FAILURE, Fault.FAILS])
    order = lab.accept()
    planned = [technique.value for technique in order.plan.media[0].techniques]
    assert not set(planned) <= set(WAYS), "the plan also names what the drive would refuse"
    lab.run(order)
    sent = [command.technique.value for command in lab.evidence(order).media[0].commands]
    assert sent == [name for name in planned if name in WAYS]
    assert said(lab.claim(order, "SN-1"))[0] == "not_erased"


def test_a_second_sanitize_that_succeeds_after_a_refused_one_is_no_better_known(make_lab: Any) -> None:
    lab = found_failed(make_lab, Fault.RESTRICTED_FAILURE, Fault.FAILS)
    order = lab.accept()
    drive = lab.drives[0]
    lab.run(order, after=lambda line: drive.set_faults([]) if line.kind == "ended" else None)
    claim = lab.claim(order, "SN-1")
    assert (said(claim), claim.technique.value) == (REPORTED, "nvme_sanitize_block")


@pytest.mark.parametrize("fault", [Fault.LIES, Fault.ERASES_PART])
def test_a_liar_whose_tenant_is_still_read_is_inconclusive(make_lab: Any, fault: Fault) -> None:
    """There is no marker to find it out by, but what no erase leaves stands where one would lie."""
    lab = found_failed(make_lab, Fault.RESTRICTED_FAILURE, fault, deallocates=False)
    order = erase(lab)
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) > 0
    assert "CONTENT_LEFT" in lab.evidence(order).media[0].errors
    assert said(lab.claim(order, "SN-1"))[0] == "inconclusive"


def test_no_kill_begins_an_unmarked_drive_twice_or_makes_more_of_it(make_lab: Any, make_world: Any) -> None:
    """An observer takes over; whatever it finds, the drive was sanitized once at most, and claimed by it."""
    ends: set[tuple[str, str, str]] = set()
    for dies_at in range(1, 40):
        lab = found_failed(make_lab, Fault.RESTRICTED_FAILURE)

        def dies(number: int, line: JournalLine, at: int = dies_at) -> bool:
            return number == at

        with processes(lab, make_world(), dies) as started:
            order = accept(lab, started)
            settle(lab, order, started)
        assert lab.drives[0].state().sanitizes_begun <= 1, dies_at
        if "evidence" in lab.kinds(order):
            claim = lab.claim(order, "SN-1")
            ends.add(said(claim))
            assert claim.result != "erased" or occurrences(lab.drives[0].folder, SECRET_TEXT) == 0, dies_at
        if dies_at > len(lab.journal(order)):
            assert ends >= {REPORTED, ("inconclusive", "none", "none")}
            assert not any(grade == "marker-proven" for _, _, grade in ends)
            return
    pytest.fail("an execution of one drive has fewer than 40 lines")
