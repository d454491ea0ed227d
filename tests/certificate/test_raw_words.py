"""The raw words of sanitize and format: every field at its place, and no length but the standard's.

The bytes are laid by hand, in the order of NVM Express Base 2.0 (Sanitize; Format NVM; log page 81h).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.format_words import FormatSubmission, Layout
from certificate.sanitize_words import SanitizeStatus, Submission, Unreadable, completion_status

#: Opcode 84h, command identifier 17h; CDW10 10 0011 0011b: overwrite, three passes, inverted; CDW11 pattern.
OVERWRITE = "84001700" + "00" * 36 + "33010000" + "78563412" + "00" * 16
#: Opcode 80h, NSID 7; CDW10: LBAF 18 (0010b and 01b above), MSET, PI 2, PIL, SES 2.
FORMAT = "80002a00" + "07000000" + "00" * 32 + "52150000" + "00" * 20
#: SPROG FFFFh; SSTAT 0119h: success, three passes, Global Data Erased; SCDW10 as sent.
STATUS = "ffff" + "1901" + "33010000" + "ff" * 24 + "00" * 32


def test_a_sanitize_is_read_field_by_field() -> None:
    sent = Submission.parse(OVERWRITE)
    assert (sent.opcode, sent.action, sent.overwrite_passes) == (0x84, 3, 3)
    assert sent.is_inverted_between_passes
    assert sent.overwrite_pattern == 0x12345678


def test_no_passes_asked_for_are_sixteen() -> None:
    assert Submission.parse(OVERWRITE.replace("33010000", "03000000")).overwrite_passes == 16


def test_a_status_log_is_read_field_by_field() -> None:
    status = SanitizeStatus.parse(STATUS)
    assert (status.state, status.overwrite_passes_done, status.dword10) == (1, 3, 0x133)
    assert status.is_global_data_erased
    assert not SanitizeStatus.parse(STATUS.replace("1901", "1900")).is_global_data_erased


def test_a_format_is_read_field_by_field() -> None:
    sent = FormatSubmission.parse(FORMAT)
    assert (sent.opcode, sent.nsid, sent.secure_erase) == (0x80, 7, 2)
    assert sent.layout == Layout(lba_format=18, is_extended=True, protection_type=2, is_protection_first=True)
    assert not sent.has_reserved_bits
    assert FormatSubmission.parse(FORMAT.replace("52150000", "52550000")).has_reserved_bits


@given(flbas=st.integers(0, 127), dps=st.integers(0, 15))
def test_a_namespaces_words_and_a_format_that_keeps_them_are_one_layout(flbas: int, dps: int) -> None:
    """FLBAS: format 3:0 and 6:5, in line 4. DPS: type 2:0, first bytes 3. CDW10 has the same, elsewhere."""
    dword10 = flbas & 0b11111 | (flbas >> 5) << 12 | (dps & 0b111) << 5 | (dps >> 3) << 8
    sent = FORMAT.replace("52150000", dword10.to_bytes(4, "little").hex())
    assert FormatSubmission.parse(sent).layout == Layout.of_namespace(flbas=flbas, dps=dps)


@pytest.mark.parametrize(
    ("read", "good"),
    [
        (Submission.parse, OVERWRITE),
        (FormatSubmission.parse, FORMAT),
        (SanitizeStatus.parse, STATUS),
        (completion_status, "0002"),
    ],
)
def test_words_of_any_other_length_or_none_are_unreadable(read: Callable[[str], Any], good: str) -> None:
    read(good)
    for bad in (good[:-2], good + "00", "", "not_observed", "not_applicable", "zz" + good[2:]):
        with pytest.raises(Unreadable):
            read(bad)
