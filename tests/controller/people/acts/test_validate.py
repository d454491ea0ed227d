"""A person's validation, from what the table escalates to a certificate that names the person."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.keys import PrivateKey
from certificate.statements import Decision, Outcome
from certificate.statements import statement as statements
from certificate.statements.people import DecisionKind
from certificate.statements.validation import ValidationRow
from certificate.statements.vocabulary import Escrow
from certificate.verify import Verified, verify
from controller.api import attention
from controller.api.stories import story
from controller.bundles import assemble
from controller.errors import Code
from controller.people import acceptance
from controller.people.acts import freeze
from controller.serving import take_up_table
from controller.states import State
from controller.store import audit, commands, decisions, evidence, ledger, orders, outcomes
from controller.store.events import OperatorCommanded

ABOUT = {"host": "host-1", "choice": "accept"}
REJECT = {"host": "host-1", "choice": "reject"}


def crew_in(world: Any, signing: Any) -> Any:
    alice, bob = world.operators
    return signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)


@pytest.fixture
def escalated(found_world: Callable[..., Any], signing: Any) -> Any:
    """A drive that only unmaps: its own word is all there is, and the table leaves that to a person."""
    crew = crew_in(found_world(faults=["deallocates_only"]), signing)
    crew.world.end_subscription()
    needs_operator(crew)
    return crew


@pytest.fixture
def by_hand(found_world: Callable[..., Any], signing: Any) -> Any:
    """The same, requested by alice and approved by bob; carol is the third operator."""
    crew = crew_in(found_world(faults=["deallocates_only"]), signing)
    signing.begin_by_hand(crew)
    crew.people.request(by=crew.alice)
    crew.people.approve(by=crew.bob)
    needs_operator(crew)
    return crew


def decided(table: Any, decision: str) -> Any:
    """The rows of a table, and one for a drive's own word."""
    row = {
        "data_class": "default",
        "media": "self_encrypting_nvme",
        "technique": "nvme_sanitize_crypto",
        "grade": "device-reported",
        "decision": decision,
    }
    return (*table.rows, ValidationRow.model_validate_json(json.dumps(row)))


def needs_operator(crew: Any) -> None:
    crew.world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert crew.world.state is State.NEEDS_OPERATOR, crew.world.state


def settle(crew: Any) -> State:
    """A few rounds more than any state needs."""
    for _ in range(12):
        crew.world.step(lambda world: False)
    state: State = crew.world.state
    return state


def stranger_reads(crew: Any) -> Verified:
    """What `verify` says of the one certificate."""
    program = crew.program
    with program.store.snapshot() as tx:
        (outcome,) = outcomes.of_deprovision(tx, crew.world.key)
        bundle = assemble(tx, outcome, program.documents.signed_files).bundle
    return verify(bundle, program.documents.trust, program.documents.policy)


def told(crew: Any) -> attention.Attention:
    with crew.program.store.snapshot() as tx:
        return attention.told(tx, crew.program)


def evidence_digest(crew: Any) -> str:
    with crew.program.store.snapshot() as tx:
        order = orders.latest(tx, crew.world.key, attempt=crew.world.deprovision.attempt)
        assert order is not None
        seen = evidence.of_order(tx, order.id)
        assert seen is not None
        return seen.payload_digest


def hand_in_refused(crew: Any, signed: bytes) -> str:
    """The code with which a decision to accept is refused."""
    refused: str = crew.refused(lambda: crew.people.hand_in("validate", ABOUT, signed))
    return refused


# --- what waits, and what it says ---------------------------------------------------------------------------


def test_a_drives_own_word_waits_for_a_person_who_is_told_what_to_do(escalated: Any) -> None:
    row = escalated.world.deprovision
    assert row.operator_code == Code.VALIDATION_AWAITED.value
    assert "default, self_encrypting_nvme, nvme_sanitize_crypto, device-reported" in row.operator_reason
    assert "expunge validate" in row.operator_reason
    (awaited,) = told(escalated).validations
    assert (awaited.host, awaited.evidence) == ("host-1", evidence_digest(escalated))
    assert [each.row for each in awaited.media] == [
        "default, self_encrypting_nvme, nvme_sanitize_crypto, device-reported"
    ]
    assert awaited.not_by == ()


