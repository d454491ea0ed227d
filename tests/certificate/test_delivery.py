"""Delivery: each reason for which an order is not obeyed has its test, and nothing in it may be missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certificate import envelope as dsse
from certificate.delivery import MAX_APPROVALS, Delivery, Obeyable, obey
from certificate.envelope import Envelope
from certificate.errors import Code, Malformed, Refused
from certificate.log.entry import LogKind
from certificate.messages import DeliveryLine, Execute, read_request
from certificate.statements import Approval, Order, Plan, ValidationTable, read
from certificate.trust import TrustRoot

Make = Callable[..., Any]
HELLO_AT_MS = 61_000
VALID_FOR_MS = 600_000


@pytest.fixture(scope="module")
def obeying(trust: TrustRoot, keys: Any, make_order: Make) -> Callable[..., Obeyable]:
    """obeying(delivery, **changes of obey's arguments): as the agent of the sample boot would."""

    def run(delivery: Delivery, **changes: Any) -> Obeyable:
        arguments: dict[str, Any] = {
            "trust": trust,
            "boot_id": keys.agent.public.boot_id,
            "hello_nonce": make_order().hello_nonce,
            "hello_at_ms": HELLO_AT_MS,
            "now_ms": HELLO_AT_MS + 2_000,
        }
        return obey(delivery, **(arguments | changes))

    return run


@pytest.fixture(scope="module")
def refusing(obeying: Callable[..., Obeyable]) -> Callable[..., Refused]:
    """refusing(delivery, **changes): the refusal, which there must be."""

    def run(delivery: Delivery, **changes: Any) -> Refused:
        with pytest.raises(Refused) as refusal:
            obeying(delivery, **changes)
        return refusal.value

    return run


@pytest.fixture(scope="module")
def asking(make_table: Make) -> Callable[[int], ValidationTable]:
    """asking(n): a table that asks n approvals of the default class."""

    def make(approvals: int) -> ValidationTable:
        rule = {
            "data_class": "default",
            "floor": "purge",
            "approvals_required": approvals,
            "overwrite": "keystream",
            "read_back": "full",
            "escrow": "unknown",
        }
        table: ValidationTable = make_table(rules=[rule])
        return table

    return make


@pytest.fixture(scope="module")
def planned_under(make_plan: Make, signed: Make, keys: Any) -> Callable[..., Plan]:
    """planned_under(table, **changes): the sample plan, naming that table."""

    def make(table: ValidationTable, **changes: Any) -> Plan:
        digest = signed(table, keys.root).payload_digest
        plan: Plan = make_plan(validation_digest=digest, **changes)
        return plan

    return make


def basis_of(approvals: tuple[Envelope, ...], required: int) -> dict[str, Any]:
    references = [
        {"digest": approval.payload_digest, "keyid": json.loads(approval.payload)["predicate"]["operator"]}
        for approval in approvals
    ]
    return {"approvals": references, "approvals_required": required}


@pytest.fixture(scope="module")
def approved(
    make_delivery: Make, make_order: Make, asking: Make, planned_under: Make
) -> Callable[..., Delivery]:
    """approved(n, lambda plan_digest: approvals, **changes of the order): under a table that asks n."""

    def make(
        required: int,
        approve: Callable[[str], tuple[Envelope, ...]],
        *,
        enrolments: tuple[Envelope, ...] = (),
        **changes: Any,
    ) -> Delivery:
        table = asking(required)
        plan = planned_under(table)
        approvals = approve(plan.canonical_digest())
        order = make_order(plan=plan, basis=basis_of(approvals, required), **changes)
        delivery: Delivery = make_delivery(order, table=table, approvals=approvals, enrolments=enrolments)
        return delivery

    return make


# --- obeyed -------------------------------------------------------------------------------------------------


def test_a_whole_delivery_is_obeyed(obeying: Make, make_delivery: Make, make_order: Make) -> None:
    delivery = make_delivery()
    found = obeying(delivery)
    assert found.order == make_order()
    assert found.order_digest == dsse.read(delivery.order).payload_digest
    assert found.table.rule("default") is not None


def test_a_delivery_survives_its_session_line(obeying: Make, make_delivery: Make) -> None:
    delivery = make_delivery()
    execute = Execute(delivery=delivery.to_line(), host_salt="00" * 32, media_salts=())
    arrived = read_request(execute.write())
    assert isinstance(arrived, Execute)
    assert Delivery.from_line(arrived.delivery) == delivery
    obeying(Delivery.from_line(arrived.delivery))


@pytest.mark.parametrize("text", ["", "00", "AB" * 32, "zz" * 32, "00" * 33, "00" * 32 + "\n"])
def test_a_line_whose_proof_is_not_hashes_is_refused(make_delivery: Make, text: str) -> None:
    line: DeliveryLine = replace(make_delivery().to_line(), proof=(text,))
    with pytest.raises(Malformed) as refusal:
        Delivery.from_line(line)
    assert refusal.value.code is Code.LINE_INVALID


def test_a_line_with_a_proof_without_end_is_refused(make_delivery: Make) -> None:
    line: DeliveryLine = replace(make_delivery().to_line(), proof=("00" * 32,) * 65)
    with pytest.raises(Malformed):
        Delivery.from_line(line)


# --- nothing may be missing or altered ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(
    make_manual: Make, make_request: Make, make_decision: Make, make_declaration: Make, keys: Any
) -> Any:
    """A delivery with something in each of its parts: a host in stock, approved by an operator who was
    enrolled later.
    """
    return make_manual(
        declarations=(make_declaration(keys.alice), make_declaration(keys.bob)),
        approve=lambda digest: make_request(keys.alice, keys.carol, plan_digest=digest),
        enrolments=(make_decision(keys.alice), make_decision(keys.bob)),
    )


