"""Drives that the host overwrites: the whole way from a signed delivery to signed evidence."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from agent import last_look, readback
from agent.devices.simulated import Fault, Namespace, occurrences
from agent.techniques import overwrite
from certificate import keystream, sampling
from certificate.statements import Seen
from certificate.statements.vocabulary import DeviceClass, MarkerReading, ReadBackMode

SECRET_TEXT = b"a tenant's secret"
MIB = 1 << 20


def bodies(lab: Any, order: Any, kind: str) -> list[dict[str, str]]:
    return [line.body for line in lab.journal(order) if line.kind == kind]


def key(lab: Any, order: Any, serial: str) -> bytes:
    nonce = bytes.fromhex(lab.evidence(order).media[0].markers.nonce)
    digest = lab.evidence(order).order_digest
    return keystream.key(order_digest=digest, nonce=nonce, commitment=lab.commitment(serial))


@pytest.mark.parametrize("pattern", ["keystream", "zero"])
def test_an_image_is_overwritten_read_back_and_proven_clear(plain_lab: Any, pattern: str) -> None:
    lab = plain_lab
    lab.overwrite = pattern
    image = lab.add_image("IMG-1")
    order = lab.accept()
    lab.run(order)
    assert SECRET_TEXT not in image.read_bytes()
    evidence = lab.evidence(order).media[0]
    assert evidence.medium.device_class is DeviceClass.IMAGE_FILE
    assert {each.reading_after for each in evidence.markers.markers} == {MarkerReading.AS_OVERWRITTEN}
    command = evidence.commands[0]
    assert command.technique.value == f"overwrite_{pattern}"
    assert (command.submission, command.completion_status) == ("not_applicable", "not_applicable")
    assert (command.status_log_before, command.status_log_after) == ("not_applicable", "not_applicable")
    assert command.overwrite.model_dump(mode="json") == {
        "pattern": pattern,
        "bytes_written": MIB,
        "bytes_failed": 0,
        "was_flushed": "yes",
    }
    claim = lab.claim(order, "IMG-1")
    assert (claim.result, claim.method, claim.grade) == ("erased", "clear", "marker-proven"), claim.reasons


def test_an_image_replaced_after_it_was_opened_is_not_called_erased(plain_lab: Any) -> None:
    lab = plain_lab
    image = lab.add_image("IMG-1")
    order = lab.accept()

    def replaced(line: Any) -> None:
        if line.kind == "ended":
            copy = image.parent.parent / "copy"
            copy.write_bytes(SECRET_TEXT.ljust(MIB, b"."))
            copy.replace(image)

    lab.run(order, after=replaced)
    assert SECRET_TEXT in image.read_bytes()
    entry = lab.evidence(order).media[0]
    assert entry.same_identity_after is not Seen.YES
    assert "IDENTITY_CHANGED" in entry.errors
    assert lab.claim(order, "IMG-1").result == "inconclusive"


def test_what_stands_on_the_medium_is_made_again_from_evidence_and_order_alone(plain_lab: Any) -> None:
    lab = plain_lab
    image = lab.add_image("IMG-1")
    order = lab.accept()
    lab.run(order)
    made = keystream.read(key(lab, order, "IMG-1"), capacity_bytes=MIB, offset_bytes=0, length_bytes=MIB)
    assert image.read_bytes() == made


def test_the_read_back_says_what_it_read_and_from_which_seed(plain_lab: Any) -> None:
    lab = plain_lab
    lab.read_back = "sampled"
    lab.add_image("IMG-1", bytes(64 * MIB))
    order = lab.accept()
    lab.run(order)
    evidence = lab.evidence(order)
    medium = evidence.media[0]
    seed = sampling.seed(
        order_digest=evidence.order_digest,
        nonce=bytes.fromhex(medium.markers.nonce),
        commitment=lab.commitment("IMG-1"),
    )
    planned = list(sampling.extents(ReadBackMode.SAMPLED, seed=seed, capacity_bytes=64 * MIB))
    assert 0 < len(planned) < 64
    assert medium.read_back.model_dump(mode="json") == {
        "mode": "sampled",
        "seed": seed,
        "extents_planned": len(planned),
        "extents_read": len(planned),
        "bytes_read": sum(extent.length_bytes for extent in planned),
        "bytes_mismatched": 0,
        "bytes_unreadable": 0,
    }
    assert lab.claim(order, "IMG-1").result == "erased"


def test_a_plain_medium_names_what_no_overwrite_reaches(plain_lab: Any) -> None:
    lab = plain_lab
    lab.add_image("IMG-1")
    order = lab.accept()
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert medium.unaddressed_areas == (
        "spare and retired blocks",
        "storage beneath this medium, and its copies",
    )
    assert medium.medium.native_capacity_bytes == "not_applicable"


def test_the_annex_names_a_plain_medium_by_what_identifies_it(plain_lab: Any) -> None:
    lab = plain_lab
    lab.add_image("IMG-1")
    order = lab.accept()
    lab.run(order)
    entry = json.loads(bodies(lab, order, "evidence")[0]["annex"])["media"][0]
    assert (entry["serial"], entry["model"], entry["capacity_bytes"]) == ("IMG-1", "IMAGE 1", str(MIB))
    assert entry["identify_controller"] == "not_applicable"


@pytest.mark.parametrize("fault", ["drops_writes", "erases_part"])
def test_a_drive_that_only_says_that_it_wrote_is_not_erased(plain_lab: Any, fault: str) -> None:
    """Its markers were there before: the fault comes with the first unit of the pass."""
    lab = plain_lab
    drive = lab.add_plain("PL-1")
    order = lab.accept()

    def spoil(line: Any) -> None:
        if line.kind == "start":
            drive.set_faults([Fault(fault)])

    lab.run(order, after=spoil)
    medium = lab.evidence(order).media[0]
    assert medium.read_back.bytes_mismatched > 0
    assert MarkerReading.UNCHANGED in {each.reading_after for each in medium.markers.markers}
    assert lab.claim(order, "PL-1").result == "not_erased"


def test_bytes_that_could_not_be_written_are_counted_and_nothing_is_read_back(plain_lab: Any) -> None:
    lab = plain_lab
    drive = lab.add_plain("PL-1")
    order = lab.accept()

    def spoil(line: Any) -> None:
        if line.kind == "start":
            drive.set_faults([Fault("bad_blocks")])

    lab.run(order, after=spoil)
    medium = lab.evidence(order).media[0]
    written = medium.commands[0].overwrite
    assert written.bytes_failed > 0
    assert written.bytes_written + written.bytes_failed == medium.medium.capacity_bytes
    assert medium.read_back == "not_observed"
    assert "WRITE_FAILED" in medium.errors
    assert {each.is_covered for each in medium.namespaces} == {Seen.NOT_OBSERVED}
    assert lab.claim(order, "PL-1").result != "erased"


def test_all_overwrites_run_at_once(plain_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each drive waits, amid its pass, until the other has been begun."""
    lab = plain_lab
    lab.add_plain("PL-1")
    lab.add_plain("PL-2")
    order = lab.accept()
    both = threading.Barrier(2, timeout=30)
    original, met = overwrite.Pass._take, threading.local()

    def take(self: Any) -> Any:
        if not getattr(met, "met", False):
            met.met = True
            if threading.current_thread().name == "overwrite-0":
                both.wait()
        return original(self)

    monkeypatch.setattr(overwrite.Pass, "_take", take)
    lab.run(order)
    assert [lab.claim(order, serial).result for serial in ("PL-1", "PL-2")] == ["erased", "erased"]


