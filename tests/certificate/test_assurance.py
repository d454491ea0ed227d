"""What may be claimed: each row says what was seen and what may then be said, never more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certificate import assurance
from certificate.assurance import Effect, Reason, judge, may_release, strength, what_became, worst
from certificate.commitment import markers_digest
from certificate.errors import Code, Refused
from certificate.statements import Evidence, Order
from certificate.statements.outcome import Claim
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Grade, Method, Result, Technique, WhatBecame

Alter = Callable[[Any, str, Any], Any]
Make = Callable[..., Any]

#: Log page 81h, bytes 7:4 = CDW10 of a block erase with no-deallocate (SANACT 2).
BLOCK_DWORD10 = (0x202).to_bytes(4, "little").hex()
CRYPTO_DWORD10 = (0x204).to_bytes(4, "little").hex()


def status_log(*, state: int = 1, is_global: bool = True, dword10: str = CRYPTO_DWORD10) -> str:
    status = (state | (0x100 if is_global else 0)).to_bytes(2, "little").hex()
    return "ffff" + status + dword10 + "ff" * 24 + "00" * 32


def submission(dword10: str = CRYPTO_DWORD10, *, opcode: int = 0x84) -> str:
    return f"{opcode:02x}001700" + "00" * 36 + dword10 + "00" * 20


class Case:
    """An order and its evidence, changed field by field, and judged."""

    def __init__(self, order: Order, evidence: Evidence, medium: str, altered: Alter) -> None:
        self.order, self.evidence, self.medium, self.altered = order, evidence, medium, altered

    def seen(self, path: str, value: Any) -> Case:
        return Case(self.order, self.altered(self.evidence, path, value), self.medium, self.altered)

    def ordered(self, path: str, value: Any) -> Case:
        return Case(self.altered(self.order, path, value), self.evidence, self.medium, self.altered)

    def marker(self, index: int, **fields: Any) -> Case:
        case = self
        for name, value in fields.items():
            case = case.seen(f"media.0.markers.markers.{index}.{name}", value)
        return case

    def every_marker(self, **fields: Any) -> Case:
        case = self
        for index in range(len(self.evidence.media[0].markers.markers)):
            case = case.marker(index, **fields)
        return case

    def reopened(self) -> Case:
        """The commitment computed again over the markers as they stand now."""
        markers = self.evidence.media[0].markers
        digest = markers_digest(
            nonce=bytes.fromhex(markers.nonce),
            markers=((m.nsid, m.offset_bytes, m.length_bytes, m.content_sha256) for m in markers.markers),
        )
        return self.seen("media.0.markers.committed_digest", digest).seen(
            "media.0.markers.committed_count", len(markers.markers)
        )

    def block_erase(self) -> Case:
        """The drive offers block erase only, was sent one, and its markers read zero."""
        return (
            self.ordered("plan.media.0.techniques", ["nvme_sanitize_block"])
            .seen("media.0.commands.0.technique", "nvme_sanitize_block")
            .seen("media.0.commands.0.submission", submission(BLOCK_DWORD10))
            .seen("media.0.commands.0.status_log_after", status_log(dword10=BLOCK_DWORD10))
            .every_marker(reading_after="zero")
        )

    def fallback(self) -> Case:
        """A cryptographic erase that the drive refused, then a block erase that ended well."""
        refused = self.evidence.model_dump(mode="json")["media"][0]["commands"][0] | {
            "completion_status": "0002",
            "was_accepted": "no",
            "status_log_after": "not_observed",
        }
        done = self.block_erase().ordered(
            "plan.media.0.techniques", ["nvme_sanitize_crypto", "nvme_sanitize_block"]
        )
        return done.seen("media.0.commands", lambda commands: [refused, *commands])

    def claim(self) -> Claim:
        return judge(order=self.order, evidence=self.evidence, commitment=self.medium)


@pytest.fixture(scope="session")
def case(make_order: Make, make_evidence: Make, medium: str, altered: Alter) -> Case:
    order = make_order()
    return Case(order, make_evidence(order), medium, altered)


def said(claim: Claim) -> tuple[str, str, str]:
    return claim.result.value, claim.method.value, claim.grade.value


MARKER_PROVEN = ("erased", "purge", "marker-proven")
DEVICE_REPORTED = ("erased", "purge", "device-reported")
INCONCLUSIVE = ("inconclusive", "none", "none")
NOT_ERASED = ("not_erased", "none", "none")


def test_an_honest_cryptographic_erase_is_marker_proven(case: Case) -> None:
    claim = case.claim()
    assert said(claim) == MARKER_PROVEN
    assert claim.technique is Technique.NVME_SANITIZE_CRYPTO
    assert claim.reasons == ()


def test_an_honest_block_erase_is_device_reported(case: Case) -> None:
    claim = case.block_erase().claim()
    assert said(claim) == DEVICE_REPORTED
    assert claim.technique is Technique.NVME_SANITIZE_BLOCK
    assert "BLOCK_ERASE_SHOWS_NO_KEY" in claim.reasons


def test_a_block_erase_whose_markers_look_random_is_still_device_reported(case: Case) -> None:
    assert said(case.block_erase().every_marker(reading_after="pseudorandom").claim()) == DEVICE_REPORTED


# --- the markers ---


@pytest.mark.parametrize(
    ("reading", "expected", "reason"),
    [
        ("pseudorandom", MARKER_PROVEN, None),
        ("zero", DEVICE_REPORTED, Reason.MARKER_READS_CONSTANT),
        ("constant", DEVICE_REPORTED, Reason.MARKER_READS_CONSTANT),
        ("unchanged", NOT_ERASED, Reason.MARKER_UNCHANGED),
        ("unreadable", INCONCLUSIVE, Reason.MARKER_NOT_READ),
        ("not_applicable", INCONCLUSIVE, Reason.MARKER_NOT_READ),
        ("not_observed", INCONCLUSIVE, Reason.MARKER_NOT_READ),
    ],
)
def test_one_marker_decides_what_a_cryptographic_erase_may_claim(
    case: Case, reading: str, expected: tuple[str, str, str], reason: Reason | None
) -> None:
    claim = case.marker(1, reading_after=reading).claim()
    assert said(claim) == expected
    assert claim.reasons == ((reason.value,) if reason else ())


def test_a_drive_that_reports_success_over_an_unchanged_marker_is_not_erased(case: Case) -> None:
    assert said(case.marker(2, reading_after="unchanged", changed_65536ths=0).claim()) == NOT_ERASED
    assert said(case.block_erase().marker(2, reading_after="unchanged").claim()) == NOT_ERASED


def test_a_marker_never_seen_on_the_medium_proves_nothing(case: Case) -> None:
    for seen in ("no", "not_observed"):
        claim = case.marker(0, read_back_before=seen).claim()
        assert said(claim) == DEVICE_REPORTED
        assert claim.reasons == ("MARKER_NOT_READ_BACK",)


@pytest.mark.parametrize("changed", [0, 20_000, 28_671, 36_865, 65_536, "not_observed"])
def test_a_reading_that_its_count_of_changed_bits_contradicts_is_doubted(case: Case, changed: Any) -> None:
    claim = case.marker(0, changed_65536ths=changed).claim()
    assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("MARKER_IMPLAUSIBLE",))


@pytest.mark.parametrize("changed", [28_672, 36_864])
def test_half_of_the_bits_give_or_take_a_sixteenth_is_believed(case: Case, changed: int) -> None:
    assert said(case.marker(0, changed_65536ths=changed).claim()) == MARKER_PROVEN


def test_a_marker_shorter_than_a_block_proves_nothing(case: Case) -> None:
    assert said(case.marker(0, length_bytes=512).reopened().claim()) == MARKER_PROVEN
    short = case.marker(0, length_bytes=511).reopened().claim()
    assert (said(short), short.reasons) == (INCONCLUSIVE, ("MARKER_IMPLAUSIBLE",))


def test_markers_that_do_not_open_the_commitment_are_doubted(case: Case) -> None:
    for path, value in (
        ("committed_digest", "not_observed"),
        ("committed_digest", "00" * 32),
        ("nonce", "not_observed"),
        ("nonce", "00" * 32),
        ("was_acknowledged", "no"),
        ("was_acknowledged", "not_observed"),
        ("markers.0.offset_bytes", 8192),
    ):
        claim = case.seen(f"media.0.markers.{path}", value).claim()
        assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("MARKERS_NOT_COMMITTED",)), path


def test_a_marker_left_out_is_doubted_even_if_the_rest_opens_a_commitment(case: Case) -> None:
    fewer = case.seen("media.0.markers.markers", lambda markers: markers[:2]).reopened()
    claim = fewer.seen("media.0.markers.committed_count", 3).claim()
    assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("MARKERS_INCOMPLETE", "MARKERS_TOO_FEW"))


def test_one_marker_listed_twice_does_not_count_as_two(case: Case) -> None:
    twice = case.seen("media.0.markers.markers", lambda markers: [*markers, markers[0]]).reopened()
    assert twice.claim().reasons == ("MARKERS_INCOMPLETE",)


def test_a_marker_in_a_namespace_that_is_not_listed_is_doubted(case: Case) -> None:
    claim = case.marker(0, nsid=2).reopened().claim()
    assert claim.reasons == ("MARKERS_INCOMPLETE", "MARKERS_TOO_FEW")


def test_without_markers_a_changed_status_is_device_reported(case: Case) -> None:
    bare = case.seen("media.0.markers.markers", []).reopened()
    claim = bare.claim()
    assert (said(claim), claim.reasons) == (DEVICE_REPORTED, ("NO_MARKERS",))
    assert assurance.REPORTED_LIMIT in claim.limits


def attached_and_not(case: Case, capacity_bytes: int = 8 * 4096) -> Case:
    """Part of the capacity is a second namespace, which holds none of the markers."""

    def split(namespaces: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = namespaces[0] | {"capacity_bytes": namespaces[0]["capacity_bytes"] - capacity_bytes}
        return [first, first | {"nsid": 2, "capacity_bytes": capacity_bytes, "is_attached": "no"}]

    return case.seen("media.0.namespaces", split)


def marked_in(case: Case, nsid: int, *offsets_bytes: int) -> Case:
    """More markers, which read as the ones before do."""

    def more(markers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*markers, *(markers[0] | {"nsid": nsid, "offset_bytes": each} for each in offsets_bytes)]

    return case.seen("media.0.markers.markers", more).reopened()


def test_a_namespace_without_markers_keeps_the_whole_medium_at_device_reported(case: Case) -> None:
    claim = attached_and_not(case).claim()
    assert (said(claim), claim.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


def test_every_namespace_needs_three_markers(case: Case) -> None:
    two = attached_and_not(case)
    for offsets_bytes in ((0,), (0, 4096)):
        claim = marked_in(two, 2, *offsets_bytes).claim()
        assert (said(claim), claim.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))
    assert said(marked_in(two, 2, 0, 4096, 7 * 4096).claim()) == MARKER_PROVEN


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_markers_on_a_whole_drive_are_too_few(case: Case, count: int) -> None:
    claim = case.seen("media.0.markers.markers", lambda markers: markers[:count]).reopened().claim()
    assert (said(claim), claim.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


def test_three_markers_at_one_offset_are_one(case: Case) -> None:
    claim = marked_in(attached_and_not(case), 2, 0, 0, 0).claim()
    assert claim.reasons == ("MARKERS_INCOMPLETE", "MARKERS_TOO_FEW")


def test_a_namespace_left_out_of_the_list_does_not_raise_the_claim(case: Case) -> None:
    for hidden in (attached_and_not(case), attached_and_not(case).block_erase()):
        less = hidden.seen("media.0.namespaces", lambda namespaces: namespaces[:1])
        assert "CAPACITY_UNACCOUNTED" in less.claim().reasons
        assert strength(less.claim()) < strength(hidden.claim())


def test_a_namespace_that_passes_for_another_is_not_proven_by_its_markers(case: Case) -> None:
    claim = attached_and_not(case).seen("media.0.namespaces.1.nsid", 1).claim()
    assert (said(claim), claim.reasons) == (DEVICE_REPORTED, ("MARKERS_TOO_FEW",))


def test_a_namespace_of_no_size_needs_no_marker(case: Case) -> None:
    assert said(attached_and_not(case, capacity_bytes=0).claim()) == MARKER_PROVEN


# --- the command and the drive's status ---


@pytest.mark.parametrize(
    ("field", "value", "expected", "reason"),
    [
        ("completion_status", "001d", NOT_ERASED, Reason.COMMAND_REFUSED),
        ("was_accepted", "no", NOT_ERASED, Reason.COMMAND_REFUSED),
        ("completion_status", "not_observed", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("completion_status", "00", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("was_accepted", "not_observed", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("start_acknowledged", "no", INCONCLUSIVE, Reason.START_NOT_ACKNOWLEDGED),
        ("start_acknowledged", "not_observed", INCONCLUSIVE, Reason.START_NOT_ACKNOWLEDGED),
        ("timed_out", "yes", INCONCLUSIVE, Reason.TIMED_OUT),
        ("timed_out", "not_observed", INCONCLUSIVE, Reason.TIMED_OUT),
        ("submission", "not_observed", INCONCLUSIVE, Reason.SUBMISSION_NOT_SEEN),
        ("submission", submission()[:-2], INCONCLUSIVE, Reason.SUBMISSION_NOT_SEEN),
        ("submission", submission(opcode=0x80), INCONCLUSIVE, Reason.SUBMISSION_DIFFERS),
        ("status_log_after", "not_observed", INCONCLUSIVE, Reason.STATUS_NOT_SEEN),
        ("status_log_after", status_log()[:-2], INCONCLUSIVE, Reason.STATUS_NOT_SEEN),
        ("status_log_after", status_log(state=3), NOT_ERASED, Reason.SANITIZE_FAILED),
        ("status_log_after", status_log(state=0), INCONCLUSIVE, Reason.SANITIZE_NOT_ENDED),
        ("status_log_after", status_log(state=2), INCONCLUSIVE, Reason.SANITIZE_NOT_ENDED),
        ("status_log_after", status_log(state=5), INCONCLUSIVE, Reason.SANITIZE_NOT_ENDED),
        ("status_log_after", status_log(is_global=False), INCONCLUSIVE, Reason.WRITTEN_AFTERWARDS),
        (
            "status_log_after",
            status_log(dword10="0c020000"),
            INCONCLUSIVE,
            Reason.STATUS_OF_ANOTHER_COMMAND,
        ),
    ],
)
def test_each_word_of_the_command_counts(
    case: Case, field: str, value: str, expected: tuple[str, str, str], reason: Reason
) -> None:
    claim = case.seen(f"media.0.commands.0.{field}", value).claim()
    assert said(claim) == expected
    assert reason.value in claim.reasons
    assert len(claim.reasons) == 1


def test_success_with_forced_deallocation_is_a_success(case: Case) -> None:
    assert (
        said(case.seen("media.0.commands.0.status_log_after", status_log(state=4)).claim()) == MARKER_PROVEN
    )


@pytest.mark.parametrize("action", [0, 1, 2, 3, 5, 6, 7])
def test_another_sanitize_action_is_not_a_cryptographic_erase(case: Case, action: int) -> None:
    dword10 = (0x200 | action).to_bytes(4, "little").hex()
    other = case.seen("media.0.commands.0.submission", submission(dword10)).seen(
        "media.0.commands.0.status_log_after", status_log(dword10=dword10)
    )
    assert (said(other.claim()), other.claim().reasons) == (INCONCLUSIVE, ("SUBMISSION_DIFFERS",))


def test_a_stale_success_counts_only_if_every_marker_changed(case: Case) -> None:
    stale = case.seen("media.0.commands.0.status_log_before", status_log())
    assert said(stale.claim()) == MARKER_PROVEN
    assert said(stale.every_marker(reading_after="zero").claim()) == DEVICE_REPORTED
    assert stale.marker(0, read_back_before="no").claim().reasons == (
        "STATUS_UNCHANGED",
        "MARKER_NOT_READ_BACK",
    )
    assert attached_and_not(stale).claim().reasons == ("STATUS_UNCHANGED", "MARKERS_TOO_FEW")
    assert said(marked_in(attached_and_not(stale), 2, 0).claim()) == DEVICE_REPORTED
    bare = stale.seen("media.0.markers.markers", []).reopened().claim()
    assert (said(bare), bare.reasons) == (INCONCLUSIVE, ("STATUS_UNCHANGED", "NO_MARKERS"))


def test_a_status_that_nobody_read_before_is_as_good_as_an_unchanged_one(case: Case) -> None:
    for before in ("not_observed", "ffff"):
        bare = case.seen("media.0.commands.0.status_log_before", before).seen("media.0.markers.markers", [])
        assert said(bare.reopened().claim()) == INCONCLUSIVE


def test_no_command_on_record_is_inconclusive(case: Case) -> None:
    claim = case.seen("media.0.commands", []).claim()
    assert (said(claim), claim.technique) == (INCONCLUSIVE, "not_applicable")
    assert claim.reasons == ("NO_COMMAND",)


def test_a_technique_outside_the_plan_is_inconclusive(case: Case) -> None:
    claim = case.ordered("plan.media.0.techniques", ["nvme_sanitize_block"]).claim()
    assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("COMMAND_NOT_PLANNED",))


def test_the_second_technique_counts_after_the_drive_refused_the_first(case: Case) -> None:
    assert said(case.fallback().claim()) == DEVICE_REPORTED


def test_the_second_technique_counts_after_the_first_failed(case: Case) -> None:
    failed = (
        case.fallback()
        .seen("media.0.commands.0.completion_status", "0000")
        .seen("media.0.commands.0.was_accepted", "yes")
    )
    assert "COMMAND_NOT_PLANNED" in failed.claim().reasons
    assert said(failed.seen("media.0.commands.0.status_log_after", status_log(state=3)).claim()) == (
        DEVICE_REPORTED
    )
    assert said(failed.seen("media.0.commands.0.status_log_after", status_log()).claim()) == INCONCLUSIVE


def test_the_codes_of_the_first_techniques_failure_do_not_spoil_the_second(case: Case) -> None:
    told = case.fallback().seen("media.0.errors", ["DEVICE_STATUS", "SANITIZE_FAILED"])
    assert said(told.claim()) == DEVICE_REPORTED
    assert "ERRORS_SEEN" in told.seen("media.0.errors", ["DEVICE_STATUS", "READ_FAILED"]).claim().reasons
    assert "ERRORS_SEEN" in case.seen("media.0.errors", ["DEVICE_STATUS"]).claim().reasons


def test_the_second_technique_without_the_first_is_inconclusive(case: Case) -> None:
    lonely = case.fallback().seen("media.0.commands", lambda commands: commands[1:])
    assert lonely.claim().reasons[0] == "COMMAND_NOT_PLANNED"


@pytest.mark.parametrize(
    "words",
    [
        [],
        [{"field": "SANICAP", "raw": "not_observed"}],
        [{"field": "SANICAP", "raw": "02000000"}],
        [{"field": "SANICAP", "raw": "03"}],
        [{"field": "SANICAP", "raw": "03000000"}, {"field": "SANICAP", "raw": "03000000"}],
    ],
)
def test_a_drive_whose_own_word_does_not_offer_the_technique_is_doubted(case: Case, words: list[Any]) -> None:
    claim = case.seen("media.0.capabilities", words).claim()
    assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("CAPABILITY_NOT_SHOWN",))


# --- the medium ---


@pytest.mark.parametrize(
    ("field", "wanted", "reason"),
    [
        ("was_present", "yes", Reason.NOT_PRESENT),
        ("opened_exclusively", "yes", Reason.NOT_EXCLUSIVE),
        ("same_identity_after", "yes", Reason.IDENTITY_CHANGED),
        ("is_readable_after", "yes", Reason.NOT_READABLE),
        ("is_write_protected", "no", Reason.WRITE_PROTECTED),
        ("namespaces.0.is_covered", "yes", Reason.NAMESPACE_NOT_COVERED),
    ],
)
def test_each_fact_of_the_medium_is_needed(case: Case, field: str, wanted: str, reason: Reason) -> None:
    for value in {"yes", "no", "not_observed"} - {wanted}:
        claim = case.seen(f"media.0.{field}", value).claim()
        assert (said(claim), claim.reasons) == (INCONCLUSIVE, (reason.value,))


@pytest.mark.parametrize("field", ["capacity_bytes", "firmware"])
def test_a_medium_unlike_the_planned_one_is_doubted(case: Case, field: str) -> None:
    other = 4096 if field == "capacity_bytes" else "OTHER"
    assert "MEDIUM_DIFFERS" in case.seen(f"media.0.medium.{field}", other).claim().reasons
    assert "MEDIUM_DIFFERS" in case.seen(f"media.0.medium.{field}", "not_observed").claim().reasons
    unplanned = case.ordered(f"plan.media.0.{field}", "not_observed")
    assert "MEDIUM_DIFFERS" not in unplanned.seen(f"media.0.medium.{field}", other).claim().reasons


def test_a_namespace_that_nobody_listed_shows_in_the_capacity(case: Case) -> None:
    hidden = case.seen("media.0.namespaces.0.capacity_bytes", lambda capacity: capacity - 4096)
    assert hidden.claim().reasons == ("CAPACITY_UNACCOUNTED",)
    assert said(hidden.seen("media.0.unallocated_capacity_bytes", 4096).claim()) == MARKER_PROVEN
    for path in ("unallocated_capacity_bytes", "namespaces.0.capacity_bytes"):
        assert case.seen(f"media.0.{path}", "not_observed").claim().reasons == ("CAPACITY_UNACCOUNTED",)


def test_recorded_errors_and_a_read_back_that_differs_are_doubted(case: Case) -> None:
    assert case.seen("media.0.errors", ["READ_FAILED"]).claim().reasons == ("ERRORS_SEEN",)
    for mismatch in (1, "not_observed"):
        claim = case.seen("media.0.read_back_mismatch_bytes", mismatch).claim()
        assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("READ_BACK_DIFFERS",))
    assert said(case.seen("media.0.read_back_mismatch_bytes", 0).claim()) == MARKER_PROVEN


# --- order, host, boot ---


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("order", "ord_" + "00" * 16, Reason.ANOTHER_ORDER),
        ("token", "00" * 16, Reason.ANOTHER_ORDER),
        ("hello_nonce", "00" * 16, Reason.ANOTHER_ORDER),
        ("boot_config_digest", "00" * 32, Reason.ANOTHER_ORDER),
        ("boot_id", "00" * 32, Reason.ANOTHER_BOOT),
        ("agent_key", "00" * 32, Reason.ANOTHER_BOOT),
        ("observer", "beside", Reason.ANOTHER_BOOT),
        ("purpose", "demonstration", Reason.ANOTHER_PURPOSE),
        ("boot_secret_held", "no", Reason.BOOT_SECRET_NOT_HELD),
        ("boot_secret_held", "not_observed", Reason.BOOT_SECRET_NOT_HELD),
        ("clock.accepted_at_ms", 61_000 + 600_000, Reason.ORDER_OUTLIVED),
        ("clock.accepted_at_ms", 60_999, Reason.ORDER_OUTLIVED),
        ("clock.finished_at_ms", 62_999, Reason.ORDER_OUTLIVED),
        ("unexpected_media_count", 1, Reason.UNEXPECTED_MEDIA),
        ("unexpected_media_count", "not_observed", Reason.UNEXPECTED_MEDIA),
        ("host_facts.0.agrees", "no", Reason.HOST_NOT_IDENTIFIED),
        ("host_facts.0.agrees", "not_observed", Reason.HOST_NOT_IDENTIFIED),
        ("host_facts.0.kind", "ecid", Reason.HOST_NOT_IDENTIFIED),
    ],
)
def test_evidence_of_something_else_is_inconclusive(
    case: Case, path: str, value: Any, reason: Reason
) -> None:
    claim = case.seen(path, value).claim()
    assert said(claim) == INCONCLUSIVE
    assert reason.value in claim.reasons


def test_an_order_accepted_a_millisecond_before_its_end_is_alive(case: Case) -> None:
    late = case.seen("clock.finished_at_ms", 61_000 + 700_000)
    assert said(late.seen("clock.accepted_at_ms", 61_000 + 599_999).claim()) == MARKER_PROVEN


def test_the_same_kind_of_host_fact_three_times_is_one_fact(case: Case) -> None:
    facts = case.order.model_dump(mode="json")["host"]["facts"]
    repeated = case.ordered("host.facts", [facts[0]] * 3).seen(
        "host_facts", [{"kind": facts[0]["kind"], "agrees": "yes"}] * 3
    )
    assert "HOST_NOT_IDENTIFIED" in repeated.claim().reasons


def test_a_medium_the_evidence_does_not_list_is_inconclusive(case: Case) -> None:
    claim = case.seen("media", []).claim()
    assert said(claim) == INCONCLUSIVE
    assert claim.reasons == ("EVIDENCE_INCOMPLETE", "MEDIUM_MISSING")


def test_a_medium_the_order_does_not_name_is_inconclusive(case: Case) -> None:
    claim = judge(order=case.order, evidence=case.evidence, commitment="00" * 32)
    assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("MEDIUM_NOT_ORDERED", "MEDIUM_MISSING"))


def test_a_medium_listed_twice_is_inconclusive(case: Case) -> None:
    claim = case.seen("media", lambda media: media * 2).claim()
    assert (said(claim), claim.reasons) == (INCONCLUSIVE, ("MEDIUM_REPEATED",))


def test_a_place_the_order_names_and_the_evidence_does_not_is_inconclusive(case: Case) -> None:
    assert case.seen("residue", lambda residue: residue[1:]).claim().reasons == ("EVIDENCE_INCOMPLETE",)


def two_drives(case: Case) -> Case:
    """The same host with a second drive, of which the evidence tells the same."""
    other = {"commitment": "ab" * 32}
    return case.ordered("plan.media", lambda media: [*media, media[0] | other]).seen(
        "media", lambda media: [*media, media[0] | {"medium": media[0]["medium"] | other}]
    )


def test_a_dead_drive_with_its_entry_spoils_no_other(case: Case) -> None:
    assert said(two_drives(case).seen("media.1.was_present", "no").claim()) == MARKER_PROVEN


def test_a_drive_without_its_entry_spoils_all(case: Case) -> None:
    missing = two_drives(case).seen("media", lambda media: media[:1])
    assert (said(missing.claim()), missing.claim().reasons) == (INCONCLUSIVE, ("EVIDENCE_INCOMPLETE",))


@pytest.mark.parametrize(
    ("boot_trust", "observer", "floor", "expected", "reasons"),
    [
        ("virtual_media", "on_host", "purge", MARKER_PROVEN, ()),
        ("network", "on_host", "clear", ("erased", "clear", "marker-proven"), ("BOOT_NETWORK",)),
        ("network", "on_host", "purge", INCONCLUSIVE, ("BOOT_NETWORK", "BELOW_FLOOR")),
        ("tenant_os", "on_host", "clear", INCONCLUSIVE, ("BOOT_TENANT_OS",)),
        ("tenant_os", "beside", "clear", INCONCLUSIVE, ("BOOT_TENANT_OS",)),
        ("installed", "on_host", "purge", INCONCLUSIVE, ("BOOT_TENANT_OS",)),
        ("installed", "beside", "purge", MARKER_PROVEN, ()),
    ],
)
def test_how_the_machine_came_up_caps_the_claim(
    case: Case,
    boot_trust: str,
    observer: str,
    floor: str,
    expected: tuple[str, str, str],
    reasons: tuple[str, ...],
) -> None:
    booted = (
        case.ordered("boot_trust", boot_trust)
        .ordered("observer", observer)
        .ordered("plan.floor", floor)
        .seen("observer", observer)
    )
    claim = booted.claim()
    assert said(claim) == expected
    assert claim.reasons == reasons


def test_an_installed_system_counts_on_a_host_that_was_never_let(case: Case) -> None:
    own = (
        case.ordered("boot_trust", "installed")
        .ordered("basis.disposition", "stock")
        .ordered("plan.tenancy_ref", "not_applicable")
        .ordered("basis.tenancies.count", 0)
    )
    assert said(own.claim()) == MARKER_PROVEN
    assert said(own.ordered("basis.tenancies.count", 1).claim()) == INCONCLUSIVE
    assert said(own.ordered("basis.tenancies.is_complete", "not_observed").claim()) == INCONCLUSIVE
    assert said(own.ordered("basis.disposition", "rented").claim()) == INCONCLUSIVE
    assert said(own.ordered("plan.tenancy_ref", "00" * 32).claim()) == INCONCLUSIVE


def test_keys_known_to_be_escrowed_spoil_a_cryptographic_erase_and_no_block_erase(case: Case) -> None:
    known = case.ordered("escrow", "known")
    assert (said(known.claim()), known.claim().reasons) == (INCONCLUSIVE, ("ESCROW_KNOWN",))
    assert said(known.block_erase().claim()) == DEVICE_REPORTED


# --- limits ---


def test_every_claim_says_that_cells_firmware_and_start_were_not_seen(case: Case) -> None:
    always = {assurance.CELLS_LIMIT, assurance.FIRMWARE_LIMIT, assurance.START_LIMIT}
    for each in (case, case.block_erase(), case.seen("media", []), case.marker(0, reading_after="unchanged")):
        assert always <= set(each.claim().limits)


def test_limits_name_what_this_erase_does_not_show(case: Case) -> None:
    assert assurance.ESCROW_LIMIT in case.claim().limits
    assert assurance.ESCROW_LIMIT not in case.ordered("escrow", "none").claim().limits
    assert assurance.REPORTED_LIMIT not in case.claim().limits
    for attached in ("yes", "not_observed"):
        assert assurance.ATTACHED_LIMIT in case.seen("was_attached", attached).claim().limits
    assert assurance.ATTACHED_LIMIT not in case.claim().limits
    assert assurance.UNALLOCATED_LIMIT not in case.claim().limits
    for unallocated in (4096, "not_observed"):
        claim = case.seen("media.0.unallocated_capacity_bytes", unallocated).claim()
        assert assurance.UNALLOCATED_LIMIT in claim.limits
    assert any(
        "boot partition 1" in limit
        for limit in case.seen("media.0.unaddressed_areas", ["boot partition 1"]).claim().limits
    )
    emulated = case.seen("media.0.medium.device_class", "emulated").claim()
    assert any("emulated" in limit for limit in emulated.limits)


# --- sums ---


def a_claim(result: str, method: str = "none", grade: str = "none") -> Claim:
    return Claim(
        result=Result(result),
        method=Method(method),
        technique="not_applicable",
        grade=Grade(grade),
        reasons=(),
        limits=(),
    )


ERASED = [
    a_claim("erased", method.value, grade.value)
    for method in (Method.CLEAR, Method.PURGE, Method.DESTROY)
    for grade in Grade
]


def test_claims_are_ordered_by_method_then_grade_and_failures_are_below_all() -> None:
    ranks = [strength(claim) for claim in ERASED]
    assert ranks == sorted(set(ranks))
    assert min(ranks) > strength(a_claim("inconclusive")) == strength(a_claim("not_erased")) == 0


def test_a_host_claims_what_its_worst_medium_claims() -> None:
    good, weak = a_claim("erased", "purge", "marker-proven"), a_claim("erased", "purge", "device-reported")
    assert worst([good, weak]) == weak
    assert worst([good, a_claim("inconclusive"), a_claim("not_erased")]).result is Result.NOT_ERASED
    assert worst(iter([good])) == good


def test_a_host_without_claims_claims_nothing() -> None:
    with pytest.raises(Refused) as caught:
        worst([])
    assert caught.value.code is Code.INCOMPLETE_SET


def test_a_claim_says_what_became_of_its_medium() -> None:
    assert what_became(a_claim("erased", "purge", "marker-proven")) is WhatBecame.ERASED
    assert what_became(a_claim("erased", "destroy", "operator-attested")) is WhatBecame.DESTROYED
    assert what_became(a_claim("inconclusive")) is WhatBecame.INCONCLUSIVE
    assert what_became(a_claim("not_erased")) is WhatBecame.NOT_ERASED


def a_medium(became: WhatBecame, decision: str = "not_applicable") -> MediumSummary:
    return MediumSummary(
        commitment="00" * 32, became=became, outcome_digest="not_applicable", decision_digest=decision
    )


def test_a_host_is_released_when_every_medium_is_erased_or_out_by_a_decision() -> None:
    erased = a_medium(WhatBecame.ERASED)
    assert may_release([erased])
    for became in (WhatBecame.REMOVED, WhatBecame.DESTROYED, WhatBecame.OPEN_EXCEPTION):
        assert may_release([erased, a_medium(became, "11" * 32)])
        assert not may_release([erased, a_medium(became)])
    for became in (WhatBecame.NOT_ERASED, WhatBecame.INCONCLUSIVE):
        assert not may_release([erased, a_medium(became, "11" * 32)])
    assert not may_release([])


# --- the three properties of DESIGN.md ---

#: Lists whose members are adverse facts: leaving one out is the opposite of adding one.
ADVERSE_LISTS = {"errors", "unaddressed_areas"}
#: Words about one adverse thing seen, each enough to lower a marker-proven claim or leave it as it is.
ADVERSE: tuple[tuple[str, Any], ...] = (
    ("media.0.was_present", "no"),
    ("media.0.opened_exclusively", "no"),
    ("media.0.same_identity_after", "no"),
    ("media.0.is_readable_after", "no"),
    ("media.0.is_write_protected", "yes"),
    ("media.0.namespaces.0.is_covered", "no"),
    ("media.0.namespaces.0.is_attached", "no"),
    ("media.0.errors", ["READ_FAILED"]),
    ("media.0.unaddressed_areas", ["boot partition 1"]),
    ("media.0.read_back_mismatch_bytes", 512),
    ("media.0.read_back_bytes", 512),
    ("media.0.capabilities.0.raw", "00000000"),
    ("media.0.commands.0.completion_status", "0001"),
    ("media.0.commands.0.was_accepted", "no"),
    ("media.0.commands.0.start_acknowledged", "no"),
    ("media.0.commands.0.timed_out", "yes"),
    ("media.0.commands.0.seen_in_progress", "no"),
    ("media.0.commands.0.status_log_after", status_log(state=3)),
    ("media.0.commands.0.status_log_after", status_log(is_global=False)),
    ("media.0.commands.0.status_log_before", status_log()),
    ("media.0.commands.0.submission", submission(opcode=0x80)),
    ("media.0.markers.was_acknowledged", "no"),
    ("media.0.markers.committed_digest", "00" * 32),
    ("media.0.markers.markers.0.reading_after", "unchanged"),
    ("media.0.markers.markers.1.reading_after", "zero"),
    ("media.0.markers.markers.2.reading_after", "unreadable"),
    ("media.0.markers.markers.0.read_back_before", "no"),
    ("media.0.markers.markers.0.changed_65536ths", 0),
    ("host_facts.1.agrees", "no"),
    ("unexpected_media_count", 2),
    ("boot_secret_held", "no"),
    ("was_attached", "yes"),
    ("clock.accepted_at_ms", 10_000_000),
    ("media.0.medium.firmware", "OTHER"),
    ("media.0.medium.device_class", "emulated"),
)


def places(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document with its path."""
    members = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in members:
        here = f"{path}.{name}".lstrip(".")
        yield here, value
        if isinstance(value, dict | list):
            yield from places(value, here)


