"""Tell the customer, by a command of the provider's; what it printed is the delivery record.

KNOWN GAP: one notice, and no waiver: a provider whose command cannot deliver waits until it does. Reminders,
mail and waivers by two people come with notices of their own.
"""

from __future__ import annotations

import hashlib

from controller.case import Case
from controller.observe.host import target_of
from controller.program import Program
from controller.store import effects_begun
from controller.store.effects_begun import NoticeKind


def perform(program: Program, case: Case) -> None:
    """Raises Refused (nothing was sent) or Unanswered (unknown whether it was)."""
    if program.notice is None:
        return
    record = program.notice.run({**target_of(case.host).values, "deprovision": case.id})
    with program.store.transaction() as tx:
        effects_begun.settle_notice(
            tx,
            case.id,
            kind=NoticeKind.DELIVERED,
            record_digest=hashlib.sha256(record).hexdigest(),
            now=program.clock(),
        )
