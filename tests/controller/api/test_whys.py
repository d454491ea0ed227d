"""Why an order was made is told by its own bytes; what the store says otherwise by now is not hidden."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import update

from certificate import envelope as dsse
from certificate.statements import Order
from certificate.statements import statement as statements
from certificate.statements.people import DecisionKind
from controller.api.documents import Why
from controller.api.whys import GONE, OTHERWISE, why
from controller.cli import text
from controller.states import State
from controller.store import decisions, observations, orders, plans


@pytest.fixture
def intended(world: Any, people: Any) -> Any:
    """A wipe by hand that two people agreed on, its order made."""
    world._beat("ended")
    people.decide(world, world.operators[0], DecisionKind.WIPE, host="host-1")
    world.run(until=lambda world: world.state is State.PLANNED)
    people.request(world, world.operators[0])
    people.approve(world, world.operators[1])
    world.run(until=lambda world: world.state is State.INTENDED)
    return world


def stored(world: Any) -> orders.StoredOrder:
    with world.program.store.snapshot() as tx:
        found: orders.StoredOrder = orders.of_deprovision(tx, world.key)[-1]
    return found


def signed(world: Any) -> Order:
    return statements.read(dsse.read(stored(world).envelope).payload, Order).predicate


def told(world: Any, **changes: Any) -> Why:
    configuration = world.program.configuration
    options = {"source": configuration.source.name, "policy": configuration.policy, **changes}
    with world.program.store.snapshot() as tx:
        return why(tx, stored(world), **options)


def test_every_digest_that_is_printed_is_one_of_the_signed_order(intended: Any) -> None:
    answer, order = told(intended), signed(intended)
    payload = dsse.read(stored(intended).envelope).payload
    assert hashlib.sha256(payload).hexdigest() == answer.order_digest == answer.order_digest_recomputed
    assert order.plan.canonical_digest() == answer.plan_digest == answer.plan_digest_recomputed
    basis = order.basis
    quarantine = basis.quarantine
    assert quarantine != "not_applicable"
    said = {(each.question, each.answer_digest, each.sequence, each.asked_at) for each in answer.grounds}
    assert said == {
        ("tenancies", basis.tenancies.answer_digest, basis.tenancies.sequence, basis.tenancies.asked_at),
        *(("subscription", one.answer_digest, one.sequence, one.asked_at) for one in basis.answers),
        ("isolation", quarantine.answer_digest, quarantine.sequence, quarantine.asked_at),
    }
    assert [each.mismatch for each in answer.grounds] == [None] * 3
    shown = "\n".join(text._why(answer))
    for digest in {each.answer_digest for each in answer.grounds} | {answer.order_digest, answer.plan_digest}:
        assert digest in shown
    assert "MISMATCH" not in shown


def test_the_people_behind_it_are_named_with_what_they_signed(intended: Any) -> None:
    alice, bob = (key.public.keyid for key in intended.operators)
    answer, basis = told(intended), signed(intended).basis
    assert {(each.what, each.keyid) for each in answer.people} == {
        ("request", alice),
        ("approval", bob),
        ("wipe", alice),
    }
    named = {each.digest for each in basis.approvals}
    assert {each.digest for each in answer.people if each.what != "wipe"} == named
    assert all(each.mismatch is None for each in answer.people)


def test_the_policy_is_told_in_full_while_it_is_still_the_configured_one(intended: Any) -> None:
    policy = intended.program.configuration.policy
    answer = told(intended)
    assert (answer.policy.digest, answer.policy.text) == (signed(intended).basis.policy_digest, policy)
    changed = {**policy, "lifecycle": {**policy["lifecycle"], "version": 2}}
    assert told(intended, policy=changed).policy.text is None


def test_an_altered_observation_is_shown_as_a_mismatch(intended: Any) -> None:
    basis = signed(intended).basis
    row = observations.observation
    altered = update(row).where(row.c.sequence == basis.answers[0].sequence)
    with intended.program.store.transaction() as tx:
        tx.execute(altered.values(answer="active", raw_digest="0" * 64))
    answer = told(intended)
    (found,) = [each for each in answer.grounds if each.question == "subscription"]
    assert (found.word, found.answer_digest) == ("ended", basis.answers[0].answer_digest)
    assert found.mismatch == f"{OTHERWISE}: answer: active; digest: {'0' * 64}"
    assert [each.mismatch for each in answer.grounds if each is not found] == [None, None]
    assert f"MISMATCH: {OTHERWISE}" in "\n".join(text._why(answer))


def test_an_observation_that_is_gone_is_shown_as_gone(intended: Any) -> None:
    row = observations.observation
    with intended.program.store.transaction() as tx:
        tx.execute(row.delete().where(row.c.sequence == signed(intended).basis.tenancies.sequence))
    (found,) = [each for each in told(intended).grounds if each.question == "tenancies"]
    assert found.mismatch == GONE


def test_an_approval_that_was_swapped_or_lost_is_shown(intended: Any) -> None:
    approval = plans.approval
    with intended.program.store.transaction() as tx:
        rows = tx.execute(approval.select().order_by(approval.c.is_request)).all()
        yes, asked = rows
        swapped = update(approval).where(approval.c.payload_digest == yes.payload_digest)
        tx.execute(swapped.values(envelope=asked.envelope))
        tx.execute(approval.delete().where(approval.c.payload_digest == asked.payload_digest))
    mismatches = {each.digest: each.mismatch for each in told(intended).people}
    assert mismatches[asked.payload_digest] == GONE
    assert (mismatches[yes.payload_digest] or "").startswith(OTHERWISE)


def test_an_order_whose_stored_digest_was_altered_is_told_by_its_bytes(intended: Any) -> None:
    row = orders.order
    with intended.program.store.transaction() as tx:
        tx.execute(row.update().values(payload_digest="1" * 64))
    answer = told(intended)
    assert answer.order_digest == "1" * 64
    assert answer.order_digest_recomputed != answer.order_digest
    assert f"ITS BYTES GIVE {answer.order_digest_recomputed}" in "\n".join(text._why(answer))


def test_commands_are_told_with_who_signed_them(intended: Any, people: Any) -> None:
    people.leave(intended, intended.operators[1], "restore")
    (command,) = told(intended).commands
    (signer,) = command.signed
    assert (command.command, command.attempt, signer.mismatch) == ("restore", 1, None)
    with intended.program.store.snapshot() as tx:
        assert decisions.load(tx, signer.digest).keyid == intended.operators[1].public.keyid
