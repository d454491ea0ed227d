"""Tell somebody, by a command of the provider's; what it printed is the delivery record.

The command gets the host's own parameters and, as placeholders, `{kind}` of the notice, `{to}`
(customer | operators), `{deprovision}` and `{grace_until}`. It may be run twice for one notice: a crash
between sending and recording sends again (`outbox`).
"""

from __future__ import annotations

from certificate.statements.statement import time_text
from controller.case import Case
from controller.command_template import CommandTemplate
from controller.observe.host import target_of
from controller.store.notices import Notice, NoticeKind

CUSTOMER, OPERATORS = "customer", "operators"


def perform(command: CommandTemplate, case: Case, notice: Notice) -> bytes:
    """The delivery record. Raises Refused (nothing was sent) or Unanswered (unknown whether it was)."""
    is_late = notice.kind is NoticeKind.RETURNED_TOO_LATE
    grace_until = case.deprovision.grace_until.replace(microsecond=0)
    return command.run(
        {
            **target_of(case.host).values,
            "deprovision": case.id,
            "kind": notice.kind.value,
            "to": OPERATORS if is_late else CUSTOMER,
            "grace_until": time_text(grace_until),
        }
    )
