"""Identifiers: each kind is a type of its own with a prefix, so that a host can never be taken for a tenancy.

An identifier is its prefix and 32 lower-case hexadecimal digits (128 random bits); the random bytes are
handed in. One API that took two kinds of id in one field cost 775 customers their data (engine-and-stack.md,
hazard 2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

from certificate.errors import Code, Malformed

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class Identifier(str):
    """A prefixed identifier. Construct with `parse` (from outside) or `from_random` (16 bytes, new)."""

    prefix: ClassVar[str]
    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Malformed(MALFORMED) unless `text` is this kind's prefix and 32 hexadecimal digits."""
        if not re.fullmatch(rf"{cls.prefix}_[0-9a-f]{{32}}", text):
            raise Malformed(Code.MALFORMED, f"{text[:60]!r} is not of the form {cls.prefix}_<32 hex>")
        return cls(text)

    @classmethod
    def from_random(cls, random_16_bytes: bytes) -> Self:
        if len(random_16_bytes) != 16:
            raise ValueError("an identifier is made of 16 random bytes")
        return cls(f"{cls.prefix}_{random_16_bytes.hex()}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Imported here so that the agent's `hello` starts without pydantic.
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(pattern=rf"^{cls.prefix}_[0-9a-f]{{32}}$", strict=True)
        )


class HostId(Identifier):
    prefix = "hst"
    __slots__ = ()


class TenancyId(Identifier):
    prefix = "ten"
    __slots__ = ()


class DeprovisionId(Identifier):
    prefix = "dep"
    __slots__ = ()


class OrderId(Identifier):
    prefix = "ord"
    __slots__ = ()


class OutcomeId(Identifier):
    prefix = "out"
    __slots__ = ()


class DriveId(Identifier):
    prefix = "drv"
    __slots__ = ()
