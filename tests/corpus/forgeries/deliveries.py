"""Deliveries: an order and all that comes with it, to an agent that decides from these bytes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from certificate.delivery import Delivery
from tests.corpus.case import Case
from tests.corpus.papers import KEYS, documents

KIND = "delivery"


def cases() -> Iterator[Case]:
    for name, delivery in (("delivery", honest()), ("delivery_by_hand", documents.build_manual())):
        yield Case(
            file=f"valid/{name}.json",
            kind=KIND,
            code=None,
            sentence=f"An order that may be obeyed ({name.replace('_', ' ')}).",
            data=_written(_line(delivery)),
        )
    yield from _orders()
    yield from _people()
    yield from _lines()


def honest() -> Delivery:
    found: Delivery = documents.build_delivery()
    return found


def _line(delivery: Delivery) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(delivery.to_line().write())
    del fields["line"]
    return fields


def _written(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


def _case(name: str, code: str, sentence: str, made: Delivery | dict[str, Any]) -> Case:
    fields = _line(made) if isinstance(made, Delivery) else made
    file = f"forged/{KIND}/{name}.json"
    return Case(file=file, kind=KIND, code=code, sentence=sentence, data=_written(fields))


def _ordered(**changes: Any) -> Delivery:
    delivery: Delivery = documents.build_delivery(documents.build_order(**changes))
    return delivery


def _planned(**changes: Any) -> Delivery:
    return _ordered(plan=documents.build_plan(**changes))


def _orders() -> Iterator[Case]:
    basis_answer = documents.basis_fields()["answers"][0]
    insufficient, plan = "BASIS_INSUFFICIENT", "PLAN_MISMATCH"
    yield _case(
        "another_boot", "ORDER_FOR_ANOTHER_BOOT", "For a boot that is over.", _ordered(boot_id="ab" * 32)
    )
    yield _case(
        "another_hello", "ORDER_EXPIRED", "An answer to an older hello.", _ordered(hello_nonce="ab" * 16)
    )
    yield _case("expired", "ORDER_EXPIRED", "Good for a second, two seconds ago.", _ordered(valid_for_s=1))
    yield _case(
        "plan_of_another_digest", plan, "A plan that nobody approved.", _ordered(plan_digest="00" * 32)
    )
    yield _case(
        "plan_of_another_host",
        plan,
        "Planned for the machine next to it.",
        _planned(host_commitment="00" * 32),
    )
    yield _case(
        "plan_of_another_deprovision",
        plan,
        "Planned for another customer's end.",
        _planned(deprovision="dep_" + "00" * 16),
    )
    yield _case(
        "host_facts_swapped",
        plan,
        "The facts make another host.",
        _ordered(
            host={
                "commitment": documents.HOST,
                "facts": [fact | {"commitment": "00" * 32} for fact in documents.host_facts()],
            }
        ),
    )
    yield _case("floor_lowered", plan, "A floor below the table's.", _planned(floor="clear"))
    yield _case(
        "read_back_weakened", plan, "Less read back than the table asks for.", _planned(read_back="sampled")
    )
    yield _case(
        "escrow_denied",
        "ESCROW_MISMATCH",
        "That nobody keeps copies of keys, where the signed table does not know it.",
        _ordered(escrow="none"),
    )
    yield _case(
        "class_without_rule",
        plan,
        "A class of data that the table does not name.",
        _planned(data_class="secret"),
    )
    yield _case(
        "table_of_another_digest",
        plan,
        "A table that the plan does not name.",
        documents.build_delivery(table=documents.build_table(version=2)),
    )
    yield _case(
        "table_by_the_issuer",
        "KEY_UNTRUSTED",
        "A table signed by the issuer key.",
        documents.build_delivery(table_signer=KEYS.issuer),
    )
    yield _case(
        "signed_by_the_issuer",
        "KEY_UNTRUSTED",
        "An order signed by the issuer key.",
        documents.build_delivery(signer=KEYS.issuer),
    )
    yield _case(
        "anchored_elsewhere",
        "CHECKPOINT_INVALID",
        "Anchored in another log.",
        _ordered(anchor=documents.ANCHOR | {"origin": "evil.example/log"}),
    )
    yield _case(
        "anchored_in_its_future",
        "CHECKPOINT_INVALID",
        "Anchored behind itself.",
        _ordered(anchor=documents.ANCHOR | {"size": 4}),
    )
    yield _case(
        "tenancy_active",
        insufficient,
        "The customer has not left.",
        _ordered(basis={"answers": [basis_answer | {"state": "active"}]}),
    )
    yield _case(
        "tenancy_unknown",
        insufficient,
        "The source did not know.",
        _ordered(basis={"answers": [basis_answer | {"state": "unknown"}]}),
    )
    yield _case(
        "no_answer",
        insufficient,
        "Nobody was asked: over nothing, every loop passes.",
        _ordered(basis={"answers": []}),
    )
    yield _case(
        "list_incomplete",
        insufficient,
        "The source does not vouch for its list.",
        _ordered(
            basis={"tenancies": documents.basis_fields()["tenancies"] | {"is_complete": "not_observed"}}
        ),
    )
    yield _case(
        "one_tenancy_unanswered",
        insufficient,
        "Two tenancies, one answer.",
        _ordered(basis={"tenancies": documents.basis_fields()["tenancies"] | {"count": 2}}),
    )
    yield _case(
        "frozen", insufficient, "Made while everything stood still.", _ordered(basis={"is_frozen": "yes"})
    )
    yield _case("held", insufficient, "Nobody looked for a hold.", _ordered(basis={"holds": "not_observed"}))
    yield _case(
        "in_stock_by_itself",
        insufficient,
        "In stock, and no person asked for it.",
        _ordered(basis={"disposition": "stock"}),
    )


def _people() -> Iterator[Case]:
    missing = "APPROVALS_MISSING"
    alice, bob = KEYS.alice, KEYS.bob
    made = documents.build_manual
    yield _case("by_hand_alone", missing, "A wipe by hand that nobody approved.", _ordered(trigger="manual"))
    yield _case(
        "own_request_approved",
        missing,
        "One person asked and said yes.",
        made(approve=lambda digest: documents.build_request(alice, alice, plan_digest=digest)),
    )
    yield _case(
        "request_only",
        missing,
        "Requested by one, approved by none.",
        made(approve=lambda digest: documents.build_request(alice, plan_digest=digest)),
    )
    yield _case(
        "approval_expired",
        missing,
        "The approval was over when the order was issued.",
        made(
            approve=lambda digest: _dated(
                digest, issued_at="2026-11-21T09:00:00Z", expires_at="2026-11-22T09:00:00Z"
            )
        ),
    )
    yield _case(
        "approval_too_long",
        missing,
        "An approval for a year.",
        made(approve=lambda digest: _dated(digest, expires_at="2027-11-22T09:50:00Z")),
    )
    yield _case(
        "approval_came_later",
        missing,
        "An approval from after the order.",
        made(approve=lambda digest: _dated(digest, issued_at="2026-11-22T10:00:01Z")),
    )
    yield _case(
        "other_plan_approved",
        "PLAN_MISMATCH",
        "What was approved is another plan.",
        made(approve=lambda _: documents.build_request(alice, bob, plan_digest="ab" * 32)),
    )
    yield _case(
        "stranger_approves",
        "KEY_UNTRUSTED",
        "A stranger's yes.",
        made(approve=lambda digest: documents.build_request(alice, KEYS.stranger, plan_digest=digest)),
    )
    yield _case(
        "enrolment_absent",
        "KEY_UNTRUSTED",
        "Carol's yes without her enrolment.",
        made(approve=lambda digest: documents.build_request(alice, KEYS.carol, plan_digest=digest)),
    )
    declared = documents.build_declaration
    absent = "DECISIONS_MISSING"
    yield _case(
        "declared_by_one",
        absent,
        "One operator declared the host never let.",
        made(declarations=(declared(alice),)),
    )
    yield _case(
        "declared_other_host",
        absent,
        "Both declared the machine next to it.",
        made(declarations=tuple(declared(each, document_digest="ab" * 32) for each in (alice, bob))),
    )
    yield _case(
        "declared_later",
        absent,
        "Declared after the order.",
        made(
            declarations=tuple(
                declared(each, issued_at="2026-11-22T11:00:00Z", effective_at="2026-11-22T11:00:00Z")
                for each in (alice, bob)
            )
        ),
    )
    yield _case(
        "declared_otherwise",
        absent,
        "Declared internal, ordered as stock.",
        made(declarations=tuple(declared(each, choice="internal") for each in (alice, bob))),
    )


def _dated(digest: str, **dates: str) -> tuple[Any, ...]:
    asked = documents.build_approval(
        KEYS.alice, kind="request", plan_digest=digest, nonce=documents.nonce_of("request")
    )
    answer = documents.build_approval(
        KEYS.bob, plan_digest=digest, request_digest=asked.payload_digest, **dates
    )
    return asked, answer


def _lines() -> Iterator[Case]:
    line = _line(honest())
    other = documents.build_delivery(documents.build_order(nonce="00" * 16))
    yield _case(
        "entry_of_another",
        "NOT_LOGGED",
        "The log entry of another order.",
        honest_with(log_entry=other.log_entry),
    )
    yield _case(
        "entry_of_another_kind",
        "NOT_LOGGED",
        "Logged as an outcome.",
        line | {"log_entry": line["log_entry"].replace("kind order", "kind outcome")},
    )
    yield _case(
        "proof_cut", "PROOF_INVALID", "The last hash is missing.", line | {"proof": line["proof"][:-1]}
    )
    yield _case(
        "proof_upper_case",
        "LINE_INVALID",
        "Hashes in capitals.",
        line | {"proof": [each.upper() for each in line["proof"]]},
    )
    yield _case(
        "proof_endless",
        "LINE_INVALID",
        "A path of a hundred hashes.",
        line | {"proof": line["proof"][:1] * 100},
    )
    yield _case("checkpoint_empty", "CHECKPOINT_INVALID", "No checkpoint.", line | {"checkpoint": ""})
    yield _case(
        "seventeen_approvals",
        "LIMIT_EXCEEDED",
        "More approvals than people ever give.",
        line | {"approvals": [line["order"]] * 17},
    )
    yield _case(
        "hundreds_of_enrolments",
        "LIMIT_EXCEEDED",
        "More enrolments than operators.",
        line | {"enrolments": [line["order"]] * 200},
    )
    yield _case("order_is_null", "LINE_INVALID", "No order.", line | {"order": None})
    yield _case(
        "field_missing",
        "LINE_INVALID",
        "No table.",
        {name: value for name, value in line.items() if name != "validation"},
    )
    yield _case("password_beside", "UNKNOWN_FIELD", "A field that no delivery has.", line | {"password": "x"})


def honest_with(**changes: Any) -> Delivery:
    delivery: Delivery = documents.build_delivery(**changes)
    return delivery