def test_without_a_person_nothing_is_certified_and_nothing_released(escalated: Any) -> None:
    escalated.pass_time(timedelta(days=30))
    assert settle(escalated) is State.NEEDS_OPERATOR
    assert escalated.world.switch.is_cut
    with escalated.program.store.snapshot() as tx:
        assert outcomes.of_deprovision(tx, escalated.world.key) == ()


def test_the_matter_lists_each_medium_with_claim_reasons_limits_and_the_tables_word(escalated: Any) -> None:
    shown = escalated.people.show("validate", ABOUT)
    facts = shown.matter.facts
    assert (facts["host"], facts["evidence"]) == ("host-1", evidence_digest(escalated))
    (medium,) = facts["media"]
    assert (medium["is_decided_on"], medium["table_says"]) == ("yes", "escalate")
    assert medium["claim"] == "erased, purge, device-reported"
    assert medium["reasons"]
    assert medium["limits"]
    assert (shown.matter.words, shown.matter.people_needed) == ("accept host-1", 1)


def word_in_force(crew: Any, about: dict[str, str]) -> str:
    (medium,) = crew.people.show("validate", about).matter.facts["media"]
    return str(medium["table_in_force_says"])


def under(crew: Any, **changes: Any) -> None:
    """Under the next table, with these changes."""
    crew.world.sign_table(**changes)
    object.__setattr__(crew.people, "program", crew.world.program)


def test_the_matter_says_what_the_table_in_force_says_and_by_which_row(escalated: Any) -> None:
    case = "default, self_encrypting_nvme, nvme_sanitize_crypto, device-reported"
    assert word_in_force(escalated, ABOUT) == f"escalate: no row names {case}"
    under(escalated, rows=decided(escalated.world.documents.table, "accept"))
    assert word_in_force(escalated, ABOUT) == f"accept: the row {case}"
    facts = escalated.people.show("validate", ABOUT).matter.facts
    assert facts["table_in_force"] == f"version 2, {escalated.world.documents.table_digest}"
    assert facts["media"][0]["table_says"] == "escalate", "the order's own table stays its judge"


def test_once_copies_of_keys_are_known_nobody_accepts_a_cryptographic_erase(escalated: Any) -> None:
    signed = escalated.people.decision(escalated.people.show("validate", ABOUT), escalated.bob)
    rules = escalated.world.documents.table.model_dump(by_alias=True)["rules"]
    under(escalated, rules=tuple(rule | {"escrow": Escrow.KNOWN} for rule in rules))
    assert hand_in_refused(escalated, signed) == "TABLE_REJECTS"
    assert escalated.refused(lambda: escalated.people.show("validate", ABOUT)) == "TABLE_REJECTS"
    escalated.people.decide("validate", REJECT, by=escalated.bob)


def test_what_the_table_in_force_rejects_by_now_nobody_accepts_and_anybody_uninvolved_rejects(
    escalated: Any,
) -> None:
    signed = escalated.people.decision(escalated.people.show("validate", ABOUT), escalated.bob)
    under(escalated, rows=decided(escalated.world.documents.table, "reject"))
    assert hand_in_refused(escalated, signed) == "TABLE_REJECTS"
    assert escalated.refused(lambda: escalated.people.show("validate", ABOUT)) == "TABLE_REJECTS"
    assert settle(escalated) is State.NEEDS_OPERATOR
    assert word_in_force(escalated, REJECT).startswith("reject: the row default")
    assert escalated.people.decide("validate", REJECT, by=escalated.bob).done is not None


def test_a_program_under_an_older_table_takes_no_decision_on_a_result(escalated: Any) -> None:
    older = escalated.world.documents
    take_up_table(escalated.program)
    escalated.world.sign_table()
    escalated.world.documents = older
    escalated.world.close()
    object.__setattr__(escalated.people, "program", escalated.world.program)
    for about in (ABOUT, REJECT):
        assert escalated.refused(lambda it=about: escalated.people.show("validate", it)) == "TABLE_SUPERSEDED"


# --- accepting ----------------------------------------------------------------------------------------------