def test_an_nvme_drive_that_sanitizes_is_not_read_back(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert medium.read_back == "not_applicable"
    assert "spare and retired blocks" not in medium.unaddressed_areas
    assert medium.medium.native_capacity_bytes == "not_applicable"


def test_a_sanitize_that_overwrites_leaves_exactly_its_pattern(make_lab: Any) -> None:
    lab = make_lab("SN-1", has_crypto_erase=False, has_block_erase=False, has_overwrite=True)
    order = lab.accept()
    lab.run(order)
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) == 0
    medium = lab.evidence(order).media[0]
    assert [each.technique.value for each in medium.commands] == ["nvme_sanitize_overwrite"]
    assert {each.reading_after for each in medium.markers.markers} == {MarkerReading.AS_OVERWRITTEN}
    claim = lab.claim(order, "SN-1")
    assert (claim.method, claim.grade) == ("purge", "marker-proven"), claim.reasons


def test_progress_of_a_pass_fills_no_journal(plain_lab: Any) -> None:
    lab = plain_lab
    lab.add_image("IMG-1", bytes(200 * MIB))
    order = lab.accept()
    lab.run(order)
    assert len(bodies(lab, order, "progress")) <= 65


def test_an_nvme_drive_without_sanitize_and_format_is_overwritten_namespace_by_namespace(
    make_lab: Any,
) -> None:
    spaces = (Namespace(nsid=1, blocks=128), Namespace(nsid=2, blocks=64))
    lab = make_lab("SN-1", namespaces=spaces, has_crypto_erase=False, has_block_erase=False, has_format=False)
    lab.floor = "clear"
    order = lab.accept()
    lab.run(order)
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) == 0
    medium = lab.evidence(order).media[0]
    assert {each.reading_after for each in medium.markers.markers} == {MarkerReading.AS_OVERWRITTEN}
    assert {each.is_covered for each in medium.namespaces} == {Seen.YES}
    assert "spare and retired blocks" in medium.unaddressed_areas
    claim = lab.claim(order, "SN-1")
    assert (claim.result, claim.method) == ("erased", "clear"), claim.reasons


