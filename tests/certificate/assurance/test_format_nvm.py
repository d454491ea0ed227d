"""A Format: what was sent, what it kept, and which namespaces it reached by the drive's own word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.techniques import (
    ALL_NAMESPACES,
    FORMATS,
    HONEST,
    INCONCLUSIVE,
    LAYOUT_BITS,
    NOT_ERASED,
    Judged,
    sanitize_dword10,
    status_log,
    submission,
)

Honest = Callable[..., Judged]
CRYPTO = LAYOUT_BITS | 2 << 9


def sent(case: Judged, *nsids: int, dword10: int = CRYPTO, opcode: int = 0x80) -> Judged:
    """With one Format for each of these, instead of the honest ones."""
    commands = [submission(opcode=opcode, nsid=nsid, dword10=dword10) for nsid in nsids]
    return case.told("commands", lambda had: [had[0] | {"submission": each} for each in commands])


@pytest.mark.parametrize("technique", FORMATS)
@pytest.mark.parametrize("setting", range(8))
def test_only_the_techniques_own_erase_setting_is_the_technique(
    honest: Honest, technique: str, setting: int
) -> None:
    """SES 0 erases nothing by contract, and is what a tool sends that was not told otherwise (fos#125)."""
    case = sent(honest(technique), 1, dword10=LAYOUT_BITS | setting << 9)
    is_own = setting == FORMATS[technique]
    assert case.said == (HONEST[technique] if is_own else INCONCLUSIVE)
    assert ("SUBMISSION_DIFFERS" in case.reasons) is not is_own


@pytest.mark.parametrize("value", ["not_observed", "not_applicable", "00" * 63])
def test_a_format_that_nobody_saw_sent_is_doubted(format_crypto: Judged, value: str) -> None:
    less = format_crypto.told("commands.0.submission", value)
    assert less.said == INCONCLUSIVE
    assert set(less.reasons) == {"SUBMISSION_NOT_SEEN", "NAMESPACE_NOT_REACHED"}


def test_another_opcode_and_reserved_bits_are_no_format(format_crypto: Judged) -> None:
    assert sent(format_crypto, 1, opcode=0x84).reasons == ("SUBMISSION_DIFFERS",)
    for bit in range(14, 32):
        assert sent(format_crypto, 1, dword10=CRYPTO | 1 << bit).reasons == ("SUBMISSION_DIFFERS",)


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13])
def test_a_format_that_changes_the_layout_is_doubted(format_crypto: Judged, bit: int) -> None:
    less = sent(format_crypto, 1, dword10=CRYPTO ^ 1 << bit)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("LAYOUT_DIFFERS",))


def test_zeros_do_not_keep_a_layout(format_crypto: Judged) -> None:
    assert sent(format_crypto, 1, dword10=2 << 9).reasons == ("LAYOUT_DIFFERS",)
    plain = format_crypto.word("NS1:FLBAS", "00").word("NS1:DPS", "00")
    assert sent(plain, 1, dword10=2 << 9).said == HONEST["nvme_format_crypto"]


@pytest.mark.parametrize("field", ["NS1:FLBAS", "NS1:DPS"])
@pytest.mark.parametrize("raw", ["not_observed", "2222"])
def test_a_layout_that_nobody_read_is_not_known_to_be_kept(
    format_crypto: Judged, field: str, raw: str
) -> None:
    assert format_crypto.word(field, raw).reasons == ("LAYOUT_DIFFERS",)
    gone = format_crypto.told("capabilities", lambda words: [w for w in words if w["field"] != field])
    assert gone.reasons == ("LAYOUT_DIFFERS",)


@pytest.mark.parametrize("field", ["status_log_before", "status_log_after"])
@pytest.mark.parametrize("value", ["not_observed", status_log(sanitize_dword10(4)), "00"])
def test_a_status_log_has_no_place_beside_a_format(format_crypto: Judged, field: str, value: str) -> None:
    less = format_crypto.told(f"commands.0.{field}", value)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("RECORD_DOES_NOT_FIT",))


# --- what the drive offers ---


@pytest.mark.parametrize("technique", FORMATS)
@pytest.mark.parametrize(
    ("field", "raw"),
    [("OACS", "1c00"), ("OACS", "not_observed"), ("OACS", "1e"), ("FNA", "not_observed"), ("FNA", "0400")],
)
def test_a_drive_that_does_not_offer_a_format_is_doubted(
    honest: Honest, technique: str, field: str, raw: str
) -> None:
    less = honest(technique).word(field, raw)
    assert (less.said, "CAPABILITY_NOT_SHOWN" in less.reasons) == (INCONCLUSIVE, True)


