"""What people are shown before they sign, and what was signed over it: values, without store or world.

Rules: `on`, which people sign, is SHA-256 over the RFC 8785 form of everything they were shown, so whoever
prints a matter can compute it alone; where a key is decided on it is the digest of that key, because
`certificate.operators` holds an enrolment to it; where a document of ours is (evidence), it is the digest of
that document, because `certificate.verify` holds the decision to it. Then everything shown is signed as the
decision's document, so that nothing shown can differ unnoticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import rfc8785

from certificate.errors import Refused
from certificate.keys import PublicKey
from certificate.statements.outcome import Attested
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import DestroyMethod
from controller.errors import Code
from controller.people import disclosure
from controller.people.disclosure import PrivateText

#: What is asked about: a host's asset tag, the number of a hold. Short text, named by each act.
About = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What people are shown before they sign, and sign by digest."""

    kind: DecisionKind
    #: In the kind's own words: `stock`, `retry`, `thaw`.
    choice: str
    #: What is so, under names for people: text, whole numbers, lists and objects of them. No secrets, since
    #: it is printed; serials and names may stand here, because only its digest is signed. Nothing that
    #: changes by itself (an age), or the second person would sign another matter than the first.
    facts: Mapping[str, Any]
    #: What follows if enough people sign, one sentence each.
    consequences: tuple[str, ...]
    #: Different operators who must sign the same.
    people_needed: int
    #: What has to be typed, or given with --confirm, beside the key; empty where nothing has to be.
    words: str
    #: The key that `enrol` brings in or `revoke` turns out.
    key: PublicKey | None = None
    #: SHA-256 hex of a document that belongs to it; None where none does.
    document_digest: str | None = None
    #: SHA-256 hex of what a verifier holds the decision to; None where that is everything shown.
    named_digest: str | None = None
    #: How long after signing it may count at the earliest.
    inert_for: timedelta = timedelta()
    #: What the reason may not say where strangers read it (`people.disclosure`); neither shown nor signed.
    #: None where nobody looked: then no reason is taken for a kind that strangers read.
    private: tuple[PrivateText, ...] | None = field(default=None, repr=False)

    @property
    def on(self) -> str:
        """SHA-256 hex: of the key's 32 bytes where a key is decided on (`certificate.operators` holds that),
        of the document where one is named, of what is attested where a medium was destroyed, else of
        everything shown. Raises Refused as `attested`.
        """
        if self.key is not None:
            return hashlib.sha256(self.key.raw).hexdigest()
        if self.kind is DecisionKind.DESTROY:
            return self.attested().canonical_digest()
        return self.named_digest or hashlib.sha256(self.shown()).hexdigest()

    @property
    def signed_document(self) -> str | None:
        """SHA-256 hex of the document that is signed with it: the one that belongs to it, else everything
        shown where `on` is the digest of something else.
        """
        if self.named_digest is None or self.document_digest is not None:
            return self.document_digest
        return hashlib.sha256(self.shown()).hexdigest()

    def require_names_nobody(self, reason: str) -> None:
        """Refuses the reason of a decision that strangers read, where it says what is private. Raises
        Refused(REASON_NAMES_SOMEBODY), and ValueError where the act did not say what is private.
        """
        if self.kind not in disclosure.READ_BY_STRANGERS:
            return
        if self.private is None:
            raise ValueError(f"strangers read this {self.kind.value}; its act must say what is private")
        disclosure.require_names_nobody(reason, self.private)

    def names_nobody(self, reason: str) -> bool:
        """The same as an answer, for a decision that is stored."""
        try:
            self.require_names_nobody(reason)
        except Refused:
            return False
        return True

    def attested(self) -> Attested:
        """What people attest of a destroyed medium, taken from what they are shown, so that a stranger can
        hold the decision to it without being shown the rest. Facts hold ids of 128 random bits, so that
        nobody guesses the rest from `shown_digest`. Raises Refused(DECISION_MISMATCH).
        """
        drive = self.facts.get("drive")
        try:
            return Attested(
                medium=drive["medium"] if isinstance(drive, Mapping) else "",
                method=DestroyMethod(self.choice),
                destroyed_on=self.facts.get("destroyed_on", ""),
                document_digest=self.document_digest or "",
                shown_digest=hashlib.sha256(self.shown()).hexdigest(),
            )
        except (KeyError, ValueError) as error:
            reason = f"this attests no destruction: {error}"
            raise Refused(Code.DECISION_MISMATCH, reason.partition("\n")[0]) from None

    def shown(self) -> bytes:
        """RFC 8785 bytes of what people read."""
        return rfc8785.dumps(
            {
                "kind": self.kind.value,
                "choice": self.choice,
                "facts": dict(self.facts),
                "consequences": list(self.consequences),
                "people_needed": self.people_needed,
                "document_digest": self.document_digest,
                **({} if self.named_digest is None else {"named_digest": self.named_digest}),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Signed:
    """One stored decision on a matter, its signature checked."""

    payload_digest: str
    keyid: str
    #: Why, in the person's own words.
    reason: str
    envelope: bytes
