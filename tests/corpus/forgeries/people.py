"""Bundles in which people did not say what they are said to have said."""

from __future__ import annotations

from collections.abc import Iterator

from tests.certificate.verification.conftest import Story
from tests.corpus.case import Case
from tests.corpus.forgeries.stories import (
    accepted,
    approved,
    by_person,
    case,
)
from tests.corpus.papers import (
    KEYS,
    documents,
    flipped,
    parts,
    story,
)


def cases() -> Iterator[Case]:
    yield from _people()


def _people() -> Iterator[Case]:
    missing, mismatch, subject = "APPROVALS_MISSING", "EVIDENCE_MISMATCH", "SUBJECT_MISMATCH"
    two = "rules.0.approvals_required", 2
    yield case(
        "approvals_absent",
        missing,
        "The table asks for two approvals, and none came along.",
        story().tabled(*two),
    )
    expired = approved(
        story().tabled(*two), issued_at="2026-11-21T09:00:00Z", expires_at="2026-11-22T09:00:00Z"
    )
    yield case("approval_expired", missing, "The approvals were over when the order was issued.", expired)
    late = approved(story().tabled(*two), issued_at="2026-11-22T11:00:00Z")
    yield case("approval_later", missing, "The approvals came after the order.", late)
    yield case("own_request", missing, "One person asked and said yes.", story().by_hand(KEYS.alice))
    yield case(
        "by_hand_alone", missing, "A wipe by hand that nobody approved.", story().ordered("trigger", "manual")
    )
    other = story().tabled(*two)
    other.approvals = tuple(
        documents.build_approval(each, plan_digest="ab" * 32) for each in (KEYS.alice, KEYS.bob)
    )
    other.ordered("basis.approvals", documents.references_to(other.approvals))
    yield case("other_plan_approved", "PLAN_MISMATCH", "What was approved is another plan.", other)
    plan = documents.with_field(story().order, "plan_digest", "00" * 32)
    yield case("plan_of_another_digest", "PLAN_MISMATCH", "A plan that nobody approved.", story(order=plan))
    table = documents.signed_as(documents.build_table(version=2), KEYS.root).write().decode()
    yield case(
        "table_of_another_digest",
        "PLAN_MISMATCH",
        "A table that the plan does not name.",
        parts(story()) | {"validation": table},
    )
    yield case(
        "tenancy_active",
        "BASIS_INSUFFICIENT",
        "The customer had not left.",
        story().ordered("basis.answers.0.state", "active"),
    )
    yield case(
        "frozen",
        "BASIS_INSUFFICIENT",
        "Ordered while everything stood still.",
        story().ordered("basis.is_frozen", "yes"),
    )
    yield case(
        "in_stock_by_one",
        "DECISIONS_MISSING",
        "One operator declared the host never let, twice.",
        story().by_hand(KEYS.bob, declared_by=(KEYS.alice, KEYS.alice)),
    )
    yield case(
        "accepted_by_approver", missing, "Who approved the erasure accepted its result.", _by_approver()
    )
    yield case(
        "accepted_by_stranger", "KEY_UNTRUSTED", "A stranger accepted the result.", by_person(KEYS.stranger)
    )
    yield case(
        "accepted_other_evidence",
        subject,
        "What was accepted is other evidence.",
        by_person(KEYS.alice, on="00" * 32),
    )
    yield case(
        "rejected_and_accepted", subject, "The person said reject.", by_person(KEYS.alice, choice="reject")
    )
    yield case(
        "accepted_later",
        "TIME_BRACKET_VIOLATED",
        "Accepted after the outcome that contains it.",
        by_person(KEYS.alice, issued_at="2026-11-22T11:00:00Z", effective_at="2026-11-22T11:00:00Z"),
    )
    yield case(
        "table_rejects",
        mismatch,
        "A person accepted what the table rejects.",
        by_person(KEYS.alice, row="reject"),
    )
    yield case(
        "table_escalates",
        mismatch,
        "The issuer accepted what the table escalates.",
        story().tabled("rows.0.decision", "escalate"),
    )
    absent = by_person(KEYS.alice)
    absent.decisions = ()
    yield case(
        "acceptance_absent", "INCOMPLETE_SET", "The decision that accepted did not come along.", absent
    )
    yield case(
        "nobody_accepted",
        mismatch,
        "An erasure that nobody accepted.",
        story().said("validation", "not_applicable"),
    )
    yield case(
        "accepted_under_another_table",
        subject,
        "Accepted under another table.",
        story().said("validation.table_digest", "00" * 32),
    )
    unsigned = parts(by_person(KEYS.alice))
    unsigned["decisions"][-1] = flipped(unsigned["decisions"][-1], "signature")
    yield case(
        "acceptance_edited",
        "SIGNATURE_INVALID",
        "One bit of the acceptance's signature is another.",
        unsigned,
    )


def _by_approver() -> Story:
    told = approved(story().tabled("rows.0.decision", "escalate"))
    told.build()
    fields = {
        "kind": "validate",
        "on": told.envelopes["evidence"].payload_digest,
        "choice": "accept",
        "enrols": "not_applicable",
        "issued_at": "2026-11-22T10:00:35Z",
        "effective_at": "2026-11-22T10:00:35Z",
    }
    decision = documents.build_decision(KEYS.alice, **fields)
    told.decisions = (decision,)
    person = {
        "decided_by": decision.payload_digest,
        "validated_by": KEYS.alice.public.keyid,
        "role": "operator",
        "decided_at": fields["issued_at"],
    }
    return told.said("validation", accepted(told) | person)
