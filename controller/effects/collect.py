"""Follow the journal of a dispatched order: keep its lines, acknowledge what may be, keep the evidence.

Rules (DESIGN.md, rule 4): a line is stored before anything is answered; each acknowledgement is a transaction
of the lease holder in which `may_acknowledge` runs on new observations and the grant is stored, and only then
is it sent, if the lease is still held; a refused step gets no acknowledgement, so it is never begun, and
following ends there: `decide` says what happens next. Whoever lost the lease follows no further; its
successor does, and the execution never notices. Nothing is acknowledged to an execution that the agent does
not call running: nobody waits there any more, and the rest of its journal is only to be read. Every step
counts as irreversible, because an agent of another release may know more kinds of them than we do.

A grant whose telling may have been lost with its connection is told again while the agent has written nothing
since: under the same guards, as the same grant, and the agent counts its life from the asking as before.
"""

from __future__ import annotations

from certificate import envelope as dsse
from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.messages import Ack, AskStatus, Follow, JournalEnd, JournalLine, StatusAnswer, TokenState
from controller import knowledge
from controller.case import Case
from controller.channels import Channel
from controller.dispatch.lease import Lease
from controller.errors import Code
from controller.facts import Question
from controller.lifecycle import may_acknowledge, questions_to_acknowledge
from controller.observe import questioning
from controller.program import Program
from controller.store import evidence, journal, observations
from controller.store.orders import StoredOrder

#: The kind of line that carries the signed evidence and its annex.
EVIDENCE = "evidence"


def perform(program: Program, case: Case, *, lease: Lease) -> None:
    """Until the journal ends, or the lease does. `program` is as `dispatch.lease.holding` makes it.

    Raises Refused where a step may not be acknowledged (LostRace: the lease is lost), Unreachable, or
    Unanswered: then ask for the status.
    """
    order, boot = case.order, case.boot
    if order is None or boot is None or boot.host_key_blob is None:
        raise Refused(Code.ORDER_MISSING, "there is no order to follow")
    is_running = _is_running(program, case)
    with program.route(case.host).open(host_key_blob=bytes.fromhex(boot.host_key_blob)) as channel:
        first = _first_open(program, order, channel if is_running else None)
        for line in channel.follow(Follow(token=order.token, from_seq=first)):
            if isinstance(line, JournalEnd):
                return
            _keep(program, order, line)
            if line.needs_ack and is_running:
                _acknowledge(program, case, order, line, channel, lease=lease)


def _is_running(program: Program, case: Case) -> bool:
    """Whether the agent calls it running. A silence is no answer of its: it is asked again first, because
    whoever follows without acknowledging may follow for hours.
    """
    with program.store.snapshot() as tx:
        facts = knowledge.facts_of(tx, program, case, now=program.clock())
    if facts.agent is not None and (facts.agent.answered_at is None or facts.agent.doubt):
        questioning.ask_all(program, case, (Question.AGENT_STATUS,))
        with program.store.snapshot() as tx:
            facts = knowledge.facts_of(tx, program, case, now=program.clock())
    return facts.token_state is TokenState.RUNNING


def _first_open(program: Program, order: StoredOrder, channel: Channel | None) -> int:
    """The first line that is not stored, or that asked and got no acknowledgement yet, or whose
    acknowledgement may have been lost. `channel`: to an agent that is at work.
    """
    with program.store.snapshot() as tx:
        stored = journal.lines(tx, order.id)
        granted = {ack.seq for ack in journal.acknowledgements(tx, order.id)}
    waiting = [line.seq for line in stored if line.needs_ack and line.seq not in granted]
    after = stored[-1].seq + 1 if stored else 0
    if channel is not None and not waiting and stored and stored[-1].needs_ack:
        said = channel.ask(AskStatus(token=order.token, finalise=False))
        if isinstance(said, StatusAnswer) and said.journal_lines == after:
            waiting = [stored[-1].seq]
    return min([*waiting, after])


def _keep(program: Program, order: StoredOrder, line: JournalLine) -> None:
    now = program.clock()
    with program.store.transaction() as tx:
        journal.store_line(tx, order.id, read=line, line=line.write(), now=now)
        if line.kind == EVIDENCE:
            envelope, annex = _evidence(program, order, line)
            evidence.receive(tx, order.id, envelope=envelope, annex=annex, now=now)


def _evidence(program: Program, order: StoredOrder, line: JournalLine) -> tuple[dsse.Envelope, bytes]:
    """The envelope, signed by the boot the order names, and its annex. Raises Malformed or Untrusted."""
    try:
        envelope, annex = line.body["envelope"].encode(), line.body["annex"].encode()
    except KeyError as missing:
        raise Malformed(CertificateCode.LINE_INVALID, f"the evidence line lacks {missing}") from None
    program.documents.trust.open_evidence(envelope, boot_id=order.boot_id)
    return dsse.read(envelope), annex


def _acknowledge(
    program: Program, case: Case, order: StoredOrder, line: JournalLine, channel: Channel, *, lease: Lease
) -> None:
    """Ask what has to be asked, then decide, grant and only then tell."""
    with program.store.snapshot() as tx:
        now = program.clock()
        # Not earlier than any question before it, also on a clock that was set back since.
        requested_at = observations.stamp(tx, now)
        facts = knowledge.load(tx, program, case, now=now, requested_at=requested_at)
        questions = questions_to_acknowledge(facts, now)
    questioning.ask_all(program, case, questions)
    with program.store.transaction() as tx:
        now = program.clock()
        may_acknowledge(
            knowledge.load(tx, program, case, now=now, requested_at=requested_at),
            now,
            token=line.token,
            boot_id=order.boot_id,
            step=line.step,
            is_irreversible=True,
        )
        journal.grant(tx, order.id, seq=line.seq, fence=lease.fence, now=now)
    lease.require_held()
    channel.ask(Ack(token=order.token, boot_id=order.boot_id, seq=line.seq, step=line.step))
