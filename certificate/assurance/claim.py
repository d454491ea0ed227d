"""Rule 9 and the sum: reasons become a claim, and claims become what is said of a host."""

from __future__ import annotations

from collections.abc import Iterable

from certificate.assurance import limits
from certificate.errors import Code, Refused
from certificate.reasons import Effect, Reason
from certificate.selection import METHODS
from certificate.statements.evidence import Evidence, MediumEvidence
from certificate.statements.order import Order
from certificate.statements.outcome import Claim
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Grade, Method, Result, Technique, WhatBecame


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
            and medium.decision_digest != "not_applicable"
        )
        for medium in became
    )


def make(
    reasons: list[Reason],
    *,
    technique: Technique | None,
    order: Order,
    evidence: Evidence,
    entry: MediumEvidence | None,
) -> Claim:
    effects = {reason.effect for reason in reasons}
    method, grade = Method.NONE, Grade.NONE
    if technique is not None:
        method = Method.CLEAR if Effect.AT_MOST_CLEAR in effects else METHODS[technique]
        is_capped = Effect.AT_MOST_DEVICE_REPORTED in effects
        grade = Grade.DEVICE_REPORTED if is_capped else Grade.MARKER_PROVEN
        if list(Method).index(method) < list(Method).index(order.plan.floor):
            reasons.append(Reason.BELOW_FLOOR)
            effects.add(Effect.DOUBTS)
    result = Result.ERASED
    if effects & {Effect.CONTRADICTS, Effect.DOUBTS}:
        result = Result.NOT_ERASED if Effect.CONTRADICTS in effects else Result.INCONCLUSIVE
        method, grade = Method.NONE, Grade.NONE
    return Claim(
        result=result,
        method=method,
        technique="not_applicable" if technique is None else technique,
        grade=grade,
        reasons=tuple(reason.value for reason in Reason if reason in reasons),
        limits=tuple(limits.of(technique, grade, order, entry, evidence)),
    )
