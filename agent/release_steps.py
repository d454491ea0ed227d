"""Letting go of everything that stands on the drives of an order, all at once: one may stand on several.

Rules: it happens after the order was accepted and before any drive is opened, for the drives that the order
names and no other; it destroys nothing, so nobody acknowledges it; where it is refused nothing was let go,
and no medium goes on; what held on is told, and the drive will not open exclusively. An observer lets nothing
go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.journal import Kind
from agent.journal_bodies import ReleasedBody, ReleasedRead, write_body
from agent.teardown import Released

if TYPE_CHECKING:
    from agent.execute import Execution


def release(execution: Execution) -> None:
    """One line for each medium: what stood on it, or why nothing was let go."""
    serials = {
        work.commitment: work.found.report.serial
        for work in execution.works
        if work.found.drive is not None and work.found.report is not None
    }
    released: Released = {}
    failure: Exception | None = None
    try:
        released = execution.teardown.release(tuple(serials.values()))
    except Exception as error:
        # Told of each medium below.
        failure = error
    for work in execution.works:
        step = f"release:{work.commitment}"
        with execution.contained(work, step):
            if failure is not None:
                raise failure
            things = released.get(serials.get(work.commitment, ""), ())
            reads = tuple(ReleasedRead(kind=kind.value, is_released=seen.value) for kind, seen in things)
            body = ReleasedBody(medium=work.commitment, released=reads)
            execution.journal.append(Kind.RELEASED, step=step, body=write_body(body))
