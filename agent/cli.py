"""`expunge-agent`: boot, session, execute. A command parses, calls once, shows.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused. A `session` answers a refusal as a line and exits with 0.
sshd starts one for each channel, so its one form is read without `argparse`, a tenth of its start.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.run_directory import BootRecord, RunDirectory
from certificate.errors import Refused

if TYPE_CHECKING:
    import argparse

DONE, FAILED, REFUSED = 0, 1, 3


def run(argv: list[str] | None = None) -> int:
    """The command. `argv` without the program's name; the process's own where None."""
    given = sys.argv[1:] if argv is None else argv
    match given:
        case ["session", "--run-dir", path]:
            return _session(RunDirectory(Path(path)))
    arguments = _parser().parse_args(given)
    directory = RunDirectory(arguments.run_dir)
    try:
        match arguments.command:
            case "boot":
                return _boot(directory, arguments)
            case "session":
                return _session(directory)
            case _:
                from agent import executor

                executor.execute(
                    directory, arguments.token, lock=arguments.lock_fd, is_attached=arguments.attach
                )
                return DONE
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED


def _session(directory: RunDirectory) -> int:
    from agent import session

    return session.serve(directory, request=sys.stdin.buffer, answers=sys.stdout.buffer)


def _boot(directory: RunDirectory, arguments: argparse.Namespace) -> int:
    import json
    from datetime import UTC, datetime

    from agent import boot, wiring

    files = boot.BootFiles(
        config=arguments.config,
        secret=arguments.secret_file,
        trust_root=arguments.trust_root,
        only_images=arguments.only_images,
        host_facts=arguments.host_facts,
    )
    session = (*wiring.own_program(), "session")
    record = boot.boot(directory, files, now=datetime.now(UTC), session=session)
    sys.stdout.write(json.dumps(_told(record), separators=(",", ":")) + "\n")
    return DONE


def _told(record: BootRecord) -> dict[str, str]:
    return {
        "boot_id": record.boot_id,
        "evidence_key": record.evidence_key,
        "ssh_host_key_blob": record.ssh_host_key_blob,
        "config_digest": record.config_digest,
    }


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(prog="expunge-agent", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    boot = commands.add_parser("boot", help="make this boot's keys from a signed configuration")
    boot.add_argument("--config", type=Path, required=True, help="signed boot configuration")
    boot.add_argument("--secret-file", type=Path, required=True, help="single-use secret; read and removed")
    boot.add_argument("--trust-root", type=Path, required=True, help="trust root that this machine holds")
    boot.add_argument("--only-images", type=Path, help="open simulated drives below DIR and nothing else")
    boot.add_argument("--host-facts", type=Path, help="host identity from this file (with --only-images)")
    session = commands.add_parser("session", help="answer one request line on standard input")
    execute = commands.add_parser("execute", help="carry out an accepted order (started by a session)")
    execute.add_argument("--token", required=True)
    execute.add_argument("--lock-fd", type=int, help="inherited descriptor that holds the execution lock")
    execute.add_argument("--attach", action="store_true", help="observe only: send nothing")
    for command in (boot, session, execute):
        command.add_argument("--run-dir", type=Path, required=True, help="directory of this boot (tmpfs)")
    return parser


if __name__ == "__main__":
    sys.exit(run())
