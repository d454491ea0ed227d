"""What a verifier insists on, beyond the mathematics: a JSON file that the verifier chose, never the prover.

    {"schema": 1, "purposes": ["production"], "device_classes": ["physical"], "minimum_method": "purge",
     "minimum_grade": "device-reported", "log": "required", "maximum_schema": 1}

Rules: closed and strict, nothing has a default; a list accepts at least one value; the log cannot be waived.
A policy is a few small guards, each silent or raising, asked in this order over facts that were verified
before: device class, purpose, schema, result, method, grade. Device class comes first, because an emulated
medium proves nothing whoever signed for it. A record of a failure is refused last of the facts about the
medium: NOT_ERASED (exit 1) or INCONCLUSIVE (exit 3).
A demonstration is accepted by nothing but a file that names `demonstration` and `emulated`.
Source for the shape: certificates.md, 12 (policy is a required argument).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field

from certificate.errors import Code, Malformed, Refused, Untrusted
from certificate.statements.outcome import Claim
from certificate.statements.statement import Model, Purpose, SchemaOne, read_model
from certificate.statements.vocabulary import DeviceClass, Grade, Method, Result

#: A policy has seven fields; stops a wrong file from being read for long.
MAX_POLICY_BYTES = 10_000


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a policy is asked about: only facts whose signatures, log places and evidence were verified."""

    purpose: Purpose
    #: The highest schema version among the documents.
    schema_version: int
    #: Every class among the media that the evidence lists.
    device_classes: tuple[DeviceClass, ...]
    claim: Claim


class Guard(Protocol):
    """One thing to insist on."""

    def check(self, found: Checked) -> None:
        """Silent, or raises Refused."""
        ...


class Policy(Model):
    """A verifier's policy, as its file has it."""

    schema_version: SchemaOne
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1)]
    device_classes: Annotated[tuple[DeviceClass, ...], Field(min_length=1)]
    minimum_method: Literal[Method.CLEAR, Method.PURGE, Method.DESTROY]
    minimum_grade: Literal[
        Grade.OPERATOR_ATTESTED,
        Grade.VENDOR_ASSERTED,
        Grade.DEVICE_REPORTED,
        Grade.MARKER_PROVEN,
        Grade.DEVICE_ATTESTED,
    ]
    #: Written out, so that nobody takes a signature alone for the promise.
    log: Literal["required"]
    #: The newest statement schema that this verifier has read the rules of.
    maximum_schema: Annotated[int, Field(ge=1)]

    @classmethod
    def production(cls) -> Policy:
        """Physical media, erased by purge or better, at least on the drive's own report."""
        return cls(
            schema_version=1,
            purposes=(Purpose.PRODUCTION,),
            device_classes=(DeviceClass.PHYSICAL,),
            minimum_method=Method.PURGE,
            minimum_grade=Grade.DEVICE_REPORTED,
            log="required",
            maximum_schema=1,
        )

    @classmethod
    def read(cls, data: bytes) -> Policy:
        """The policy in a file. Raises Malformed(POLICY_INVALID), with the place that is wrong."""
        try:
            return read_model(data, cls, what="policy", max_bytes=MAX_POLICY_BYTES)
        except Malformed as error:
            raise Malformed(Code.POLICY_INVALID, error.reason) from None

    def write(self) -> bytes:
        """The policy as a file."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1).encode() + b"\n"

    def digest(self) -> str:
        """SHA-256 of the RFC 8785 bytes, hexadecimal: how documents name this policy."""
        return self.canonical_digest()

    @property
    def guards(self) -> tuple[Guard, ...]:
        """In the order in which they are asked."""
        return (
            DeviceClassIsAccepted(self.device_classes),
            PurposeIsAccepted(self.purposes),
            SchemaIsKnown(self.maximum_schema),
            MediumIsErased(),
            MethodReaches(self.minimum_method),
            GradeReaches(self.minimum_grade),
        )

    def check(self, found: Checked) -> None:
        """Silent if this policy accepts what was verified.

        Raises Untrusted: NOT_A_PHYSICAL_DEVICE, DEMONSTRATION, PURPOSE_MISMATCH, UNSUPPORTED, POLICY_UNMET;
        Refused: NOT_ERASED, INCONCLUSIVE.
        """
        for guard in self.guards:
            guard.check(found)


@dataclass(frozen=True)
class DeviceClassIsAccepted:
    """Every medium of the evidence is of an accepted class; no medium at all is of none. Of a destroyed
    medium there is no evidence: that people say so is a grade, and `GradeReaches` decides over it. Where no
    evidence came nothing says `erased`, and `MediumIsErased` tells that.
    """

    accepted: tuple[DeviceClass, ...]

    def check(self, found: Checked) -> None:
        if found.claim.method is Method.DESTROY:
            return
        if not found.device_classes and found.claim.result is not Result.ERASED:
            return
        if not found.device_classes:
            raise Untrusted(Code.NOT_A_PHYSICAL_DEVICE, "the evidence lists no medium")
        others = sorted({kind.value for kind in found.device_classes if kind not in self.accepted})
        if others:
            accepted = ", ".join(kind.value for kind in self.accepted)
            raise Untrusted(
                Code.NOT_A_PHYSICAL_DEVICE,
                f"a medium is of class {', '.join(others)}; the policy accepts {accepted}",
            )


@dataclass(frozen=True)
class PurposeIsAccepted:
    """The documents are for an accepted purpose."""

    accepted: tuple[Purpose, ...]

    def check(self, found: Checked) -> None:
        if found.purpose in self.accepted:
            return
        if found.purpose is Purpose.DEMONSTRATION:
            raise Untrusted(Code.DEMONSTRATION, "the documents are a demonstration's")
        raise Untrusted(Code.PURPOSE_MISMATCH, f"the policy does not accept purpose {found.purpose.value}")


@dataclass(frozen=True)
class SchemaIsKnown:
    """No document is of a newer schema than the policy's author has read."""

    maximum: int

    def check(self, found: Checked) -> None:
        if found.schema_version > self.maximum:
            raise Untrusted(
                Code.UNSUPPORTED, f"schema {found.schema_version}; the policy knows up to {self.maximum}"
            )


@dataclass(frozen=True)
class MediumIsErased:
    """The record says `erased`. A record of a failure is genuine, and never a certificate."""

    def check(self, found: Checked) -> None:
        reasons = ", ".join(found.claim.reasons) or "no reason given"
        if found.claim.result is Result.NOT_ERASED:
            raise Refused(Code.NOT_ERASED, f"the medium was not erased: {reasons}")
        if found.claim.result is Result.INCONCLUSIVE:
            raise Refused(Code.INCONCLUSIVE, f"it is not known that the medium was erased: {reasons}")


@dataclass(frozen=True)
class MethodReaches:
    """The method is at least this one."""

    minimum: Method

    def check(self, found: Checked) -> None:
        order = list(Method)
        if order.index(found.claim.method) < order.index(self.minimum):
            raise Untrusted(
                Code.POLICY_UNMET,
                f"the method is {found.claim.method.value}, the policy asks {self.minimum.value}",
            )


@dataclass(frozen=True)
class GradeReaches:
    """The grade is at least this one."""

    minimum: Grade

    def check(self, found: Checked) -> None:
        order = list(Grade)
        if order.index(found.claim.grade) < order.index(self.minimum):
            raise Untrusted(
                Code.POLICY_UNMET,
                f"the grade is {found.claim.grade.value}, the policy asks {self.minimum.value}",
            )
