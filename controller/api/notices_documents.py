"""What commands and `serve` say to each other about notices."""

from __future__ import annotations

from certificate.identifiers import DeprovisionId
from certificate.statements.statement import Count, Digest, UtcSeconds
from controller.api.documents import AssetTag, Document


class NoticeLine(Document):
    """One notice, and what became of it. `host` is the asset tag."""

    number: Count
    deprovision: DeprovisionId
    host: AssetTag
    kind: str
    due_at: UtcSeconds
    attempts: Count
    #: When it is tried again; null once it is settled.
    next_try_at: UtcSeconds | None
    #: Why the last try failed; null where none did.
    last_code: str | None
    #: delivered | waived | nobody; null while it is open.
    settled: str | None
    settled_at: UtcSeconds | None
    #: Digests of the delivery record or of each waiver.
    records: tuple[Digest, ...]


class NoticeList(Document):
    notices: tuple[NoticeLine, ...]
