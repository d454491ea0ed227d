"""Plans and approvals over the socket: what is signed, and the signed statement.

Rules: a plan is shown by its whole digest only, with what the source says *now*; nothing here prints an
identifier that confirms the machine (`people.confirmation`); a reason that would be refused is refused before
anything is signed with it; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.statements import Approval
from certificate.statements import statement as statements
from controller import manual
from controller.api import wipes
from controller.api.approvals_documents import (
    ApprovalTaken,
    NewApproval,
    PersonBehind,
    PlanAsked,
    PlanToSign,
)
from controller.api.lines import whole_seconds
from controller.api.server import asked
from controller.case import Case
from controller.people import approving, counting
from controller.people.confirmation import strong_kinds
from controller.program import Program
from controller.store.plans import StoredApproval


def router(program: Program, *, wake: Callable[[], None]) -> APIRouter:
    """The routes over a running program; `wake` tells the dispatcher that something is due."""
    routes = APIRouter()

    def show(question: PlanAsked) -> PlanToSign:
        with program.store.snapshot() as tx:
            host = approving.present(tx, question.digest).host
            if question.reason is not None:
                approving.require_names_nobody(tx, program, host, question.reason)
        manual.ask(program, host)
        wake()
        with program.store.snapshot() as tx:
            return shown(tx, program, approving.present(tx, question.digest))

    def take(new: NewApproval) -> ApprovalTaken:
        taken = approving.take(program, new.envelope.encode())
        wake()
        return ApprovalTaken(approval=taken.approval, missing=taken.missing)

    @routes.post("/v1/plans")
    async def plan(request: Request) -> Response:
        return await asked(request, PlanAsked, show)

    @routes.post("/v1/approvals")
    async def approve(request: Request) -> Response:
        return await asked(request, NewApproval, take)

    return routes


def shown(tx: Connection, program: Program, case: Case) -> PlanToSign:
    """The present plan of this case, as the store has it now."""
    if case.plan is None:
        raise ValueError(f"{case.id} has no plan")
    now = program.clock()
    people = counting.approvals(tx, program, case, now=now)
    request = next((each for each in people if each.is_request), None)
    return PlanToSign(
        plan=case.plan.text.decode(),
        state=case.deprovision.state.value,
        attempt=case.deprovision.attempt,
        people=tuple(_person(each) for each in people),
        request=None if request is None else request.payload_digest,
        missing=approving.missing(tx, program, case, now=now),
        confirmed_by=strong_kinds(case.known.facts),
        prospect=wipes.told(tx, program, case.host.asset_tag),
        time=program.whole_second(),
        purpose=program.documents.trust.purpose,
    )


def _person(stored: StoredApproval) -> PersonBehind:
    read = statements.read(dsse.read(stored.envelope).payload, Approval).predicate
    return PersonBehind(
        keyid=stored.keyid,
        kind=read.kind,
        digest=stored.payload_digest,
        reason=read.reason,
        expires_at=whole_seconds(stored.expires_at),
    )
