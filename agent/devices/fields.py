"""Reading what a device sent through declared fields.

Rules: a table names each field in the standard's order with the standard's own name last; the length of the
whole answer is checked before anything is sliced, so a short answer is an error and never a smaller number;
text outside printable ASCII is an error and never a replacement character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agent.errors import Code
from certificate.errors import Malformed


@dataclass(frozen=True)
class Field:
    """One field: where it starts, how wide it is (bytes), our name, how it is read, the standard's."""

    offset: int
    width: int
    name: str
    reader: Callable[[bytes], Any]
    standard_name: str


def little_endian(raw: bytes) -> int:
    """An unsigned number, least significant byte first (NVM Express Base 2.0, 1.4.2)."""
    return int.from_bytes(raw, "little")


def big_endian(raw: bytes) -> int:
    """An unsigned number, most significant byte first (LUKS2 On-Disk Format 1.1.1, 2.1)."""
    return int.from_bytes(raw, "big")


def ascii_padded(raw: bytes) -> str:
    """Left-justified ASCII, padded with spaces (some drives: zero bytes). Raises ValueError."""
    text = raw.rstrip(b" \x00").decode("ascii")
    if any(not " " <= character <= "~" for character in text):
        raise ValueError("not printable")
    return text.strip(" ")


def zero_terminated(raw: bytes) -> str:
    """UTF-8 up to the first zero byte. Raises ValueError."""
    return raw.split(b"\x00", 1)[0].decode("utf-8")


def raw_bytes(raw: bytes) -> bytes:
    """The bytes as sent."""
    return raw


def read_fields(table: Iterable[Field], data: bytes, *, length_bytes: int, what: str) -> dict[str, Any]:
    """Every field of `table` by our name.

    Raises Malformed(DEVICE_ANSWER_MALFORMED) unless `data` has exactly `length_bytes` and each field reads.
    """
    if len(data) != length_bytes:
        raise Malformed(
            Code.DEVICE_ANSWER_MALFORMED, f"{what} has {len(data)} bytes where {length_bytes} belong"
        )
    values: dict[str, Any] = {}
    for field in table:
        try:
            values[field.name] = field.reader(data[field.offset : field.offset + field.width])
        except ValueError:
            raise Malformed(
                Code.DEVICE_ANSWER_MALFORMED, f"{field.standard_name} of {what} is not printable text"
            ) from None
    return values


def raw_word(table: Iterable[Field], data: bytes, standard_name: str) -> bytes:
    """The bytes of one field exactly as sent. `data` has passed `read_fields` with the same table."""
    for field in table:
        if field.standard_name == standard_name:
            return data[field.offset : field.offset + field.width]
    raise KeyError(standard_name)