def forgettings(case: Case) -> Iterator[tuple[str, str, Any]]:
    """Each way of knowing one thing less: a fact not observed, or a member of a list left out."""
    document = case.evidence.model_dump(mode="json", by_alias=True)
    for path, value in places(document):
        if isinstance(value, list) and path.split(".")[-1] not in ADVERSE_LISTS:
            for index in range(len(value)):
                yield f"{path} without {index}", path, value[:index] + value[index + 1 :]
        elif not isinstance(value, dict | list) and value != "not_observed":
            yield f"{path} not observed", path, "not_observed"


def forgetting(case: Case, path: str, value: Any) -> Case | None:
    """None where a field must be observed: its model refuses the word."""
    try:
        return case.seen(path, value)
    except ValueError:
        return None


def bases(case: Case) -> dict[str, Case]:
    return {
        "cryptographic erase": case,
        "block erase": case.block_erase(),
        "fallback": case.fallback(),
        "two drives": two_drives(case),
        "stale status": case.seen("media.0.commands.0.status_log_before", status_log()),
        "markers read zero": case.every_marker(reading_after="zero"),
        "not attached": attached_and_not(case),
        "two namespaces": marked_in(attached_and_not(case), 2, 0, 4096, 7 * 4096),
        "no size": attached_and_not(case, capacity_bytes=0),
        "listed twice": attached_and_not(case).seen("media.0.namespaces.1.nsid", 1),
        "unallocated": case.seen("media.0.namespaces.0.capacity_bytes", lambda n: n - 8192).seen(
            "media.0.unallocated_capacity_bytes", 8192
        ),
    }


