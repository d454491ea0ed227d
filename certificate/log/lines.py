"""What the line formats of the log share: lines that end in LF, and values that have one spelling.

Rules: a number is accepted only if it prints back the same (no sign, no leading zero, no other digits);
base64 is standard and padded and written back gives the same text; lines are split on LF only, because
`splitlines()` also breaks on characters that stand inside a note (certificates.md, 6). The readers return
None instead of raising: only the caller knows which document is wrong.
"""

from __future__ import annotations

import base64
import binascii
import re

#: 2^63 - 1: no tree of anybody's is larger, and 19 digits are read in no time.
MAX_NUMBER = 2**63 - 1
_DECIMAL = re.compile(rb"0|[1-9][0-9]{0,18}")


def read_decimal(text: bytes) -> int | None:
    """A number from 0 to `MAX_NUMBER`; None for any other spelling."""
    if not _DECIMAL.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_NUMBER and b"%d" % number == text else None


def read_base64(text: bytes) -> bytes | None:
    """The bytes that `text` stands for; None unless it is their only standard spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data) == text else None


def split_lines(text: bytes) -> tuple[bytes, ...] | None:
    """The lines of `text` without their line feeds; None unless the last one ends in LF too."""
    if not text.endswith(b"\n"):
        return None
    return tuple(text[:-1].split(b"\n"))
