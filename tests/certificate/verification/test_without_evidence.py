"""An attempt of which no evidence came: its record is genuine, and says nothing that nobody saw."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from certificate import outcome_words
from certificate import trust as trust_module
from certificate import verify as verification
from certificate.answers import EXIT_INCONCLUSIVE, answers_to
from certificate.assurance import UNSEEN_LIMIT, without_evidence
from certificate.bundle import MEDIA_TYPE, Bundle, Document, LogProof
from certificate.errors import Code, Malformed, Refused
from certificate.log.entry import LogKind
from certificate.policy import Policy
from certificate.statements import Outcome
from certificate.statements.vocabulary import Result
from certificate.verify import examine, verify

OF_EVIDENCE = ("evidence_digest", "observer", "agent_keyid", "sanitization", "verification")
UNSEEN = dict.fromkeys(OF_EVIDENCE, "not_observed")
ERASED = {
    "result": "erased",
    "method": "purge",
    "technique": "nvme_sanitize_crypto",
    "grade": "marker-proven",
    "reasons": [],
    "limits": [],
}


@dataclass
class Unseen:
    """Order, outcome and summary of an attempt without evidence; honest until something is changed."""

    story: Any
    outcome_changes: dict[str, Any] = field(default_factory=dict)
    summary_changes: dict[str, Any] = field(default_factory=dict)
    subjects: tuple[tuple[str, str], ...] = ()
    with_summary: bool = True

    @property
    def medium(self) -> str:
        return str(self.story.order.plan.media[0].commitment)

    def build(self) -> Bundle:
        tools, keys, order = self.story.tools, self.story.tools["keys"], self.story.order
        (planned,) = order.plan.media
        claim = dumped(without_evidence(order=order, commitment=self.medium))
        signed_order = tools["signed_order"](order, keys.order)
        fields = UNSEEN | {
            "order_digest": signed_order.payload_digest,
            "cryptographic_erase": [],
            "validation": "not_applicable",
            "destination": "not_observed",
            "medium": dumped(outcome_words.never_opened(planned)),
            "media_kind": planned.kind.value,
            "gdpr_art28_3_g": "no",
            "claim": claim,
        }
        outcome = read(dumped(tools["make_outcome"](order)) | fields | self.outcome_changes)
        subjects = self.subjects or (("medium", self.medium),)
        signed = tools["signed"](outcome, keys.issuer, *subjects)
        summary = tools["make_summary"](
            **{
                "claim": claim,
                "order_digests": [signed_order.payload_digest],
                "residue": [
                    {"name": each["name"], "state": "not_covered"}
                    for each in dumped(tools["make_summary"]())["residue"]
                ],
                "media": [
                    {
                        "commitment": self.medium,
                        "became": "inconclusive",
                        "outcome_digest": signed.payload_digest,
                        "decision_digest": "not_applicable",
                    }
                ],
            }
            | self.summary_changes
        )
        envelopes = {"order": signed_order, "outcome": signed}
        if self.with_summary:
            envelopes["summary"] = tools["signed"](summary, keys.issuer)
        log = tools["make_log"](self.story.root)
        seqs = {name: log.append(each, LogKind(name)).seq for name, each in envelopes.items()}
        text = {name: each.write().decode() for name, each in envelopes.items()}
        return Bundle(
            format=MEDIA_TYPE,
            outcome=text["outcome"],
            summary=text.get("summary"),
            evidence=None,
            order=text["order"],
            validation=self.story.envelopes["validation"].write().decode(),
            approvals=(),
            decisions=(),
            allocation=None,
            proofs=tuple(
                LogProof(document=Document(name), proof=log.proof(seq).write().decode())
                for name, seq in seqs.items()
            ),
            trust_roots=(trust_module.sign(self.story.root, keys.root).write().decode(),),
        )

    def refused(self, code: Code, words: str = "") -> None:
        with pytest.raises(Refused) as caught:
            verify(self.build(), self.story.root, Policy.production())
        assert caught.value.code is code, str(caught.value)
        assert words in caught.value.reason


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


def read(fields: dict[str, Any]) -> Outcome:
    return Outcome.model_validate_json(json.dumps(fields))


@pytest.fixture
def unseen(story: Any) -> Unseen:
    return Unseen(story)


def test_it_is_told_as_a_failure_and_accepted_by_no_policy(unseen: Unseen) -> None:
    bundle = unseen.build()
    found = examine(bundle, unseen.story.root)
    assert (found.claim.result, found.claim.reasons) == (Result.INCONCLUSIVE, ("NO_EVIDENCE",))
    assert UNSEEN_LIMIT in found.claim.limits
    assert found.evidence is None
    assert found.order is not None
    unseen.refused(Code.INCONCLUSIVE, "NO_EVIDENCE")


def test_the_screen_says_that_nobody_saw_it_and_exits_three(unseen: Unseen) -> None:
    data = unseen.build().write()
    (answer,) = answers_to(
        [("file", lambda: data)],
        unseen.story.root,
        Policy.production(),
        annexes=[],
        fingerprint="00" * 32,
    )
    assert answer.exit_code == EXIT_INCONCLUSIVE
    screen = answer.screen()
    assert "none came: nobody here saw what the order did" in screen
    assert "not_observed" not in screen


def test_a_summary_need_not_come_along(unseen: Unseen) -> None:
    unseen.with_summary = False
    unseen.refused(Code.INCONCLUSIVE)


def test_evidence_beside_it_is_refused(unseen: Unseen) -> None:
    evidence = unseen.story.build().evidence
    bundle = Bundle.read(json.dumps(json.loads(unseen.build().write()) | {"evidence": evidence}).encode())
    with pytest.raises(Refused) as caught:
        verify(bundle, unseen.story.root, Policy.production())
    assert caught.value.code is Code.SUBJECT_MISMATCH


def test_evidence_that_was_left_out_is_not_taken_for_none(story: Any) -> None:
    bundle = Bundle.read(json.dumps(json.loads(story.build().write()) | {"evidence": None}).encode())
    with pytest.raises(Refused) as caught:
        verify(bundle, story.root, Policy.production())
    assert caught.value.code is Code.INCOMPLETE_SET


def test_evidence_without_its_order_is_no_bundle(story: Any) -> None:
    fields = json.loads(story.build().write()) | {"order": None, "validation": None}
    with pytest.raises(Malformed):
        Bundle.read(json.dumps(fields).encode())


# --- it can never say erased --------------------------------------------------------------------------------


def test_the_statement_itself_refuses_to_say_erased(unseen: Unseen) -> None:
    unseen.outcome_changes["claim"] = ERASED
    with pytest.raises(ValueError, match="without evidence nothing was erased"):
        unseen.build()


def test_a_claim_of_erased_is_refused_by_the_verifier_too(unseen: Unseen) -> None:
    """Were the statement's own rule forgotten: of an order alone nothing was erased."""
    honest = unseen.story.tools["make_outcome"](unseen.story.order)
    assert honest.claim.result is Result.ERASED
    said = honest.model_copy(update=UNSEEN)
    obeyable: Any = SimpleNamespace(order=unseen.story.order, table=unseen.story.table)
    with pytest.raises(Refused) as caught:
        verification._require_claim(said, obeyable, None)
    assert caught.value.code in {Code.EVIDENCE_MISMATCH, Code.INCOMPLETE_SET}


