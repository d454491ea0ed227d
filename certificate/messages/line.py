"""One line of a session: an object of fixed fields, written as JSON and read as strictly.

Rules: closed (an unknown field is refused), typed (a number is no text), complete (a missing field is
refused). Standard library only, because `hello` must start fast.

Kinds are frozen dataclasses, but for those that a `hello` reads or writes: these are a `BareLine`, since to
import `dataclasses` takes a quarter of the time in which a `hello` starts.
"""

from __future__ import annotations

import json
import types
import typing
from typing import Any, ClassVar, Self

from certificate.errors import Code, Malformed

MAX_LINE_BYTES = 1_048_576


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


@typing.dataclass_transform(kw_only_default=True, frozen_default=True)
class BareLine(Line):
    """A line that makes, compares and shows itself without `dataclasses`. Fields are annotations, none has a
    default.
    """

    def __init__(self, **fields: Any) -> None:
        names = _hints(type(self))
        if fields.keys() != names.keys():
            raise TypeError(f"a {self.name} line has the fields {', '.join(names)}")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {self.name} line is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {self.name} line is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"

    def but(self, **fields: Any) -> Self:
        """The same line with these fields instead."""
        return type(self)(**{**self.__dict__, **fields})


def _plain(value: Any) -> Any:
    if isinstance(value, Line):
        return {name: _plain(getattr(value, name)) for name in _hints(type(value))}
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
