"""The laboratory sees what is left of it, and an output folder of somebody else is not emptied."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.lab import Failed, Lab, wait_until

ROOT = Path(__file__).parent.parent.parent
SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
#: Does not hear SIGTERM.
DEAF = (
    sys.executable,
    "-c",
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf', flush=True)\n"
    "time.sleep(60)",
)
#: A child that its parent leaves behind: a process in a session of its own, as `execute` is on a host.
ORPHAN = (
    sys.executable,
    "-c",
    "import subprocess, sys\n"
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True,"
    " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)",
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.stop()
    lab.remove()


def test_a_running_process_is_seen_until_it_is_stopped(lab: Lab) -> None:
    lab.start("sleeper", *SLEEPER)
    assert lab.started_count == 1
    assert len(lab.left_running()) == 1
    lab.stop()
    assert lab.left_running() == {}


def test_an_orphan_of_a_command_is_seen_and_can_be_ended(lab: Lab) -> None:
    orphan = int(lab.run(*ORPHAN))
    assert list(lab.left_running()) == [orphan]
    assert "time.sleep(60)" in lab.left_running()[orphan]
    lab.kill_left_running()
    wait_until("the orphan is gone", lambda: lab.left_running() == {}, patience_seconds=10)


def test_one_process_that_does_not_end_keeps_no_other_one_alive(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.lab.STOP_SECONDS", 0.2)
    first = lab.start("first", *SLEEPER)
    second = lab.start("second", *DEAF)
    wait_until("it is deaf", lambda: (lab.folder / "second.log").read_text() == "deaf\n")
    with pytest.raises(Failed, match="did not end when asked: second"):
        lab.stop()
    assert (first.poll(), second.poll()) == (-signal.SIGTERM, -signal.SIGKILL)


def test_another_exit_code_than_the_expected_one_fails_and_shows_what_was_said(lab: Lab) -> None:
    assert lab.run(sys.executable, "-c", "import sys; print('no'); sys.exit(3)", expect=3) == "no\n"
    with pytest.raises(Failed, match=r"ended with 3, not 0:\nno"):
        lab.run(sys.executable, "-c", "import sys; print('no'); sys.exit(3)")


def test_a_command_that_hangs_fails(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.lab.PATIENCE_SECONDS", 0.2)
    with pytest.raises(Failed, match="took more than 0 s"):
        lab.run(*SLEEPER)
    assert lab.left_running() == {}


def test_waiting_ends_with_what_was_waited_for() -> None:
    looks = iter([False, False, True])
    wait_until("the third look", lambda: next(looks), every_seconds=0)
    with pytest.raises(Failed, match=r"in vain until the sea is dry"):
        wait_until("the sea is dry", lambda: False, patience_seconds=0, every_seconds=0)


def test_a_demonstration_that_is_terminated_ends_its_processes(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "demo", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "is held by" in line:  # everything is up: switch, machines, serve
                break
        assert len(children_in(tmp_path)) >= 4
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert children_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def children_in(folder: Path) -> list[str]:
    """Commands of running processes that name a path in `folder`, the demonstration itself aside."""
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                if str(folder / "expunge-demo-") in command:
                    commands.append(command)
    return commands


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path)])
    assert stop.value.code == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
