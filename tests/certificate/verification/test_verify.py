"""A bundle says yes only when every document, key, place and link in it does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certificate import envelope
from certificate.bundle import Bundle
from certificate.departures import claim_of_open_exception
from certificate.errors import Code, Refused
from certificate.log import checkpoint as log_checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.policy import Policy
from certificate.statements.vocabulary import Grade, Result
from certificate.verify import NO_WITNESS, Level, Verified, verify

Story = Any
LAYER = {
    "kind": "luks2",
    "nsid": 1,
    "offset_bytes": 0,
    "is_detached": "no",
    "header_copies": 2,
    "key_slots": 1,
    "tokens": 0,
    "area_bytes": 16_777_216,
    "start_acknowledged": "yes",
    "every_copy_differs": "yes",
    "was_flushed": "yes",
    "known_key_refused": "not_observed",
    "is_found_after": "no",
}


def verified(story: Story, policy: Policy | None = None, **replaced: Any) -> Verified:
    bundle = story.build()
    return verify(with_parts(bundle, **replaced), story.root, policy or Policy.production())


def with_parts(bundle: Bundle, **replaced: Any) -> Bundle:
    return Bundle.read(json.dumps(bundle.model_dump(mode="json") | replaced).encode())


def refused(story: Story, code: Code, words: str = "", policy: Policy | None = None, **replaced: Any) -> None:
    with pytest.raises(Refused) as caught:
        verified(story, policy, **replaced)
    assert caught.value.code is code, str(caught.value)
    assert words in caught.value.reason


def test_an_honest_bundle_is_signed_and_logged_and_claims_what_the_evidence_shows(story: Story) -> None:
    found = verified(story)
    assert (found.claim.result, found.claim.grade) == (Result.ERASED, Grade.MARKER_PROVEN)
    assert found.levels == (Level.SIGNED, Level.LOGGED)
    assert found.cautions == (NO_WITNESS,)
    assert found.outcome_seq == 4
    assert {check.name for check in found.checks} >= {"outcome", "order", "evidence", "claim", "validation"}


def test_verifying_twice_gives_the_same(story: Story) -> None:
    bundle = story.build()
    assert verify(bundle, story.root, Policy.production()) == verify(bundle, story.root, Policy.production())


def test_a_bundle_survives_writing_and_reading(story: Story) -> None:
    bundle = story.build()
    again = Bundle.read(bundle.write())
    assert again == bundle
    assert again.evidence.encode() == story.envelopes["evidence"].write()


# --- 1: the trust root ---


def test_a_bundle_under_another_trust_root_is_refused(story: Story, tools: dict[str, Any]) -> None:
    bundle = story.build()
    other = tools["make_trust"](nonce="00" * 16)
    with pytest.raises(Refused) as caught:
        verify(bundle, other, Policy.production())
    assert caught.value.code is Code.KEY_UNTRUSTED


def test_a_chain_of_two_trust_roots_is_not_read_by_this_release(story: Story) -> None:
    roots = list(story.build().trust_roots)
    refused(story, Code.UNSUPPORTED, "one trust root", trust_roots=roots * 2)


# --- 2: the outcome ---


def flipped(text: str, field: str) -> str:
    """The envelope with one bit of its payload or signature flipped."""
    document = json.loads(text)
    place, name = (document, "payload") if field == "payload" else (document["signatures"][0], "sig")
    data = bytearray(base64.b64decode(place[name]))
    # The digit of a number or digest, so that the document stays well-formed where it is a payload.
    at = data.index(b'"nonce":"') + 9 if field == "payload" else 5
    data[at] = ord("f" if data[at] != ord("f") else "e") if field == "payload" else data[at] ^ 1
    place[name] = base64.b64encode(bytes(data)).decode()
    return json.dumps(document, separators=(",", ":")) + "\n"


@pytest.mark.parametrize("part", ["outcome", "summary", "order", "validation"])
@pytest.mark.parametrize("field", ["payload", "signature"])
def test_one_altered_byte_breaks_the_signature(story: Story, part: str, field: str) -> None:
    text = getattr(story.build(), part)
    refused(story, Code.SIGNATURE_INVALID, "", None, **{part: flipped(text, field)})


@pytest.mark.parametrize("field", ["payload", "signature"])
def test_one_altered_byte_of_the_evidence_makes_it_another_file(story: Story, field: str) -> None:
    refused(
        story, Code.SUBJECT_MISMATCH, "another evidence file", evidence=flipped(story.build().evidence, field)
    )


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_altered_byte_is_refused_or_changes_nothing_that_is_believed(
    honest: tuple[bytes, Any, Verified], data: Any
) -> None:
    bundle, root, before = honest
    at = data.draw(st.integers(0, len(bundle) - 1))
    byte = data.draw(st.integers(1, 255))
    altered = bundle[:at] + bytes([bundle[at] ^ byte]) + bundle[at + 1 :]
    try:
        after = verify(Bundle.read(altered), root, Policy.production())
    except Refused:
        return
    # White space, a keyid (a hint) or another spelling of the same text: the same verdict on the same bytes.
    assert after == before


@pytest.fixture(scope="module")
def honest(make_honest: Callable[[], tuple[bytes, Any]]) -> tuple[bytes, Any, Verified]:
    bundle, root = make_honest()
    return bundle, root, verify(Bundle.read(bundle), root, Policy.production())


@pytest.mark.parametrize("part", ["outcome", "order", "summary"])
def test_a_document_without_its_proof_is_not_logged(story: Story, part: str) -> None:
    proofs = [each for each in story.build().model_dump(mode="json")["proofs"] if each["document"] != part]
    refused(story, Code.NOT_LOGGED, part, proofs=proofs)


def test_the_proof_of_another_document_does_not_help(story: Story) -> None:
    proofs = story.build().model_dump(mode="json")["proofs"]
    texts = {each["document"]: each["proof"] for each in proofs}
    swapped = [each | {"proof": texts["order"]} if each["document"] == "outcome" else each for each in proofs]
    refused(story, Code.PROOF_INVALID, proofs=swapped)


@pytest.mark.parametrize("part", ["order", "outcome", "summary"])
def test_a_document_signed_by_a_key_for_something_else_is_untrusted(
    story: Story, part: str, tools: dict[str, Any]
) -> None:
    story.signers[part] = tools["keys"].boot
    refused(story, Code.KEY_UNTRUSTED)


def test_a_key_withdrawn_before_the_entry_does_not_count(story: Story, tools: dict[str, Any]) -> None:
    issuer = tools["keys"].issuer.public.keyid
    keys = [
        dict(key) | ({"valid_until_seq": 4} if key["keyid"] == issuer else {})
        for key in json.loads(story.root.model_dump_json())["keys"]
    ]
    story.root = tools["altered"](story.root, "keys", keys)
    refused(story, Code.KEY_REVOKED_AT_INDEX)


# --- 3: the order ---


def test_an_order_logged_after_its_outcome_was_invented_later(story: Story) -> None:
    story.logged = ("outcome", "order", "summary")
    refused(story, Code.NOT_LOGGED, "not before the outcome")


def test_the_plan_must_be_the_one_that_was_approved(story: Story, tools: dict[str, Any]) -> None:
    story.order = tools["altered"](story.order, "plan_digest", "00" * 32)
    refused(story, Code.PLAN_MISMATCH)


def test_a_validation_table_that_the_plan_does_not_name_is_refused(
    story: Story, tools: dict[str, Any]
) -> None:
    other = tools["signed"](tools["make_table"](version=2), tools["keys"].root)
    refused(story, Code.PLAN_MISMATCH, validation=other.write().decode())


def test_approvals_that_the_table_requires_must_be_there(story: Story) -> None:
    story.tabled("rules.0.approvals_required", 2)
    refused(story, Code.APPROVALS_MISSING)


def approved(story: Story, tools: dict[str, Any]) -> Story:
    """Two operators approved the plan."""
    people = (tools["keys"].alice, tools["keys"].bob)
    digest = story.order.plan.canonical_digest()
    story.approvals = tuple(tools["make_approval"](each, plan_digest=digest) for each in people)
    references = [
        {"digest": approval.payload_digest, "keyid": each.public.keyid}
        for approval, each in zip(story.approvals, people, strict=True)
    ]
    return story.ordered("basis.approvals", references)


def test_a_bundle_with_the_approvals_of_two_people_verifies(story: Story, tools: dict[str, Any]) -> None:
    approved(story.tabled("rules.0.approvals_required", 2), tools)
    assert any("2 approvals" in check.sentence for check in verified(story).checks)


# --- 4: the evidence ---


def test_evidence_of_another_agents_key_is_untrusted(story: Story, tools: dict[str, Any]) -> None:
    story.signers["evidence"] = tools["keys"].stranger
    with pytest.raises(Refused) as caught:
        verified(story)
    assert caught.value.code in (Code.SIGNATURE_INVALID, Code.KEY_UNTRUSTED)


def test_evidence_of_another_digest_than_named_is_refused(story: Story) -> None:
    refused(story.said("evidence_digest", "00" * 32), Code.SUBJECT_MISMATCH, "other evidence")


# --- 5: one story ---


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("order", "ord_" + "00" * 16, "order"),
        ("order_digest", "00" * 32, "order digest"),
        ("deprovision", "dep_" + "00" * 16, "deprovision"),
        ("attempt", 2, "attempt"),
        ("host_commitment", "00" * 32, "host"),
        ("custody.tenancy_ref", "00" * 32, "tenancy"),
        ("custody.data_class", "secret", "class of data"),
    ],
)
def test_an_outcome_of_another_story_is_refused(story: Story, path: str, value: Any, words: str) -> None:
    refused(story.said(path, value), Code.SUBJECT_MISMATCH, words)


def test_evidence_that_answers_another_order_is_refused(story: Story) -> None:
    refused(story.seen("order_digest", "00" * 32), Code.SUBJECT_MISMATCH, "order digest")


def test_an_outcome_about_a_medium_that_nobody_ordered_is_refused(story: Story) -> None:
    refused(story.said("medium.commitment", "00" * 32), Code.SUBJECT_MISMATCH, "does not name this medium")


def test_an_outcome_whose_second_subject_is_another_medium_is_refused(
    story: Story, tools: dict[str, Any]
) -> None:
    story.build()
    outcome = json.loads(story.envelopes["outcome"].payload)
    outcome["subject"][1]["digest"]["sha256"] = "00" * 32
    story.envelopes["outcome"] = envelope.sign(json.dumps(outcome).encode(), tools["keys"].issuer)
    with pytest.raises(Refused) as caught:
        verify(story.bundled(), story.root, Policy.production())
    assert caught.value.code is Code.SUBJECT_MISMATCH
    assert "second subject" in caught.value.reason


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("medium.model", "ANOTHER MODEL", "medium"),
        ("medium.device_class", "image_file", "medium"),
        ("boot_trust", "network", "boot trust"),
        ("observer", "beside", "observer"),
        ("agent_keyid", "SHA256:" + "A" * 43, "agent"),
        ("attestation", "SPDM", "attestation"),
        ("sanitization.commands.0.completion_status", "0001", "list of commands"),
        ("sanitization.started_at", "2026-11-22T10:00:19Z", "start"),
        ("sanitization.finished_at", "not_observed", "finish"),
        ("sanitization.unaddressed_areas", ["boot partition 1"], "unaddressed"),
        ("sanitization.errors", ["READ_FAILED"], "errors"),
        ("sanitization.tool.version", "9.9.9", "tool"),
        ("verification.status_log_digest", "00" * 32, "status log"),
        ("verification.markers_committed", 99, "markers"),
        ("verification.markers_as_expected", 4, "markers"),
        ("verification.markers_as_expected", 2, "markers as expected"),
        ("verification.verified_by", "SHA256:" + "A" * 43, "verifier"),
        ("verification.role", "operator", "verifier"),
        ("verification.read_back", "not_observed", "read-back"),
        ("sanitization.standard", "another", "standard"),
        ("sanitization.fallback_from", ["nvme_sanitize_block"], "given up"),
        ("sanitization.layers", [LAYER], "layers"),
        ("destination", "not_observed", "destination"),
        ("media_kind", "nvme", "kind of medium"),
        ("cryptographic_erase", [], "keys"),
        ("cryptographic_erase.0.escrow", "none", "keys"),
        ("cryptographic_erase.0.strength_bits", 256, "keys"),
    ],
)
def test_an_outcome_that_tells_what_the_evidence_does_not_is_refused(
    story: Story, path: str, value: Any, words: str
) -> None:
    refused(story.said(path, value), Code.EVIDENCE_MISMATCH, words)


def test_an_outcome_over_evidence_that_does_not_speak_of_its_medium_is_refused(story: Story) -> None:
    medium = story.order.plan.media[0].commitment
    story.seen("media.0.medium.commitment", "00" * 32).said("medium.commitment", medium)
    refused(story, Code.EVIDENCE_MISMATCH, "does not speak of this medium")


# --- 6: the claim ---


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("claim.grade", "device-attested"),
        ("claim.technique", "nvme_sanitize_block"),
        ("claim.limits", ["It is all fine."]),
        ("claim.reasons", ["NO_MARKERS"]),
    ],
)
def test_a_claim_that_the_evidence_does_not_give_word_for_word_is_refused(
    story: Story, path: str, value: Any
) -> None:
    refused(story.said(path, value), Code.EVIDENCE_MISMATCH, "the evidence supports erased, purge")


def test_an_erasure_claimed_over_an_unchanged_marker_is_refused(story: Story) -> None:
    honest = story.build()
    claim = json.loads(base64.b64decode(json.loads(honest.outcome)["payload"]))["predicate"]["claim"]
    story.seen("media.0.markers.markers.0.reading_after", "unchanged").said("claim", claim)
    refused(story, Code.EVIDENCE_MISMATCH, "not_erased, none, none (MARKER_UNCHANGED)")


def two_media(story: Story) -> Story:
    """The order names a second drive, of which the evidence tells too."""
    other = {"commitment": "ab" * 32}
    story.ordered("plan.media", lambda media: [*media, media[0] | other])
    story.evidence = None
    return story.seen("media", lambda media: [*media, media[0] | {"medium": media[0]["medium"] | other}])


def in_summary(story: Story, became: str = "erased") -> Story:
    second = {
        "commitment": "ab" * 32,
        "became": became,
        "outcome_digest": "cd" * 32,
        "decision_digest": "not_applicable",
    }
    return story.summed("media", lambda media: [*media, second])


def test_a_host_with_two_media_verifies_when_both_are_accounted_for(story: Story) -> None:
    assert verified(in_summary(two_media(story))).claim.grade is Grade.MARKER_PROVEN


def test_evidence_without_one_of_the_orders_media_is_an_incomplete_set(story: Story) -> None:
    in_summary(two_media(story))
    claim = json.loads(base64.b64decode(json.loads(story.build().outcome)["payload"]))["predicate"]["claim"]
    story.outcome_changes.clear()
    story.seen("media", lambda media: media[:1]).said("claim", claim).said("validation", accepted(story))
    refused(story, Code.INCOMPLETE_SET, "the evidence lacks 1")


def accepted(story: Story, **changes: Any) -> dict[str, Any]:
    return {
        "decision": "accept",
        "table_digest": story.envelopes["validation"].payload_digest,
        "decided_by": "not_applicable",
        "validated_by": story.tools["keys"].issuer.public.keyid,
        "role": "issuer",
        "decided_at": "2026-11-22T10:00:40Z",
    } | changes


# --- 7: the acceptance ---


def test_a_result_that_nobody_accepted_is_refused(story: Story) -> None:
    refused(story.said("validation", "not_applicable"), Code.EVIDENCE_MISMATCH, "nobody accepted")


def test_a_result_that_was_escalated_is_not_accepted(story: Story) -> None:
    refused(story.said("validation.decision", "escalate"), Code.EVIDENCE_MISMATCH, "nobody accepted")


def test_an_acceptance_under_another_table_is_refused(story: Story) -> None:
    refused(story.said("validation.table_digest", "00" * 32), Code.SUBJECT_MISMATCH, "another validation")


@pytest.mark.parametrize("decision", ["reject", "escalate"])
def test_an_acceptance_that_the_table_does_not_give_is_refused(story: Story, decision: str) -> None:
    refused(story.tabled("rows.0.decision", decision), Code.EVIDENCE_MISMATCH, decision)


def test_a_weaker_grade_is_not_the_row_that_accepts(story: Story) -> None:
    story.seen("media.0.markers.markers.0.reading_after", "zero")
    refused(story, Code.EVIDENCE_MISMATCH, "escalate")


def by_person(story: Story, tools: dict[str, Any], **changes: Any) -> Story:
    """The table escalated; an operator accepted exactly this evidence."""
    if story.table.rows[0].decision == "accept":
        story.tabled("rows.0.decision", "escalate")
    story.build()
    fields = {
        "kind": "validate",
        "on": story.envelopes["evidence"].payload_digest,
        "choice": "accept",
        "enrols": "not_applicable",
        "issued_at": "2026-11-22T10:00:35Z",
        "effective_at": "2026-11-22T10:00:35Z",
    }
    operator = changes.pop("operator", tools["keys"].alice)
    decision = tools["make_decision"](operator, **(fields | changes))
    story.decisions = (decision,)
    person = {"validated_by": operator.public.keyid, "role": "operator"}
    dated = {"decided_at": (fields | changes)["issued_at"]}
    return story.said("validation", accepted(story, decided_by=decision.payload_digest, **person, **dated))


def test_a_person_may_accept_what_the_table_escalates(story: Story, tools: dict[str, Any]) -> None:
    assert verified(by_person(story, tools)).claim.result is Result.ERASED


def test_a_person_may_not_accept_what_the_table_rejects(story: Story, tools: dict[str, Any]) -> None:
    refused(
        by_person(story.tabled("rows.0.decision", "reject"), tools), Code.EVIDENCE_MISMATCH, "says reject"
    )


def test_the_decision_of_a_person_must_come_along(story: Story, tools: dict[str, Any]) -> None:
    by_person(story, tools).decisions = ()
    refused(story, Code.INCOMPLETE_SET)


@pytest.mark.parametrize("changes", [{"choice": "reject"}, {"on": "00" * 32}, {"kind": "waive_notice"}])
def test_a_decision_on_something_else_accepts_nothing(
    story: Story, tools: dict[str, Any], changes: dict[str, Any]
) -> None:
    refused(by_person(story, tools, **changes), Code.SUBJECT_MISMATCH, "accepts something else")


def test_who_approved_the_erasure_may_not_accept_its_result(story: Story, tools: dict[str, Any]) -> None:
    approved(story.tabled("rows.0.decision", "escalate"), tools)
    refused(by_person(story, tools), Code.APPROVALS_MISSING, "who accepted the result")


@pytest.mark.parametrize("wrong", [{"role": "issuer"}, {"validated_by": "SHA256:" + "A" * 43}])
def test_who_validated_is_who_decided(story: Story, tools: dict[str, Any], wrong: dict[str, str]) -> None:
    story = by_person(story, tools)
    for name, value in wrong.items():
        story.said(f"validation.{name}", value)
    refused(story, Code.EVIDENCE_MISMATCH, "validated")


@pytest.mark.parametrize("wrong", [{"role": "operator"}, {"validated_by": "SHA256:" + "A" * 43}])
def test_what_the_table_accepted_no_person_is_said_to_have_validated(
    story: Story, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        story.said(f"validation.{name}", value)
    refused(story, Code.EVIDENCE_MISMATCH, "validated")


def test_a_stranger_may_not_accept_a_result(story: Story, tools: dict[str, Any]) -> None:
    refused(by_person(story, tools, operator=tools["keys"].stranger), Code.KEY_UNTRUSTED)


def test_a_failure_that_carries_an_acceptance_is_refused(story: Story) -> None:
    story.seen("media.0.markers.markers.0.reading_after", "unchanged").said("validation", accepted(story))
    refused(story, Code.EVIDENCE_MISMATCH, "a failure carries an acceptance")


# --- by hand: the people behind it come along, and are checked by the agent's own rules ---


def test_a_wipe_by_hand_verifies_with_its_request_and_approval(story: Story, tools: dict[str, Any]) -> None:
    checks = verified(story.by_hand(tools["keys"].bob)).checks
    assert any("by 2 different operators" in check.sentence for check in checks)


def test_a_wipe_by_hand_by_one_key_is_found_out_years_later(story: Story, tools: dict[str, Any]) -> None:
    refused(story.by_hand(tools["keys"].alice), Code.APPROVALS_MISSING, "its own request")


def test_a_wipe_by_hand_that_nobody_approved_is_found_out(story: Story) -> None:
    refused(story.by_hand(), Code.APPROVALS_MISSING)


def test_a_wipe_by_hand_without_anybody_is_found_out(story: Story) -> None:
    refused(story.ordered("trigger", "manual"), Code.APPROVALS_MISSING, "0 of 2")


def test_the_approvals_of_a_wipe_by_hand_must_come_along(story: Story, tools: dict[str, Any]) -> None:
    story.by_hand(tools["keys"].bob).approvals = ()
    refused(story, Code.APPROVALS_MISSING)


def test_an_approver_who_was_enrolled_later_needs_the_enrolment_beside_it(
    make_story: Any, tools: dict[str, Any]
) -> None:
    keys = tools["keys"]
    story = make_story().by_hand(keys.carol)
    story.decisions = tuple(tools["make_decision"](each) for each in (keys.alice, keys.bob))
    verified(story)
    story.decisions = story.decisions[:1]
    refused(story, Code.KEY_UNTRUSTED)


def test_a_host_in_stock_verifies_with_both_declarations(story: Story, tools: dict[str, Any]) -> None:
    verified(story.by_hand(tools["keys"].bob, declared_by=(tools["keys"].alice, tools["keys"].bob)))


def test_a_host_in_stock_that_one_operator_declared_is_found_out(story: Story, tools: dict[str, Any]) -> None:
    refused(
        story.by_hand(tools["keys"].bob, declared_by=(tools["keys"].alice,) * 2),
        Code.DECISIONS_MISSING,
        "one person",
    )


def test_the_declarations_of_a_host_in_stock_must_come_along(story: Story, tools: dict[str, Any]) -> None:
    story.by_hand(tools["keys"].bob, declared_by=(tools["keys"].alice, tools["keys"].bob)).decisions = ()
    refused(story, Code.DECISIONS_MISSING)


def test_a_tenancy_that_had_not_ended_is_found_out(story: Story) -> None:
    refused(story.ordered("basis.answers.0.state", "active"), Code.BASIS_INSUFFICIENT, "is active")


# --- 8: the summary ---


def test_an_erased_medium_without_its_hosts_summary_is_an_incomplete_set(story: Story) -> None:
    refused(story, Code.INCOMPLETE_SET, "summary", summary=None)


def test_a_summary_logged_before_its_outcome_sums_up_nothing(story: Story) -> None:
    story.logged = ("order", "summary", "outcome")
    refused(story, Code.NOT_LOGGED, "before the outcome")


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("deprovision", "dep_" + "00" * 16, Code.SUBJECT_MISMATCH),
        ("host_commitment", "00" * 32, Code.SUBJECT_MISMATCH),
        ("order_digests", ["00" * 32], Code.SUBJECT_MISMATCH),
        ("media.0.outcome_digest", "00" * 32, Code.SUBJECT_MISMATCH),
        ("media", lambda media: media * 2, Code.SUBJECT_MISMATCH),
        ("media.0.became", "not_erased", Code.EVIDENCE_MISMATCH),
        ("media.0.became", "removed", Code.ATTESTATION_MISSING),
        ("media.0.decision_digest", "00" * 32, Code.SUBJECT_MISMATCH),
        ("claim.grade", "device-attested", Code.EVIDENCE_MISMATCH),
        ("anchor.size", 999, Code.CHECKPOINT_INVALID),
    ],
)
def test_a_summary_that_tells_another_story_is_refused(
    story: Story, path: str, value: Any, code: Code
) -> None:
    refused(story.summed(path, value), code)


def test_a_summary_that_lacks_a_medium_of_the_order_is_an_incomplete_set(story: Story) -> None:
    refused(two_media(story), Code.INCOMPLETE_SET, "the summary lacks 1")


@pytest.mark.parametrize("became", ["not_erased", "inconclusive"])
def test_a_host_with_a_spoilt_medium_may_not_claim_an_erasure(story: Story, became: str) -> None:
    refused(in_summary(two_media(story), became), Code.EVIDENCE_MISMATCH, "worst medium")


def superseded(story: Story) -> Story:
    """The host was tried again after this attempt, and its summary names what came of that."""
    story.build()
    own = story.envelopes["order"].payload_digest
    return story.summed("order_digests", [own, "77" * 32]).summed("media.0.outcome_digest", "88" * 32)


def test_an_erasure_that_was_followed_by_another_attempt_is_superseded(story: Story) -> None:
    refused(superseded(story), Code.SUPERSEDED, "tried again")


def test_an_erasure_that_a_summary_keeps_over_a_later_attempt_is_superseded(story: Story) -> None:
    """Whoever tried the medium again knows something of it that this outcome does not say."""
    story.build()
    own = story.envelopes["order"].payload_digest
    refused(story.summed("order_digests", [own, "77" * 32]), Code.SUPERSEDED, "with the medium")


def test_a_medium_in_doubt_beside_an_erased_one_is_a_caution(story: Story) -> None:
    limits = {"limits": list(verified(story).claim.limits)}
    in_doubt = in_summary(two_media(story), "inconclusive")
    in_doubt.summed("claim", claim_of_open_exception().model_dump(mode="json") | limits)
    assert any(each.startswith("1 of the host's media were not") for each in verified(in_doubt).cautions)


def test_a_failure_that_was_followed_by_another_attempt_stays_one(story: Story) -> None:
    refused(superseded(story.seen("media.0.markers.markers.0.reading_after", "unchanged")), Code.NOT_ERASED)


def test_a_host_that_a_medium_left_unerased_is_not_claimed_to_be_erased(story: Story) -> None:
    left = {
        "commitment": "ab" * 32,
        "became": "open_exception",
        "outcome_digest": "not_applicable",
        "decision_digest": "cd" * 32,
    }
    story.summed("media", lambda media: [*media, left])
    refused(story, Code.EVIDENCE_MISMATCH, "worst medium")


# --- 9: the allocation ---


def allotted(story: Story, tools: dict[str, Any], **changes: Any) -> Story:
    story.allocation = tools["make_allocation"](**changes)
    digest = tools["signed"](story.allocation, tools["keys"].issuer).payload_digest
    return story.said("custody.allocation_ref", digest)


def test_a_named_allocation_receipt_is_verified(story: Story, tools: dict[str, Any]) -> None:
    assert "allocation" in {check.name for check in verified(allotted(story, tools)).checks}


def test_a_named_allocation_receipt_must_come_along(story: Story) -> None:
    refused(story.said("custody.allocation_ref", "00" * 32), Code.INCOMPLETE_SET, "allocation")


def test_another_allocation_receipt_is_refused(story: Story, tools: dict[str, Any]) -> None:
    allotted(story, tools).said("custody.allocation_ref", "00" * 32)
    refused(story, Code.SUBJECT_MISMATCH, "another allocation receipt")


def test_the_allocation_receipt_of_another_tenancy_is_refused(story: Story, tools: dict[str, Any]) -> None:
    refused(allotted(story, tools, tenancy_ref="00" * 32), Code.SUBJECT_MISMATCH, "another tenancy")


def test_the_allocation_receipt_of_another_host_is_refused(story: Story, tools: dict[str, Any]) -> None:
    refused(allotted(story, tools, host_commitment="dd" * 32), Code.SUBJECT_MISMATCH, "another host")


def test_an_allocation_receipt_of_other_drives_is_refused(story: Story, tools: dict[str, Any]) -> None:
    honest = tools["make_allocation"]().model_dump(mode="json")["media"]
    others = [{**honest[0], "commitment": "ee" * 32}]
    refused(allotted(story, tools, media=others), Code.SUBJECT_MISMATCH, "does not list this medium")


def test_an_allocation_receipt_may_list_more_drives_than_this(story: Story, tools: dict[str, Any]) -> None:
    honest = tools["make_allocation"]().model_dump(mode="json")["media"]
    both = [{**honest[0], "commitment": "ee" * 32}, *honest]
    assert "allocation" in {check.name for check in verified(allotted(story, tools, media=both)).checks}


# --- 10: one log ---


@pytest.mark.parametrize(("path", "value"), [("anchor.size", 99), ("anchor.origin", "other.example/log")])
def test_an_anchor_in_another_log_or_in_the_future_is_refused(story: Story, path: str, value: Any) -> None:
    refused(story.said(path, value), Code.CHECKPOINT_INVALID)


def test_an_anchor_that_contradicts_a_checkpoint_of_its_size_is_refused(story: Story) -> None:
    refused(
        story.said("anchor.size", 4).summed("anchor.size", 4).summed("anchor.root", "00" * 32),
        Code.CHECKPOINT_INVALID,
        "two roots",
    )


def test_two_checkpoints_that_contradict_each_other_are_refused(story: Story, tools: dict[str, Any]) -> None:
    proofs = story.build().model_dump(mode="json")["proofs"]
    for each in proofs:
        if each["document"] == "summary":
            head, _, _ = each["proof"].partition("\n\n")
            forged = Checkpoint(origin=story.root.log.origin, size=6, root=bytes(32))
            each["proof"] = head + "\n\n" + log_checkpoint.sign(forged, tools["keys"].log).decode()
    refused(story, Code.PROOF_INVALID, proofs=proofs)


# --- 11: the policy ---


def test_a_demonstration_is_refused_for_its_medium_first(demonstration: Story) -> None:
    refused(demonstration, Code.NOT_A_PHYSICAL_DEVICE, "emulated")


def test_a_demonstration_on_physical_media_is_still_a_demonstration(make_story: Callable[..., Story]) -> None:
    refused(make_story(purpose="demonstration"), Code.DEMONSTRATION)


def test_a_policy_that_names_it_accepts_a_demonstration(demonstration: Story, demo_policy: Policy) -> None:
    found = verified(demonstration, demo_policy)
    assert found.purpose == "demonstration"
    assert any("emulated" in limit for limit in found.claim.limits)


def test_the_demonstrations_policy_does_not_accept_the_real_thing(story: Story, demo_policy: Policy) -> None:
    refused(story, Code.NOT_A_PHYSICAL_DEVICE, "physical", policy=demo_policy)


def test_one_emulated_medium_among_physical_ones_is_refused(story: Story) -> None:
    in_summary(two_media(story)).seen("media.1.medium.device_class", "emulated")
    refused(story, Code.NOT_A_PHYSICAL_DEVICE)


def test_documents_of_both_purposes_never_vouch_for_each_other(story: Story, tools: dict[str, Any]) -> None:
    story.root = tools["make_trust"]("demonstration")
    refused(story, Code.PURPOSE_MISMATCH)


@pytest.mark.parametrize("with_summary", [True, False])
def test_a_genuine_record_of_a_failure_is_refused_as_not_erased(story: Story, with_summary: bool) -> None:
    story.summary = with_summary
    refused(
        story.seen("media.0.markers.markers.0.reading_after", "unchanged"),
        Code.NOT_ERASED,
        "MARKER_UNCHANGED",
    )


def test_a_genuine_record_of_doubt_is_refused_as_inconclusive(story: Story) -> None:
    story.summary = False
    refused(story.seen("media.0.was_present", "not_observed"), Code.INCONCLUSIVE, "NOT_PRESENT")


def test_a_drive_that_was_sent_nothing_is_recorded_as_such(story: Story) -> None:
    story.summary = False
    refused(story.seen("media.0.commands", []), Code.INCONCLUSIVE, "NO_COMMAND")


def test_a_failure_of_emulated_media_is_not_a_failure_of_a_machine(demonstration: Story) -> None:
    demonstration.seen("media.0.was_present", "not_observed").summary = False
    refused(demonstration, Code.NOT_A_PHYSICAL_DEVICE)


def test_a_policy_may_ask_more_than_the_certificate_says(story: Story, tools: dict[str, Any]) -> None:
    strict = tools["altered"](Policy.production(), "minimum_grade", "device-attested")
    refused(story, Code.POLICY_UNMET, "device-attested", policy=strict)
    destroy = tools["altered"](Policy.production(), "minimum_method", "destroy")
    refused(story, Code.POLICY_UNMET, "destroy", policy=destroy)
