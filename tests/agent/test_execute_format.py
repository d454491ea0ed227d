"""Techniques of several commands: each is journalled, acknowledged, checked and sent by itself, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.devices.emulated import EmulatedTransport
from agent.devices.nvme import Completion
from agent.devices.simulated import Namespace, occurrences
from agent.errors import TransportError
from certificate.statements import Seen
from tests.dying import accept, processes, settle

SECRET_TEXT = b"a tenant's secret"
FORMAT = 0x80
SPACES = (Namespace(nsid=1, blocks=128), Namespace(nsid=2, blocks=64))
#: A cryptographic secure erase (bit 2), of the namespace named alone.
CRYPTO_ONE_BY_ONE = 0b100


@pytest.fixture
def format_lab(make_lab: Any) -> Any:
    """A drive of two namespaces that cannot sanitize, and formats one at a time."""
    lab = make_lab(
        "SN-1",
        namespaces=SPACES,
        has_crypto_erase=False,
        has_block_erase=False,
        format_attributes=CRYPTO_ONE_BY_ONE,
    )
    lab.floor = "clear"
    return lab


@pytest.fixture
def formats(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The namespaces that a Format was sent to."""
    original, sent = EmulatedTransport.submit, []

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Completion:
        if sqe[0] == FORMAT:
            sent.append(int.from_bytes(sqe[4:8], "little"))
        return original(self, sqe, data)

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    return sent


def steps(lab: Any, order: Any, kind: str) -> list[str]:
    prefix = f"start:{lab.commitment('SN-1')}:"
    return [line.step.removeprefix(prefix) for line in lab.journal(order) if line.kind == kind]


def test_each_namespace_has_a_command_a_step_and_an_entry_of_its_own(
    format_lab: Any, formats: list[int]
) -> None:
    lab = format_lab
    order = lab.accept()
    lab.run(order)
    assert formats == [1, 2]
    named = ["nvme_format_crypto:ns1", "nvme_format_crypto:ns2"]
    assert steps(lab, order, "start") == steps(lab, order, "sent") == steps(lab, order, "ended") == named
    medium = lab.evidence(order).media[0]
    assert [each.technique.value for each in medium.commands] == ["nvme_format_crypto"] * 2
    assert [each.submission[8:16] for each in medium.commands] == ["01000000", "02000000"]
    assert {each.start_acknowledged for each in medium.commands} == {Seen.YES}
    assert {each.status_log_before for each in medium.commands} == {"not_applicable"}
    assert {each.status_log_after for each in medium.commands} == {"not_applicable"}
    assert {each.is_covered for each in medium.namespaces} == {Seen.YES}
    assert occurrences(lab.drives[0].folder, SECRET_TEXT) == 0
    claim = lab.claim(order, "SN-1")
    assert (claim.result, claim.method) == ("erased", "clear"), claim.reasons


def test_the_second_is_asked_for_only_after_the_first_has_ended(format_lab: Any) -> None:
    lab = format_lab
    order = lab.accept()
    lab.run(order)
    kinds = [line.kind for line in lab.journal(order) if line.step.startswith("start:")]
    assert kinds == ["start", "sent", "ended"] * 2


def test_one_that_is_not_acknowledged_is_not_sent_and_ends_the_medium(
    format_lab: Any, formats: list[int], make_world: Any, fake_time: Any
) -> None:
    lab = format_lab
    order = lab.accept()
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: not line.step.endswith(":ns2"))
    assert formats == [1]
    medium = lab.evidence(order).media[0]
    assert len(medium.commands) == 1
    assert [each.is_covered for each in medium.namespaces] == [Seen.YES, Seen.NOT_OBSERVED]
    assert "ACK_TIMED_OUT" in medium.errors
    assert lab.claim(order, "SN-1").result != "erased"


