"""Every text that stands in a file, however it is wrapped: what a stranger could read in it.

Rules: JSON is read (a file, or each of its lines), so that no escape hides a letter; whatever may be base64
or hexadecimal is decoded, and what comes out is read the same way, as deep as a bundle is wrapped: bundle,
envelope, payload, raw words of a drive. Bytes that are no text count by their printable parts, long enough
not to stand in a signature by chance. The tests that look for private words use this very function.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

#: A bundle holds an envelope, that a payload, that raw words: four. Stops what unpacks itself for ever.
MAX_DEPTH = 8

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){8,}")
_PRINTABLE = re.compile(rb"[\x20-\x7e]{8,}")


def says(data: bytes, word: str) -> bool:
    """Whether a stranger can read this word in these bytes."""
    return any(word in text for text in texts(data))


def texts(data: bytes) -> Iterator[str]:
    """What the bytes say, then what they hold, each content once."""
    yield data.decode("latin-1")
    seen: set[bytes] = set()
    waiting = [(data, 0)]
    while waiting:
        found, depth = waiting.pop()
        if found in seen or depth > MAX_DEPTH:
            continue
        seen.add(found)
        yield from _plain(found)
        waiting.extend((inner, depth + 1) for inner in _held(found))


def _plain(data: bytes) -> Iterator[str]:
    try:
        yield data.decode()
    except UnicodeDecodeError:
        yield from (part.decode() for part in _PRINTABLE.findall(data))


def _held(data: bytes) -> Iterator[bytes]:
    for part in (data, *data.splitlines()):
        try:
            yield from _strings(json.loads(part))
        except (ValueError, RecursionError):
            continue
    for run in _BASE64.findall(data):
        digits = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        try:
            yield base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
        except binascii.Error:
            continue
    for run in _HEX.findall(data):
        yield bytes.fromhex(run.decode())


def _strings(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode(errors="surrogatepass")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name.encode(errors="surrogatepass")
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
