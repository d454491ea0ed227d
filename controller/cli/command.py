"""The frame of every command: parse, call once, show; answers on standard output and nothing else there.

Exit codes are DESIGN's: 0 done, 1 failed, 2 usage, 3 refused and nothing done, 4 needs approval; and the
shell's 130 for an interrupt. A refusal goes to standard error as code, reason and remedy; with `--json` as
one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import typer

from certificate.errors import Refused
from controller.errors import NeedsApproval

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_REFUSED = 3
EXIT_NEEDS_APPROVAL = 4


class Failed(Exception):
    """Something broke; what was done is not known. Exit 1."""


def application(description: str) -> typer.Typer:
    """An empty Typer application whose help and errors are plain text."""
    return typer.Typer(
        help=description, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def run(app: typer.Typer, argv: Sequence[str], *, verb: str) -> int:
    """Runs `expunge VERB` on `argv` and answers with the exit code."""
    command = typer.main.get_command(app)
    try:
        answer = command.main(args=list(argv), prog_name=f"expunge {verb}", standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"expunge {verb}: {error.format_message()} (see --help)", err=True)
        return error.exit_code
    except Failed as failure:
        typer.echo(f"expunge {verb}: {failure}", err=True)
        return EXIT_FAILED
    except typer.Abort:
        typer.echo(f"expunge {verb}: interrupted", err=True)
        return EXIT_FAILED
    except Refused as refusal:
        tell_refusal(refusal, as_json="--json" in argv)
        return exit_code(refusal)
    except BrokenPipeError:
        # Whoever read the answer has left; the interpreter's last flush would complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return answer if isinstance(answer, int) else EXIT_DONE


def exit_code(refusal: Refused) -> int:
    return EXIT_NEEDS_APPROVAL if isinstance(refusal, NeedsApproval) else EXIT_REFUSED


def tell_refusal(refusal: Refused, *, as_json: bool) -> None:
    """Code, reason and remedy on standard error."""
    if as_json:
        typer.echo(json.dumps({"refused": refusal.as_dict()}), err=True)
    else:
        typer.echo(f"{refusal.code.value}: {refusal.reason}\n  {refusal.remedy}", err=True)