@pytest.mark.parametrize("name", [field.name for field in fields(Delivery)])
def test_a_delivery_that_lacks_any_one_part_is_refused(name: str, refusing: Make, full: Delivery) -> None:
    whole = getattr(full, name)
    assert whole
    refusing(replace(full, **{name: type(whole)()}))
    if isinstance(whole, tuple):
        for place in range(len(whole)):
            refusing(replace(full, **{name: (*whole[:place], *whole[place + 1 :])}))


def test_that_same_delivery_is_obeyed_when_it_is_whole(obeying: Make, full: Delivery) -> None:
    obeying(full)
    arrived = read_request(Execute(delivery=full.to_line(), host_salt="", media_salts=()).write())
    assert isinstance(arrived, Execute)
    obeying(Delivery.from_line(arrived.delivery))


@settings(max_examples=300)
@given(data=st.data())
def test_any_flipped_byte_of_a_file_refuses_the_order(
    data: st.DataObject, refusing: Make, obeying: Make, make_delivery: Make
) -> None:
    delivery = make_delivery()
    name = data.draw(st.sampled_from(["order", "log_entry", "checkpoint", "validation"]))
    whole: bytes = getattr(delivery, name)
    position = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    flip = data.draw(st.integers(min_value=1, max_value=255))
    altered = whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :]
    changed = replace(delivery, **{name: altered})
    if name in ("order", "validation"):
        try:
            same = dsse.read(altered), dsse.read(whole)
        except Refused:
            refusing(changed)
            return
        if same[0].pae == same[1].pae and same[0].signature == same[1].signature:
            # Only the keyid, which nobody believes, or the space around the document was touched.
            assert obeying(changed) == obeying(delivery)
            return
    refusing(changed)


@given(data=st.data())
def test_any_flipped_byte_of_the_proof_refuses_the_order(
    data: st.DataObject, refusing: Make, make_delivery: Make
) -> None:
    delivery = make_delivery()
    place = data.draw(st.integers(min_value=0, max_value=len(delivery.proof) - 1))
    node = bytearray(delivery.proof[place])
    node[data.draw(st.integers(min_value=0, max_value=31))] ^= data.draw(
        st.integers(min_value=1, max_value=255)
    )
    altered = (*delivery.proof[:place], bytes(node), *delivery.proof[place + 1 :])
    assert refusing(replace(delivery, proof=altered)).code is Code.PROOF_INVALID


