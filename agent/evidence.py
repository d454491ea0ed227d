"""Evidence: the journal of one execution, told as a signed statement.

Rules: every fact comes from a journal line, an acknowledgement that stands, or a look after the end; what no
line tells is `not_observed`, so a run that was cut short says less and never more; each medium of the order
has exactly one entry, seen or not; a command stands in the evidence if it was sent or may have been sent; no
sample or digest of a tenant's content appears. What the facts are worth is `certificate.assurance`'s.

Because only the journal speaks, an execution that was taken over by another process gives the same evidence,
with whatever the first one no longer saw left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from agent import medium_evidence
from agent.identity import AGENT_VERSION
from agent.journal import Kind
from agent.journal_bodies import AcceptedBody, read_body
from agent.told import Told
from certificate.messages import JournalLine
from certificate.statements import Evidence, Order, Seen, Statement, make, subject
from certificate.statements.evidence import Clock, HostFactSeen, Residue, Tool
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import HostFactKind, ResidueName, ResidueState


def assemble(told: Told, *, nonce: str, issued_at: datetime) -> Statement[Evidence]:
    """The evidence statement, unsigned. Pure: the same journal gives the same facts."""
    order, record = told.order, told.record
    accepted = _accepted(told.lines)
    predicate = Evidence(
        schema_version=1,
        purpose=order.purpose,
        nonce=nonce,
        issued_at=issued_at,
        order=order.order,
        order_digest=told.order_digest,
        token=order.token,
        boot_id=record.boot_id,
        agent_key=told.agent_key.raw.hex(),
        agent_keyid=told.agent_key.keyid,
        hello_nonce=record.hello_nonce,
        observer=order.observer,
        boot_config_digest=order.boot_config_digest,
        boot_secret_held=told.has_secret,
        tool=Tool(name="expunge-agent", version=AGENT_VERSION, image_digest=NOT_OBSERVED),
        clock=Clock(
            hello_at_ms=record.hello_at_ms,
            accepted_at_ms=record.accepted_at_ms,
            finished_at_ms=told.finished_at_ms,
        ),
        host_facts=tuple(_host_facts(order, accepted)),
        media=tuple(medium_evidence.entry(told, planned, accepted) for planned in order.plan.media),
        unexpected_media_count=NOT_OBSERVED if told.unexpected_count is None else told.unexpected_count,
        residue=tuple(_residue(order, accepted)),
        was_attached=Seen.that(told.was_attached),
        journal_lines=len(told.lines),
        journal_head=told.head,
        annex_digest=told.annex_digest,
    )
    return make(predicate, (subject("order", told.order_digest),))


def _accepted(lines: Sequence[JournalLine]) -> AcceptedBody | None:
    found = next((line for line in lines if line.kind == Kind.ACCEPTED), None)
    return None if found is None else read_body(found, AcceptedBody)


def _host_facts(order: Order, accepted: AcceptedBody | None) -> Iterator[HostFactSeen]:
    """One entry for each fact the order names, in its order."""
    seen = () if accepted is None else accepted.host_facts
    for index, fact in enumerate(order.host.facts):
        told = seen[index] if index < len(seen) and seen[index].kind == fact.kind.value else None
        agrees = Seen.NOT_OBSERVED if told is None else Seen(told.value)
        yield HostFactSeen(kind=HostFactKind(fact.kind), agrees=agrees)


def _residue(order: Order, accepted: AcceptedBody | None) -> Iterator[Residue]:
    """Every place the plan names and every other one that was looked at; silence is `not_covered`."""
    told = {} if accepted is None else {place.kind: place.value for place in accepted.residue}
    for name in ResidueName:
        if name in order.plan.residue or name.value in told:
            yield Residue(name=name, state=ResidueState(told.get(name.value, ResidueState.NOT_COVERED.value)))
