"""The whole way on one machine: from a signed delivery to signed evidence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.devices.emulated import EmulatedTransport
from agent.devices.nvme import Completion
from agent.devices.simulated import Namespace, SimulatedNvme, occurrences
from certificate import commitment
from certificate.messages import JournalLine
from certificate.statements import Seen
from certificate.statements.vocabulary import DeviceClass, MarkerReading

SECRET_TEXT = b"a tenant's secret"
SANITIZE = 0x84
GET_LOG, HEALTH_LOG = 0x02, 0x02


def sanitizes(drive: SimulatedNvme) -> bool:
    """Whether the drive itself ever began one."""
    return bool(drive.state().sanitize.status != "never")


def bodies(lab: Any, order: Any, kind: str) -> list[dict[str, str]]:
    return [line.body for line in lab.journal(order) if line.kind == kind]


def test_an_honest_drive_is_erased_and_the_evidence_proves_it(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) > 0
    order = lab.accept()
    lab.run(order)
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) == 0
    claim = lab.claim(order, "SN-1")
    told = (claim.result, claim.method, claim.grade, claim.reasons)
    assert told == ("erased", "purge", "marker-proven", ())


def test_a_namespace_that_is_not_attached_keeps_the_claim_at_device_reported(make_lab: Any) -> None:
    spaces = (Namespace(nsid=1, blocks=128), Namespace(nsid=2, blocks=64, is_attached=False))
    lab = make_lab("SN-1", namespaces=spaces)
    order = lab.accept()
    lab.run(order)
    claim = lab.claim(order, "SN-1")
    assert (claim.result, claim.grade, claim.reasons) == ("erased", "device-reported", ("MARKERS_TOO_FEW",))


def test_the_journal_has_its_lines_in_their_order(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    kinds = lab.kinds(order)
    named = [kind for kind in kinds if kind != "progress"]
    assert named == [
        *("accepted", "released", "opened", "markers_committed", "marked", "start", "sent", "ended"),
        *("readback", "evidence", "finished"),
    ]
    assert kinds.index("sent") < kinds.index("progress") < kinds.index("ended")
    asked = {line.step for line in lab.journal(order) if line.needs_ack}
    name = lab.commitment("SN-1")
    assert asked == {f"markers:{name}", f"start:{name}:nvme_sanitize_crypto"}


def test_the_evidence_says_what_was_seen_and_nothing_more(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    evidence = lab.evidence(order)
    medium = evidence.media[0]
    assert evidence.boot_secret_held is Seen.YES
    assert evidence.was_attached is Seen.NO
    assert evidence.unexpected_media_count == 0
    assert medium.medium.device_class is DeviceClass.EMULATED
    assert [fact.agrees for fact in evidence.host_facts] == [Seen.YES] * 4
    assert {place.state.value for place in evidence.residue} == {"not_covered"}
    assert evidence.tool.image_digest == "not_observed"
    command = medium.commands[0]
    assert command.submission[:2] == "84"
    assert command.completion_status == "0000"
    assert command.seen_in_progress is Seen.YES
    assert command.start_acknowledged is Seen.YES
    assert command.status_log_before != command.status_log_after
    assert {marker.reading_after for marker in medium.markers.markers} == {MarkerReading.PSEUDORANDOM}
    lines = lab.journal(order)
    before = [line.kind for line in lines].index("evidence")
    assert evidence.journal_lines == before
    assert evidence.journal_head == lines[before].previous


def test_the_start_line_holds_the_counters_from_just_before(make_lab: Any) -> None:
    """A boot that comes after a power loss is paired with this line by them."""
    lab = make_lab("SN-1")
    for _ in range(3):
        lab.drives[0].power_cycle()
    order = lab.accept()
    lab.run(order)
    counters = json.loads(bodies(lab, order, "start")[0]["counters"])
    assert set(counters) == {"DUW", "PWRC", "UPL"}
    assert counters["PWRC"] == "03" + "00" * 15


@pytest.mark.parametrize("answers", [0, 1])
def test_a_drive_that_stops_telling_its_counters_is_erased_all_the_same(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """Not told at all, or only before the acknowledgement: what is not told is not observed."""
    original, asked = EmulatedTransport.submit, []

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Completion:
        if sqe[0] == GET_LOG and sqe[40] == HEALTH_LOG:
            asked.append(sqe)
            if len(asked) > answers:
                return Completion(status=0x4109, result=0, data=b"")
        return original(self, sqe, data)

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    told = set(json.loads(bodies(lab, order, "start")[0]["counters"]).values())
    assert ("not_observed" in told) is (answers == 0)
    assert len(asked) > answers
    assert lab.claim(order, "SN-1").result == "erased"


def test_counters_that_rise_while_it_waits_do_not_make_it_another_drive(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order, after=lambda line: lab.drives[0].power_cycle() if line.kind == "start" else None)
    assert lab.claim(order, "SN-1").result == "erased"


def test_neither_journal_nor_evidence_names_a_serial(make_lab: Any) -> None:
    lab = make_lab("SERIAL-OF-THE-DRIVE")
    order = lab.accept()
    lab.run(order)
    evidence = bodies(lab, order, "evidence")[0]
    annex = json.loads(evidence.pop("annex"))
    for line in lab.journal(order):
        told = {key: value for key, value in line.body.items() if key != "annex"}
        assert "SERIAL-OF-THE-DRIVE" not in json.dumps(told)
    assert "SERIAL-OF-THE-DRIVE" not in lab.evidence(order).model_dump_json()
    assert annex["media"][0]["serial"] == "SERIAL-OF-THE-DRIVE"


def test_the_annex_opens_the_commitments_of_the_evidence(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    annex = json.loads(bodies(lab, order, "evidence")[0]["annex"])
    entry = annex["media"][0]
    salt = bytes.fromhex(entry["salt"])
    assert commitment.medium_commitment(salt=salt, serial=entry["serial"]) == entry["commitment"]
    assert (annex["schema"], annex["order"]) == (1, order.order)
    assert len(bytes.fromhex(entry["identify_controller"])) == 4096


def test_a_drive_that_lies_is_found_out(make_lab: Any) -> None:
    lab = make_lab("SN-1", faults=("lies",))
    order = lab.accept()
    lab.run(order)
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) > 0
    readings = {marker.reading_after for marker in lab.evidence(order).media[0].markers.markers}
    assert readings == {MarkerReading.UNCHANGED}
    assert lab.claim(order, "SN-1").result == "not_erased"


def test_a_drive_that_only_unmaps_is_not_proven(make_lab: Any) -> None:
    lab = make_lab("SN-1", faults=("deallocates_only",))
    order = lab.accept()
    lab.run(order)
    readings = {marker.reading_after for marker in lab.evidence(order).media[0].markers.markers}
    assert readings == {MarkerReading.ZERO}
    assert lab.claim(order, "SN-1").grade == "device-reported"


def test_a_drive_whose_sanitize_fails_gets_the_next_technique_and_is_not_erased(make_lab: Any) -> None:
    lab = make_lab("SN-1", faults=("fails",))
    order = lab.accept()
    lab.run(order)
    medium = lab.evidence(order).media[0]
    sent = [command.technique.value for command in medium.commands]
    assert sent == ["nvme_sanitize_crypto", "nvme_sanitize_block"]
    assert "SANITIZE_FAILED" in medium.errors
    assert medium.is_readable_after is Seen.NO
    assert lab.claim(order, "SN-1").result == "not_erased"


def test_a_drive_that_refuses_the_command_is_not_erased(make_lab: Any) -> None:
    lab = make_lab("SN-1", faults=("refuses",))
    order = lab.accept()
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert {command.was_accepted for command in medium.commands} == {Seen.NO}
    assert "DEVICE_STATUS" in medium.errors
    assert lab.claim(order, "SN-1").result == "not_erased"


def test_a_drive_that_hangs_ends_by_the_deadline(make_lab: Any, make_world: Any, fake_time: Any) -> None:
    lab = make_lab("SN-1", faults=("hangs",))
    order = lab.accept()
    lab.run(order, world=make_world(fake_time))
    medium = lab.evidence(order).media[0]
    assert [command.timed_out for command in medium.commands] == [Seen.YES]
    assert "COMMAND_TIMED_OUT" in medium.errors
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_one_failing_drive_does_not_stop_the_others(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    lab.add_drive("SN-2", "refuses")
    lab.add_drive("SN-3")
    order = lab.accept()
    lab.run(order)
    results = [lab.claim(order, serial).result for serial in ("SN-1", "SN-2", "SN-3")]
    assert results == ["erased", "not_erased", "erased"]


def test_a_drive_held_by_somebody_else_is_not_touched(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    assert lab.drives[0].claim()
    lab.run(order)
    lab.drives[0].release()
    medium = lab.evidence(order).media[0]
    assert medium.opened_exclusively is Seen.NO
    assert "DRIVE_NOT_EXCLUSIVE" in medium.errors
    assert medium.commands == ()
    assert not sanitizes(lab.drives[0])
    assert lab.claim(order, "SN-2").result == "erased"


def test_a_drive_that_vanished_after_admission_is_reported_missing(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    lab.drives[0].folder.rename(lab.folder / "pulled")
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert medium.was_present is Seen.NO
    assert "DRIVE_MISSING" in medium.errors
    assert lab.claim(order, "SN-1").result == "inconclusive"
    assert lab.claim(order, "SN-2").result == "erased"


def test_without_any_acknowledgement_nothing_is_written(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: False)
    medium = lab.evidence(order).media[0]
    assert "ACK_TIMED_OUT" in medium.errors
    assert medium.commands == ()
    assert medium.markers.was_acknowledged is Seen.NO
    assert not sanitizes(lab.drives[0])
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) > 0
    assert "marked" not in lab.kinds(order)


def test_without_an_acknowledged_start_nothing_is_sent(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: line.kind == "markers_committed")
    assert not sanitizes(lab.drives[0])
    assert lab.evidence(order).media[0].commands == ()
    assert bodies(lab, order, "not_begun")[0]["code"] == "ACK_TIMED_OUT"


def test_an_acknowledgement_older_than_its_life_begins_nothing(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    """It arrives in time, but the agent comes to the command only after 60 s of its own clock."""
    lab = make_lab("SN-1")
    order = lab.accept()

    def stall(line: JournalLine) -> None:
        if line.kind == "start":
            lab.ack(order, line)
            fake_time.ms += 60_000

    lab.run(order, world=make_world(fake_time), after=stall, may_ack=lambda line: line.kind != "start")
    assert not sanitizes(lab.drives[0])
    assert bodies(lab, order, "not_begun")[0]["code"] in ("ACK_EXPIRED", "ACK_TIMED_OUT")


def test_an_order_that_expires_before_the_start_begins_nothing(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    lab = make_lab("SN-1")
    order = lab.accept(lab.order(valid_for_s=20))

    def stall(line: JournalLine) -> None:
        if line.kind == "start":
            fake_time.ms += 21_000

    lab.run(order, world=make_world(fake_time), after=stall)
    assert not sanitizes(lab.drives[0])
    assert bodies(lab, order, "not_begun")[0]["code"] == "ORDER_EXPIRED"


def test_a_newer_order_stops_an_older_one_before_its_next_step(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order, newer = lab.accept(), []

    def overtake(line: JournalLine) -> None:
        if line.kind == "start":
            newer.append(lab.ask(lab.request(lab.order())))

    lab.run(order, after=overtake)
    assert [answer.code for answer in newer] == ["BUSY"]
    assert bodies(lab, order, "not_begun")[0]["code"] == "FENCE_STALE"
    assert not sanitizes(lab.drives[0])


def test_a_restarted_agent_cannot_be_running_an_execution(make_lab: Any) -> None:
    """A boot during an execution is refused, so that no command is sent under another boot's key."""
    lab = make_lab("SN-1")
    order, refused = lab.accept(), []

    def restart(line: JournalLine) -> None:
        if line.kind == "start":
            with pytest.raises(Exception, match="BUSY"):
                lab.boot()
            refused.append(line)

    lab.run(order, after=restart)
    assert refused
    assert lab.claim(order, "SN-1").result == "erased"