def test_one_uninvolved_operator_accepts_and_a_stranger_sees_who_by_key(escalated: Any) -> None:
    taken = escalated.people.decide("validate", ABOUT, by=escalated.bob)
    assert taken.done is not None
    escalated.world.run()
    assert (escalated.world.state, escalated.world.switch.is_cut) == (State.RELEASED, False)
    found = stranger_reads(escalated)
    validation = found.outcome.validation
    assert not isinstance(validation, str)
    assert (validation.validated_by, validation.role.value) == (escalated.bob.public.keyid, "operator")
    assert validation.decided_by == taken.decision
    assert found.claim.grade.value == "device-reported"
    with escalated.program.store.snapshot() as tx:
        audit.check(tx)


def test_who_requested_or_approved_may_not_validate_and_a_third_person_may(by_hand: Any) -> None:
    assert sorted(told(by_hand).validations[0].not_by) == sorted(
        (by_hand.alice.public.keyid, by_hand.bob.public.keyid)
    )
    for involved in (by_hand.alice, by_hand.bob):
        refused = by_hand.refused(lambda who=involved: by_hand.people.decide("validate", ABOUT, by=who))
        assert refused == "VALIDATOR_INVOLVED"
    assert settle(by_hand) is State.NEEDS_OPERATOR
    carol = by_hand.newcomer()
    by_hand.people.decide("validate", ABOUT, by=carol)
    by_hand.world.run()
    assert by_hand.world.state is State.RELEASED
    validation = stranger_reads(by_hand).outcome.validation
    assert not isinstance(validation, str)
    assert validation.validated_by == carol.public.keyid


def test_an_involved_person_rejects_nothing_either_and_leaves_no_trace(by_hand: Any) -> None:
    refused = by_hand.refused(lambda: by_hand.people.decide("validate", REJECT, by=by_hand.alice))
    assert refused == "VALIDATOR_INVOLVED"
    with by_hand.program.store.snapshot() as tx:
        assert decisions.carried_out(tx, DecisionKind.VALIDATE, on_digest=evidence_digest(by_hand)) == ()


def test_who_commanded_the_retry_may_not_validate_what_came_of_it(escalated: Any) -> None:
    escalated.people.decide("exit", {"exit": "retry", "host": "host-1"}, by=escalated.alice)
    escalated.world.run(until=lambda world: world.state is State.SCHEDULED)
    needs_operator(escalated)
    assert escalated.world.deprovision.attempt == 2
    assert told(escalated).validations[0].not_by == (escalated.alice.public.keyid,)
    for about in (ABOUT, REJECT):
        refused = escalated.refused(
            lambda about=about: escalated.people.decide("validate", about, by=escalated.alice)
        )
        assert refused == "VALIDATOR_INVOLVED"
    escalated.people.decide("validate", ABOUT, by=escalated.bob)
    escalated.world.run()
    assert escalated.world.state is State.RELEASED


def test_who_began_the_wipe_by_hand_may_not_validate_it(escalated: Any) -> None:
    with escalated.program.store.transaction() as tx:
        event = OperatorCommanded(
            deprovision=escalated.world.key,
            command="wipe",
            keyid=escalated.alice.public.keyid,
            attempt=1,
            decision_digest="ab" * 32,
        )
        ledger.append(tx, event, now=escalated.world.now())
    refused = escalated.refused(lambda: escalated.people.decide("validate", ABOUT, by=escalated.alice))
    assert refused == "VALIDATOR_INVOLVED"


def test_the_decision_is_over_the_evidence_and_holds_what_was_shown(escalated: Any) -> None:
    shown = escalated.people.show("validate", ABOUT)
    signed = escalated.people.decision(shown, escalated.alice)
    decision = statements.read(dsse.read(signed).payload, Decision).predicate
    assert decision.on == evidence_digest(escalated)
    assert decision.document_digest == shown.matter.signed_document
    other = escalated.people.decision(shown, escalated.alice, document_digest="cd" * 32)
    assert (
        escalated.refused(lambda: escalated.people.hand_in("validate", ABOUT, other)) == "DECISION_MISMATCH"
    )


def test_the_choice_that_was_signed_is_the_choice_that_is_taken(escalated: Any) -> None:
    signed = escalated.people.decision(escalated.people.show("validate", REJECT), escalated.alice)
    assert (
        escalated.refused(lambda: escalated.people.hand_in("validate", ABOUT, signed)) == "DECISION_MISMATCH"
    )


