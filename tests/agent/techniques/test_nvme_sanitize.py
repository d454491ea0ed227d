from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from agent.devices.emulated import EmulatedBlockIo, EmulatedTransport
from agent.devices.nvme import Completion, NvmeDrive, SanitizeLog
from agent.devices.simulated import Fault, Namespace, SimulatedNvme, occurrences
from agent.errors import Code, TransportError
from agent.techniques import TECHNIQUES
from agent.techniques.nvme_sanitize import BLOCK, CRYPTO, Deadlines, NvmeSanitize, SanitizeFacts
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import DeviceClass, Technique

PLANTED = b"planted text" * 341
PAGE = PLANTED.ljust(4096, b".")
QUICK = Deadlines(no_progress_seconds=5, total_seconds=60)


class Wire:
    """Between driver and drive: remembers opcodes, and loses the answers of the ones it is told to."""

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


@pytest.fixture
def make_device(tmp_path: Path) -> Callable[..., SimulatedNvme]:
    def make(**given: object) -> SimulatedNvme:
        wanted: dict[str, object] = {
            "serial": "S",
            "model": "M",
            "firmware": "1",
            "capacity_bytes": 64 * 4096,
            "random": random.Random(3).randbytes,
            **given,
        }
        device = SimulatedNvme.create(tmp_path / "drive", **wanted)  # type: ignore[arg-type]
        device.write(1, 0, PAGE)
        return device

    return make


def drive_over(wire: Wire, device: SimulatedNvme) -> NvmeDrive:
    return NvmeDrive(name="d", transport=wire, blocks=EmulatedBlockIo(device))


def run(
    device: SimulatedNvme,
    technique: NvmeSanitize = CRYPTO,
    *,
    wire: Wire | None = None,
    clock: Clock | None = None,
    reports: list[SanitizeLog] | None = None,
) -> SanitizeFacts:
    drive, clock = drive_over(wire or Wire(device), device), clock or Clock()
    reports = [] if reports is None else reports
    prepared = technique.prepare(drive)
    started = technique.start(drive, prepared)
    watched = technique.watch(
        drive, started, deadlines=QUICK, now_ms=clock.now_ms, pause=clock.pause, report=reports.append
    )
    return technique.conclude(drive, prepared, started, watched)


def test_every_technique_an_order_may_name_is_there() -> None:
    assert set(TECHNIQUES) == set(Technique)
    assert all(TECHNIQUES[technique].technique is technique for technique in Technique)


def test_a_crypto_erase_from_first_question_to_last_fact(make_device: Callable[..., SimulatedNvme]) -> None:
    device, reports = make_device(sanitize_polls=3), []
    facts = run(device, reports=reports)
    assert facts.submission[0] == 0x84
    assert facts.submission[40:44] == bytes.fromhex("04020000")
    assert facts.completion_status == b"\x00\x00"
    assert facts.status_log_before[2:8] == bytes.fromhex("000000000000")
    assert facts.status_log_after is not None
    assert facts.status_log_after[2:8] == bytes.fromhex("010104020000")
    assert len(facts.status_log_before) == len(facts.status_log_after) == 64
    assert (facts.was_accepted, facts.is_log_ours, facts.same_identity_after) == (Seen.YES,) * 3
    assert (facts.seen_in_progress, facts.timed_out) == (Seen.YES, Seen.NO)
    assert facts.errors == ()
    assert [log.progress_65536ths for log in reports] == [0, 16384, 32768]
    assert occurrences(device.folder, PLANTED[:60]) == 0


def test_a_block_erase_sends_its_own_action(make_device: Callable[..., SimulatedNvme]) -> None:
    facts = run(make_device(), BLOCK)
    assert facts.technique is Technique.NVME_SANITIZE_BLOCK
    assert facts.submission[40:44] == bytes.fromhex("02020000")
    assert facts.status_log_after is not None
    assert facts.status_log_after[2] == 4


def test_no_deallocation_is_asked_for_only_where_the_drive_honours_it(
    make_device: Callable[..., SimulatedNvme],
) -> None:
    facts = run(make_device(inhibits_no_deallocate=True))
    assert facts.submission[40:44] == bytes.fromhex("04000000")
    assert facts.was_accepted is Seen.YES


@pytest.mark.parametrize(("technique", "lacking"), [(CRYPTO, "has_crypto_erase"), (BLOCK, "has_block_erase")])
def test_a_drive_that_lacks_the_action_is_refused_before_anything_is_sent(
    make_device: Callable[..., SimulatedNvme], technique: NvmeSanitize, lacking: str
) -> None:
    device = make_device(**{lacking: False})
    wire = Wire(device)
    with pytest.raises(Refused) as refusal:
        technique.prepare(drive_over(wire, device))
    assert refusal.value.code == "TECHNIQUE_UNAVAILABLE"
    assert 0x84 not in wire.sent