# --- 1. signature, role, position, purpose ------------------------------------------------------------------


def test_an_order_of_a_stranger_is_refused(
    refusing: Make, make_delivery: Make, make_order: Make, keys: Any
) -> None:
    order = make_order(signer=keys.stranger.public.keyid)
    assert refusing(make_delivery(order, signer=keys.stranger)).code is Code.KEY_UNTRUSTED


@pytest.mark.parametrize("role", ["issuer", "boot", "root", "log"])
def test_an_order_of_another_role_of_the_controller_is_refused(
    role: str, refusing: Make, make_delivery: Make, make_order: Make, keys: Any
) -> None:
    signer = getattr(keys, role)
    delivery = make_delivery(make_order(signer=signer.public.keyid), signer=signer)
    assert refusing(delivery).code is Code.KEY_UNTRUSTED


def test_an_order_of_a_withdrawn_key_is_refused(
    refusing: Make, make_delivery: Make, trust: TrustRoot, altered: Make
) -> None:
    limited = altered(trust, "keys.0.valid_until_seq", 3)
    assert refusing(make_delivery(), trust=limited).code is Code.KEY_REVOKED_AT_INDEX


def test_a_demonstrations_order_is_refused_in_production(
    refusing: Make, make_delivery: Make, make_order: Make
) -> None:
    assert refusing(make_delivery(make_order(purpose="demonstration"))).code is Code.PURPOSE_MISMATCH


def test_a_withdrawal_is_no_order(
    refusing: Make, make_delivery: Make, make_withdrawal: Make, signed: Make, keys: Any
) -> None:
    withdrawal = signed(make_withdrawal(), keys.order).write()
    assert refusing(replace(make_delivery(), order=withdrawal)).code is Code.TYPE_MISMATCH


# --- 2. the log ---------------------------------------------------------------------------------------------


def relogged(delivery: Delivery, log: Any, kind: LogKind, envelope: Envelope) -> Delivery:
    """The delivery with its order standing in another log, as `kind`, where `envelope` was appended."""
    entry = log.append(envelope, kind)
    proof = log.proof(entry.seq)
    return replace(delivery, log_entry=entry.write(), proof=proof.hashes, checkpoint=proof.checkpoint_note)


def test_an_order_that_was_logged_as_something_else_is_refused(
    refusing: Make, obeying: Make, make_delivery: Make, make_log: Make, trust: TrustRoot
) -> None:
    delivery = make_delivery()
    envelope = dsse.read(delivery.order)
    obeying(relogged(delivery, make_log(trust), LogKind.ORDER, envelope))
    as_outcome = relogged(delivery, make_log(trust), LogKind.OUTCOME, envelope)
    assert refusing(as_outcome).code is Code.NOT_LOGGED


def test_the_entry_of_another_order_is_refused(
    refusing: Make,
    make_delivery: Make,
    make_order: Make,
    signed_order: Make,
    make_log: Make,
    trust: TrustRoot,
) -> None:
    other = signed_order(make_order(nonce="ab" * 16))
    delivery = relogged(make_delivery(), make_log(trust), LogKind.ORDER, other)
    assert refusing(delivery).code is Code.NOT_LOGGED


def test_a_proof_for_another_place_is_refused(refusing: Make, make_delivery: Make) -> None:
    delivery = make_delivery()
    moved = delivery.log_entry.replace(b"seq 3\n", b"seq 2\n")
    assert moved != delivery.log_entry
    assert refusing(replace(delivery, log_entry=moved)).code is Code.PROOF_INVALID


