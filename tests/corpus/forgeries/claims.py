"""Claims that the evidence does not bear: a fact is not so, and the outcome still says `erased`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from tests.certificate.verification.conftest import Story
from tests.corpus.case import Case
from tests.corpus.forgeries.stories import (
    accepted,
    case,
    honest_claim,
    two_media,
)
from tests.corpus.papers import (
    KEYS,
    TECHNIQUES,
    TOOLS,
    documents,
    story,
    table_of,
)

#: Why the evidence does not bear what is claimed: the reason of `assurance` that this forgery was made for.
REASONS = {
    "claim_marker_unchanged": "MARKER_UNCHANGED",
    "claim_marker_not_looked_at": "MARKER_NOT_READ",
    "claim_markers_do_not_open": "MARKERS_NOT_COMMITTED",
    "claim_marker_left_out": "MARKERS_INCOMPLETE",
    "claim_commitment_not_acknowledged": "MARKERS_NOT_COMMITTED",
    "claim_status_stale": "SANITIZE_NOT_ENDED",
    "claim_status_of_another_command": "STATUS_OF_ANOTHER_COMMAND",
    "claim_status_from_before_the_start": "STATUS_UNCHANGED",
    "claim_submission_of_another": "SUBMISSION_DIFFERS",
    "claim_completion_failed": "COMMAND_REFUSED",
    "claim_start_not_acknowledged": "START_NOT_ACKNOWLEDGED",
    "claim_timed_out": "TIMED_OUT",
    "claim_identity_changed": "IDENTITY_CHANGED",
    "claim_namespace_not_covered": "NAMESPACE_NOT_COVERED",
    "claim_capability_absent": "CAPABILITY_NOT_SHOWN",
    "claim_capacity_hidden": "HIDDEN_CAPACITY",
    "claim_other_storage_found": "UNEXPECTED_MEDIA",
    "claim_host_differs": "HOST_NOT_IDENTIFIED",
    "claim_secret_not_held": "BOOT_SECRET_NOT_HELD",
    "claim_time_ran_back": "ORDER_OUTLIVED",
    "claim_accepted_too_late": "ORDER_OUTLIVED",
    "claim_another_token": "ANOTHER_ORDER",
    "claim_errors_recorded": "ERRORS_SEEN",
    "failure_as_certificate": "MARKER_UNCHANGED",
    "doubt_as_certificate": "NOT_PRESENT",
    "luks_alone": "LAYER_ALONE",
    "layers_alone": "LAYER_ALONE",
    "layers_missing": "LAYERS_DIFFER",
    "layer_found_again": "LAYER_FOUND_AFTER",
    "read_back_not_done": "READ_BACK_MISSING",
    "read_back_short": "READ_BACK_INCOMPLETE",
    "read_back_mismatch": "READ_BACK_MISMATCH",
    "read_back_of_another_seed": "READ_BACK_NOT_AS_PLANNED",
    "overwritten_in_part": "OVERWRITE_INCOMPLETE",
    "overwrite_not_flushed": "OVERWRITE_NOT_FLUSHED",
    "overwrite_as_purge": "supports erased, clear, marker-proven",
    "format_as_purge": "supports erased, clear, marker-proven",
    "zeros_as_proof": "supports erased, purge, device-reported",
    "looked_on_only": "MARKER_NOT_READ",
    "grade_raised": "claims erased, purge, device-attested",
}


def cases() -> Iterator[Case]:
    for made in chain(_claims(), _times(), _techniques()):
        name = made.file.rpartition("/")[2].partition(".")[0]
        yield replace(made, words=REASONS.get(name))


def _lying(path: str, value: Any) -> Story:
    """The evidence says something else than before, and the outcome still claims what it claimed."""
    told = story()
    claim = honest_claim(told)
    told.envelopes.pop("outcome")
    told.seen(path, value).said("claim", claim)
    return told.said("validation", accepted(told))


def _claims() -> Iterator[Case]:
    mismatch = "EVIDENCE_MISMATCH"
    for name, path, value, sentence in (
        ("grade_raised", "claim.grade", "device-attested", "A grade above what the evidence shows."),
        (
            "technique_of_another",
            "claim.technique",
            "nvme_sanitize_block",
            "Another technique than was sent.",
        ),
        ("limits_left_out", "claim.limits", [], "The claim without its limits."),
        ("reason_added", "claim.reasons", ["NO_MARKERS"], "A reason that nobody found."),
    ):
        yield case(name, mismatch, sentence, story().said(path, value))
    zeros = "00" * 64
    before = documents.STATUS_BEFORE.hex()
    for name, path, value, sentence in (
        (
            "marker_unchanged",
            "media.0.markers.markers.0.reading_after",
            "unchanged",
            "One marker still reads as it was written.",
        ),
        (
            "marker_not_looked_at",
            "media.0.markers.markers.0.reading_after",
            "not_observed",
            "Nobody looked at one marker.",
        ),
        (
            "markers_do_not_open",
            "media.0.markers.nonce",
            "00" * 32,
            "The markers are not those that were committed to.",
        ),
        (
            "marker_left_out",
            "media.0.markers.markers",
            lambda markers: markers[:-1],
            "One marker of the commitment is missing.",
        ),
        (
            "commitment_not_acknowledged",
            "media.0.markers.was_acknowledged",
            "no",
            "The commitment was made known to nobody before.",
        ),
        (
            "status_stale",
            "media.0.commands.0.status_log_after",
            before,
            "The drive's status is the one from before.",
        ),
        (
            "status_of_another_command",
            "media.0.commands.0.status_log_after",
            zeros,
            "A status that belongs to no sanitize.",
        ),
        (
            "status_from_before_the_start",
            "media.0.commands.0.status_log_before",
            documents.STATUS_AFTER.hex(),
            "A success from before the start, with a marker unlooked at.",
        ),
        ("submission_of_another", "media.0.commands.0.submission", zeros, "What was sent is no sanitize."),
        (
            "completion_failed",
            "media.0.commands.0.completion_status",
            "0002",
            "The drive refused the command.",
        ),
        (
            "start_not_acknowledged",
            "media.0.commands.0.start_acknowledged",
            "not_observed",
            "Nobody acknowledged the start.",
        ),
        ("timed_out", "media.0.commands.0.timed_out", "yes", "The command was never answered."),
        ("identity_changed", "media.0.same_identity_after", "no", "Another drive answers afterwards."),
        (
            "namespace_not_covered",
            "media.0.namespaces.0.is_covered",
            "no",
            "A namespace that the command does not reach.",
        ),
        ("capability_absent", "media.0.capabilities", [], "A drive that offers no such command."),
        (
            "capacity_hidden",
            "media.0.medium.native_capacity_bytes",
            documents.CAPACITY_BYTES * 2,
            "Half of the drive is hidden.",
        ),
        ("other_storage_found", "unexpected_media_count", 1, "A drive that stands in no order."),
        ("host_differs", "host_facts.0.agrees", "no", "A sign of the host's identity does not agree."),
        ("secret_not_held", "boot_secret_held", "no", "The agent had not the secret of its boot."),
        ("time_ran_back", "clock.finished_at_ms", 1, "The work ended before it began."),
        ("accepted_too_late", "clock.accepted_at_ms", 10_000_000, "The order was accepted after its life."),
        ("another_token", "token", "00" * 16, "Evidence for another token."),
        ("errors_recorded", "media.0.errors", ["READ_FAILED"], "The agent recorded an error."),
    ):
        told = _lying(path, value)
        if name == "status_from_before_the_start":
            told.seen("media.0.markers.markers.0.reading_after", "not_observed")
        yield case(f"claim_{name}", mismatch, sentence, told)
    unchanged = story().seen("media.0.markers.markers.0.reading_after", "unchanged")
    yield case(
        "failure_as_certificate",
        "NOT_ERASED",
        "A genuine record of a failure, handed out as a certificate.",
        unchanged,
    )
    absent = story(summary=False).seen("media.0.was_present", "not_observed")
    yield case(
        "doubt_as_certificate",
        "INCONCLUSIVE",
        "A genuine record of doubt, handed out as a certificate.",
        absent,
    )
    failed = story().seen("media.0.markers.markers.0.reading_after", "unchanged")
    yield case(
        "failure_accepted",
        mismatch,
        "A failure that somebody accepted.",
        failed.said("validation", accepted(failed)),
    )


def _times() -> Iterator[Case]:
    """What was signed contradicts the order in which the log took it."""
    violated = "TIME_BRACKET_VIOLATED"
    early, late = "2026-11-22T09:00:00Z", "2026-11-22T11:00:00Z"
    asked, accepted_at = "basis.answers.0.answered_at", "validation.decided_at"
    for name, sentence, told in (
        ("outcome_before_order", "The outcome is dated before its order.", story().said("issued_at", early)),
        ("summary_before_outcome", "The summary is dated early.", story().summed("issued_at", early)),
        ("answer_after_order", "The source answered after the order.", story().ordered(asked, late)),
        ("answer_before_question", "Answered before it was asked.", story().ordered(asked, early)),
        ("accepted_before_order", "Accepted before the order.", story().said(accepted_at, early)),
        ("accepted_after_outcome", "Accepted after the outcome.", story().said(accepted_at, late)),
        ("host_ended_later", "The host's end is after its summary.", story().summed("ended_at", late)),
    ):
        yield case(f"time_{name}", violated, sentence, told)
    finished = story().seen("media.0.commands.0.finished_at", "2026-11-22T10:00:19Z")
    yield case("time_command_backwards", violated, "A command ended before it began.", finished)


# --- other techniques ---------------------------------------------------------------------------------------


def _of(judged: Any, **claim: Any) -> Story:
    """The story of another technique; `claim` replaces words of what is claimed."""
    plan = judged.order.plan
    told = Story(TOOLS, order=judged.order, evidence=judged.evidence)
    asked = {name: str(getattr(plan, name)) for name in ("floor", "overwrite", "read_back")}
    told.table = table_of(**asked)
    told.envelopes["validation"] = documents.signed_as(told.table, KEYS.root)
    entry = judged.evidence.media[0]
    told.said("sanitization.layers", [each.model_dump(mode="json") for each in entry.layers])
    read_back = entry.read_back
    told.said(
        "verification.read_back",
        read_back if isinstance(read_back, str) else read_back.model_dump(mode="json"),
    )
    told.said("sanitization.fallback_from", [])
    if claim:
        judgement = judged.claim().model_dump(mode="json")
        told.said("claim", judgement | {"result": "erased", "reasons": []} | claim)
        told.said("validation", accepted(told))
        told.said("destination", "stays_in_host")
    return told


def _techniques() -> Iterator[Case]:
    mismatch = "EVIDENCE_MISMATCH"
    clear = {"method": "clear", "grade": "marker-proven"}
    honest = TECHNIQUES.honest
    yield case(
        "luks_alone",
        mismatch,
        "Only the keys of an encryption layer were destroyed; a header backup would open it again.",
        _of(TECHNIQUES.layers_alone(), technique="luks", method="clear", grade="device-reported"),
    )
    layered = honest("overwrite_keystream", layers=2)
    yield case(
        "layers_missing",
        mismatch,
        "Two encryption layers were ordered, and the evidence tells of one.",
        _of(layered.told("layers", lambda layers: layers[:1]), **clear),
    )
    yield case(
        "layer_found_again",
        mismatch,
        "A header was found again after everything.",
        _of(layered.told("layers.0.is_found_after", "yes"), **clear),
    )
    overwritten = honest("overwrite_keystream")
    yield case(
        "overwrite",
        "POLICY_UNMET",
        "An honest overwrite with its read-back: clear, and a purge was asked for.",
        _of(overwritten),
    )
    yield case("layers", "POLICY_UNMET", "The same over two encryption layers.", _of(layered))
    yield case(
        "format",
        "POLICY_UNMET",
        "An honest Format: clear, and a purge was asked for.",
        _of(honest("nvme_format_crypto")),
    )
    yield case(
        "layers_alone", "INCONCLUSIVE", "An honest record of layers alone.", _of(TECHNIQUES.layers_alone())
    )
    yield case(
        "read_back_not_done",
        mismatch,
        "An overwrite that nobody read back.",
        _of(overwritten.told("read_back", "not_observed"), **clear),
    )
    yield case(
        "read_back_short",
        mismatch,
        "A read-back of fewer extents than planned.",
        _of(overwritten.told("read_back.extents_read", 1), **clear),
    )
    yield case(
        "read_back_mismatch",
        mismatch,
        "A read-back that found other bytes.",
        _of(overwritten.told("read_back.bytes_mismatched", 1), **clear),
    )
    yield case(
        "read_back_of_another_seed",
        mismatch,
        "A read-back of places that somebody chose.",
        _of(overwritten.told("read_back.seed", "00" * 32), **clear),
    )
    yield case(
        "overwritten_in_part",
        mismatch,
        "Nine tenths of the drive were overwritten.",
        _of(
            overwritten.told("commands.0.overwrite.bytes_written", documents.CAPACITY_BYTES // 10 * 9),
            **clear,
        ),
    )
    yield case(
        "overwrite_not_flushed",
        mismatch,
        "What was written may wait in a cache.",
        _of(overwritten.told("commands.0.overwrite.was_flushed", "no"), **clear),
    )
    yield case(
        "overwrite_as_purge",
        mismatch,
        "An overwrite from the host, called a purge.",
        _of(overwritten, method="purge", grade="marker-proven"),
    )
    formatted = honest("nvme_format_crypto")
    yield case(
        "format_as_purge",
        mismatch,
        "A Format, called a purge.",
        _of(formatted, method="purge", grade="marker-proven"),
    )
    deallocated = honest("nvme_sanitize_block")
    yield case(
        "zeros_as_proof",
        mismatch,
        "Markers that read zero after a block erase, called proof.",
        _of(deallocated, grade="marker-proven"),
    )
    attached = honest("nvme_sanitize_crypto", was_attached="yes").every_marker(
        reading_after="not_observed", changed_65536ths="not_observed"
    )
    yield case(
        "looked_on_only",
        mismatch,
        "A second process looked on, and nobody saw a marker.",
        _of(attached, method="purge", grade="marker-proven"),
    )
    missing = two_media("erased")
    claim = honest_claim(missing)
    missing.seen("media", lambda media: media[:1]).said("claim", claim).said("validation", accepted(missing))
    yield case(
        "medium_not_in_evidence",
        "INCOMPLETE_SET",
        "Two drives were ordered, and the evidence tells of one.",
        missing,
    )
