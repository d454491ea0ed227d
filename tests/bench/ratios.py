"""Ratios measured in one run: ours against the least that could be done, in interleaved pairs.

    make bench

Each line: what, against what, the median ratio of the pairs, their smallest and largest. Absolute times are
printed for orientation only; they say more about the machine than about Expunge.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from certificate import envelope as dsse
from certificate.keys import PrivateKey
from certificate.verify import verify
from controller.bundles import assemble
from controller.store import outcomes

ROOT = Path(__file__).parent.parent.parent
PAIRS = 7


def seconds(work: Callable[[], object], repeat: int) -> float:
    began = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - began) / repeat


def pair(
    what: str, ours: Callable[[], object], against: str, least: Callable[[], object], repeat: int
) -> None:
    """Prints the ratio ours / least over PAIRS interleaved pairs."""
    ratios, times = [], []
    for _ in range(PAIRS):
        mine, theirs = seconds(ours, repeat), seconds(least, repeat)
        ratios.append(mine / theirs)
        times.append(mine)
    spread = f"({min(ratios):.2f} to {max(ratios):.2f}; {statistics.median(times) * 1000:.2f} ms)"
    print(f"{what:<34} {statistics.median(ratios):7.2f} x {against:<14} {spread}")


def load_worlds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("expunge_bench_world", ROOT / "tests" / "world.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/world.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules["expunge_bench_world"] = module
    spec.loader.exec_module(module)
    return module


def process(*arguments: str) -> Callable[[], object]:
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def main() -> None:
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    key = PrivateKey.generate()
    message = b"x" * 3000
    signature = key.sign(message)
    bare = lambda: key.public.verify(signature, message)  # noqa: E731
    written = dsse.sign(message, key).write()
    pair("open an envelope of 3 KB", lambda: dsse.read(written).opened(key.public), "bare Ed25519", bare, 200)

    worlds = load_worlds()
    with tempfile.TemporaryDirectory() as folder:
        world = worlds.World.found(Path(folder))
        world.end_subscription()
        world.run()
        program = world.program
        with program.store.snapshot() as tx:
            (outcome,) = outcomes.of_deprovision(tx, world.key)
            bundle = assemble(tx, outcome, program.documents.signed_files).bundle
        documents = program.documents
        full = lambda: verify(bundle, documents.trust, documents.policy)  # noqa: E731
        pair("verify a whole bundle, offline", full, "bare Ed25519", bare, 20)
        world.close()

    empty = process("-I", "-S", "-c", "pass")
    pair("import what hello needs", process("-c", "import agent.identity"), "python -I -S", empty, 1)
    pair("expunge --help", process("-m", "certificate.cli", "--help"), "python -I -S", empty, 1)


if __name__ == "__main__":
    main()
