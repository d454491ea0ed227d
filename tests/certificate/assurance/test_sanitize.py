"""A sanitize: what was sent, and the drive's own status before and after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.reasons import Reason
from tests.techniques import (
    HONEST,
    INCONCLUSIVE,
    NOT_ERASED,
    SANITIZES,
    Judged,
    Techniques,
    sanitize_dword10,
    status_log,
    submission,
)

Honest = Callable[..., Judged]
CRYPTO = sanitize_dword10(4)
ONE_PASS = sanitize_dword10(3, passes=1)


@pytest.mark.parametrize(
    ("field", "value", "expected", "reason"),
    [
        ("submission", "not_observed", INCONCLUSIVE, Reason.SUBMISSION_NOT_SEEN),
        ("submission", "not_applicable", INCONCLUSIVE, Reason.SUBMISSION_NOT_SEEN),
        (
            "submission",
            submission(opcode=0x84, dword10=CRYPTO)[:-2],
            INCONCLUSIVE,
            Reason.SUBMISSION_NOT_SEEN,
        ),
        ("submission", submission(opcode=0x80, dword10=CRYPTO), INCONCLUSIVE, Reason.SUBMISSION_DIFFERS),
        ("status_log_after", "not_observed", INCONCLUSIVE, Reason.STATUS_NOT_SEEN),
        ("status_log_after", "not_applicable", INCONCLUSIVE, Reason.STATUS_NOT_SEEN),
        ("status_log_after", status_log(CRYPTO)[:-2], INCONCLUSIVE, Reason.STATUS_NOT_SEEN),
        ("status_log_after", status_log(CRYPTO, state=3), NOT_ERASED, Reason.SANITIZE_FAILED),
        ("status_log_after", status_log(CRYPTO, state=0), INCONCLUSIVE, Reason.SANITIZE_NOT_ENDED),
        ("status_log_after", status_log(CRYPTO, state=2), INCONCLUSIVE, Reason.SANITIZE_NOT_ENDED),
        ("status_log_after", status_log(CRYPTO, state=5), INCONCLUSIVE, Reason.SANITIZE_NOT_ENDED),
        ("status_log_after", status_log(CRYPTO, is_erased=False), INCONCLUSIVE, Reason.WRITTEN_AFTERWARDS),
        ("status_log_after", status_log(CRYPTO | 8), INCONCLUSIVE, Reason.STATUS_OF_ANOTHER_COMMAND),
    ],
)
def test_each_word_of_the_command_counts(
    case: Judged, field: str, value: str, expected: tuple[str, str, str], reason: Reason
) -> None:
    less = case.told(f"commands.0.{field}", value)
    assert (less.said, less.reasons) == (expected, (reason.value,))


@pytest.mark.parametrize("technique", SANITIZES)
def test_success_with_forced_deallocation_is_a_success(honest: Honest, technique: str) -> None:
    case = honest(technique)
    log = bytearray.fromhex(case.evidence.media[0].commands[0].status_log_after)
    log[2] = log[2] & ~0b111 | 4
    assert case.told("commands.0.status_log_after", log.hex()).said == HONEST[technique]


@pytest.mark.parametrize("technique", SANITIZES)
@pytest.mark.parametrize("action", range(8))
def test_another_action_is_not_the_techniques(honest: Honest, technique: str, action: int) -> None:
    case = honest(technique)
    sent = case.evidence.media[0].commands[0]
    dword10 = int.from_bytes(bytes.fromhex(sent.submission)[40:44], "little") & ~0b111 | action
    other = case.told(
        "commands.0.submission",
        sent.submission[:80] + dword10.to_bytes(4, "little").hex() + sent.submission[88:],
    ).told(
        "commands.0.status_log_after",
        sent.status_log_after[:8] + dword10.to_bytes(4, "little").hex() + sent.status_log_after[16:],
    )
    is_same = action == SANITIZES[technique]
    assert other.said == (HONEST[technique] if is_same else INCONCLUSIVE)
    assert ("SUBMISSION_DIFFERS" in other.reasons) is not is_same


def test_a_stale_success_counts_only_if_every_marker_changed(case: Judged) -> None:
    stale = case.told("commands.0.status_log_before", status_log(CRYPTO))
    assert stale.said == HONEST["nvme_sanitize_crypto"]
    assert stale.marker(0, read_back_before="no").reasons == ("STATUS_UNCHANGED", "MARKER_NOT_READ_BACK")
    assert stale.detached().reasons == ("STATUS_UNCHANGED", "MARKERS_TOO_FEW")
    two_pages = stale.detached(2 * 4096).told("namespaces.1.is_attached", "yes").marked()
    assert two_pages.said == ("erased", "purge", "device-reported")
    for reading in ("zero", "constant"):
        less = stale.every_marker(reading_after=reading)
        assert (less.said, less.reasons) == (INCONCLUSIVE, ("STATUS_UNCHANGED", "MARKER_READS_CONSTANT"))
        one = stale.marker(1, reading_after=reading)
        assert one.said == INCONCLUSIVE
    bare = stale.told("markers.markers", []).reopened()
    assert (bare.said, bare.reasons) == (INCONCLUSIVE, ("STATUS_UNCHANGED", "NO_MARKERS"))


@pytest.mark.parametrize("reading", ["zero", "constant", "pseudorandom"])
def test_no_marker_makes_a_stale_block_erase_ours(block: Judged, reading: str) -> None:
    """It changes no key and leaves no pattern: what a marker reads may be unmapping."""
    stale = block.told("commands.0.status_log_before", status_log(sanitize_dword10(2)))
    less = stale.every_marker(reading_after=reading)
    assert (less.said, less.reasons[0]) == (INCONCLUSIVE, "STATUS_UNCHANGED")


@pytest.mark.parametrize("technique", SANITIZES)
@pytest.mark.parametrize("place", [0, 3, *range(8, 64)])
def test_an_estimate_or_a_reserved_bit_that_differs_is_no_new_status(
    honest: Honest, technique: str, place: int
) -> None:
    case = honest(technique)
    before = bytearray.fromhex(case.evidence.media[0].commands[0].status_log_after)
    before[place] ^= 0b10000000
    stale = case.told("commands.0.status_log_before", before.hex())
    bare = stale.told("markers.markers", []).reopened()
    assert (bare.said, bare.reasons[0]) == (INCONCLUSIVE, "STATUS_UNCHANGED")


@pytest.mark.parametrize("technique", SANITIZES)
@pytest.mark.parametrize(("place", "bit"), [(2, 0), (2, 3), (3, 0), (4, 3)])
def test_state_passes_global_data_and_the_command_make_a_status_another(
    honest: Honest, technique: str, place: int, bit: int
) -> None:
    case = honest(technique)
    before = bytearray.fromhex(case.evidence.media[0].commands[0].status_log_after)
    before[place] ^= 1 << bit
    told = case.told("commands.0.status_log_before", before.hex())
    assert "STATUS_UNCHANGED" not in told.told("markers.markers", []).reopened().reasons


def test_a_stale_overwrite_counts_if_its_pattern_is_everywhere(honest: Honest) -> None:
    case = honest("nvme_sanitize_overwrite")
    stale = case.told("commands.0.status_log_before", status_log(ONE_PASS, passes_done=1))
    assert stale.said == HONEST["nvme_sanitize_overwrite"]
    assert stale.every_marker(reading_after="zero").reasons == ("STATUS_UNCHANGED", "MARKER_READS_CONSTANT")
    assert stale.every_marker(reading_after="pseudorandom").reasons == (
        "STATUS_UNCHANGED",
        "MARKER_DOES_NOT_FIT",
    )


def test_a_status_that_nobody_read_before_is_as_good_as_an_unchanged_one(case: Judged) -> None:
    for before in ("not_observed", "not_applicable", "ffff"):
        bare = case.told("commands.0.status_log_before", before).told("markers.markers", [])
        assert bare.reopened().said == INCONCLUSIVE


@pytest.mark.parametrize("technique", SANITIZES)
def test_a_drive_whose_own_word_does_not_offer_the_technique_is_doubted(
    honest: Honest, technique: str
) -> None:
    case = honest(technique)
    bit = {"nvme_sanitize_crypto": 1, "nvme_sanitize_block": 2, "nvme_sanitize_overwrite": 4}[technique]
    kind = "self_encrypting_nvme" if bit == 1 else "nvme"
    assert case.planned("kind", kind).word("SANICAP", f"{bit:02x}000000").said == HONEST[technique]
    other = "nvme" if bit == 1 else "self_encrypting_nvme"
    without = case.planned("kind", other).word("SANICAP", f"{7 - bit:02x}000000")
    assert without.said == INCONCLUSIVE
    assert "CAPABILITY_NOT_SHOWN" in without.reasons
    assert "MEDIUM_DIFFERS" not in without.reasons
    good = {"field": "SANICAP", "raw": "07000000"}
    words: list[list[Any]] = [[], [good, good], [good | {"raw": "not_observed"}], [good | {"raw": "07"}]]
    for each in words:
        less = case.told("capabilities", each)
        assert (less.said, "CAPABILITY_NOT_SHOWN" in less.reasons) == (INCONCLUSIVE, True)


# --- the drive's own overwrite ---


def sent_as(case: Judged, *, dword10: int, dword11: int, passes_done: int = 1) -> Judged:
    sent = submission(opcode=0x84, dword10=dword10, dword11=dword11)
    log = status_log(dword10, passes_done=passes_done)
    return case.told("commands.0.submission", sent).told("commands.0.status_log_after", log)


@pytest.fixture
def pattern(techniques: Techniques) -> int:
    case = techniques.honest("nvme_sanitize_overwrite")
    return techniques.pattern(case.evidence.order_digest)


def test_an_overwrite_has_the_pattern_that_order_nonce_and_medium_give(honest: Honest, pattern: int) -> None:
    case = honest("nvme_sanitize_overwrite")
    assert sent_as(case, dword10=ONE_PASS, dword11=pattern).reasons == ()
    for other in (0, 1, pattern ^ 1, pattern ^ 0xFFFFFFFF):
        assert sent_as(case, dword10=ONE_PASS, dword11=other).reasons == ("SUBMISSION_DIFFERS",)
    assert "SUBMISSION_DIFFERS" in case.told("markers.nonce", "not_observed").reasons
    assert "SUBMISSION_DIFFERS" in case.seen("order_digest", "00" * 32).reasons


def test_an_inverted_overwrite_is_not_the_one_we_can_prove(honest: Honest, pattern: int) -> None:
    inverted = sanitize_dword10(3, passes=1, is_inverted=True)
    less = sent_as(honest("nvme_sanitize_overwrite"), dword10=inverted, dword11=pattern)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("SUBMISSION_DIFFERS",))


@pytest.mark.parametrize(("asked", "passes"), [(1, 1), (3, 3), (15, 15), (0, 16)])
def test_every_pass_of_an_overwrite_is_reported(
    honest: Honest, pattern: int, asked: int, passes: int
) -> None:
    case = honest("nvme_sanitize_overwrite")
    dword10 = sanitize_dword10(3, passes=asked)
    done = sent_as(case, dword10=dword10, dword11=pattern, passes_done=passes)
    assert done.said == HONEST["nvme_sanitize_overwrite"]
    less = sent_as(case, dword10=dword10, dword11=pattern, passes_done=passes - 1)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("PASSES_MISSING",))


def test_an_overwrite_that_only_unmapped_is_device_reported(honest: Honest) -> None:
    case = honest("nvme_sanitize_overwrite")
    for reading in ("zero", "constant"):
        less = case.marker(1, reading_after=reading)
        assert (less.said, less.reasons) == (
            ("erased", "purge", "device-reported"),
            ("MARKER_READS_CONSTANT",),
        )


def test_no_drive_leaves_noise_by_overwriting(honest: Honest) -> None:
    less = honest("nvme_sanitize_overwrite").marker(1, reading_after="pseudorandom")
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("MARKER_DOES_NOT_FIT",))
