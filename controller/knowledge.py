"""What the store knows of one deprovision, as the `Facts` that `decide` is given: one transaction, nothing
added.

Rules: an observation is handed on as it was asked and answered; a contrary answer of a subscription is a
change of its tenancy at the instant it was stored; an inventory is compared with the record, and a drive that
no technique of the floor reaches counts as refused; caps are counted in the transaction that would use them
up; a summary, and that its bundles verify, counts for the attempt whose order it names. Whether any of it
suffices, the guards say.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from certificate import selection
from certificate.errors import Refused
from certificate.messages import InventoryAnswer, TokenState
from certificate.statements import Plan
from certificate.statements.statement import Seen, read_model
from certificate.statements.validation import DataClassRule, ValidationTable
from certificate.statements.vocabulary import Result, ValidationDecision
from controller import case as cases
from controller import endings, limits, owing
from controller.case import Case
from controller.effects.make_plan import inventory_line
from controller.facts import (
    AcceptanceFacts,
    AgentObservation,
    Answer,
    ApprovalFacts,
    BootFacts,
    ClockObservation,
    CommandFacts,
    Effect,
    EffectBegun,
    Facts,
    HelloObservation,
    HoldFacts,
    InventoryFacts,
    IsolationObservation,
    OrderFacts,
    PlanFacts,
    Question,
    SubscriptionObservation,
    TenancyFacts,
    TenancyListObservation,
    VerdictFacts,
)
from controller.notices import are_settled
from controller.observe.source import COMPLETE
from controller.people import acceptance as validation
from controller.people import counting
from controller.people.acceptance import Acceptance
from controller.people.roster import roster
from controller.plan import compare, differences, on_record_too
from controller.program import Program
from controller.spool import HintEvent
from controller.states import State
from controller.store import (
    commands,
    departures,
    effects_begun,
    evidence,
    hints,
    hosts,
    journal,
    log_rows,
    notices,
    observations,
    orders,
    outcomes,
    stops,
)
from controller.store.evidence import StoredEvidence, Verdict
from controller.store.observations import StoredObservation
from controller.store.orders import StoredOrder
from controller.store.stops import StopKind
from controller.store.tenancies import Tenancy

ACCEPT = ValidationDecision.ACCEPT
#: Effects on the network count in any attempt, because a switch does not know attempts.
ON_THE_NETWORK = (Effect.ISOLATE, Effect.RESTORE)


def facts_of(
    tx: Connection, program: Program, case: Case, *, now: datetime, requested_at: datetime | None = None
) -> Facts:
    """The facts as this transaction sees them. `now` is what caps are counted back from and who counts as an
    operator; `requested_at` is when an acknowledgement was asked for, where one was.
    """
    row, order = case.deprovision, case.order
    rule = _rule(program, case)
    stopped = stops.standing(tx, case.host.id)
    seen = None if order is None else evidence.of_order(tx, order.id)
    acceptance = _acceptance(tx, program, seen, now=now)
    verdicts = () if order is None else _verdicts(tx, order, acceptance)
    summary = outcomes.summary_of(tx, case.id)
    is_of_this_attempt = (
        summary is not None and order is not None and summary.names_order(order.payload_digest)
    )
    return Facts(
        deprovision=case.id,
        host=case.host.id,
        tenancy=row.tenancy,
        state=row.state,
        attempt=row.attempt,
        fence=row.fence,
        entered_at=row.entered_at,
        deadline_at=row.deadline_at,
        trigger=row.trigger,
        disposition=case.host.disposition,
        declaration=counting.declaration(tx, program, case, now=now),
        data_class=row.data_class,
        grace_until=row.grace_until,
        came_back_at=endings.came_back_at(tx, row),
        dwell=timedelta(seconds=row.dwell_seconds),
        boot_takes=program.configuration.boot.timeout,
        basis_since=requested_at or _basis_since(case),
        tenancies=tuple(_tenancy(tx, tenancy) for tenancy in case.tenancies),
        tenancy_list=_tenancy_list(tx, case),
        clock=_clock(tx, program),
        newest_signed_at=log_rows.newest_at(tx),
        isolation=_isolation(tx, case),
        boot=_boot(case),
        inventory=_inventory(tx, case, rule),
        drives_elsewhere=_drives_elsewhere(tx, case),
        hello=_hello(tx, case),
        plan=_plan(program, case),
        is_table_kept=_table(program, case) is not None,
        approvals_required=None if rule is None else rule.approvals_required,
        approvals=_approvals(tx, program, case, now=now),
        order=_order(tx, case),
        has_open_earlier_order=any(
            sent.attempt < row.attempt for sent in orders.dispatched_without_absence(tx, case.id)
        ),
        last_acknowledged_at=journal.last_granted_at(tx, case.id),
        agent=_agent(tx, case),
        is_evidence_in=seen is not None,
        verdicts=tuple(_verdict(case, each) for each in verdicts),
        acceptance=None
        if acceptance is None
        else AcceptanceFacts(keyid=acceptance.keyid, accepted_at=acceptance.accepted_at),
        are_outcomes_logged=_are_outcomes_logged(tx, case, verdicts),
        has_summary=summary is not None,
        is_written_off=owing.is_written_off(summary),
        owes_records=row.state is State.NEEDS_OPERATOR and owing.is_owed(tx, program, case),
        is_summary_logged=summary is not None and is_of_this_attempt and _is_logged(tx, summary.log_seq),
        does_bundle_verify=summary is not None
        and is_of_this_attempt
        and summary.verified_under == program.documents.policy.digest(),
        holds=tuple(
            HoldFacts(author=stop.author, matter=stop.matter, review_at=stop.review_at)
            for stop in stopped
            if stop.kind is StopKind.HOLD
        ),
        is_frozen=any(stop.kind is StopKind.FREEZE for stop in stopped),
        is_intake_open=stops.is_intake_open(tx),
        limits_reached=limits.reached(tx, program.configuration.limits, case, now=now),
        is_store_current=not program.keeper.compare(tx).is_frozen,
        are_notices_settled=are_settled(
            notices.of_deprovision(tx, case.id), has_tenancy=row.tenancy is not None
        ),
        has_live_order_elsewhere=bool(orders.live_elsewhere(tx, case.host.id, besides=case.id)),
        command=_command(tx, program, case, now=now),
        effects_begun=_effects_begun(tx, case),
    )


def load(tx: Connection, program: Program, case: Case, *, now: datetime, requested_at: datetime) -> Facts:
    """As `facts_of`, for a case that is read again in this transaction."""
    return facts_of(tx, program, cases.load(tx, case.id), now=now, requested_at=requested_at)


def _basis_since(case: Case) -> datetime | None:
    order = case.order
    return None if order is None or order.withdrawn_at is not None else order.intended_at


def _newest(tx: Connection, question: Question, about: str) -> StoredObservation | None:
    latest = observations.latest(tx, question, about)
    return None if latest is None else latest.asked


def _tenancy(tx: Connection, tenancy: Tenancy) -> TenancyFacts:
    contrary = observations.latest_contrary(
        tx, Question.SUBSCRIPTION, tenancy.id, other_than={Answer.ENDED.value}
    )
    changes = [tenancy.changed_at]
    if contrary is not None and contrary.answered_at is not None:
        changes.append(contrary.answered_at)
    hint = hints.latest(tx, tenancy.subscription_ref)
    renewal = hints.latest(tx, tenancy.subscription_ref, event=HintEvent.RENEWED)
    return TenancyFacts(
        tenancy=tenancy.id,
        starts_at=tenancy.starts_at,
        ends_at=tenancy.ends_at,
        last_hint_at=None if hint is None else hint.received_at,
        last_renewal_hint_at=None if renewal is None else renewal.received_at,
        last_change_at=max(changes),
        latest=_subscription(_newest(tx, Question.SUBSCRIPTION, tenancy.id)),
    )


def _subscription(seen: StoredObservation | None) -> SubscriptionObservation | None:
    if seen is None:
        return None
    return SubscriptionObservation(
        sequence=seen.sequence,
        asked_at=seen.asked_at,
        answered_at=seen.answered_at,
        answer=Answer.UNKNOWN if seen.answer is None else Answer(seen.answer),
        changed_at=_instant(seen, "changed_at"),
    )


def _tenancy_list(tx: Connection, case: Case) -> TenancyListObservation | None:
    seen = _newest(tx, Question.TENANCIES, case.host.id)
    if seen is None:
        return None
    return TenancyListObservation(
        sequence=seen.sequence,
        asked_at=seen.asked_at,
        answered_at=seen.answered_at,
        is_complete=Seen.NOT_OBSERVED if seen.answer is None else Seen.that(seen.answer == COMPLETE),
        names=tuple((seen.detail or {}).get("names", ())),
    )


def _clock(tx: Connection, program: Program) -> ClockObservation | None:
    seen = _newest(tx, Question.CLOCK, program.configuration.source.name)
    if seen is None:
        return None
    difference = (seen.detail or {}).get("difference_seconds")
    return ClockObservation(
        sequence=seen.sequence,
        asked_at=seen.asked_at,
        answered_at=seen.answered_at,
        difference_seconds=difference,
    )


def _isolation(tx: Connection, case: Case) -> IsolationObservation | None:
    seen = _newest(tx, Question.ISOLATION, case.host.id)
    if seen is None:
        return None
    return IsolationObservation(
        sequence=seen.sequence,
        asked_at=seen.asked_at,
        answered_at=seen.answered_at,
        tenant_side_cut=_seen(seen.answer),
        our_side_reachable=_seen((seen.detail or {}).get("our_side_reachable")),
    )


def _seen(word: str | None) -> Seen:
    return Seen(word) if word in (Seen.YES.value, Seen.NO.value) else Seen.NOT_OBSERVED


def _boot(case: Case) -> BootFacts | None:
    if case.boot is None or case.boot.boot_id is None:
        return None
    return BootFacts(
        boot_id=case.boot.boot_id, is_proven=case.boot.is_proven, boot_trust=case.boot.boot_trust
    )


def _inventory(tx: Connection, case: Case, rule: DataClassRule | None) -> InventoryFacts | None:
    """None also where a drive left the host since: what is in it now, nobody has read yet."""
    if case.inventory is None:
        return None
    left_at = hosts.drive_left_at(tx, case.host.id)
    if left_at is not None and left_at >= case.inventory.taken_at:
        return None
    line = inventory_line(case.inventory)
    compared = compare(line, case.known)
    return InventoryFacts(
        boot_id=case.inventory.boot_id,
        agreeing_host_facts=compared.agreeing_facts,
        contradicting_host_facts=compared.contradicting_facts,
        expected_drives=len(case.known.drives),
        missing_drives=compared.missing_drives,
        unexpected_drives=compared.unexpected_drives,
        refused=(*compared.refused, *_without_technique(line, rule)),
        named=differences(
            line,
            case.known,
            left=frozenset(departures.serials_left_since(tx, case.host.id, since=case.host.registered_at)),
        ),
    )


def _drives_elsewhere(tx: Connection, case: Case) -> tuple[str, ...]:
    """Of the plan's drives, because a plan of other drives than those on record does not stand."""
    return tuple(
        on_record_too(drive, other.host)
        for drive in case.known.drives
        for other in hosts.present_of_serial(tx, drive.serial)
        if other.host != case.host.id
    )


def _without_technique(line: InventoryAnswer, rule: DataClassRule | None) -> tuple[str, ...]:
    """The selection's refusals; without a rule nothing is selected, and the plan's guards say why."""
    if rule is None:
        return ()
    codes = []
    for drive in line.drives:
        try:
            able = selection.capabilities(drive)
            selection.select(able, rule.floor, overwrite=rule.overwrite, escrow=rule.escrow)
        except Refused as refusal:
            codes.append(refusal.code.value)
    return tuple(codes)


def _hello(tx: Connection, case: Case) -> HelloObservation | None:
    seen = _newest(tx, Question.ORDER_HELLO, case.id)
    if seen is None:
        return None
    return HelloObservation(
        sequence=seen.sequence,
        asked_at=seen.asked_at,
        answered_at=seen.answered_at,
        boot_id=(seen.detail or {}).get("boot_id"),
        doubt=_doubt(seen),
    )


def _rule(program: Program, case: Case) -> DataClassRule | None:
    """What is asked for this class of data; None where the table has no such rule, or is not kept."""
    table = _table(program, case)
    return None if table is None else table.rule(case.deprovision.data_class)


def _table(program: Program, case: Case) -> ValidationTable | None:
    """The table in force; once an order is dispatched, the one that its plan names, None if not kept."""
    documents = program.documents
    if case.deprovision.state.is_reversible or case.plan is None:
        return documents.table
    plan = read_model(case.plan.text, Plan, what="plan")
    try:
        return documents.table_named(plan.validation_digest).table
    except Refused:
        return None


def _plan(program: Program, case: Case) -> PlanFacts | None:
    """None also where drives left or joined the record since: it is a plan of another set. Nor does a plan
    stand that names another validation table than the one in force, unless its order was dispatched.
    """
    if case.plan is None:
        return None
    plan = read_model(case.plan.text, Plan, what="plan")
    is_of_this_table = plan.validation_digest == program.documents.table_digest
    if case.deprovision.state.is_reversible and not is_of_this_table:
        return None
    media = tuple(medium.commitment for medium in plan.media)
    if set(media) != {drive.commitment for drive in case.known.drives}:
        return None
    return PlanFacts(digest=case.plan.digest, boot_id=case.plan.boot_id, media=media)


def _approvals(tx: Connection, program: Program, case: Case, *, now: datetime) -> tuple[ApprovalFacts, ...]:
    return tuple(
        ApprovalFacts(
            keyid=each.keyid,
            is_request=each.is_request,
            plan_digest=each.plan_digest,
            expires_at=each.expires_at,
        )
        for each in counting.approvals(tx, program, case, now=now)
    )


def _order(tx: Connection, case: Case) -> OrderFacts | None:
    order = case.order
    if order is None:
        return None
    return OrderFacts(
        order=order.id,
        token=order.token,
        fence=order.fence,
        plan_digest=order.plan_digest,
        boot_id=order.boot_id,
        intended_at=order.intended_at,
        expires_at=order.expires_at,
        is_logged=_is_logged(tx, order.log_seq),
        dispatched_at=order.dispatched_at,
        is_withdrawn=order.withdrawn_at is not None,
        is_acknowledged=bool(journal.acknowledgements(tx, order.id)),
        is_absent_final=order.answer is orders.FinalAnswer.ABSENT,
    )


