"""kill -9 of the executing process, between any two journal records and around the command itself.

The executing process is a fork of the test: it dies by SIGKILL, holding the lock, the drive and half an
execution. The test is the controller: it follows, acknowledges, and asks what became of the token. A dry run
counts the records; each is then died at. However it ends: the drive never gets a second Sanitize, and there
is evidence, a final absence, or an honest `unknown`.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from agent import following, wiring
from agent.devices.emulated import EmulatedTransport
from agent.devices.simulated import occurrences
from certificate.messages import Follow, JournalEnd
from certificate.statements import Seen
from tests.dying import accept, die, processes, settle

SANITIZE = 0x84
SECRET_TEXT = b"a tenant's secret"


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line for each Sanitize that reached a drive, whichever process sent it."""
    ledger = tmp_path / "sanitizes"
    ledger.touch()
    original = EmulatedTransport.submit

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Any:
        if sqe[0] == SANITIZE:
            with ledger.open("a") as file:
                file.write(f"{os.getpid()}\n")
        return original(self, sqe, data)

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    return ledger


def count(ledger: Path) -> int:
    return len(ledger.read_text().splitlines())


def require_settled(lab: Any, order: Any, end: JournalEnd, ledger: Path, case: str) -> str:
    """One of the three honest ends, and what must hold in each. Returns the state."""
    answer = lab.status(order.token, finalise=True)
    assert count(ledger) <= 1, f"{case}: a second Sanitize"
    assert answer.state in ("done", "absent", "unknown"), case
    if answer.state == "done":
        assert end.is_complete, case
        claim = lab.claim(order, "SN-1")
        is_erased = occurrences(lab.drives[0].folder, SECRET_TEXT) == 0
        assert claim.result != "erased" or is_erased, f"{case}: claimed what did not happen"
    if answer.state == "absent":
        assert answer.absence is not None, case
        assert count(ledger) == 0, f"{case}: absent, but something was sent"
        refused = lab.ask(lab.request(order))
        assert refused.code == "TOKEN_POISONED", case
    return str(answer.state)


def test_no_kill_between_two_records_starts_a_second_erasure(
    make_lab: Any, make_world: Any, sent: Path
) -> None:
    states = {}
    for dies_at in range(1, 40):
        sent.write_text("")
        lab = make_lab("SN-1")
        with processes(lab, make_world(), lambda n, line: n == dies_at) as started:  # noqa: B023
            order = accept(lab, started)
            end = settle(lab, order, started)
        kinds = lab.kinds(order)
        states[dies_at] = require_settled(lab, order, end, sent, f"record {dies_at}")
        if "attached" not in kinds and end.is_complete:
            break
    else:
        pytest.fail("an execution has fewer than 40 records")
    assert dies_at >= 10, "every record was died at, and the last run outlived them"
    assert set(states.values()) == {"done", "absent"}


def test_no_kill_of_the_observer_starts_a_second_erasure(make_lab: Any, make_world: Any, sent: Path) -> None:
    """The first process dies after the command was sent, the observer at its n-th record, for every n."""
    for dies_at in range(1, 40):
        sent.write_text("")
        lab = make_lab("SN-1")
        deaths = (lambda n, line: line.kind == "sent", lambda n, line: n == dies_at)  # noqa: B023
        with processes(lab, make_world(), *deaths) as started:
            order = accept(lab, started)
            end = settle(lab, order, started)
        assert require_settled(lab, order, end, sent, f"observer's record {dies_at}") == "done"
        assert count(sent) == 1
        assert lab.claim(order, "SN-1").result == "erased"
        if lab.kinds(order).count("attached") < 2:
            assert dies_at > 4
            return
    pytest.fail("an observer has fewer than 40 records")


@pytest.mark.parametrize(("moment", "erased"), [("before", False), ("after", True)])
def test_killed_at_the_command_itself_the_evidence_says_nobody_saw_it(
    make_lab: Any, make_world: Any, sent: Path, monkeypatch: pytest.MonkeyPatch, moment: str, erased: bool
) -> None:
    """Acknowledged, but no `sent` line: sent or not, the observer sends nothing and claims nothing."""
    inner = EmulatedTransport.submit

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Any:
        if sqe[0] == SANITIZE and moment == "before":
            die()
        answer = inner(self, sqe, data)
        if sqe[0] == SANITIZE:
            die()
        return answer

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    lab = make_lab("SN-1")
    with processes(lab, make_world()) as started:
        order = accept(lab, started)
        end = settle(lab, order, started)
    assert require_settled(lab, order, end, sent, moment) == "done"
    assert count(sent) == (1 if erased else 0)
    evidence = lab.evidence(order)
    command = evidence.media[0].commands[0]
    assert evidence.was_attached is Seen.YES
    assert command.submission == command.completion_status == "not_observed"
    assert command.start_acknowledged is command.was_accepted is command.timed_out is Seen.NOT_OBSERVED
    assert "EXECUTION_INTERRUPTED" in evidence.media[0].errors
    assert lab.claim(order, "SN-1").result != "erased"
    assert (occurrences(lab.drives[0].folder, SECRET_TEXT) == 0) is erased


