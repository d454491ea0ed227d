"""Carrying lines to an agent over SSH.

Rules: our own socket with TCP_NODELAY (37 % less latency, performance.md 2c) and a limit on unacknowledged
bytes, so that a dead peer ends the connection; X25519 and its hybrid with ML-KEM only, ssh-ed25519 host keys
only, our key by publickey only; the host key is compared before we authenticate. No shell, no terminal, no
forwarding: one fixed command, which the host forces anyway. Connecting is tried again a few times, because
nothing was sent yet; a line is never sent again. Every wait has a deadline. Agents end a channel after their
last line; what follows it is refused.

An unknown host key is accepted by `meet` alone, and what it returns can say hello once. KNOWN GAP: paramiko
polls one thread a connection (0.035 % of a core), so connections are held only while a command starts or ends
(performance.md 2d).
"""

from __future__ import annotations

import hmac
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

import paramiko  # type: ignore[import-untyped]
import tenacity

from certificate.errors import Refused
from certificate.keys import PublicKey, Signer
from certificate.messages import Follow, Hello, HelloAnswer, JournalEnd, JournalLine, Line
from controller.channels.dialogue import QUESTIONS, read_answer
from controller.channels.lines import CHUNK_BYTES, Deadline, LineReader
from controller.channels.ssh_identity import KIND, SigningKey
from controller.errors import Code, Unanswered, Unreachable

COMMAND = "expunge-agent session"
#: Best first; names that this release of paramiko does not have are left out.
KEY_EXCHANGES = ("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org")
#: AEAD only, so that no separate MAC is negotiated.
CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com")
KEEPALIVE_SECONDS = 15
#: A peer that acknowledges nothing for so long is gone (TCP_USER_TIMEOUT; where the platform has it).
UNACKNOWLEDGED_MILLISECONDS = 45_000
#: How long a channel may stay open and silent after its last line before we close it.
TAIL_SECONDS = 0.5
#: How often a wait looks whether the agent complains on its standard error.
LOOK_SECONDS = 0.5
SHOWN_ERROR_BYTES = 300
#: Ten lines a second for three hours; stops a journal without end.
MAX_JOURNAL_LINES = 100_000
LOG_NAME = "controller.channels.paramiko"
#: What paramiko raises for a connection that is, or goes, wrong.
BROKEN = (paramiko.SSHException, OSError, EOFError)

# Every failure is raised; paramiko's own tracebacks repeat, unescaped, what a hostile server chose to say.
logging.getLogger(LOG_NAME).setLevel(logging.CRITICAL)
logging.getLogger(LOG_NAME).addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an agent's SSH server listens. `user` is the account whose command is forced."""

    address: str
    port: int
    user: str = "expunge"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long is waited for what, in seconds. `quiet_seconds`: between two lines of a journal."""

    connect_seconds: float = 10.0
    connect_attempts: int = 3
    answer_seconds: float = 30.0
    quiet_seconds: float = 120.0


@dataclass(frozen=True, kw_only=True)
class SshRoute:
    """A `Route` over SSH."""

    endpoint: Endpoint
    identity: Signer = field(repr=False)
    patience: Patience = Patience()

    def meet(self) -> SshIntroduction:
        return SshIntroduction(self._connected(pinned=None))

    def open(self, *, host_key_blob: bytes) -> SshChannel:
        return SshChannel(self._connected(pinned=host_key_blob))

    def _connected(self, *, pinned: bytes | None) -> _Connection:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unreachable),
            stop=tenacity.stop_after_attempt(self.patience.connect_attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        return attempts(self._connect, pinned)

    def _connect(self, pinned: bytes | None) -> _Connection:
        deadline = Deadline.after(self.patience.connect_seconds)
        transport = _transport(self.endpoint, deadline)
        try:
            blob = _greet(transport, self.endpoint, deadline)
            if pinned is not None and not hmac.compare_digest(blob, pinned):
                raise Refused(Code.HOST_KEY_CHANGED, f"{self.endpoint.address} has another host key")
            _log_in(transport, self.endpoint, self.identity)
        except BaseException:
            _end(transport)
            raise
        return _Connection(transport, blob, self.patience)


class SshIntroduction:
    """An `Introduction` over SSH. It has no method that sends anything but a hello."""

    def __init__(self, connection: _Connection) -> None:
        self.__connection = connection
        self.__is_spent = False

    @property
    def host_key_blob(self) -> bytes:
        return self.__connection.host_key_blob

    def hello(self, line: Hello) -> HelloAnswer:
        if type(line) is not Hello or self.__is_spent:
            raise TypeError("an introduction says hello, once")
        self.__is_spent = True
        return cast(HelloAnswer, self.__connection.ask(line))

    def close(self) -> None:
        self.__connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


class SshChannel:
    """A `Channel` over SSH, to the host whose key is pinned."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @property
    def host_key_blob(self) -> bytes:
        return self._connection.host_key_blob

    def ask(self, line: Line) -> Line:
        if type(line) not in QUESTIONS:
            raise TypeError(f"{line.name} is no question with one answer")
        return self._connection.ask(line)

    def follow(self, line: Follow) -> Iterator[JournalLine | JournalEnd]:
        return self._connection.follow(line)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


