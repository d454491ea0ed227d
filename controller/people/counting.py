"""Which stored signatures count for one deprovision at this instant.

Rules this module holds:
- An approval counts only while its operator counts, while it lives, for the present plan, in the attempt it
  was given in. One attempt dispatches one order at most, so an approval is used by one dispatch (single use).
- Neither an approval nor a declaration counts whose reason says what is private of the host: both travel with
  the order. Either is refused when it is handed in; a name that was learnt later is one all the same.
- A yes counts only beside the request it answers, if it answers one, and never beside its own author's.
- A declared disposition stands until the host is declared anew; a signer who was revoked stands no longer
  behind it, nor does one who signed for other identifying facts than the host has on record now (agents
  compare the same, `certificate.grounds`). Whether the rest suffices is the guard's to say.

The same choice makes the facts, the order's basis and the delivery, so that an agent is sent exactly the
statements that the guards counted.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.statements import Approval, Decision
from certificate.statements import statement as statements
from controller.case import Case
from controller.facts import DeclarationFacts
from controller.people import private_texts
from controller.people.disclosure import names_nobody
from controller.people.roster import roster
from controller.program import Program
from controller.store import decisions, declarations, plans
from controller.store.plans import StoredApproval


def approvals(tx: Connection, program: Program, case: Case, *, now: datetime) -> tuple[StoredApproval, ...]:
    """The requests and yeses of the present plan that count now, in order of arrival."""
    if case.plan is None:
        return ()
    stored = plans.approvals_of(tx, case.id, attempt=case.deprovision.attempt, plan_digest=case.plan.digest)
    if not stored:
        return ()
    operators = {key.keyid for key in roster(tx, program.documents.trust, now=now).keys}
    private = private_texts.of_host(tx, program, case.host)
    alive = [
        each
        for each in stored
        if each.keyid in operators
        and now < each.expires_at
        and names_nobody(_reason(each.envelope, Approval), private)
    ]
    requests = {each.payload_digest: each.keyid for each in alive if each.is_request}
    return tuple(each for each in alive if each.is_request or _answers(each, requests))


def _answers(yes: StoredApproval, requests: dict[str, str]) -> bool:
    """Whether what it answers still stands, and was asked by somebody else."""
    if yes.request_digest is None:
        return yes.keyid not in requests.values()
    requester = requests.get(yes.request_digest)
    return requester is not None and requester != yes.keyid


def declaration(tx: Connection, program: Program, case: Case, *, now: datetime) -> DeclarationFacts | None:
    """The standing declaration of the host, by those of its signers who count now."""
    standing = declarations.standing(tx, case.host.id)
    if standing is None:
        return None
    signers = declaration_decisions(tx, program, case, now=now)
    return DeclarationFacts(disposition=standing.disposition, keyids=frozenset(keyid for _, keyid in signers))


def declaration_decisions(
    tx: Connection, program: Program, case: Case, *, now: datetime
) -> tuple[tuple[str, str], ...]:
    """(payload digest, fingerprint) of each decision behind the standing declaration that counts now."""
    standing = declarations.standing(tx, case.host.id)
    if standing is None:
        return ()
    operators = {key.keyid for key in roster(tx, program.documents.trust, now=now).keys}
    commitment, private = case.known.named().commitment, private_texts.of_host(tx, program, case.host)
    signed = ((decisions.load(tx, digest), keyid) for digest, keyid in standing.signers if keyid in operators)
    return tuple(
        (each.payload_digest, keyid)
        for each, keyid in signed
        if each.document_digest == commitment and names_nobody(_reason(each.envelope, Decision), private)
    )


def _reason(envelope: bytes, kind: type[Approval] | type[Decision]) -> str:
    return statements.read(dsse.read(envelope).payload, kind).predicate.reason
