"""`expunge close`: one of the ways out of `needs_operator`."""

from __future__ import annotations

from controller.cli.leaving import verb
from controller.facts import Exit

app = verb(
    Exit.CLOSE,
    title="End a case; the host is kept out of service.",
    does="End the case. Nothing is said of the host's media.",
)
