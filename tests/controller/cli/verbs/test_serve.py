"""`expunge serve` as a process: from the passphrase to a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controller import cli
from controller.api.documents import Status
from controller.cli.client import Client

PATIENCE_SECONDS = 90.0
SCRIPT = "import sys\nfrom controller import cli\nsys.exit(cli.serve(sys.argv[1:]))\n"
Start = Callable[[bytes], "subprocess.Popen[str]"]


@pytest.fixture
def start(founded: Any) -> Iterator[Start]:
    """Starts `serve` over the founded home; ends every process it started."""
    started: list[subprocess.Popen[str]] = []

    def run(passphrase: bytes) -> subprocess.Popen[str]:
        reader, writer = os.pipe()
        os.write(writer, passphrase)
        os.close(writer)
        arguments = ["--home", str(founded.home.path), "--passphrase-fd", str(reader)]
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[reader],
        )
        os.close(reader)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_for(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_it_is_told_to_stop_and_ends_cleanly(
    founded: Any, start: Start, number: int
) -> None:
    process = start(founded.passphrase)
    wait_for(lambda: founded.home.socket.exists() or process.poll() is not None)
    with Client.of(founded.home) as client:
        assert not client.get("/v1/status", Status).is_frozen
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (0, ""), err
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert "ready" in events
    assert events[-1] == "stopped"
    assert founded.passphrase.decode() not in err
    assert not founded.home.socket.exists()


def test_a_wrong_passphrase_starts_nothing(founded: Any, start: Start) -> None:
    out, err = start(b"a guess").communicate(timeout=PATIENCE_SECONDS)
    assert out == ""
    assert err.startswith("KEY_UNREADABLE")
    assert "a guess" not in err
    assert not founded.home.socket.exists()


def test_a_home_that_is_held_is_refused_before_the_passphrase_is_read(founded: Any, expunge: Any) -> None:
    with founded.home.locked():
        said = expunge("serve", "--home", founded.home.path)
    assert said.code == 3
    assert said.err.startswith("HOME_IN_USE")


def test_a_wrong_configuration_is_refused_before_the_passphrase_is_read(
    founded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    founded.home.configuration.write_text("[provider]\n")
    assert cli.serve(["--home", str(founded.home.path)]) == 3
    assert "CONFIGURATION_INVALID" in capsys.readouterr().err


def test_after_a_kill_the_next_one_starts(founded: Any, start: Start) -> None:
    first = start(founded.passphrase)
    wait_for(lambda: founded.home.socket.exists() or first.poll() is not None)
    first.kill()
    first.communicate()
    assert founded.home.socket.exists()
    second = start(founded.passphrase)

    def answers() -> bool:
        if second.poll() is not None:
            return True
        try:
            with Client.of(founded.home) as client:
                return not client.get("/v1/status", Status).is_frozen
        except Exception:
            return False

    wait_for(answers)
    assert second.poll() is None, second.communicate()
