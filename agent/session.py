"""One channel: one request line in, its answers out.

Rules: one verb a channel, lines of at most 1 MiB; a refusal is an answer, so the exit code is 0 after it; a
fault of ours is answered too, as AGENT_FAILED, with exit code 1, and says nothing of its inside; `hello`
imports neither pydantic nor cryptography nor the lines of other verbs, because it is asked often and must
start fast: each verb imports what it needs.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from agent.errors import Code
from agent.run_directory import RunDirectory, boottime_ms
from certificate import messages
from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.messages.greeting import Hello, Refusal
from certificate.messages.line import Line

if TYPE_CHECKING:
    from agent.tokens import TokenFolder
    from agent.wiring import Launcher
    from certificate.messages import Ack, AskStatus, Execute, Follow


def serve(
    run: RunDirectory, *, request: BinaryIO, answers: BinaryIO, launcher: Launcher | None = None
) -> int:
    """Answers the request line and returns the exit code. `launcher`: how an execution's process starts."""
    try:
        for line in _answers(run, request, answers, launcher):
            answers.write(line.write())
            answers.flush()
    except BrokenPipeError:
        return 0
    except Refused as refusal:
        return _last_word(answers, refusal, exit_code=0)
    except Exception:
        import traceback

        traceback.print_exc(file=sys.stderr)
        fault = Refused(Code.AGENT_FAILED, "the agent met a fault of its own")
        return _last_word(answers, fault, exit_code=1)
    return 0


def _last_word(answers: BinaryIO, refusal: Refused, *, exit_code: int) -> int:
    line = Refusal(code=refusal.code.value, reason=refusal.reason, remedy=refusal.remedy)
    try:
        answers.write(line.write())
        answers.flush()
    except BrokenPipeError:
        return exit_code
    return exit_code


def _answers(
    run: RunDirectory, request: BinaryIO, answers: BinaryIO, launcher: Launcher | None
) -> Iterable[Line]:
    data = request.readline(messages.MAX_LINE_BYTES + 1)
    if not data.endswith(b"\n"):
        raise Malformed(CertificateCode.LINE_INVALID, "a request is one line with its line feed")
    line = messages.read_request(data)
    return [_hello(run, line)] if isinstance(line, Hello) else _others(run, line, answers, launcher)


def _others(run: RunDirectory, line: Line, answers: BinaryIO, launcher: Launcher | None) -> Iterable[Line]:
    from certificate.messages import Ack, AskInventory, AskStatus, Execute, Follow

    match line:
        case AskInventory():
            return [_inventory(run)]
        case Execute() as execute:
            return [_execute(run, execute, launcher)]
        case AskStatus() as ask:
            return [_status(run, ask)]
        case Follow() as ask:
            return _follow(run, ask, answers, launcher)
        case Ack() as ack:
            return [_ack(run, ack)]
        case other:
            raise Malformed(CertificateCode.LINE_INVALID, f"{other.name} is no request")


def _hello(run: RunDirectory, hello: Hello) -> Line:
    from agent import identity

    return identity.answer(run, hello, random_nonce=os.urandom(identity.NONCE_BYTES), now_ms=boottime_ms())


def _inventory(run: RunDirectory) -> Line:
    from agent import wiring

    _, answer = wiring.take_inventory(run.boot())
    return answer


def _execute(run: RunDirectory, execute: Execute, launcher: Launcher | None) -> Line:
    from agent import acceptance, wiring

    return acceptance.accept(run, execute, world=wiring.real_world(), launcher=launcher or wiring.launch)


def _status(run: RunDirectory, ask: AskStatus) -> Line:
    from agent import standing, wiring

    return standing.status(run, ask, world=wiring.real_world())


def _follow(run: RunDirectory, ask: Follow, answers: BinaryIO, launcher: Launcher | None) -> Iterator[Line]:
    import time

    from agent import following

    def attach(folder: TokenFolder, lock: int) -> None:
        from agent import wiring

        (launcher or wiring.launch)(run, folder.token, lock, True)

    def pause(seconds: float) -> None:
        if _is_hung_up(answers):
            raise BrokenPipeError
        time.sleep(seconds)

    yield from following.follow(run, ask, attach=attach, pause=pause)


def _ack(run: RunDirectory, ack: Ack) -> Line:
    from agent import following

    return following.acknowledge(run, ack, now_ms=boottime_ms())


def _is_hung_up(answers: BinaryIO) -> bool:
    """Whether nobody reads any more, found out without writing: a silent journal would keep us for ever."""
    try:
        descriptor = answers.fileno()
    except OSError:
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))
