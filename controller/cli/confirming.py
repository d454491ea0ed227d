"""The words that a person types before a signature: at a terminal, or the same with --confirm.

Rules: there is no `--yes`. Words compare without regard to case and to how many spaces stand between them,
and otherwise exactly. Nobody is asked at something that is no terminal.
"""

from __future__ import annotations

import sys

import typer

from certificate.errors import Refused
from controller.errors import Code


def typed(confirm: str | None, *, ask: str) -> str:
    """What the person typed. `ask`: the prompt. Raises Refused(CONFIRMATION_MISSING)."""
    if confirm is not None:
        return confirm
    if not sys.stdin.isatty():
        raise Refused(Code.CONFIRMATION_MISSING, f"nobody at a terminal to ask: {ask}")
    said: str = typer.prompt(ask, err=True)
    return said


def require_words(confirm: str | None, words: str) -> None:
    """Has the person type `words`; nothing where they are empty. Raises Refused: CONFIRMATION_MISSING,
    CONFIRMATION_WRONG.
    """
    if not words:
        return
    said = typed(confirm, ask=f"Type {words!r} to sign")
    if said.split() != words.split() and said.lower().split() != words.lower().split():
        raise Refused(
            Code.CONFIRMATION_WRONG,
            f"{said[:80]!r} is not {words!r}",
            remedy="Type exactly the words that were shown, if you mean it.",
        )
