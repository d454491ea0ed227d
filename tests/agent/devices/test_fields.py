from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.fields import Field, ascii_padded, little_endian, raw_word, read_fields, zero_terminated
from agent.errors import Code
from certificate.errors import Malformed

TABLE = (Field(0, 4, "label", ascii_padded, "LBL"), Field(4, 2, "count", little_endian, "CNT"))


def test_fields_are_read_at_their_offsets() -> None:
    fields = read_fields(TABLE, b"ab  \x34\x12", length_bytes=6, what="page")
    assert fields == {"label": "ab", "count": 0x1234}


@given(length=st.integers(0, 20).filter(lambda length: length != 6))
def test_an_answer_of_another_length_is_an_error_and_never_a_smaller_number(length: int) -> None:
    with pytest.raises(Malformed) as refusal:
        read_fields(TABLE, bytes(length), length_bytes=6, what="page")
    assert refusal.value.code is Code.DEVICE_ANSWER_MALFORMED


@pytest.mark.parametrize("label", [b"a\xffbc", b"a\x01bc", b"a\x00bc"])
def test_text_that_is_not_printable_is_an_error(label: bytes) -> None:
    with pytest.raises(Malformed, match="LBL of page"):
        read_fields(TABLE, label + b"\x00\x00", length_bytes=6, what="page")


def test_zero_bytes_may_pad_as_some_drives_do() -> None:
    assert ascii_padded(b"S1\x00\x00") == "S1"


def test_leading_spaces_are_no_part_of_a_serial_number() -> None:
    assert ascii_padded(b"  S1") == "S1"


def test_text_ends_at_its_first_zero_byte() -> None:
    assert zero_terminated(b"nqn.x\x00rest") == "nqn.x"


def test_a_raw_word_is_exactly_what_was_sent() -> None:
    assert raw_word(TABLE, b"ab  \x34\x12", "CNT") == b"\x34\x12"


def test_an_unknown_word_is_not_empty() -> None:
    with pytest.raises(KeyError):
        raw_word(TABLE, bytes(6), "XYZ")
