"""The laboratory sees what is left of it, and an output folder of somebody else is not emptied."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.lab import Failed, Lab, wait_until

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
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
    assert lab.left_running() == []


def test_an_orphan_of_a_command_is_seen(lab: Lab) -> None:
    orphan = int(lab.run(*ORPHAN))
    try:
        (seen,) = lab.left_running()
        assert "time.sleep(60)" in seen
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_another_exit_code_than_the_expected_one_fails_and_shows_what_was_said(lab: Lab) -> None:
    assert lab.run(sys.executable, "-c", "import sys; print('no'); sys.exit(3)", expect=3) == "no\n"
    with pytest.raises(Failed, match=r"ended with 3, not 0:\nno"):
        lab.run(sys.executable, "-c", "import sys; print('no'); sys.exit(3)")


def test_waiting_ends_with_what_was_waited_for() -> None:
    looks = iter([False, False, True])
    wait_until("the third look", lambda: next(looks), every_seconds=0)
    with pytest.raises(Failed, match=r"in vain until the sea is dry"):
        wait_until("the sea is dry", lambda: False, patience_seconds=0, every_seconds=0)


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path)])
    assert stop.value.code == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
