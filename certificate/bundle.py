"""The bundle: everything a stranger needs besides the trust root and a policy, in one file.

`application/vnd.expunge.erasure-bundle.v1+json`, an object with these fields and no others:

    format        that media type, so that the file says what it is
    outcome       the record of one medium: the certificate, if it says `erased`
    summary       the host's record; null beside a failure, which is signed before the host is done, and
                  beside a destroyed medium whose host has none that knows of its leaving
    evidence      what the agent saw; null where none came, which only the record of a failure says
    order         the permission to destroy
    validation    the table that decides what is accepted
                  (these three are null for a medium that was destroyed; order and table for no other)
    approvals     of people, for the plan
    decisions     of people: enrolments of the signers, declarations that a host was never let, the
                  validation where a person decided, and by which decisions media left or were destroyed
    allocation    the receipt that handed the drives to the tenancy, or null
    proofs        one tlog-proof for each logged document: {"document": "outcome", "proof": "..."}
    trust_roots   the chain from version 1 on

Every document is its envelope's exact text: what is signed is carried, never written again, and
SHA-256 of the `evidence` text is the digest of the file that an auditor holds. A bundle proves nothing by
itself and is derived: from rows, again and again, as proofs arrive. It never contains an annex.
Rules of reading: `strict_json`, the limits below, one proof a document. Trust begins in `verify`.
Source: FORMATS.md, "Bundle"; certificates.md, 2.1.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from certificate.envelope import MAX_ENVELOPE_BYTES
from certificate.grounds import MAX_DECISIONS
from certificate.log.proof import MAX_PROOF_BYTES
from certificate.operators import MAX_ENROLMENTS
from certificate.statements.statement import Model, read_model

MEDIA_TYPE: Literal["application/vnd.expunge.erasure-bundle.v1+json"] = (
    "application/vnd.expunge.erasure-bundle.v1+json"
)
#: The largest evidence and its neighbours, with room; stops memory exhaustion before anything is parsed.
MAX_BUNDLE_BYTES = 8_000_000
#: A request and two approvals, with room.
MAX_APPROVALS = 16

#: Two for each medium that a summary may name, and two more for the one that was destroyed.
MAX_DEPARTURE_DECISIONS = 2 * 200 + 2

EnvelopeText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ENVELOPE_BYTES)]
ProofText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROOF_BYTES)]


class Document(StrEnum):
    """The logged documents of a bundle."""

    ORDER = "order"
    OUTCOME = "outcome"
    SUMMARY = "summary"
    ALLOCATION = "allocation"


class LogProof(Model):
    """That one document stands in the log: a C2SP tlog-proof, verbatim (`certificate.log.proof`)."""

    document: Document
    proof: ProofText


class Bundle(Model):
    """A bundle as it came, unverified."""

    format: Literal["application/vnd.expunge.erasure-bundle.v1+json"]
    outcome: EnvelopeText
    summary: EnvelopeText | None
    evidence: EnvelopeText | None
    order: EnvelopeText | None
    validation: EnvelopeText | None
    approvals: Annotated[tuple[EnvelopeText, ...], Field(max_length=MAX_APPROVALS)]
    decisions: Annotated[
        tuple[EnvelopeText, ...],
        Field(max_length=MAX_ENROLMENTS + MAX_DECISIONS + 1 + MAX_DEPARTURE_DECISIONS),
    ]
    allocation: EnvelopeText | None
    proofs: Annotated[tuple[LogProof, ...], Field(max_length=len(Document))]
    trust_roots: Annotated[tuple[EnvelopeText, ...], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _proves_each_once(self) -> Self:
        named = [entry.document for entry in self.proofs]
        if len(set(named)) != len(named):
            raise ValueError("a document has two proofs")
        return self

    @model_validator(mode="after")
    def _tells_of_an_attempt_or_of_none(self) -> Self:
        if (self.order is None) != (self.validation is None):
            raise ValueError("order and validation are there together, or none of them")
        if self.order is None and self.evidence is not None:
            raise ValueError("evidence is of an order, and none came along")
        return self

    @classmethod
    def read(cls, data: bytes) -> Bundle:
        """The bundle in a file. Raises Malformed: the codes of `strict_json`, UNKNOWN_FIELD, MALFORMED."""
        return read_model(data, cls, what="bundle", max_bytes=MAX_BUNDLE_BYTES)

    def write(self) -> bytes:
        """The bundle as a file. Envelopes are text inside JSON text, and come back byte for byte."""
        return json.dumps(self.model_dump(mode="json"), indent=1).encode() + b"\n"

    def proof(self, document: Document) -> bytes | None:
        """The proof of this document, or None."""
        found = next((entry.proof for entry in self.proofs if entry.document is document), None)
        return None if found is None else found.encode()
