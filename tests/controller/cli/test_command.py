"""The frame of every verb: exit codes, and where an answer and a refusal go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from certificate.errors import Refused
from controller import cli
from controller.cli.command import Failed, application, run
from controller.errors import Code, NeedsApproval


def verb_that(acts: Callable[[], None]) -> typer.Typer:
    app = application("A verb of the test.")

    @app.command()
    def verb(as_json: bool = typer.Option(False, "--json")) -> None:
        """Does what the test says."""
        acts()

    return app


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("acts", "code"),
    [
        (lambda: None, 0),
        (raising(Failed("the disk is gone")), 1),
        (raising(typer.Abort()), 1),
        (raising(KeyboardInterrupt()), 130),
        (raising(typer.BadParameter("no such thing")), 2),
        (raising(Refused(Code.FROZEN, "two do not agree")), 3),
        (raising(NeedsApproval(Code.APPROVALS_REQUIRED, "one of two")), 4),
        (raising(typer.Exit(5)), 5),
    ],
)
def test_every_way_to_end_has_its_exit_code(
    acts: Callable[[], None], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(verb_that(acts), [], verb="verb") == code
    assert capsys.readouterr().out == ""


def test_an_error_nobody_expected_is_not_dressed_up_as_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        run(verb_that(raising(ZeroDivisionError())), [], verb="verb")


def test_a_refusal_has_code_reason_and_remedy_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    run(verb_that(raising(Refused(Code.FROZEN, "two do not agree"))), [], verb="verb")
    said = capsys.readouterr()
    assert said.err == f"FROZEN: two do not agree\n  {Code.FROZEN.remedy}\n"


def test_with_json_a_refusal_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    run(verb_that(raising(Refused(Code.FROZEN, "two do not agree"))), ["--json"], verb="verb")
    told = json.loads(capsys.readouterr().err)
    assert told == {"refused": {"code": "FROZEN", "reason": "two do not agree", "remedy": Code.FROZEN.remedy}}


@pytest.mark.parametrize("arguments", [["--nonsense"], ["one", "two"]])
def test_a_wrong_word_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb_that(lambda: None), arguments, verb="verb") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "expunge verb" in said.err


@pytest.mark.parametrize("verb", cli.__all__)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert getattr(cli, verb)(["--help"]) == 0
    assert f"expunge {verb}" in capsys.readouterr().out


def test_the_entry_points_name_these_verbs() -> None:
    from importlib.metadata import entry_points

    named = {
        point.name: point.value
        for point in entry_points(group="expunge.commands")
        if point.value.startswith("controller.")
    }
    assert named == {verb: f"controller.cli:{verb}" for verb in cli.__all__}


@pytest.mark.parametrize(
    "arguments", [["hook", "ended", "sub-1"], ["status"], ["hosts", "list"], ["show", "dep_" + "0" * 32]]
)
def test_a_verb_that_only_asks_starts_without_database_and_web_framework(
    arguments: list[str], founded: Any
) -> None:
    verb, *rest = [*arguments, "--home", str(founded.home.path)]
    script = (
        "import sys\nfrom controller import cli\n"
        f"code = getattr(cli, {verb!r})({rest!r})\n"
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *loaded = done.stderr.splitlines()[-1].split()
    assert code == ("0" if verb == "hook" else "3")
    assert "httpx" in loaded
    assert not set(loaded) & {"sqlalchemy", "alembic", "fastapi", "uvicorn", "paramiko", "starlette"}


def test_a_reader_that_has_left_is_no_traceback(founded: Any) -> None:
    script = "import sys\nfrom controller import cli\nsys.exit(cli.hook(sys.argv[1:]))\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", script, "ended", "sub-1", "--home", str(founded.home.path)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert len(list(Path(founded.home.spool).iterdir())) == 1
