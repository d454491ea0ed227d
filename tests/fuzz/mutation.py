"""Other bytes out of bytes: blind at times, and at times with an eye for lines, JSON, envelopes and base64.

`Mutation(random, seeds)` is a function of bytes; the same random source gives the same sequence. JSON is
taken apart into `Pairs` so that an object may name a key twice, and written with literals that no library
writes (NaN, 1e9, half of a surrogate pair). Texts inside are mutated as what they are: an envelope in a
bundle by its payload, a payload by its own JSON.
"""

from __future__ import annotations

import base64
import json
import random as random_module
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What a mutated input may have at most: beyond the usual size of each document, far below each limit.
MAX_BYTES = 200_000


class Pairs(list[Any]):
    """A JSON object as [key, value] lists, in order and with repetitions."""


class Raw(str):
    """A JSON literal, written as it is."""

    __slots__ = ()


def parse(data: bytes) -> Any:
    """JSON as Pairs, lists and scalars. Raises ValueError or RecursionError."""
    return json.loads(data, object_pairs_hook=lambda pairs: Pairs([list(pair) for pair in pairs]))


def write(value: Any) -> str:
    match value:
        case Raw():
            return str(value)
        case Pairs():
            return "{" + ",".join(f"{write(key)}:{write(member)}" for key, member in value) + "}"
        case list():
            return "[" + ",".join(write(member) for member in value) + "]"
        case _:
            return json.dumps(value)


SCALARS: tuple[Any, ...] = (
    "",
    "not_observed",
    "not_applicable",
    "yes",
    "no",
    0,
    1,
    -1,
    255,
    2**31,
    2**53 - 1,
    2**53,
    2**63 - 1,
    2**64,
    Raw("9" * 5000),
    Raw("1e9"),
    Raw("0.0"),
    Raw("-0"),
    Raw("NaN"),
    Raw('"\\ud800"'),
    Raw('"\\u0000"'),
    True,
    False,
    None,
    "00" * 32,
    "ff" * 32,
    "00" * 16,
    "٣",
    "é",
    "\x7f",
    "a\nb",
    "A" * 3000,
    "2026-11-22T10:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-11-22T23:59:60Z",
    "SHA256:" + "A" * 43,
)
CHUNKS = (
    b"",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n\n",
    b"\xe2\x80\x94 ",
    b"{",
    b"[",
    b'"',
    b"=",
    b"-1",
    b"0x",
    b"\xed\xa0\x80",
)