class _Connection:
    """An authenticated connection; each verb has a channel of its own."""

    def __init__(self, transport: Any, host_key_blob: bytes, patience: Patience) -> None:
        self.host_key_blob = host_key_blob
        self._transport = transport
        self._patience = patience

    def close(self) -> None:
        _end(self._transport)

    def ask(self, line: Line) -> Line:
        deadline = Deadline.after(self._patience.answer_seconds)
        with self._session(line, deadline) as session:
            data = session.lines.line(deadline)
            if data is None:
                raise session.ended_early(line)
            session.lines.refuse_more(Deadline.after(TAIL_SECONDS))
        return read_answer(line, data)

    def follow(self, line: Follow) -> Iterator[JournalLine | JournalEnd]:
        with self._session(line, Deadline.after(self._patience.answer_seconds)) as session:
            for _ in range(MAX_JOURNAL_LINES):
                data = session.lines.line(Deadline.after(self._patience.quiet_seconds))
                if data is None:
                    raise session.ended_early(line)
                answer = read_answer(line, data)
                if isinstance(answer, JournalEnd):
                    session.lines.refuse_more(Deadline.after(TAIL_SECONDS))
                    yield answer
                    return
                yield cast(JournalLine, answer)
            raise Unanswered(Code.ANSWER_INVALID, f"a journal of more than {MAX_JOURNAL_LINES} lines")

    @contextmanager
    def _session(self, line: Line, deadline: Deadline) -> Iterator[_Session]:
        """The channel of one verb, the request sent."""
        data = line.write()
        try:
            channel = self._transport.open_session(timeout=deadline.remaining_seconds)
        except BROKEN as error:
            raise Unreachable(Code.HOST_UNREACHABLE, f"no channel for {line.name}: {_shown(error)}") from None
        try:
            with _ended_at(deadline, self._transport):
                self._send(channel, line, data, deadline)
            yield _Session(channel)
        finally:
            with suppress(*BROKEN):
                channel.close()

    def _send(self, channel: Any, line: Line, data: bytes, deadline: Deadline) -> None:
        try:
            channel.exec_command(COMMAND)
        except BROKEN as error:
            raise Unreachable(Code.HOST_UNREACHABLE, f"{COMMAND} did not start: {_shown(error)}") from None
        channel.settimeout(deadline.remaining_seconds)
        try:
            channel.sendall(data)
        except BROKEN as error:
            raise Unanswered(Code.ANSWER_MISSING, f"{line.name} was cut off: {_shown(error)}") from None


class _Session:
    """The agent's end of one channel."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._complaint = b""
        self.lines = LineReader(self._receive)

    def ended_early(self, line: Line) -> Unanswered:
        self._listen_to_complaints()
        complaint = f", saying {self._complaint.decode('ascii', 'replace')!r}" if self._complaint else ""
        return Unanswered(
            Code.ANSWER_MISSING,
            f"the agent or the connection ended without an answer to {line.name}{complaint}",
        )

    def _receive(self, deadline: Deadline) -> bytes:
        while True:
            # Standard error shares the channel's window: unread, it would block the answer.
            self._listen_to_complaints()
            remaining = deadline.remaining_seconds
            self._channel.settimeout(min(remaining, LOOK_SECONDS))
            try:
                return cast(bytes, self._channel.recv(CHUNK_BYTES))
            except TimeoutError:
                if remaining <= LOOK_SECONDS:
                    raise
            except BROKEN as error:
                raise Unanswered(Code.ANSWER_MISSING, f"the connection broke: {_shown(error)}") from None

    def _listen_to_complaints(self) -> None:
        # Bounded by the window: what is read here is acknowledged, so a flood costs the flooder.
        for _ in range(64):
            if not self._channel.recv_stderr_ready():
                return
            with suppress(*BROKEN):
                more = self._channel.recv_stderr(CHUNK_BYTES)
                self._complaint = (self._complaint + more)[-SHOWN_ERROR_BYTES:]


def _transport(endpoint: Endpoint, deadline: Deadline) -> Any:
    """A transport over a socket of ours, nothing sent yet."""
    try:
        connection = socket.create_connection(
            (endpoint.address, endpoint.port), timeout=deadline.remaining_seconds
        )
    except OSError as error:
        raise Unreachable(
            Code.HOST_UNREACHABLE, f"{endpoint.address} port {endpoint.port}: {error}"
        ) from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
    transport = paramiko.Transport(connection)
    transport.set_log_channel(LOG_NAME)
    options = transport.get_security_options()
    options.kex = [name for name in KEY_EXCHANGES if name in options.kex]
    options.ciphers = CIPHERS
    options.key_types = (KIND,)
    return transport


def _greet(transport: Any, endpoint: Endpoint, deadline: Deadline) -> bytes:
    """The key exchange; returns the blob of the host key that the server proved to hold."""
    seconds = max(deadline.remaining_seconds, 0.1)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = seconds
    try:
        # It returns, and does not raise, when its time is up: the next call then finds no session.
        transport.start_client(timeout=seconds)
        key = transport.get_remote_server_key()
    except BROKEN as error:
        raise Unreachable(
            Code.HOST_UNREACHABLE, f"{endpoint.address} port {endpoint.port}: no SSH session: {_shown(error)}"
        ) from None
    if transport.host_key_type != KIND:
        raise Refused(Code.HOST_KEY_CHANGED, f"{endpoint.address} presents a {transport.host_key_type} key")
    # Refuses keys of small order, which would verify signatures that nobody made.
    return PublicKey.from_ssh_line(f"{KIND} {key.get_base64()}").ssh_blob


def _log_in(transport: Any, endpoint: Endpoint, identity: Signer) -> None:
    try:
        missing = transport.auth_publickey(endpoint.user, SigningKey(identity))
    except paramiko.AuthenticationException as error:
        raise Refused(Code.LOGIN_REFUSED, f"{endpoint.address}: {_shown(error)}") from None
    except BROKEN as error:
        raise Unreachable(Code.HOST_UNREACHABLE, f"{endpoint.address}: {_shown(error)}") from None
    if missing:
        raise Refused(Code.LOGIN_REFUSED, f"{endpoint.address} asks for more than our key")
    transport.set_keepalive(KEEPALIVE_SECONDS)


@contextmanager
def _ended_at(deadline: Deadline, transport: Any) -> Iterator[None]:
    """Ends the whole connection at the deadline: paramiko waits without limit for the answer to `exec`, and
    for a peer that stops reading.
    """
    watch = threading.Timer(deadline.remaining_seconds, _end, (transport,))
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _end(transport: Any) -> None:
    with suppress(*BROKEN):
        transport.close()


def _shown(error: BaseException) -> str:
    """What went wrong, harmless to print: a hostile server chooses some of these texts."""
    return ascii(str(error))[1:-1][:SHOWN_ERROR_BYTES] or type(error).__name__
