"""Which machine this is: the same here, another elsewhere, and never the machine-id itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.machine import machine_id

ONE = "9f86d081884c7d659a2feaa0c55ad015"


def test_a_machine_is_told_by_its_machine_id_without_showing_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(ONE + "\n")
    two.write_text(ONE[::-1] + "\n")
    assert machine_id((one,)) == machine_id((one,))
    assert machine_id((one,)) != machine_id((two,))
    assert ONE not in machine_id((one,))
    assert len(machine_id((one,))) == 64


def test_an_empty_or_missing_file_is_passed_over(tmp_path: Path) -> None:
    empty, real = tmp_path / "empty", tmp_path / "real"
    empty.write_text("\n")
    real.write_text(ONE)
    assert machine_id((tmp_path / "missing", empty, real)) == machine_id((real,))


def test_without_a_machine_id_the_host_name_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.machine.socket.gethostname", lambda: "rack-1")
    here = machine_id(())
    monkeypatch.setattr("controller.machine.socket.gethostname", lambda: "rack-2")
    assert machine_id(()) != here
