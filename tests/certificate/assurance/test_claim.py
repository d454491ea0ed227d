"""Claims among each other: their order, the host's, and what became of a medium."""

from __future__ import annotations

import pytest

from certificate.assurance import Effect, Reason, may_release, strength, what_became, worst
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
