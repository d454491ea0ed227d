"""Several `serve` on one store: a configuration of tests only. Nothing in the product lets go of the lock.

    python tests/chaos/serve_beside.py --home DIR --passphrase-fd N --lease SECONDS

One line in, one or more out: `start NAME` forks a `serve` with a socket, a spool and a log of its own, and is
answered `started NAME PID`; the end of one is told as `ended NAME PID STATUS`. It is `serving.serve` over
`wiring.wire`, with two differences: the home's lock is not taken, and a host's channel is a process here. The
keys are opened once, because bcrypt is slow. When standard input ends, every `serve` is ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from process_route import ProcessRoute

from controller import serving
from controller.channels import Route
from controller.configuration import Configuration, configuration_at
from controller.dispatch import lease
from controller.dispatch.embedded import Embedded
from controller.home import Home
from controller.keyring import Keyring
from controller.passphrase import read_passphrase
from controller.program import Program
from controller.serving import Wiring, serve
from controller.store.hosts import Host
from controller.wiring import wire

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Beside(Home):
    """The same home with a socket and a spool for each of those that share it."""

    name: str = ""

    @property
    def socket(self) -> Path:
        return self.run / f"{self.name}.sock"

    @property
    def spool(self) -> Path:
        return self.path / f"spool-{self.name}"


def route(host: Host) -> Route:
    return ProcessRoute(Path(str(host.boot_parameters["folder"])))


def wire_beside(home: Home, configuration: Configuration, keyring: Keyring) -> Program:
    return replace(wire(home, configuration, keyring), route=route)


def dispatcher(program: Program) -> Embedded:
    return Embedded(program, is_alone=False)


def run_one(home: Beside, keyring: Keyring) -> None:
    """What `expunge serve` does, without the lock."""
    log = (home.path / f"{home.name}.log").open("a", buffering=1)
    os.dup2(log.fileno(), sys.stdout.fileno())
    os.dup2(log.fileno(), sys.stderr.fileno())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(log),
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configuration = configuration_at(home)
    serve(home, configuration, keyring, wiring=Wiring(wire=wire_beside, dispatcher=dispatcher), stop=stop)


class Nursery:
    """Forks controllers and tells of their ends. It has one thread only, so that a fork is whole."""

    def __init__(self, home: Path, keyring: Keyring) -> None:
        self._home = home
        self._keyring = keyring
        self._children: dict[int, str] = {}

    def run(self) -> None:
        try:
            while (line := self._next_line()) is not None:
                if line.startswith("start "):
                    self._start(line.removeprefix("start ").strip())
        finally:
            for pid in self._children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    os.kill(pid, signal.SIGCONT)

    def _next_line(self) -> str | None:
        while True:
            self._reap()
            if select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
                return sys.stdin.readline() or None

    def _start(self, name: str) -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                run_one(Beside(self._home, name), self._keyring)
                code = 0
            except BaseException:
                structlog.get_logger().exception("ended")
            finally:
                os._exit(code)
        self._children[child] = name
        self._tell("started", name, child)

    def _reap(self) -> None:
        for pid, name in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[pid]
                self._tell("ended", name, pid, status)

    @staticmethod
    def _tell(*words: Any) -> None:
        print(*words, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Several controllers on one store, for tests.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--passphrase-fd", type=int, required=True)
    parser.add_argument("--lease", type=float, required=True, help="seconds")
    arguments = parser.parse_args()
    lease.LEASE = timedelta(seconds=arguments.lease)
    lease.RENEW_EVERY = timedelta(seconds=arguments.lease / 4)
    serving.SPOOL_EVERY_SECONDS = 1.0
    passphrase = read_passphrase(environment={}, descriptor=arguments.passphrase_fd)
    keyring = Keyring.open(Home(arguments.home).keys, passphrase=passphrase)
    print("ready", flush=True)
    Nursery(arguments.home, keyring).run()


if __name__ == "__main__":
    main()
