"""What a sanitize sends, and what it refuses before. Waiting for it: `test_nvme_sanitize_watched`."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from agent.devices.emulated import emulated_plain_drive
from agent.devices.nvme import Completion
from agent.devices.simulated import Namespace, SimulatedNvme, SimulatedPlain, occurrences
from agent.errors import Code, CommandFailed, TransportError
from agent.techniques.nvme_sanitize import BLOCK, CRYPTO, OVERWRITE, NvmeSanitize
from certificate import keystream
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Technique
from tests.sanitize_run import AIM, PAGE, PLANTED, Make, Run, Wire, sanitizable


@pytest.fixture
def make_device(tmp_path: Path) -> Make:
    return partial(sanitizable, tmp_path / "drive")


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
