"""`expunge serve`: run the controller until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading

import structlog

from controller.cli.command import Failed, application
from controller.cli.options import HomeOption, PassphraseOption, located
from controller.cli.progress import sign_of_life
from controller.passphrase import read_passphrase

app = application("Run the controller: one process that holds the home, answers and dispatches.")


@app.command()
def serve(home: HomeOption = None, passphrase_fd: PassphraseOption = None) -> None:
    """Run until SIGTERM or SIGINT, then finish what is under way and exit 0. The log goes to standard error
    as one JSON object a line.
    """
    from controller.configuration import configuration_at
    from controller.dispatch.embedded import Embedded
    from controller.keyring import Keyring
    from controller.serving import PartDied, Wiring
    from controller.serving import serve as run
    from controller.wiring import wire

    place = located(home)
    place.require_initialised()
    with place.locked():
        configuration = configuration_at(place)
        passphrase = read_passphrase(environment=os.environ, descriptor=passphrase_fd)
        with sign_of_life("opening keys"):
            keyring = Keyring.open(place.keys, passphrase=passphrase)
        # Until here a signal ends the process at once: nothing was begun.
        _log_as_json()
        wiring, stop = Wiring(wire=wire, dispatcher=Embedded), _stop_on_signal()
        try:
            run(place, configuration, keyring, wiring=wiring, stop=stop)
        except PartDied as death:
            raise Failed(str(death)) from death


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _log_as_json() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
