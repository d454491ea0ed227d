"""A host's summary says nothing that the outcome or the evidence beside it contradicts."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.departures import HOST_LIMIT, claim_of_open_exception
from certificate.errors import Code, Refused
from certificate.policy import Policy
from certificate.statements.vocabulary import ResidueName
from certificate.verify import Verified, verify

Story = Any
OTHER = "ab" * 32
NONE = "not_applicable"


def verified(story: Story) -> Verified:
    return verify(story.build(), story.root, Policy.production())


def refused(story: Story, code: Code, words: str) -> None:
    with pytest.raises(Refused) as caught:
        verified(story)
    assert caught.value.code is code, str(caught.value)
    assert words in caught.value.reason


def entry(became: str = "erased", **changes: Any) -> dict[str, Any]:
    fields = {"commitment": OTHER, "became": became, "outcome_digest": "cd" * 32, "decision_digest": NONE}
    return fields | changes


def beside(story: Story, other: dict[str, Any]) -> Story:
    return story.summed("media", lambda media: [*media, other])


def two_media(story: Story) -> Story:
    """The order names a second drive, of which the evidence tells too."""
    other = {"commitment": OTHER}
    story.ordered("plan.media", lambda media: [*media, media[0] | other])
    story.evidence = None
    return story.seen("media", lambda media: [*media, media[0] | {"medium": media[0]["medium"] | other}])


def left(story: Story, tools: dict[str, Any], became: str, outcome: str) -> Story:
    """Another medium left the host by two operators' decision."""
    when = "2026-11-22T09:00:00Z"
    fields = {"kind": "remove", "on": "0f" * 32, "choice": "remove", "document_digest": OTHER}
    fields |= {"enrols": NONE, "issued_at": when, "effective_at": when}
    keys = tools["keys"]
    story.decisions = tuple(tools["make_decision"](each, **fields) for each in (keys.alice, keys.bob))
    decision = story.decisions[0].payload_digest
    return beside(story, entry(became, outcome_digest=outcome, decision_digest=decision))


@pytest.mark.parametrize("state", ["cleared", "checked"])
@pytest.mark.parametrize("place", range(len(ResidueName)))
def test_a_place_that_the_evidence_did_not_cover_is_not_covered(story: Story, place: int, state: str) -> None:
    refused(story.summed(f"residue.{place}.state", state), Code.EVIDENCE_MISMATCH, "than the evidence")


def test_a_place_is_said_to_be_cleared_where_the_evidence_says_so(story: Story) -> None:
    story.seen("residue.0.state", "cleared").summed("residue.0.state", "cleared")
    assert verified(story).claim.result == "erased"


def test_of_a_place_the_summary_may_say_less(story: Story) -> None:
    assert verified(story.seen("residue.0.state", "cleared")).claim.result == "erased"


@pytest.mark.parametrize("became", ["erased", "not_erased", "inconclusive"])
def test_a_medium_that_no_order_names_was_not_erased(story: Story, became: str) -> None:
    refused(beside(story, entry(became)), Code.SUBJECT_MISMATCH, "the order does not name")


@pytest.mark.parametrize("became", ["erased", "not_erased", "inconclusive"])
def test_what_became_of_a_medium_names_its_outcome(story: Story, became: str) -> None:
    beside(two_media(story), entry(became, outcome_digest=NONE))
    refused(story, Code.SUBJECT_MISMATCH, "names no outcome")


@pytest.mark.parametrize("became", ["removed", "destroyed"])
def test_a_medium_that_left_erased_or_destroyed_names_its_outcome(
    story: Story, tools: dict[str, Any], became: str
) -> None:
    refused(left(story, tools, became, NONE), Code.SUBJECT_MISMATCH, "names no outcome")


def test_no_outcome_is_of_two_media(story: Story) -> None:
    story.summed("media", lambda media: [*media, entry(outcome_digest=media[0]["outcome_digest"])])
    refused(two_media(story), Code.SUBJECT_MISMATCH, "one outcome for two media")


def test_no_medium_stands_there_twice(story: Story) -> None:
    beside(beside(two_media(story), entry()), entry(outcome_digest="ce" * 32))
    refused(story, Code.SUBJECT_MISMATCH, "once")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("tenancy_ref", "tenancy"),
        ("subscription_ref", "subscription"),
        ("site_ref", "site"),
        ("asset_ref", "asset"),
        ("tenant_ref", "tenant"),
    ],
)
def test_the_summary_is_of_the_outcomes_tenancy_and_place(story: Story, name: str, word: str) -> None:
    refused(story.summed(f"custody.{name}", "00" * 32), Code.SUBJECT_MISMATCH, f"another {word} than")


def test_the_summary_is_of_the_outcomes_class_of_data(story: Story) -> None:
    refused(story.summed("custody.data_class", "public"), Code.SUBJECT_MISMATCH, "class of data")


def test_the_summary_names_no_other_receipt(story: Story, tools: dict[str, Any]) -> None:
    story.allocation = tools["make_allocation"]()
    digest = tools["signed"](story.allocation, tools["keys"].issuer).payload_digest
    story.said("custody.allocation_ref", digest).summed("custody.allocation_ref", "00" * 32)
    refused(story, Code.SUBJECT_MISMATCH, "another receipt")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("claim.limits", []),
        ("claim.technique", "overwrite_zero"),
        ("claim.reasons", ["BELOW_FLOOR"]),
        ("claim.grade", "device-reported"),
    ],
)
def test_the_claim_of_a_host_with_one_medium_is_that_mediums(story: Story, path: str, value: Any) -> None:
    refused(story.summed(path, value), Code.EVIDENCE_MISMATCH, "otherwise than its worst medium's")


def test_the_claim_of_a_host_with_two_media_has_the_limits_that_none_goes_without(story: Story) -> None:
    beside(two_media(story), entry()).summed("claim.limits", lambda limits: limits[1:])
    refused(story, Code.EVIDENCE_MISMATCH, "lacks a limit")


def test_a_host_with_an_open_exception_says_exactly_that(story: Story, tools: dict[str, Any]) -> None:
    left(story, tools, "open_exception", NONE)
    story.summed("claim", claim_of_open_exception().model_dump(mode="json"))
    assert verified(story).claim.result == "erased"
    refused(story.summed("claim.limits", []), Code.EVIDENCE_MISMATCH, "otherwise")


def test_a_medium_destroyed_by_peoples_word_is_a_limit_of_its_hosts_claim(
    story: Story, tools: dict[str, Any]
) -> None:
    left(story, tools, "destroyed", "cd" * 32)
    refused(story, Code.EVIDENCE_MISMATCH, "otherwise")
    assert verified(story.summed("claim.limits", lambda limits: [*limits, HOST_LIMIT])).summary is not None