def test_killed_at_the_command_and_the_drive_gone_the_command_was_perhaps_sent(
    make_lab: Any, make_world: Any, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The observer cannot look, and what it could not look at is not left out."""
    lab, inner = make_lab("SN-1"), EmulatedTransport.submit

    def submit(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Any:
        answer = inner(self, sqe, data)
        if sqe[0] == SANITIZE:
            lab.drives[0].folder.rename(lab.folder / "pulled")
            die()
        return answer

    monkeypatch.setattr(EmulatedTransport, "submit", submit)
    with processes(lab, make_world()) as started:
        order = accept(lab, started)
        settle(lab, order, started)
    medium = lab.evidence(order).media[0]
    (command,) = medium.commands
    assert command.was_accepted is Seen.NOT_OBSERVED
    assert "DRIVE_MISSING" in medium.errors
    assert lab.claim(order, "SN-1").result == "inconclusive"


def test_killed_after_the_command_was_sent_the_observer_still_proves_the_erase(
    make_lab: Any, make_world: Any, sent: Path
) -> None:
    """Its own `sent` line, the drive's status and the markers are enough; who looked does not matter."""
    lab = make_lab("SN-1")
    with processes(lab, make_world(), lambda n, line: line.kind == "sent") as started:
        order = accept(lab, started)
        settle(lab, order, started)
    evidence = lab.evidence(order)
    assert evidence.was_attached is Seen.YES
    assert lab.claim(order, "SN-1").result == "erased"
    assert count(sent) == 1


def test_killed_with_two_drives_each_is_reported_as_far_as_it_came(
    make_lab: Any, make_world: Any, sent: Path
) -> None:
    lab = make_lab("SN-1", "SN-2")
    with processes(lab, make_world(), lambda n, line: line.kind == "sent") as started:
        order = accept(lab, started)
        settle(lab, order, started)
    assert count(sent) == 1
    assert lab.claim(order, "SN-1").result == "erased"
    assert lab.claim(order, "SN-2").result == "inconclusive"
    assert lab.evidence(order).media[1].commands == ()


def test_a_drive_that_lies_is_found_out_by_the_observer_too(
    make_lab: Any, make_world: Any, sent: Path
) -> None:
    lab = make_lab("SN-1", faults=("lies",))
    with processes(lab, make_world(), lambda n, line: line.kind == "sent") as started:
        order = accept(lab, started)
        settle(lab, order, started)
    assert lab.claim(order, "SN-1").result == "not_erased"


def test_the_real_process_is_killed_from_outside_and_the_real_observer_finishes(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing played: `expunge-agent execute` as a session starts it, killed while it waits for its start."""
    lab, children = make_lab("SN-1"), []
    original = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        children.append(original(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(wiring.subprocess, "Popen", popen)
    order = lab.order()
    lab.ask(lab.request(order), launcher=wiring.launch)
    attach = lambda folder, lock: wiring.launch(lab.run_directory, order.token, lock, True)  # noqa: E731
    lines = following.follow(
        lab.run_directory, Follow(token=order.token, from_seq=0), attach=attach, pause=time.sleep
    )
    for line in lines:
        if isinstance(line, JournalEnd):
            end = line
        elif line.kind == "start":
            assert os.getsid(children[0].pid) == children[0].pid, "a session of its own"
            children[0].kill()
            children[0].wait(timeout=30)
        elif line.needs_ack:
            lab.ack(order, line)
    for child in children:
        child.wait(timeout=60)
    assert end.is_complete
    assert len(children) == 2
    assert lab.evidence(order).was_attached is Seen.YES
    assert lab.drives[0].state().sanitize.status == "never"
    assert lab.claim(order, "SN-1").result == "not_erased", "its markers are still there"
