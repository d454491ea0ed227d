"""What `expunge attention` is told: everything that waits for a person."""

from __future__ import annotations

from certificate.identifiers import DeprovisionId
from certificate.statements.statement import Count, Digest, KeyId, UtcSeconds
from controller.api.documents import AssetTag, Document


class WayLine(Document):
    """One way out; `closed` says what bars it, null where it is open."""

    exit: str
    closed: str | None


class StuckLine(Document):
    deprovision: DeprovisionId
    host: AssetTag
    attempt: Count
    since: UtcSeconds
    reason: str
    ways: tuple[WayLine, ...]


class GroupLine(Document):
    """What has one cause. `digest` names exactly these members, for `--group`."""

    digest: Digest
    code: str
    remedy: str
    site: str
    rack: str
    since: UtcSeconds
    members: tuple[StuckLine, ...]
    #: Ways out that are open for every member.
    open_exits: tuple[str, ...]


class ApprovalAwaited(Document):
    """A plan that people have to say yes to."""

    deprovision: DeprovisionId
    host: AssetTag
    plan_digest: Digest
    since: UtcSeconds
    #: What is missing, in words.
    missing: str
    requested_by: tuple[KeyId, ...]


class MediumAwaited(Document):
    """A medium whose result the validation table leaves to a person; `row`: the case of the table."""

    medium: Digest
    row: str


class ValidationAwaited(Document):
    """A result that an uninvolved operator accepts or rejects."""

    deprovision: DeprovisionId
    host: AssetTag
    since: UtcSeconds
    evidence: Digest
    media: tuple[MediumAwaited, ...]
    #: Who requested, approved or began it, and so may not.
    not_by: tuple[KeyId, ...]


class StopLine(Document):
    """A hold past its review, a freeze or a tripped breaker. `author`: a fingerprint, or who else."""

    number: Count
    kind: str
    author: str
    matter: str
    since: UtcSeconds
    review_at: UtcSeconds


class Attention(Document):
    groups: tuple[GroupLine, ...]
    approvals: tuple[ApprovalAwaited, ...]
    validations: tuple[ValidationAwaited, ...]
    stops: tuple[StopLine, ...]
