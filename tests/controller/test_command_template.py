"""Commands of the provider's: never a shell, never a hole, never believed half."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Refused
from controller.command_template import MAX_OUTPUT_BYTES, CommandTemplate
from controller.errors import Code, Unanswered

PYTHON = sys.executable


def command(*arguments: str, timeout_seconds: float = 10.0) -> CommandTemplate:
    return CommandTemplate(arguments=arguments, timeout_seconds=timeout_seconds)


def script(text: str, *arguments: str, timeout_seconds: float = 10.0) -> CommandTemplate:
    return command(
        PYTHON,
        "-I",
        "-c",
        text.replace("{", "{{").replace("}", "}}"),
        *arguments,
        timeout_seconds=timeout_seconds,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("",),
        ("{host}",),
        ("/bin/{host}",),
        ("run", "{host"),
        ("run", "host}"),
        ("run", "{}"),
        ("run", "{0}"),
        ("run", "{host!r}"),
        ("run", "{host:>9}"),
        ("run", "{host.name}"),
        ("run", "{host[0]}"),
        ("run", "a\0b"),
    ],
    ids=str,
)
def test_a_template_is_plain_or_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as refused:
        command(*arguments)
    assert refused.value.code is Code.TEMPLATE_INVALID


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_template_has_a_time_limit(seconds: float) -> None:
    with pytest.raises(Refused):
        command("run", timeout_seconds=seconds)


def test_placeholders_are_filled_inside_and_around_text() -> None:
    template = command("run", "--host={host}", "{site}/{rack}", "{{literal}}")
    assert template.placeholders == {"host", "site", "rack"}
    values = {"host": "h1", "site": "s", "rack": "r", "unused": "-x"}
    assert template.filled(values) == ("run", "--host=h1", "s/r", "{literal}")


def test_a_placeholder_without_a_value_refuses_the_command_before_it_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    template = script("import sys; open(sys.argv[1], 'w')", str(mark), "{port}")
    with pytest.raises(Refused) as refused:
        template.run({"host": "h1"})
    assert refused.value.code is Code.PLACEHOLDER_UNKNOWN
    assert "port" in refused.value.reason
    assert not mark.exists()


@pytest.mark.parametrize("value", ["", "-rf", "--force", "a\nb", "a\0b", "\x1b[2J", "\u2028"])
def test_a_value_that_could_be_read_as_something_else_is_refused(value: str) -> None:
    with pytest.raises(Refused) as refused:
        command("run", "{host}").filled({"host": value})
    assert refused.value.code is Code.PARAMETER_INVALID


@given(value=st.text(min_size=1).filter(lambda text: text.isprintable() and not text.startswith("-")))
def test_a_value_is_one_argument_whatever_it_holds(value: str) -> None:
    assert command("run", "{host}", "x").filled({"host": value}) == ("run", value, "x")


def test_a_value_never_reaches_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    value = f"$(touch {mark}); `touch {mark}` | touch {mark} & {{host}}"
    written = script("import sys; print(sys.argv[1], end='')", "{host}").run({"host": value})
    assert written.decode() == value
    assert not mark.exists()


def test_a_program_that_is_not_there_was_not_run() -> None:
    with pytest.raises(Refused) as refused:
        command("/nowhere/switch").run({})
    assert refused.value.code is Code.COMMAND_FAILED


def test_a_failed_command_is_not_a_refusal_because_it_may_have_done_half() -> None:
    with pytest.raises(Unanswered) as silence:
        script("import sys; sys.exit('port 7 is \x1b[31mlocked')").run({})
    assert silence.value.code is Code.COMMAND_FAILED
    assert "exit code 1" in silence.value.reason
    assert "locked" in silence.value.reason
    assert "\x1b" not in silence.value.reason


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = (
        "import os, sys, time\n"
        "child = os.fork()\n"
        "if child:\n    open(sys.argv[1], 'w').write(f'{os.getpid()} {child}')\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    with pytest.raises(Unanswered) as silence:
        script(text, str(pids), timeout_seconds=1.0).run({})
    assert time.monotonic() - began < 5
    assert "within 1 s" in silence.value.reason
    for pid in pids.read_text().split():
        assert is_gone(int(pid))


def is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_a_process_left_behind_on_purpose_neither_delays_nor_dies(tmp_path: Path) -> None:
    """A boot command may leave a machine running that keeps its output open."""
    pid_file = tmp_path / "pid"
    text = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "    time.sleep(30)\n"
        "print('started')\n"
    )
    began = time.monotonic()
    assert b"started" in script(text, str(pid_file)).run({})
    assert time.monotonic() - began < 5
    until = time.monotonic() + 5
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    pid = int(pid_file.read_text())
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)


def test_too_much_output_is_a_command_gone_wrong() -> None:
    assert len(script(f"print('x' * {MAX_OUTPUT_BYTES - 1})").run({})) == MAX_OUTPUT_BYTES
    with pytest.raises(Unanswered):
        script(f"print('x' * {MAX_OUTPUT_BYTES})").run({})


def test_nothing_of_our_environment_leaks_into_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPUNGE_PASSPHRASE", "hunter2")
    written = script("import os; print(sorted(os.environ))").run({})
    assert b"PATH" in written
    assert b"PASSPHRASE" not in written


def test_a_command_cannot_read_from_us() -> None:
    assert script("import sys; print(repr(sys.stdin.read()))").run({}) == b"''\n"
