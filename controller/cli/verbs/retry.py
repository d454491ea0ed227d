"""`expunge retry`: one of the ways out of `needs_operator`."""

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

app = application("Begin a new attempt of a deprovision that needs an operator.")


@app.command()
def retry(
    reason: ReasonOption,
    target: TargetArgument = None,
    group: GroupOption = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Begin a new attempt: new plan, new approvals, new token. A group needs two people.

    Exit 0: commanded; 4: one more person is needed; 3: refused.
    """
    return leave(
        Exit.RETRY,
        target,
        group,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )
