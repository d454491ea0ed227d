"""SSH against hosts that lie, stall, flood and break off."""

import io
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest

from certificate import messages
from certificate.errors import Malformed, Refused
from certificate.keys import PrivateKey, PublicKey
from certificate.messages import AskStatus, Follow
from controller.channels.ssh import COMMAND, Endpoint, Patience, SshRoute
from controller.channels.ssh_identity import from_ssh_agent
from controller.errors import Code, Unanswered, Unreachable

STATUS = AskStatus(token="t", finalise=False)
FOLLOW = Follow(token="t", from_seq=0)
#: Long enough for a loaded machine where an answer comes, and short where none will come.
PATIENT = Patience(connect_seconds=20.0, connect_attempts=1, answer_seconds=20.0, quiet_seconds=20.0)
HASTY = Patience(connect_seconds=20.0, connect_attempts=1, answer_seconds=1.5, quiet_seconds=1.5)
UNCONNECTED = Patience(connect_seconds=1.0, connect_attempts=1)
#: What a deadline of 1.5 s may take on a loaded machine. Without it these tests would wait for ever.
SOON_SECONDS = 12

Scripted = Callable[[str], Any]


def answer_of(scripted_host: Scripted, script: str, *, patience: Patience = PATIENT) -> Unanswered:
    """How a question ends when the agent runs this script."""
    host = scripted_host(script)
    with host.route(patience=patience).open(host_key_blob=host.blob) as channel:
        with pytest.raises(Unanswered) as silence:
            channel.ask(STATUS)
    return silence.value


# --- what a hostile agent says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "say(os.urandom(4096) + b'\\n')",
        "say(b'\\n')",
        "say(b'Last login: yesterday\\n' + STATUS)",
        "say(b'[]\\n')",
        "say(STATUS.replace(b'}', b',\"more\":1}'))",
        'say(STATUS.replace(b\'"t"\', b\'"t","token":"u"\'))',
        "say(b'\\xff\\xfe' + STATUS)",
        "say(STATUS[:-1])",
        "say(STATUS + b'garbage')",
        "say(STATUS); say(STATUS)",
    ],
    ids=[
        "binary",
        "empty line",
        "a greeting before the answer",
        "no object",
        "unknown field",
        "duplicate field",
        "no UTF-8",
        "no line feed",
        "bytes after the answer",
        "a line after the end",
    ],
)
def test_what_is_not_exactly_one_answer_line_is_no_answer(scripted_host: Scripted, script: str) -> None:
    assert answer_of(scripted_host, script).code is Code.ANSWER_INVALID


def test_an_endless_line_ends_at_one_mebibyte(scripted_host: Scripted) -> None:
    silence = answer_of(scripted_host, "while True: say(b'x' * 65536)")
    assert silence.code is Code.ANSWER_INVALID
    assert "1048576" in silence.reason


def test_an_answer_that_drips_in_does_not_move_the_deadline(scripted_host: Scripted) -> None:
    began = time.monotonic()
    silence = answer_of(scripted_host, "while True: say(b'x'); time.sleep(0.05)", patience=HASTY)
    assert silence.code is Code.ANSWER_MISSING
    assert time.monotonic() - began < SOON_SECONDS


def test_an_agent_that_stays_silent_is_waited_for_until_the_deadline(scripted_host: Scripted) -> None:
    assert answer_of(scripted_host, "time.sleep(60)", patience=HASTY).code is Code.ANSWER_MISSING


def test_an_agent_that_closes_its_output_and_lives_on_has_not_answered(scripted_host: Scripted) -> None:
    silence = answer_of(scripted_host, "os.close(1); time.sleep(60)", patience=HASTY)
    assert silence.code is Code.ANSWER_MISSING


def test_an_answer_counts_though_a_process_left_behind_holds_the_output_open(scripted_host: Scripted) -> None:
    """`execute` leaves a process; a careless one would hold the channel open for hours."""
    host = scripted_host("say(STATUS)\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(30)\nos._exit(0)")
    with host.route().open(host_key_blob=host.blob) as channel:
        began = time.monotonic()
        assert isinstance(channel.ask(STATUS), messages.StatusAnswer)
        assert time.monotonic() - began < SOON_SECONDS


def test_a_flood_on_standard_error_does_not_block_the_answer(misbehaving: Callable[..., Any]) -> None:
    answer = messages.StatusAnswer(token="t", boot_id="b", state="done", journal_lines=0, absence=None)

    def flood(channel: Any) -> bool:
        def talk() -> None:
            channel.recv(1)
            for _ in range(96):  # three times the channel's window of 2 MiB
                channel.sendall_stderr(b"e" * 65_536)
            channel.sendall(answer.write())
            channel.close()

        threading.Thread(target=talk, daemon=True).start()
        return True

    server = misbehaving(on_exec=flood)
    with server.route().open(host_key_blob=server.blob) as channel:
        assert channel.ask(STATUS) == answer


def test_what_the_agent_complained_about_is_shown_harmlessly(misbehaving: Callable[..., Any]) -> None:
    def complain(channel: Any) -> bool:
        def talk() -> None:
            channel.recv(1)
            channel.sendall_stderr(b"Traceback\x1b[2J" + b"MemoryError")
            channel.close()

        threading.Thread(target=talk, daemon=True).start()
        return True

    server = misbehaving(on_exec=complain)
    with server.route().open(host_key_blob=server.blob) as channel, pytest.raises(Unanswered) as silence:
        channel.ask(STATUS)
    assert "MemoryError" in silence.value.reason
    assert "\x1b" not in silence.value.reason


# --- journals -----------------------------------------------------------------------------------------------

#: The first line may take its time; the next one is not coming.
QUIET = Patience(connect_seconds=20.0, connect_attempts=1, answer_seconds=20.0, quiet_seconds=4.0)
JOURNAL = """
def journal(seq):
    say(json.dumps({"line": "journal", "token": "t", "seq": seq, "kind": "progress", "step": "",
        "needs_ack": False, "at_ms": 1, "previous": "00", "body": {}}).encode() + b"\\n")
END = b'{"line":"journal_end","token":"t","lines":1,"is_complete":true}\\n'
"""


def followed(host: Any, *, patience: Patience) -> tuple[int, Unanswered]:
    """How many lines of a journal arrive, and how it breaks off."""
    seen: list[messages.Line] = []
    with host.route(patience=patience).open(host_key_blob=host.blob) as channel:
        with pytest.raises(Unanswered) as silence:
            seen.extend(channel.follow(FOLLOW))
    return len(seen), silence.value


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("journal(0); time.sleep(60)", Code.ANSWER_MISSING),
        ("journal(0); say(b'{\"line\"')", Code.ANSWER_INVALID),
        ("journal(0); say(b'nonsense\\n')", Code.ANSWER_INVALID),
        ("journal(0); say(STATUS)", Code.ANSWER_INVALID),
        ("journal(0); say(END + END)", Code.ANSWER_INVALID),
        ("journal(0); os.kill(os.getpid(), 9)", Code.ANSWER_MISSING),
    ],
    ids=["goes silent", "half a line", "garbage", "another verb's answer", "lines after end", "killed"],
)
def test_a_journal_that_does_not_end_well_gives_what_came_before(
    scripted_host: Scripted, script: str, code: Code
) -> None:
    patience = QUIET if "sleep" in script else PATIENT
    seen, silence = followed(scripted_host(JOURNAL + script), patience=patience)
    assert seen == 1
    assert silence.code is code


def test_a_connection_cut_inside_a_journal_is_seen_at_once(scripted_host: Scripted) -> None:
    host = scripted_host(JOURNAL + "journal(0); time.sleep(60)")
    with host.route().open(host_key_blob=host.blob) as channel:
        journal = channel.follow(FOLLOW)
        next(journal)
        os.kill(host.process.pid, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(Unanswered) as silence:
            next(journal)
        assert silence.value.code is Code.ANSWER_MISSING
        assert time.monotonic() - began < SOON_SECONDS
        with pytest.raises(Unreachable):
            channel.ask(STATUS)


# --- connecting ---------------------------------------------------------------------------------------------


def elsewhere(port: int, *, patience: Patience = UNCONNECTED) -> SshRoute:
    return SshRoute(
        endpoint=Endpoint(address="127.0.0.1", port=port),
        identity=PrivateKey.from_seed(bytes(32)),
        patience=patience,
    )


def test_a_host_that_is_down_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable) as refused:
        elsewhere(port).meet()
    assert refused.value.code is Code.HOST_UNREACHABLE


@pytest.mark.parametrize(
    "greeting",
    [b"", b"220 mail ready\r\n", b"\x00" * 4096, b"x" * 100_000, b"SSH-2.0-half"],
    ids=["silence", "another protocol", "zeros", "endless banner", "half a banner"],
)
def test_what_does_not_speak_ssh_is_unreachable_in_time(
    raw_server: Callable[..., int], greeting: bytes
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(greeting)
        time.sleep(30)
        connection.close()

    began = time.monotonic()
    with pytest.raises(Unreachable):
        elsewhere(raw_server(talk)).meet()
    assert time.monotonic() - began < SOON_SECONDS


def test_what_a_stranger_says_instead_of_ssh_is_shown_harmlessly(raw_server: Callable[..., int]) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"SSH-\x1b[2J\x07evil-x\r\n")

    with pytest.raises(Unreachable) as refused:
        elsewhere(raw_server(talk), patience=Patience(connect_attempts=1)).meet()
    assert "evil" in refused.value.reason
    assert refused.value.reason.isprintable()


def test_connecting_is_tried_as_often_as_allowed_and_no_more(raw_server: Callable[..., int]) -> None:
    tries = []

    def talk(connection: socket.socket) -> None:
        tries.append(1)
        connection.close()

    patience = Patience(connect_seconds=20.0, connect_attempts=3)
    with pytest.raises(Unreachable):
        elsewhere(raw_server(talk), patience=patience).meet()
    assert len(tries) == 3


def test_a_host_that_comes_up_while_we_try_is_reached(misbehaving: Callable[..., Any]) -> None:
    server = misbehaving()
    refusing = [True]

    def relay(connection: socket.socket) -> None:
        if refusing.pop() if refusing else False:
            connection.close()
            return
        onward = socket.create_connection(("127.0.0.1", server.port))
        for one, other in ((connection, onward), (onward, connection)):
            threading.Thread(target=pump, args=(one, other), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                relay(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        patience = Patience(connect_seconds=20.0, connect_attempts=2)
        with elsewhere(listener.getsockname()[1], patience=patience).open(
            host_key_blob=server.blob
        ) as channel:
            assert channel.host_key_blob == server.blob
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
    except OSError:
        pass


def test_our_key_is_never_offered_to_a_host_whose_key_changed(misbehaving: Callable[..., Any]) -> None:
    server = misbehaving()
    with pytest.raises(Refused) as refused:
        server.route().open(host_key_blob=PrivateKey.from_seed(b"o" * 32).public.ssh_blob)
    assert refused.value.code is Code.HOST_KEY_CHANGED
    assert server.offered_keys == []
    assert server.connections == 1, "a changed key is not tried again"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_host_key_of_another_kind_is_not_negotiated(misbehaving: Callable[..., Any], kind: str) -> None:
    key = paramiko.RSAKey.generate(2048) if kind == "rsa" else paramiko.ECDSAKey.generate()
    with pytest.raises(Unreachable):
        misbehaving(host_key=key).route().meet()


@pytest.mark.parametrize("kex", ["diffie-hellman-group14-sha256", "ecdh-sha2-nistp256"])
def test_an_older_key_exchange_is_not_negotiated(misbehaving: Callable[..., Any], kex: str) -> None:
    with pytest.raises(Unreachable):
        misbehaving(kex=(kex,)).route().meet()


@pytest.mark.parametrize("kex", ["curve25519-sha256@libssh.org", "mlkem768x25519-sha256"])
def test_both_modern_key_exchanges_work(misbehaving: Callable[..., Any], kex: str) -> None:
    server = misbehaving(kex=(kex,))
    with server.route().open(host_key_blob=server.blob) as channel:
        assert channel.host_key_blob == server.blob


def test_a_key_that_the_host_does_not_admit_is_refused_and_not_tried_again(
    misbehaving: Callable[..., Any],
) -> None:
    server = misbehaving(admits=False)
    patience = Patience(connect_seconds=20.0, connect_attempts=3)
    with pytest.raises(Refused) as refused:
        server.route(patience=patience).open(host_key_blob=server.blob)
    assert refused.value.code is Code.LOGIN_REFUSED
    assert server.connections == 1


def test_the_command_is_always_the_same(misbehaving: Callable[..., Any]) -> None:
    server = misbehaving(on_exec=lambda channel: channel.close() or True)
    with server.route().open(host_key_blob=server.blob) as channel, pytest.raises((Unanswered, Unreachable)):
        channel.ask(STATUS)
    assert server.commands == [COMMAND.encode()]


def test_a_host_that_does_not_run_the_command_was_sent_nothing(misbehaving: Callable[..., Any]) -> None:
    server = misbehaving(on_exec=lambda channel: False)
    with server.route().open(host_key_blob=server.blob) as channel, pytest.raises(Unreachable):
        channel.ask(STATUS)


def test_a_host_that_never_answers_the_request_to_run_is_given_up_in_time(
    misbehaving: Callable[..., Any],
) -> None:
    """paramiko waits for that answer without limit."""
    released = threading.Event()

    def stall(channel: Any) -> bool:
        released.wait(30)
        return True

    server = misbehaving(on_exec=stall)
    with server.route(patience=HASTY).open(host_key_blob=server.blob) as channel:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            channel.ask(STATUS)
        assert time.monotonic() - began < SOON_SECONDS
    released.set()


def test_a_host_that_stops_reading_is_given_up_in_time(misbehaving: Callable[..., Any]) -> None:
    """The window is full and nobody takes the rest: what was sent is cut off, and what came of it unknown."""
    delivery = messages.DeliveryLine(
        order="o" * 900_000,
        log_entry="",
        proof=(),
        checkpoint="",
        validation="",
        approvals=(),
        enrolments=(),
        decisions=(),
    )
    order = messages.Execute(delivery=delivery, host_salt="", media_salts=())

    server = misbehaving()
    with server.route(patience=HASTY).open(host_key_blob=server.blob) as channel:
        server.transports[0].default_window_size = 1024
        began = time.monotonic()
        with pytest.raises(Unanswered) as silence:
            channel.ask(order)
        assert silence.value.code is Code.ANSWER_MISSING
        assert time.monotonic() - began < SOON_SECONDS


def test_a_line_too_long_to_be_read_is_not_sent(misbehaving: Callable[..., Any]) -> None:
    server = misbehaving()
    delivery = messages.DeliveryLine(
        order="o" * 1_100_000,
        log_entry="",
        proof=(),
        checkpoint="",
        validation="",
        approvals=(),
        enrolments=(),
        decisions=(),
    )
    with server.route().open(host_key_blob=server.blob) as channel, pytest.raises(Malformed):
        channel.ask(messages.Execute(delivery=delivery, host_salt="", media_salts=()))
    assert server.commands == []


def test_a_host_cannot_open_a_channel_back_to_us(misbehaving: Callable[..., Any]) -> None:
    server = misbehaving()
    with server.route().open(host_key_blob=server.blob):
        for kind in ("session", "auth-agent@openssh.com", "x11", "direct-tcpip", "forwarded-tcpip"):
            address = ("127.0.0.1", 22)
            with pytest.raises(paramiko.SSHException):
                server.transports[0].open_channel(kind, address, address, timeout=2)


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_key_in_ssh_agent_logs_in_and_is_chosen_by_its_fingerprint(
    ssh_agent: Callable[[PrivateKey], PublicKey], misbehaving: Callable[..., Any]
) -> None:
    ssh_agent(PrivateKey.generate())
    ours = ssh_agent(PrivateKey.generate())
    server = misbehaving()
    identity = from_ssh_agent(ours.keyid)
    route = SshRoute(endpoint=Endpoint(address="127.0.0.1", port=server.port), identity=identity)
    route.open(host_key_blob=server.blob).close()
    assert set(server.offered_keys) == {ours.ssh_blob}
    ours.verify(identity.sign(b"message"), b"message")


def test_a_key_that_ssh_agent_does_not_hold_is_refused(
    ssh_agent: Callable[[PrivateKey], PublicKey],
) -> None:
    ssh_agent(PrivateKey.generate())
    with pytest.raises(Refused) as refused:
        from_ssh_agent(PrivateKey.generate().public.keyid)
    assert refused.value.code is Code.SSH_IDENTITY_MISSING


def test_without_an_ssh_agent_there_is_no_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    with pytest.raises(Refused) as refused:
        from_ssh_agent(PrivateKey.generate().public.keyid)
    assert refused.value.code is Code.SSH_IDENTITY_MISSING


def test_nothing_of_a_private_key_is_shown(misbehaving: Callable[..., Any]) -> None:
    assert "PrivateKey" not in repr(misbehaving().route())


def test_our_signature_is_the_one_openssh_would_make() -> None:
    """The same seed read by paramiko's own key class gives the same bytes on the wire."""
    from controller.channels.ssh_identity import SigningKey

    key = PrivateKey.from_seed(b"k" * 32)
    theirs = paramiko.Ed25519Key.from_private_key(io.StringIO(key.to_openssh(passphrase=None).decode()))
    ours = SigningKey(key)
    assert ours.sign_ssh_data(b"data").asbytes() == theirs.sign_ssh_data(b"data").asbytes()
    assert ours.asbytes() == theirs.asbytes()
    assert ours.get_name() == theirs.get_name()