def test_forgetting_any_one_fact_or_member_never_raises_a_claim(case: Case) -> None:
    tried = 0
    for name, base in bases(case).items():
        before = strength(base.claim())
        assert before > 0, name
        for what, path, value in forgettings(base):
            less = forgetting(base, path, value)
            if less is None:
                continue
            tried += 1
            assert strength(less.claim()) <= before, f"{name}: {what}"
    assert tried > 500


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_forgetting_never_raises_a_claim_that_adverse_facts_have_lowered(case: Case, data: Any) -> None:
    base = data.draw(st.sampled_from(sorted(bases(case).items())))[1]
    for path, value in data.draw(st.lists(st.sampled_from(ADVERSE), max_size=3)):
        base = base.seen(path, value)
    before = strength(base.claim())
    for _ in range(data.draw(st.integers(1, 4))):
        what, path, value = data.draw(st.sampled_from(list(forgettings(base))))
        base = forgetting(base, path, value) or base
        after = strength(base.claim())
        assert after <= before, what
        before = after


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_adverse_fact_never_raises_a_claim(case: Case, data: Any) -> None:
    base = data.draw(st.sampled_from(sorted(bases(case).items())))[1]
    before = strength(base.claim())
    for path, value in data.draw(st.lists(st.sampled_from(ADVERSE), min_size=1, max_size=6)):
        base = base.seen(path, value)
        after = strength(base.claim())
        assert after <= before, path
        before = after


