"""Outcome: the signed record of one attempt on one medium. An outcome that says `erased` is the certificate.

It names order and evidence by digest, and its claim counts only if `assurance` computes the same one from
that evidence. `subject[0]` is the evidence file, `subject[1]` the medium's commitment. A medium that left by
*destroy* names what two operators attested (`Destruction`) instead of an order and evidence; its one subject
is the medium. An outcome tells of an attempt or of a destruction, never of both and never of neither. Of an
attempt whose evidence never came (decisions/0012) everything that only evidence could tell is `not_observed`,
its one subject is the medium, and it never says `erased`. Fields
follow NIST SP 800-88r2, section 4.6 and appendix C, as far as that text could be had (docs/standards.md):
plain serials, names, mail and addresses never appear; people are keys and roles, a place is a `site_ref`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from certificate.identifiers import DeprovisionId, OrderId, OutcomeId
from certificate.statements.evidence import Command, Layer, ReadBack, Tool
from certificate.statements.medium import MAX_LAYERS, Medium
from certificate.statements.order import Anchor
from certificate.statements.statement import (
    NOT_OBSERVED,
    CodeWord,
    Count,
    Day,
    Digest,
    KeyId,
    Model,
    NotApplicable,
    NotObserved,
    Predicate,
    Seen,
    Sentence,
    UtcSeconds,
    Word,
)
from certificate.statements.vocabulary import (
    BootTrust,
    Destination,
    DestroyMethod,
    Escrow,
    Grade,
    MediaKind,
    Method,
    Observer,
    Result,
    Role,
    Technique,
    ValidationDecision,
)

_NOT_APPLICABLE: NotApplicable = "not_applicable"


class Claim(Model):
    """What may honestly be said of one medium. Only `assurance.judge` makes one."""

    result: Result
    method: Method
    technique: Technique | NotApplicable
    grade: Grade
    #: Codes of every reason that kept the claim from being stronger.
    reasons: tuple[CodeWord, ...]
    #: What the claim does not prove, for people.
    limits: tuple[Sentence, ...]


class Custody(Model):
    """Where the medium was let, as keyed pseudonyms of the provider."""

    site_ref: Digest | NotObserved
    asset_ref: Digest | NotObserved
    tenant_ref: Digest | NotApplicable
    subscription_ref: Digest | NotApplicable
    tenancy_ref: Digest | NotApplicable
    #: Digest of the allocation receipt that handed the medium to the tenancy.
    allocation_ref: Digest | NotObserved
    media_source: Word | NotObserved
    data_class: Word


class Sanitization(Model):
    """What was done. SP 800-88r2, 4.6: method, technique, tool, errors."""

    layers: tuple[Layer, ...]
    commands: tuple[Command, ...]
    started_at: UtcSeconds | NotObserved
    finished_at: UtcSeconds | NotObserved
    #: Standard and clause of the technique that was used (`outcome_words.CLAUSES`); not_applicable for none.
    standard: Word | NotApplicable
    #: Techniques of the plan that came before the one that was used, and failed.
    fallback_from: tuple[Technique, ...]
    unaddressed_areas: tuple[Word, ...]
    errors: tuple[CodeWord, ...]
    tool: Tool


class CryptographicErase(Model):
    """SP 800-88r2, 3.2: what an organisation must know before it trusts a cryptographic erase. One for the
    medium's own keys, one for each encryption layer whose keys were destroyed.
    """

    key_scope: Word | NotObserved
    algorithm: Word | NotObserved
    strength_bits: Count | NotObserved
    key_origin: Word | NotObserved
    escrow: Escrow
    module_validation: Word | NotObserved
    vendor_assertion_digest: Digest | NotObserved


class Verification(Model):
    """SP 800-88r2, 4.5.1: that the technique ran to its end and did what it should."""

    #: The agent's key: who looked, and signed what was seen.
    verified_by: KeyId
    role: Role
    status_log_digest: Digest | NotObserved
    markers_committed: Count
    markers_as_expected: Count
    read_back: ReadBack | NotObserved | NotApplicable


class Validation(Model):
    """SP 800-88r2, 4.5.2: the organisation's separate decision to accept the result."""

    decision: ValidationDecision
    table_digest: Digest
    #: Digest of a person's `decision: validate`; not_applicable where the table decided.
    decided_by: Digest | NotApplicable
    #: The person's key, or the issuer's where the table decided.
    validated_by: KeyId
    role: Role
    decided_at: UtcSeconds


