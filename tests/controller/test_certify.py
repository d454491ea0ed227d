"""What is said of an erase follows from order and evidence, and never says more than they do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from certificate import agreement
from certificate.statements import Evidence, Order, Outcome, Statement, Summary
from certificate.statements.order import Anchor
from certificate.statements.outcome import Custody
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import (
    Grade,
    MarkerReading,
    ResidueName,
    ResidueState,
    Result,
    Technique,
    ValidationDecision,
    WhatBecame,
)
from controller import certify
from controller.certify import Issue, Verdict
from tests.techniques import TECHNIQUES, Judged, Techniques

NOW = datetime(2026, 11, 22, 10, 1, tzinfo=UTC)
OTHER_MEDIUM = "9" * 64


class Case:
    """An order, what came of it, and what is said of that."""

    def __init__(self, documents: ModuleType, **seen: Any) -> None:
        self.documents = documents
        self.order: Order = seen.pop("order", None) or documents.build_order()
        self.evidence: Evidence = documents.build_evidence(self.order, **seen)

    def verdicts(self, **table: Any) -> tuple[Verdict, ...]:
        return certify.judge(
            order=self.order, evidence=self.evidence, table=self.documents.build_table(**table)
        )

    @property
    def issue(self) -> Issue:
        return Issue(
            issuer=self.documents.KEYS.issuer.public.keyid,
            issuer_seq=4,
            anchor=self.documents.read_as(Anchor, self.documents.ANCHOR),
            nonce="a" * 32,
            issued_at=NOW,
        )

    @property
    def custody(self) -> Custody:
        custody: Custody = self.documents.read_as(Custody, self.documents.CUSTODY)
        return custody

    def outcome(self, **table: Any) -> Outcome:
        verdict = self.verdicts(**table)[0]
        made = certify.make_outcome(
            outcome=self.documents.OUTCOME_ID,
            issue=self.issue,
            order=self.order,
            order_digest="1" * 64,
            evidence=self.evidence,
            evidence_digest="2" * 64,
            evidence_file_digest="3" * 64,
            verdict=verdict,
            custody=self.custody,
            supersedes=None,
            decided_at=NOW,
        )
        assert [each.digest.sha256 for each in made.subject] == ["3" * 64, verdict.commitment]
        return made.predicate

    def summary(self) -> Summary:
        verdicts = self.verdicts()
        digests = {verdict.commitment: f"{n}" * 64 for n, verdict in enumerate(verdicts)}
        made = certify.make_summary(
            issue=self.issue,
            order=self.order,
            order_digests=("1" * 64,),
            evidence=self.evidence,
            verdicts=verdicts,
            outcome_digests=digests,
            departed=(),
            custody=self.custody,
        )
        assert [each.digest.sha256 for each in made.subject] == list(digests.values())
        return made.predicate


@pytest.fixture
def case(documents: ModuleType) -> Callable[..., Case]:
    return lambda **seen: Case(documents, **seen)


def medium(documents: ModuleType, **changes: Any) -> dict[str, Any]:
    return documents.medium_evidence_fields() | changes


def read_as(documents: ModuleType, reading: str) -> dict[str, Any]:
    """The sample medium, one of its markers reading as told."""
    fields = documents.medium_evidence_fields()
    fields["markers"]["markers"][1]["reading_after"] = reading
    return dict(fields)


def two_media(documents: ModuleType) -> Order:
    (first,) = documents.build_plan().model_dump(mode="json")["media"]
    plan = documents.build_plan(media=[{**first, "commitment": OTHER_MEDIUM}, first])
    order: Order = documents.build_order(plan=plan)
    return order


def failed(documents: ModuleType) -> dict[str, Any]:
    return medium(documents, commands=[{**documents.command_fields(), "completion_status": "0006"}])


# --- judge --------------------------------------------------------------------------------------------------


def test_every_planned_medium_gets_one_verdict_in_the_plans_order_seen_or_not(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    unseen, seen = case(order=two_media(documents)).verdicts()
    assert (unseen.commitment, seen.commitment) == (OTHER_MEDIUM, documents.MEDIUM)
    assert unseen.claim.result is not Result.ERASED
    assert unseen.decision == "not_applicable"


def test_an_erased_medium_is_decided_by_the_signed_table(case: Callable[..., Case]) -> None:
    (verdict,) = case().verdicts()
    assert (verdict.claim.result, verdict.claim.grade) == (Result.ERASED, Grade.MARKER_PROVEN)
    assert verdict.decision is ValidationDecision.ACCEPT


def test_an_erased_medium_that_no_row_names_is_escalated(case: Callable[..., Case]) -> None:
    (verdict,) = case().verdicts(rows=[])
    assert verdict.claim.result is Result.ERASED
    assert verdict.decision is ValidationDecision.ESCALATE


def test_the_table_is_asked_for_the_data_class_of_the_plan(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    order = documents.build_order(plan=documents.build_plan(data_class="secret"))
    (verdict,) = case(order=order).verdicts()
    assert verdict.decision is ValidationDecision.ESCALATE


def test_no_table_decides_over_a_medium_that_is_not_erased(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    (verdict,) = case(media=[failed(documents)]).verdicts()
    assert verdict.claim.result is not Result.ERASED
    assert verdict.decision == "not_applicable"


# --- an outcome ---------------------------------------------------------------------------------------------


def test_an_erased_outcome_contains_the_validation_that_accepted_it(case: Callable[..., Case]) -> None:
    story = case()
    outcome = story.outcome()
    assert outcome.validation != "not_applicable"
    assert outcome.validation.decision is ValidationDecision.ACCEPT
    assert outcome.validation.table_digest == story.order.plan.validation_digest
    assert outcome.gdpr_art28_3_g is Seen.YES


def test_an_outcome_that_is_not_erased_has_no_validation(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    outcome = case(media=[failed(documents)]).outcome()
    assert outcome.claim.result is not Result.ERASED
    assert outcome.validation == "not_applicable"
    assert outcome.gdpr_art28_3_g is Seen.NO


@pytest.mark.parametrize("reading", ["zero", "constant"])
def test_an_erasure_that_the_table_hands_to_a_person_has_no_outcome_yet(
    documents: ModuleType, case: Callable[..., Case], reading: str
) -> None:
    judged = case(media=[read_as(documents, reading)])
    with pytest.raises(ValueError, match="accepted"):
        judged.outcome()


@pytest.mark.parametrize(
    "reading", [each.value for each in MarkerReading if each not in {"pseudorandom", "zero", "constant"}]
)
def test_only_a_marker_that_reads_pseudorandom_is_as_expected(
    documents: ModuleType, case: Callable[..., Case], reading: str
) -> None:
    outcome = case(media=[read_as(documents, reading)]).outcome()
    assert outcome.verification.markers_committed == 18
    assert outcome.verification.markers_as_expected == 17


def test_a_medium_without_a_command_has_neither_times_nor_a_status_log(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    outcome = case(media=[medium(documents, commands=[])]).outcome()
    assert outcome.sanitization.started_at == "not_observed"
    assert outcome.sanitization.finished_at == "not_observed"
    assert outcome.verification.status_log_digest == "not_observed"
    assert outcome.claim.result is not Result.ERASED


def test_the_techniques_before_the_one_that_was_used_are_named_as_given_up(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    commands = [
        documents.command_fields(),
        {**documents.command_fields(), "technique": "nvme_sanitize_block"},
    ]
    outcome = case(media=[medium(documents, commands=commands)]).outcome()
    assert outcome.sanitization.fallback_from == (Technique.NVME_SANITIZE_CRYPTO,)
    assert case().outcome().sanitization.fallback_from == ()


def test_what_no_drive_tells_of_its_keys_is_not_observed(case: Callable[..., Case]) -> None:
    (keys,) = case().outcome().cryptographic_erase
    told = keys.model_dump(exclude={"escrow", "key_scope"})
    assert set(told.values()) == {"not_observed"}


# --- a summary ----------------------------------------------------------------------------------------------


def test_a_summary_names_every_medium_and_its_claim_is_the_worst_ones(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    other = failed(documents)
    other["medium"] = {**other["medium"], "commitment": OTHER_MEDIUM}
    order = two_media(documents)
    story = case(order=order, media=[other, documents.medium_evidence_fields(order)])
    worse, good = story.verdicts()
    assert (worse.claim.result, good.claim.result) == (Result.NOT_ERASED, Result.ERASED)
    summary = story.summary()
    became = {each.commitment: each.became for each in summary.media}
    assert became == {OTHER_MEDIUM: WhatBecame.NOT_ERASED, documents.MEDIUM: WhatBecame.ERASED}
    assert summary.claim == worse.claim


def test_a_medium_that_the_evidence_passes_over_is_named_and_certified_by_nothing(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    summary = case(order=two_media(documents)).summary()
    assert {each.commitment for each in summary.media} == {OTHER_MEDIUM, documents.MEDIUM}
    assert all(each.became is not WhatBecame.ERASED for each in summary.media)
    assert summary.claim.result is not Result.ERASED


def residue_of(summary: Summary) -> dict[ResidueName, ResidueState]:
    assert len({each.name for each in summary.residue}) == len(summary.residue)
    return {each.name: each.state for each in summary.residue}


def test_a_place_that_the_agent_looked_at_is_told_as_it_said(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    said = [{**each, "state": "cleared"} for each in documents.residue_fields()]
    told = residue_of(case(residue=said).summary())
    assert told == dict.fromkeys(ResidueName, ResidueState.CLEARED)


def test_a_place_that_the_agent_did_not_speak_of_is_not_covered(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    first, *others = [{**each, "state": "cleared"} for each in documents.residue_fields()]
    told = residue_of(case(residue=others).summary())
    assert set(told) == set(ResidueName)
    assert told.pop(ResidueName(first["name"])) is ResidueState.NOT_COVERED
    assert set(told.values()) == {ResidueState.CLEARED}


@pytest.mark.parametrize("second", ["cleared", "checked", "not_covered"])
def test_a_place_named_twice_is_not_covered_whatever_was_said(
    documents: ModuleType, case: Callable[..., Case], second: str
) -> None:
    said = [{**each, "state": "cleared"} for each in documents.residue_fields()]
    told = residue_of(case(residue=[*said, {**said[0], "state": second}]).summary())
    assert told[ResidueName(said[0]["name"])] is ResidueState.NOT_COVERED


def test_a_medium_that_the_evidence_does_not_speak_of_gets_an_outcome_that_claims_nothing(
    documents: ModuleType, case: Callable[..., Case]
) -> None:
    outcome = case(media=[]).outcome()
    assert outcome.claim.result is not Result.ERASED
    assert outcome.verification.markers_committed == 0
    assert outcome.medium.capacity_bytes == "not_observed"
    assert outcome.validation == "not_applicable"


# --- every technique ----------------------------------------------------------------------------------------


def written(documents: ModuleType, judged: Judged, **changes: Any) -> Statement[Outcome]:
    claim = judged.claim()
    is_erased = claim.result is Result.ERASED
    return certify.make_outcome(
        outcome=documents.OUTCOME_ID,
        issue=Case(documents).issue,
        order=judged.order,
        order_digest=documents.sign_order(judged.order).payload_digest,
        evidence=judged.evidence,
        evidence_digest="2" * 64,
        evidence_file_digest="3" * 64,
        verdict=Verdict(
            commitment=judged.medium,
            claim=claim,
            decision=ValidationDecision.ACCEPT if is_erased else "not_applicable",
            **changes,
        ),
        custody=documents.read_as(Custody, documents.CUSTODY),
        supersedes=None,
        decided_at=NOW,
    )


def obeyable(documents: ModuleType, judged: Judged) -> Any:
    digest = documents.sign_order(judged.order).payload_digest
    return SimpleNamespace(order=judged.order, order_digest=digest)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("layers", [0, 2])
def test_whatever_the_controller_writes_a_stranger_computes_too(
    documents: ModuleType, technique: str, layers: int
) -> None:
    refused = ("nvme_sanitize_block",) if technique == "overwrite_zero" else ()
    honest = Techniques(documents).honest(technique, layers=layers, refused=refused)
    cases = (
        honest,
        honest.marker(0, reading_after="unchanged"),
        honest.told("commands", []),
        honest.told("layers", []),
    )
    for judged in cases:
        outcome = written(documents, judged)
        agreement.require_one_story(outcome, obeyable(documents, judged), judged.evidence)
    said = written(documents, honest).predicate
    assert said.sanitization != "not_applicable"
    assert said.verification != "not_applicable"
    assert len(said.sanitization.layers) == layers
    assert said.sanitization.fallback_from == refused
    assert (said.verification.read_back != "not_applicable") is technique.startswith("overwrite")
    assert said.media_kind == "self_encrypting_nvme"
    assert (said.verification.verified_by, said.verification.role) == (honest.evidence.agent_keyid, "agent")


def test_layers_alone_are_an_inconclusive_outcome_that_names_their_keys(documents: ModuleType) -> None:
    judged = Techniques(documents).layers_alone(2)
    outcome = written(documents, judged)
    agreement.require_one_story(outcome, obeyable(documents, judged), judged.evidence)
    said = outcome.predicate
    assert said.claim.result is Result.INCONCLUSIVE
    assert len(said.cryptographic_erase) == 2
    assert said.destination == "not_observed"
    assert said.gdpr_art28_3_g is Seen.NO
