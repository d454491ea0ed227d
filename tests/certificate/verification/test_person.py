"""A person's acceptance in a bundle: who may give it, of what, when, and each way in which it is wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from certificate.errors import Code, Refused
from certificate.policy import Policy
from certificate.statements.vocabulary import Result
from certificate.verify import Verified, verify

Story = Any
SIGNED_AT = "2026-11-22T10:00:35Z"
#: The outcome's own date in the sample story is 10:00:45.
AFTER_THE_OUTCOME = "2026-11-22T10:00:46Z"


class Person:
    """An operator who accepts what the table escalates, in the sample story."""

    def __init__(self, story: Story, tools: dict[str, Any], key: Any) -> None:
        self.story, self.tools, self.key = story, tools, key
        self.decision: dict[str, Any] = {"issued_at": SIGNED_AT, "effective_at": SIGNED_AT}
        self.validation: dict[str, Any] = {"decided_at": SIGNED_AT}
        self.enrolments: tuple[Any, ...] = ()
        story.tabled("rows.0.decision", "escalate")

    def enrolled(self, *sponsors: Any, **changes: Any) -> Person:
        self.enrolments = tuple(self.tools["make_decision"](each, **changes) for each in sponsors)
        return self

    def signed(self) -> Any:
        fields = {
            "kind": "validate",
            "on": self.story.envelopes["evidence"].payload_digest,
            "choice": "accept",
            "enrols": "not_applicable",
        }
        return self.tools["make_decision"](self.key, **(fields | self.decision))

    def told(self) -> Story:
        """The story with the person's decision in it."""
        self.story.build()
        decision = self.signed()
        self.story.decisions = (*self.enrolments, decision)
        validation = {
            "decision": "accept",
            "table_digest": self.story.envelopes["validation"].payload_digest,
            "decided_by": decision.payload_digest,
            "validated_by": self.key.public.keyid,
            "role": "operator",
        }
        return self.story.said("validation", validation | self.validation)

    def verified(self) -> Verified:
        story = self.told()
        return verify(story.build(), story.root, Policy.production())

    def refused(self) -> Code:
        with pytest.raises(Refused) as caught:
            self.verified()
        assert isinstance(caught.value.code, Code)
        return caught.value.code


@pytest.fixture
def crew(tools: dict[str, Any]) -> Any:
    return tools["keys"]


@pytest.fixture
def carol(story: Story, tools: dict[str, Any], crew: Any) -> Person:
    """A third operator, enrolled by the first two, who both approved this erasure."""
    person = Person(story, tools, crew.carol).enrolled(crew.alice, crew.bob)
    digest = story.order.plan.canonical_digest()
    story.approvals = tuple(
        tools["make_approval"](each, plan_digest=digest) for each in (crew.alice, crew.bob)
    )
    story.ordered("basis.approvals", tools["references_to"](story.approvals))
    return person


def test_a_third_operator_accepts_and_a_stranger_sees_who_by_key(carol: Person, crew: Any) -> None:
    found = carol.verified()
    assert found.claim.result is Result.ERASED
    validation = found.outcome.validation
    assert not isinstance(validation, str)
    assert (validation.validated_by, validation.role.value) == (crew.carol.public.keyid, "operator")


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_neither_of_those_who_approved_may_accept(carol: Person, crew: Any, story: Story, name: str) -> None:
    carol.key = getattr(crew, name)
    assert carol.refused() is Code.APPROVALS_MISSING


def test_who_requested_a_wipe_by_hand_may_not_accept_it(
    story: Story, tools: dict[str, Any], crew: Any
) -> None:
    person = Person(story, tools, crew.alice)
    story.by_hand(crew.bob)
    assert person.refused() is Code.APPROVALS_MISSING


def test_an_operator_whose_enrolment_did_not_come_along_is_nobody(carol: Person) -> None:
    carol.enrolments = ()
    assert carol.refused() is Code.KEY_UNTRUSTED


def test_one_sponsor_enrols_nobody(carol: Person, crew: Any) -> None:
    carol.enrolled(crew.alice)
    assert carol.refused() is Code.KEY_UNTRUSTED


def test_an_operator_who_was_still_inert_accepts_nothing(carol: Person, crew: Any) -> None:
    carol.enrolled(crew.alice, crew.bob, effective_at=AFTER_THE_OUTCOME)
    assert carol.refused() is Code.KEY_UNTRUSTED


def test_dating_the_acceptance_later_lets_no_inert_operator_in(carol: Person, crew: Any) -> None:
    carol.enrolled(crew.alice, crew.bob, effective_at="2026-11-22T10:00:40Z")
    carol.validation["decided_at"] = "2026-11-22T10:00:41Z"
    assert carol.refused() is Code.SUBJECT_MISMATCH


