from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.devices.emulated import EmulatedBlockIo, EmulatedTransport, emulated_plain_drive
from agent.devices.nvme import Completion, NvmeDrive, SanitizeLog
from agent.devices.simulated import Fault, Namespace, SimulatedNvme, SimulatedPlain, occurrences
from agent.devices.simulated.faults import read_faults
from agent.errors import Code, CommandFailed, TransportError
from agent.techniques.nvme_sanitize import BLOCK, CRYPTO, OVERWRITE, Deadlines, NvmeSanitize
from agent.techniques.technique import Aim, Facts, Prepared, Started, Watched
from certificate import keystream
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import DeviceClass, Technique

PLANTED = b"planted text" * 341
PAGE = PLANTED.ljust(4096, b".")
LIMITS = Deadlines(no_progress_seconds=5, total_seconds=60)
QUICK_CRYPTO = NvmeSanitize(CRYPTO.technique, CRYPTO.action, default=LIMITS)
AIM = Aim(key=bytes(range(64)), layout=((1, 64 * 4096),))
Make = Callable[..., SimulatedNvme]


class Wire:
    """Between driver and drive: remembers commands, and loses the answers of the ones it is told to."""

    device_class = DeviceClass.EMULATED

    def __init__(self, device: SimulatedNvme, *, lose: Iterable[int] = (), drop: Iterable[int] = ()) -> None:
        self.through = EmulatedTransport(device)
        self.lose, self.drop = set(lose), set(drop)
        self.sent: list[int] = []

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        self.sent.append(sqe[0])
        if sqe[0] in self.drop:
            raise TransportError("the command never arrived")
        answer = self.through.submit(sqe, data)
        if sqe[0] in self.lose:
            raise TransportError("the answer was lost")
        return answer


class Clock:
    """Moves only when somebody waits."""

    def __init__(self) -> None:
        self.ms = 0
        self.pauses: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.ms += int(seconds * 1000)


class Run:
    """One run of a technique, question by question."""

    def __init__(
        self, device: SimulatedNvme, technique: NvmeSanitize = QUICK_CRYPTO, *, wire: Wire | None = None
    ) -> None:
        self.wire = wire or Wire(device)
        self.drive = NvmeDrive(name="d", transport=self.wire, blocks=EmulatedBlockIo(device))
        self.technique = technique
        self.clock = Clock()
        self.reports: list[int] = []

    def prepare(self) -> Prepared:
        return self.technique.prepare(self.drive, AIM, step="")

    def watch(self, prepared: Prepared, started: Started) -> Watched:
        return self.technique.watch(
            self.drive,
            prepared,
            started,
            now_ms=self.clock.now_ms,
            pause=self.clock.pause,
            report=self.reports.append,
        )

    def facts(self) -> Facts:
        """From the first question to the last fact."""
        self.prepared = self.prepare()
        self.started = self.technique.start(self.drive, self.prepared)
        return self.end(self.started)

    def end(self, started: Started) -> Facts:
        watched = self.watch(self.prepared, started)
        return self.technique.conclude(self.drive, self.prepared, started, watched)


@pytest.fixture
def make_device(tmp_path: Path) -> Make:
    def make(*, faults: Iterable[str] = (), **given: Any) -> SimulatedNvme:
        wanted: dict[str, Any] = {
            "serial": "S",
            "model": "M",
            "firmware": "1",
            "capacity_bytes": 64 * 4096,
            "random": random.Random(3).randbytes,
            **given,
        }
        device = SimulatedNvme.create(tmp_path / "drive", **wanted)
        device.write(1, 0, PAGE)
        device.set_faults(read_faults(faults))
        return device

    return make


# --- what is sent -------------------------------------------------------------------------------------------


def test_one_command_reaches_the_whole_drive(make_device: Make) -> None:
    run = Run(make_device())
    for technique in (CRYPTO, BLOCK, OVERWRITE):
        assert technique.steps(run.drive, AIM) == ("",)
    assert run.wire.sent == []
    with pytest.raises(ValueError, match="no step 'ns1'"):
        CRYPTO.prepare(run.drive, AIM, step="ns1")


