"""What `expunge policy` prints with --json: the table in force, a draft's changes, what was signed."""

from __future__ import annotations

from typing import Any

from certificate.statements.statement import Count, Digest, UtcSeconds
from certificate.statements.validation import DataClassRule, ValidationRow
from controller.api.documents import Document


class KeptTableLine(Document):
    version: Count
    digest: Digest
    issued_at: UtcSeconds


class PolicyShown(Document):
    """The table in force, those before it, and what the provider's own verification asks."""

    version: Count
    digest: Digest
    issued_at: UtcSeconds
    rules: tuple[DataClassRule, ...]
    rows: tuple[ValidationRow, ...]
    otherwise: str
    earlier: tuple[KeptTableLine, ...]
    #: policy/verify.json, as it stands there.
    verify: dict[str, Any]


class DraftWritten(Document):
    """A draft of the table in force, under its next version."""

    file: str
    version: Count


class ChangeLine(Document):
    """`tendency`: weaker or stricter. `-` stands for nothing."""

    tendency: str
    where: str
    before: str
    after: str


class PolicyChecked(Document):
    """What a draft would change, and what in it is probably not meant."""

    present_version: Count
    version: Count
    changes: tuple[ChangeLine, ...]
    doubts: tuple[str, ...]


class PolicySigned(Document):
    """The table that `serve` takes up at its next start."""

    version: Count
    digest: Digest
    file: str
    kept: str
    checked: PolicyChecked
