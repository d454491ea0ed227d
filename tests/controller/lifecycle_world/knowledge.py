"""The simulated store as the `Facts` that `decide` is given, as controller/knowledge.py does it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from expunge_lifecycle_world.stored import DAY, MEDIUM, SECOND, Stored

from certificate.identifiers import DeprovisionId, HostId, TenancyId
from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import BootTrust, Result, ValidationDecision
from controller.facts import (
    MAX_CLOCK_DIFFERENCE,
    AgentObservation,
    Answer,
    BootFacts,
    ClockObservation,
    EffectBegun,
    Facts,
    HelloObservation,
    HoldFacts,
    InventoryFacts,
    IsolationObservation,
    Question,
    SubscriptionObservation,
    TenancyFacts,
    TenancyListObservation,
    VerdictFacts,
)
from controller.states import State

if TYPE_CHECKING:
    from expunge_lifecycle_world.world import World

GRACE = 10 * SECOND
NOT_OBSERVED = Seen.NOT_OBSERVED


def facts_of(world: World) -> Facts:
    here = world.stored
    order = here.order
    return Facts(
        deprovision=DeprovisionId("dep_" + "2" * 32),
        host=HostId("hst_" + "3" * 32),
        tenancy=here.own,
        state=here.state,
        attempt=here.attempt,
        fence=here.fence,
        entered_at=here.entered_at,
        deadline_at=None,
        trigger=world.trigger,
        disposition=here.disposition,
        declaration=here.declaration,
        data_class="default",
        grace_until=here.created_at + GRACE,
        came_back_at=_came_back_at(here),
        dwell=5 * SECOND,
        boot_takes=20 * SECOND,
        tenancies=tuple(_tenancy(here, name) for name in sorted(here.known)),
        tenancy_list=_observed(
            here, TenancyListObservation, Question.TENANCIES, is_complete=NOT_OBSERVED, names=()
        ),
        clock=_observed(here, ClockObservation, Question.CLOCK, difference_seconds=None),
        newest_signed_at=None if order is None else order.intended_at,
        isolation=_observed(
            here,
            IsolationObservation,
            Question.ISOLATION,
            tenant_side_cut=NOT_OBSERVED,
            our_side_reachable=NOT_OBSERVED,
        ),
        boot=_boot(here),
        inventory=_inventory(here),
        drives_elsewhere=("on record in another",) if here.is_drive_elsewhere else (),
        hello=_observed(here, HelloObservation, Question.ORDER_HELLO, boot_id=None),
        plan=here.plan,
        is_table_kept=True,
        approvals_required=world.approvals_required,
        approvals=tuple(here.approvals),
        order=order,
        has_open_earlier_order=any(
            past.dispatched_at is not None and not past.is_absent_final for past in here.past_orders
        ),
        last_acknowledged_at=here.last_acknowledged_at,
        agent=_observed(here, AgentObservation, Question.AGENT_STATUS, token="", state=TokenState.UNKNOWN),
        is_evidence_in=here.is_evidence_in,
        verdicts=_verdicts(here),
        acceptance=None,
        are_outcomes_logged=here.is_certified,
        has_summary=here.summary_token is not None or here.is_recorded,
        is_written_off=here.is_recorded,
        owes_records=_owes_records(here),
        is_summary_logged=order is not None and here.summary_token == order.token,
        does_bundle_verify=order is not None and here.summary_token == order.token,
        holds=(HoldFacts(author="counsel", matter="case 7", review_at=here.created_at + 9 * DAY),)
        if here.is_held
        else (),
        is_frozen=here.is_frozen,
        is_intake_open=here.is_intake_open,
        limits_reached=("per_hour",) if here.is_limit_reached else (),
        is_store_current=world.is_store_current,
        are_notices_settled=here.are_notices_settled,
        has_live_order_elsewhere=here.has_order_elsewhere,
        command=here.command,
        basis_since=None if order is None or order.is_withdrawn else order.intended_at,
        effects_begun=tuple(EffectBegun(effect=effect, begun_at=at) for effect, at, _ in here.begun),
    )


def _owes_records(here: Stored) -> bool:
    """An order may have begun something, no summary was made, and the one medium is not certified."""
    begun = any(each.dispatched_at is not None and not each.is_absent_final for each in here.orders)
    is_unerased = not (here.is_evidence_in and here.is_erased)
    return here.state is State.NEEDS_OPERATOR and begun and is_unerased and not here.is_recorded


def _came_back_at(here: Stored) -> datetime | None:
    rows = [row for row in here.rows if row.about is not None and row.about == here.own and row.answered_at]
    stayed = [row.answered_at for row in rows if row.answer["answer"] in {Answer.ACTIVE, Answer.PENDING}]
    if stayed:
        return max(stayed)
    newest = rows[-1] if rows else None
    if newest is None or newest.answer["answer"] is not Answer.ENDED:
        return None
    known_until = max(here.created_at, here.own_ended_at)
    is_later = newest.answer["changed_at"] > known_until + MAX_CLOCK_DIFFERENCE
    return newest.answered_at if is_later else None


def _observed(
    here: Stored, kind: type, question: Question, about: TenancyId | None = None, **empty: Any
) -> Any:
    row = here.newest_row(question, about)
    if row is None:
        return None
    told = row.answer if row.answered_at is not None else empty
    return kind(sequence=row.sequence, asked_at=row.asked_at, answered_at=row.answered_at, **told)


def _tenancy(here: Stored, name: TenancyId) -> TenancyFacts:
    known = here.known[name]
    return TenancyFacts(
        tenancy=name,
        starts_at=known.starts_at,
        ends_at=None,
        last_hint_at=known.last_hint_at,
        last_renewal_hint_at=known.last_renewal_hint_at,
        last_change_at=known.last_change_at,
        latest=_observed(
            here,
            SubscriptionObservation,
            Question.SUBSCRIPTION,
            name,
            answer=Answer.UNKNOWN,
            changed_at=None,
        ),
    )


def _boot(here: Stored) -> BootFacts | None:
    if here.proven_boot is None:
        return None
    return BootFacts(boot_id=here.proven_boot, is_proven=True, boot_trust=BootTrust.VIRTUAL_MEDIA)


def _inventory(here: Stored) -> InventoryFacts | None:
    if here.inventory_boot is None:
        return None
    return InventoryFacts(
        boot_id=here.inventory_boot,
        agreeing_host_facts=3,
        contradicting_host_facts=0,
        expected_drives=1,
        missing_drives=0,
        unexpected_drives=0,
        refused=(),
    )


def _verdicts(here: Stored) -> tuple[VerdictFacts, ...]:
    if not here.is_judged:
        return ()
    if here.is_erased:
        result, decision = Result.ERASED, ValidationDecision.ACCEPT
    else:
        result, decision = Result.INCONCLUSIVE, ValidationDecision.ESCALATE
    return (VerdictFacts(medium=MEDIUM, result=result, decision=decision, row="default"),)


__all__ = ["facts_of"]