@pytest.mark.parametrize("choice", ["escalate", "yes", "ACCEPT"])
def test_a_choice_is_accept_or_reject(escalated: Any, choice: str) -> None:
    about = ABOUT | {"choice": choice}
    assert escalated.refused(lambda: escalated.people.show("validate", about)) == "DECISION_MISMATCH"


def test_a_stranger_to_the_roster_validates_nothing(escalated: Any) -> None:
    stranger = PrivateKey.generate()
    refused = escalated.refused(lambda: escalated.people.decide("validate", ABOUT, by=stranger))
    assert refused == "NOT_AN_OPERATOR"


def test_who_is_revoked_before_it_is_carried_out_has_accepted_nothing(escalated: Any) -> None:
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    escalated.people.decide("revoke", {"keyid": escalated.alice.public.keyid}, by=escalated.bob)
    assert settle(escalated) is State.NEEDS_OPERATOR
    escalated.people.decide("validate", ABOUT, by=escalated.bob)
    escalated.world.run()
    assert escalated.world.state is State.RELEASED
    validation = stranger_reads(escalated).outcome.validation
    assert not isinstance(validation, str)
    assert validation.validated_by == escalated.bob.public.keyid


def test_it_is_accepted_once_and_then_waits_for_nobody(escalated: Any) -> None:
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    assert told(escalated).validations == ()
    refused = escalated.refused(lambda: escalated.people.decide("validate", REJECT, by=escalated.bob))
    assert refused == "VALIDATION_NOT_DUE"


def test_the_why_of_a_case_names_who_accepted(escalated: Any) -> None:
    escalated.people.decide("validate", ABOUT, by=escalated.bob)
    with escalated.program.store.snapshot() as tx:
        why = story(tx, escalated.world.key, source="billing", policy={}).why
    assert why is not None
    assert [(each.what, each.keyid) for each in why.people] == [
        ("validate:accept", escalated.bob.public.keyid)
    ]


# --- rejecting ----------------------------------------------------------------------------------------------


def test_a_rejected_result_is_accepted_by_nobody_afterwards(escalated: Any) -> None:
    taken = escalated.people.decide("validate", REJECT, by=escalated.alice)
    assert "rejected" in str(taken.done)
    assert settle(escalated) is State.NEEDS_OPERATOR
    assert told(escalated).validations == ()
    refused = escalated.refused(lambda: escalated.people.decide("validate", ABOUT, by=escalated.bob))
    assert refused == "VALIDATION_REJECTED"
    with escalated.program.store.snapshot() as tx:
        assert outcomes.of_deprovision(tx, escalated.world.key) == ()
        assert commands.of_deprovision(tx, escalated.world.key) == ()


def test_an_acceptance_that_was_signed_before_the_rejection_counts_no_more(escalated: Any) -> None:
    signed = escalated.people.decision(escalated.people.show("validate", ABOUT), escalated.alice)
    escalated.people.decide("validate", REJECT, by=escalated.bob)
    assert (
        escalated.refused(lambda: escalated.people.hand_in("validate", ABOUT, signed))
        == "VALIDATION_REJECTED"
    )
    assert settle(escalated) is State.NEEDS_OPERATOR


def test_after_a_rejection_a_new_attempt_is_judged_and_validated_anew(escalated: Any) -> None:
    escalated.people.decide("validate", REJECT, by=escalated.alice)
    first = evidence_digest(escalated)
    escalated.people.decide("exit", {"exit": "retry", "host": "host-1"}, by=escalated.bob)
    escalated.world.run(until=lambda world: world.state is State.SCHEDULED)
    needs_operator(escalated)
    assert evidence_digest(escalated) != first
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    escalated.world.run()
    assert escalated.world.state is State.RELEASED


# --- what no person can accept ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lies", "fails"])
def test_a_medium_that_is_not_erased_is_accepted_by_nobody(
    found_world: Callable[..., Any], signing: Any, fault: str
) -> None:
    crew = crew_in(found_world(faults=[fault]), signing)
    crew.world.end_subscription()
    needs_operator(crew)
    assert crew.world.deprovision.operator_code == Code.PERSON_MUST_DECIDE.value
    assert told(crew).validations == ()
    assert crew.refused(lambda: crew.people.decide("validate", ABOUT, by=crew.alice)) == "VALIDATION_NOT_DUE"


