"""`expunge approve DIGEST`: say yes to exactly one plan."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from controller.cli.approving import approve_plan
from controller.cli.command import application
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
)

app = application("Approve the plan with this digest.")


@app.command()
def approve(
    digest: Annotated[str, typer.Argument(help="The whole plan digest, as the requester tells it.")],
    reason: ReasonOption = "no reason given",
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read the plan, type the machine's words, sign. Exit 0 when enough did, 4 while more are needed."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise typer.BadParameter("a plan digest has 64 lower-case hexadecimal digits", param_hint="DIGEST")
    return approve_plan(
        digest,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )
