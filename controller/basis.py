"""The basis of an order: why the customer is gone and why we may, as digests and times of what was answered.

Rules: one answer for every tenancy of the host, each the newest observation of its kind; a question without
an answer makes no basis; an answer stands as it is, and `order.make_order` judges it; times are cut to whole
seconds, never rounded up; caps are written with this order counted in.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal, assert_never

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.statements.order import (
    ApprovalReference,
    Basis,
    LimitState,
    NoticeReference,
    QuarantineReadBack,
    SourceAnswer,
    TenancyList,
)
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.vocabulary import Trigger
from controller import limits
from controller.case import Case
from controller.errors import Code
from controller.facts import Disposition, Question
from controller.observe.source import COMPLETE
from controller.people import counting
from controller.program import Program
from controller.store import notices, observations, stops
from controller.store.notices import Settled
from controller.store.observations import StoredObservation
from controller.store.stops import StopKind
from controller.store.tenancies import Tenancy

#: SHA-256 of nothing: what stands where an answer had no bytes at all.
EMPTY_DIGEST = hashlib.sha256(b"").hexdigest()


def basis_of(
    tx: Connection, program: Program, case: Case, *, now: datetime, ledger_seq: int, ledger_head: str
) -> Basis:
    """The basis as this transaction sees it. Raises Refused for a question that was never answered."""
    tenancy_list = _answered(tx, Question.TENANCIES, case.host.id)
    approvals = counting.approvals(tx, program, case, now=now)
    rule = program.documents.table.rule(case.deprovision.data_class)
    if rule is None:
        raise Refused(Code.NO_VALIDATION_RULE, f"no rule for {case.deprovision.data_class!r}")
    stopped = stops.standing(tx, case.host.id)
    return Basis(
        tenancies=_tenancy_list(program, tenancy_list),
        answers=tuple(_answer(tx, program, tenancy) for tenancy in case.tenancies),
        policy_version=case.deprovision.policy_version,
        policy_digest=case.deprovision.policy_digest,
        disposition=_disposition(case),
        quarantine=_quarantine(tx, case),
        approvals_required=2 if case.deprovision.trigger is Trigger.MANUAL else rule.approvals_required,
        approvals=tuple(ApprovalReference(digest=a.payload_digest, keyid=a.keyid) for a in approvals),
        decisions=_declared(tx, program, case, now=now),
        limits=tuple(
            LimitState(name=each.name, used=each.used + 1, limit=each.limit)
            for each in limits.usage(tx, program.configuration.limits, case, now=now)
        ),
        is_frozen=Seen.that(any(stop.kind is StopKind.FREEZE for stop in stopped)),
        holds=Seen.that(any(stop.kind is StopKind.HOLD for stop in stopped)),
        notices=_notices(tx, case),
        ledger_seq=ledger_seq,
        ledger_head=ledger_head,
    )


def whole(instant: datetime) -> datetime:
    """Cut to the whole second."""
    return instant.replace(microsecond=0)


def _answered(tx: Connection, question: Question, about: str) -> StoredObservation:
    latest = observations.latest(tx, question, about)
    if latest is None or latest.asked.answered_at is None:
        raise Refused(Code.ANSWER_MISSING, f"{question} was not answered")
    return latest.asked


def _times(seen: StoredObservation) -> tuple[datetime, datetime]:
    return whole(seen.asked_at), whole(seen.answered_at or seen.asked_at)


def _tenancy_list(program: Program, seen: StoredObservation) -> TenancyList:
    asked_at, answered_at = _times(seen)
    return TenancyList(
        source=program.configuration.source.name,
        is_complete=Seen.that(seen.answer == COMPLETE),
        count=len((seen.detail or {}).get("names", ())),
        answer_digest=seen.raw_digest or EMPTY_DIGEST,
        sequence=seen.sequence,
        asked_at=asked_at,
        answered_at=answered_at,
    )


def _answer(tx: Connection, program: Program, tenancy: Tenancy) -> SourceAnswer:
    seen = _answered(tx, Question.SUBSCRIPTION, tenancy.id)
    asked_at, answered_at = _times(seen)
    changed_at = (seen.detail or {}).get("changed_at")
    return SourceAnswer.model_validate(
        {
            "tenancy_ref": tenancy.tenancy_ref,
            "subscription_ref": tenancy.subscription_ref,
            "source": program.configuration.source.name,
            "state": seen.answer,
            "changed_at": NOT_OBSERVED if changed_at is None else whole(datetime.fromisoformat(changed_at)),
            "answer_digest": seen.raw_digest or EMPTY_DIGEST,
            "sequence": seen.sequence,
            "asked_at": asked_at,
            "answered_at": answered_at,
        }
    )


def _quarantine(tx: Connection, case: Case) -> QuarantineReadBack:
    seen = _answered(tx, Question.ISOLATION, case.host.id)
    asked_at, answered_at = _times(seen)
    words = {"yes": Seen.YES, "no": Seen.NO}
    return QuarantineReadBack(
        tenant_side_cut=words.get(seen.answer or "", Seen.NOT_OBSERVED),
        our_side_reachable=words.get((seen.detail or {}).get("our_side_reachable", ""), Seen.NOT_OBSERVED),
        answer_digest=seen.raw_digest or EMPTY_DIGEST,
        sequence=seen.sequence,
        asked_at=asked_at,
        answered_at=answered_at,
    )


def _notices(tx: Connection, case: Case) -> tuple[NoticeReference, ...]:
    """Every record and waiver by digest; a host that was never let has neither."""
    found: list[NoticeReference] = []
    for each in notices.of_deprovision(tx, case.id):
        match each.settled:
            case Settled.DELIVERED:
                found += [NoticeReference(kind="delivered", record_digest=one) for one in each.records]
            case Settled.WAIVED:
                found += [NoticeReference(kind="waived", record_digest=one) for one in each.records]
            case Settled.NOBODY | None:
                continue
            case _:
                assert_never(each.settled)
    return tuple(found)


def _declared(
    tx: Connection, program: Program, case: Case, *, now: datetime
) -> tuple[ApprovalReference, ...]:
    """Who declared that the host was never let; nobody has to where a tenancy ended."""
    if case.deprovision.tenancy is not None:
        return ()
    return tuple(
        ApprovalReference(digest=digest, keyid=keyid)
        for digest, keyid in counting.declaration_decisions(tx, program, case, now=now)
    )


def _disposition(case: Case) -> Literal["rented", "stock", "internal"]:
    match case.host.disposition:
        case Disposition.RENTED:
            return "rented"
        case Disposition.STOCK:
            return "stock"
        case Disposition.INTERNAL:
            return "internal"
        case Disposition.UNKNOWN:
            raise Refused(Code.DISPOSITION_REFUSES, f"nobody knows what {case.host.id} is for")
        case _:
            assert_never(case.host.disposition)
