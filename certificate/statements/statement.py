"""The frame of every signed statement, and the types of its fields.

Rules: an in-toto Statement v1 around one predicate; frozen, strict and closed (an unknown field is refused);
whole numbers and UTC times in whole seconds only; tuples for lists; **no field has a default**, because a
default would be something nobody observed. What nobody looked at is written `not_observed`. Every predicate
carries `schema`, `purpose`, a 128-bit `nonce` (so that its digest in the public log cannot be guessed) and
`issued_at`.

Writing is RFC 8785 (one value, one text); reading works on the exact bytes received.
Sources: in-toto Attestation Framework v1, "Statement"; RFC 8785; FORMATS.md, "Statements".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import rfc8785
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    StringConstraints,
)
from pydantic import ValidationError as PydanticValidationError
from pydantic_core import CoreSchema

from certificate import strict_json
from certificate.errors import Code, Malformed

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
#: The largest real statement is evidence: about 12 KB a drive, so 60 drives and room; stops memory
#: exhaustion.
MAX_STATEMENT_BYTES = 1_000_000

#: An agent without a clock believes it is 1970; nobody honest says a later time than the last.
FIRST_YEAR, LAST_YEAR = 1970, 2999
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")


class Seen(StrEnum):
    """Whether a fact was seen: three values, so it is compared with `is` and has no truth of its own."""

    YES = "yes"
    NO = "no"
    NOT_OBSERVED = "not_observed"

    def __bool__(self) -> bool:
        raise TypeError("three values do not fit in a bool; compare with `is`")

    @classmethod
    def that(cls, holds: bool) -> Seen:
        """The observation of a fact that was looked at."""
        return cls.YES if holds else cls.NO


class Purpose(StrEnum):
    PRODUCTION = "production"
    DEMONSTRATION = "demonstration"


def _within_reason(value: datetime) -> datetime:
    """Counting on from the last day that a datetime holds is a fault, and no refusal."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a time lies between the years {FIRST_YEAR} and {LAST_YEAR}")
    return value


def _read_time(value: Any) -> datetime:
    if isinstance(value, str):
        if not _TIME.fullmatch(value):
            raise ValueError("a time is written YYYY-MM-DDTHH:MM:SSZ")
        return _within_reason(datetime.fromisoformat(value))
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() != UTC.utcoffset(None):
            raise ValueError("a time is aware and in UTC")
        if value.microsecond:
            raise ValueError("a time has whole seconds")
        return _within_reason(value)
    raise ValueError("a time is text or a datetime")


def time_text(value: datetime) -> str:
    """YYYY-MM-DDTHH:MM:SSZ, the only way a time is written in a signed document."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


UtcSeconds = Annotated[datetime, BeforeValidator(_read_time), PlainSerializer(time_text, return_type=str)]
#: A day as people attest one, without a time of day.
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
#: SHA-256, 64 lower-case hexadecimal digits.
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
#: 128 random bits, 32 lower-case hexadecimal digits.
Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
#: Raw words as the device sent them, lower-case hexadecimal, whole bytes.
RawHex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$", max_length=16_384)]
#: OpenSSH SHA-256 fingerprint of an Ed25519 key.
KeyId = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
#: An Ed25519 public key, 32 raw bytes in hexadecimal.
PublicKeyHex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=strict_json.MAX_SAFE_INTEGER)]
#: A short word of the provider's or a vendor's: data class, model, firmware. Printable ASCII.
Word = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,120}$")]
#: A sentence for people. Printable, no line breaks.
Sentence = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")]
#: The code of a refusal, or of something seen.
CodeWord = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{2,60}$")]
NOT_OBSERVED: Literal["not_observed"] = "not_observed"
NotObserved = Literal["not_observed"]
#: Nothing of that kind exists (as opposed to: nobody looked).
NotApplicable = Literal["not_applicable"]


def _read_schema(value: Any) -> Any:
    if isinstance(value, bool):  # true equals 1, here as in many languages; a stranger's reader may differ
        raise ValueError("a schema is a number")
    return value


#: The version of a document's format, written `schema`.
SchemaOne = Annotated[Literal[1], BeforeValidator(_read_schema), Field(alias="schema")]


def _end_at_first_error(schema: Any) -> None:
    """Sets `fail_fast` on every tuple in a pydantic core schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "tuple":
            schema["fail_fast"] = True
        members: Iterable[Any] = schema.values()
    else:
        members = schema
    for member in members:
        if isinstance(member, dict | list):
            _end_at_first_error(member)