def test_a_crypto_erase_from_first_question_to_last_fact(make_device: Make) -> None:
    device = make_device(sanitize_polls=3)
    run = Run(device)
    facts = run.facts()
    assert run.prepared.submission is not None
    assert run.prepared.submission[0] == 0x84
    assert run.prepared.submission[40:44] == bytes.fromhex("04020000")
    assert run.prepared.status_before is not None
    assert run.prepared.status_before[2:8] == bytes.fromhex("000000000000")
    assert (run.started.was_accepted, run.started.completion) == (Seen.YES, b"\x00\x00")
    assert facts.status_after is not None
    assert facts.status_after[2:8] == bytes.fromhex("010104020000")
    assert len(run.prepared.status_before) == len(facts.status_after) == 64
    assert (facts.seen_in_progress, facts.timed_out, facts.has_failed) == (Seen.YES, Seen.NO, False)
    assert (facts.errors, facts.overwrite) == ((), None)
    assert run.reports == [0, 16384, 32768]
    assert occurrences(device.folder, PLANTED[:60]) == 0


def test_a_block_erase_sends_its_own_action(make_device: Make) -> None:
    run = Run(make_device(), BLOCK)
    facts = run.facts()
    assert run.technique.technique is Technique.NVME_SANITIZE_BLOCK
    assert run.prepared.submission is not None
    assert run.prepared.submission[40:48] == bytes.fromhex("0202000000000000")
    assert facts.status_after is not None
    assert facts.status_after[2] == 4


def test_an_overwrite_leaves_one_pass_of_the_pattern_that_the_key_gives(make_device: Make) -> None:
    device = make_device(has_overwrite=True)
    run = Run(device, OVERWRITE)
    facts = run.facts()
    pattern = keystream.sanitize_pattern(AIM.key).to_bytes(4, "little")
    assert run.prepared.submission is not None
    assert run.prepared.submission[40:44] == bytes.fromhex("13020000")
    assert run.prepared.submission[44:48] == pattern
    assert facts.status_after is not None
    assert facts.status_after[2:8] == bytes.fromhex("090113020000")
    assert device.read(1, 0, 64 * 4096) == pattern * (64 * 1024)


def test_the_pattern_follows_the_key_as_openssl_computes_it() -> None:
    """openssl dgst -shake256 -xoflen 4, over the domain and 64 zero bytes."""
    assert keystream.sanitize_pattern(bytes(64)).to_bytes(4, "little").hex() == "470087bf"
    made = {keystream.sanitize_pattern(number.to_bytes(64, "big")) for number in range(200)}
    assert len(made) == 200