def test_a_drive_that_is_already_sanitizing_is_refused(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()
    device.start_sanitize("crypto", command_dword=4, is_no_deallocate=False, may_exit_failure=False)
    with pytest.raises(Refused) as refusal:
        CRYPTO.prepare(drive_over(Wire(device), device))
    assert refusal.value.code is Code.SANITIZE_RUNNING


def test_a_write_protected_drive_is_refused(tmp_path: Path) -> None:
    device = SimulatedNvme.create(
        tmp_path / "drive",
        serial="S",
        model="M",
        firmware="1",
        capacity_bytes=0,
        random=random.Random(3).randbytes,
        namespaces=(Namespace(nsid=1, blocks=2, is_write_protected=True),),
    )
    with pytest.raises(Refused) as refusal:
        CRYPTO.prepare(drive_over(Wire(device), device))
    assert refusal.value.code is Code.DRIVE_WRITE_PROTECTED


def test_a_drive_whose_last_sanitize_failed_may_be_sanitized_again(
    make_device: Callable[..., SimulatedNvme],
) -> None:
    device = make_device(faults=("fails",))
    assert Code.SANITIZE_FAILED.value in run(device).errors
    device.set_faults(())
    assert run(device).errors == ()


def test_the_counters_from_just_before_are_kept(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()
    device.power_cycle()
    prepared = CRYPTO.prepare(drive_over(Wire(device), device))
    assert prepared.counters["PWRC"] == "01" + "00" * 15
    assert set(prepared.counters) == {"DUW", "PWRC", "UPL"}


def test_a_drive_without_counters_is_erased_all_the_same(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()

    class NoHealth(Wire):
        def submit(self, sqe: bytes, data: bytes | int) -> Completion:
            if sqe[0] == 0x02 and sqe[40] == 0x02:
                return Completion(status=0x4109, result=0, data=b"")
            return super().submit(sqe, data)

    counters = CRYPTO.prepare(drive_over(NoHealth(device), device)).counters
    assert counters == dict.fromkeys(("DUW", "PWRC", "UPL"), "not_observed")
    assert run(device, wire=NoHealth(device)).errors == ()


def test_preparing_changes_nothing(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()
    before = device.state()
    wire = Wire(device)
    CRYPTO.prepare(drive_over(wire, device))
    assert device.state() == before
    assert set(wire.sent) == {0x06, 0x02}


def test_a_drive_that_lies_is_reported_as_it_answers(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device(faults=("lies",))
    facts = run(device)
    assert (facts.was_accepted, facts.is_log_ours, facts.errors) == (Seen.YES, Seen.YES, ())
    assert device.read(1, 0, 4096) == PAGE


def test_a_drive_that_fails_is_no_timeout(make_device: Callable[..., SimulatedNvme]) -> None:
    facts = run(make_device(faults=("fails",)))
    assert facts.errors == ("SANITIZE_FAILED",)
    assert facts.timed_out is Seen.NO
    assert facts.status_log_after is not None
    assert facts.status_log_after[2] == 3


def test_a_command_that_the_drive_refuses_is_not_waited_for(
    make_device: Callable[..., SimulatedNvme],
) -> None:
    clock = Clock()
    facts = run(make_device(faults=("refuses",)), clock=clock)
    assert facts.completion_status == b"\x00\x06"
    assert (facts.was_accepted, facts.seen_in_progress, facts.is_log_ours) == (Seen.NO, Seen.NO, Seen.NO)
    assert facts.errors == ("DEVICE_STATUS",)
    assert clock.pauses == []


def test_a_drive_that_hangs_is_given_up_after_the_no_progress_deadline(
    make_device: Callable[..., SimulatedNvme],
) -> None:
    clock = Clock()
    facts = run(make_device(faults=(Fault.HANGS,)), clock=clock)
    assert facts.timed_out is Seen.YES
    assert facts.errors == ("COMMAND_TIMED_OUT",)
    assert facts.seen_in_progress is Seen.YES
    assert clock.ms == QUICK.no_progress_seconds * 1000


def test_slow_progress_is_given_up_at_the_total_deadline(make_device: Callable[..., SimulatedNvme]) -> None:
    clock = Clock()
    facts = run(make_device(sanitize_polls=10_000), clock=clock)
    assert facts.errors == ("COMMAND_TIMED_OUT",)
    assert clock.ms == QUICK.total_seconds * 1000


def test_a_clock_that_stands_still_does_not_hold_the_loop(make_device: Callable[..., SimulatedNvme]) -> None:
    class Frozen(Clock):
        def now_ms(self) -> int:
            return 0

    clock = Frozen()
    facts = run(make_device(faults=(Fault.HANGS,)), clock=clock)
    assert facts.timed_out is Seen.YES
    assert len(clock.pauses) <= QUICK.total_seconds + 2


def test_polls_wait_a_second_as_real_drives_want(make_device: Callable[..., SimulatedNvme]) -> None:
    clock = Clock()
    run(make_device(sanitize_polls=2), clock=clock)
    assert clock.pauses == [1.0, 1.0]


def test_a_lost_answer_is_not_observed_and_never_a_second_send(
    make_device: Callable[..., SimulatedNvme],
) -> None:
    device = make_device()
    wire = Wire(device, lose=[0x84])
    facts = run(device, wire=wire)
    assert wire.sent.count(0x84) == 1
    assert facts.was_accepted is Seen.NOT_OBSERVED
    assert facts.completion_status is None
    assert facts.timed_out is Seen.YES
    assert facts.seen_in_progress is Seen.YES
    assert facts.errors == ("DEVICE_UNANSWERED",)


def test_a_command_that_never_arrived_does_not_borrow_an_older_success(
    make_device: Callable[..., SimulatedNvme],
) -> None:
    device = make_device()
    run(device, BLOCK)
    device.write(1, 0, PAGE)
    wire = Wire(device, drop=[0x84])
    facts = run(device, wire=wire)
    assert wire.sent.count(0x84) == 1
    assert (facts.was_accepted, facts.is_log_ours) == (Seen.NOT_OBSERVED, Seen.NO)
    assert facts.seen_in_progress is Seen.NO
    assert device.read(1, 0, 4096) == PAGE


def test_anothers_sanitize_is_never_seen_as_ours(make_device: Callable[..., SimulatedNvme]) -> None:
    device, reports, clock = make_device(), [], Clock()
    drive = drive_over(Wire(device, drop=[0x84]), device)
    prepared = CRYPTO.prepare(drive)
    started = CRYPTO.start(drive, prepared)
    device.start_sanitize("block", command_dword=2, is_no_deallocate=False, may_exit_failure=False)
    watched = CRYPTO.watch(
        drive, started, deadlines=QUICK, now_ms=clock.now_ms, pause=clock.pause, report=reports.append
    )
    facts = CRYPTO.conclude(drive, prepared, started, watched)
    assert (facts.seen_in_progress, facts.is_log_ours) == (Seen.NO, Seen.NO)
    assert reports == []


def test_a_poll_without_answer_is_no_end(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()
    wire, clock = Wire(device), Clock()
    drive = drive_over(wire, device)
    prepared = CRYPTO.prepare(drive)
    started = CRYPTO.start(drive, prepared)
    wire.drop = {0x02, 0x06}
    watched = CRYPTO.watch(
        drive, started, deadlines=QUICK, now_ms=clock.now_ms, pause=clock.pause, report=lambda log: None
    )
    facts = CRYPTO.conclude(drive, prepared, started, watched)
    assert facts.status_log_after is None
    assert facts.timed_out is Seen.YES
    assert (facts.seen_in_progress, facts.is_log_ours, facts.same_identity_after) == (Seen.NOT_OBSERVED,) * 3
    assert facts.errors == ("DEVICE_UNANSWERED", "COMMAND_TIMED_OUT")


def test_a_drive_that_answers_as_another_one_is_noticed(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()
    drive = drive_over(Wire(device), device)
    prepared = CRYPTO.prepare(drive)
    started = CRYPTO.start(drive, prepared)
    clock = Clock()
    watched = CRYPTO.watch(
        drive, started, deadlines=QUICK, now_ms=clock.now_ms, pause=clock.pause, report=lambda log: None
    )
    state = (device.folder / "state.json").read_text()
    (device.folder / "state.json").write_text(state.replace('"serial": "S"', '"serial": "T"'))
    assert CRYPTO.conclude(drive, prepared, started, watched).same_identity_after is Seen.NO


def test_the_drives_own_estimate_only_lengthens_the_wait(make_device: Callable[..., SimulatedNvme]) -> None:
    device = make_device()
    prepared = CRYPTO.prepare(drive_over(Wire(device), device))
    short = CRYPTO.deadlines(prepared)
    assert (short.no_progress_seconds, short.total_seconds) == (300, 900)
    page = bytearray(prepared.log.raw)
    for seconds, total in ((1000, 3000), (0xFFFFFFFF, 900), (0xFFFFFFFE, 3 * 86_400)):
        page[28:32] = seconds.to_bytes(4, "little")  # ETCEND: crypto erase, no deallocate
        changed = type(prepared)(
            identity=prepared.identity,
            log=SanitizeLog.parse(bytes(page)),
            command=prepared.command,
            counters={},
        )
        assert CRYPTO.deadlines(changed).total_seconds == total
