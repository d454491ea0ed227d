"""The people behind a wipe by hand: whatever is changed about them, the order is refused.

A history is drawn: who requested, who approved, who declared, who enrolled whom and from when on, and what
each statement says. `is_right` states DESIGN's rule in the plainest words; `obey` must agree with it on every
history, and the histories are drawn near the right one, so that each part is spoiled often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from certificate.delivery import obey
from certificate.errors import Refused
from certificate.trust import TrustRoot

Make = Callable[..., Any]
HELLO_AT_MS = 61_000
PLAN, ANOTHER = "the plan", "another plan"
IN_TIME, EXPIRED, LATER, TOO_LONG = "in time", "expired", "later", "too long"
TIMES = {
    IN_TIME: {"issued_at": "2026-11-22T09:50:00Z", "expires_at": "2026-11-23T09:50:00Z"},
    EXPIRED: {"issued_at": "2026-11-21T10:00:00Z", "expires_at": "2026-11-22T10:00:00Z"},
    LATER: {"issued_at": "2026-11-22T10:00:01Z", "expires_at": "2026-11-23T10:00:01Z"},
    TOO_LONG: {"issued_at": "2026-11-22T09:50:00Z", "expires_at": "2026-11-23T09:50:01Z"},
}
#: When the enrolment of Carol takes effect; the order is of 10:00:00.
ACTIVE, INERT = "2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z"
DECLARABLE = ("stock", "internal", "rented")


@dataclass(frozen=True, kw_only=True)
class Yes:
    """A request or an answer. `signer` made the signature, `said` is the key that the statement names."""

    signer: str
    said: str
    plan: str = PLAN
    time: str = IN_TIME
    answers_request: bool = True


@dataclass(frozen=True, kw_only=True)
class Declared:
    signer: str
    said: str
    choice: str = "stock"
    is_this_host: bool = True
    is_before: bool = True


@dataclass(frozen=True, kw_only=True)
class History:
    request: Yes | None
    answers: tuple[Yes, ...]
    declared: tuple[Declared, ...]
    sponsors: tuple[str, ...]
    carol_from: str


RIGHT = History(
    request=Yes(signer="alice", said="alice"),
    answers=(Yes(signer="carol", said="carol"),),
    declared=(Declared(signer="alice", said="alice"), Declared(signer="bob", said="bob")),
    sponsors=("alice", "bob"),
    carol_from=ACTIVE,
)
PEOPLE = st.sampled_from(["alice", "bob", "carol", "stranger"])


@st.composite
def signed_by(draw: st.DrawFn) -> dict[str, str]:
    signer = draw(PEOPLE)
    is_honest = draw(st.integers(0, 5)) > 0
    return {"signer": signer, "said": signer if is_honest else draw(PEOPLE)}


@st.composite
def yeses(draw: st.DrawFn) -> Yes:
    return Yes(
        **draw(signed_by()),
        plan=draw(st.sampled_from([PLAN, PLAN, PLAN, ANOTHER])),
        time=draw(st.sampled_from([IN_TIME] * 4 + [EXPIRED, LATER, TOO_LONG])),
        answers_request=draw(st.integers(0, 4)) > 0,
    )


@st.composite
def declarations(draw: st.DrawFn) -> Declared:
    return Declared(
        **draw(signed_by()),
        choice=draw(st.sampled_from(["stock", "stock", "stock", *DECLARABLE])),
        is_this_host=draw(st.integers(0, 4)) > 0,
        is_before=draw(st.integers(0, 4)) > 0,
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """The right one with up to three parts drawn anew."""
    parts = {
        "request": st.none() | yeses(),
        "answers": st.lists(yeses(), max_size=3).map(tuple),
        "declared": st.lists(declarations(), max_size=3).map(tuple),
        "sponsors": st.lists(PEOPLE, max_size=3, unique=True).map(tuple),
        "carol_from": st.sampled_from([ACTIVE, INERT]),
    }
    spoiled = draw(st.lists(st.sampled_from(sorted(parts)), max_size=3, unique=True))
    return replace(RIGHT, **{name: draw(parts[name]) for name in spoiled})


def counting(history: History) -> set[str]:
    """Whose acts count when the order is issued."""
    is_in = {"alice", "bob"} <= set(history.sponsors) and history.carol_from == ACTIVE
    return {"alice", "bob"} | ({"carol"} if is_in else set())


def is_right(history: History) -> bool:
    """DESIGN: one enrolled person requests, another approves just that; two declare that it was never let."""
    request, enrolled = history.request, counting(history)
    if request is None or not history.answers or not set(history.sponsors) <= enrolled:
        return False
    yes = (request, *history.answers)
    signers = [each.signer for each in yes]
    declared = [each.signer for each in history.declared]
    return (
        all(each.signer == each.said for each in (*yes, *history.declared))
        and set(signers) | set(declared) <= enrolled
        and len(set(signers)) == len(signers)
        and all((each.plan, each.time) == (PLAN, IN_TIME) for each in yes)
        and all(each.answers_request for each in history.answers)
        and len(set(declared)) == len(declared) >= 2
        and all(each.choice == "stock" and each.is_this_host and each.is_before for each in history.declared)
    )


@pytest.fixture(scope="module")
def is_obeyed(
    trust: TrustRoot,
    keys: Any,
    make_order: Make,
    make_manual: Make,
    make_approval: Make,
    make_decision: Make,
    make_declaration: Make,
    signed: Make,
) -> Callable[[History], bool]:
    """Whether the agent of the sample boot obeys an order with this history."""

    def keyid(name: str) -> str:
        named: str = getattr(keys, name).public.keyid
        return named

    def statement(make: Make, each: Yes | Declared, **fields: Any) -> Any:
        return make(getattr(keys, each.signer), operator=keyid(each.said), **fields)

    def declaration(number: int, each: Declared) -> Any:
        fields = {"choice": each.choice, "nonce": f"{number:032x}"}
        if not each.is_this_host:
            fields["document_digest"] = "ab" * 32
        if not each.is_before:
            fields["effective_at"] = "2026-11-22T10:00:01Z"
        return statement(make_declaration, each, **fields)

    def approvals(history: History, digest: str) -> tuple[Any, ...]:
        def yes(each: Yes, number: int, **fields: Any) -> Any:
            plan = digest if each.plan == PLAN else "ab" * 32
            told = {"plan_digest": plan, "nonce": f"{number:032x}", **TIMES[each.time], **fields}
            return statement(make_approval, each, **told)

        request = None if history.request is None else yes(history.request, 1, kind="request")
        named = "ab" * 32 if request is None else request.payload_digest
        answered = [
            yes(each, number, request_digest=named if each.answers_request else "not_applicable")
            for number, each in enumerate(history.answers, start=2)
        ]
        return (*([] if request is None else [request]), *answered)

    def run(history: History) -> bool:
        delivery = make_manual(
            declarations=tuple(declaration(n, each) for n, each in enumerate(history.declared)),
            approve=lambda digest: approvals(history, digest),
            enrolments=tuple(
                make_decision(getattr(keys, name), effective_at=history.carol_from)
                for name in history.sponsors
            ),
            # Without any declaration the sample would be a host that is let: this one never was.
            plan={"tenancy_ref": "not_applicable"},
            basis={"disposition": "stock", "answers": [], "tenancies": never_let},
        )
        try:
            obey(
                delivery,
                trust=trust,
                boot_id=keys.agent.public.boot_id,
                hello_nonce=make_order().hello_nonce,
                hello_at_ms=HELLO_AT_MS,
                now_ms=HELLO_AT_MS,
            )
        except Refused:
            return False
        return True

    never_let = make_order().basis.tenancies.model_dump(mode="json") | {"count": 0}
    return run


def test_the_right_history_is_obeyed(is_obeyed: Make) -> None:
    assert is_right(RIGHT)
    assert is_obeyed(RIGHT)


@settings(max_examples=400, deadline=None)
@given(history=histories())
def test_any_change_about_the_people_behind_a_wipe_by_hand_is_refused(
    history: History, is_obeyed: Make
) -> None:
    event(f"right: {is_right(history)}")
    assert is_obeyed(history) is is_right(history)


@pytest.mark.parametrize(
    "changes",
    [
        {"answers": (Yes(signer="alice", said="alice"),)},
        {"answers": (Yes(signer="alice", said="carol"),)},
        {"answers": (Yes(signer="carol", said="carol"),) * 2},
        {"answers": (Yes(signer="carol", said="carol", time=EXPIRED),)},
        {"answers": (Yes(signer="carol", said="carol", plan=ANOTHER),)},
        {"answers": (Yes(signer="stranger", said="stranger"),)},
        {"answers": ()},
        {"request": None},
        {"carol_from": INERT},
        {"sponsors": ("alice",)},
        {"sponsors": ()},
        {"declared": (Declared(signer="bob", said="bob"),) * 2},
        {"declared": RIGHT.declared[:1]},
        {"declared": ()},
    ],
)
def test_each_of_the_wrongs_that_people_think_of_is_refused(changes: Any, is_obeyed: Make) -> None:
    history = replace(RIGHT, **changes)
    assert not is_right(history)
    assert not is_obeyed(history)
