"""JSON of strangers: each way of being wrong has its code."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate import strict_json
from certificate.errors import Code, Malformed

SAFE = strict_json.MAX_SAFE_INTEGER
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-SAFE, max_value=SAFE) | st.text(),
    lambda members: st.lists(members, max_size=4) | st.dictionaries(st.text(), members, max_size=4),
    max_leaves=20,
)


def code_of(data: bytes, max_bytes: int = 10_000) -> Code:
    with pytest.raises(Malformed) as refusal:
        strict_json.load(data, max_bytes=max_bytes)
    code = refusal.value.code
    assert isinstance(code, Code)
    return code


@given(VALUES, st.booleans())
def test_what_json_can_say_is_read_as_it_was_written(value: Any, is_escaped: bool) -> None:
    try:
        data = json.dumps(value, ensure_ascii=is_escaped).encode()
    except UnicodeEncodeError:
        return
    if any("\ud800" <= character <= "\udfff" for character in json.dumps(value, ensure_ascii=False)):
        return
    assert strict_json.load(b" \n" + data + b"\r\t", max_bytes=100_000) == value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.MALFORMED),
        (b"   ", Code.MALFORMED),
        (b"{", Code.MALFORMED),
        (b"{'a':1}", Code.MALFORMED),
        (b'{"a":1,}', Code.MALFORMED),
        (b"// no\n{}", Code.MALFORMED),
        (b'"\x01"', Code.MALFORMED),
        (b'"\xff"', Code.MALFORMED),
        (b"\xef\xbb\xbf{}", Code.MALFORMED),
        (b'"\\ud800"', Code.MALFORMED),
        (b'{"\\udfff":1}', Code.MALFORMED),
        (b'[{"a":["\\udfff"]}]', Code.MALFORMED),
        (b'{"a":1,"a":1}', Code.DUPLICATE_KEY),
        (b'{"a":1,"\\u0061":2}', Code.DUPLICATE_KEY),
        (b'[{"b":{"a":1,"a":2}}]', Code.DUPLICATE_KEY),
        (b"1.0", Code.NOT_A_NUMBER),
        (b'{"a":1e3}', Code.NOT_A_NUMBER),
        (b"NaN", Code.NOT_A_NUMBER),
        (b"[Infinity]", Code.NOT_A_NUMBER),
        (b"[-Infinity]", Code.NOT_A_NUMBER),
        (b"-0", Code.NOT_A_NUMBER),
        (b"9007199254740992", Code.NOT_A_NUMBER),
        (b"-9007199254740992", Code.NOT_A_NUMBER),
        (b"1" * 5000, Code.NOT_A_NUMBER),
        (b"{}{}", Code.TRAILING_BYTES),
        (b"{} x", Code.TRAILING_BYTES),
        (b"{}\x00", Code.TRAILING_BYTES),
        (b"1 2", Code.TRAILING_BYTES),
        (b"[" * 33 + b"]" * 33, Code.TOO_DEEP),
        (b"[" * 9000, Code.TOO_DEEP),
        (b'{"a":' * 33 + b"1" + b"}" * 33, Code.TOO_DEEP),
    ],
)
def test_each_way_of_being_wrong_has_its_code(data: bytes, code: Code) -> None:
    assert code_of(data) is code


def test_the_deepest_document_that_is_read_has_the_stated_depth() -> None:
    assert strict_json.load(b"[" * 32 + b"]" * 32, max_bytes=100) is not None


def test_brackets_inside_strings_are_no_depth() -> None:
    text = '[{"' * 40 + "\\"
    assert strict_json.load(json.dumps(text).encode(), max_bytes=1000) == text


def test_the_limit_is_the_last_size_that_is_read() -> None:
    assert strict_json.load(b"1234", max_bytes=4) == 1234
    assert code_of(b"12345", max_bytes=4) is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"a"'])
def test_an_object_is_asked_for_and_nothing_else_comes(data: bytes) -> None:
    assert strict_json.load_object(b'{"a":1}', max_bytes=10) == {"a": 1}
    with pytest.raises(Malformed) as refusal:
        strict_json.load_object(data, max_bytes=10)
    assert refusal.value.code is Code.MALFORMED


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with suppress(Malformed):
        strict_json.load(data, max_bytes=1000)
