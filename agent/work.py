"""How far one medium is.

Rules: what an overwrite writes follows from order, nonce and medium (`certificate.keystream`), and where from
what the inventory found attached, ascending by namespace; a medium without a drive has no place to write to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.devices.drive import Drive, DriveIdentity
from agent.errors import Code, StepRefused
from agent.found_media import FoundMedium
from agent.markers import PlacedMarker
from agent.techniques.technique import Aim, Prepared, Started, Technique
from certificate import keystream
from certificate.messages import DriveReport
from certificate.statements.vocabulary import Technique as TechniqueName


def aim_at(report: DriveReport | None, *, order_digest: str, marker_nonce: bytes, commitment: str) -> Aim:
    """What a technique is told of one medium; a drive that said nothing has no place to write to."""
    namespaces = () if report is None else report.namespaces
    return Aim(
        key=keystream.key(order_digest=order_digest, nonce=marker_nonce, commitment=commitment),
        layout=tuple(
            (each.nsid, each.capacity_bytes)
            for each in sorted(namespaces, key=lambda each: each.nsid)
            if each.is_attached
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Running:
    """The command on its way: what it was prepared with, and what sending it gave."""

    technique: Technique
    step: str
    prepared: Prepared
    started: Started

    @property
    def is_hosts(self) -> bool:
        """The host does the work, and it ends with this process."""
        return self.prepared.submission is None


@dataclass(kw_only=True)
class Work:
    """How far one medium is. `techniques`: those of the plan that were not begun yet."""

    found: FoundMedium
    aim: Aim
    techniques: list[TechniqueName]
    identity: DriveIdentity | None = None
    placed: tuple[PlacedMarker, ...] = ()
    #: The journal says that the markers were written.
    is_marked: bool = False
    #: Where markers would lie on a drive that refuses all access: it is begun without any.
    unmarked: tuple[PlacedMarker, ...] = ()
    #: The drive is held exclusively, so that what is read is the drive's and nobody changes it meanwhile.
    is_held: bool = False
    is_stopped: bool = False
    #: The technique that began last: what it writes is what the markers are compared with.
    technique: TechniqueName | None = None
    #: Its commands that were not begun yet.
    commands: list[str] = field(default_factory=list)
    #: How many commands were begun, of all techniques.
    begun_count: int = 0
    running: Running | None = None
    #: The host's own pass reached every byte, and the drive said that nothing waits in a cache.
    is_overwritten: bool = False

    @property
    def commitment(self) -> str:
        return self.found.planned.commitment

    @property
    def drive(self) -> Drive:
        """Raises StepRefused(DRIVE_MISSING) when the medium has none."""
        if self.found.drive is None:
            raise StepRefused(Code.DRIVE_MISSING, "the drive is not there (any more)")
        return self.found.drive