def test_a_drive_swapped_while_it_waited_is_not_erased(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()

    def swap(line: JournalLine) -> None:
        if line.kind == "start":
            state = lab.drives[0].folder / "state.json"
            state.write_text(state.read_text().replace("SN-1", "SN-X"))

    lab.run(order, after=swap)
    assert bodies(lab, order, "not_begun")[0]["code"] == "IDENTITY_CHANGED"
    assert not sanitizes(lab.drives[0])


def test_a_controller_lost_after_the_start_was_acknowledged_does_not_stop_the_erase(make_lab: Any) -> None:
    """What follows the start runs disconnected: nobody asks, nobody follows, and the evidence is there."""
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    after_start = [line for line in lab.journal(order) if line.kind in ("sent", "ended", "evidence")]
    assert not any(line.needs_ack for line in after_start)
    assert lab.status(order.token).state == "done"
    assert lab.claim(order, "SN-1").result == "erased"


def test_what_a_drive_does_beyond_its_standard_costs_only_its_own_erase(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours on one drive is AGENT_FAILED there; the other drive's evidence is not lost."""
    lab = make_lab("SN-1", "SN-2")
    order = lab.accept()
    original = SimulatedNvme.write

    def broken(self: SimulatedNvme, nsid: int, offset_bytes: int, data: bytes) -> None:
        if self.folder.name == "SN-1":
            raise ZeroDivisionError
        original(self, nsid, offset_bytes, data)

    monkeypatch.setattr(SimulatedNvme, "write", broken)
    lab.run(order)
    assert lab.evidence(order).media[0].errors == ("AGENT_FAILED",)
    assert lab.claim(order, "SN-1").result == "inconclusive"
    assert lab.claim(order, "SN-2").result == "erased"


def test_two_runs_share_neither_markers_nor_nonce(make_lab: Any) -> None:
    """In one boot, with one drive: the second order's markers cannot be known from the first's evidence."""
    lab = make_lab("SN-1")
    seen = []
    for _ in range(2):
        order = lab.accept()
        lab.run(order)
        seen.append(lab.evidence(order).media[0].markers)
    assert seen[0].nonce != seen[1].nonce
    contents = [{marker.content_sha256 for marker in markers.markers} for markers in seen]
    assert not contents[0] & contents[1]
