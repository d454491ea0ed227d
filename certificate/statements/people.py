"""Approval and decision: acts of people, signed with an operator's own key.

An approval is a request for, or a yes to, exactly one plan digest. A decision is a person's signed act on
anything but a plan. `operator` is the key; people's names stand nowhere in a signed document.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from certificate.identifiers import DeprovisionId
from certificate.statements.statement import (
    Count,
    Digest,
    KeyId,
    NotApplicable,
    Predicate,
    PublicKeyHex,
    Sentence,
    UtcSeconds,
    Word,
)


class Approval(Predicate):
    """Subject: the plan digest. Single use; dies at `expires_at` or when one byte of the plan changes."""

    statement_name: ClassVar[str] = "approval"

    kind: Literal["request", "approve"]
    deprovision: DeprovisionId
    plan_digest: Digest
    operator: KeyId
    #: What the person typed: asset tag and last four characters of a strong identifier, as a digest.
    confirmation_digest: Digest
    #: Digest of the request that this approves; not_applicable in a request.
    request_digest: Digest | NotApplicable
    reason: Sentence
    expires_at: UtcSeconds


class DecisionKind(StrEnum):
    ENROL = "enrol"
    REVOKE = "revoke"
    DISPOSITION = "disposition"
    VALIDATE = "validate"
    HOLD = "hold"
    RELEASE_HOLD = "release_hold"
    FREEZE = "freeze"
    THAW = "thaw"
    RECONCILE = "reconcile"
    REMOVE = "remove"
    DESTROY = "destroy"
    WAIVE_NOTICE = "waive_notice"
    EXIT = "exit"
    #: A wipe by hand is begun: the host is taken out of reach and read. Its plan needs approvals of its own.
    WIPE = "wipe"
    #: A list of drives becomes the host's expected set.
    DRIVES = "drives"
    #: A file of hosts becomes part of the record: new hosts by one operator, changes of known ones by two.
    IMPORT = "import"


class Decision(Predicate):
    """Subject: the digest of what is decided on."""

    statement_name: ClassVar[str] = "decision"

    kind: DecisionKind
    operator: KeyId
    #: What is decided on, by digest: a host, an outcome, a key, a store.
    on: Digest
    #: The choice, in the kind's own words: `accept`, `stock`, `retry`, a seal number.
    choice: Word
    reason: Sentence
    #: A document that belongs to it (a destruction record), by digest.
    document_digest: Digest | NotApplicable
    #: The key that `enrol` brings in, and when it starts to count.
    enrols: PublicKeyHex | NotApplicable
    effective_at: UtcSeconds
    #: The ledger event the person saw as newest.
    ledger_seq: Count
