from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agent.devices.emulated import EmulatedBlockIo, EmulatedTransport, emulated_plain_drive
from agent.devices.nvme import Completion, NvmeDrive
from agent.devices.simulated import Namespace, SimulatedNvme, SimulatedPlain, occurrences
from agent.devices.simulated.faults import read_faults
from agent.errors import Code, TransportError
from agent.techniques import TECHNIQUES
from agent.techniques.nvme_format import CRYPTO, USER_DATA, NvmeFormat
from agent.techniques.technique import Aim, Facts, Started
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import DeviceClass, Technique

PLANTED = b"planted text" * 341
PAGE = PLANTED.ljust(4096, b".")
AIM = Aim(key=bytes(64), layout=((1, 64 * 4096),))
FORMAT = 0x80
Make = Callable[..., SimulatedNvme]
#: Two namespaces in two formats: 4096 bytes, and 4096 with 64 of metadata in line and protection type 1.
TWO = (
    Namespace(nsid=1, blocks=8),
    Namespace(nsid=3, blocks=8, lba_format=16, has_extended_metadata=True, protection=0b1001),
)
ALIKE = (Namespace(nsid=1, blocks=8), Namespace(nsid=2, blocks=8))
#: FNA: cryptographic 4, erases all 2, formats all 1, no broadcast 8.
ALONE, ERASES_ALL, FORMATS_ALL, NO_BROADCAST = 0b0100, 0b0110, 0b0101, 0b1110


class Wire:
    """Remembers the Format commands, and loses the answers of the opcodes it is told to."""

    device_class = DeviceClass.EMULATED

    def __init__(self, device: SimulatedNvme, *, lose: Iterable[int] = ()) -> None:
        self.through = EmulatedTransport(device)
        self.lose = set(lose)
        self.formats: list[bytes] = []

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        if sqe[0] == FORMAT:
            self.formats.append(sqe)
        answer = self.through.submit(sqe, data)
        if sqe[0] in self.lose:
            raise TransportError("the answer was lost")
        return answer


class Run:
    """All commands of a technique on one drive, each from its first question to its facts."""

    def __init__(
        self, device: SimulatedNvme, technique: NvmeFormat = CRYPTO, *, lose: Iterable[int] = ()
    ) -> None:
        self.wire = Wire(device, lose=lose)
        self.drive = NvmeDrive(name="d", transport=self.wire, blocks=EmulatedBlockIo(device))
        self.technique = technique

    @property
    def steps(self) -> tuple[str, ...]:
        return self.technique.steps(self.drive, AIM)

    def one(self, step: str) -> Facts:
        self.prepared = self.technique.prepare(self.drive, AIM, step=step)
        self.started = self.technique.start(self.drive, self.prepared)
        return self.end(self.started)

    def end(self, started: Started) -> Facts:
        watched = self.technique.watch(
            self.drive, self.prepared, started, now_ms=_never, pause=_never, report=_never
        )
        self.has_ended = watched.has_ended
        return self.technique.conclude(self.drive, self.prepared, started, watched)

    def every(self) -> list[Facts]:
        return [self.one(step) for step in self.steps]

    def refusal(self) -> Refused:
        """What steps and prepare both say."""
        with pytest.raises(Refused) as of_steps:
            _ = self.steps
        with pytest.raises(Refused) as of_prepare:
            self.technique.prepare(self.drive, AIM, step="")
        assert of_steps.value.code is of_prepare.value.code
        assert self.wire.formats == []
        return of_prepare.value


def _never(*_: object) -> Any:
    raise AssertionError("a Format is not waited for")


@pytest.fixture
def make_device(tmp_path: Path) -> Make:
    count = 0

    def make(*, faults: Iterable[str] = (), **given: Any) -> SimulatedNvme:
        nonlocal count
        count += 1
        wanted: dict[str, Any] = {
            "serial": "S",
            "model": "M",
            "firmware": "1",
            "capacity_bytes": 8 * 4096,
            "random": random.Random(3).randbytes,
            "format_attributes": ALONE,
            **given,
        }
        device = SimulatedNvme.create(tmp_path / f"drive{count}", **wanted)
        for namespace in device.state().namespaces:
            if namespace.is_attached and not namespace.is_write_protected:
                device.write(namespace.nsid, 0, PAGE)
        device.set_faults(read_faults(faults))
        return device

    return make


