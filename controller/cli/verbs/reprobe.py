"""`expunge reprobe`: one of the ways out of `needs_operator`."""

from __future__ import annotations

from controller.cli.command import application
from controller.cli.leaving import GroupOption, TargetArgument, leave
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
)
from controller.facts import Exit

app = application("Ask agent and drives again; nothing is issued.")


@app.command()
def reprobe(
    reason: ReasonOption,
    target: TargetArgument = None,
    group: GroupOption = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Ask once more what became of a dispatched order.

    Exit 0: commanded; 4: one more person is needed; 3: refused.
    """
    return leave(
        Exit.REPROBE,
        target,
        group,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )
