"""Decisions of people, operators and stops over the socket: routes that read, call once and answer.

Rules: nothing is decided here; whoever reaches the socket may read, ask for a matter and freeze, and nothing
else without an operator's signature (`people.deciding`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from controller.api.decisions_documents import (
    DecisionTaken,
    FreezeBegun,
    MatterAsked,
    MatterShown,
    NewDecision,
    NewFreeze,
    OperatorLine,
    OperatorList,
    StopLine,
    StopList,
)
from controller.api.lines import whole_seconds
from controller.api.server import MAX_BODY_BYTES as MAX_SERVED_BYTES
from controller.api.server import answer, asked
from controller.people import deciding, scopes
from controller.people.acts import freeze
from controller.people.deciding import Shown, Taken
from controller.people.roster import Member, Standing, members
from controller.program import Program
from controller.records.host_file import MAX_FILE_CHARACTERS
from controller.store import stops

#: A file of hosts travels with its decision: a character takes four bytes at most, and its JSON escape six.
MAX_BODY_BYTES = 6 * MAX_FILE_CHARACTERS + MAX_SERVED_BYTES


def router(program: Program, *, wake: Callable[[], None]) -> APIRouter:
    """The routes over a running program; `wake` tells the dispatcher that something is due."""
    room = _Room(program=program, wake=wake)
    routes = APIRouter()

    @routes.post("/v1/matters")
    async def show(request: Request) -> Response:
        return await asked(request, MatterAsked, room.show, max_bytes=MAX_BODY_BYTES)

    @routes.post("/v1/decisions")
    async def take(request: Request) -> Response:
        return await asked(request, NewDecision, room.take, max_bytes=MAX_BODY_BYTES)

    @routes.post("/v1/freezes")
    async def freeze_without_key(request: Request) -> Response:
        return await asked(request, NewFreeze, room.freeze)

    @routes.get("/v1/operators")
    def operators() -> Response:
        return answer(room.operators())

    @routes.get("/v1/stops")
    def standing() -> Response:
        return answer(room.stops())

    return routes


@dataclass(frozen=True, kw_only=True)
class _Room:
    program: Program
    wake: Callable[[], None]

    def show(self, question: MatterAsked) -> MatterShown:
        shown = deciding.show(self.program, question.kind, question.about, reason=question.reason)
        return shown_document(shown)

    def take(self, new: NewDecision) -> DecisionTaken:
        taken = deciding.take(self.program, new.kind, new.about, new.envelope.encode())
        self.wake()
        return taken_document(taken)

    def freeze(self, new: NewFreeze) -> FreezeBegun:
        with self.program.store.transaction() as tx:
            number = freeze.begin(tx, self.program, reason=new.reason)
        self.wake()
        return FreezeBegun(number=number)

    def operators(self) -> OperatorList:
        with self.program.store.snapshot() as tx:
            found = members(tx, self.program.documents.trust, now=self.program.clock())
        return OperatorList(
            operators=tuple(_operator(member) for member in found),
            active=sum(member.standing is Standing.ACTIVE for member in found),
        )

    def stops(self) -> StopList:
        now = self.program.clock()
        with self.program.store.snapshot() as tx:
            return StopList(
                stops=tuple(
                    StopLine(
                        number=stop.number,
                        kind=stop.kind.value,
                        covers=scopes.words(tx, stop.scope),
                        hosts=stops.covered_count(tx, stop),
                        matter=stop.matter,
                        author=stop.author,
                        set_at=whole_seconds(stop.set_at),
                        age_seconds=max(0, int((now - stop.set_at).total_seconds())),
                        review_at=whole_seconds(stop.review_at),
                        is_overdue=now >= stop.review_at,
                    )
                    for stop in stops.all_standing(tx)
                )
            )


def shown_document(shown: Shown) -> MatterShown:
    """What is to be decided on, as it is sent."""
    matter = shown.matter
    return MatterShown(
        kind=matter.kind,
        choice=matter.choice,
        facts=dict(matter.facts),
        consequences=matter.consequences,
        people_needed=matter.people_needed,
        words=matter.words,
        key=None if matter.key is None else matter.key.raw.hex(),
        document_digest=matter.document_digest,
        named_digest=matter.named_digest,
        inert_for=matter.inert_for,
        on=matter.on,
        ledger_seq=shown.ledger_seq,
        time=shown.time,
        purpose=shown.purpose,
        signed=shown.signed,
    )


def taken_document(taken: Taken) -> DecisionTaken:
    """What became of a decision, as it is answered."""
    return DecisionTaken(
        decision=taken.decision,
        on=taken.on,
        done=taken.done,
        people_needed=taken.people_needed,
        signed=taken.signed,
    )


def _operator(member: Member) -> OperatorLine:
    return OperatorLine(
        keyid=member.key.keyid,
        standing=member.standing.value,
        since=whole_seconds(member.since),
        enrolled_by=member.enrolled_by,
        revoked_at=None if member.revoked_at is None else whole_seconds(member.revoked_at),
    )