def test_a_cryptographic_format_needs_the_drives_word_for_it(honest: Honest) -> None:
    """A drive may accept SES 2 without it and destroy no key."""
    assert honest("nvme_format_crypto").word("FNA", "00").reasons == ("CAPABILITY_NOT_SHOWN",)
    assert honest("nvme_format_user_data").word("FNA", "00").said == HONEST["nvme_format_user_data"]


# --- which namespaces it reaches ---


def test_a_format_of_one_namespace_leaves_the_other(honest: Honest) -> None:
    both = honest("nvme_format_crypto", namespaces=2)
    for nsid in (1, 2):
        less = sent(both, nsid)
        assert (less.said, less.reasons) == (INCONCLUSIVE, ("NAMESPACE_NOT_REACHED",))
    assert sent(both, 2, 1).said == HONEST["nvme_format_crypto"]


def test_a_format_of_all_reaches_all_that_are_attached(honest: Honest) -> None:
    both = honest("nvme_format_crypto", namespaces=2)
    assert sent(both, ALL_NAMESPACES).said == HONEST["nvme_format_crypto"]
    less = sent(both, ALL_NAMESPACES).told("namespaces.1.is_attached", "no").marked()
    assert less.reasons == ("NAMESPACE_NOT_REACHED", "MARKERS_TOO_FEW")
    assert sent(both, ALL_NAMESPACES).word("FNA", "0c").reasons == ("CAPABILITY_NOT_SHOWN",)


def test_one_format_reaches_all_where_the_drive_says_that_an_erase_does(honest: Honest) -> None:
    both = honest("nvme_format_crypto", namespaces=2)
    assert sent(both, 1).word("FNA", "06").said == HONEST["nvme_format_crypto"]
    # Bit 0 says so of the format and not of the erase.
    assert sent(both, 1).word("FNA", "05").reasons == ("NAMESPACE_NOT_REACHED",)


@pytest.mark.parametrize(("nsids", "attributes"), [((ALL_NAMESPACES,), "04"), ((1,), "06"), ((1, 2), "05")])
def test_a_format_that_reaches_all_keeps_the_layout_of_all(
    honest: Honest, nsids: tuple[int, ...], attributes: str
) -> None:
    alike = sent(honest("nvme_format_crypto", namespaces=2), *nsids).word("FNA", attributes)
    assert alike.said == HONEST["nvme_format_crypto"]
    assert alike.word("NS2:FLBAS", "23").reasons == ("LAYOUT_DIFFERS",)


def test_a_format_of_a_namespace_that_nobody_listed_is_doubted(format_crypto: Judged) -> None:
    assert sent(format_crypto, 1, 7).reasons == ("LAYOUT_DIFFERS",)


def test_two_formats_of_one_namespace_are_one_too_many(honest: Honest) -> None:
    both = honest("nvme_format_crypto", namespaces=2)
    less = sent(both, 1, 2, 2)
    assert (less.said, less.reasons) == (INCONCLUSIVE, ("COMMAND_REPEATED",))


# --- what the markers say of it ---


@pytest.mark.parametrize(
    ("technique", "reading", "expected"),
    [
        ("nvme_format_crypto", "zero", ("erased", "clear", "device-reported")),
        ("nvme_format_crypto", "constant", ("erased", "clear", "device-reported")),
        ("nvme_format_crypto", "as_overwritten", INCONCLUSIVE),
        ("nvme_format_crypto", "unchanged", NOT_ERASED),
        ("nvme_format_user_data", "pseudorandom", ("erased", "clear", "device-reported")),
        ("nvme_format_user_data", "as_overwritten", INCONCLUSIVE),
        ("nvme_format_user_data", "unchanged", NOT_ERASED),
    ],
)
def test_a_formats_markers_prove_a_changed_key_or_nothing(
    honest: Honest, technique: str, reading: str, expected: Any
) -> None:
    assert honest(technique).marker(1, reading_after=reading).said == expected


def test_a_format_never_reaches_purge(honest: Honest) -> None:
    for technique in FORMATS:
        less = honest(technique).ordered("plan.floor", "purge")
        assert (less.said, less.reasons[-1]) == (INCONCLUSIVE, "BELOW_FLOOR")
