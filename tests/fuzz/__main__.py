"""Fuzzes: `python -m tests.fuzz --seconds N [--target NAME]... [--seed S] [--jobs J] [--input FILE]`.

Each target runs for N seconds in a process of its own, J at a time. A line a target: runs, seconds, seed, the
codes that were answered, and every crash with the file that shows it. Exit 1 where anything crashed. With
`--input FILE` one input is tried and nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.campaign import Campaign, Crash, Report
from tests.fuzz.targets import TARGETS

#: Beyond its own time, a worker starts, reads its seeds and may finish one slow input.
GRACE_SECONDS = 180
CRASHES = Path("build") / "fuzz"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.input is not None:
        return _try_input(arguments)
    names = arguments.target or list(TARGETS)
    reports = []
    with ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        for report in pool.map(lambda name: _run(name, arguments), names):
            reports.append(report)
            print("\n".join(_lines(report)), flush=True)
    crashes = sum(len(report.crashes) for report in reports)
    runs = sum(report.runs for report in reports)
    print(f"{len(reports)} targets, {runs} runs, {crashes} crashes")
    return 1 if crashes else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="for each target")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    parser.add_argument("--seed", type=int, default=1, help="of the random source")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--engine", choices=("auto", "atheris", "mutation"), default="auto")
    parser.add_argument("--crashes", type=Path, default=CRASHES, help="folder for inputs that crash")
    parser.add_argument("--input", type=Path, help="try this file on one --target and nothing else")
    return parser


def _run(name: str, arguments: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory(prefix="expunge-fuzz-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tests.fuzz.worker", name, "--seconds", str(arguments.seconds)]
        command += ["--seed", str(arguments.seed), "--engine", arguments.engine]
        command += ["--crashes", str(arguments.crashes), "--report", str(report)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=arguments.seconds + GRACE_SECONDS,
            )
            died = f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
        except subprocess.TimeoutExpired:
            died = f"no end after {arguments.seconds + GRACE_SECONDS:.0f} s"
        if report.exists():
            return Report.read(report.read_text())
    lost = Report(target=name, engine=arguments.engine, seed=arguments.seed)
    lost.crashes.append(Crash(what=f"the process died: {died}", where="worker", file="-"))
    return lost


def _lines(report: Report) -> Iterator[str]:
    codes = ", ".join(
        f"{code} {count}" for code, count in sorted(report.codes.items(), key=lambda found: -found[1])
    )
    yield (
        f"{report.target}: {report.runs} runs in {report.seconds:.0f} s, seed {report.seed}, {report.engine},"
        f" slowest {report.slowest_seconds:.2f} s, {len(report.crashes)} crashes"
    )
    yield f"    {codes or 'no answer'}"
    for crash in report.crashes:
        yield f"    CRASH {crash.what} at {crash.where}: {crash.file}"


def _try_input(arguments: argparse.Namespace) -> int:
    """One input on each of the named targets, its traceback where it crashes."""
    for name in arguments.target or list(TARGETS):
        campaign = Campaign(target=TARGETS[name], seed=0, crashes_folder=arguments.crashes)
        for code, reason in campaign.target.run(arguments.input.read_bytes()):
            print(f"{name}: {code}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
