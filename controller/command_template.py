"""Commands that a provider configures: argument lists with placeholders, run without a shell.

Rules: a template is a list of arguments, never a line for a shell; the program's name holds no placeholder;
a placeholder is `{name}` and nothing cleverer; one that has no value refuses the whole command, so that no
command ever runs with a hole in it; a value is printable, not empty and does not begin with a dash (it would
be read as an option). A command that was begun and did not end with exit code 0 in time is *unknown*, not
undone: `Unanswered`. What a successful command claims is believed by nobody here; a read-back decides.
"""

from __future__ import annotations

import contextlib
import os
import signal
import string
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from certificate.errors import Refused
from controller.errors import Code, Unanswered

#: A read-back is one short line; more is a command gone wrong, and is not held in memory.
MAX_OUTPUT_BYTES = 65_536
#: What an operator is shown of a failed command's standard error.
SHOWN_ERROR_CHARACTERS = 300
#: What a command needs to find its programs and write its messages. Nothing else of ours leaks into it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class CommandTemplate:
    """A command with placeholders. Raises Refused(TEMPLATE_INVALID) when it is made of anything else."""

    arguments: tuple[str, ...]
    timeout_seconds: float

    def __post_init__(self) -> None:
        if not self.arguments or not self.arguments[0]:
            raise Refused(Code.TEMPLATE_INVALID, "the command has no program")
        if self.timeout_seconds <= 0:
            raise Refused(Code.TEMPLATE_INVALID, f"a time limit of {self.timeout_seconds} s")
        for argument in self.arguments:
            _placeholders(argument)
        if _placeholders(self.arguments[0]):
            raise Refused(Code.TEMPLATE_INVALID, f"the program's name is not fixed: {self.arguments[0]!r}")

    @property
    def placeholders(self) -> frozenset[str]:
        """Every name that a value is needed for."""
        return frozenset(name for argument in self.arguments for name in _placeholders(argument))

    def filled(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The arguments with `values` in their places.

        Raises Refused: PLACEHOLDER_UNKNOWN where a value is missing, PARAMETER_INVALID where one is unusable.
        Values that no placeholder names are not looked at.
        """
        for name in sorted(self.placeholders):
            if name not in values:
                raise Refused(Code.PLACEHOLDER_UNKNOWN, f"{self.arguments[0]} needs {{{name}}}")
            _refuse_unusable(name, values[name])
        return tuple(argument.format_map(values) for argument in self.arguments)

    def run(self, values: Mapping[str, str]) -> bytes:
        """Runs the command and returns its standard output (at most MAX_OUTPUT_BYTES).

        Raises what `filled` raises, before anything runs; Refused(COMMAND_FAILED) when the program could not
        be started; Unanswered(COMMAND_FAILED) for an exit code other than 0, for too much output, and for a
        time-out, after which the command and its children (one session) are ended.
        """
        arguments = self.filled(values)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            exit_code = self._run(arguments, output, errors)
            written, complaint = _first_bytes(output), _shown(_first_bytes(errors))
        if exit_code is None:
            raise self._failure(f"did not end within {self.timeout_seconds:g} s", complaint)
        if exit_code != 0:
            raise self._failure(f"ended with exit code {exit_code}", complaint)
        if len(written) > MAX_OUTPUT_BYTES:
            raise self._failure(f"wrote more than {MAX_OUTPUT_BYTES} bytes", complaint)
        return written

    def _failure(self, what: str, complaint: str) -> Unanswered:
        return Unanswered(Code.COMMAND_FAILED, f"{self.arguments[0]} {what}{complaint}")

    def _run(self, arguments: tuple[str, ...], output: IO[bytes], errors: IO[bytes]) -> int | None:
        # Files and not pipes: a command may leave a process behind (a started machine) that keeps them open.
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise Refused(Code.COMMAND_FAILED, f"{arguments[0]} could not be started: {error}") from None
        try:
            return process.wait(timeout=self.timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _placeholders(argument: str) -> tuple[str, ...]:
    if not isinstance(argument, str) or "\0" in argument:
        raise Refused(Code.TEMPLATE_INVALID, "an argument is text without a NUL byte")
    names = []
    try:
        for _, name, form, conversion in string.Formatter().parse(argument):
            if name is None:
                continue
            if form or conversion or not name.isidentifier():
                raise Refused(Code.TEMPLATE_INVALID, f"{argument!r}: a placeholder is a plain {{name}}")
            names.append(name)
    except ValueError as error:
        raise Refused(Code.TEMPLATE_INVALID, f"{argument!r}: {error}") from None
    return tuple(names)


def _refuse_unusable(name: str, value: str) -> None:
    if not value or value.startswith("-") or not value.isprintable():
        raise Refused(Code.PARAMETER_INVALID, f"{name} is {value[:60]!r}")


def _first_bytes(file: IO[bytes]) -> bytes:
    """One byte more than may be used, so that too much is seen as too much."""
    file.seek(0)
    return file.read(MAX_OUTPUT_BYTES + 1)


def _shown(errors: bytes) -> str:
    """The end of what a command complained about, harmless to print; empty when it said nothing."""
    text = errors.decode("ascii", errors="replace").strip()[-SHOWN_ERROR_CHARACTERS:]
    return f": {text!r}" if text else ""
