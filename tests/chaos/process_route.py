"""A `Route` whose host is a folder: each request starts `expunge-agent session`, as sshd's command does.

The connection is a pipe. Where the controller's end is closed, or the controller dies, the session sees it as
it would see a cut connection; an execution that a session started lives on in a session of its own.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from agent.run_directory import RunDirectory
from certificate.errors import Refused
from certificate.messages import Follow, Hello, HelloAnswer, JournalEnd, JournalLine, Line
from controller.channels.dialogue import read_answer
from controller.channels.lines import CHUNK_BYTES, Deadline, LineReader
from controller.errors import Code, Unanswered, Unreachable

#: A session answers within a second on an idle machine; this one is not idle.
ANSWER_SECONDS = 30.0
#: An agent that waits for an acknowledgement says nothing for a minute.
SILENCE_SECONDS = 120.0
END_SECONDS = 10.0


@dataclass(frozen=True)
class ProcessRoute:
    """The way to the host that lives in `folder`."""

    folder: Path

    def meet(self) -> ProcessIntroduction:
        return ProcessIntroduction(ProcessConnection(self._run(), self._host_key()))

    def open(self, *, host_key_blob: bytes) -> ProcessConnection:
        if host_key_blob != self._host_key():
            raise Refused(Code.HOST_KEY_CHANGED, f"{self.folder.name} has another host key")
        return ProcessConnection(self._run(), host_key_blob)

    def _run(self) -> RunDirectory:
        return RunDirectory(self.folder / "run")

    def _host_key(self) -> bytes:
        try:
            return bytes.fromhex(self._run().boot().ssh_host_key_blob)
        except Refused:
            raise Unreachable(Code.HOST_UNREACHABLE, f"{self.folder.name} is not up") from None


class ProcessConnection:
    """A `Channel`: one process a request."""

    def __init__(self, run: RunDirectory, host_key_blob: bytes) -> None:
        self._run = run
        self.host_key_blob = host_key_blob

    def ask(self, line: Line) -> Line:
        session = self._start(line)
        try:
            answer = session.reader.line(Deadline.after(ANSWER_SECONDS))
            if answer is None:
                raise Unanswered(Code.ANSWER_MISSING, f"no answer to {line.name}")
            return read_answer(line, answer)
        finally:
            session.end()

    def follow(self, line: Follow) -> Iterator[JournalLine | JournalEnd]:
        session = self._start(line)
        try:
            while (answer := session.reader.line(Deadline.after(SILENCE_SECONDS))) is not None:
                told = cast(JournalLine | JournalEnd, read_answer(line, answer))
                yield told
                if isinstance(told, JournalEnd):
                    return
            raise Unanswered(Code.ANSWER_MISSING, "the connection ended inside a journal")
        finally:
            session.end()

    def _start(self, line: Line) -> Session:
        session = Session(self._run.path)
        session.send(line.write())
        return session

    def close(self) -> None:
        """Nothing is open between two requests."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


class Session:
    """One `expunge-agent session` and the two pipes to it."""

    def __init__(self, run_dir: Path) -> None:
        with (run_dir.parent / "session.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.cli", "session", "--run-dir", str(run_dir)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.reader = LineReader(self._receive)

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.close()
        except BrokenPipeError:
            raise Unanswered(Code.ANSWER_MISSING, "the session ended before it heard us") from None

    def _receive(self, deadline: Deadline) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], deadline.remaining_seconds)
        if not ready:
            raise TimeoutError
        return os.read(descriptor, CHUNK_BYTES)

    def end(self) -> None:
        """Hangs up; a session that does not notice is ended."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        try:
            self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ProcessIntroduction:
    """An `Introduction`: hello and nothing else."""

    def __init__(self, connection: ProcessConnection) -> None:
        self._connection = connection

    @property
    def host_key_blob(self) -> bytes:
        return self._connection.host_key_blob

    def hello(self, line: Hello) -> HelloAnswer:
        return cast(HelloAnswer, self._connection.ask(line))

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
