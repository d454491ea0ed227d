"""Goals that need no disk: ours against the least that could be done, in one run, in interleaved pairs.

    make bench

Each line: the goal, the median of the rounds, their smallest and largest, met or missed (`goals`). Work
inside one process is timed in processor seconds, which other work on the machine disturbs least; programs
are timed by the clock on the wall. A rate of issuing holds what a controller does for each document
(signature, log entry, ledger event) and for each batch (one commit, one new root, one signed checkpoint).

A `hello` is a whole session: a process that starts, reads the request, proves its boot and answers. It starts
as in an erase image: `python -I -S`, so that neither the environment nor `site`, and no editable install's
finder, takes part, with the two folders on its path that an image has: the program and its libraries.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog

from agent.run_directory import RunDirectory
from certificate import envelope as dsse
from certificate.bundle import Bundle
from certificate.keys import PrivateKey
from certificate.messages import Hello, HelloPurpose
from certificate.policy import Policy
from certificate.trust import TrustRoot
from certificate.verify import verify
from controller import checkpointing
from controller.bundles import assemble
from controller.store import log_rows, outcomes
from tests.bench.goals import Goal, Sense, table

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 9
#: Documents of a batch: a rack of hosts that end together.
BATCH = 500
#: An outcome of a real drive has about three kilobytes.
DOCUMENT_BYTES = 3000
HELLO = Hello(controller_nonce="5a" * 32, purpose=HelloPurpose.ORDER)


def seconds(work: Callable[[], object], repeat: int, clock: Callable[[], float] = time.process_time) -> float:
    began = clock()
    for _ in range(repeat):
        work()
    return (clock() - began) / repeat


def load_worlds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("expunge_bench_world", ROOT / "tests" / "world.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/world.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules["expunge_bench_world"] = module
    spec.loader.exec_module(module)
    return module


def process(*arguments: str, line: bytes = b"") -> Callable[[], object]:
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, input=line, stdout=subprocess.DEVNULL, cwd=ROOT)


def require_answered(run: RunDirectory, began: float) -> None:
    """A refused hello would be quick, too."""
    kept = run.hello()
    if kept is None or run.hello_file.stat().st_mtime < began:
        raise SystemExit("the hello that was timed was not answered")


def opening() -> list[Goal]:
    """A signed document is read and verified, against the bare signature."""
    goal = Goal("open an envelope of 3 KB, of bare Ed25519's rate", Sense.AT_LEAST, 0.6)
    key = PrivateKey.generate()
    message = b"x" * DOCUMENT_BYTES
    signature, written = key.sign(message), dsse.sign(message, key).write()
    for _ in range(ROUNDS):
        ours = seconds(lambda: dsse.read(written).opened(key.public), 200)
        goal.add(seconds(lambda: key.public.verify(signature, message), 200) / ours)
    return [goal]


def verifying(bundle: Bundle, root: TrustRoot, policy: Policy) -> list[Goal]:
    """A whole bundle, against one bare signature: recorded, and no goal."""
    goal = Goal("verify a whole bundle, times a bare Ed25519", Sense.NONE, 0)
    took = Goal("verify a whole bundle", Sense.NONE, 0, unit="ms")
    key = PrivateKey.generate()
    message = b"x" * DOCUMENT_BYTES
    signature = key.sign(message)
    for _ in range(ROUNDS):
        ours = seconds(lambda: verify(bundle, root, policy), 20)
        goal.add(ours / seconds(lambda: key.public.verify(signature, message), 200))
        took.add(ours * 1000)
    return [goal, took]


def issuing(world: Any) -> list[Goal]:
    """Documents signed and logged in batches, each batch one commit and one checkpoint."""
    goal = Goal("issue in batches of 500, a second of a core", Sense.AT_LEAST, 5000, unit="/s")
    wall = Goal("the same by the clock on the wall", Sense.NONE, 0, unit="/s")
    program, key = world.program, PrivateKey.generate()
    for number in range(ROUNDS):
        payloads = [b"%08d %08d" % (number, each) + b"x" * DOCUMENT_BYTES for each in range(BATCH)]
        began, began_on_wall = time.process_time(), time.perf_counter()
        with program.store.transaction() as tx:
            log_rows.append_entries(
                tx,
                envelopes=[(dsse.sign(payload, key), None) for payload in payloads],
                kind=log_rows.LogKind.OUTCOME,
                now=world.now(),
            )
        checkpointing.sign_due(program)
        goal.add(BATCH / (time.process_time() - began))
        wall.add(BATCH / (time.perf_counter() - began_on_wall))
    return [goal, wall]


def starting(run: RunDirectory) -> list[Goal]:
    """Programs from nothing, against an interpreter that does nothing. `run`: of an agent that is booted."""
    hello = Goal("answer a hello, times python -I -S", Sense.AT_MOST, 5)
    tool = Goal("expunge --help, times python -I -S", Sense.NONE, 0)
    folders = [str(ROOT), sysconfig.get_paths()["purelib"]]
    empty = process("-I", "-S", "-c", "pass")
    session = f"from agent.cli import run; run(['session', '--run-dir', {str(run.path)!r}])"
    ours = process("-I", "-S", "-c", f"import sys; sys.path[:0] = {folders!r}; {session}", line=HELLO.write())
    shown = process("-m", "certificate.cli", "--help")
    began = time.time()
    for _ in range(ROUNDS):
        least = seconds(empty, 3, time.perf_counter)
        hello.add(seconds(ours, 3, time.perf_counter) / least)
        tool.add(seconds(shown, 1, time.perf_counter) / least)
    require_answered(run, began)
    return [hello, tool]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    goals = opening()
    with tempfile.TemporaryDirectory() as folder:
        world = load_worlds().World.found(Path(folder))
        world.end_subscription()
        world.run()
        program = world.program
        with program.store.snapshot() as tx:
            (outcome,) = outcomes.of_deprovision(tx, world.key)
            bundle = assemble(tx, outcome, program.documents.signed_files).bundle
        goals += verifying(bundle, program.documents.trust, program.documents.policy)
        goals += issuing(world)
        goals += starting(world.machine.run)
        world.close()
    print(table(goals))


if __name__ == "__main__":
    main()
