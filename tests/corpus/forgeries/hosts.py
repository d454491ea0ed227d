"""Bundles whose summary, device or purpose is another than it seems."""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus.case import Case
from tests.corpus.forgeries.stories import (
    case,
    two_media,
)
from tests.corpus.papers import (
    documents,
    parts,
    root_file,
    story,
)


def cases() -> Iterator[Case]:
    yield from _summaries()
    yield from _purposes()


def _summaries() -> Iterator[Case]:
    subject, mismatch, incomplete = "SUBJECT_MISMATCH", "EVIDENCE_MISMATCH", "INCOMPLETE_SET"
    yield case(
        "summary_absent",
        incomplete,
        "A certificate without its host's summary.",
        parts(story()) | {"summary": None},
    )
    yield case(
        "summary_omits_a_medium",
        incomplete,
        "The summary does not speak of the second drive.",
        two_media(None),
    )
    yield case(
        "summary_hides_a_failure",
        mismatch,
        "The second drive was not erased, and the host is called erased.",
        two_media("not_erased"),
    )
    yield case(
        "summary_hides_doubt",
        mismatch,
        "Of the second drive nobody knows, and the host is called erased.",
        two_media("inconclusive"),
    )
    yield case(
        "summary_second_removed",
        "ATTESTATION_MISSING",
        "The second drive left, and nobody decided it.",
        two_media("removed"),
    )
    for name, code, path, value, sentence in (
        (
            "summary_of_another_deprovision",
            subject,
            "deprovision",
            "dep_" + "00" * 16,
            "The summary of another deprovision.",
        ),
        ("summary_of_another_host", subject, "host_commitment", "00" * 32, "The summary of another host."),
        (
            "summary_of_another_order",
            subject,
            "order_digests",
            ["00" * 32],
            "The summary does not know the order.",
        ),
        (
            "summary_of_another_outcome",
            subject,
            "media.0.outcome_digest",
            "00" * 32,
            "The summary names another outcome.",
        ),
        (
            "summary_says_failed",
            mismatch,
            "media.0.became",
            "not_erased",
            "The summary says that the drive was not erased.",
        ),
        (
            "summary_says_removed",
            "ATTESTATION_MISSING",
            "media.0.became",
            "removed",
            "The summary says that the drive left, and nobody decided it.",
        ),
        (
            "summary_claims_more",
            mismatch,
            "claim.grade",
            "device-attested",
            "The host's claim is stronger than its drive's.",
        ),
    ):
        yield case(name, code, sentence, story().summed(path, value))
    later = story().summed("order_digests", lambda digests: [*digests, "77" * 32])
    later.summed("media.0.outcome_digest", "66" * 32)
    yield case("superseded", "SUPERSEDED", "The host was tried again after this outcome.", later)


# --- what it is for -----------------------------------------------------------------------------------------


def _purposes() -> Iterator[Case]:
    demonstration = story(purpose="demonstration")
    under = "valid/trust_root_demonstration.json"
    yield Case(
        file=under,
        kind="trust_root",
        code=None,
        sentence="The trust root of a demonstration.",
        data=root_file(demonstration.root),
    )
    yield case(
        "demonstration",
        "DEMONSTRATION",
        "A demonstration, under its own trust root, to a verifier of production.",
        demonstration,
        under=under,
    )
    emulated = story(purpose="demonstration").seen("media.0.medium.device_class", "emulated")
    yield case(
        "demonstration_emulated",
        "NOT_A_PHYSICAL_DEVICE",
        "A demonstration on a simulated drive.",
        emulated,
        under=under,
    )
    crossed = story(purpose="demonstration")
    crossed.root = documents.build_trust()
    yield case(
        "demonstration_as_production",
        "PURPOSE_MISMATCH",
        "A demonstration's documents under the production root.",
        crossed,
    )
    image = story().seen("media.0.medium.device_class", "image_file")
    yield case("image_file", "NOT_A_PHYSICAL_DEVICE", "An image file, as what it is.", image)
    yield case(
        "image_file_as_physical",
        "EVIDENCE_MISMATCH",
        "An image file that the outcome calls physical.",
        story().seen("media.0.medium.device_class", "image_file").said("medium.device_class", "physical"),
    )
    second = two_media("erased").seen("media.1.medium.device_class", "emulated")
    yield case(
        "second_drive_emulated", "NOT_A_PHYSICAL_DEVICE", "One simulated drive beside a physical one.", second
    )