@pytest.mark.parametrize("name", OF_EVIDENCE)
def test_what_evidence_tells_is_told_whole_or_not_at_all(unseen: Unseen, name: str) -> None:
    told = dumped(unseen.story.tools["make_outcome"](unseen.story.order))[name]
    unseen.outcome_changes[name] = told
    with pytest.raises(ValueError, match="whole"):
        unseen.build()


@pytest.mark.parametrize("name", ["validation", "cryptographic_erase"])
def test_nobody_accepts_what_nobody_saw(unseen: Unseen, name: str) -> None:
    unseen.outcome_changes[name] = dumped(unseen.story.tools["make_outcome"](unseen.story.order))[name]
    with pytest.raises(ValueError, match="nobody"):
        unseen.build()


# --- one story ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"deprovision": "dep_" + "9" * 32}, Code.SUBJECT_MISMATCH),
        ({"attempt": 2}, Code.SUBJECT_MISMATCH),
        ({"order_digest": "00" * 32}, Code.SUBJECT_MISMATCH),
        ({"host_commitment": "00" * 32}, Code.SUBJECT_MISMATCH),
        ({"boot_trust": "installed"}, Code.EVIDENCE_MISMATCH),
        ({"media_kind": "plain"}, Code.EVIDENCE_MISMATCH),
        ({"destination": "stays_in_host"}, Code.EVIDENCE_MISMATCH),
        ({"attestation": "a word"}, Code.EVIDENCE_MISMATCH),
    ],
    ids=str,
)
def test_it_says_what_its_order_says_and_no_more(unseen: Unseen, changes: dict[str, Any], code: Code) -> None:
    unseen.outcome_changes |= changes
    unseen.refused(code)


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", "A MODEL"), ("device_class", "physical"), ("capacity_bytes", 4096), ("firmware", "1.0")],
)
def test_nobody_looked_at_the_medium(unseen: Unseen, name: str, value: Any) -> None:
    (planned,) = unseen.story.order.plan.media
    unseen.outcome_changes["medium"] = dumped(outcome_words.never_opened(planned)) | {name: value}
    unseen.refused(Code.EVIDENCE_MISMATCH, "medium")


@pytest.mark.parametrize("change", [{"reasons": []}, {"result": "not_erased"}, {"limits": []}], ids=str)
def test_its_claim_is_the_one_that_the_order_alone_gives(unseen: Unseen, change: dict[str, Any]) -> None:
    claim = without_evidence(order=unseen.story.order, commitment=unseen.medium)
    unseen.outcome_changes["claim"] = dumped(claim) | change
    unseen.refused(Code.EVIDENCE_MISMATCH)


def test_its_one_subject_is_the_medium(unseen: Unseen) -> None:
    unseen.subjects = (("evidence.dsse.json", "ab" * 32), ("medium", unseen.medium))
    unseen.refused(Code.SUBJECT_MISMATCH, "one subject")


def test_no_place_of_the_host_was_covered(unseen: Unseen) -> None:
    residue = [
        {"name": each["name"], "state": "cleared"}
        for each in dumped(unseen.story.tools["make_summary"]())["residue"]
    ]
    unseen.summary_changes["residue"] = residue
    unseen.refused(Code.EVIDENCE_MISMATCH, "more of")


def test_the_summary_says_erased_of_nothing(unseen: Unseen) -> None:
    unseen.summary_changes["claim"] = ERASED
    unseen.refused(Code.EVIDENCE_MISMATCH)