# --- the table of techniques --------------------------------------------------------------------------------


def test_every_technique_that_a_plan_may_name_for_a_medium_is_there() -> None:
    assert set(TECHNIQUES) == set(Technique) - {Technique.LUKS}
    assert all(TECHNIQUES[technique].technique is technique for technique in TECHNIQUES)


# --- what is sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("technique", "erase"), [(CRYPTO, 2), (USER_DATA, 1)])
def test_one_namespace_needs_one_command(make_device: Make, technique: NvmeFormat, erase: int) -> None:
    device = make_device()
    run = Run(device, technique)
    assert run.steps == ("",)
    facts = run.one("")
    assert run.wire.formats == [run.prepared.submission]
    (sqe,) = run.wire.formats
    assert sqe[4:8] == bytes([1, 0, 0, 0])
    assert int.from_bytes(sqe[40:44], "little") == erase << 9
    assert (run.prepared.status_before, facts.status_after) == (None, None)
    assert (run.started.was_accepted, run.started.completion) == (Seen.YES, b"\x00\x00")
    assert (facts.seen_in_progress, facts.timed_out) == (Seen.NOT_OBSERVED, Seen.NO)
    assert (facts.has_failed, facts.errors, run.has_ended) == (False, (), True)
    assert occurrences(device.folder, PLANTED[:60]) == 0


def test_each_namespace_is_formatted_by_itself_and_keeps_its_format(make_device: Make) -> None:
    device = make_device(namespaces=TWO)
    before = device.state().namespaces
    run = Run(device)
    assert run.steps == ("ns1", "ns3")
    run.one("ns1")
    assert occurrences(device.folder, PLANTED[:60]) > 0
    run.one("ns3")
    assert [sqe[4] for sqe in run.wire.formats] == [1, 3]
    assert [sqe[40:44].hex() for sqe in run.wire.formats] == ["00040000", "30150000"]
    assert device.state().namespaces == before
    assert occurrences(device.folder, PLANTED[:60]) == 0


def test_zeros_would_have_changed_the_format(make_device: Make) -> None:
    """The control of the test before: what a Format does that repeats nothing."""
    device = make_device(namespaces=TWO)
    sqe = bytearray(64)
    sqe[0], sqe[4], sqe[41] = FORMAT, 3, 4
    assert device.submit(bytes(sqe), 0).status == 0
    assert device.state().namespaces[1].lba_format == 0
    assert device.state().namespaces[1].protection == 0


@pytest.mark.parametrize(
    ("attributes", "nsid"), [(ERASES_ALL, 0xFFFFFFFF), (NO_BROADCAST, 1)], ids=["broadcast", "named"]
)
def test_where_an_erase_reaches_all_namespaces_one_command_is_enough(
    make_device: Make, attributes: int, nsid: int
) -> None:
    device = make_device(namespaces=ALIKE, format_attributes=attributes)
    run = Run(device)
    assert run.steps == ("",)
    run.one("")
    assert [int.from_bytes(sqe[4:8], "little") for sqe in run.wire.formats] == [nsid]
    assert run.started.was_accepted is Seen.YES
    assert occurrences(device.folder, PLANTED[:60]) == 0


def test_where_only_the_format_reaches_all_namespaces_each_is_still_erased(make_device: Make) -> None:
    device = make_device(namespaces=ALIKE, format_attributes=FORMATS_ALL)
    run = Run(device)
    assert run.steps == ("ns1", "ns2")
    run.every()
    assert occurrences(device.folder, PLANTED[:60]) == 0


def test_preparing_twice_gives_the_same_and_changes_nothing(make_device: Make) -> None:
    device = make_device()
    before, run = device.state(), Run(device)
    prepared = [CRYPTO.prepare(run.drive, AIM, step="") for _ in range(2)]
    assert prepared[0] == prepared[1]
    assert device.state() == before
    assert run.wire.formats == []


