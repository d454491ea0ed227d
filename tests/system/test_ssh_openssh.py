"""Our channels against a real OpenSSH server on the loopback: root, a port and a configuration of its own.

The server runs as it would in an erase environment: forced commands only, no password, keys of its own. What
holds against our own server program elsewhere must hold here too, or that program is too kind.
"""

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from certificate import messages
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.messages import AskStatus, Follow, Hello, JournalEnd
from controller.channels.ssh import Endpoint, Patience, SshRoute
from controller.errors import AgentRefused, Code, Unanswered, Unreachable

pytestmark = pytest.mark.system

SSHD = "/usr/sbin/sshd"
AGENT = Path(__file__).parents[1] / "controller" / "channels" / "conforming_agent.py"
STATUS = AskStatus(token="t", finalise=False)
PATIENCE = Patience(connect_seconds=20, connect_attempts=1, answer_seconds=20, quiet_seconds=20)
CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PermitRootLogin forced-commands-only
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
StrictModes no
UsePAM no
PrintMotd no
PidFile none
LogLevel DEBUG1
"""


@dataclass(kw_only=True)
class OpenSsh:
    """A running sshd."""

    folder: Path
    port: int
    blob: bytes
    controller_key: PrivateKey
    process: subprocess.Popen[bytes]

    def route(self, *, identity: PrivateKey | None = None, patience: Patience = PATIENCE) -> SshRoute:
        return SshRoute(
            endpoint=Endpoint(address="127.0.0.1", port=self.port, user="root"),
            identity=identity or self.controller_key,
            patience=patience,
        )

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def connections(self) -> list[int]:
        """The processes that serve one connection each: children of the one that listens."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == self.process.pid:
                found.append(int(stat.parent.name))
        return found