def test_an_entry_of_another_grammar_is_refused(refusing: Make, make_delivery: Make) -> None:
    delivery = make_delivery()
    altered = delivery.log_entry.replace(b"seq 3", b"seq 03")
    assert refusing(replace(delivery, log_entry=altered)).code is Code.ENTRY_INVALID


def test_a_checkpoint_from_before_the_order_is_refused(
    refusing: Make, make_delivery: Make, make_log: Make, trust: TrustRoot
) -> None:
    delivery = replace(make_delivery(), checkpoint=make_log(trust).checkpoint())
    assert refusing(delivery).code is Code.PROOF_INVALID


def test_a_checkpoint_of_another_log_is_refused(
    refusing: Make, make_delivery: Make, make_trust: Make, keys: Any
) -> None:
    foreign = make_trust(domain="other.example")
    delivery = make_delivery(trust=foreign)
    assert refusing(delivery).code is Code.CHECKPOINT_INVALID


def test_a_checkpoint_signed_by_anyone_else_is_refused(
    refusing: Make, make_delivery: Make, make_trust: Make, keys: Any
) -> None:
    delivery = make_delivery(trust=make_trust(log_key=keys.stranger.public))
    assert refusing(delivery).code is Code.CHECKPOINT_INVALID


def test_an_order_anchored_in_another_log_or_in_its_own_future_is_refused(
    refusing: Make, obeying: Make, make_delivery: Make, make_order: Make
) -> None:
    anchor = make_order().anchor.model_dump(mode="json")
    obeying(make_delivery(make_order(anchor={**anchor, "size": 3})))
    for wrong in ({**anchor, "size": 4}, {**anchor, "origin": "other.example/expunge-log/00000000"}):
        assert refusing(make_delivery(make_order(anchor=wrong))).code is Code.CHECKPOINT_INVALID


# --- 3. this boot, this hello -------------------------------------------------------------------------------


def test_an_order_for_another_boot_is_refused(refusing: Make, make_delivery: Make) -> None:
    assert refusing(make_delivery(), boot_id="00" * 32).code is Code.ORDER_FOR_ANOTHER_BOOT


def test_an_order_that_answers_an_older_hello_is_refused(refusing: Make, make_delivery: Make) -> None:
    assert refusing(make_delivery(), hello_nonce="00" * 16).code is Code.ORDER_EXPIRED


# --- 4. alive -----------------------------------------------------------------------------------------------


def test_an_order_lives_until_its_last_millisecond(
    obeying: Make, refusing: Make, make_delivery: Make
) -> None:
    delivery = make_delivery()
    obeying(delivery, now_ms=HELLO_AT_MS)
    obeying(delivery, now_ms=HELLO_AT_MS + VALID_FOR_MS - 1)
    assert refusing(delivery, now_ms=HELLO_AT_MS + VALID_FOR_MS).code is Code.ORDER_EXPIRED


def test_a_clock_that_ran_backwards_expires_the_order(refusing: Make, make_delivery: Make) -> None:
    assert refusing(make_delivery(), now_ms=HELLO_AT_MS - 1).code is Code.ORDER_EXPIRED


# --- 5. the plan --------------------------------------------------------------------------------------------


def test_a_plan_other_than_the_approved_one_is_refused(
    refusing: Make, make_delivery: Make, make_order: Make
) -> None:
    assert refusing(make_delivery(make_order(plan_digest="00" * 32))).code is Code.PLAN_MISMATCH


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("media.0.capacity_bytes", 1),
        ("media.0.techniques", ["nvme_sanitize_block"]),
        ("media.0.commitment", "00" * 32),
        ("data_class", "other"),
        ("residue", []),
        ("policy_digest", "00" * 32),
    ],
)
def test_one_changed_word_of_the_plan_is_refused(
    path: str, value: Any, refusing: Make, make_delivery: Make, make_order: Make, altered: Make
) -> None:
    order = altered(make_order(), f"plan.{path}", value)
    assert refusing(make_delivery(order)).code is Code.PLAN_MISMATCH