class Attested(Model):
    """What two operators say of a medium that left its host. The `on` of their decisions is the digest of
    exactly these fields (`canonical_digest`), so that no decision serves another medium, day or document.
    """

    medium: Digest
    method: DestroyMethod
    destroyed_on: Day
    #: The destroyer's own record, which stays with the provider.
    document_digest: Digest
    #: Of all that both were shown: who did it, where, who saw it. Private text; bound here, never published.
    shown_digest: Digest


class Destruction(Model):
    """SP 800-88r2, 3.1.3: a medium that no longer exists, as people attest."""

    attested: Attested
    #: Digests of the decisions' payloads, ascending; of different operators (`verify`).
    decisions: Annotated[tuple[Digest, ...], Field(min_length=2, max_length=16)]


class Outcome(Predicate):
    statement_name: ClassVar[str] = "outcome"

    outcome: OutcomeId
    #: not_applicable for a destroyed medium that left under no deprovision.
    deprovision: DeprovisionId | NotApplicable
    attempt: Annotated[int, Field(ge=1)] | NotApplicable
    issuer: KeyId
    #: Counts the issuer's outcomes without gaps.
    issuer_seq: Count
    anchor: Anchor
    #: An earlier outcome on the same medium, by digest of its payload.
    supersedes: Digest | NotApplicable
    #: These three are not_applicable for a destroyed medium only, which names `destruction` instead.
    order: OrderId | NotApplicable
    order_digest: Digest | NotApplicable
    #: not_observed where the evidence never came, and then the four below that only it could tell as well.
    evidence_digest: Digest | NotApplicable | NotObserved
    destruction: Destruction | NotApplicable
    host_commitment: Digest
    medium: Medium
    #: SP 800-88r2, 4.6: media type, in the words of the validation table.
    media_kind: MediaKind | NotObserved
    custody: Custody
    destination: Destination | NotObserved
    claim: Claim
    boot_trust: BootTrust | NotApplicable
    observer: Observer | NotApplicable | NotObserved
    agent_keyid: KeyId | NotApplicable | NotObserved
    attestation: Word | NotObserved
    sanitization: Sanitization | NotApplicable | NotObserved
    cryptographic_erase: Annotated[tuple[CryptographicErase, ...], Field(max_length=1 + MAX_LAYERS)]
    verification: Verification | NotApplicable | NotObserved
    #: not_applicable unless the result is erased, and for a destroyed medium.
    validation: Validation | NotApplicable
    #: Supports the processor's duty of GDPR, article 28(3)(g).
    gdpr_art28_3_g: Seen

    @model_validator(mode="after")
    def _tells_of_one_thing(self) -> Self:
        """An attempt names all of these, a destruction none."""
        of_an_attempt: tuple[object, ...] = (
            self.attempt,
            self.order,
            self.order_digest,
            self.evidence_digest,
            self.boot_trust,
            self.observer,
            self.agent_keyid,
            self.sanitization,
            self.verification,
        )
        is_destroyed = self.destruction != _NOT_APPLICABLE
        if {each == _NOT_APPLICABLE for each in of_an_attempt} != {is_destroyed}:
            raise ValueError("an outcome tells of an attempt or of a destruction, whole")
        if not is_destroyed and self.deprovision == _NOT_APPLICABLE:
            raise ValueError("an attempt is of a deprovision")
        if is_destroyed != (self.claim.method is Method.DESTROY):
            raise ValueError("only a destruction claims method destroy")
        if is_destroyed and (self.validation, self.cryptographic_erase) != (_NOT_APPLICABLE, ()):
            raise ValueError("no table validates a destruction, and no key was erased by it")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_nobody_saw(self) -> Self:
        """All that only evidence tells, or nothing of it; and nothing of it erases nothing."""
        of_evidence: tuple[object, ...] = (
            self.evidence_digest,
            self.observer,
            self.agent_keyid,
            self.sanitization,
            self.verification,
        )
        if {each == NOT_OBSERVED for each in of_evidence} != {self.is_unseen}:
            raise ValueError("an outcome tells what evidence tells, or that none came: whole")
        if self.is_unseen and self.claim.result is Result.ERASED:
            raise ValueError("without evidence nothing was erased")
        if self.is_unseen and (self.validation, self.cryptographic_erase) != (_NOT_APPLICABLE, ()):
            raise ValueError("nobody accepts what nobody saw, and no key is known to be erased")
        return self

    @property
    def is_unseen(self) -> bool:
        """No evidence of the attempt came."""
        return self.evidence_digest == NOT_OBSERVED
