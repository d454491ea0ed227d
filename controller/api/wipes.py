"""The dry run of a wipe by hand: asks the source, then reads one snapshot.

Rules: nothing is stored but the source's answers; every guard that would refuse is told with its remedy, not
only the first; no plain serial leaves, only its last four characters; a reason that strangers may not read is
refused before anything is begun with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.statements import Plan
from certificate.statements.statement import NOT_OBSERVED, Seen, read_model
from certificate.statements.vocabulary import Trigger
from controller import case as cases
from controller import manual
from controller.api.documents import RefusalLine
from controller.api.lines import deprovision_line, whole_seconds
from controller.api.server import answer, asked
from controller.api.wipe_documents import (
    DriveOnRecord,
    PlannedMediumLine,
    PlanShown,
    TenancySaid,
    WipeAsked,
    WipeProspect,
)
from controller.facts import Facts, TenancyFacts
from controller.guards import GUARDS_TO_INTEND, failing, people
from controller.manual import Prospect
from controller.people import approving, asking
from controller.people.acts.wipe import CONSEQUENCES
from controller.program import Program
from controller.states import State
from controller.store import hosts
from controller.store.stops import StopKind


def router(program: Program, *, wake: Callable[[], None]) -> APIRouter:
    """`wake` is told after a dry run, because its answers may let something go on."""
    routes = APIRouter()

    @routes.post("/v1/wipes")
    async def look(request: Request) -> Response:
        def ask(question: WipeAsked) -> WipeProspect:
            with program.store.snapshot() as tx:
                host = asking.host(tx, question.host)
                if question.reason is not None:
                    approving.require_names_nobody(tx, program, host, question.reason)
            manual.ask(program, host)
            wake()
            with program.store.snapshot() as tx:
                return told(tx, program, question.host)

        return await asked(request, WipeAsked, ask)

    @routes.get("/v1/wipes")
    def read(host: str) -> Response:
        with program.store.snapshot() as tx:
            return answer(told(tx, program, host))

    return routes


def told(tx: Connection, program: Program, asset_tag: str) -> WipeProspect:
    """As the store has it now. Raises Refused(NOT_IN_STORE)."""
    seen = manual.prospect(tx, program, asking.host(tx, asset_tag))
    facts, listed = seen.facts, seen.facts.tenancy_list
    grace_until, dwell_until = _waits_until(seen)
    return WipeProspect(
        host=seen.host.asset_tag,
        host_id=seen.host.id,
        site=seen.host.site,
        rack=seen.host.rack,
        data_class=facts.data_class,
        disposition=seen.host.disposition.value,
        declared_by=() if facts.declaration is None else tuple(sorted(facts.declaration.keyids)),
        drives=_drives(tx, seen),
        tenancies=tuple(_tenancy(facts, each, program) for each in facts.tenancies),
        list_is_complete=Seen.NOT_OBSERVED.value if listed is None else listed.is_complete.value,
        list_asked_at=None if listed is None else whole_seconds(listed.asked_at),
        list_count=None if listed is None else len(listed.names),
        in_the_way=_in_the_way(facts),
        refusals=tuple(_line(refused) for refused in _refusals(seen, program)),
        consequences=CONSEQUENCES,
        deprovision=None if seen.live is None else deprovision_line(tx, seen.live, seen.host.asset_tag),
        grace_until=grace_until,
        dwell_until=dwell_until,
        plan=_plan(tx, seen, program),
    )


def _waits_until(seen: Prospect) -> tuple[datetime | None, datetime | None]:
    """When grace and dwell of the live deprovision are over; None where nothing waits for them any more."""
    live = seen.live
    if live is None or live.state not in {State.SCHEDULED, State.QUARANTINED}:
        return None, None
    dwell = timedelta(seconds=live.dwell_seconds)
    is_cut = live.state is State.QUARANTINED
    dwell_until = (live.entered_at if is_cut else max(live.entered_at, live.grace_until)) + dwell
    return None if is_cut else whole_seconds(live.grace_until), whole_seconds(dwell_until)


def _refusals(seen: Prospect, program: Program) -> tuple[Refused, ...]:
    """Of a wipe that is under way by hand, all that would refuse its order; otherwise all that refuses to
    begin one.
    """
    if seen.live is None or seen.live.trigger is not Trigger.MANUAL:
        return seen.refusals
    return tuple(refused for _, refused in failing(GUARDS_TO_INTEND, seen.facts, program.clock()))


def _line(refused: Refused) -> RefusalLine:
    return RefusalLine(code=refused.code.value, reason=refused.reason, remedy=refused.remedy)


def _in_the_way(facts: Facts) -> tuple[str, ...]:
    said = [
        f"{StopKind.HOLD.value} by {hold.author}: {hold.matter}, review {hold.review_at:%Y-%m-%d}"
        for hold in facts.holds
    ]
    if facts.is_frozen:
        said.append("everything is frozen")
    if not facts.is_intake_open:
        said.append("a breaker tripped over what the source says")
    said.extend(f"the cap {name} is reached" for name in facts.limits_reached)
    return tuple(said)


def _drives(tx: Connection, seen: Prospect) -> tuple[DriveOnRecord, ...]:
    return tuple(
        DriveOnRecord(
            medium=drive.commitment,
            serial_ends_in=drive.serial[-4:],
            model=drive.model,
            capacity_bytes=drive.capacity_bytes,
            basis=drive.basis.value,
        )
        for drive in hosts.drives_of(tx, seen.host.id)
    )


def _tenancy(facts: Facts, tenancy: TenancyFacts, program: Program) -> TenancySaid:
    seen = tenancy.latest
    changed_at = None if seen is None else seen.changed_at
    return TenancySaid(
        tenancy=str(tenancy.tenancy),
        starts_at=None if tenancy.starts_at is None else whole_seconds(tenancy.starts_at),
        answer="nobody asked" if seen is None else seen.answer.value,
        counts_as=facts.answer(tenancy, program.clock()).value,
        changed_at=None if changed_at is None else whole_seconds(changed_at),
        asked_at=None if seen is None else whole_seconds(seen.asked_at),
    )


def _plan(tx: Connection, seen: Prospect, program: Program) -> PlanShown | None:
    """While it may be requested and approved, or already is."""
    if seen.live is None or seen.live.trigger is not Trigger.MANUAL or not seen.live.state.is_reversible:
        return None
    stored = cases.load(tx, seen.live.id).plan
    if stored is None or seen.live.state in {State.SCHEDULED, State.QUARANTINED, State.STAGED}:
        return None
    plan = read_model(stored.text, Plan, what="plan")
    requesters, approvers = people(seen.facts, program.clock())
    return PlanShown(
        deprovision=seen.live.id,
        digest=stored.digest,
        boot_id=stored.boot_id,
        floor=plan.floor.value,
        data_class=plan.data_class,
        media=tuple(
            PlannedMediumLine(
                medium=medium.commitment,
                capacity_bytes=None if medium.capacity_bytes == NOT_OBSERVED else medium.capacity_bytes,
                firmware=None if medium.firmware == NOT_OBSERVED else medium.firmware,
                techniques=tuple(technique.value for technique in medium.techniques),
            )
            for medium in plan.media
        ),
        requested_by=tuple(sorted(requesters)),
        approved_by=tuple(sorted(approvers)),
    )