def test_a_step_that_this_drive_does_not_need_is_refused(make_device: Make) -> None:
    run = Run(make_device(namespaces=TWO))
    for step in ("", "ns2", "ns4"):
        with pytest.raises(Refused, match="ns1, ns3"):
            CRYPTO.prepare(run.drive, AIM, step=step)


# --- what a Format would leave ------------------------------------------------------------------------------


def test_unallocated_capacity_is_refused(make_device: Make) -> None:
    refusal = Run(make_device(unallocated_bytes=4096)).refusal()
    assert refusal.code == "TECHNIQUE_UNAVAILABLE"
    assert refusal.reason == "UNVMCAP 4096: a Format would leave what lies there"


def test_a_namespace_that_is_not_attached_is_refused(make_device: Make) -> None:
    apart = (Namespace(nsid=1, blocks=8), Namespace(nsid=2, blocks=8, is_attached=False))
    assert Run(make_device(namespaces=apart)).refusal().reason.startswith("namespace 2 is not attached")


def test_a_detached_namespace_really_would_keep_its_data(make_device: Make) -> None:
    """The control of the test before, measured on QEMU (test-rig.md, 2) and simulated likewise."""
    device = make_device(namespaces=ALIKE)
    state = device.folder / "state.json"
    text = state.read_text()
    second = text.index('"nsid": 2')
    state.write_text(text[:second] + text[second:].replace('"is_attached": true', '"is_attached": false', 1))
    sqe = bytearray(64)
    sqe[0], sqe[4:8], sqe[41] = FORMAT, bytes([0xFF] * 4), 4
    assert device.submit(bytes(sqe), 0).status == 0
    assert occurrences(device.folder, PLANTED[:60]) == PAGE.count(PLANTED[:60])


def test_namespaces_in_two_formats_are_refused_where_one_command_reaches_both(make_device: Make) -> None:
    for attributes in (ERASES_ALL, FORMATS_ALL):
        refusal = Run(make_device(namespaces=TWO, format_attributes=attributes)).refusal()
        assert "every namespace the same format" in refusal.reason


def test_a_drive_without_attached_namespace_is_refused(make_device: Make) -> None:
    none = (Namespace(nsid=1, blocks=8, is_attached=False),)
    assert "no namespace" in Run(make_device(namespaces=none)).refusal().reason


# --- what the drive must announce ---------------------------------------------------------------------------


@pytest.mark.parametrize("technique", [CRYPTO, USER_DATA])
def test_a_drive_without_format_is_refused(make_device: Make, technique: NvmeFormat) -> None:
    reason = Run(make_device(has_format=False), technique).refusal().reason
    assert reason == "OACS 0000h lacks Format NVM"


def test_a_cryptographic_format_needs_its_own_bit(make_device: Make) -> None:
    """QEMU accepts SES 2 without FNA bit 2 and destroys no key."""
    device = make_device(format_attributes=0)
    assert Run(device).refusal().reason == "FNA 00h lacks a cryptographic Format"
    assert Run(device, USER_DATA).steps == ("",)


def test_a_drive_that_hides_its_capability_is_not_asked_to_prove_it(make_device: Make) -> None:
    assert "lacks Format NVM" in Run(make_device(faults=("capability_missing",))).refusal().reason


# --- the drive as it is now ---------------------------------------------------------------------------------


def test_a_drive_that_is_sanitizing_is_refused(make_device: Make) -> None:
    device = make_device()
    device.start_sanitize("crypto", command_dword=4, is_no_deallocate=False, may_exit_failure=False)
    assert Run(device).refusal().code is Code.SANITIZE_RUNNING


@pytest.mark.parametrize("fault", ["restricted_failure", "unrestricted_failure"])
def test_a_drive_whose_sanitize_failed_is_refused(make_device: Make, fault: str) -> None:
    assert Run(make_device(faults=(fault,))).refusal().code is Code.SANITIZE_FAILED


def test_a_drive_that_cannot_sanitize_is_not_asked_for_its_log(make_device: Make) -> None:
    device = make_device(has_crypto_erase=False, has_block_erase=False)
    run = Run(device)
    run.wire.lose = {0x02}
    assert run.steps == ("",)


