"""What every reader of JSON must refuse, whatever document it is in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: The forgery's name, its code, its sentence, its bytes.
Spoilt = tuple[str, str, str, bytes]


def spoilt(document: dict[str, Any], number_field: str = "schema") -> Iterator[Spoilt]:
    """`document` (an object that has `number_field` at its top) in every way that is no strict JSON."""
    text = json.dumps(document)
    name = json.dumps(number_field)
    number = f"{name}: {json.dumps(document[number_field])}"
    assert number in text

    def numbered(literal: str) -> bytes:
        return text.replace(number, f"{name}: {literal}", 1).encode()

    yield (
        "duplicate_key",
        "DUPLICATE_KEY",
        "One key twice; most parsers keep the last.",
        (text[:-1] + f", {number}}}").encode(),
    )
    yield (
        "escaped_duplicate_key",
        "DUPLICATE_KEY",
        "The same key spelt with an escape.",
        (text[:-1] + f', "\\u{ord(number_field[0]):04x}{number_field[1:]}": 1}}').encode(),
    )
    yield "not_a_number", "NOT_A_NUMBER", "NaN, which is no JSON and equals nothing.", numbered("NaN")
    yield "infinity", "NOT_A_NUMBER", "-Infinity.", numbered("-Infinity")
    yield "float", "NOT_A_NUMBER", "A number that is whole and yet written as a fraction.", numbered("1.0")
    yield "exponent", "NOT_A_NUMBER", "A number with an exponent.", numbered("1e0")
    yield "huge_number", "NOT_A_NUMBER", "A number of four thousand digits.", numbered("1" + "0" * 4000)
    yield "unsafe_number", "NOT_A_NUMBER", "2^53, which other readers round.", numbered(str(2**53))
    yield "minus_zero", "NOT_A_NUMBER", "-0.", numbered("-0")
    yield "deep", "TOO_DEEP", "Nested 33 deep.", numbered("[" * 32 + "]" * 32)
    yield (
        "very_deep",
        "TOO_DEEP",
        "Nested three thousand deep, to exhaust the stack.",
        numbered("[" * 3_000 + "]" * 3_000),
    )
    yield "byte_order_mark", "MALFORMED", "A byte order mark before it.", b"\xef\xbb\xbf" + text.encode()
    yield "trailing_bytes", "TRAILING_BYTES", "A second document behind it.", text.encode() + b"{}"
    yield "trailing_zero", "TRAILING_BYTES", "A zero byte behind it.", text.encode() + b"\x00"
    yield (
        "lone_surrogate",
        "MALFORMED",
        "Half of a surrogate pair in a key.",
        (text[:-1] + ', "\\ud800": 1}').encode(),
    )
    yield "not_utf8", "MALFORMED", "A byte that no UTF-8 has.", text[:-1].encode() + b', "\xff": 1}'
    yield "utf16", "MALFORMED", "Written in UTF-16.", text.encode("utf-16")
    yield (
        "control_character",
        "MALFORMED",
        "A line feed inside a text.",
        (text[:-1] + ', "a\nb": 1}').encode(),
    )
    yield "truncated", "MALFORMED", "The last brace is missing.", text[:-1].encode()
    yield "a_list", "MALFORMED", "A list where an object belongs.", f"[{text}]".encode()
    yield "empty", "MALFORMED", "Nothing at all.", b""
