"""End the erase environment where one was begun, then give the tenant's side back. The read-back says whether
it is.

In this order, because a host in the erase environment must never be reachable from the tenant's side.
"""

from __future__ import annotations

from controller.case import Case
from controller.dispatch.lease import Lease
from controller.observe.host import target_of
from controller.program import Program


def perform(program: Program, case: Case, *, lease: Lease) -> None:
    """Raises Refused (nothing was done) or Unanswered (unknown what was)."""
    target = target_of(case.host)
    if case.was_booted:
        lease.require_held()
        program.boot.stop(target)
    lease.require_held()
    program.quarantine.restore(target)
