"""Following a journal: lines are kept as they come, and a step is allowed only where it may still begin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused, Untrusted
from certificate.messages import (
    Ack,
    AckAnswer,
    AskStatus,
    Follow,
    JournalEnd,
    JournalLine,
    Line,
    StatusAnswer,
    TokenState,
)
from certificate.statements import Plan
from certificate.statements.statement import read_model
from controller import case as cases
from controller.channels.simulated import SimulatedRoute
from controller.dispatch import working
from controller.dispatch.lease import LEASE, Lease, uptime_seconds
from controller.errors import Code, LostRace, Unanswered
from controller.facts import Effect, Question
from controller.states import State
from controller.store import deprovisions, evidence, journal, observations
from controller.store.journal import NOTHING_BEFORE


class Execution:
    """An order that is with an agent whose journal the test writes."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.written: list[JournalLine] = []
        self.acks: list[Ack] = []
        #: Steps that were granted in the store when their acknowledgement arrived.
        self.granted_on_arrival: list[str] = []
        #: The connection ends after an acknowledgement was granted and before it arrives.
        self.loses_acks = False
        #: What the agent answers when it is asked now.
        self.state = TokenState.RUNNING
        with world.program.store.transaction() as tx:
            deprovisions.end_all_leases(tx)
            self.fence = deprovisions.claim(tx, world.key, owner="test", now=world.now(), lease=LEASE).fence
            self.case = cases.load(tx, world.key)
        assert self.case.order is not None
        assert self.case.boot is not None
        assert self.case.plan is not None
        self.order = self.case.order
        self.medium = read_model(self.case.plan.text, Plan, what="plan").media[0].commitment
        route = SimulatedRoute(
            agent=self._agent, host_key_blob=bytes.fromhex(self.case.boot.host_key_blob or "")
        )
        self.program = replace(world.program, route=lambda host: route)

    def says(self, state: TokenState) -> None:
        """What the agent answered when it was asked last how far it is."""
        with self.program.store.transaction() as tx:
            asked = observations.ask(tx, Question.AGENT_STATUS, self.order.id, now=self.program.clock())
            observations.answer(tx, asked.sequence, answer=state.value, now=self.program.clock())

    def is_silent(self, *, is_open: bool = False) -> None:
        """Nobody answered when it was asked last; `is_open`: nobody waited for the answer either."""
        with self.program.store.transaction() as tx:
            asked = observations.ask(tx, Question.AGENT_STATUS, self.order.id, now=self.program.clock())
            if not is_open:
                detail = {"code": "HOST_UNREACHABLE", "reason": "connection refused"}
                now = self.program.clock()
                observations.answer(tx, asked.sequence, answer="unknown", now=now, detail=detail)

    def writes(self, kind: str, *, step: str = "", body: dict[str, str] | None = None) -> JournalLine:
        before = self.written[-1].write() if self.written else b""
        line = JournalLine(
            token=self.order.token,
            seq=len(self.written),
            kind=kind,
            step=step,
            needs_ack=bool(step),
            at_ms=1000 + len(self.written),
            previous=hashlib.sha256(before).hexdigest() if before else NOTHING_BEFORE,
            body=body or {},
        )
        self.written.append(line)
        return line

    def asks_for_a_start(self) -> str:
        step = f"start:{self.medium}:nvme_sanitize_crypto"
        self.writes("start", step=step)
        return step

    def collect(self) -> None:
        lease = Lease(self.program, self.world.key, fence=self.fence, since_seconds=uptime_seconds())
        working.perform(self.program, self.case, Effect.COLLECT, lease=lease)

    @property
    def stored(self) -> list[str]:
        with self.program.store.snapshot() as tx:
            return [line.kind for line in journal.lines(tx, self.order.id)]

    @property
    def granted(self) -> list[str]:
        with self.program.store.snapshot() as tx:
            return [ack.step for ack in journal.acknowledgements(tx, self.order.id)]

    def _agent(self, request: Line) -> Iterator[Line]:
        match request:
            case Follow():
                yield from self.written[request.from_seq :]
                yield JournalEnd(token=request.token, lines=len(self.written), is_complete=True)
            case AskStatus():
                yield StatusAnswer(
                    token=request.token,
                    boot_id=self.order.boot_id,
                    state=self.state.value,
                    journal_lines=len(self.written),
                    absence=None,
                )
            case Ack() if self.loses_acks:
                return
            case Ack():
                self.acks.append(request)
                self.granted_on_arrival.extend(step for step in self.granted if step == request.step)
                yield AckAnswer(token=request.token, seq=request.seq)
            case _:
                raise AssertionError(f"nobody asks {request.name} here")


