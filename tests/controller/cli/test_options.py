"""docs/operate.md: every command takes --json; only `serve`, which answers nothing, does not."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer

from controller import cli


def commands(name: str, command: Any) -> Iterator[tuple[str, set[str]]]:
    """Every command below this one, and its options."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, {option for parameter in command.params for option in parameter.opts}
        return
    for verb, each in below.items():
        yield from commands(f"{name} {verb}", each)


def test_every_command_but_serve_answers_in_json() -> None:
    found = {
        name: options
        for verb in cli.__all__
        for name, options in commands(
            verb, typer.main.get_command(import_module(f"controller.cli.verbs.{verb}").app)
        )
    }
    assert {"media list", "ledger export", "holds list", "wipe", "retry"} <= set(found)
    assert [name for name, options in found.items() if "--json" not in options] == ["serve"]