@pytest.mark.parametrize(
    "changes", [{"boot_id": "00" * 32}, {"deprovision": "dep_" + "00" * 16}, {"host_commitment": "00" * 32}]
)
def test_a_plan_for_another_boot_deprovision_or_host_is_refused(
    changes: dict[str, Any], refusing: Make, make_delivery: Make, make_order: Make, make_plan: Make
) -> None:
    order = make_order(plan=make_plan(**changes))
    assert refusing(make_delivery(order)).code is Code.PLAN_MISMATCH


def test_a_host_whose_facts_do_not_make_it_is_refused(
    refusing: Make, make_delivery: Make, make_order: Make, altered: Make
) -> None:
    order = altered(make_order(), "host.facts.0.commitment", "00" * 32)
    assert refusing(make_delivery(order)).code is Code.PLAN_MISMATCH


# --- 6. the validation table --------------------------------------------------------------------------------


def test_a_table_that_no_root_key_signed_is_refused(refusing: Make, make_delivery: Make, keys: Any) -> None:
    for signer in (keys.order, keys.issuer, keys.stranger):
        assert refusing(make_delivery(table_signer=signer)).code is Code.KEY_UNTRUSTED


def test_another_table_than_the_plan_names_is_refused(
    refusing: Make, make_delivery: Make, make_table: Make
) -> None:
    delivery = make_delivery(table=make_table(version=2))
    assert refusing(delivery).code is Code.PLAN_MISMATCH


def test_a_class_of_data_that_the_table_does_not_know_is_refused(
    refusing: Make, make_delivery: Make, make_order: Make, make_plan: Make
) -> None:
    order = make_order(plan=make_plan(data_class="medical"))
    refusal = refusing(make_delivery(order))
    assert refusal.code is Code.PLAN_MISMATCH
    assert "no rule" in refusal.reason


@pytest.mark.parametrize(("floor", "asked"), [("clear", "purge"), ("purge", "clear")])
def test_another_floor_than_the_tables_is_refused(
    floor: str,
    asked: str,
    refusing: Make,
    make_delivery: Make,
    make_order: Make,
    make_table: Make,
    planned_under: Make,
) -> None:
    table = make_table(
        rules=[
            {
                "data_class": "default",
                "floor": asked,
                "approvals_required": 0,
                "overwrite": "keystream",
                "read_back": "full",
                "escrow": "unknown",
            }
        ]
    )
    order = make_order(plan=planned_under(table, floor=floor))
    refusal = refusing(make_delivery(order, table=table))
    assert refusal.code is Code.PLAN_MISMATCH
    assert "floor" in refusal.reason


@pytest.mark.parametrize(("said", "tables"), [("none", "unknown"), ("none", "known"), ("unknown", "known")])
def test_another_word_of_copies_of_keys_than_the_tables_is_refused(
    said: str,
    tables: str,
    refusing: Make,
    obeying: Make,
    make_delivery: Make,
    make_order: Make,
    make_table: Make,
    planned_under: Make,
    altered: Make,
) -> None:
    table = altered(make_table(), "rules.0.escrow", tables)
    plan = planned_under(table)
    obeying(make_delivery(make_order(plan=plan, escrow=tables), table=table))
    refusal = refusing(make_delivery(make_order(plan=plan, escrow=said), table=table))
    assert refusal.code is Code.ESCROW_MISMATCH
    assert f"the order says {said}" in refusal.reason


def test_a_demonstrations_table_is_refused_in_production(
    refusing: Make, make_delivery: Make, make_order: Make, make_table: Make, planned_under: Make
) -> None:
    table = make_table(purpose="demonstration")
    order = make_order(plan=planned_under(table))
    assert refusing(make_delivery(order, table=table)).code is Code.PURPOSE_MISMATCH


# --- 7. approvals -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by(make_approval: Make) -> Callable[..., Callable[[str], tuple[Envelope, ...]]]:
    """by(alice, bob, **changes): each says yes to the plan."""

    def make(*people: Any, **changes: Any) -> Callable[[str], tuple[Envelope, ...]]:
        return lambda plan_digest: tuple(
            make_approval(person, **({"plan_digest": plan_digest} | changes)) for person in people
        )

    return make


