"""Waiting for a sanitize: drives that misbehave, answers that do not come, and how long it may take."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from agent.devices.nvme import Completion, SanitizeLog
from agent.devices.simulated import Fault
from agent.techniques.nvme_sanitize import BLOCK, CRYPTO, OVERWRITE, NvmeSanitize
from agent.techniques.technique import Started
from certificate.statements.statement import Seen
from tests.sanitize_run import LIMITS, PAGE, Clock, Make, Run, Wire, sanitizable


@pytest.fixture
def make_device(tmp_path: Path) -> Make:
    return partial(sanitizable, tmp_path / "drive")


# --- drives that misbehave ----------------------------------------------------------------------------------


def test_a_drive_that_lies_is_reported_as_it_answers(make_device: Make) -> None:
    device = make_device(faults=("lies",))
    facts = Run(device).facts()
    assert (facts.has_failed, facts.errors) == (False, ())
    assert device.read(1, 0, 4096) == PAGE


def test_a_drive_that_fails_is_no_timeout_and_lets_the_next_technique_follow(make_device: Make) -> None:
    facts = Run(make_device(faults=("fails",))).facts()
    assert facts.errors == ("SANITIZE_FAILED",)
    assert (facts.timed_out, facts.has_failed) == (Seen.NO, True)
    assert facts.status_after is not None
    assert facts.status_after[2] == 3


@pytest.mark.parametrize(("fault", "status"), [("refuses", "0006"), ("capability_wrong", "4002")])
def test_a_command_that_the_drive_refuses_is_not_waited_for(
    make_device: Make, fault: str, status: str
) -> None:
    run = Run(make_device(faults=(fault,)))
    facts = run.facts()
    assert run.started.completion == bytes.fromhex(status)
    assert (run.started.was_accepted, facts.seen_in_progress) == (Seen.NO, Seen.NO)
    assert (facts.has_failed, facts.errors) == (True, ("DEVICE_STATUS",))
    assert run.clock.pauses == []


def test_a_refusal_says_no_and_an_older_success_in_the_log_does_not_change_it(make_device: Make) -> None:
    device = make_device()
    Run(device).facts()
    device.set_faults((Fault.REFUSES,))
    run = Run(device)
    facts = run.facts()
    watched = run.watch(run.prepared, run.started)
    assert (facts.has_failed, watched.has_ended) == (True, False)
    assert facts.errors == ("DEVICE_STATUS",)


def test_a_drive_that_hangs_is_given_up_after_the_no_progress_deadline(make_device: Make) -> None:
    run = Run(make_device(faults=(Fault.HANGS,)))
    facts = run.facts()
    assert (facts.timed_out, facts.has_failed) == (Seen.YES, False)
    assert facts.errors == ("COMMAND_TIMED_OUT",)
    assert facts.seen_in_progress is Seen.YES
    assert run.clock.ms == LIMITS.no_progress_seconds * 1000


def test_a_drive_far_beyond_its_own_estimate_is_waited_for_while_it_moves(make_device: Make) -> None:
    run = Run(make_device(faults=("slow",)), CRYPTO)
    facts = run.facts()
    assert (facts.timed_out, facts.errors) == (Seen.NO, ())
    assert run.clock.ms == 80_000


def test_slow_progress_is_given_up_at_the_total_deadline(make_device: Make) -> None:
    run = Run(make_device(sanitize_polls=10_000))
    assert run.facts().errors == ("COMMAND_TIMED_OUT",)
    assert run.clock.ms == LIMITS.total_seconds * 1000


def test_a_clock_that_stands_still_does_not_hold_the_loop(make_device: Make) -> None:
    class Frozen(Clock):
        def now_ms(self) -> int:
            return 0

    run = Run(make_device(faults=(Fault.HANGS,)))
    run.clock = Frozen()
    assert run.facts().timed_out is Seen.YES
    assert len(run.clock.pauses) <= LIMITS.total_seconds + 2


def test_polls_wait_a_second_as_real_drives_want(make_device: Make) -> None:
    run = Run(make_device(sanitize_polls=2))
    run.facts()
    assert run.clock.pauses == [1.0, 1.0]


def test_a_drive_that_waits_in_media_verification_has_not_ended(make_device: Make) -> None:
    device = make_device()

    class Verifying(Wire):
        def submit(self, sqe: bytes, data: bytes | int) -> Completion:
            answer = super().submit(sqe, data)
            if sqe[0] == 0x02 and sqe[40] == 0x81 and 0x84 in self.sent:
                page = bytearray(answer.data)
                page[2], page[36] = 1, 5
                return replace(answer, data=bytes(page))
            return answer

    facts = Run(device, wire=Verifying(device)).facts()
    assert (facts.timed_out, facts.has_failed) == (Seen.YES, False)
    assert facts.errors == ("COMMAND_TIMED_OUT",)


def test_a_drive_that_loses_its_power_is_not_observed_and_its_sanitize_goes_on(make_device: Make) -> None:
    device = make_device(faults=("power_lost",), sanitize_polls=4)
    run = Run(device)
    facts = run.facts()
    assert (facts.seen_in_progress, facts.timed_out, facts.has_failed) == (Seen.YES, Seen.YES, False)
    assert facts.errors == ("DEVICE_UNANSWERED", "COMMAND_TIMED_OUT")
    device.power_cycle()
    again = run.end(replace(run.started, handle=None))
    assert (again.has_failed, again.timed_out) == (False, Seen.NO)
    assert run.wire.sent.count(0x84) == 1
    assert device.read(1, 0, 4096) != PAGE


# --- answers that do not come -------------------------------------------------------------------------------


def test_a_lost_answer_is_not_observed_and_never_a_second_send(make_device: Make) -> None:
    device = make_device()
    run = Run(device, wire=Wire(device, lose=[0x84]))
    facts = run.facts()
    assert run.wire.sent.count(0x84) == 1
    assert (run.started.was_accepted, run.started.completion) == (Seen.NOT_OBSERVED, None)
    assert (facts.timed_out, facts.seen_in_progress, facts.has_failed) == (Seen.YES, Seen.YES, False)
    assert facts.errors == ("DEVICE_UNANSWERED",)


def test_a_lost_answer_and_a_failure_seen_running_is_a_failure_of_ours(make_device: Make) -> None:
    device = make_device(faults=("fails",))
    facts = Run(device, wire=Wire(device, lose=[0x84])).facts()
    assert (facts.has_failed, facts.seen_in_progress) == (True, Seen.YES)


def test_a_command_that_never_arrived_does_not_borrow_an_older_failure(make_device: Make) -> None:
    device = make_device(faults=("fails",))
    Run(device).facts()
    facts = Run(device, wire=Wire(device, drop=[0x84])).facts()
    assert facts.has_failed is False
    assert facts.errors == ("DEVICE_UNANSWERED", "SANITIZE_FAILED")


def test_a_command_that_never_arrived_does_not_borrow_an_older_success(make_device: Make) -> None:
    device = make_device()
    Run(device, BLOCK).facts()
    device.write(1, 0, PAGE)
    run = Run(device, wire=Wire(device, drop=[0x84]))
    facts = run.facts()
    assert run.wire.sent.count(0x84) == 1
    assert (run.started.was_accepted, facts.seen_in_progress) == (Seen.NOT_OBSERVED, Seen.NO)
    assert facts.status_after is not None
    assert run.prepared.submission is not None
    assert facts.status_after[4:8] != run.prepared.submission[40:44]
    assert device.read(1, 0, 4096) == PAGE


def test_anothers_sanitize_is_never_seen_as_ours(make_device: Make) -> None:
    device = make_device()
    run = Run(device, wire=Wire(device, drop=[0x84]))
    run.prepared = run.prepare()
    started = run.technique.start(run.drive, run.prepared)
    device.start_sanitize("block", command_dword=2, is_no_deallocate=False, may_exit_failure=False)
    facts = run.end(started)
    assert (facts.seen_in_progress, facts.has_failed) == (Seen.NO, False)
    assert run.reports == []


def test_a_poll_without_answer_is_no_end(make_device: Make) -> None:
    device = make_device()
    run = Run(device)
    run.prepared = run.prepare()
    started = run.technique.start(run.drive, run.prepared)
    run.wire.drop = {0x02, 0x06}
    facts = run.end(started)
    assert facts.status_after is None
    assert (facts.timed_out, facts.seen_in_progress) == (Seen.YES, Seen.NOT_OBSERVED)
    assert facts.errors == ("DEVICE_UNANSWERED", "COMMAND_TIMED_OUT")


# --- begun by another process -------------------------------------------------------------------------------


def begun_elsewhere(completion: bytes | None = b"\x00\x00") -> Started:
    accepted = Seen.NOT_OBSERVED if completion is None else Seen.YES
    return Started(was_accepted=accepted, completion=completion, errors=())


def test_a_command_of_another_process_that_runs_is_waited_for(make_device: Make) -> None:
    device = make_device(sanitize_polls=3)
    run = Run(device)
    run.prepared = run.prepare()
    run.technique.start(run.drive, run.prepared)
    facts = run.end(begun_elsewhere(None))
    assert (facts.seen_in_progress, facts.has_failed) == (Seen.YES, False)
    assert len(run.clock.pauses) == 3


@pytest.mark.parametrize("completion", [None, b"\x00\x00"])
def test_a_command_of_another_process_that_does_not_run_gets_one_look(
    make_device: Make, completion: bytes | None
) -> None:
    run = Run(make_device())
    run.prepared = run.prepare()
    facts = run.end(begun_elsewhere(completion))
    assert run.clock.pauses == []
    assert (facts.has_failed, facts.seen_in_progress) == (False, Seen.NO)
    assert facts.timed_out is (Seen.YES if completion is None else Seen.NOT_OBSERVED)


def test_a_drive_that_does_not_answer_another_process_is_not_waited_for(make_device: Make) -> None:
    device = make_device()
    run = Run(device)
    run.prepared = run.prepare()
    run.wire.drop = {0x02}
    facts = run.end(begun_elsewhere())
    assert run.clock.pauses == []
    assert (facts.status_after, facts.errors) == (None, ("DEVICE_UNANSWERED",))


# --- how long it may take -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("technique", "defaults", "offset"),
    [(OVERWRITE, (3600, 86_400), 20), (BLOCK, (900, 14_400), 24), (CRYPTO, (300, 900), 28)],
)
def test_the_drives_own_estimate_only_lengthens_the_wait(
    make_device: Make, technique: NvmeSanitize, defaults: tuple[int, int], offset: int
) -> None:
    prepared = Run(make_device(has_overwrite=True), technique).prepare()
    assert prepared.status_before is not None
    limits = technique.deadlines(prepared)
    assert (limits.no_progress_seconds, limits.total_seconds) == defaults
    page = bytearray(prepared.status_before)
    for seconds, total in (
        (40_000, max(120_000, defaults[1])),
        (0xFFFFFFFF, defaults[1]),
        (0xFFFFFFFE, 3 * 86_400),
    ):
        page[offset : offset + 4] = seconds.to_bytes(4, "little")
        changed = replace(prepared, status_before=bytes(page))
        assert technique.deadlines(changed).total_seconds == total


def test_a_journal_that_kept_no_log_gives_the_default_wait(make_device: Make) -> None:
    prepared = replace(Run(make_device()).prepare(), status_before=None)
    assert CRYPTO.deadlines(prepared).total_seconds == 900


def test_the_whole_page_is_handed_from_watching_to_the_facts(make_device: Make) -> None:
    run = Run(make_device())
    run.facts()
    watched = run.watch(run.prepared, run.started)
    assert watched.status is not None
    assert SanitizeLog.parse(watched.status).raw == watched.status