@pytest.fixture
def openssh(tmp_path: Path) -> Iterator[Callable[..., OpenSsh]]:
    """`openssh(command)` starts an sshd whose forced command this is; `kind` is its host key's."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with ExitStack() as at_end:

        def start(*command: str, kind: str = "ed25519") -> OpenSsh:
            folder = tmp_path / f"sshd-{kind}"
            folder.mkdir()
            subprocess.run(
                ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / "host_key")], check=True
            )
            public = (folder / "host_key.pub").read_text().split()[1]
            controller_key = PrivateKey.generate()
            words = " ".join(f"'{word}'" for word in command)
            (folder / "authorized_keys").write_text(
                f'restrict,command="{words}" {controller_key.public.ssh_line}\n'
            )
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            (folder / "sshd_config").write_text(CONFIGURATION.format(port=port, folder=folder))
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
            at_end.callback(end, process)
            server = OpenSsh(
                folder=folder,
                port=port,
                blob=base64.b64decode(public),
                controller_key=controller_key,
                process=process,
            )
            until = time.monotonic() + 20
            while "listening on" not in server.log():
                assert process.poll() is None, server.log()
                assert time.monotonic() < until, server.log()
                time.sleep(0.01)
            return server

        yield start


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def conforming(openssh: Callable[..., OpenSsh], tmp_path: Path) -> OpenSsh:
    return openssh(sys.executable, str(AGENT), str(tmp_path))


def scripted(openssh: Callable[..., OpenSsh], tmp_path: Path, text: str) -> OpenSsh:
    program = tmp_path / "agent.py"
    program.write_text("import os, sys, time\nsys.stdin.readline()\n" + text)
    return openssh(sys.executable, "-I", str(program))


def test_an_unknown_host_says_hello_and_its_key_is_pinned_from_then_on(conforming: OpenSsh) -> None:
    with conforming.route().meet() as introduction:
        answer = introduction.hello(Hello(controller_nonce="ab" * 32, purpose="pin"))
        blob = introduction.host_key_blob
    assert answer.proof == "ab" * 32
    assert blob == conforming.blob
    with conforming.route().open(host_key_blob=blob) as channel:
        assert isinstance(channel.ask(STATUS), messages.StatusAnswer)


def test_the_forced_command_is_run_whatever_is_asked_for(
    openssh: Callable[..., OpenSsh], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    server = scripted(
        openssh, tmp_path, f"open({str(mark)!r}, 'w').write(os.environ['SSH_ORIGINAL_COMMAND'])"
    )
    with server.route().open(host_key_blob=server.blob) as channel, pytest.raises(Unanswered):
        channel.ask(STATUS)
    assert mark.read_text() == "expunge-agent session"


def test_a_refusal_arrives_as_one(conforming: OpenSsh) -> None:
    with conforming.route().open(host_key_blob=conforming.blob) as channel, pytest.raises(AgentRefused) as no:
        channel.ask(AskStatus(token="refuse", finalise=False))
    assert no.value.agent_code == "ORDER_EXPIRED"


def test_an_acknowledgement_travels_while_the_journal_is_followed(conforming: OpenSsh) -> None:
    with conforming.route().open(host_key_blob=conforming.blob) as channel:
        journal = channel.follow(Follow(token="waits for ack", from_seq=0))
        next(journal)
        channel.ask(messages.Ack(token="waits for ack", boot_id="b", seq=0, step=""))
        assert isinstance(list(journal)[-1], JournalEnd)


def test_a_changed_host_key_is_refused_before_we_log_in(conforming: OpenSsh) -> None:
    with pytest.raises(Refused) as refused:
        conforming.route().open(host_key_blob=PrivateKey.generate().public.ssh_blob)
    assert refused.value.code is Code.HOST_KEY_CHANGED
    assert "userauth-request" not in conforming.log()


def test_a_wrong_key_is_refused(conforming: OpenSsh) -> None:
    with pytest.raises(Refused) as refused:
        conforming.route(identity=PrivateKey.generate()).open(host_key_blob=conforming.blob)
    assert refused.value.code is Code.LOGIN_REFUSED
    assert "Accepted" not in conforming.log()


def test_a_host_with_an_rsa_key_only_is_not_spoken_to(openssh: Callable[..., OpenSsh]) -> None:
    with pytest.raises(Unreachable):
        openssh("true", kind="rsa").route().meet()


def test_the_key_exchange_is_a_modern_one_and_the_cipher_authenticates(conforming: OpenSsh) -> None:
    conforming.route().open(host_key_blob=conforming.blob).close()
    log = conforming.log()
    assert re.search(r"kex: algorithm: (mlkem768x25519-sha256|curve25519-sha256)", log)
    assert set(re.findall(r"cipher: (\S+)", log)) == {"aes256-gcm@openssh.com"}
    assert "userauth-request for user root service ssh-connection method publickey" in log


def test_a_connection_cut_inside_a_journal_is_unanswered(conforming: OpenSsh) -> None:
    with conforming.route().open(host_key_blob=conforming.blob) as channel:
        journal = channel.follow(Follow(token="waits for ack", from_seq=0))
        next(journal)
        (serving,) = conforming.connections()
        os.kill(serving, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(Unanswered) as silence:
            next(journal)
        assert silence.value.code is Code.ANSWER_MISSING
        assert time.monotonic() - began < 12
        with pytest.raises(Unreachable):
            channel.ask(STATUS)
    with conforming.route().open(host_key_blob=conforming.blob) as channel:
        assert isinstance(channel.ask(STATUS), messages.StatusAnswer)


def test_a_server_that_is_gone_is_unreachable(conforming: OpenSsh) -> None:
    end(conforming.process)
    with pytest.raises(Unreachable):
        conforming.route().open(host_key_blob=conforming.blob)


def test_an_answer_counts_though_a_process_left_behind_holds_the_channel_open(
    openssh: Callable[..., OpenSsh], tmp_path: Path
) -> None:
    """sshd keeps a channel open as long as anybody holds its output, which a careless executor would do."""
    answer = messages.StatusAnswer(token="t", boot_id="b", state="done", journal_lines=0, absence=None)
    server = scripted(
        openssh,
        tmp_path,
        f"sys.stdout.write({answer.write().decode()!r})\nsys.stdout.flush()\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(30)\nos._exit(0)\n",
    )
    with server.route().open(host_key_blob=server.blob) as channel:
        began = time.monotonic()
        assert channel.ask(STATUS) == answer
        assert time.monotonic() - began < 12


def test_what_the_session_left_behind_outlives_the_connection(
    openssh: Callable[..., OpenSsh], tmp_path: Path
) -> None:
    """`execute` works on in a session of its own: a controller that goes away must not stop an erasure."""
    pid_file, done = tmp_path / "pid", tmp_path / "done"
    server = scripted(
        openssh,
        tmp_path,
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    null = os.open(os.devnull, os.O_RDWR)\n"
        "    for number in (0, 1, 2): os.dup2(null, number)\n"
        f"    open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(4)\n"
        f"    open({str(done)!r}, 'w').close()\n"
        "    os._exit(0)\n"
        "time.sleep(30)\n",
    )
    hasty = Patience(connect_seconds=20, connect_attempts=1, answer_seconds=3, quiet_seconds=1)
    with server.route(patience=hasty).open(host_key_blob=server.blob) as channel:
        with pytest.raises(Unanswered):
            channel.ask(STATUS)
        for serving in server.connections():
            os.kill(serving, signal.SIGKILL)
    until = time.monotonic() + 20
    while not done.exists():
        assert time.monotonic() < until, "what was left behind died with the connection"
        time.sleep(0.02)


def test_a_session_notices_that_the_controller_has_left(
    openssh: Callable[..., OpenSsh], tmp_path: Path
) -> None:
    """A journal that is followed may be silent for hours: nothing is written that could fail."""
    mark = tmp_path / "noticed"
    server = scripted(
        openssh,
        tmp_path,
        "import select\n"
        "poll = select.poll()\n"
        "poll.register(1, 0)\n"
        "for _ in range(400):\n"
        "    if poll.poll(20):\n"
        f"        open({str(mark)!r}, 'w').close()\n"
        "        break\n",
    )
    hasty = Patience(connect_seconds=20, connect_attempts=1, answer_seconds=5, quiet_seconds=0.5)
    with server.route(patience=hasty).open(host_key_blob=server.blob) as channel:
        with pytest.raises(Unanswered):
            next(channel.follow(Follow(token="t", from_seq=0)))
        until = time.monotonic() + 20
        while not mark.exists():
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("ask", ["terminal", "subsystem", "forward"])
def test_a_restricted_key_gets_no_terminal_no_subsystem_and_no_forwarding(
    conforming: OpenSsh, ask: str
) -> None:
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", conforming.port)))
    attempts: dict[str, Callable[[], object]] = {
        "terminal": lambda: transport.open_session().get_pty(),
        "subsystem": lambda: transport.open_session().invoke_subsystem("sftp"),
        "forward": lambda: transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1)),
    }
    try:
        transport.start_client(timeout=10)
        text = conforming.controller_key.to_openssh(passphrase=None).decode()
        transport.auth_publickey("root", paramiko.Ed25519Key.from_private_key(io.StringIO(text)))
        with pytest.raises(paramiko.SSHException):
            attempts[ask]()
    finally:
        transport.close()
