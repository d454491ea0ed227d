"""A medium that was destroyed is so as two operators say, and as nobody else: not a word more or less."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from certificate import answers
from certificate import envelope as dsse
from certificate import trust as trust_module
from certificate.bundle import MEDIA_TYPE, Bundle, Document, LogProof
from certificate.departures import claim_of_destroy, claim_of_open_exception
from certificate.errors import Code, Malformed, Refused
from certificate.log.entry import LogKind
from certificate.policy import Policy
from certificate.statements import Outcome
from certificate.statements.outcome import Attested
from certificate.statements.vocabulary import DestroyMethod, Grade, Method, Result
from certificate.verify import Level, Verified, verify

DOCUMENT = "d0" * 32
SHOWN = "5a" * 32
SIGNED_AT = "2026-11-22T09:00:00Z"
#: A summary's instant where it is older than the destruction.
SUMMED_AT = "2026-11-22T10:00:30Z"
OF_AN_ATTEMPT = (
    "attempt",
    "order",
    "order_digest",
    "evidence_digest",
    "boot_trust",
    "observer",
    "agent_keyid",
    "sanitization",
    "verification",
)
NOT_APPLICABLE = dict.fromkeys((*OF_AN_ATTEMPT, "validation"), "not_applicable")
LATER = {"issued_at": "2026-11-22T10:00:51Z", "effective_at": "2026-11-22T10:00:51Z"}


@dataclass
class Gone:
    """A destroyed medium, honest until something is changed."""

    tools: dict[str, Any]
    medium: str
    attested: dict[str, Any] = field(default_factory=dict)
    outcome_changes: dict[str, Any] = field(default_factory=dict)
    #: Who attests, and what each says otherwise.
    people: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    #: Whose decision does not come along.
    kept_back: int | None = None
    summary: dict[str, Any] | None = None
    is_summary_older: bool = False
    removed_by: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = self.tools["keys"]
        self.root = self.tools["make_trust"]("production")
        self.people = [(keys.alice, {}), (keys.bob, {})]
        self.removed_by = [(keys.alice, {}), (keys.bob, {})]

    @property
    def statement(self) -> Attested:
        fields = {
            "medium": self.medium,
            "method": "shred",
            "destroyed_on": "2026-11-21",
            "document_digest": DOCUMENT,
            "shown_digest": SHOWN,
        }
        return Attested.model_validate_json(json.dumps(fields | self.attested))

    def decision(self, operator: Any, changes: dict[str, Any]) -> Any:
        said = self.statement
        fields = {
            "kind": "destroy",
            "on": said.canonical_digest(),
            "choice": said.method.value,
            "document_digest": said.document_digest,
            "enrols": "not_applicable",
            "issued_at": SIGNED_AT,
            "effective_at": SIGNED_AT,
        }
        return self.tools["make_decision"](operator, **(fields | changes))

    def removal(self, operator: Any, changes: dict[str, Any]) -> Any:
        fields = {
            "kind": "remove",
            "on": "0f" * 32,
            "choice": "remove",
            "document_digest": self.medium,
            "enrols": "not_applicable",
            "issued_at": SIGNED_AT,
            "effective_at": SIGNED_AT,
        }
        return self.tools["make_decision"](operator, **(fields | changes))

    def build(self) -> Bundle:
        tools, keys = self.tools, self.tools["keys"]
        decisions = [self.decision(*each) for each in self.people]
        named = sorted(each.payload_digest for each in decisions)
        fields = NOT_APPLICABLE | {
            "destruction": {"attested": dumped(self.statement), "decisions": named},
            "cryptographic_erase": [],
            "destination": "destroyed",
            "media_kind": "not_observed",
            "claim": dumped(claim_of_destroy(self.statement)),
        }
        outcome = changed(tools["make_outcome"], fields | self.outcome_changes)
        signed = tools["signed"](outcome, keys.issuer, ("medium", outcome.medium.commitment))
        envelopes = {"outcome": signed}
        removals = []
        if self.summary is not None:
            removals = [self.removal(*each) for each in self.removed_by]
            entry = {
                "commitment": self.medium,
                "became": "open_exception" if self.is_summary_older else "destroyed",
                "outcome_digest": "not_applicable" if self.is_summary_older else signed.payload_digest,
                "decision_digest": removals[0].payload_digest,
            }
            claim = claim_of_open_exception() if self.is_summary_older else outcome.claim
            if self.is_summary_older:
                self.summary = {"issued_at": SUMMED_AT, "ended_at": SUMMED_AT} | self.summary
            fields = {"media": [entry | self.summary.pop("entry", {})], "claim": dumped(claim)}
            made = tools["make_summary"](**({"order_digests": ["77" * 32]} | fields | self.summary))
            older = {"summary": tools["signed"](made, keys.issuer)}
            envelopes = older | envelopes if self.is_summary_older else envelopes | older
        carried = [each for index, each in enumerate(decisions) if index != self.kept_back]
        log = tools["make_log"](self.root)
        for filler in range(4):
            log.append(tools["make_decision"](keys.alice, ledger_seq=filler), LogKind.ALLOCATION)
        seqs = {name: log.append(each, LogKind(name)).seq for name, each in envelopes.items()}
        text = {name: each.write().decode() for name, each in envelopes.items()}
        return Bundle(
            format=MEDIA_TYPE,
            outcome=text["outcome"],
            summary=text.get("summary"),
            evidence=None,
            order=None,
            validation=None,
            approvals=(),
            decisions=tuple(each.write().decode() for each in (*carried, *removals)),
            allocation=None,
            proofs=tuple(
                LogProof(document=Document(name), proof=log.proof(seq).write().decode())
                for name, seq in seqs.items()
            ),
            trust_roots=(trust_module.sign(self.root, keys.root).write().decode(),),
        )

    def verified(self, **policy: Any) -> Verified:
        accepted = {"minimum_grade": Grade.OPERATOR_ATTESTED} | policy
        fields = Policy.production().model_dump(by_alias=True) | accepted
        return verify(self.build(), self.root, Policy.model_validate(fields))

    def refused(self, code: Code, words: str = "") -> None:
        with pytest.raises(Refused) as caught:
            self.verified()
        assert caught.value.code is code, str(caught.value)
        assert words in caught.value.reason


def changed(make_outcome: Callable[[], Outcome], changes: dict[str, Any]) -> Outcome:
    """The sample outcome with these fields, read as a stranger reads it."""
    return Outcome.model_validate_json(json.dumps(dumped(make_outcome()) | changes))


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


@pytest.fixture
def gone(tools: dict[str, Any], medium: str) -> Gone:
    return Gone(tools, medium)


def test_what_two_operators_attest_is_signed_logged_and_no_more_than_their_word(gone: Gone) -> None:
    found = gone.verified()
    assert (found.claim.result, found.claim.method) == (Result.ERASED, Method.DESTROY)
    assert (found.claim.grade, found.claim.technique) == (Grade.OPERATOR_ATTESTED, "not_applicable")
    assert any("no device said anything" in limit for limit in found.claim.limits)
    assert (found.order, found.evidence, found.summary) == (None, None, None)
    assert found.levels == (Level.SIGNED, Level.LOGGED)
    (people,) = [check.sentence for check in found.checks if check.name == "people"]
    assert "2 operators attest: shred, 2026-11-21" in people


def test_a_production_policy_does_not_take_peoples_word(gone: Gone) -> None:
    with pytest.raises(Refused) as caught:
        verify(gone.build(), gone.root, Policy.production())
    assert caught.value.code is Code.POLICY_UNMET
    assert "operator-attested" in caught.value.reason


def test_a_policy_that_asks_for_destruction_takes_it(gone: Gone) -> None:
    assert gone.verified(minimum_method=Method.DESTROY).claim.method is Method.DESTROY


@pytest.mark.parametrize(
    "changes",
    [
        {"choice": "melt"},
        {"document_digest": "ee" * 32},
        {"on": "ee" * 32},
        {"issued_at": "2026-11-22T10:00:46Z", "effective_at": "2026-11-22T10:00:46Z"},
        {"effective_at": "2026-11-22T10:00:46Z"},
        {"kind": "remove"},
    ],
    ids=str,
)
@pytest.mark.parametrize("who", [0, 1])
def test_both_attest_exactly_this_before_it_is_said(gone: Gone, changes: dict[str, Any], who: int) -> None:
    gone.people[who] = (gone.people[who][0], changes)
    with pytest.raises(Refused) as caught:
        gone.verified()
    assert caught.value.code in {Code.SUBJECT_MISMATCH, Code.ATTESTATION_MISSING, Code.INCOMPLETE_SET}


def test_one_operator_twice_is_one(gone: Gone) -> None:
    gone.people[1] = (gone.tools["keys"].alice, {"ledger_seq": 99})
    gone.refused(Code.ATTESTATION_MISSING, "1 of 2")


def test_a_stranger_attests_nothing(gone: Gone) -> None:
    gone.people[1] = (gone.tools["keys"].stranger, {})
    gone.refused(Code.KEY_UNTRUSTED)


@pytest.mark.parametrize("who", [0, 1])
def test_both_decisions_come_along(gone: Gone, who: int) -> None:
    gone.kept_back = who
    gone.refused(Code.INCOMPLETE_SET, "did not come along")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "melt"},
        {"destroyed_on": "2026-11-20"},
        {"document_digest": "ee" * 32},
        {"shown_digest": "ee" * 32},
    ],
    ids=str,
)
def test_the_outcome_says_nothing_that_they_did_not_sign(gone: Gone, changes: dict[str, Any]) -> None:
    other = dumped(gone.statement) | changes
    decisions = sorted(gone.decision(*each).payload_digest for each in gone.people)
    gone.outcome_changes["destruction"] = {"attested": other, "decisions": decisions}
    gone.refused(Code.SUBJECT_MISMATCH, "attested something else")


def test_what_they_attest_of_one_medium_serves_no_other(gone: Gone) -> None:
    gone.attested["medium"] = "ab" * 32
    gone.refused(Code.SUBJECT_MISMATCH, "another medium")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grade", "device-reported"),
        ("grade", "device-attested"),
        ("limits", []),
        ("reasons", ["NOT_PRESENT"]),
        ("technique", "nvme_sanitize_crypto"),
    ],
)
def test_no_more_is_claimed_than_people_can_say(gone: Gone, field: str, value: Any) -> None:
    gone.outcome_changes["claim"] = dumped(claim_of_destroy(gone.statement)) | {field: value}
    gone.refused(Code.EVIDENCE_MISMATCH, "more than people can attest")


def test_the_subject_is_the_medium(gone: Gone) -> None:
    bundle = gone.build()
    outcome = json.loads(dsse.read(bundle.outcome.encode()).payload)
    for subjects in (
        [{"name": "medium", "digest": {"sha256": "ab" * 32}}],
        [*outcome["subject"], {"name": "x", "digest": {"sha256": "ab" * 32}}],
    ):
        spoilt = json.dumps(outcome | {"subject": subjects}).encode()
        signed = dsse.sign(spoilt, gone.tools["keys"].issuer)
        log = gone.tools["make_log"](gone.root)
        for filler in range(4):
            log.append(
                gone.tools["make_decision"](gone.tools["keys"].alice, ledger_seq=filler), LogKind.ALLOCATION
            )
        proof = log.proof(log.append(signed, LogKind.OUTCOME).seq).write().decode()
        fields = json.loads(bundle.write()) | {
            "outcome": signed.write().decode(),
            "proofs": [{"document": "outcome", "proof": proof}],
        }
        with pytest.raises(Refused) as caught:
            verify(Bundle.read(json.dumps(fields).encode()), gone.root, Policy.production())
        assert caught.value.code is Code.SUBJECT_MISMATCH


# --- the statement itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_AN_ATTEMPT)
def test_an_attempt_names_all_of_it_and_a_destruction_nothing(
    gone: Gone, make_outcome: Callable[..., Outcome], name: str
) -> None:
    with pytest.raises(ValueError, match="whole"):
        changed(make_outcome, {name: "not_applicable"})
    gone.outcome_changes[name] = dumped(make_outcome())[name]
    with pytest.raises(ValueError, match="whole"):
        gone.build()


def test_nothing_but_a_destruction_claims_destroy(gone: Gone, make_outcome: Callable[..., Outcome]) -> None:
    with pytest.raises(ValueError, match="method destroy"):
        changed(make_outcome, {"claim": dumped(claim_of_destroy(gone.statement))})
    gone.outcome_changes["claim"] = dumped(claim_of_destroy(gone.statement)) | {"method": "purge"}
    with pytest.raises(ValueError, match="method destroy"):
        gone.build()


def test_an_attempt_is_of_a_deprovision(make_outcome: Callable[..., Outcome]) -> None:
    with pytest.raises(ValueError, match="deprovision"):
        changed(make_outcome, {"deprovision": "not_applicable"})


def test_no_table_validates_a_destruction(gone: Gone, make_outcome: Callable[..., Outcome]) -> None:
    gone.outcome_changes["validation"] = dumped(make_outcome())["validation"]
    with pytest.raises(ValueError, match="validates"):
        gone.build()


@pytest.mark.parametrize("method", DestroyMethod)
def test_the_claim_names_the_method_for_people(gone: Gone, method: DestroyMethod) -> None:
    gone.attested["method"] = method.value
    assert any(f"to {method.value}" in limit for limit in gone.verified().claim.limits)


# --- bundles that mix the two -------------------------------------------------------------------------------


def with_parts(bundle: Bundle, **parts: Any) -> Bundle:
    return Bundle.read(json.dumps(json.loads(bundle.write()) | parts).encode())


def test_an_order_does_not_come_along_for_a_destroyed_medium(gone: Gone, story: Any) -> None:
    attempt = story.build()
    mixed = with_parts(
        gone.build(), order=attempt.order, evidence=attempt.evidence, validation=attempt.validation
    )
    with pytest.raises(Refused) as caught:
        verify(mixed, gone.root, Policy.production())
    assert caught.value.code is Code.SUBJECT_MISMATCH


def test_an_erasure_without_its_order_is_not_taken_for_a_destruction(story: Any) -> None:
    bundle = with_parts(story.build(), order=None, evidence=None, validation=None)
    with pytest.raises(Refused) as caught:
        verify(bundle, story.root, Policy.production())
    assert caught.value.code is Code.INCOMPLETE_SET


def test_an_order_without_its_table_is_no_bundle(story: Any) -> None:
    with pytest.raises(Malformed):
        with_parts(story.build(), validation=None)


# --- beside the host's summary ------------------------------------------------------------------------------


def test_a_summary_made_later_names_the_destruction(gone: Gone) -> None:
    gone.summary = {}
    found = gone.verified()
    assert found.summary is not None
    assert {check.name for check in found.checks} >= {"summary"}


def test_a_summary_made_earlier_says_that_the_medium_left(gone: Gone) -> None:
    gone.summary, gone.is_summary_older = {}, True
    assert any("1 of the host's media left" in caution for caution in gone.verified().cautions)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"became": "removed"}, Code.EVIDENCE_MISMATCH),
        ({"became": "erased"}, Code.EVIDENCE_MISMATCH),
        ({"outcome_digest": "00" * 32}, Code.SUBJECT_MISMATCH),
        ({"commitment": "00" * 32}, Code.SUBJECT_MISMATCH),
        ({"decision_digest": "not_applicable"}, Code.ATTESTATION_MISSING),
        ({"decision_digest": "00" * 32}, Code.INCOMPLETE_SET),
    ],
    ids=str,
)
def test_a_later_summary_that_tells_another_story_is_refused(
    gone: Gone, entry: dict[str, Any], code: Code
) -> None:
    gone.summary = {"entry": entry}
    gone.refused(code)


@pytest.mark.parametrize(
    "entry", [{"became": "erased"}, {"became": "not_erased"}, {"commitment": "00" * 32}], ids=str
)
def test_an_earlier_summary_that_knows_of_no_departure_is_refused(gone: Gone, entry: dict[str, Any]) -> None:
    gone.summary, gone.is_summary_older = {"entry": entry}, True
    gone.refused(Code.SUBJECT_MISMATCH)


def test_a_summary_of_another_deprovision_is_refused(gone: Gone) -> None:
    gone.summary = {"deprovision": "dep_" + "9" * 32}
    gone.refused(Code.SUBJECT_MISMATCH, "another deprovision")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"document_digest": "ab" * 32}, Code.ATTESTATION_MISSING),
        ({"on": "ab" * 32}, Code.ATTESTATION_MISSING),
        ({"choice": "replace"}, Code.ATTESTATION_MISSING),
        ({"kind": "hold"}, Code.ATTESTATION_MISSING),
        (
            {"issued_at": "2026-11-22T10:00:51Z", "effective_at": "2026-11-22T10:00:51Z"},
            Code.ATTESTATION_MISSING,
        ),
    ],
    ids=str,
)
def test_a_medium_left_by_two_operators_who_decided_the_same(
    gone: Gone, changes: dict[str, Any], code: Code
) -> None:
    gone.summary = {}
    gone.removed_by[1] = (gone.removed_by[1][0], changes)
    gone.refused(code)


def test_a_medium_that_one_person_took_out_did_not_leave_by_two(gone: Gone) -> None:
    gone.summary = {}
    gone.removed_by[1] = (gone.removed_by[0][0], {"ledger_seq": 99})
    gone.refused(Code.ATTESTATION_MISSING, "1 of 2")


def test_the_decision_that_is_named_is_of_this_medium(gone: Gone) -> None:
    gone.summary = {}
    gone.removed_by = [(who, {"document_digest": "ab" * 32}) for who, _ in gone.removed_by]
    gone.refused(Code.SUBJECT_MISMATCH, "another medium")


def test_a_stranger_takes_nothing_out(gone: Gone) -> None:
    gone.summary = {}
    gone.removed_by[1] = (gone.tools["keys"].stranger, {})
    gone.refused(Code.KEY_UNTRUSTED)


@pytest.mark.parametrize("spoil", [lambda named: named[::-1], lambda named: [*named, named[-1]]])
def test_both_decisions_are_named_once_and_in_order(
    gone: Gone, spoil: Callable[[list[str]], list[str]]
) -> None:
    decisions = sorted(gone.decision(*each).payload_digest for each in gone.people)
    gone.outcome_changes["destruction"] = {"attested": dumped(gone.statement), "decisions": spoil(decisions)}
    gone.refused(Code.ATTESTATION_MISSING, "twice")


def test_a_destruction_anchored_in_its_own_future_is_refused(gone: Gone) -> None:
    anchor = dumped(changed(gone.tools["make_outcome"], {}))["anchor"]
    gone.outcome_changes["anchor"] = anchor | {"size": 500}
    gone.refused(Code.CHECKPOINT_INVALID)


def test_the_screen_says_who_attests_by_key_and_names_the_document_by_digest(
    gone: Gone, tools: dict[str, Any]
) -> None:
    gone.summary = {}
    written = gone.build().write()
    policy = Policy.model_validate(
        Policy.production().model_dump(by_alias=True) | {"minimum_grade": Grade.OPERATOR_ATTESTED}
    )
    (found,) = answers.answers_to(
        [("gone.bundle.json", lambda: written)], gone.root, policy, annexes=[], fingerprint="00" * 32
    )
    screen = " ".join(found.screen().split())
    assert found.exit_code == 0, screen
    for words in (
        "destroyed 2026-11-21, shred",
        "erased, destroy (NIST SP 800-88r2), operator-attested",
        "operator-attested: people say so",
        f"attested by {tools['keys'].alice.public.keyid}",
        f"attested by {tools['keys'].bob.public.keyid}",
        f"document {DOCUMENT}, the destroyer's own, kept by the provider",
        "1 of the host's media left it and were destroyed, as people say",
    ):
        assert words in screen, screen


def test_nobody_attests_a_destruction_that_is_still_to_come(gone: Gone) -> None:
    keys = gone.tools["keys"]
    early = {"issued_at": "2026-11-01T09:00:00Z", "effective_at": "2026-11-21T09:00:00Z"}
    gone.people = [(keys.alice, {}), (keys.bob, early)]
    gone.refused(Code.TIME_BRACKET_VIOLATED, "later than is said so")


def test_who_signs_where_the_day_has_begun_already_is_believed(gone: Gone) -> None:
    keys = gone.tools["keys"]
    evening = {"issued_at": "2026-11-20T23:00:00Z", "effective_at": "2026-11-20T23:00:00Z"}
    gone.people = [(keys.alice, evening), (keys.bob, evening)]
    assert gone.verified().claim.method is Method.DESTROY


@pytest.mark.parametrize("is_summary_older", [True, False])
def test_a_summary_of_another_host_than_the_outcomes_is_refused(gone: Gone, is_summary_older: bool) -> None:
    gone.is_summary_older, gone.summary = is_summary_older, {"host_commitment": "ab" * 32}
    gone.refused(Code.SUBJECT_MISMATCH, "another host")
