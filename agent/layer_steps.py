"""The encryption layers of one medium, destroyed one after the other before anything else is written to it.

Rules: a layer is asked for by itself, and only one that the order names and that was found again once the
drive was held; what was there is remembered before it is asked for, so that no time of the acknowledgement is
spent on reading; a layer that failed is told and costs neither the next layer nor the medium anything; one
that was not permitted ends the asking, because the next would only wait in vain. Its codes stand in the
medium's errors. What a destroyed layer is worth is `assurance`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.errors import Code
from agent.journal import Kind
from agent.journal_bodies import LayerEndedBody, LayerRead, LayerStartBody, write_body
from agent.steps import layer_step
from agent.techniques import luks
from agent.techniques.luks import FoundLayer
from agent.work import Work
from certificate.errors import Refused
from certificate.messages import JournalLine, NamespaceReport
from certificate.statements import Seen
from certificate.statements.plan import PlannedLayer

if TYPE_CHECKING:
    from agent.execute import Execution

REASON = "the executing process ended before this layer was over"


def destroy(execution: Execution, work: Work) -> None:
    """Every planned layer of a medium that is held, ascending. All are looked up before the first goes: a
    partition table may lie in its area, and be the only way to the next.
    """
    found: tuple[FoundLayer, ...] = ()
    for planned in work.found.planned.layers:
        if work.is_stopped:
            return
        step = layer_step(work.commitment, planned.nsid, planned.offset_bytes)
        with execution.contained(work, step, ends_work=False):
            found = found or luks.find(work.drive.blocks, _namespaces(work))
            _destroy(execution, work, _planned_one(planned, found), step)
        if execution.journal.lines[-1].kind == Kind.NOT_BEGUN:
            return


def interrupted(execution: Execution, work: Work, lines: Sequence[JournalLine]) -> None:
    """A line for each layer of `lines` whose process was gone before it was over."""
    for asked in lines:
        if asked.kind != Kind.LAYER_START:
            continue
        later = {line.kind for line in lines if line.step == asked.step and line.seq > asked.seq}
        if not later & {Kind.LAYER_ENDED, Kind.NOT_BEGUN, Kind.FAILED}:
            may_have_begun = execution.permit.folder.is_acknowledged(asked)
            kind = Kind.FAILED if may_have_begun else Kind.NOT_BEGUN
            execution.note(work, kind, asked.step, Code.EXECUTION_INTERRUPTED, REASON)


def look(work: Work) -> tuple[LayerRead, ...]:
    """Whether a header is found where each planned layer was. Reads only."""
    if not work.is_held:
        return ()
    return tuple(
        LayerRead(
            nsid=planned.nsid,
            offset_bytes=planned.offset_bytes,
            is_found=luks.is_found(work.drive.blocks, planned, _namespaces(work)).value,
        )
        for planned in work.found.planned.layers
    )


def _destroy(execution: Execution, work: Work, layer: FoundLayer, step: str) -> None:
    blocks = work.drive.blocks
    before = luks.remember(blocks, layer)
    body = LayerStartBody(medium=work.commitment, layer=luks.to_report(layer))
    line = execution.journal.append(Kind.LAYER_START, step=step, body=write_body(body), needs_ack=True)
    execution.require_permit(work, line)
    codes, was_flushed = "", Seen.YES
    try:
        luks.destroy(blocks, layer, random_bytes=execution.world.random_bytes)
    except OSError:
        codes, was_flushed = Code.WRITE_FAILED.value, Seen.NOT_OBSERVED
    ended = LayerEndedBody(
        medium=work.commitment,
        nsid=layer.nsid,
        offset_bytes=layer.offset_bytes,
        every_copy_differs=luks.compare(blocks, layer, before).value,
        was_flushed=was_flushed.value,
        # Nobody hands this agent a tenant's passphrase.
        known_key_refused=Seen.NOT_OBSERVED.value,
        codes=codes,
    )
    execution.journal.append(Kind.LAYER_ENDED, step=step, body=write_body(ended))


def _planned_one(planned: PlannedLayer, found: tuple[FoundLayer, ...]) -> FoundLayer:
    """The layer as it was found. Raises Refused(LAYER_MISSING)."""
    wanted = (planned.kind, planned.nsid, planned.offset_bytes)
    for layer in found:
        if (layer.kind, layer.nsid, layer.offset_bytes) == wanted:
            return layer
    raise Refused(Code.LAYER_MISSING, f"no {planned.kind.value} at {planned.offset_bytes} of {planned.nsid}")


def _namespaces(work: Work) -> tuple[NamespaceReport, ...]:
    return () if work.found.report is None else work.found.report.namespaces
