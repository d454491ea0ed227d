"""What every technique is: prepare, start, poll, conclude, in words that fit all of them.

Rules: `prepare` only reads, and refuses what the technique cannot do on this drive as it is now; `start`
begins once and irreversibly, and a lost answer is `not_observed`, never a second start; `watch` asks the
drive (or, where the host does the work, how far it is) and believes no timer; `conclude` states facts, which
`assurance` judges. A technique holds no state of its own: what belongs to one run is in `Started.handle`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.devices.drive import Drive, DriveIdentity
from certificate.statements import Seen
from certificate.statements.vocabulary import OverwritePattern
from certificate.statements.vocabulary import Technique as TechniqueName


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a technique is told besides the drive. `key`: of the keystream (`certificate.keystream.key`);
    `layout`: for each namespace its nsid and its bytes, as the inventory found them.
    """

    key: bytes
    layout: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The drive right before, and exactly what `start` would do.

    `submission`: the command's bytes, None where the host does the work; `status_before`: the head of the
    drive's own status log, None where none speaks of this technique; `counters`: what only rises, as sent,
    not compared when two looks are. `details`: the technique's own.
    """

    identity: DriveIdentity
    submission: bytes | None
    status_before: bytes | None
    counters: dict[str, str] = field(compare=False)
    details: Any = None


@dataclass(frozen=True, kw_only=True)
class Started:
    """It was begun, or tried to be. `completion`: two bytes of status, big-endian, None where none came or
    the host does the work. `handle`: the run, for `watch` and `conclude` only.
    """

    was_accepted: Seen
    completion: bytes | None
    errors: tuple[str, ...]
    handle: Any = None


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen until the end or the deadline. `status`: the newest whole status page, None where there
    is none.
    """

    status: bytes | None
    has_ended: bool
    seen_in_progress: Seen
    timed_out: Seen
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OverwriteFacts:
    """What a pass of the host's did."""

    pattern: OverwritePattern
    bytes_written: int
    bytes_failed: int
    was_flushed: Seen


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one run left behind, in the words of evidence. Nothing here is a verdict.

    `has_failed`: the drive itself said that it refused or failed this very command, so that the plan's next
    technique may follow.
    """

    status_after: bytes | None
    seen_in_progress: Seen
    timed_out: Seen
    has_failed: bool
    overwrite: OverwriteFacts | None
    errors: tuple[str, ...]


#: Told while a run goes on: how far it is, in 1/65536.
Report = Callable[[int], None]


class Technique(Protocol):
    """One way to erase a drive. Steps: a technique that needs several commands has one step for each."""

    @property
    def technique(self) -> TechniqueName: ...

    def steps(self, drive: Drive, aim: Aim) -> tuple[str, ...]:
        """Names of the commands this drive needs, in order; ("",) where one does all. Reads only; raises as
        `prepare`.
        """
        ...

    def prepare(self, drive: Drive, aim: Aim, *, step: str) -> Prepared:
        """Reads only. Raises Refused where the technique is not possible; DeviceError or Malformed when the
        drive does not answer as its standard says.
        """
        ...

    def start(self, drive: Drive, prepared: Prepared) -> Started:
        """Begins the prepared command, once. Irreversible. Does not wait for an end that takes long."""
        ...

    def watch(
        self,
        drive: Drive,
        prepared: Prepared,
        started: Started,
        *,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
        report: Report,
    ) -> Watched:
        """Until it ended, stands still for too long, or takes too long. `now_ms`: monotonic clock; `pause`:
        waits seconds. Started by another process (`handle` is None), it only looks.
        """
        ...

    def conclude(self, drive: Drive, prepared: Prepared, started: Started, watched: Watched) -> Facts:
        """The facts, after the last look."""
        ...
