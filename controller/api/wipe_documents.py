"""What `expunge wipe` is told: what is so of a host, what is in the way, and the plan once there is one."""

from __future__ import annotations

from certificate.identifiers import DeprovisionId, HostId
from certificate.statements.statement import Count, Digest, KeyId, Sentence, UtcSeconds
from controller.api.documents import AssetTag, DeprovisionLine, Document, RefusalLine


class WipeAsked(Document):
    """Of which host, and may it be requested with this reason? The source is asked anew before the answer."""

    host: AssetTag
    #: Null where nobody typed it yet.
    reason: Sentence | None


class DriveOnRecord(Document):
    """One drive by what may be compared with its label."""

    medium: Digest
    serial_ends_in: str
    model: str | None
    capacity_bytes: Count | None
    basis: str


class TenancySaid(Document):
    """What the source says of one tenancy; `counts_as` is what may be believed of it now."""

    tenancy: str
    starts_at: UtcSeconds | None
    answer: str
    counts_as: str
    changed_at: UtcSeconds | None
    asked_at: UtcSeconds | None


class PlannedMediumLine(Document):
    medium: Digest
    capacity_bytes: Count | None
    firmware: str | None
    techniques: tuple[str, ...]


class PlanShown(Document):
    """What people approve, by `digest`."""

    deprovision: DeprovisionId
    digest: Digest
    boot_id: Digest
    floor: str
    data_class: str
    media: tuple[PlannedMediumLine, ...]
    #: Fingerprints of who requested this plan, and of who else said yes.
    requested_by: tuple[KeyId, ...]
    approved_by: tuple[KeyId, ...]


class WipeProspect(Document):
    """A dry run: nothing but the source's answers was stored."""

    host: AssetTag
    host_id: HostId
    site: str
    rack: str
    data_class: str
    disposition: str
    #: Fingerprints of who declared the disposition and counts.
    declared_by: tuple[KeyId, ...]
    drives: tuple[DriveOnRecord, ...]
    tenancies: tuple[TenancySaid, ...]
    #: Whether the source vouches for its list, when it was asked, and how many it names.
    list_is_complete: str
    list_asked_at: UtcSeconds | None
    list_count: Count | None
    #: Holds, freezes, breakers and caps, one sentence each.
    in_the_way: tuple[str, ...]
    #: Everything that refuses now.
    refusals: tuple[RefusalLine, ...]
    consequences: tuple[str, ...]
    #: The host's live deprovision.
    deprovision: DeprovisionLine | None
    #: Of the live deprovision, while it waits for them: nothing is touched before the one, and no drive is
    #: read before the other, which may become later while grace runs.
    grace_until: UtcSeconds | None
    dwell_until: UtcSeconds | None
    #: Of a live deprovision by hand whose drives were listed.
    plan: PlanShown | None
