"""What is said over the socket about plans and the statements of people behind them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from certificate.envelope import MAX_ENVELOPE_BYTES
from certificate.statements.statement import Count, Digest, KeyId, Purpose, Sentence, UtcSeconds
from controller.api.documents import Document
from controller.api.wipe_documents import WipeProspect

EnvelopeText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ENVELOPE_BYTES)]


class PersonBehind(Document):
    """One statement that counts now."""

    keyid: KeyId
    kind: Literal["request", "approve"]
    digest: Digest
    #: In the person's own words.
    reason: str
    expires_at: UtcSeconds


class PlanToSign(Document):
    """A plan as people sign it, and what is known around it. Identifiers of the machine stand nowhere here:
    whoever signs reads them elsewhere.
    """

    #: The plan's RFC 8785 text; its SHA-256 is what is signed.
    plan: str
    state: str
    attempt: Count
    people: tuple[PersonBehind, ...]
    #: The request that a yes names; null where nobody asked.
    request: Digest | None
    #: Why the people so far are not enough; empty where they are.
    missing: tuple[str, ...]
    #: Kinds of identifier on record whose last four characters confirm.
    confirmed_by: tuple[str, ...]
    prospect: WipeProspect
    time: UtcSeconds
    purpose: Purpose


class PlanAsked(Document):
    """Which plan, by digest, and may it be signed with this reason? The source is asked anew before the
    answer.
    """

    digest: Digest
    #: Null where nobody typed it yet.
    reason: Sentence | None


class NewApproval(Document):
    """A signed request or approval."""

    envelope: EnvelopeText


class ApprovalTaken(Document):
    """What became of it; `missing` is empty where enough people stand behind the plan."""

    approval: Digest
    missing: tuple[str, ...]
