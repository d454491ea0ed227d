"""Outcome: the signed record of one attempt on one medium. An outcome that says `erased` is the certificate.

It names order and evidence by digest, and its claim counts only if `assurance` computes the same one from
that evidence. `subject[0]` is the evidence file, `subject[1]` the medium's commitment. A medium that left by
*destroy* names a decision instead of evidence. Fields follow NIST SP 800-88r2, section 4.6 and appendix C, as
far as that text could be had (docs/tested.md): plain serials, names, mail and addresses never appear.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from certificate.identifiers import DeprovisionId, OrderId, OutcomeId
from certificate.statements.evidence import Command, Layer, ReadBack, Tool
from certificate.statements.medium import Medium
from certificate.statements.order import Anchor
from certificate.statements.statement import (
    CodeWord,
    Count,
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
    Escrow,
    Grade,
    MediaKind,
    Method,
    Observer,
    Result,
    Technique,
    ValidationDecision,
)


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
    #: Techniques of the plan that came before the one that was used, and failed.
    fallback_from: tuple[Technique, ...]
    unaddressed_areas: tuple[Word, ...]
    errors: tuple[CodeWord, ...]
    tool: Tool


class CryptographicErase(Model):
    """SP 800-88r2, 3.2: what an organisation must know before it trusts a cryptographic erase."""

    key_scope: Word | NotObserved
    algorithm: Word | NotObserved
    strength_bits: Count | NotObserved
    key_origin: Word | NotObserved
    escrow: Escrow | NotObserved
    module_validation: Word | NotObserved
    vendor_assertion_digest: Digest | NotObserved


class Verification(Model):
    """SP 800-88r2, 4.5.1: that the technique ran to its end and did what it should."""

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
    decided_at: UtcSeconds


class Outcome(Predicate):
    statement_name: ClassVar[str] = "outcome"

    outcome: OutcomeId
    deprovision: DeprovisionId
    attempt: Annotated[int, Field(ge=1)]
    issuer: KeyId
    #: Counts the issuer's outcomes without gaps.
    issuer_seq: Count
    anchor: Anchor
    supersedes: Digest | NotApplicable
    order: OrderId
    order_digest: Digest
    #: not_applicable for method destroy only, which names `destroy_decision` instead.
    evidence_digest: Digest | NotApplicable
    destroy_decision: Digest | NotApplicable
    host_commitment: Digest
    medium: Medium
    #: SP 800-88r2, 4.6: media type, in the words of the validation table.
    media_kind: MediaKind | NotObserved
    custody: Custody
    claim: Claim
    boot_trust: BootTrust
    observer: Observer
    agent_keyid: KeyId | NotApplicable
    attestation: Word | NotObserved
    sanitization: Sanitization
    cryptographic_erase: CryptographicErase | NotApplicable
    verification: Verification
    #: not_applicable unless the result is erased.
    validation: Validation | NotApplicable
    #: Supports the processor's duty of GDPR, article 28(3)(g).
    gdpr_art28_3_g: Seen