def test_an_acceptance_after_the_outcome_that_contains_it_is_refused(carol: Person) -> None:
    carol.decision = {"issued_at": AFTER_THE_OUTCOME, "effective_at": AFTER_THE_OUTCOME}
    carol.validation["decided_at"] = AFTER_THE_OUTCOME
    assert carol.refused() is Code.TIME_BRACKET_VIOLATED


def test_an_acceptance_for_a_demonstration_accepts_nothing_in_production(carol: Person) -> None:
    carol.decision["purpose"] = "demonstration"
    assert carol.refused() is Code.PURPOSE_MISMATCH


def test_an_acceptance_of_other_evidence_is_refused(carol: Person) -> None:
    carol.decision["on"] = "ab" * 32
    assert carol.refused() is Code.SUBJECT_MISMATCH


@pytest.mark.parametrize("choice", ["reject", "escalate", "Accept", "yes"])
def test_only_the_word_accept_accepts(carol: Person, choice: str) -> None:
    carol.decision["choice"] = choice
    assert carol.refused() is Code.SUBJECT_MISMATCH


@pytest.mark.parametrize("kind", ["exit", "destroy", "release_hold"])
def test_a_decision_of_another_kind_accepts_nothing(carol: Person, kind: str) -> None:
    carol.decision["kind"] = kind
    assert carol.refused() is Code.SUBJECT_MISMATCH


def test_an_altered_decision_is_refused(carol: Person) -> None:
    story = carol.told()
    bundle = story.build()
    parts = bundle.model_dump(mode="json")
    envelope = json.loads(parts["decisions"][-1])
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[5] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(bytes(signature)).decode()
    parts["decisions"] = [*parts["decisions"][:-1], json.dumps(envelope)]
    with pytest.raises(Refused) as caught:
        verify(type(bundle).read(json.dumps(parts).encode()), story.root, Policy.production())
    assert caught.value.code is Code.SIGNATURE_INVALID


def test_a_decision_that_another_one_signed_in_carols_name_is_refused(carol: Person, crew: Any) -> None:
    carol.decision["operator"] = crew.carol.public.keyid
    carol.key = crew.stranger
    carol.validation["validated_by"] = crew.carol.public.keyid
    assert carol.refused() in (Code.SIGNATURE_INVALID, Code.KEY_UNTRUSTED)


def test_what_the_table_accepts_no_person_is_said_to_have_accepted(
    carol: Person, crew: Any, story: Story
) -> None:
    story.tabled("rows.0.decision", "accept")
    digest = story.order.plan.canonical_digest()
    story.approvals = tuple(
        carol.tools["make_approval"](each, plan_digest=digest) for each in (crew.alice, crew.bob)
    )
    story.ordered("basis.approvals", carol.tools["references_to"](story.approvals))
    assert carol.refused() is Code.EVIDENCE_MISMATCH


@pytest.mark.parametrize("reading", ["unchanged", "not_observed"])
def test_nobody_makes_a_failure_erased_by_accepting_it(
    story: Story, tools: dict[str, Any], crew: Any, reading: str
) -> None:
    person = Person(story, tools, crew.alice)
    story.seen("media.0.markers.markers.0.reading_after", reading)
    assert person.refused() is Code.EVIDENCE_MISMATCH


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
@pytest.mark.parametrize("choice", ["reject", "escalate"])
def test_nobody_accepts_what_an_operator_rejected(carol: Person, crew: Any, name: str, choice: str) -> None:
    story = carol.told()
    carol.key, carol.decision["choice"] = getattr(crew, name), choice
    story.decisions = (*story.decisions, carol.signed())
    with pytest.raises(Refused) as caught:
        verify(story.build(), story.root, Policy.production())
    assert caught.value.code is Code.EVIDENCE_MISMATCH
    assert "did not accept this evidence" in caught.value.reason


def test_a_rejection_of_other_evidence_spoils_no_acceptance(carol: Person, crew: Any) -> None:
    story = carol.told()
    carol.key, carol.decision = crew.bob, carol.decision | {"choice": "reject", "on": "ab" * 32}
    story.decisions = (*story.decisions, carol.signed())
    assert verify(story.build(), story.root, Policy.production()).claim.result is Result.ERASED


@pytest.mark.parametrize("effective_at", ["2026-11-22T10:00:36Z", "2030-01-01T00:00:00Z"])
def test_an_acceptance_that_takes_effect_later_accepts_nothing_yet(carol: Person, effective_at: str) -> None:
    carol.decision["effective_at"] = effective_at
    assert carol.refused() is Code.TIME_BRACKET_VIOLATED