def _agent(tx: Connection, case: Case) -> AgentObservation | None:
    if case.order is None:
        return None
    asked = [
        seen
        for question in (Question.AGENT_STATUS, Question.FINAL_ABSENCE)
        if (seen := _newest(tx, question, case.order.id)) is not None
    ]
    if not asked:
        return None
    seen = max(asked, key=lambda one: one.sequence)
    return AgentObservation(
        sequence=seen.sequence,
        asked_at=seen.asked_at,
        answered_at=seen.answered_at,
        token=case.order.token,
        state=TokenState.UNKNOWN if seen.answer is None else TokenState(seen.answer),
        doubt=_doubt(seen),
    )


def _doubt(seen: StoredObservation) -> str:
    detail = seen.detail or {}
    return f"{detail['code']}: {detail['reason']}" if {"code", "reason"} <= detail.keys() else ""


def _acceptance(
    tx: Connection, program: Program, seen: StoredEvidence | None, *, now: datetime
) -> Acceptance | None:
    if seen is None:
        return None
    return validation.standing(tx, program.documents.trust, seen.payload_digest, now=now)


def _verdicts(tx: Connection, order: StoredOrder, acceptance: Acceptance | None) -> tuple[Verdict, ...]:
    """As the table has them, with a person's word where the table leaves it to one."""
    return tuple(
        replace(each, decision=validation.decided(each.result, each.decision, acceptance))
        for each in evidence.verdicts_of(tx, order.id)
    )


def _verdict(case: Case, verdict: Verdict) -> VerdictFacts:
    return VerdictFacts(
        medium=verdict.medium,
        result=verdict.result,
        decision=verdict.decision,
        row=validation.row_words(case.plan, verdict),
    )


def _are_outcomes_logged(tx: Connection, case: Case, verdicts: tuple[Verdict, ...]) -> bool:
    """Of every medium whose outcome may be signed: one that says `erased` waits until it is accepted."""
    attempt = case.deprovision.attempt
    due = [v.medium for v in verdicts if v.result is not Result.ERASED or v.decision is ACCEPT]
    found = [outcomes.of_medium(tx, case.id, attempt=attempt, medium=medium) for medium in due]
    return bool(verdicts) and all(each is not None and _is_logged(tx, each.log_seq) for each in found)


def _is_logged(tx: Connection, log_seq: int | None) -> bool:
    return log_seq is not None and log_rows.covering_checkpoint(tx, log_seq) is not None


def _command(tx: Connection, program: Program, case: Case, *, now: datetime) -> CommandFacts | None:
    """The newest of this attempt, by those of its signers who count now; None where nobody of them does."""
    given = commands.newest(tx, case.id, attempt=case.deprovision.attempt)
    if given is None:
        return None
    counting_now = {key.keyid for key in roster(tx, program.documents.trust, now=now).keys}
    keyids = given.keyids & counting_now
    if not keyids:
        return None
    return CommandFacts(exit=given.exit, keyids=keyids, commanded_at=given.commanded_at)


def _effects_begun(tx: Connection, case: Case) -> tuple[EffectBegun, ...]:
    attempt = effects_begun.begun(tx, case.id, attempt=case.deprovision.attempt)
    ever = effects_begun.begun(tx, case.id, attempt=None)
    begun = attempt | {effect: at for effect, at in ever.items() if effect in ON_THE_NETWORK}
    return tuple(EffectBegun(effect=effect, begun_at=at) for effect, at in begun.items())


def _instant(seen: StoredObservation, name: str) -> datetime | None:
    text = (seen.detail or {}).get(name)
    return None if text is None else datetime.fromisoformat(text)