@pytest.fixture
def execution(world_in: Callable[[State], Any], monkeypatch: pytest.MonkeyPatch) -> Execution:
    monkeypatch.setattr(working.dispatch_order, "perform", lambda program, case, lease: None)
    return Execution(world_in(State.ERASING))


# --- acknowledgements ---------------------------------------------------------------------------------------


def test_a_step_is_granted_on_record_before_the_agent_is_told(execution: Execution) -> None:
    execution.says(TokenState.RUNNING)
    step = execution.asks_for_a_start()
    execution.collect()
    (ack,) = execution.acks
    assert (ack.token, ack.boot_id, ack.seq) == (execution.order.token, execution.order.boot_id, 0)
    assert execution.granted_on_arrival == [step]


@pytest.mark.parametrize("state", [None, TokenState.DONE, TokenState.ABSENT, TokenState.UNKNOWN])
def test_nothing_is_acknowledged_unless_the_agent_says_running(
    execution: Execution, state: TokenState | None
) -> None:
    if state is not None:
        execution.says(TokenState.RUNNING)
        execution.says(state)
    execution.asks_for_a_start()
    execution.collect()
    assert not execution.acks
    assert not execution.granted
    assert execution.stored == ["start"], "what it did is still read"


@pytest.mark.parametrize("is_open", [False, True], ids=["unanswered", "abandoned"])
def test_an_agent_that_was_silent_is_asked_again_before_its_journal_is_followed(
    execution: Execution, is_open: bool
) -> None:
    execution.says(TokenState.RUNNING)
    execution.is_silent(is_open=is_open)
    step = execution.asks_for_a_start()
    execution.collect()
    assert execution.granted == [step]


def test_an_agent_that_was_silent_and_no_longer_runs_is_acknowledged_nothing(execution: Execution) -> None:
    execution.is_silent()
    execution.state = TokenState.UNKNOWN
    execution.asks_for_a_start()
    execution.collect()
    assert not execution.granted
    assert execution.stored == ["start"]


def test_a_step_is_not_acknowledged_once_the_customer_came_back(execution: Execution) -> None:
    execution.says(TokenState.RUNNING)
    execution.writes("accepted")
    execution.asks_for_a_start()
    execution.writes("sent")
    execution.world.renew_silently()
    # The answer that we hold still says `ended`, but it is older than the dispatch: it is asked for anew.
    with pytest.raises(Refused) as caught:
        execution.collect()
    assert caught.value.code is Code.TENANCY_REMAINS
    assert not execution.acks
    assert not execution.granted
    assert execution.stored == ["accepted", "start"], "following ends at the step that was refused"


def test_a_step_that_names_no_medium_of_the_order_is_refused(execution: Execution) -> None:
    execution.says(TokenState.RUNNING)
    execution.writes("start", step=f"start:{'9' * 64}:nvme_sanitize_crypto")
    with pytest.raises(Refused) as caught:
        execution.collect()
    assert caught.value.code is Code.NOT_THIS_ORDER
    assert not execution.acks


def test_a_step_that_got_its_acknowledgement_is_not_asked_for_again(execution: Execution) -> None:
    execution.says(TokenState.RUNNING)
    execution.asks_for_a_start()
    execution.collect()
    execution.writes("sent")
    execution.collect()
    assert len(execution.acks) == 1
    assert execution.stored == ["start", "sent"]


def test_a_step_still_without_an_acknowledgement_is_looked_at_again(execution: Execution) -> None:
    step = execution.asks_for_a_start()
    execution.collect()
    assert not execution.granted
    execution.says(TokenState.RUNNING)
    execution.collect()
    assert execution.granted == [step]
    assert execution.stored == ["start"]


def lose_the_acknowledgement(execution: Execution) -> str:
    """Granted on record; the connection ended before the agent was told."""
    execution.says(TokenState.RUNNING)
    step = execution.asks_for_a_start()
    execution.loses_acks = True
    with pytest.raises(Unanswered):
        execution.collect()
    assert execution.granted == [step]
    assert not execution.acks
    execution.loses_acks = False
    return step