def test_a_drive_that_fails_gets_its_next_technique_while_others_are_still_overwritten(
    plain_lab: Any,
) -> None:
    """A pass takes hours, and an order expires: the next technique is not asked for after it."""
    lab = plain_lab
    lab.add_image("AAA-1")
    lab.add_drive("SN-1", "fails", has_format=False)
    order = lab.accept()
    lab.run(order)
    told = [(line.kind, line.step.rpartition(":")[2]) for line in lab.journal(order)]
    assert told.index(("start", "overwrite_keystream")) < told.index(("start", "nvme_sanitize_crypto"))
    assert told.index(("start", "nvme_sanitize_block")) < told.index(("ended", "overwrite_keystream"))


def test_who_follows_is_told_how_far_a_read_back_is(plain_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large medium it takes hours."""
    lab = plain_lab
    lab.add_image("IMG-1")
    order = lab.accept()
    original = readback.read_back

    def slow(*arguments: Any, report: Any, **named: Any) -> Any:
        report(32768)
        time.sleep(0.2)
        return original(*arguments, report=report, **named)

    monkeypatch.setattr(readback, "read_back", slow)
    monkeypatch.setattr(last_look, "REPORT_SECONDS", 0.05)
    lab.run(order)
    step = f"readback:{lab.commitment('IMG-1')}"
    lines = [line for line in lab.journal(order) if line.step == step]
    assert [line.kind for line in lines] == ["progress", "readback"]
    assert lines[0].body["progress_65536ths"] == "32768"
    assert lab.claim(order, "IMG-1").result == "erased"


def test_a_read_back_that_fails_by_a_fault_of_ours_leaves_no_claim_and_no_other_without_one(
    plain_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = plain_lab
    lab.add_image("IMG-1")
    lab.add_image("IMG-2", bytes(2 * MIB))
    order = lab.accept()
    original = readback.read_back

    def broken(blocks: Any, layout: Any, **named: Any) -> Any:
        if layout == ((1, MIB),):
            raise ZeroDivisionError
        return original(blocks, layout, **named)

    monkeypatch.setattr(readback, "read_back", broken)
    lab.run(order)
    assert lab.evidence(order).media[0].errors == ("AGENT_FAILED",)
    assert lab.evidence(order).media[0].read_back == "not_observed"
    assert [lab.claim(order, serial).result for serial in ("IMG-1", "IMG-2")] == ["inconclusive", "erased"]


def test_all_read_backs_go_on_at_once(plain_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = plain_lab
    lab.add_image("IMG-1")
    lab.add_image("IMG-2")
    order = lab.accept()
    original, both = readback.read_back, threading.Barrier(2, timeout=30)

    def waits(*arguments: Any, **named: Any) -> Any:
        both.wait()
        return original(*arguments, **named)

    monkeypatch.setattr(readback, "read_back", waits)
    lab.run(order)
    assert [lab.claim(order, serial).result for serial in ("IMG-1", "IMG-2")] == ["erased", "erased"]


@pytest.mark.parametrize(("drives", "workers"), [(1, 4), (3, 4), (4, 2)])
def test_many_drives_share_the_processors(
    plain_lab: Any, monkeypatch: pytest.MonkeyPatch, drives: int, workers: int
) -> None:
    """More than two workers a drive would only wait for the processor."""
    lab = plain_lab
    for number in range(drives):
        lab.add_image(f"IMG-{number}")
    order = lab.accept()
    original, begin, used = readback.read_back, overwrite.Pass.begin, set()

    def read_back(*arguments: Any, **named: Any) -> Any:
        used.add(named["workers"])
        return original(*arguments, **named)

    def noted(self: Any, count: int) -> int:
        used.add(count)
        return begin(self, count)

    monkeypatch.setattr(readback, "read_back", read_back)
    monkeypatch.setattr(overwrite.Pass, "begin", noted)
    lab.run(order)
    assert used == {workers}
