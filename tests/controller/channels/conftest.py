"""Hosts to connect to: our own server program, servers that misbehave, and the simulated one."""

import functools
import importlib.util
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import paramiko
import pytest

from certificate.keys import PrivateKey, PublicKey
from controller.channels.simulated import SimulatedRoute
from controller.channels.ssh import Endpoint, Patience, SshRoute

ROOT = Path(__file__).parents[3]
AGENT = Path(__file__).with_name("conforming_agent.py")
#: Long enough for a loaded machine; what goes well is not slowed down by it.
PATIENT = Patience(connect_seconds=20.0, connect_attempts=1, answer_seconds=20.0, quiet_seconds=20.0)
#: What a script of a hostile agent may use.
PREAMBLE = """
import json, os, sys, time
request = json.loads(sys.stdin.buffer.readline())
out = sys.stdout.buffer
def say(data):
    out.write(data)
    out.flush()
STATUS = json.dumps({"line": "status_answer", "token": "t", "boot_id": "b", "state": "done",
    "journal_lines": 0, "absence": None}, separators=(",", ":")).encode() + b"\\n"
"""


@dataclass(kw_only=True)
class Host:
    """A host that runs demo/ssh_server: its keys, its port, its process."""

    folder: Path
    host_key: PrivateKey
    controller_key: PrivateKey
    port: int
    process: subprocess.Popen[bytes]

    @property
    def blob(self) -> bytes:
        return self.host_key.public.ssh_blob

    def route(self, *, identity: PrivateKey | None = None, patience: Patience = PATIENT) -> SshRoute:
        return SshRoute(
            endpoint=Endpoint(address="127.0.0.1", port=self.port),
            identity=identity or self.controller_key,
            patience=patience,
        )

    def log(self) -> str:
        return (self.folder / "ssh_server.log").read_text()


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """`start_host(command)` runs a server whose forced command this is."""
    with ExitStack() as at_end:
        count = 0

        def start(*command: str) -> Host:
            nonlocal count
            count += 1
            folder = tmp_path / f"host{count}"
            folder.mkdir()
            host_key, controller_key = PrivateKey.generate(), PrivateKey.generate()
            key_file = folder / "ssh_host_ed25519_key"
            key_file.write_bytes(host_key.to_openssh(passphrase=None))
            key_file.chmod(0o600)
            words = " ".join(f"'{word}'" for word in command)
            (folder / "authorized_keys").write_text(
                f'restrict,command="{words}" {controller_key.public.ssh_line} controller\n'
            )
            port_file = folder / "port"
            process = subprocess.Popen(
                [
                    *(sys.executable, str(ROOT / "demo" / "ssh_server.py"), "--run-dir", str(folder)),
                    *("--port", "0", "--port-file", str(port_file)),
                ]
            )
            at_end.callback(stop, process)
            until = time.monotonic() + 20
            while not port_file.exists():
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.01)
            return Host(
                folder=folder,
                host_key=host_key,
                controller_key=controller_key,
                port=int(port_file.read_text()),
                process=process,
            )

        yield start


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def conforming_host(start_host: Callable[..., Host], tmp_path: Path) -> Host:
    return start_host(sys.executable, str(AGENT), str(tmp_path))


@pytest.fixture
def scripted_host(start_host: Callable[..., Host], tmp_path: Path) -> Callable[[str], Host]:
    """A host whose agent is this script, with the request already read."""

    def start(script: str) -> Host:
        program = tmp_path / "scripted_agent.py"
        program.write_text(PREAMBLE + script)
        return start_host(sys.executable, "-I", str(program))

    return start


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["ssh", "simulated"])
def route(request: pytest.FixtureRequest, tmp_path: Path) -> SshRoute | SimulatedRoute:
    """Each implementation of a Route, to the conforming agent."""
    if request.param == "ssh":
        host = request.getfixturevalue("conforming_host")
        ssh_route: SshRoute = host.route()
        return ssh_route
    agent = functools.partial(load(AGENT).answer, tmp_path)
    return SimulatedRoute(agent=agent, host_key_blob=PrivateKey.from_seed(bytes(32)).public.ssh_blob)


class Stubborn(paramiko.ServerInterface):
    """A server side that a test bends."""

    def __init__(self, server: "Misbehaving") -> None:
        self.server = server

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: Any) -> int:
        self.server.offered_keys.append(key.asbytes())
        return int(paramiko.AUTH_SUCCESSFUL if self.server.admits else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self.server.commands.append(command)
        return self.server.on_exec(channel)


@dataclass
class Misbehaving:
    """An SSH server in this process, for what our own server program never does."""

    host_key: Any
    admits: bool = True
    kex: tuple[str, ...] = ()
    on_exec: Callable[[Any], bool] = lambda channel: True
    offered_keys: list[bytes] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    transports: list[Any] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def accept_from(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            if self.kex:
                transport.get_security_options().kex = self.kex
            self.transports.append(transport)
            transport.start_server(threading.Event(), Stubborn(self))

    def route(self, *, patience: Patience = PATIENT) -> SshRoute:
        return SshRoute(
            endpoint=Endpoint(address="127.0.0.1", port=self.port),
            identity=PrivateKey.from_seed(b"c" * 32),
            patience=patience,
        )

    @property
    def blob(self) -> bytes:
        return bytes(self.host_key.asbytes())


@pytest.fixture
def misbehaving() -> Iterator[Callable[..., Misbehaving]]:
    """`misbehaving(**fields)` starts one; its host key is Ed25519 unless another is handed in."""
    with ExitStack() as at_end:

        def start(**fields: Any) -> Misbehaving:
            fields.setdefault("host_key", paramiko_key(PrivateKey.from_seed(b"h" * 32)))
            server = Misbehaving(**fields)
            listener = socket.create_server(("127.0.0.1", 0))
            server.port = listener.getsockname()[1]
            at_end.callback(end, server, listener)
            threading.Thread(target=server.accept_from, args=(listener,), daemon=True).start()
            return server

        yield start


def end(server: Misbehaving, listener: socket.socket) -> None:
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for transport in server.transports:
        transport.close()


def paramiko_key(key: PrivateKey) -> Any:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(key.to_openssh(passphrase=None).decode()))


@pytest.fixture
def raw_server() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """`raw_server(talk)` listens and runs `talk` on each connection; returns the port."""
    with ExitStack() as at_end:

        def start(talk: Callable[[socket.socket], None]) -> int:
            listener = socket.create_server(("127.0.0.1", 0))
            at_end.callback(listener.close)
            at_end.callback(listener.shutdown, socket.SHUT_RDWR)

            def serve() -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

            threading.Thread(target=serve, daemon=True).start()
            return int(listener.getsockname()[1])

        yield start


@pytest.fixture
def ssh_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[PrivateKey], PublicKey]]:
    """A real ssh-agent; `ssh_agent(key)` adds a key to it."""
    address = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not address.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(address))

    def add(key: PrivateKey) -> PublicKey:
        file = tmp_path / "added_key"
        file.write_bytes(key.to_openssh(passphrase=None))
        file.chmod(0o600)
        subprocess.run(["ssh-add", "-q", str(file)], check=True, env={**os.environ})
        return key.public

    yield add
    stop(process)
