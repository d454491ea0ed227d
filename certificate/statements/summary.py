"""Summary: one host. Every medium, every other place that may hold data, and what became of each.

A host's claim is its worst medium's, and a medium that left with data nobody erased counts as `inconclusive`
(decisions/0010): a host with an open exception may go back to work, and is never called `erased`. A medium
that was tried, failed and then left stands here once, as what became of it. A name of `ResidueName` may not
be missing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from certificate.identifiers import DeprovisionId
from certificate.statements.evidence import Residue
from certificate.statements.order import Anchor
from certificate.statements.outcome import Claim, Custody
from certificate.statements.statement import Digest, KeyId, Model, NotApplicable, Predicate, UtcSeconds
from certificate.statements.vocabulary import ResidueName, WhatBecame


class MediumSummary(Model):
    commitment: Digest
    became: WhatBecame
    #: Digest of the newest outcome's payload, a failure's too; not_applicable where nothing was tried.
    outcome_digest: Digest | NotApplicable
    #: Digest of one of the two decisions by which the medium left; not_applicable where it did not.
    decision_digest: Digest | NotApplicable


class Summary(Predicate):
    statement_name: ClassVar[str] = "summary"

    deprovision: DeprovisionId
    issuer: KeyId
    anchor: Anchor
    host_commitment: Digest
    custody: Custody
    media: Annotated[tuple[MediumSummary, ...], Field(min_length=1, max_length=200)]
    residue: tuple[Residue, ...]
    claim: Claim
    ended_at: UtcSeconds
    #: Of every attempt whose order was dispatched, oldest first; the last one is the summary's own.
    order_digests: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _names_every_place(self) -> Self:
        named = [entry.name for entry in self.residue]
        if sorted(named) != sorted(ResidueName):
            raise ValueError("residue names each place exactly once")
        return self
