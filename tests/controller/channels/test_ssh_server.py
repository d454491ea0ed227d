"""The demonstration's SSH server: it must be no kinder than sshd, or what passes here would fail there."""

import io
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from certificate.keys import PrivateKey


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """`connect(host, key)` logs in as any client would, without our driver."""
    transports = []

    def log_in(host: Any, key: PrivateKey) -> Any:
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", host.port)))
        transports.append(transport)
        transport.start_client(timeout=10)
        text = key.to_openssh(passphrase=None).decode()
        transport.auth_publickey("root", paramiko.Ed25519Key.from_private_key(io.StringIO(text)))
        return transport

    yield log_in
    for transport in transports:
        transport.close()


def output_of(channel: Any) -> bytes:
    channel.settimeout(10)
    data = b""
    while more := channel.recv(65_536):
        data += more
    return data


def eventually(holds: Callable[[], bool], *, seconds: float = 8) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_whatever_is_asked_for_the_forced_command_is_run(
    scripted_host: Any, connect: Callable[..., Any]
) -> None:
    host = scripted_host("say(os.environ['SSH_ORIGINAL_COMMAND'].encode() + b'|' + request.encode())")
    channel = connect(host, host.controller_key).open_session()
    channel.exec_command("rm -rf /; $(reboot)")
    channel.sendall(b'"line one"\n')
    assert output_of(channel) == b"rm -rf /; $(reboot)|line one"
    assert channel.recv_exit_status() == 0


def test_the_exit_code_of_the_command_arrives(scripted_host: Any, connect: Callable[..., Any]) -> None:
    host = scripted_host("sys.exit(7)")
    channel = connect(host, host.controller_key).open_session()
    channel.exec_command("x")
    channel.sendall(b"{}\n")
    assert channel.recv_exit_status() == 7


def test_what_the_command_complains_about_is_in_the_servers_log(
    scripted_host: Any, connect: Callable[..., Any]
) -> None:
    host = scripted_host("sys.stderr.write('no such drive'); sys.exit(1)")
    channel = connect(host, host.controller_key).open_session()
    channel.exec_command("x")
    channel.sendall(b"{}\n")
    channel.recv_exit_status()
    assert "no such drive" in host.log()


def test_several_channels_of_one_connection_run_side_by_side(
    scripted_host: Any, connect: Callable[..., Any]
) -> None:
    host = scripted_host("say(str(request).encode()); sys.stdin.buffer.read()")
    transport = connect(host, host.controller_key)
    channels = [transport.open_session() for _ in range(4)]
    for number, channel in enumerate(channels):
        channel.exec_command("x")
        channel.sendall(b"%d\n" % number)
    for number, channel in reversed(list(enumerate(channels))):
        channel.shutdown_write()
        assert output_of(channel) == str(number).encode()


@pytest.mark.parametrize("ask", ["shell", "terminal", "subsystem", "forward", "x11", "port forward"])
def test_nothing_but_the_forced_command_is_offered(
    conforming_host: Any, connect: Callable[..., Any], ask: str
) -> None:
    transport = connect(conforming_host, conforming_host.controller_key)
    attempts: dict[str, Callable[[], object]] = {
        "shell": lambda: transport.open_session().invoke_shell(),
        "terminal": lambda: transport.open_session().get_pty(),
        "subsystem": lambda: transport.open_session().invoke_subsystem("sftp"),
        "forward": lambda: transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1)),
        "x11": lambda: transport.open_session().request_x11(),
        "port forward": lambda: transport.request_port_forward("127.0.0.1", 0),
    }
    with pytest.raises(paramiko.SSHException):
        attempts[ask]()


def test_a_key_that_is_not_in_the_file_is_not_admitted(
    conforming_host: Any, connect: Callable[..., Any]
) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        connect(conforming_host, PrivateKey.generate())


@pytest.mark.parametrize(
    "options",
    [
        "",
        'command="true" ',
        "restrict ",
        'no-pty,command="true" ',
        'restrict,command="true',
    ],
)
def test_a_key_without_restrict_and_command_is_not_admitted(
    conforming_host: Any, connect: Callable[..., Any], options: str
) -> None:
    key = PrivateKey.generate()
    with (conforming_host.folder / "authorized_keys").open("a") as file:
        file.write(f"\n# a comment\n{options}{key.public.ssh_line}\n")
    with pytest.raises(paramiko.AuthenticationException):
        connect(conforming_host, key)
    assert "not restricted" in conforming_host.log()


def test_the_file_of_keys_is_read_anew_for_each_connection(
    conforming_host: Any, connect: Callable[..., Any]
) -> None:
    key = PrivateKey.generate()
    with (conforming_host.folder / "authorized_keys").open("a") as file:
        file.write(f'command="\\"true\\"",restrict {key.public.ssh_line} another\n')
    channel = connect(conforming_host, key).open_session()
    channel.exec_command("x")
    assert channel.recv_exit_status() == 0


def test_the_end_of_the_server_ends_its_commands_and_not_what_detached_itself(
    scripted_host: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    host = scripted_host(
        "import pathlib\n"
        "folder = pathlib.Path(request)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    null = os.open(os.devnull, os.O_RDWR)\n"
        "    for number in (0, 1, 2): os.dup2(null, number)\n"
        "    (folder / 'detached').write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "    os._exit(0)\n"
        "(folder / 'session').write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    channel = connect(host, host.controller_key).open_session()
    channel.exec_command("x")
    channel.sendall(f'"{tmp_path}"\n'.encode())
    files = [tmp_path / "session", tmp_path / "detached"]
    assert eventually(lambda: all(file.exists() and file.read_text() for file in files))
    session, detached = (int(file.read_text()) for file in files)
    try:
        assert is_running(session)
        host.process.terminate()
        assert host.process.wait(timeout=10) == 0
        assert eventually(lambda: not is_running(session))
        assert is_running(detached)
    finally:
        os.kill(detached, signal.SIGKILL)


def test_a_command_notices_that_its_client_has_left(
    scripted_host: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    mark = tmp_path / "noticed"
    host = scripted_host(
        "import select\n"
        "poll = select.poll()\n"
        "poll.register(1, 0)\n"
        "for _ in range(400):\n"
        "    if poll.poll(20):\n"
        f"        open({str(mark)!r}, 'w').close()\n"
        "        break\n"
    )
    channel = connect(host, host.controller_key).open_session()
    channel.exec_command("x")
    channel.sendall(b"{}\n")
    assert not eventually(mark.exists, seconds=1)
    channel.close()
    assert eventually(mark.exists)


def test_a_client_that_stalls_in_its_handshake_holds_up_nobody(conforming_host: Any) -> None:
    with socket.create_connection(("127.0.0.1", conforming_host.port)):
        with conforming_host.route().open(host_key_blob=conforming_host.blob) as channel:
            assert channel.host_key_blob == conforming_host.blob


def test_the_port_is_written_whole_and_only_when_the_server_listens(conforming_host: Any) -> None:
    text = (conforming_host.folder / "port").read_text()
    assert text == f"{conforming_host.port}\n"
    assert not (conforming_host.folder / "port.new").exists()
