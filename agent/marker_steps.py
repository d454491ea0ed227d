"""The markers of one medium in an execution: committed to, acknowledged, written, read back; or why there are
none.

Rules: nothing is written before the commitment is acknowledged. One medium is begun unmarked: whose drive
says by its own status log that its latest sanitize failed, and lets nothing be read where any marker would
lie. It refuses all access until a sanitize succeeds (erasure.md, 2.4: 1Ch), so nothing can be marked before
what is the only way out. The journal says so first; then the commitment is to no marker at all and
acknowledged as any other; then only sanitizes follow. Such a claim rests on the drive's own word, and no
marker ever proves it (`assurance`, 7). A drive that says one without doing the other is marked, or fails, as
every drive.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from agent import markers
from agent.devices.drive import Drive
from agent.devices.nvme import NvmeDrive
from agent.errors import Code, DeviceError
from agent.found_media import place
from agent.journal import Kind
from agent.journal_bodies import MarkedBody, MarkersCommittedBody, write_body
from agent.steps import markers_step
from agent.work import Work
from certificate.errors import Malformed, Refused
from certificate.messages import JournalLine
from certificate.statements import Seen
from certificate.statements.vocabulary import Technique

if TYPE_CHECKING:
    from agent.execute import Execution

#: What leads out of a failed sanitize. Exit failure is no erasure, and a Format is refused like all else.
WAYS_OUT: Final = frozenset(
    {Technique.NVME_SANITIZE_CRYPTO, Technique.NVME_SANITIZE_BLOCK, Technique.NVME_SANITIZE_OVERWRITE}
)
REASON = "its latest sanitize failed, and it refuses all access until one succeeds"


def mark(execution: Execution, work: Work) -> None:
    """Marks the medium, or lets it begin unmarked. Raises what `markers` and the permit raise, and
    Refused(MARKERS_FAILED) when one does not read back.
    """
    if work.is_stopped:
        return
    step = markers_step(work.commitment)
    places = place(work.found, order_digest=execution.order_digest, nonce=execution.marker_nonce)
    if _is_kept_out(work, places):
        execution.note(work, Kind.UNMARKED, step, Code.ACCESS_REFUSED, REASON)
        work.unmarked = places
        work.techniques = list(takewhile(WAYS_OUT.__contains__, work.techniques))
    else:
        work.placed = places
    execution.require_permit(work, _commit(execution, work, step))
    if not work.unmarked:
        _write(execution, work, step)


def _is_kept_out(work: Work, places: Iterable[markers.PlacedMarker]) -> bool:
    """The drive's own word, the kernel's refusal at every place, and a sanitize to begin with."""
    leads_out = bool(work.techniques) and work.techniques[0] in WAYS_OUT
    if not leads_out or not _says_failed(work.drive):
        return False
    return not any(markers.is_readable(work.drive.blocks, each) for each in places)


def _says_failed(drive: Drive) -> bool:
    """A drive that says nothing is no drive that says so."""
    try:
        return isinstance(drive, NvmeDrive) and drive.sanitize_log().has_failed
    except (DeviceError, Malformed):
        return False


def _commit(execution: Execution, work: Work, step: str) -> JournalLine:
    body = MarkersCommittedBody(
        medium=work.commitment,
        commitment=markers.digest(work.placed, boot_nonce=execution.marker_nonce),
        count=str(len(work.placed)),
    )
    return execution.journal.append(Kind.MARKERS_COMMITTED, step=step, body=write_body(body), needs_ack=True)


def _write(execution: Execution, work: Work, step: str) -> None:
    """The first irreversible act on the medium itself."""
    markers.write(work.drive.blocks, work.placed)
    seen = [markers.read_back_before(work.drive.blocks, marker) for marker in work.placed]
    body = MarkedBody(medium=work.commitment, read_back=",".join(one.value for one in seen))
    execution.journal.append(Kind.MARKED, step=step, body=write_body(body))
    work.is_marked = True
    if any(one is not Seen.YES for one in seen):
        raise Refused(Code.MARKERS_FAILED, "a marker did not read back as it was written")