@pytest.fixture(scope="module")
def requested_by(make_approval: Make) -> Callable[..., Callable[[str], tuple[Envelope, ...]]]:
    """requested_by(alice, bob): Alice requests, Bob approves just that."""

    def make(requester: Any, *approvers: Any) -> Callable[[str], tuple[Envelope, ...]]:
        def approve(plan_digest: str) -> tuple[Envelope, ...]:
            request = make_approval(requester, kind="request", plan_digest=plan_digest, nonce="ab" * 16)
            answers = (
                make_approval(approver, plan_digest=plan_digest, request_digest=request.payload_digest)
                for approver in approvers
            )
            return (request, *answers)

        return approve

    return make


@pytest.mark.parametrize("required", [0, 1, 2])
def test_as_many_approvals_as_the_table_asks_are_enough(
    required: int, obeying: Make, refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    people = (keys.alice, keys.bob)[:required]
    obeying(approved(required, by(*people)))
    if required:
        assert refusing(approved(required, by(*people[1:]))).code is Code.APPROVALS_MISSING


@pytest.mark.parametrize("required", [0, 1, 2])
def test_a_wipe_by_hand_needs_a_request_and_a_second_person_whatever_the_table_asks(
    required: int, obeying: Make, refusing: Make, approved: Make, by: Make, requested_by: Make, keys: Any
) -> None:
    obeying(approved(required, requested_by(keys.alice, keys.bob), trigger="manual"))
    for approve in (
        by(),
        by(keys.alice),
        by(keys.alice, keys.bob),
        requested_by(keys.alice),
        requested_by(keys.alice, keys.alice),
    ):
        assert refusing(approved(required, approve, trigger="manual")).code is Code.APPROVALS_MISSING


def test_an_order_that_says_it_needs_more_than_the_table_gets_more(
    refusing: Make, make_delivery: Make, make_order: Make
) -> None:
    order = make_order(basis={"approvals_required": 2})
    assert refusing(make_delivery(order)).code is Code.APPROVALS_MISSING


@pytest.mark.parametrize("required", [0, 1, 2])
def test_one_person_stands_behind_one_approval(
    required: int, refusing: Make, approved: Make, make_approval: Make, keys: Any
) -> None:
    def approve(plan_digest: str) -> tuple[Envelope, ...]:
        return tuple(
            make_approval(keys.alice, plan_digest=plan_digest, nonce=nonce)
            for nonce in ("ab" * 16, "cd" * 16)
        )

    assert refusing(approved(required, approve)).code is Code.APPROVALS_MISSING


def test_who_requested_does_not_approve(
    refusing: Make, approved: Make, requested_by: Make, keys: Any
) -> None:
    refusal = refusing(approved(1, requested_by(keys.alice, keys.alice)))
    assert refusal.code is Code.APPROVALS_MISSING
    assert "its own request" in refusal.reason


def test_a_request_alone_approves_nothing(
    refusing: Make, approved: Make, requested_by: Make, keys: Any
) -> None:
    assert "nobody approved" in refusing(approved(1, requested_by(keys.alice))).reason


def test_an_approval_of_a_request_that_did_not_come_along_is_refused(
    refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    refusal = refusing(approved(1, by(keys.alice, request_digest="00" * 32)))
    assert refusal.code is Code.APPROVALS_MISSING


def test_a_request_that_answers_a_request_is_refused(
    refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    refusal = refusing(approved(1, by(keys.alice, kind="request", request_digest="00" * 32)))
    assert refusal.code is Code.SUBJECT_MISMATCH


def test_an_approval_by_nobody_enrolled_is_refused(
    refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    for person in (keys.carol, keys.stranger, keys.order):
        assert refusing(approved(1, by(person))).code is Code.KEY_UNTRUSTED


def test_an_approver_counts_only_from_its_day_on(
    obeying: Make, refusing: Make, approved: Make, by: Make, make_decision: Make, keys: Any
) -> None:
    for effective_at, counts in (("2026-11-22T10:00:00Z", True), ("2026-11-22T10:00:01Z", False)):
        enrolments = tuple(
            make_decision(person, effective_at=effective_at) for person in (keys.alice, keys.bob)
        )
        delivery = approved(1, by(keys.carol), enrolments=enrolments)
        if counts:
            obeying(delivery)
        else:
            assert refusing(delivery).code is Code.KEY_UNTRUSTED


def test_an_approval_of_another_plan_or_deprovision_is_refused(
    refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    for changes in ({"plan_digest": "00" * 32}, {"deprovision": "dep_" + "00" * 16}):
        assert refusing(approved(1, by(keys.alice, **changes))).code is Code.PLAN_MISMATCH


def test_an_approval_whose_subject_is_another_plan_is_refused(
    refusing: Make, approved: Make, make_approval: Make, signed: Make, keys: Any
) -> None:
    def approve(plan_digest: str) -> tuple[Envelope, ...]:
        envelope = make_approval(keys.alice, plan_digest=plan_digest)
        predicate = read(envelope.payload, Approval).predicate
        return (signed(predicate, keys.alice, ("plan", "00" * 32)),)

    assert refusing(approved(1, approve)).code is Code.PLAN_MISMATCH


def test_an_approval_that_had_expired_when_the_order_was_issued_is_refused(
    obeying: Make, refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    obeying(approved(1, by(keys.alice, expires_at="2026-11-22T10:00:01Z")))
    expired = approved(1, by(keys.alice, expires_at="2026-11-22T10:00:00Z"))
    assert refusing(expired).code is Code.APPROVALS_MISSING


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"expires_at": "2026-11-23T09:50:00Z"}, True),
        ({"expires_at": "2026-11-23T09:50:01Z"}, False),
        ({"issued_at": "2026-11-22T10:00:00Z", "expires_at": "2026-11-22T10:00:01Z"}, True),
        ({"issued_at": "2026-11-22T10:00:01Z"}, False),
    ],
)
def test_an_approval_is_given_before_the_order_and_for_a_day_at_most(
    changes: dict[str, str], holds: bool, obeying: Make, refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    delivery = approved(1, by(keys.alice, **changes))
    if holds:
        obeying(delivery)
    else:
        assert refusing(delivery).code is Code.APPROVALS_MISSING


def test_a_demonstrations_approval_is_refused_in_production(
    refusing: Make, approved: Make, by: Make, keys: Any
) -> None:
    assert refusing(approved(1, by(keys.alice, purpose="demonstration"))).code is Code.PURPOSE_MISMATCH


def test_other_approvals_than_the_order_was_based_on_are_refused(
    refusing: Make, approved: Make, by: Make, make_approval: Make, keys: Any
) -> None:
    delivery = approved(1, by(keys.alice))
    exchanged = replace(delivery, approvals=(make_approval(keys.bob).write(),))
    more = replace(delivery, approvals=(*delivery.approvals, make_approval(keys.bob).write()))
    for wrong in (exchanged, more):
        assert refusing(wrong).code is Code.APPROVALS_MISSING


def test_approvals_without_end_are_refused_before_they_are_read(refusing: Make, make_delivery: Make) -> None:
    delivery = replace(make_delivery(), approvals=(b"not even an envelope",) * (MAX_APPROVALS + 1))
    assert refusing(delivery).code is Code.LIMIT_EXCEEDED


def test_an_order_in_the_place_of_an_approval_is_refused(
    refusing: Make, make_delivery: Make, make_order: Make, signed_order: Make, keys: Any
) -> None:
    order: Order = make_order()
    delivery = replace(make_delivery(), approvals=(signed_order(order, keys.alice).write(),))
    assert refusing(delivery).code is Code.TYPE_MISMATCH
