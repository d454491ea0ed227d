"""One target in a process of its own; `python -m tests.fuzz` starts it.

With atheris (libFuzzer under Python) coverage leads the way through our own mutations; without it, or with
`--engine mutation`, what the reader answers does. Memory is bounded, and nothing waits for a disk.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

#: Of address space: an input of 200 kB must not take a gigabyte.
MAX_MEMORY_BYTES = 2 << 30
#: A folder in memory for the readers of files.
MEMORY_FOLDER = Path("/dev/shm")
PACKAGES = ["certificate", "agent", "controller"]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.worker")
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--engine", choices=("auto", "atheris", "mutation"), default="auto")
    parser.add_argument("--crashes", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args(argv)
    if MEMORY_FOLDER.is_dir() and os.access(MEMORY_FOLDER, os.W_OK):
        tempfile.tempdir = str(MEMORY_FOLDER)
    os.fsync = lambda _descriptor: None  # a file that lives for one input need not outlive power
    has_atheris = importlib.util.find_spec("atheris") is not None
    if arguments.engine == "mutation" or (arguments.engine == "auto" and not has_atheris):
        return _with_mutation(arguments)
    return _with_atheris(arguments)


def _with_mutation(arguments: argparse.Namespace) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    campaign = _campaign(arguments, "mutation")
    campaign.run(seconds=arguments.seconds)
    return _finished(arguments, campaign)


def _campaign(arguments: argparse.Namespace, engine: str) -> Any:
    from tests.fuzz.campaign import Campaign
    from tests.fuzz.targets import TARGETS

    return Campaign(
        target=TARGETS[arguments.target],
        seed=arguments.seed,
        crashes_folder=arguments.crashes,
        engine=engine,
    )


def _finished(arguments: argparse.Namespace, campaign: Any) -> int:
    arguments.report.write_text(campaign.report.write())
    return 1 if campaign.report.crashes else 0


def _with_atheris(arguments: argparse.Namespace) -> int:
    """libFuzzer ends the process itself, so the report is written when the time is over, from within."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        campaign = _campaign(arguments, "atheris")
    from tests.fuzz.campaign import mutator

    until = time.monotonic() + arguments.seconds
    mutate = mutator(campaign.target, Random(arguments.seed))

    def one(data: bytes) -> None:
        campaign.try_one(data)
        if time.monotonic() >= until:
            code = _finished(arguments, campaign)
            sys.stdout.flush()
            os._exit(code)

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        # Reproducible: libFuzzer's own seed chooses the seed of each mutation.
        mutate_random.seed(seed)
        if mutate_random.random() < 0.1:
            return bytes(atheris.Mutate(data, max_size))
        return mutate(data)[:max_size]

    mutate_random = Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="expunge-fuzz-") as folder:
        for number, data in enumerate(campaign.target.seeds):
            (Path(folder) / f"{number:04}").write_bytes(data)
        options = [
            f"-seed={arguments.seed}",
            "-max_len=200000",
            "-len_control=0",
            "-rss_limit_mb=2048",
            "-timeout=120",
            "-print_final_stats=0",
            "-verbosity=0",
        ]
        atheris.Setup(["fuzz", *options, folder], one, custom_mutator=custom)
        atheris.Fuzz()
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