def test_the_pattern_is_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero is what a drive shows that merely deallocated."""

    class Zeros:
        def __init__(self, data: bytes) -> None:
            pass

        def digest(self, length: int) -> bytes:
            return bytes(length)

    monkeypatch.setattr("hashlib.shake_256", Zeros)
    assert keystream.sanitize_pattern(bytes(64)) == 1


@pytest.mark.parametrize(
    ("technique", "sent"), [(CRYPTO, "04000000"), (BLOCK, "02000000"), (OVERWRITE, "13000000")]
)
def test_no_deallocation_is_asked_for_only_where_the_drive_honours_it(
    make_device: Make, technique: NvmeSanitize, sent: str
) -> None:
    run = Run(make_device(inhibits_no_deallocate=True, has_overwrite=True), technique)
    run.facts()
    assert run.prepared.submission is not None
    assert run.prepared.submission[40:44] == bytes.fromhex(sent)
    assert run.started.was_accepted is Seen.YES


def test_preparing_twice_gives_the_same_and_changes_nothing(make_device: Make) -> None:
    device = make_device()
    before, run = device.state(), Run(device)
    assert run.prepare() == run.prepare()
    assert device.state() == before
    assert set(run.wire.sent) == {0x06, 0x02}


# --- what is refused before anything is sent ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("technique", "lacking"),
    [(CRYPTO, "has_crypto_erase"), (BLOCK, "has_block_erase"), (OVERWRITE, "has_overwrite")],
)
def test_a_drive_that_lacks_the_action_is_refused_before_anything_is_sent(
    make_device: Make, technique: NvmeSanitize, lacking: str
) -> None:
    run = Run(make_device(**{"has_overwrite": True, lacking: False}), technique)
    with pytest.raises(Refused) as refusal:
        run.prepare()
    assert refusal.value.code == "TECHNIQUE_UNAVAILABLE"
    assert 0x84 not in run.wire.sent


def test_a_drive_that_hides_its_capability_is_not_asked_to_prove_it(make_device: Make) -> None:
    run = Run(make_device(faults=("capability_missing",)))
    with pytest.raises(Refused, match="SANICAP 40000000h lacks crypto_erase"):
        run.prepare()
    assert 0x84 not in run.wire.sent


def test_a_drive_that_is_already_sanitizing_is_refused(make_device: Make) -> None:
    device = make_device()
    device.start_sanitize("crypto", command_dword=4, is_no_deallocate=False, may_exit_failure=False)
    with pytest.raises(Refused) as refusal:
        Run(device).prepare()
    assert refusal.value.code is Code.SANITIZE_RUNNING


@pytest.mark.parametrize("given", ["fault", "namespace"])
def test_a_write_protected_drive_is_refused(make_device: Make, tmp_path: Path, given: str) -> None:
    if given == "fault":
        device = make_device(faults=("write_protected",))
    else:
        device = SimulatedNvme.create(
            tmp_path / "protected",
            serial="S",
            model="M",
            firmware="1",
            capacity_bytes=0,
            random=random.Random(3).randbytes,
            namespaces=(Namespace(nsid=1, blocks=2, is_write_protected=True),),
        )
    with pytest.raises(Refused) as refusal:
        Run(device).prepare()
    assert refusal.value.code is Code.DRIVE_WRITE_PROTECTED


def test_a_drive_without_admin_commands_is_refused(tmp_path: Path) -> None:
    device = SimulatedPlain.create(
        tmp_path / "plain", serial="P", model="M", firmware="1", capacity_bytes=8192, random=random.randbytes
    )
    with pytest.raises(Refused, match="virtio takes no NVMe commands"):
        CRYPTO.prepare(emulated_plain_drive(device, name="d"), AIM, step="")


def test_a_dead_drive_is_refused_with_its_status(make_device: Make) -> None:
    run = Run(make_device(faults=("dead",)))
    with pytest.raises(CommandFailed) as failure:
        run.prepare()
    assert failure.value.status == 0x006
    assert 0x84 not in run.wire.sent


def test_a_silent_drive_is_refused_without_answer(make_device: Make) -> None:
    run = Run(make_device(faults=("silent",)))
    with pytest.raises(TransportError):
        run.prepare()


@pytest.mark.parametrize("fault", ["restricted_failure", "unrestricted_failure"])
def test_a_drive_whose_last_sanitize_failed_may_be_sanitized_again(make_device: Make, fault: str) -> None:
    device = make_device(faults=(fault,))
    with pytest.raises(OSError, match="sanitize failed"):
        device.read(1, 0, 4096)
    facts = Run(device).facts()
    assert (facts.errors, facts.has_failed) == ((), False)
    assert device.read(1, 0, 4096) != PAGE


# --- counters -----------------------------------------------------------------------------------------------


def test_the_counters_from_just_before_are_kept_and_not_compared(make_device: Make) -> None:
    device = make_device()
    device.power_cycle()
    run = Run(device)
    prepared = run.prepare()
    assert prepared.counters["PWRC"] == "01" + "00" * 15
    assert set(prepared.counters) == {"DUW", "PWRC", "UPL"}
    device.power_cycle()
    assert run.prepare() == prepared


def test_a_drive_without_counters_is_erased_all_the_same(make_device: Make) -> None:
    device = make_device()

    class NoHealth(Wire):
        def submit(self, sqe: bytes, data: bytes | int) -> Completion:
            if sqe[0] == 0x02 and sqe[40] == 0x02:
                return Completion(status=0x4109, result=0, data=b"")
            return super().submit(sqe, data)

    run = Run(device, wire=NoHealth(device))
    assert run.facts().errors == ()
    assert run.prepared.counters == dict.fromkeys(("DUW", "PWRC", "UPL"), "not_observed")


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