def test_an_acknowledgement_lost_with_its_connection_is_told_again_as_the_same_grant(
    execution: Execution,
) -> None:
    step = lose_the_acknowledgement(execution)
    execution.collect()
    (ack,) = execution.acks
    assert (ack.seq, ack.step) == (0, step)
    assert execution.granted == [step]


def test_an_acknowledgement_that_arrived_though_nobody_said_so_is_not_told_again(
    execution: Execution,
) -> None:
    lose_the_acknowledgement(execution)
    execution.writes("sent")
    execution.collect()
    assert not execution.acks
    assert execution.stored == ["start", "sent"]


def test_a_lost_acknowledgement_is_not_told_again_once_the_customer_came_back(execution: Execution) -> None:
    lose_the_acknowledgement(execution)
    execution.world.renew()
    with pytest.raises(Refused) as caught:
        execution.collect()
    assert caught.value.code is Code.TENANCY_REMAINS
    assert not execution.acks
    execution.writes("not_begun")
    execution.collect()
    assert not execution.acks
    assert execution.stored == ["start", "not_begun"], "following goes on once the step is given up"


@pytest.mark.parametrize("state", [TokenState.DONE, TokenState.ABSENT, TokenState.UNKNOWN])
def test_a_lost_acknowledgement_is_not_told_again_unless_the_agent_is_at_work(
    execution: Execution, state: TokenState
) -> None:
    lose_the_acknowledgement(execution)
    execution.says(state)
    execution.collect()
    assert not execution.acks


def test_a_worker_whose_lease_was_taken_keeps_and_acknowledges_nothing(execution: Execution) -> None:
    execution.says(TokenState.RUNNING)
    execution.asks_for_a_start()
    with execution.program.store.transaction() as tx:
        deprovisions.end_all_leases(tx)
        now = execution.program.clock()
        deprovisions.claim(tx, execution.world.key, owner="other", now=now, lease=LEASE)
    with pytest.raises(LostRace):
        execution.collect()
    assert not execution.acks
    assert not execution.stored


# --- lines --------------------------------------------------------------------------------------------------


def test_a_second_journal_under_the_same_number_is_refused_and_the_first_stands(execution: Execution) -> None:
    step = execution.asks_for_a_start()
    execution.collect()
    execution.says(TokenState.RUNNING)
    execution.written.clear()
    execution.writes("start", step=step, body={"counters": "other"})
    with pytest.raises(Refused) as caught:
        execution.collect()
    assert caught.value.code is Code.JOURNAL_FORKED
    assert not execution.acks
    with execution.program.store.snapshot() as tx:
        (line,) = journal.lines(tx, execution.order.id)
    assert b"other" not in line.line


def test_a_line_of_another_token_is_refused(execution: Execution) -> None:
    execution.written.append(replace(execution.writes("accepted"), token="9" * 32))
    execution.written.pop(0)
    with pytest.raises(Refused) as caught:
        execution.collect()
    assert caught.value.code is Code.NOT_THIS_ORDER
    assert not execution.stored


# --- evidence -----------------------------------------------------------------------------------------------


def kept(execution: Execution) -> Any:
    with execution.program.store.snapshot() as tx:
        return evidence.of_order(tx, execution.order.id)


def test_evidence_signed_by_another_key_is_refused_and_not_stored(
    execution: Execution, documents: ModuleType
) -> None:
    for signer in (documents.KEYS.agent, documents.KEYS.stranger):
        stranger = documents.sign_evidence(documents.build_evidence(), signer).write().decode()
        execution.written.clear()
        execution.writes("evidence", body={"envelope": stranger, "annex": "{}"})
        with pytest.raises(Untrusted):
            execution.collect()
        assert kept(execution) is None
        assert not execution.stored


@pytest.mark.parametrize("missing", ["envelope", "annex"])
def test_an_evidence_line_without_its_parts_is_malformed_and_not_stored(
    execution: Execution, missing: str
) -> None:
    body = {"envelope": "{}", "annex": "{}"}
    del body[missing]
    execution.writes("evidence", body=body)
    with pytest.raises(Malformed) as caught:
        execution.collect()
    assert caught.value.code is CertificateCode.LINE_INVALID
    assert kept(execution) is None
    assert not execution.stored
