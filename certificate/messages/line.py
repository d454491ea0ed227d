"""One line of a session: an object of fixed fields, written as JSON and read as strictly.

Rules: closed (an unknown field is refused), typed (a number is no text), complete (a missing field is
refused). Standard library only, because `hello` must start fast.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from certificate.errors import Code, Malformed

MAX_LINE_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line's common shape. `name` is the value of its `line` field."""

    name: ClassVar[str]

    def write(self) -> bytes:
        """One line with its line feed. Raises Malformed(LIMIT_EXCEEDED) instead of sending what nobody will
        read.
        """
        text = json.dumps({"line": self.name, **_plain(self)}, separators=(",", ":"), ensure_ascii=True)
        if len(text) + 1 > MAX_LINE_BYTES:
            raise Malformed(Code.LIMIT_EXCEEDED, f"a {self.name} line of {len(text)} bytes")
        return text.encode() + b"\n"

    @classmethod
    def from_fields(cls, raw: dict[str, Any]) -> Self:
        """Raises Malformed: UNKNOWN_FIELD, or LINE_INVALID for a missing field or a wrong type."""
        line: Self = _typed(cls, raw, cls.name)
        return line


def _plain(value: Any) -> Any:
    if isinstance(value, Line):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return value


#: The fields of each kind of line and their types; working them out costs more than reading a line.
_HINTS: dict[Any, dict[str, Any]] = {}


def _hints(kind: Any) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "name"}
    return _HINTS[kind]


def _typed(kind: Any, raw: Any, where: str) -> Any:
    """`raw` as `kind`: a Line, tuple[T, ...], dict[str, str], str, int, bool or T | None."""
    if isinstance(kind, type) and issubclass(kind, Line):
        if not isinstance(raw, dict):
            raise Malformed(Code.LINE_INVALID, f"{where} is not an object")
        hints = _hints(kind)
        if unknown := sorted(set(raw) - set(hints)):
            raise Malformed(Code.UNKNOWN_FIELD, f"{where} has a field {unknown[0][:60]!r}")
        if missing := sorted(set(hints) - set(raw)):
            raise Malformed(Code.LINE_INVALID, f"{where} lacks {missing[0]!r}")
        return kind(**{name: _typed(hint, raw[name], f"{where}.{name}") for name, hint in hints.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(raw, list):
        return tuple(_typed(arguments[0], member, f"{where}[{index}]") for index, member in enumerate(raw))
    if origin is dict and isinstance(raw, dict) and all(isinstance(member, str) for member in raw.values()):
        return raw
    if origin in (types.UnionType, typing.Union) and type(None) in arguments:
        return None if raw is None else _typed(arguments[0], raw, where)
    if isinstance(kind, type) and type(raw) is kind:
        return raw
    raise Malformed(Code.LINE_INVALID, f"{where} has the wrong type")
