"""A sign of life on standard error while something takes longer than a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sign_of_life(doing: str) -> Iterator[None]:
    """Shows `doing` with a moving sign while the block runs; on a pipe or in a log it shows nothing."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(doing):
        yield
