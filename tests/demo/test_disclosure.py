"""A word is found however deep it is wrapped, so that a search that finds none says something."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from certificate import envelope as dsse
from certificate.keys import PrivateKey
from demo.disclosure import MAX_DEPTH, says

WORD = "S64GNE0R500123"


def envelope(text: str) -> str:
    payload = json.dumps({"reason": f"the drive {text} is dead"}).encode()
    return dsse.sign(payload, PrivateKey.from_seed(b"k" * 32)).write().decode()


def bundle(text: str) -> bytes:
    """As `certificate.bundle` nests them: JSON text in JSON text, with base64 inside."""
    return json.dumps({"decisions": [envelope("S1"), envelope(text)]}, indent=1).encode()


WRAPPED: dict[str, Callable[[str], bytes]] = {
    "in clear": lambda text: f"it is {text}.".encode(),
    "within bytes that are no text": lambda text: b"\xff\x00" + text.encode() + b"\x00\xfe",
    "escaped": lambda text: (
        json.dumps({"x": "?"}).replace("?", "".join(f"\\u{ord(c):04x}" for c in text)).encode()
    ),
    "as a name": lambda text: json.dumps({text: 1}).encode(),
    "in one line of many": lambda text: (
        b'{"a":1}\n' + json.dumps({"b": base64.b64encode(text.encode()).decode()}).encode()
    ),
    "in an envelope": lambda text: envelope(text).encode(),
    "in an envelope of a bundle": bundle,
    "in a file within a bundle": lambda text: json.dumps({"file": bundle(text).decode()}).encode(),
    "in a line of a note": lambda text: (
        f"origin\n1\n\n— key {base64.b64encode(b'1234' + text.encode()).decode()}\n".encode()
    ),
    "for an address": lambda text: base64.urlsafe_b64encode(b"\xfb\xff" + text.encode()).rstrip(b"="),
    "in a drive's raw words": lambda text: json.dumps(
        {"raw": (b"\x05\x00" + text.encode() + b"\x00").hex()}
    ).encode(),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_word_is_found(wrap: Callable[[str], bytes]) -> None:
    assert says(wrap(WORD), WORD)
    assert not says(wrap("S64GNE0R500124"), WORD)


def test_what_raw_bytes_hide_is_what_a_search_must_open() -> None:
    assert WORD.encode() not in bundle(WORD)


def test_what_unpacks_for_ever_ends() -> None:
    wrapped = WORD.encode()
    for _ in range(MAX_DEPTH + 3):
        wrapped = base64.b64encode(wrapped)
    assert not says(wrapped, WORD)
