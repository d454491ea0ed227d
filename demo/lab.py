"""The demonstration's laboratory: folders, ports and processes, and their end.

Every process started here carries the run's mark in its environment; `left_running` looks for that mark in
/proc, so that "nothing left running" is seen and not hoped.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

MARK = "EXPUNGE_DEMO_RUN"
#: Twenty times what any step took here; a step that needs longer has failed.
PATIENCE_SECONDS = 60.0
#: How long a process may take to obey SIGTERM: `serve` finishes what it holds.
STOP_SECONDS = 15.0


class Failed(Exception):
    """Something the demonstration promises did not happen."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(
    what: str,
    holds: Callable[[], bool],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.1,
) -> None:
    """Looks again and again. Raises Failed when the time is over."""
    deadline = time.monotonic() + patience_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"waited {patience_seconds:.0f} s in vain until {what}")
        threading.Event().wait(every_seconds)


class Lab:
    """One temporary folder and the processes in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="expunge-demo-"))
        self.mark = secrets.token_hex(16)
        self.passphrase = secrets.token_urlsafe(24)
        self.environment = {**os.environ, MARK: self.mark, "PYTHONUNBUFFERED": "1"}
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *command: str, with_passphrase: bool = False) -> subprocess.Popen[bytes]:
        """A process of the laboratory; its words go to NAME.log."""
        log = (self.folder / f"{name}.log").open("ab")
        reader = self._passphrase_reader() if with_passphrase else None
        arguments = [*command, *(["--passphrase-fd", str(reader)] if reader is not None else [])]
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment,
            pass_fds=[reader] if reader is not None else [],
        )
        log.close()
        if reader is not None:
            os.close(reader)
        self._processes.append((name, process))
        return process

    def run(self, *command: str, with_passphrase: bool = False, expect: int = 0) -> str:
        """What a command says on standard output. Raises Failed on an unexpected exit code and when
        the time is over.
        """
        return self._done(*command, with_passphrase=with_passphrase, expect=expect).stdout

    def refused(self, *command: str, expect: int = 3) -> str:
        """The code with which a command with --json refuses. Raises Failed as `run` does."""
        last = self._done(*command, expect=expect).stderr.splitlines()[-1]
        return str(json.loads(last)["refused"]["code"])

    def _done(
        self, *command: str, with_passphrase: bool = False, expect: int
    ) -> subprocess.CompletedProcess[str]:
        reader = self._passphrase_reader() if with_passphrase else None
        arguments = [*command, *(["--passphrase-fd", str(reader)] if reader is not None else [])]
        try:
            done = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                env=self.environment,
                timeout=PATIENCE_SECONDS,
                pass_fds=[reader] if reader is not None else [],
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"`{' '.join(command[:4])} ...` took more than {PATIENCE_SECONDS:.0f} s") from None
        finally:
            if reader is not None:
                os.close(reader)
        if done.returncode != expect:
            said = (done.stdout + done.stderr).strip()
            raise Failed(f"`{' '.join(command[:4])} ...` ended with {done.returncode}, not {expect}:\n{said}")
        return done

    def _passphrase_reader(self) -> int:
        reader, writer = os.pipe()
        os.write(writer, self.passphrase.encode())
        os.close(writer)
        os.set_inheritable(reader, True)
        return reader

    @property
    def started_count(self) -> int:
        """How many processes were started to run beside the story."""
        return len(self._processes)

    def log_tails(self) -> str:
        """The last words of every process, for whoever must find out what went wrong."""
        tails = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            tails.append("\n".join([f"--- {path.name}", *lines]))
        return "\n".join(tails)

    def stop(self) -> None:
        """Ends every process that was started here, newest first. Raises Failed if one had to be killed."""
        stubborn = []
        for name, process in reversed(self._processes):
            if process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                stubborn.append(name)
        if stubborn:
            raise Failed(f"did not end when asked: {', '.join(stubborn)}")

    def left_running(self) -> dict[int, str]:
        """Process id -> command of whatever carries this run's mark, besides the caller."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = command.decode(errors="replace")
            except OSError:
                continue
        return found

    def kill_left_running(self) -> None:
        """For a run that broke off, when an execution on a host may outlive the host's SSH server."""
        for process_id in self.left_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def remove(self) -> None:
        shutil.rmtree(self.folder)
