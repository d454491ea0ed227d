"""`expunge restore`: one of the ways out of `needs_operator`."""

from __future__ import annotations

from controller.cli.leaving import verb
from controller.facts import Exit

app = verb(
    Exit.RESTORE,
    title="Give a quarantined host back to its customer and hold it.",
    does=(
        "Undo the quarantine and give the host back; a hold is set at once. From every state "
        "before an order was sent, and out of needs_operator where nothing was begun."
    ),
)
