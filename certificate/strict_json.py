"""Reading JSON that strangers wrote, before anything believes it.

Rules, each with its own code: valid UTF-8 without a byte order mark and at most `max_bytes`; nesting at most
`MAX_DEPTH`; no object names a key twice (pydantic and most parsers keep the last and say nothing); whole
numbers only, so neither NaN nor fractions nor exponents, and none that a JSON reader elsewhere would round
(I-JSON, RFC 7493 section 2.2); nothing after the document. Strings hold no lone surrogates. What is not
refused here may still be the wrong document: fields are checked by the models.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from certificate.errors import Code, Malformed

#: Deeper than any document of ours (the deepest, a bundle's evidence, needs 10); stops stack exhaustion.
MAX_DEPTH = 32
#: RFC 7493, section 2.2: beyond this two readers may disagree about a number.
MAX_SAFE_INTEGER = 2**53 - 1
#: A longer literal is refused before Python multiplies it out (quadratic time).
MAX_INTEGER_DIGITS = 16

_SURROGATE = re.compile("[\ud800-\udfff]")


def load(data: bytes, *, max_bytes: int, what: str = "document") -> Any:
    """The value that `data` holds: dict, list, str, int, bool or None.

    Raises Malformed with LIMIT_EXCEEDED, MALFORMED, DUPLICATE_KEY, NOT_A_NUMBER, TRAILING_BYTES or TOO_DEEP.
    """
    if len(data) > max_bytes:
        raise Malformed(Code.LIMIT_EXCEEDED, f"{what} has {len(data)} bytes, at most {max_bytes} are read")
    try:
        text = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed(Code.MALFORMED, f"{what} is not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise Malformed(Code.MALFORMED, f"{what} begins with a byte order mark")
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: _object(pairs, what),
        parse_float=lambda literal: _refuse_number(literal, what),
        parse_int=lambda literal: _integer(literal, what),
        parse_constant=lambda literal: _refuse_number(literal, what),
    )
    start = len(text) - len(text.lstrip(" \t\n\r"))
    try:
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise Malformed(Code.MALFORMED, f"{what} is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Malformed(Code.TOO_DEEP, f"{what} nests deeper than {MAX_DEPTH}") from None
    if text[end:].strip(" \t\n\r"):
        raise Malformed(Code.TRAILING_BYTES, f"{what} ends at character {end}, but more follows")
    _refuse_depth(value, what)
    if "\\u" in text:  # UTF-8 holds no surrogates: only an escape can make one
        _refuse_surrogates(value, what)
    return value


def load_object(data: bytes, *, max_bytes: int, what: str = "document") -> dict[str, Any]:
    """As `load`, for a document that must be an object; raises Malformed(MALFORMED) for anything else."""
    value = load(data, max_bytes=max_bytes, what=what)
    if not isinstance(value, dict):
        raise Malformed(Code.MALFORMED, f"{what} is not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise Malformed(Code.DUPLICATE_KEY, f"{what} names {key[:60]!r} twice in one object")
        result[key] = value
    return result


def _refuse_number(literal: str, what: str) -> NoReturn:
    raise Malformed(
        Code.NOT_A_NUMBER, f"{what} holds {literal[:20]}, and the formats know whole numbers only"
    )


def _integer(literal: str, what: str) -> int:
    if len(literal.lstrip("-")) > MAX_INTEGER_DIGITS or abs(int(literal)) > MAX_SAFE_INTEGER:
        raise Malformed(Code.NOT_A_NUMBER, f"{what} holds a number beyond 2^53 - 1")
    if literal == "-0":
        raise Malformed(Code.NOT_A_NUMBER, f"{what} holds -0")
    return int(literal)


def _refuse_depth(value: Any, what: str) -> None:
    """Level by level and without recursion. The decoder itself stops a document that nests so deep that it
    would exhaust the stack, which is far beyond any level that is allowed here.
    """
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            member
            for parent in level
            for member in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(member, dict | list)
        ]
        if not level:
            return
    raise Malformed(Code.TOO_DEEP, f"{what} nests deeper than {MAX_DEPTH}")


def _refuse_surrogates(value: Any, what: str) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise Malformed(Code.MALFORMED, f"{what} holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, member in value.items():
            _refuse_surrogates(key, what)
            _refuse_surrogates(member, what)
    elif isinstance(value, list):
        for member in value:
            _refuse_surrogates(member, what)