@pytest.mark.parametrize("given", ["fault", "namespace"])
def test_a_write_protected_drive_is_refused(make_device: Make, given: str) -> None:
    if given == "fault":
        device = make_device(faults=("write_protected",))
    else:
        device = make_device(namespaces=(*ALIKE, Namespace(nsid=3, blocks=8, is_write_protected=True)))
    assert Run(device).refusal().code is Code.DRIVE_WRITE_PROTECTED


def test_a_drive_without_admin_commands_is_refused(tmp_path: Path) -> None:
    device = SimulatedPlain.create(
        tmp_path / "plain", serial="P", model="M", firmware="1", capacity_bytes=8192, random=random.randbytes
    )
    drive = emulated_plain_drive(device, name="d")
    with pytest.raises(Refused, match="virtio takes no NVMe commands"):
        CRYPTO.steps(drive, AIM)
    with pytest.raises(Refused, match="virtio takes no NVMe commands"):
        CRYPTO.prepare(drive, AIM, step="")


# --- drives that misbehave ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"), [("refuses", "0006"), ("fails", "0006"), ("capability_wrong", "4002")]
)
def test_a_command_that_the_drive_refuses_lets_the_next_technique_follow(
    make_device: Make, fault: str, status: str
) -> None:
    device = make_device(faults=(fault,))
    run = Run(device)
    facts = run.one("")
    assert run.started.completion == bytes.fromhex(status)
    assert (run.started.was_accepted, facts.has_failed) == (Seen.NO, True)
    assert (facts.timed_out, facts.errors) == (Seen.NO, ("DEVICE_STATUS",))
    assert occurrences(device.folder, PLANTED[:60]) > 0


@pytest.mark.parametrize("fault", ["hangs", "power_lost"])
def test_a_format_without_answer_is_not_observed_and_never_a_second_send(
    make_device: Make, fault: str
) -> None:
    run = Run(make_device(faults=(fault,)))
    facts = run.one("")
    assert len(run.wire.formats) == 1
    assert (run.started.was_accepted, run.started.completion) == (Seen.NOT_OBSERVED, None)
    assert (facts.timed_out, facts.has_failed, run.has_ended) == (Seen.YES, False, False)
    assert facts.errors == ("DEVICE_UNANSWERED",)


def test_a_lost_answer_is_not_observed_although_all_was_erased(make_device: Make) -> None:
    device = make_device()
    run = Run(device, lose=[FORMAT])
    facts = run.one("")
    assert (run.started.was_accepted, facts.timed_out, facts.has_failed) == (
        Seen.NOT_OBSERVED,
        Seen.YES,
        False,
    )
    assert occurrences(device.folder, PLANTED[:60]) == 0


@pytest.mark.parametrize("fault", ["lies", "erases_part"])
def test_a_drive_that_does_not_erase_all_is_reported_as_it_answers(make_device: Make, fault: str) -> None:
    device = make_device()
    device.write(1, 7 * 4096, PAGE)
    device.set_faults(read_faults([fault]))
    facts = Run(device).one("")
    assert (facts.has_failed, facts.errors) == (False, ())
    assert occurrences(device.folder, PLANTED[:60]) > 0


# --- begun by another process -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completion", "accepted", "timed_out", "has_failed"),
    [
        (None, Seen.NOT_OBSERVED, Seen.YES, False),
        (b"\x00\x00", Seen.YES, Seen.NO, False),
        (b"\x01\x0a", Seen.NO, Seen.NO, True),
    ],
)
def test_a_command_of_another_process_is_only_what_its_journal_says(
    make_device: Make, completion: bytes | None, accepted: Seen, timed_out: Seen, has_failed: bool
) -> None:
    run = Run(make_device())
    run.prepared = CRYPTO.prepare(run.drive, AIM, step="")
    facts = run.end(Started(was_accepted=accepted, completion=completion, errors=()))
    assert (facts.timed_out, facts.has_failed) == (timed_out, has_failed)
    assert run.wire.formats == []