@dataclass
class Mutation:
    """The next input from one, or from two: `seeds` lend their parts."""

    random: random_module.Random
    seeds: tuple[bytes, ...]

    @property
    def _steps(self) -> tuple[Callable[[Any, int, Any], None], ...]:
        """What may happen to a place of a tree; a value of the same kind goes furthest."""
        rare = (self._replace, self._copy, self._delete, self._repeat, self._wrap)
        return (*rare, *(self._tweak,) * 6)

    def __call__(self, data: bytes) -> bytes:
        """One to four steps away from `data`."""
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 4))):
            data = self._step(data)
        return data[:MAX_BYTES]

    def _step(self, data: bytes) -> bytes:
        draw = self.random.random()
        if draw < 0.7 and (found := self._as_json(data)) is not None:
            return found
        if draw < 0.85 and b"\n" in data:
            return self._lines(data)
        return self._bytes(data)

    # --- JSON -----------------------------------------------------------------------------------------------

    def _as_json(self, data: bytes) -> bytes | None:
        try:
            document = parse(data)
        except (ValueError, RecursionError):
            return None
        changed = self._tree(document)
        try:
            return write(changed).encode("utf-8", "surrogatepass")
        except RecursionError:
            return None

    def _tree(self, document: Any) -> Any:
        """One place of the tree is another. Never goes deeper than the tree itself was parsed."""
        slots = list(_slots(document))
        if not slots:
            return self.random.choice(SCALARS)
        container, index = self.random.choice(slots)
        if str(_get(container, index)).startswith('{"') and self.random.random() < 0.8:
            self._tweak(container, index, slots)
        else:
            self.random.choice(self._steps)(container, index, slots)
        return document

    def _replace(self, container: Any, index: int, _: Any) -> None:
        _put(container, index, self.random.choice(SCALARS))

    def _copy(self, container: Any, index: int, slots: list[Any]) -> None:
        """A part of the same document, or of another seed, takes this place."""
        other_container, other_index = self.random.choice(slots)
        _put(container, index, json_copy(_get(other_container, other_index)))

    def _delete(self, container: Any, index: int, _: Any) -> None:
        del container[index]

    def _repeat(self, container: Any, index: int, _: Any) -> None:
        """The same member again: once is a duplicate key, often is a flood."""
        count = self.random.choice((1, 1, 1, 1, 1, 2, 2, 17, 17, 200, 1000))
        member = container[index]
        at_most = max(
            1, MAX_BYTES // max(1, len(write(member if not isinstance(container, Pairs) else member[1])))
        )
        container[index + 1 : index + 1] = [json_copy(member) for _ in range(min(count, at_most))]

    def _wrap(self, container: Any, index: int, _: Any) -> None:
        value = _get(container, index)
        for _ in range(self.random.choice((1, 1, 1, 1, 40, 1500))):
            value = [value] if self.random.random() < 0.5 else Pairs([["a", value]])
        _put(container, index, value)

    def _tweak(self, container: Any, index: int, _: Any) -> None:
        """A value of the same kind, or a key."""
        if isinstance(container, Pairs) and self.random.random() < 0.05:
            container[index][0] = str(
                self.random.choice(("", "schema", "line", "__class__", "é", container[index][0] + "x"))
            )
            return
        _put(container, index, self._near(_get(container, index)))

    def _near(self, value: Any) -> Any:
        match value:
            case bool():
                return not value
            case int():
                return self.random.choice(
                    (value + 1, value - 1, -value, value ^ 1 << self.random.randrange(40), value * 2)
                )
            case str():
                return self._text(value)
            case _:
                return self.random.choice(SCALARS)

    def _text(self, text: str) -> str:
        inner = self._nested(text)
        if inner is not None:
            return inner
        if len(text) < 2:
            return text + self.random.choice(("x", "\n", " ", "é"))
        at = self.random.randrange(len(text))
        match self.random.randrange(6):
            case 0:
                return text[:at] + self.random.choice("0123456789abcdefXYZ+/=-_ \n") + text[at + 1 :]
            case 1:
                return text[:at]
            case 2:
                return text[:at] + text[at + 1 :]
            case 3:
                return text.swapcase()
            case 4:
                return text + text
            case _:
                return text[:at] + text[at : at + 8] + text[at:]

    def _nested(self, text: str) -> str | None:
        """An envelope or another JSON text inside, a base64 payload, a proof: mutated as what it is."""
        if text.startswith("{") or "\n" in text:
            return self._step(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogateescape")
        if len(text) < 24 or len(text) % 4 or self.random.random() < 0.2:
            return None
        try:
            inside = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        return base64.b64encode(self._step(inside)).decode()

    # --- lines and bytes ------------------------------------------------------------------------------------

    def _lines(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at, other = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        match self.random.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[other])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = self._bytes(lines[at])
            case _:
                lines[at : at + 1] = [lines[at]] * self.random.choice((2, 20, 300))
        return b"\n".join(lines)

    def _bytes(self, data: bytes) -> bytes:
        if not data:
            return self.random.choice(CHUNKS)
        at = self.random.randrange(len(data))
        match self.random.randrange(8):
            case 0:
                return data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1 :]
            case 1:
                return data[:at] + bytes([self.random.randrange(256)]) + data[at + 1 :]
            case 2:
                return data[:at]
            case 3:
                return data[:at] + data[at + self.random.choice((1, 2, 4, 32)) :]
            case 4:
                return data[:at] + self.random.choice(CHUNKS) + data[at:]
            case 5:
                width = self.random.choice((1, 2, 4, 8))
                number = self.random.choice((0, 1, 2**7, 2**15, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
                order = self.random.choice(("little", "big"))
                raw = (number % 256**width).to_bytes(width, "little" if order == "little" else "big")
                return data[:at] + raw + data[at + width :]
            case 6:
                other = self.random.choice(self.seeds or (data,))
                cut = self.random.randrange(len(other) + 1)
                return data[:at] + other[cut:]
            case _:
                return data[:at] + data[at : at + 64] * self.random.choice((2, 8, 100)) + data[at:]


def _slots(document: Any) -> Any:
    """Every place of the tree: its container and index. Without recursion."""
    waiting = [document]
    while waiting:
        container = waiting.pop()
        if not isinstance(container, list):
            continue
        for index in range(len(container)):
            yield container, index
            waiting.append(_get(container, index))


def _get(container: Any, index: int) -> Any:
    return container[index][1] if isinstance(container, Pairs) else container[index]


def _put(container: Any, index: int, value: Any) -> None:
    if isinstance(container, Pairs):
        container[index][1] = value
    else:
        container[index] = value


def json_copy(value: Any) -> Any:
    """The value again, sharing nothing that changes."""
    try:
        return _copied(value)
    except RecursionError:
        return None


def _copied(value: Any) -> Any:
    if isinstance(value, Pairs):
        return Pairs([_copied_pair(pair) for pair in value])
    return [_copied(member) for member in value] if isinstance(value, list) else value


def _copied_pair(pair: Any) -> Any:
    return [pair[0], _copied(pair[1])]


Mutate = Callable[[bytes], bytes]
