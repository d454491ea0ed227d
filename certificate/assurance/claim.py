"""Rule 10 and the sum: reasons become a claim, and claims become what is said of a host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from certificate.assurance import limits
from certificate.assurance.case import NOT_APPLICABLE, Case
from certificate.errors import Code, Refused
from certificate.reasons import Effect, Reason
from certificate.selection import METHODS
from certificate.statements.evidence import Evidence
from certificate.statements.order import Order
from certificate.statements.outcome import Claim
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Grade, Method, Result, Technique, WhatBecame

#: Why a result that the evidence supports is not taken for an erasure.
UNACCEPTED: Final = frozenset({Reason.RESULT_REJECTED, Reason.RESULT_NOT_ACCEPTED})


def strength(claim: Claim) -> int:
    """A total order of claims: 0 for what is not `erased`, then by method, then by grade."""
    if claim.result is not Result.ERASED:
        return 0
    return 1 + list(Method).index(claim.method) * len(Grade) + list(Grade).index(claim.grade)


def worst(claims: Iterable[Claim]) -> Claim:
    """The weakest of these claims, `not_erased` before `inconclusive`: what may be said of the host.

    Raises Refused(INCOMPLETE_SET) for none: over nothing, everything would be erased.
    """
    ranked = sorted(claims, key=lambda claim: (strength(claim), list(Result).index(claim.result)))
    if not ranked:
        raise Refused(Code.INCOMPLETE_SET, "no claims, so nothing may be said of the host")
    return ranked[0]


def what_became(claim: Claim) -> WhatBecame:
    """The summary's word for a medium with this claim."""
    if claim.result is Result.ERASED:
        return WhatBecame.DESTROYED if claim.method is Method.DESTROY else WhatBecame.ERASED
    return WhatBecame(claim.result.value)


def may_release(media: Iterable[MediumSummary]) -> bool:
    """Whether a host with these media may go back: each erased, or out of it by a recorded decision.

    False for no media. That the decision was two people's is the controller's to hold.
    """
    became = list(media)
    return bool(became) and all(
        medium.became is WhatBecame.ERASED
        or (
            medium.became in (WhatBecame.REMOVED, WhatBecame.DESTROYED, WhatBecame.OPEN_EXCEPTION)
            and medium.decision_digest != NOT_APPLICABLE
        )
        for medium in became
    )


def unaccepted(claim: Claim, because: Reason) -> Claim:
    """What is left of a claim of `erased` that is not accepted (rule 11): `because` says by whom not. Raises
    ValueError for any other claim or reason, because only this one takes nothing else away.
    """
    if claim.result is not Result.ERASED or because not in UNACCEPTED:
        raise ValueError(f"{claim.result.value} is not left unaccepted by {because.value}")
    reasons = {*claim.reasons, because.value}
    return Claim(
        result=Result.INCONCLUSIVE,
        method=Method.NONE,
        technique=claim.technique,
        grade=Grade.NONE,
        reasons=tuple(reason.value for reason in Reason if reason.value in reasons),
        limits=claim.limits,
    )


def make(reasons: Iterable[Reason], *, order: Order, evidence: Evidence | None, case: Case | None) -> Claim:
    """The claim that these reasons leave. `case` is None where order or evidence lack the medium, `evidence`
    where none came.
    """
    found = set(reasons)
    technique = None if case is None else case.technique
    method, grade = _strongest(technique, {reason.effect for reason in found})
    if technique is not None and _rank(method) < _rank(order.plan.floor):
        found.add(Reason.BELOW_FLOOR)
    effects = {reason.effect for reason in found}
    result = Result.ERASED
    if technique is None or effects & {Effect.CONTRADICTS, Effect.DOUBTS}:
        result = Result.NOT_ERASED if Effect.CONTRADICTS in effects else Result.INCONCLUSIVE
        method, grade = Method.NONE, Grade.NONE
    return Claim(
        result=result,
        method=method,
        technique=NOT_APPLICABLE if technique is None else technique,
        grade=grade,
        reasons=tuple(reason.value for reason in Reason if reason in found),
        limits=tuple(limits.of(grade, order=order, evidence=evidence, case=case)),
    )


def _strongest(technique: Technique | None, effects: set[Effect]) -> tuple[Method, Grade]:
    """What the technique reaches under these caps."""
    if technique is None:
        return Method.NONE, Grade.NONE
    method = METHODS[technique]
    if Effect.AT_MOST_CLEAR in effects:
        method = min(method, Method.CLEAR, key=_rank)
    is_capped = Effect.AT_MOST_DEVICE_REPORTED in effects
    return method, Grade.DEVICE_REPORTED if is_capped else Grade.MARKER_PROVEN


def _rank(method: Method) -> int:
    return list(Method).index(method)
