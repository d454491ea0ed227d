"""docs/operate.md names every alarm, every way out and every kind of decision that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import cli
from controller.facts import Exit
from controller.store.alarms import AlarmKind

MANUAL = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()


@pytest.mark.parametrize("kind", AlarmKind)
def test_every_alarm_has_its_row(kind: AlarmKind) -> None:
    assert f"`{kind.value}`" in MANUAL.partition("## Alarms")[2]


@pytest.mark.parametrize("exit", Exit)
def test_every_way_out_is_explained(exit: Exit) -> None:
    assert f"| `expunge {exit.value}` |" in MANUAL.partition("## needs_operator")[2]


@pytest.mark.parametrize("verb", sorted(set(cli.__all__) - {"ledger", "certificate", "hook", "media"}))
def test_every_command_of_an_operator_is_mentioned(verb: str) -> None:
    assert f"expunge {verb}" in MANUAL
