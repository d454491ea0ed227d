"""`expunge-agent`: what it prints, how it ends, and what it starts without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import cli
from agent.run_directory import RunDirectory

#: The controller's dependencies: the agent's image holds none of them.
FORBIDDEN = (
    "typer",
    "rich",
    "paramiko",
    "sqlalchemy",
    "fastapi",
    "alembic",
    "uvicorn",
    "structlog",
    "controller",
)


def arguments(lab: Any, command: str = "boot") -> list[str]:
    files = lab.boot_files()
    return [
        *(command, "--run-dir", str(lab.run_directory.path)),
        *("--config", str(files.config), "--secret-file", str(files.secret)),
        *("--trust-root", str(files.trust_root)),
        *("--only-images", str(files.only_images), "--host-facts", str(files.host_facts)),
    ]


def test_a_boot_prints_one_line_that_names_it(make_lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lab = make_lab(is_booted=False)
    assert cli.run(arguments(lab)) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    told, record = json.loads(output), lab.run_directory.boot()
    assert told["boot_id"] == record.boot_id
    assert told["ssh_host_key_blob"] == record.ssh_host_key_blob
    assert record.only_images == str(lab.images)


def test_a_refused_boot_says_why_and_ends_with_three(
    make_lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = make_lab(is_booted=False)
    given = arguments(lab)
    (lab.folder / "secret").write_bytes(b"y" * 32)
    assert cli.run(given) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "BOOT_CONFIG_INVALID" in shown.err


def test_a_file_that_is_not_there_is_named(make_lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lab = make_lab(is_booted=False)
    given = arguments(lab)
    (lab.folder / "config.json").unlink()
    assert cli.run(given) == 3
    assert "config.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["session", "execute", "boot"])
def test_nothing_starts_without_a_run_directory(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run([command])
    assert ended.value.code == 2


def test_an_execution_nobody_accepted_is_refused(make_lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lab = make_lab()
    assert cli.run(["execute", "--run-dir", str(lab.run_directory.path), "--token", "ab" * 16]) == 3
    assert "TOKEN_UNKNOWN" in capsys.readouterr().err
    assert lab.drives[0].state().sanitize.status == "never"


def test_a_descriptor_that_is_not_the_lock_is_refused(make_lab: Any, tmp_path: Path) -> None:
    lab = make_lab()
    order = lab.accept()
    with (tmp_path / "other").open("w") as other:
        given = ["--run-dir", str(lab.run_directory.path), "--token", order.token]
        assert cli.run(["execute", *given, "--lock-fd", str(other.fileno())]) == 3
    assert lab.drives[0].state().sanitize.status == "never"


def test_every_part_of_the_agent_starts_without_the_controllers_dependencies() -> None:
    program = (
        "import sys, json\n"
        "from agent import cli, boot, session, executor, standing, acceptance, following\n"
        "json.dump(sorted(sys.modules), sys.stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = json.loads(done.stdout)
    assert [name for name in loaded if name.split(".")[0] in FORBIDDEN] == []
    assert "pydantic" in loaded, "the check sees what is loaded"


def test_a_fence_only_rises(make_lab: Any) -> None:
    run: RunDirectory = make_lab().run_directory
    assert run.fence().highest == -1
    run.raise_fence(5, token="a1" * 16)
    run.raise_fence(4, token="b2" * 16)
    run.raise_fence(5, token="c3" * 16)
    assert (run.fence().highest, run.fence().token) == (5, "a1" * 16)


def test_one_process_holds_the_lock_and_looking_does_not_take_it(make_lab: Any) -> None:
    run: RunDirectory = make_lab().run_directory
    assert not run.is_executing()
    held = run.take_lock()
    assert held is not None
    assert run.is_executing()
    assert run.take_lock() is None
    copy = os.dup(held)
    os.close(held)
    assert run.is_executing(), "an inherited descriptor goes on holding it"
    os.close(copy)
    assert not run.is_executing()


def test_a_record_that_was_changed_is_refused(make_lab: Any) -> None:
    run: RunDirectory = make_lab().run_directory
    run.boot_file.write_bytes(run.boot_file.read_bytes().replace(b'"purpose"', b'"Purpose"'))
    with pytest.raises(Exception, match="RUN_DIRECTORY_BROKEN"):
        run.boot()
