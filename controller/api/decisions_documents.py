"""What is said over the socket about decisions, operators and stops.

Rules: as `api.documents`. A matter is sent as it is signed, so that the command computes `on` from exactly
what it prints.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from certificate.envelope import MAX_ENVELOPE_BYTES
from certificate.keys import PublicKey
from certificate.statements.people import DecisionKind
from certificate.statements.statement import (
    Count,
    Digest,
    KeyId,
    PublicKeyHex,
    Purpose,
    Sentence,
    UtcSeconds,
    Word,
)
from controller.api.documents import Document
from controller.duration import Duration
from controller.people.matter import Matter
from controller.records.host_file import MAX_FILE_CHARACTERS

AboutName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
#: A batch names its deprovisions in one text; a whole file travels with an import only.
MAX_ABOUT_CHARACTERS = 20_000
AboutText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_FILE_CHARACTERS + 1)]
About = Annotated[dict[AboutName, AboutText], Field(max_length=20)]
EnvelopeText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ENVELOPE_BYTES)]


class DecisionAbout(Document):
    """What a decision is about, as both questions name it."""

    kind: DecisionKind
    about: About

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        longest = max((len(text) for text in self.about.values()), default=0)
        if self.kind is not DecisionKind.IMPORT and longest > MAX_ABOUT_CHARACTERS:
            raise ValueError(f"a text in about has more than {MAX_ABOUT_CHARACTERS} characters")
        return self


class MatterAsked(DecisionAbout):
    """What is to be decided on, and may it be signed with this reason?"""

    #: Null where nobody typed it yet.
    reason: Sentence | None


class MatterShown(Document):
    """A matter as it is now, and what a statement over it needs besides."""

    kind: DecisionKind
    choice: Word
    facts: dict[str, Any]
    consequences: tuple[str, ...]
    people_needed: Count
    words: str
    key: PublicKeyHex | None
    document_digest: Digest | None
    named_digest: Digest | None
    inert_for: Duration
    on: Digest
    ledger_seq: Count
    time: UtcSeconds
    purpose: Purpose
    #: Who signed the same so far.
    signed: tuple[KeyId, ...]

    def matter(self) -> Matter:
        """The matter itself, whose `on` is computed anew. Raises Malformed(KEY_INVALID)."""
        return Matter(
            kind=self.kind,
            choice=self.choice,
            facts=self.facts,
            consequences=self.consequences,
            people_needed=self.people_needed,
            words=self.words,
            key=None if self.key is None else PublicKey.from_hex(self.key),
            document_digest=self.document_digest,
            named_digest=self.named_digest,
            inert_for=self.inert_for,
        )


class NewDecision(DecisionAbout):
    """A signed decision on what `about` names."""

    envelope: EnvelopeText


class DecisionTaken(Document):
    """What became of it. `done` is null while more people are needed."""

    decision: Digest
    on: Digest
    done: str | None
    people_needed: Count
    signed: tuple[KeyId, ...]


class NewFreeze(Document):
    """A freeze by whoever reached the socket, without a key."""

    reason: Sentence


class FreezeBegun(Document):
    number: Count


class OperatorLine(Document):
    """One key that counts, will count or counted. `enrolled_by` is empty for the trust root's two."""

    keyid: KeyId
    standing: str
    since: UtcSeconds
    enrolled_by: tuple[KeyId, ...]
    revoked_at: UtcSeconds | None


class OperatorList(Document):
    operators: tuple[OperatorLine, ...]
    #: How many count now.
    active: Count


class StopLine(Document):
    """One hold, freeze or breaker that stands."""

    number: Count
    kind: str
    covers: str
    #: Hosts on record that it covers now.
    hosts: Count
    matter: str
    author: str
    set_at: UtcSeconds
    age_seconds: Count
    review_at: UtcSeconds
    #: Past its review it still stands; somebody has to decide.
    is_overdue: bool


class StopList(Document):
    stops: tuple[StopLine, ...]


__all__ = [
    "About",
    "DecisionTaken",
    "FreezeBegun",
    "MatterAsked",
    "MatterShown",
    "NewDecision",
    "NewFreeze",
    "OperatorLine",
    "OperatorList",
    "StopLine",
    "StopList",
]