class Model(BaseModel):
    """A part of a signed document: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Whatever is read ends at the first wrong member of a list: a megabyte of wrong members made
        pydantic collect millions of errors in gigabytes, of which only the first is told.
        """
        schema = handler(source)
        _end_at_first_error(schema)
        return schema

    def canonical(self) -> bytes:
        """RFC 8785 bytes of this value."""
        return rfc8785.dumps(self.model_dump(mode="json", by_alias=True))

    def canonical_digest(self) -> str:
        """SHA-256 of the RFC 8785 bytes, in hexadecimal."""
        return hashlib.sha256(self.canonical()).hexdigest()


class Predicate(Model):
    """What every predicate carries. `statement_name` decides the predicateType."""

    statement_name: ClassVar[str]

    schema_version: SchemaOne
    purpose: Purpose
    nonce: Nonce
    issued_at: UtcSeconds

    @classmethod
    def predicate_type(cls) -> str:
        return f"urn:expunge:statement:{cls.statement_name}:v1"


class SubjectDigest(Model):
    sha256: Digest


class Subject(Model):
    """Something a statement is about, by digest. Names never identify a customer or a machine."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._/:-]{1,200}$")]
    digest: SubjectDigest


def subject(name: str, sha256: str) -> Subject:
    return Subject(name=name, digest=SubjectDigest(sha256=sha256))


PredicateT = TypeVar("PredicateT", bound=Predicate)


class Statement(Model, Generic[PredicateT]):
    """An in-toto Statement v1 around one predicate."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1000)]
    predicate_type: Annotated[str, Field(alias="predicateType")]
    predicate: PredicateT

    def payload(self) -> bytes:
        """The bytes that are signed. RFC 8785; later digests are over exactly these."""
        return self.canonical()


def make(predicate: PredicateT, subjects: tuple[Subject, ...]) -> Statement[PredicateT]:
    """A statement of this predicate about these subjects."""
    return Statement(
        type_="https://in-toto.io/Statement/v1",
        subject=subjects,
        predicate_type=predicate.predicate_type(),
        predicate=predicate,
    )


def read(payload: bytes, kind: type[PredicateT]) -> Statement[PredicateT]:
    """The statement in `payload`, which must be of `kind`.

    Raises Malformed: the codes of `strict_json`, TYPE_MISMATCH for another predicate, UNSUPPORTED for another
    schema, UNKNOWN_FIELD, or MALFORMED with the first field that is wrong.
    """
    raw = strict_json.load_object(
        payload, max_bytes=MAX_STATEMENT_BYTES, what=f"{kind.statement_name} statement"
    )
    found = raw.get("predicateType")
    if raw.get("_type") != STATEMENT_TYPE or found != kind.predicate_type():
        raise Malformed(Code.TYPE_MISMATCH, f"expected {kind.predicate_type()}, found {str(found)[:80]!r}")
    predicate = raw.get("predicate")
    if isinstance(predicate, dict) and predicate.get("schema") != 1:
        raise Malformed(Code.UNSUPPORTED, f"{kind.statement_name} schema {str(predicate.get('schema'))[:20]}")
    return _validated(payload, _statement_of(kind), what=f"{kind.statement_name} statement")


@cache
def _statement_of(kind: type[PredicateT]) -> type[Statement[PredicateT]]:
    """Held on to, because pydantic forgets a parametrised model that nobody holds, and builds it again."""
    return Statement[kind]  # type: ignore[valid-type]


ModelT = TypeVar("ModelT", bound=BaseModel)


def read_model(data: bytes, kind: type[ModelT], *, what: str, max_bytes: int = MAX_STATEMENT_BYTES) -> ModelT:
    """`data` as a model, read strictly. Raises Malformed; the reason names the first wrong field, never its
    value.
    """
    strict_json.load(data, max_bytes=max_bytes, what=what)
    return _validated(data, kind, what=what)


def _validated(data: bytes, kind: type[ModelT], *, what: str) -> ModelT:
    """The model in bytes that `strict_json` has read before."""
    try:
        return kind.model_validate_json(data, by_alias=True, by_name=False)
    except PydanticValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        code = Code.UNKNOWN_FIELD if first["type"] == "extra_forbidden" else Code.MALFORMED
        raise Malformed(code, f"{what}: {place}: {first['msg']}") from None