@pytest.mark.parametrize("refused", [1, 2])
def test_one_that_the_drive_refused_fails_the_technique_and_the_next_follows(
    format_lab: Any, formats: list[int], monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    inner, count = EmulatedTransport.submit, [0]

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Completion:
        answer = inner(self, sqe, data)
        if sqe[0] == FORMAT:
            count[0] += 1
            if count[0] == refused:
                return Completion(status=0x06, result=0, data=b"")
        return answer

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    lab = format_lab
    order = lab.accept()
    assert [each.value for each in order.plan.media[0].techniques] == [
        "nvme_format_crypto",
        "nvme_format_user_data",
        "overwrite_keystream",
    ]
    lab.run(order)
    named = [f"nvme_format_crypto:ns{number}" for number in range(1, refused + 1)]
    assert steps(lab, order, "start") == [*named, "nvme_format_user_data:ns1", "nvme_format_user_data:ns2"]
    medium = lab.evidence(order).media[0]
    assert [each.was_accepted for each in medium.commands][refused - 1] is Seen.NO
    assert medium.commands[-1].technique.value == "nvme_format_user_data"


def test_a_lost_answer_is_never_followed_by_another_command(
    format_lab: Any, formats: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the drive did it is not known: neither the next namespace nor the next technique begins."""
    inner = EmulatedTransport.submit

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Completion:
        answer = inner(self, sqe, data)
        if sqe[0] == FORMAT:
            raise TransportError("lost")
        return answer

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    lab = format_lab
    order = lab.accept()
    lab.run(order)
    assert formats == [1]
    (command,) = lab.evidence(order).media[0].commands
    assert (command.was_accepted, command.completion_status) == (Seen.NOT_OBSERVED, "not_observed")
    assert command.timed_out is Seen.YES
    assert lab.claim(order, "SN-1").result != "erased"


def test_a_drive_that_changes_between_two_commands_is_not_sent_the_second(
    format_lab: Any, formats: list[int]
) -> None:
    lab = format_lab
    order = lab.accept()

    def swap(line: Any) -> None:
        if line.kind == "start" and line.step.endswith(":ns2"):
            state = lab.drives[0].folder / "state.json"
            state.write_text(state.read_text().replace("SN-1", "SN-X"))

    lab.run(order, after=swap)
    assert formats == [1]
    assert "IDENTITY_CHANGED" in lab.evidence(order).media[0].errors


def test_a_technique_of_more_commands_than_evidence_holds_is_not_begun(
    make_lab: Any, formats: list[int]
) -> None:
    spaces = tuple(Namespace(nsid=number + 1, blocks=128) for number in range(64))
    lab = make_lab(
        "SN-1",
        faults=("refuses",),
        namespaces=spaces,
        has_crypto_erase=True,
        has_block_erase=False,
        format_attributes=CRYPTO_ONE_BY_ONE,
    )
    lab.floor = "clear"
    order = lab.accept()
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert [each.technique.value for each in medium.commands] == ["nvme_sanitize_crypto"]
    assert "TECHNIQUE_UNAVAILABLE" in medium.errors
    assert formats == []


def test_killed_after_any_record_no_format_is_sent_twice_and_none_by_the_observer(
    make_lab: Any, make_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "formats"
    inner = EmulatedTransport.submit

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Completion:
        if sqe[0] == FORMAT:
            with ledger.open("a") as file:
                file.write(f"{sqe[4]}\n")
        return inner(self, sqe, data)

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    for dies_at in range(1, 40):
        ledger.write_text("")
        lab = make_lab(
            "SN-1",
            namespaces=SPACES,
            has_crypto_erase=False,
            has_block_erase=False,
            format_attributes=CRYPTO_ONE_BY_ONE,
        )
        lab.floor = "clear"
        with processes(lab, make_world(), lambda n, line: n == dies_at) as started:  # noqa: B023
            order = accept(lab, started)
            end = settle(lab, order, started)
        sent = ledger.read_text().split()
        assert sent == ["1", "2"][: len(sent)], f"record {dies_at}"
        if lab.status(order.token, finalise=True).state == "done":
            erased = lab.claim(order, "SN-1").result == "erased"
            assert not erased or sent == ["1", "2"], f"record {dies_at}"
            # One more where it was acknowledged to a process that was just dying: perhaps sent.
            told = len(lab.evidence(order).media[0].commands)
            assert len(sent) <= told <= len(sent) + 1, f"record {dies_at}"
        if "attached" not in lab.kinds(order) and end.is_complete:
            assert dies_at > 10
            return
    pytest.fail("an execution has fewer than 40 records")