def judge_that_ignores_a_missing_drive(*, order: Order, evidence: Evidence, commitment: str) -> Claim:
    """The mutant: as if the order had named only the drives that the evidence lists."""
    listed = {entry.medium.commitment for entry in evidence.media}
    document = json.loads(order.model_dump_json(by_alias=True))
    document["plan"]["media"] = [m for m in document["plan"]["media"] if m["commitment"] in listed]
    return judge(
        order=Order.model_validate_json(json.dumps(document)), evidence=evidence, commitment=commitment
    )


def forgetting_a_drive_keeps_the_claim_down(case: Case, judging: Callable[..., Claim]) -> bool:
    """The property, for one way of forgetting: the entry of the drive that could not be erased."""
    spoilt = two_drives(case).seen("media.1.markers.markers.0.reading_after", "unchanged")
    less = spoilt.seen("media", lambda media: media[:1])

    def host(told: Case) -> int:
        named = [medium.commitment for medium in told.order.plan.media]
        listed = {entry.medium.commitment for entry in told.evidence.media}
        judged = named if judging is judge else [each for each in named if each in listed]
        return strength(
            worst(judging(order=told.order, evidence=told.evidence, commitment=each) for each in judged)
        )

    return host(less) <= host(spoilt)


def test_a_judge_that_ignores_a_missing_drive_is_caught(case: Case) -> None:
    assert forgetting_a_drive_keeps_the_claim_down(case, judge)
    assert not forgetting_a_drive_keeps_the_claim_down(case, judge_that_ignores_a_missing_drive)


# --- the vocabulary of reasons ---


def test_no_reason_can_raise_a_claim_and_each_says_what_it_is() -> None:
    assert {reason.effect for reason in Reason} <= set(Effect)
    for reason in Reason:
        assert reason.value == reason.name
        assert reason.sentence.endswith(".")


def test_the_agents_key_is_hashed_and_not_believed(case: Case) -> None:
    key = bytes(31) + b"\x01"
    other = case.seen("agent_key", key.hex())
    assert "ANOTHER_BOOT" in other.claim().reasons
    both = other.seen("boot_id", hashlib.sha256(key).hexdigest())
    assert "ANOTHER_BOOT" in both.claim().reasons
