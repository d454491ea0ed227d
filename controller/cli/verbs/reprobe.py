"""`expunge reprobe`: one of the ways out of `needs_operator`."""

from __future__ import annotations

from controller.cli.leaving import verb
from controller.facts import Exit

app = verb(
    Exit.REPROBE,
    title="Ask agent and drives again; nothing is issued.",
    does="Ask once more what became of a dispatched order.",
)
