"""An agent in this process: lines as bytes, to a callable and back.

    def agent(request: Line) -> Iterable[Line]: ...
    route = SimulatedRoute(agent=agent, host_key_blob=blob)
    with route.meet() as introduction: introduction.hello(...)
    with route.open(host_key_blob=blob) as channel: channel.ask(...)

Faults, each until it is taken back: `is_down` (nothing answers), `loses_answers` (verbs that the agent obeys
and whose answer never arrives), `cuts_journal_after` (lines of a journal that arrive before the connection
ends), `host_key_blob` (set another one: another machine answers there).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from certificate import messages
from certificate.errors import Refused
from certificate.messages import Follow, Hello, HelloAnswer, JournalEnd, JournalLine, Line
from controller.channels.dialogue import QUESTIONS, read_answer
from controller.errors import Code, Unanswered, Unreachable

Agent = Callable[[Line], Iterable[Line]]


@dataclass(kw_only=True)
class SimulatedRoute:
    """A `Route` to an agent that is a callable. A refusal of the agent's is a `Refused` that it raises."""

    agent: Agent
    host_key_blob: bytes
    is_down: bool = False
    loses_answers: set[str] = field(default_factory=set)
    cuts_journal_after: int | None = None
    #: Every request that reached the agent, by verb.
    requests: list[str] = field(default_factory=list)

    def meet(self) -> SimulatedIntroduction:
        self._refuse_if_down()
        return SimulatedIntroduction(SimulatedConnection(self))

    def open(self, *, host_key_blob: bytes) -> SimulatedConnection:
        self._refuse_if_down()
        if host_key_blob != self.host_key_blob:
            raise Refused(Code.HOST_KEY_CHANGED, "the simulated host has another host key")
        return SimulatedConnection(self)

    def _refuse_if_down(self) -> None:
        if self.is_down:
            raise Unreachable(Code.HOST_UNREACHABLE, "the simulated host is down")


class SimulatedConnection:
    """A `Channel` to the agent of a route. It ends when the host goes down."""

    def __init__(self, route: SimulatedRoute) -> None:
        self._route = route
        self._is_closed = False
        self.host_key_blob = route.host_key_blob

    def ask(self, line: Line) -> Line:
        if type(line) not in QUESTIONS:
            raise TypeError(f"{line.name} is no question with one answer")
        answers = list(self._answers(line))
        if line.name in self._route.loses_answers or not answers:
            raise Unanswered(Code.ANSWER_MISSING, f"the simulated host lost the answer to {line.name}")
        if len(answers) > 1:
            raise Unanswered(Code.ANSWER_INVALID, "something follows the last line")
        return read_answer(line, answers[0])

    def follow(self, line: Follow) -> Iterator[JournalLine | JournalEnd]:
        for count, data in enumerate(self._answers(line)):
            if self._route.cuts_journal_after == count or self._route.is_down:
                break
            answer = read_answer(line, data)
            yield cast(JournalLine | JournalEnd, answer)
            if isinstance(answer, JournalEnd):
                return
        raise Unanswered(Code.ANSWER_MISSING, "the simulated connection ended inside a journal")

    def close(self) -> None:
        self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _answers(self, line: Line) -> Iterator[bytes]:
        """The agent's lines as bytes, as they come."""
        data = line.write()
        if self._is_closed or self._route.is_down:
            raise Unreachable(Code.HOST_UNREACHABLE, "the simulated connection is closed")
        self._route.requests.append(line.name)
        try:
            for answer in self._route.agent(messages.read_request(data.removesuffix(b"\n"))):
                yield answer.write().removesuffix(b"\n")
        except Refused as refusal:
            yield messages.Refusal(**refusal.as_dict()).write().removesuffix(b"\n")


class SimulatedIntroduction:
    """An `Introduction`: hello, once, and nothing else."""

    def __init__(self, connection: SimulatedConnection) -> None:
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
