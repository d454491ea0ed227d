"""Claims among each other: their order, the host's, and what became of a medium."""

from __future__ import annotations

import json

import pytest

from certificate.assurance import (
    UNACCEPTED,
    Effect,
    Reason,
    may_release,
    strength,
    unaccepted,
    what_became,
    worst,
)
from certificate.errors import Code, Refused
from certificate.statements.outcome import Claim
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Grade, Method, Result, WhatBecame


def a_claim(result: str, method: str = "none", grade: str = "none") -> Claim:
    return Claim(
        result=Result(result),
        method=Method(method),
        technique="not_applicable",
        grade=Grade(grade),
        reasons=(),
        limits=(),
    )


ERASED = [
    a_claim("erased", method.value, grade.value)
    for method in (Method.CLEAR, Method.PURGE, Method.DESTROY)
    for grade in Grade
]


def test_claims_are_ordered_by_method_then_grade_and_failures_are_below_all() -> None:
    ranks = [strength(claim) for claim in ERASED]
    assert ranks == sorted(set(ranks))
    assert min(ranks) > strength(a_claim("inconclusive")) == strength(a_claim("not_erased")) == 0


def test_a_host_claims_what_its_worst_medium_claims() -> None:
    good, weak = a_claim("erased", "purge", "marker-proven"), a_claim("erased", "purge", "device-reported")
    assert worst([good, weak]) == weak
    assert worst([good, a_claim("inconclusive"), a_claim("not_erased")]).result is Result.NOT_ERASED
    assert worst(iter([good])) == good


def test_a_host_without_claims_claims_nothing() -> None:
    with pytest.raises(Refused) as caught:
        worst([])
    assert caught.value.code is Code.INCOMPLETE_SET


def test_a_claim_says_what_became_of_its_medium() -> None:
    assert what_became(a_claim("erased", "purge", "marker-proven")) is WhatBecame.ERASED
    assert what_became(a_claim("erased", "destroy", "operator-attested")) is WhatBecame.DESTROYED
    assert what_became(a_claim("inconclusive")) is WhatBecame.INCONCLUSIVE
    assert what_became(a_claim("not_erased")) is WhatBecame.NOT_ERASED


def a_medium(became: WhatBecame, decision: str = "not_applicable") -> MediumSummary:
    return MediumSummary(
        commitment="00" * 32, became=became, outcome_digest="not_applicable", decision_digest=decision
    )


def test_a_host_is_released_when_every_medium_is_erased_or_out_by_a_decision() -> None:
    erased = a_medium(WhatBecame.ERASED)
    assert may_release([erased])
    for became in (WhatBecame.REMOVED, WhatBecame.DESTROYED, WhatBecame.OPEN_EXCEPTION):
        assert may_release([erased, a_medium(became, "11" * 32)])
        assert not may_release([erased, a_medium(became)])
    for became in (WhatBecame.NOT_ERASED, WhatBecame.INCONCLUSIVE):
        assert not may_release([erased, a_medium(became, "11" * 32)])
    assert not may_release([])


def test_no_reason_can_raise_a_claim_and_each_says_what_it_is() -> None:
    assert {reason.effect for reason in Reason} <= set(Effect)
    for reason in Reason:
        assert reason.value == reason.name
        assert reason.sentence.endswith(".")


@pytest.mark.parametrize("because", sorted(UNACCEPTED))
def test_what_nobody_accepted_is_inconclusive_and_keeps_its_reasons_and_limits(because: Reason) -> None:
    fields = a_claim("erased", "purge", "device-reported").model_dump(mode="json")
    told = fields | {"reasons": ["NO_MARKERS"], "limits": ["A limit."]}
    claim = Claim.model_validate_json(json.dumps(told))
    left = unaccepted(claim, because)
    assert (left.result, left.method, left.grade) == (Result.INCONCLUSIVE, Method.NONE, Grade.NONE)
    assert (left.reasons, left.limits) == (("NO_MARKERS", because.value), claim.limits)
    assert strength(left) == 0


@pytest.mark.parametrize("result", ["not_erased", "inconclusive"])
def test_only_a_claim_of_erased_is_left_unaccepted(result: str) -> None:
    with pytest.raises(ValueError, match="left unaccepted"):
        unaccepted(a_claim(result), Reason.RESULT_REJECTED)


def test_no_other_reason_takes_an_acceptance_away() -> None:
    for reason in set(Reason) - UNACCEPTED:
        with pytest.raises(ValueError, match="left unaccepted"):
            unaccepted(a_claim("erased"), reason)
