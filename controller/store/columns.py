"""What the tables are made of: one metadata, and column types that refuse what must not be stored.

Rules: a time is aware and comes back in UTC (SQLite would return it naive); JSON is canonical text (RFC
8785), never pickle; an identifier is of the column's own kind; an enumeration is text under a CHECK
constraint; every constraint has a name by convention, so that a migration can name it on either database.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

import rfc8785
from sqlalchemy import BigInteger, Column, DateTime, Dialect, Enum, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

from certificate import strict_json
from certificate.identifiers import Identifier

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SHA-256 in lower-case hexadecimal.
DIGEST_CHARACTERS = 64
#: Prefix, underscore and 32 hexadecimal digits.
IDENTIFIER_CHARACTERS = 36
#: Parameters of a driver or details of an answer; beyond it somebody stores a document in the wrong place.
MAX_JSON_BYTES = 1_048_576


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant. Naive input is refused with ValueError; what comes out is in UTC on both
    databases.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value.isoformat()} has no time zone; a stored time is aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.utcoffset() is None else value.astimezone(UTC)


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value as RFC 8785 text: one value, one text, so that a digest over it can be made again."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else rfc8785.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return strict_json.load(value.encode(), max_bytes=MAX_JSON_BYTES, what="stored JSON")


class IdentifierType(TypeDecorator[Identifier]):
    """An identifier of one kind: a host where a tenancy belongs is refused with TypeError before any SQL."""

    impl = String(IDENTIFIER_CHARACTERS)
    cache_ok = True

    def __init__(self, kind: type[Identifier]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Identifier | None, dialect: Dialect) -> str | None:
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"expected a {self.kind.__name__}, got a {type(value).__name__}")
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Identifier | None:
        return None if value is None else self.kind.parse(value)


def one_of(words: type[enum.StrEnum], name: str) -> Enum:
    """A column type that holds the values of `words`; `name` is what its CHECK constraint is called."""
    return Enum(
        words,
        name=name,
        native_enum=False,
        create_constraint=True,
        validate_strings=True,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )


def row_values(table: Table, row: object) -> dict[str, Any]:
    """The values of a frozen row for all columns of its table; both carry the same names."""
    return {column.name: getattr(row, column.name) for column in table.c}


def digest_column(name: str, *, nullable: bool = False, unique: bool = False) -> Column[Any]:
    """SHA-256 in hexadecimal: a digest, a commitment or a keyed pseudonym."""
    return Column(name, String(DIGEST_CHARACTERS), nullable=nullable, unique=unique)


def counted_key(name: str) -> Column[int]:
    """A primary key the database counts and, with `sqlite_autoincrement`, never gives twice.

    SQLite counts only a column whose type is exactly INTEGER; elsewhere 32 bits would run out.
    """
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)
