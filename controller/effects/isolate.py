"""Cut the tenant's side off. Whether it is cut, the read-back says."""

from __future__ import annotations

from controller.case import Case
from controller.dispatch.lease import Lease
from controller.observe.host import target_of
from controller.program import Program


def perform(program: Program, case: Case, *, lease: Lease) -> None:
    """Raises Refused (nothing was done) or Unanswered (unknown what was)."""
    lease.require_held()
    program.quarantine.isolate(target_of(case.host))