def test_what_the_table_rejects_is_accepted_by_nobody(found_world: Callable[..., Any], signing: Any) -> None:
    world = found_world(faults=["deallocates_only"])
    world.sign_table(rows=decided(world.documents.table, "reject"))
    crew = crew_in(world, signing)
    world.end_subscription()
    needs_operator(crew)
    assert world.deprovision.operator_code == Code.VALIDATION_REJECTED.value
    assert "rejects default, self_encrypting_nvme" in world.deprovision.operator_reason
    assert crew.refused(lambda: crew.people.decide("validate", ABOUT, by=crew.alice)) == "VALIDATION_NOT_DUE"
    assert settle(crew) is State.NEEDS_OPERATOR


@pytest.mark.parametrize("state", [State.SCHEDULED, State.STAGED, State.ERASING])
def test_nothing_is_validated_before_its_evidence_needs_a_person(
    world_in: Callable[[State], Any], signing: Any, state: State
) -> None:
    crew = crew_in(world_in(state), signing)
    assert crew.refused(lambda: crew.people.decide("validate", ABOUT, by=crew.alice)) == "VALIDATION_NOT_DUE"


def test_an_acceptance_is_carried_out_only_once_a_freeze_is_lifted(escalated: Any) -> None:
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    with escalated.program.store.transaction() as tx:
        freeze.begin(tx, escalated.program, reason="look first")
    assert settle(escalated) is State.NEEDS_OPERATOR


def test_an_outcome_names_the_decision_that_the_bundle_carries(escalated: Any) -> None:
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    escalated.world.run()
    with escalated.program.store.snapshot() as tx:
        (stored,) = outcomes.of_deprovision(tx, escalated.world.key)
        bundle = assemble(tx, stored, escalated.program.documents.signed_files).bundle
    outcome = statements.read(stored.payload, Outcome).predicate
    assert not isinstance(outcome.validation, str)
    carried = {dsse.read(each.encode()).payload_digest for each in bundle.decisions}
    assert outcome.validation.decided_by in carried
    reason = json.loads(dsse.read(bundle.decisions[-1].encode()).payload)["predicate"]["reason"]
    assert reason == "a test"


def test_a_rejection_outweighs_an_acceptance_however_both_came_to_stand(escalated: Any) -> None:
    """The act takes no second word; a store that holds two certifies nothing."""
    rejected = escalated.people.decision(escalated.people.show("validate", REJECT), escalated.bob)
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    envelope = dsse.read(rejected)
    with escalated.program.store.transaction() as tx:
        now = escalated.world.now()
        read = statements.read(envelope.payload, Decision).predicate
        decisions.record(tx, envelope=envelope, read=read, now=now)
        decisions.mark_used(tx, [envelope.payload_digest], now=now)
    assert settle(escalated) is State.NEEDS_OPERATOR
    with escalated.program.store.snapshot() as tx:
        assert outcomes.of_deprovision(tx, escalated.world.key) == ()


def test_a_revoked_rejection_still_rejects(escalated: Any) -> None:
    escalated.people.decide("validate", REJECT, by=escalated.alice)
    escalated.people.decide("revoke", {"keyid": escalated.alice.public.keyid}, by=escalated.bob)
    with escalated.program.store.snapshot() as tx:
        found = acceptance.standing(
            tx, escalated.program.documents.trust, evidence_digest(escalated), now=escalated.world.now()
        )
    assert found is None
    refused = escalated.refused(lambda: escalated.people.decide("validate", ABOUT, by=escalated.bob))
    assert refused == "VALIDATION_REJECTED"


def test_the_tables_word_stays_in_the_verdict_beside_the_persons(escalated: Any) -> None:
    escalated.people.decide("validate", ABOUT, by=escalated.alice)
    with escalated.program.store.snapshot() as tx:
        order = orders.latest(tx, escalated.world.key, attempt=1)
        assert order is not None
        assert [each.decision.value for each in evidence.verdicts_of(tx, order.id)] == ["escalate"]
