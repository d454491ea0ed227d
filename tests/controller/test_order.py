"""The last look at what is about to be signed: a weak basis or a plan of another boot makes no order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements import Order, Statement
from certificate.statements.order import MAX_VALID_FOR_SECONDS, Anchor, Basis
from certificate.statements.statement import Purpose, read
from certificate.statements.vocabulary import BootTrust, Escrow, Trigger
from controller.errors import Code
from controller.order import BootNamed, Signing, make_order, make_withdrawal

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TOKEN, FENCE = "7" * 32, (1 << 32) + 9


@pytest.fixture
def order_of(documents: ModuleType) -> Callable[..., Statement[Order]]:
    """An order over the sample plan and basis. `basis` replaces fields of the basis, the rest arguments."""

    def build(*, basis: dict[str, Any] | None = None, **changes: Any) -> Statement[Order]:
        sample = documents.build_order()
        arguments: dict[str, Any] = {
            "order": documents.ORDER_ID,
            "attempt": 2,
            "trigger": Trigger.ENDED,
            "token": TOKEN,
            "fence": FENCE,
            "boot": BootNamed(
                boot_id=documents.BOOT_ID,
                boot_trust=BootTrust.NETWORK,
                config_digest="c" * 64,
                hello_nonce="e" * 32,
            ),
            "host": sample.host,
            "plan": documents.build_plan(),
            "rule": documents.build_table().rules[0],
            "basis": documents.read_as(Basis, documents.basis_fields(**(basis or {}))),
            "anchor": documents.read_as(Anchor, documents.ANCHOR),
            "signing": signing(documents),
            "version": "0.1.0",
        }
        return make_order(**(arguments | changes))

    return build


def signing(documents: ModuleType) -> Signing:
    keyid = documents.KEYS.order.public.keyid
    return Signing(signer=keyid, purpose=Purpose.DEMONSTRATION, nonce="f" * 32, issued_at=NOW)


def answers(documents: ModuleType, *states: str) -> list[dict[str, Any]]:
    (ended,) = documents.basis_fields()["answers"]
    return [{**ended, "state": state} for state in states]


def counting(documents: ModuleType, count: int) -> dict[str, Any]:
    return {**documents.basis_fields()["tenancies"], "count": count}


def test_an_order_over_an_ended_tenancy_can_be_read_back(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    made = order_of()
    assert read(made.payload(), Order) == made
    assert [each.digest.sha256 for each in made.subject] == [documents.MEDIUM]


@pytest.mark.parametrize(
    ("states", "count"),
    [((), 0), ((), 1), (("ended",), 2), (("ended", "ended"), 1), (("ended",), 0)],
    ids=["no-tenancy", "no-answer", "an-answer-missing", "an-answer-too-many", "an-empty-list"],
)
def test_an_order_without_one_answer_for_every_tenancy_is_not_made(
    documents: ModuleType, order_of: Callable[..., Statement[Order]], states: tuple[str, ...], count: int
) -> None:
    with pytest.raises(Refused) as caught:
        order_of(basis={"answers": answers(documents, *states), "tenancies": counting(documents, count)})
    assert caught.value.code is Code.TENANCY_NONE_KNOWN


@pytest.mark.parametrize("state", ["active", "unknown", "pending"])
@pytest.mark.parametrize("place", [0, 1])
def test_one_tenancy_that_did_not_end_is_enough_to_make_no_order(
    documents: ModuleType, order_of: Callable[..., Statement[Order]], state: str, place: int
) -> None:
    states = ["ended", "ended"]
    states[place] = state
    with pytest.raises(Refused) as caught:
        order_of(basis={"answers": answers(documents, *states), "tenancies": counting(documents, 2)})
    assert caught.value.code is Code.TENANCY_REMAINS
    assert state in caught.value.reason


def test_a_plan_of_another_boot_makes_no_order(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    with pytest.raises(Refused) as caught:
        order_of(plan=documents.build_plan(boot_id="9" * 64))
    assert caught.value.code is Code.PLAN_OF_ANOTHER_BOOT


def test_the_digest_that_people_approved_recomputes_from_the_plan_inside(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    plan = documents.build_plan(policy_digest="5" * 64)
    order = order_of(plan=plan).predicate
    assert order.plan_digest == order.plan.canonical_digest() == plan.canonical_digest()
    assert order.plan_digest != order_of().predicate.plan_digest


def test_an_order_names_one_boot_one_hello_one_token_and_its_own_fence(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    order = order_of().predicate
    assert (order.boot_id, order.boot_trust) == (documents.BOOT_ID, BootTrust.NETWORK)
    assert (order.boot_config_digest, order.hello_nonce) == ("c" * 64, "e" * 32)
    assert (order.token, order.fence, order.attempt) == (TOKEN, FENCE, 2)
    assert order.trigger is Trigger.ENDED


def test_an_order_lives_shorter_than_the_time_in_which_it_may_be_dispatched(
    order_of: Callable[..., Statement[Order]],
) -> None:
    assert 0 < order_of().predicate.valid_for_s < MAX_VALID_FOR_SECONDS


def test_the_purpose_is_the_signers_and_the_bytes_depend_on_nothing_else(
    order_of: Callable[..., Statement[Order]],
) -> None:
    assert order_of().predicate.purpose is Purpose.DEMONSTRATION
    assert order_of().payload() == order_of().payload()


def test_a_withdrawal_names_the_order_its_digest_its_token_and_its_place_in_the_log(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    order = order_of().predicate
    made = make_withdrawal(
        order=order, order_digest="d" * 64, order_seq=17, reason=Code.ORDER_STALE, signing=signing(documents)
    )
    taken_back = made.predicate
    assert (taken_back.order, taken_back.order_digest) == (order.order, "d" * 64)
    assert (taken_back.token, taken_back.order_seq) == (TOKEN, 17)
    assert (taken_back.reason, taken_back.purpose) == ("ORDER_STALE", Purpose.DEMONSTRATION)
    assert [each.digest.sha256 for each in made.subject] == ["d" * 64]


# --- a host that was never let ------------------------------------------------------------------------------

STOCK: dict[str, Any] = {"answers": [], "disposition": "stock"}


def declared(documents: ModuleType, *operators: str) -> list[dict[str, str]]:
    keys = documents.KEYS
    return [
        {"digest": str(number) * 64, "keyid": getattr(keys, name).public.keyid}
        for number, name in enumerate(operators, start=1)
    ]


def never_let(documents: ModuleType, **changes: Any) -> dict[str, Any]:
    return {
        **STOCK,
        "tenancies": counting(documents, 0),
        "decisions": declared(documents, "alice", "bob"),
        **changes,
    }


@pytest.mark.parametrize("disposition", ["stock", "internal"])
def test_a_host_that_two_declared_never_let_is_wiped_by_hand_over_an_empty_list(
    documents: ModuleType, order_of: Callable[..., Statement[Order]], disposition: str
) -> None:
    plan = documents.build_plan(tenancy_ref="not_applicable")
    made = order_of(
        basis=never_let(documents, disposition=disposition), plan=plan, trigger=Trigger.MANUAL
    ).predicate
    assert (made.basis.answers, made.basis.disposition) == ((), disposition)


def test_an_empty_list_makes_no_order_where_anything_of_the_rest_is_missing(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    plan = documents.build_plan(tenancy_ref="not_applicable")
    doubtful = {**counting(documents, 0), "is_complete": "not_observed"}
    for code, basis, changes in (
        (Code.TENANCY_NONE_KNOWN, {}, {"trigger": Trigger.ENDED}),
        (Code.TENANCY_NONE_KNOWN, {}, {"plan": documents.build_plan()}),
        (Code.TENANCY_NONE_KNOWN, {"tenancies": counting(documents, 1)}, {}),
        (Code.TENANCY_LIST_UNKNOWN, {"tenancies": doubtful}, {}),
        (Code.DISPOSITION_REFUSES, {"disposition": "rented"}, {}),
        (Code.DISPOSITION_UNDECLARED, {"decisions": []}, {}),
        (Code.DISPOSITION_UNDECLARED, {"decisions": declared(documents, "alice")}, {}),
        (Code.DISPOSITION_UNDECLARED, {"decisions": declared(documents, "alice", "alice")}, {}),
    ):
        arguments = {"plan": plan, "trigger": Trigger.MANUAL, **changes}
        with pytest.raises(Refused) as caught:
            order_of(basis=never_let(documents, **basis), **arguments)
        assert caught.value.code is code, (basis, changes)


def test_a_host_declared_stock_that_was_let_makes_no_order(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    """Two people cannot declare a customer away: with an answer it is let, however it ended."""
    basis = never_let(documents, answers=answers(documents, "ended"), tenancies=counting(documents, 1))
    with pytest.raises(Refused) as caught:
        order_of(basis=basis, trigger=Trigger.MANUAL)
    assert caught.value.code is Code.DISPOSITION_REFUSES


@pytest.mark.parametrize("escrow", Escrow)
def test_what_an_order_says_of_copies_of_keys_is_the_signed_rules_word(
    documents: ModuleType, order_of: Callable[..., Statement[Order]], escrow: Escrow
) -> None:
    rule = documents.with_field(documents.build_table().rules[0], "escrow", escrow.value)
    assert order_of(rule=rule).predicate.escrow is escrow


def test_the_rule_of_another_class_of_data_makes_no_order(
    documents: ModuleType, order_of: Callable[..., Statement[Order]]
) -> None:
    rule = documents.with_field(documents.build_table().rules[0], "data_class", "secret")
    with pytest.raises(Refused) as caught:
        order_of(rule=rule)
    assert caught.value.code is Code.NO_VALIDATION_RULE
