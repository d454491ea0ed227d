"""Operators: who is enrolled, by whom, and since when."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from certificate.errors import Code, Refused
from certificate.keys import PrivateKey
from certificate.operators import MAX_ENROLMENTS, Operators, enrolled_operators
from certificate.statements import Approval, Decision, Order
from certificate.trust import TrustRoot

Make = Callable[..., Any]
SECOND = timedelta(seconds=1)
#: When the sample enrolment of Carol takes effect.
CAROL_AT = datetime(2026, 11, 18, 9, 0, 0, tzinfo=UTC)


def code_of(act: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.code


def keyids(operators: Operators) -> set[str]:
    return {key.keyid for key in operators.keys}


def enrolling(make_decision: Make, sponsor: PrivateKey, newcomer: PrivateKey, **changes: Any) -> bytes:
    raw = newcomer.public.raw
    fields = {"enrols": raw.hex(), "on": hashlib.sha256(raw).hexdigest(), **changes}
    data: bytes = make_decision(sponsor, **fields).write()
    return data


def test_the_first_two_count_at_once(trust: TrustRoot, keys: Any) -> None:
    operators = enrolled_operators(trust, [], trust.created_at)
    assert keyids(operators) == {keys.alice.public.keyid, keys.bob.public.keyid}


def test_a_third_is_enrolled_by_two_and_counts_from_then_on(
    trust: TrustRoot, make_decision: Make, keys: Any
) -> None:
    chain = [make_decision(operator).write() for operator in (keys.alice, keys.bob)]
    assert keys.carol.public.keyid in keyids(enrolled_operators(trust, chain, CAROL_AT))
    assert keys.carol.public.keyid not in keyids(enrolled_operators(trust, chain, CAROL_AT - SECOND))


def test_the_later_of_two_dates_counts(trust: TrustRoot, make_decision: Make, keys: Any) -> None:
    chain = [
        make_decision(keys.alice, effective_at="2026-11-15T09:00:00Z").write(),
        make_decision(keys.bob).write(),
    ]
    assert keys.carol.public.keyid not in keyids(enrolled_operators(trust, chain, CAROL_AT - SECOND))


def test_one_sponsor_does_not_enrol_however_often_it_decides(
    trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    chain = [make_decision(keys.alice).write(), make_decision(keys.alice, nonce="ab" * 16).write()]
    assert keys.carol.public.keyid not in keyids(enrolled_operators(trust, chain, now))


def test_a_newcomer_does_not_vouch_for_itself(
    trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    chain = [make_decision(keys.alice).write(), make_decision(keys.carol).write()]
    assert code_of(lambda: enrolled_operators(trust, chain, now)) == Code.KEY_UNTRUSTED


def test_a_chain_is_followed_in_any_order(
    trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    later = {"issued_at": "2026-11-19T09:00:00Z", "effective_at": "2026-11-20T09:00:00Z"}
    chain = [
        make_decision(keys.alice).write(),
        make_decision(keys.bob).write(),
        enrolling(make_decision, keys.bob, keys.stranger, **later),
        enrolling(make_decision, keys.carol, keys.stranger, **later),
    ]
    for arranged in permutations(chain):
        assert keys.stranger.public.keyid in keyids(enrolled_operators(trust, arranged, now))


def test_a_sponsor_who_was_still_inert_does_not_count(
    trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    too_early = {"issued_at": "2026-11-17T09:00:00Z", "effective_at": "2026-11-20T09:00:00Z"}
    chain = [
        make_decision(keys.alice).write(),
        make_decision(keys.bob).write(),
        enrolling(make_decision, keys.bob, keys.stranger, **too_early),
        enrolling(make_decision, keys.carol, keys.stranger, **too_early),
    ]
    assert keys.stranger.public.keyid not in keyids(enrolled_operators(trust, chain, now))


def test_a_decision_of_nobody_in_the_chain_refuses_it(
    trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    chain = [make_decision(operator).write() for operator in (keys.alice, keys.bob, keys.stranger)]
    assert code_of(lambda: enrolled_operators(trust, chain, now)) == Code.KEY_UNTRUSTED


def test_a_forged_signature_refuses_the_chain(
    trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    forged = make_decision(keys.stranger, operator=keys.bob.public.keyid).write()
    chain = [make_decision(keys.alice).write(), forged]
    assert code_of(lambda: enrolled_operators(trust, chain, now)) == Code.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "thaw"}, Code.TYPE_MISMATCH),
        ({"enrols": "not_applicable"}, Code.TYPE_MISMATCH),
        ({"on": "00" * 32}, Code.SUBJECT_MISMATCH),
        ({"enrols": "01" + "00" * 31}, Code.KEY_INVALID),
        ({"effective_at": "2026-11-14T09:00:00Z"}, Code.KEY_UNTRUSTED),
        ({"purpose": "demonstration"}, Code.PURPOSE_MISMATCH),
    ],
)
def test_a_decision_that_enrols_nobody_properly_refuses_the_chain(
    changes: dict[str, Any], code: Code, trust: TrustRoot, make_decision: Make, keys: Any, now: datetime
) -> None:
    chain = [make_decision(keys.alice, **changes).write()]
    assert code_of(lambda: enrolled_operators(trust, chain, now)) == code


def test_a_chain_without_end_is_refused_before_it_is_read(trust: TrustRoot, now: datetime) -> None:
    chain = [b"not even an envelope"] * (MAX_ENROLMENTS + 1)
    assert code_of(lambda: enrolled_operators(trust, chain, now)) == Code.LIMIT_EXCEEDED


def test_an_operators_statement_is_opened_with_its_digest(
    trust: TrustRoot, make_approval: Make, make_decision: Make, keys: Any, now: datetime
) -> None:
    operators = enrolled_operators(trust, [], now)
    approval, decision = make_approval(keys.alice), make_decision(keys.bob)
    assert operators.open_statement(approval.write(), Approval)[1] == approval.payload_digest
    assert operators.open_statement(decision.write(), Decision)[1] == decision.payload_digest


def test_an_operators_statement_is_refused_with_its_code(
    trust: TrustRoot, make_approval: Make, make_order: Make, signed_order: Make, keys: Any, now: datetime
) -> None:
    operators = enrolled_operators(trust, [], now)
    cases: list[tuple[bytes, Any, Code]] = [
        (make_approval(keys.carol).write(), Approval, Code.KEY_UNTRUSTED),
        (
            make_approval(keys.carol, operator=keys.alice.public.keyid).write(),
            Approval,
            Code.SIGNATURE_INVALID,
        ),
        (make_approval(keys.bob, operator=keys.alice.public.keyid).write(), Approval, Code.SIGNATURE_INVALID),
        (make_approval(keys.alice, purpose="demonstration").write(), Approval, Code.PURPOSE_MISMATCH),
        (make_approval(keys.alice).write(), Decision, Code.TYPE_MISMATCH),
        (signed_order(make_order(), keys.alice).write(), Order, Code.KEY_UNTRUSTED),
    ]
    for data, kind, code in cases:
        assert code_of(lambda d=data, k=kind: operators.open_statement(d, k)) == code  # type: ignore[misc]
