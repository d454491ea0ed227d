"""Summary: one host. Every medium, every other place that may hold data, and what became of each.

A host's claim is its worst medium's. A name of `ResidueName` may not be missing (`assurance.summarise` holds
that).
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
    #: Digest of the outcome's payload; not_applicable for an open exception.
    outcome_digest: Digest | NotApplicable
    #: Digest of the decision by which the medium left; not_applicable where it did not.
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
    order_digests: tuple[Digest, ...]

    @model_validator(mode="after")
    def _names_every_place(self) -> Self:
        named = [entry.name for entry in self.residue]
        if sorted(named) != sorted(ResidueName):
            raise ValueError("residue names each place exactly once")
        return self
