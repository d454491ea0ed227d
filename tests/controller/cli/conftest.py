"""Running a verb as `expunge` does, and reading what it said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from controller import cli


@dataclass(frozen=True)
class Said:
    """What a verb answered: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def expunge(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(verb: str, *arguments: object) -> Said:
        capsys.readouterr()
        code = getattr(cli, verb)([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run
