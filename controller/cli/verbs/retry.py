"""`expunge retry`: one of the ways out of `needs_operator`."""

from __future__ import annotations

from controller.cli.leaving import verb
from controller.facts import Exit

app = verb(
    Exit.RETRY,
    title="Begin a new attempt of a deprovision that needs an operator.",
    does="Begin a new attempt: new plan, new approvals, new token. A group needs two people.",
)
