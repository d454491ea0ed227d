"""Sockets that an application is served on, each by one thread of its own.

Rules: the Unix socket appears under its name only when it already listens, 0600, so that whoever sees it can
connect; what lay there before is a dead process's, because the caller holds the home's lock. A server that
ends by itself says so through `ended`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from controller.home import FILE_MODE, socket_address

#: After this a connection that still talks is cut: every answer takes far less.
GRACE_SECONDS = 5
BACKLOG = 128

logger = structlog.get_logger(__name__)


def unix_socket(path: Path) -> socket.socket:
    """A listening socket at `path`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with socket_address(beside) as address:
        listener.bind(address)
        os.chmod(address, FILE_MODE)  # noqa: PTH101 - by the same address: the path may be too long to bind
    listener.listen(BACKLOG)
    beside.replace(path)
    return listener


def tcp_socket(address: str) -> socket.socket:
    """A listening socket at `HOST:PORT` or `[HOST]:PORT`."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)


class Served:
    """One application on one socket, from construction until `stop`."""

    def __init__(
        self, app: FastAPI, listener: socket.socket, *, name: str, ended: Callable[[], None]
    ) -> None:
        self._name = name
        self._ended = ended
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, args=(listener,), name=name)
        self._thread.start()

    def _run(self, listener: socket.socket) -> None:
        try:
            self._server.run(sockets=[listener])
        except Exception:
            logger.exception("listener failed", listener=self._name)
        finally:
            listener.close()
            self._ended()

    def stop(self) -> None:
        """Takes no more connections, lets the present ones end, and returns when the thread is over."""
        self._server.should_exit = True
        self._thread.join()
