"""What sshd does on a host in its erase environment, without root: one forced command, nothing else.

    python -m demo.ssh_server --run-dir DIR --port 0 --port-file FILE

DIR holds `ssh_host_ed25519_key` and `authorized_keys`. Each line of the latter is
`restrict,command="..." ssh-ed25519 AAAA...`; a key without `restrict` and `command` is not admitted. Whatever
a client asks to run, the forced command is run, as an argument list, its standard input and output wired to
the channel and its standard error to DIR/ssh_server.log. As with sshd, a channel ends when the command has
ended *and* nobody holds its output open. SIGTERM ends the server and the commands it started, not what those
detached from themselves. The port is written to FILE once the server listens.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import logging
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import paramiko  # type: ignore[import-untyped]

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 32_768
#: How often is looked whether the client has left.
LOOK_SECONDS = 0.2
#: What paramiko raises for a connection that is gone.
BROKEN = (paramiko.SSHException, OSError, EOFError)
#: How long a command may take to obey SIGTERM.
GRACE_SECONDS = 5.0
#: OpenSSH's options field, as far as a forced command needs it.
_AUTHORIZED = re.compile(
    r'^(?P<before>(?:[a-z-]+,)*)command="(?P<command>(?:[^"\\]|\\.)*)"(?P<after>(?:,[a-z-]+)*) '
    r"ssh-ed25519 (?P<key>[A-Za-z0-9+/=]+)(?: .*)?$"
)

logger = logging.getLogger("demo.ssh_server")


def read_authorized_keys(text: str) -> dict[bytes, str]:
    """Key blob -> forced command. Lines that are not restricted are left out, and said so."""
    commands = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _AUTHORIZED.match(line)
        if found is None or "restrict" not in (found["before"] + found["after"]).split(","):
            logger.warning("authorized_keys line %d is not restricted to a command: not admitted", number)
            continue
        commands[base64.b64decode(found["key"])] = re.sub(r"\\(.)", r"\1", found["command"])
    return commands


class Commands:
    """The commands that this server started and that have not ended."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def start(self, command: str, *, asked_for: str) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_over:
                raise OSError("the server is ending")
            process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={**os.environ, "SSH_ORIGINAL_COMMAND": asked_for},
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)

    def end_all(self) -> None:
        with self._lock:
            self._is_over = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Session(paramiko.ServerInterface):  # type: ignore[misc]
    """One connection: who may log in, and what then happens."""

    def __init__(self, *, authorized: dict[bytes, str], commands: Commands) -> None:
        self._authorized = authorized
        self._commands = commands
        self._forced: str | None = None

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: Any) -> int:
        self._forced = self._authorized.get(key.asbytes())
        return int(paramiko.AUTH_FAILED if self._forced is None else paramiko.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == "session":
            return int(paramiko.OPEN_SUCCEEDED)
        return int(paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        if self._forced is None:
            return False
        try:
            process = self._commands.start(self._forced, asked_for=command.decode("utf-8", "replace"))
        except (OSError, ValueError) as error:
            logger.warning("%r could not be started: %s", self._forced, error)
            return False
        threading.Thread(target=_to_command, args=(channel, process), daemon=True).start()
        threading.Thread(target=_from_command, args=(channel, process, self._commands), daemon=True).start()
        return True


def _to_command(channel: Any, process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError, EOFError), process.stdin or contextlib.nullcontext():
        while data := channel.recv(CHUNK_BYTES):
            if process.stdin is not None:
                process.stdin.write(data)
                process.stdin.flush()


def _from_command(channel: Any, process: subprocess.Popen[bytes], commands: Commands) -> None:
    try:
        with process.stdout or contextlib.nullcontext(), contextlib.suppress(*BROKEN):
            while process.stdout is not None:
                # A client that leaves closes the command's output, as with sshd, or nobody would tell it.
                ready, _, _ = select.select([process.stdout], [], [], LOOK_SECONDS)
                if ready:
                    if not (data := os.read(process.stdout.fileno(), CHUNK_BYTES)):
                        break
                    channel.sendall(data)
                elif channel.closed:
                    break
        exit_code = process.wait()
        with contextlib.suppress(*BROKEN):
            channel.send_exit_status(exit_code if exit_code >= 0 else 128 - exit_code)
    finally:
        commands.ended(process)
        with contextlib.suppress(*BROKEN):
            channel.close()


def serve(listener: socket.socket, *, run_dir: Path, commands: Commands) -> None:
    """Admits connections until SIGTERM."""
    host_key = paramiko.Ed25519Key.from_private_key_file(str(run_dir / "ssh_host_ed25519_key"))
    transports: list[Any] = []
    try:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Read anew each time, as sshd does.
            authorized = read_authorized_keys((run_dir / "authorized_keys").read_text())
            transport = paramiko.Transport(connection)
            transport.add_server_key(host_key)
            transports = [each for each in transports if each.is_active()] + [transport]
            # With an event it returns at once: a client that stalls in its handshake holds up nobody else.
            transport.start_server(threading.Event(), Session(authorized=authorized, commands=commands))
    finally:
        listener.close()
        for transport in transports:
            transport.close()
        commands.end_all()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="demo.ssh_server", description="An SSH server with one forced command."
    )
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path, required=True)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run_dir: Path = arguments.run_dir
    with (run_dir / "ssh_server.log").open("ab", buffering=0) as log:
        logging.basicConfig(filename=run_dir / "ssh_server.log", level=logging.WARNING)
        listener = socket.create_server((LOOPBACK, arguments.port))
        waiting: Path = arguments.port_file.with_suffix(".new")
        waiting.write_text(f"{listener.getsockname()[1]}\n")
        waiting.rename(arguments.port_file)
        serve(listener, run_dir=run_dir, commands=Commands(log))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
