"""One value, one spelling."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.log.lines import MAX_NUMBER, read_base64, read_decimal, split_lines


@given(st.integers(min_value=0, max_value=MAX_NUMBER))
def test_a_number_is_read_as_it_is_written(number: int) -> None:
    assert read_decimal(b"%d" % number) == number


@pytest.mark.parametrize(
    "text",
    [b"", b"-1", b"+1", b"01", b"00", b" 1", b"1 ", b"1\n", b"1_0", b"0x1", b"1.0", b"9" * 20],
)
def test_a_number_in_another_spelling_is_not_a_number(text: bytes) -> None:
    assert read_decimal(text) is None


def test_digits_of_another_script_are_not_a_number() -> None:
    assert read_decimal("١٢".encode()) is None


def test_the_largest_number_is_the_last() -> None:
    assert read_decimal(b"9223372036854775807") == MAX_NUMBER
    assert read_decimal(b"9223372036854775808") is None


@given(st.binary(max_size=100))
def test_base64_is_read_as_it_is_written(data: bytes) -> None:
    assert read_base64(base64.b64encode(data)) == data


@pytest.mark.parametrize("text", [b"QQ", b"QQ=", b"QR==", b"QQ==\n", b" QQ==", b"_-8=", b"Q Q=="])
def test_base64_in_another_spelling_is_not_base64(text: bytes) -> None:
    assert read_base64(text) is None


def test_lines_are_split_on_line_feeds_only() -> None:
    text = "a\u2028b\x85c\n\r\nd\n".encode()
    assert split_lines(text) == ("a\u2028b\x85c".encode(), b"\r", b"d")


def test_a_last_line_without_its_line_feed_is_refused() -> None:
    assert split_lines(b"a\nb") is None
    assert split_lines(b"") is None
