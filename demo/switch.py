"""A switch: one port a host through which its tenant comes in. Closing a port really closes it.

    python -m demo.switch serve --control SOCKET --port HOST=FRONT:BACK ...
    python -m demo.switch isolate | restore --control SOCKET HOST
    python -m demo.switch read-back --front PORT --management HOST_SOCKET [--slow SECONDS]

`serve` forwards FRONT to BACK on 127.0.0.1 for each host. `read-back` does not ask the switch what it
believes: it knocks at the front port as a tenant would, and at the host's management controller as we would;
some switches take their time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import selectors
import signal
import socket
import sys
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"
SECONDS = 5.0


class Port:
    """One tenant port: open (listening and forwarding) or cut."""

    def __init__(self, *, front: int, back: int) -> None:
        self.front = front
        self._back = back
        self._listener: socket.socket | None = None
        self._flows: set[socket.socket] = set()
        self._lock = threading.Lock()

    def open(self) -> None:
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server((LOOPBACK, self.front))
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """No new connection, and none that lives on."""
        with self._lock:
            sockets, self._flows = list(self._flows), set()
            if self._listener is not None:
                sockets.append(self._listener)
            self._listener = None
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                tenant, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(tenant,), daemon=True).start()

    def _forward(self, tenant: socket.socket) -> None:
        try:
            server = socket.create_connection((LOOPBACK, self._back), timeout=SECONDS)
        except OSError:
            tenant.close()
            return
        with self._lock:
            self._flows |= {tenant, server}
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as ready:
            ready.register(tenant, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, tenant)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        raise OSError
                    key.data.sendall(data)
        for each in (tenant, server):
            each.close()
        with self._lock:
            self._flows -= {tenant, server}


def serve(control: Path, ports: dict[str, Port]) -> None:
    """Answers `isolate HOST` and `restore HOST` lines until it is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for port in ports.values():
        port.open()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control))
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as stream:
                verb, _, host = stream.readline().decode().strip().partition(" ")
                act = {"isolate": Port.cut, "restore": Port.open}.get(verb)
                if act is None or host not in ports:
                    stream.write(b"unknown\n")
                    continue
                act(ports[host])
                stream.write(b"done %d\n" % ports[host].front)


def tell(control: Path, verb: str, host: str) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(control))
        with connection.makefile("rwb") as stream:
            stream.write(f"{verb} {host}\n".encode())
            stream.flush()
            return 0 if stream.readline().startswith(b"done") else 1


def read_back(front: int, management: Path) -> None:
    """One line of JSON: what a tenant and what we get when we knock."""
    tenant = "open"
    try:
        with socket.create_connection((LOOPBACK, front), timeout=SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.recv(1)
    except ConnectionRefusedError:
        tenant = "cut"
    ours = "unreachable"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(management))
        connection.sendall(b'{"verb":"status"}\n')
        if json.loads(connection.makefile("rb").readline()).get("power"):
            ours = "reachable"
    print(json.dumps({"tenant_side": tenant, "our_side": ours}))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="demo.switch", description="A switch with one tenant port a host.")
    parser.add_argument("verb", choices=["serve", "isolate", "restore", "read-back"])
    parser.add_argument("host", nargs="?")
    parser.add_argument("--control", type=Path)
    parser.add_argument("--front", type=int)
    parser.add_argument("--management", type=Path)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--port", action="append", default=[], metavar="HOST=FRONT:BACK")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.verb == "serve":
        ports = {}
        for text in arguments.port:
            host, _, numbers = text.partition("=")
            front, _, back = numbers.partition(":")
            ports[host] = Port(front=int(front), back=int(back))
        serve(arguments.control, ports)
    if arguments.verb == "read-back":
        threading.Event().wait(arguments.slow)
        read_back(arguments.front, arguments.management)
        return 0
    return tell(arguments.control, arguments.verb, arguments.host)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
